"""Time and network moved by hand, for tests of the proxy: no test sleeps or reaches beyond its own process."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from proxy.attempts import Call
from proxy.breaker import BreakerRule, Breakers
from proxy.client import UpstreamAnswer, UpstreamRequest
from proxy.difficulty import Assessment
from proxy.failover import Failover
from proxy.guard import Guard
from proxy.metrics import Metrics
from proxy.request import read_chat
from proxy.routing import want
from proxy.settings import Settings
from proxy.snapshot import Snapshot, build
from proxy.time_limits import NO_WISH, Tightened
from proxy.upstreams import account
from tests.proxy.publication import NOW
from warehouse import published
from warehouse.outcomes import Outcome
from warehouse.published import PublishedRows
from warehouse.upstreams import Upstream


class HandClock:
    """Stands still until `advance`."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self._limits: set[_HandLimit] = set()

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> dt.datetime:
        return NOW + dt.timedelta(seconds=self.seconds - 1000)

    def timeout_at(self, when: float | None) -> _HandLimit:
        return _HandLimit(self, when)

    async def sleep(self, seconds: float) -> None:
        with_end = self.timeout_at(self.seconds + seconds)
        try:
            async with with_end:
                await asyncio.Event().wait()
        except TimeoutError:
            pass

    async def advance(self, seconds: float) -> None:
        """Move time on, and let everything that waits for it react."""
        await settle()
        self.seconds += seconds
        for limit in tuple(self._limits):
            limit.look()
        await settle()

    @property
    def next_end(self) -> float | None:
        """Seconds until the next limit ends, if one runs."""
        ends = [limit.when for limit in self._limits if limit.when is not None]
        return min(ends) - self.seconds if ends else None


async def settle() -> None:
    """Let every task go on until it waits for something."""
    for _ in range(30):
        await asyncio.sleep(0)


class _HandLimit:
    def __init__(self, clock: HandClock, when: float | None) -> None:
        self._clock = clock
        self.when = when
        self._task: asyncio.Task[Any] | None = None
        self._expired = False

    async def __aenter__(self) -> _HandLimit:
        self._task = asyncio.current_task()
        self._clock._limits.add(self)
        return self

    def reschedule(self, when: float | None) -> None:
        self.when = when

    def look(self) -> None:
        if self.when is not None and self._clock.seconds >= self.when and not self._expired:
            self._expired = True
            assert self._task is not None
            self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clock._limits.discard(self)
        if self._expired and kind is asyncio.CancelledError:
            assert self._task is not None
            if self._task.uncancel() <= 0:
                raise TimeoutError from error


# --- a network that says what it is told ------------------------------------------------------------------------------

STALL = object()
"""In a list of chunks: silence that never ends by itself."""


class Told:
    """An answer made of chunks; an exception among them is raised, `STALL` waits for ever."""

    def __init__(self, status: int, chunks: Sequence[Any], headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.headers: Mapping[str, str] = headers or {}
        self._chunks = chunks
        self.is_closed = False

    async def read(self, most: int) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            if chunk is STALL:
                await asyncio.Event().wait()
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def close(self) -> None:
        self.is_closed = True


Behaviour = Callable[[], UpstreamAnswer | Exception | object]


@dataclass
class ToldTransport:
    """Answers by the model that the body names; the last behaviour of a model repeats."""

    behaviours: dict[str, list[Behaviour]] = field(default_factory=dict)
    sent: list[tuple[str, UpstreamRequest]] = field(default_factory=list)
    answers: list[UpstreamAnswer] = field(default_factory=list)

    def tell(self, model: str, *behaviours: Behaviour) -> None:
        self.behaviours[model] = list(behaviours)

    @property
    def models(self) -> list[str]:
        """Models called, in order."""
        return [model for model, _ in self.sent]

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        model = json.loads(request.body)["model"]
        self.sent.append((model, request))
        script = self.behaviours[model]
        made = (script.pop(0) if len(script) > 1 else script[0])()
        if made is STALL:
            await asyncio.Event().wait()
        if isinstance(made, Exception):
            raise made
        self.answers.append(made)  # type: ignore[arg-type]
        return made  # type: ignore[return-value]

    async def close(self) -> None:
        return None


def says(text: str = "hello", **more: Any) -> Behaviour:
    """A whole good answer."""
    body = {
        "id": "x",
        "object": "chat.completion",
        "model": "told",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        **more,
    }
    return lambda: Told(200, [json.dumps(body).encode()])


def fails(status: int, body: Any = None, **headers: str) -> Behaviour:
    """An answer with an error status."""
    data = body if isinstance(body, bytes) else json.dumps(body or {"error": {"message": "no"}}).encode()
    return lambda: Told(status, [data], {name.replace("_", "-"): value for name, value in headers.items()})


def raises(error: Exception) -> Behaviour:
    """No answer."""
    return lambda: error


def stalls() -> object:
    """Never answers."""
    return STALL


def streams(*chunks: Any, content_type: str = "text/event-stream") -> Behaviour:
    """A stream of these chunks."""
    return lambda: Told(200, chunks, {"content-type": content_type})


def event(content: str | None = None, finish: str | None = None, **delta: Any) -> bytes:
    """One event of a chat stream."""
    if content is not None:
        delta["content"] = content
    body = {"id": "x", "model": "told", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def usage_event() -> bytes:
    """The last event where usage was asked for."""
    body = {"id": "x", "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


# --- a worker without a server ----------------------------------------------------------------------------------------


class Outcomes(list[Outcome]):
    """Records what became of attempts."""


def indexed(rows: Sequence[Any], *upstreams: str, keyless: Sequence[str] = ()) -> Snapshot:
    """A snapshot of these rows, with these upstreams configured."""
    by_type: dict[type[Any], list[Any]] = {table.row: [] for table in published.TABLES}
    for one in rows:
        by_type[type(one)].append(one)
    settings, guard = Settings(), Guard()
    accounts = {
        name: account(
            Upstream(name, f"https://{name}.example/v1", "openai", "A_KEY" if name in keyless else None, False),
            {},
            guard,
            settings,
        )
        for name in upstreams
    }
    return build(PublishedRows(by_type), accounts)


class Bench:
    """A failover with hand-moved time and network."""

    def __init__(self, snapshot: Snapshot, **settings: Any) -> None:
        self.snapshot = snapshot
        self.clock = HandClock()
        self.transport = ToldTransport()
        self.settings = Settings(**settings)
        self.outcomes = Outcomes()
        self.breakers = Breakers(BreakerRule(self.settings.breaker_failures, self.settings.breaker_cooldown_s))
        self.failover = Failover(self.transport, self.breakers, self.clock, self.settings, Metrics(), self.outcomes)
        self._number = 0

    def call(self, wish: Tightened = NO_WISH, band: str = "medium", **body: Any) -> Call:
        """A call with this body; a short prompt for `auto` unless said otherwise."""
        self._number += 1
        full = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], **body}
        request = read_chat(json.dumps(full).encode())
        wanted = want(self.snapshot, request.names, request.profile, band, request.needs, request.tokens)
        now = self.clock.monotonic()
        assessment = Assessment(difficulty=0.5, band=band, confidence=1.0, category="chat", features=())
        total_s = wish.total_s or self.settings.total_timeout_s
        return Call(f"call{self._number}", "chat", request, wanted, assessment, now, now + total_s, wish)

    async def answer(self, **body: Any) -> bytes:
        """The whole of what a client gets."""
        answer = await self.failover.answer(self.call(**body))
        if answer.rest is None:
            return answer.body
        return answer.body + b"".join([piece async for piece in answer.rest])
