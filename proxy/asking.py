"""One candidate is asked: send, hold the answer back until it says something, relay the rest.

Reading one upstream's answer and telling a failure from an answer belong here. Who is asked, and who comes next, is
`failover.py`'s; how a broken stream goes on is `resuming.py`'s.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

import msgspec

from proxy import continuation
from proxy.afterwards import Afterwards
from proxy.annotations import annotated
from proxy.answers import StreamScanner, read_completion, usage_of
from proxy.attempts import FAILURES, Attempt, NotTriedError, RefusedError
from proxy.balances import Balances
from proxy.bodies import prepare
from proxy.causes import LEAST_REPAIRED_MAX_TOKENS, Cause, Repair, classify, classify_success
from proxy.client import Transport, UpstreamAnswer, UpstreamRequest
from proxy.clock import Clock, Limit
from proxy.costs import cost_usd
from proxy.dialects import DIALECTS, Disqualified
from proxy.errors import AttemptError, BrokenAnswerError, MalformedAnswerError, StalledError
from proxy.metrics import Metrics
from proxy.request import ChatRequest
from proxy.settings import Settings
from proxy.shapes import Asked
from proxy.time_limits import Limits, limits

_MOST_ERROR_BYTES = 64 * 1024
_MOST_HELD_BYTES = 1024 * 1024
"""Reasoning that is held back until content comes; past this it goes out, and failing over ends."""


@dataclass(slots=True)
class Answer:
    """What goes to the client: the first content is there, so it can no longer fail over."""

    attempt: Attempt
    status: int
    body: bytes
    """The whole answer, or of a stream the events up to the first content."""
    rest: AsyncIterator[bytes] | None = None
    """Of a stream, what follows: whole events."""


GoOn = Callable[[Attempt], Awaitable[Answer | None]]
"""Has another candidate go on with a stream that broke off; None where nobody can."""


def _payer(attempt: Attempt) -> str:
    """Whose balance pays for an attempt."""
    account = attempt.ranked.candidate.account
    if attempt.key is not None:
        return attempt.key.name
    return account.breaker_key if account is not None else ""


async def _nobody(_: Attempt) -> None:
    return None


class Asker:
    """Asks one candidate at a time."""

    def __init__(
        self, transport: Transport, clock: Clock, settings: Settings, metrics: Metrics, afterwards: Afterwards
    ) -> None:
        self._transport = transport
        self._afterwards = afterwards
        self._clock = clock
        self._settings = settings
        self._metrics = metrics
        self._balances = Balances()
        self.go_on: GoOn = _nobody

    async def ask(self, attempt: Attempt, repairs: tuple[Repair, ...], request: ChatRequest | None = None) -> Answer:
        """Ask the attempt's candidate; `request` where it is another than the caller's own."""
        call, candidate = attempt.call, attempt.ranked.candidate
        if call.asked is not None and call.asked.native is not None and request is None:
            request = self._native(attempt, call.asked)
        request = request or call.request
        if self._balances and attempt.endpoint != "embeddings":
            repairs = repairs or self._ahead(attempt, request)
        plan = call.plan
        if plan is None:
            prepared = prepare(request, candidate, repairs)
        else:
            session = plan.session.key if plan.session is not None else None
            prepared = prepare(request, candidate, repairs, plan.preferences, session)
        if isinstance(prepared, Disqualified):
            raise NotTriedError(prepared.reason)
        attempt.dropped = prepared.dropped
        account = candidate.account
        assert account is not None  # noqa: S101  (candidates without an account are never offered)
        headers = account.headers if attempt.key is None else attempt.key.headers
        limit = limits(
            candidate,
            is_stream=request.is_stream,
            output_tokens=request.output_tokens,
            settings=self._settings,
            wish=call.wish,
            prompt_tokens=request.prompt_tokens,
        )
        answer: UpstreamAnswer | None = None
        is_handed_on = False
        try:
            first_by = min(attempt.started + limit.first_content_s, call.deadline)
            async with self._clock.timeout_at(first_by) as timer:
                self._afterwards.while_waiting()
                answer = await self._transport.send(
                    UpstreamRequest(account.urls[attempt.endpoint], headers, prepared.body)
                )
                attempt.status = answer.status
                attempt.upstream_answer = answer
                if answer.status != 200:
                    body = await answer.read(_MOST_ERROR_BYTES)
                    cause = classify(account.dialect, answer.status, body, answer.headers)
                    if cause.name == "unaffordable":
                        self._note_balance(attempt, request, cause)
                    raise RefusedError(cause, answer.status, body)
                if not request.is_stream:
                    return await self._whole(attempt, answer)
                found = await self._stream(attempt, request, answer, limit, timer)
                is_handed_on = True
                return found
        except TimeoutError as error:
            cause_word = "deadline" if self._clock.monotonic() >= call.deadline else "no_content_in_time"
            raise StalledError("it did not answer in time", cause_word) from error
        finally:
            if answer is not None and not is_handed_on:
                answer.close()

    def _note_balance(self, attempt: Attempt, request: ChatRequest, cause: Cause) -> None:
        """Remember what the account was said to have left."""
        limit = cause.repair.value if cause.repair is not None else None
        if isinstance(limit, int):
            offer, now = attempt.ranked.candidate.offer, self._clock.monotonic()
            self._balances.refused(_payer(attempt), offer, request.prompt_tokens, limit, now)

    def _ahead(self, attempt: Attempt, request: ChatRequest) -> tuple[Repair, ...]:
        """The repair that an account short of money would ask for."""
        most = self._balances.most_tokens(
            _payer(attempt),
            attempt.ranked.candidate.offer,
            request.prompt_tokens,
            request.limit_tokens,
            self._clock.monotonic(),
        )
        # Less than that is not worth asking for: the upstream may know of a new payment, and says so if not.
        if most is None or most < LEAST_REPAIRED_MAX_TOKENS:
            return ()
        return (Repair("limit_max_tokens", "max_tokens", most),)

    def _native(self, attempt: Attempt, asked: Asked) -> ChatRequest | None:
        """The client's own request, where the upstream has its endpoint. Raises `NotTriedError` where it must have."""
        account = attempt.ranked.candidate.account
        dialect = DIALECTS.get(account.dialect) if account is not None else None
        if dialect is not None and dialect.has_completions:
            attempt.endpoint = "completions"
            return asked.native
        if asked.only_native is not None:
            raise NotTriedError(asked.only_native)
        return None

    async def _whole(self, attempt: Attempt, answer: UpstreamAnswer) -> Answer:
        body = await answer.read(self._settings.max_answer_bytes)
        attempt.first_byte = attempt.first_content = self._clock.monotonic()
        found = read_completion(body)
        if found.error:
            self._refuse(attempt, body)
        attempt.usage = usage_of(found.usage)
        attempt.finish_reason = found.finish_reason
        attempt.end("answered")
        return Answer(attempt, 200, body)

    def _refuse(self, attempt: Attempt, body: bytes) -> None:
        """An error under status 200 is the error it names."""
        account = attempt.ranked.candidate.account
        assert account is not None  # noqa: S101
        cause = classify_success(account.dialect, msgspec.json.decode(body), {})
        if cause is None:
            raise MalformedAnswerError("its answer is an error without a word", "nameless_error")
        raise RefusedError(cause, 502 if cause.action != "return" else 400, body)

    async def _stream(
        self, attempt: Attempt, request: ChatRequest, answer: UpstreamAnswer, limit: Limits, timer: Limit
    ) -> Answer:
        """Hold a stream back until it says something, so that whatever goes wrong before can still fail over."""
        content_type = answer.headers.get("content-type", "")
        if content_type.startswith("application/json"):
            await self._not_a_stream(attempt, answer)
        offer = attempt.ranked.candidate.offer
        scanner = StreamScanner(
            keeps_usage=request.wants_usage_event,
            annotate=lambda data, usage: annotated(data, offer, cost_usd(usage, offer)[0]),
        )
        plan = attempt.call.plan
        if (
            plan is not None
            and plan.routing.on_break == "continue"
            and attempt.endpoint == "chat"
            and continuation.refusal(attempt.call.request) is None
        ):
            attempt.heard = attempt.heard or continuation.Heard()
        held: list[bytes] = []
        held_bytes = 0
        chunks = answer.chunks()
        while not scanner.has_content and held_bytes < _MOST_HELD_BYTES:
            chunk = await anext(chunks, None)
            now = self._clock.monotonic()
            if attempt.first_byte is None:
                attempt.first_byte = now
            thought = scanner.has_reasoning
            scanner.has_reasoning = False
            out = scanner.feed(chunk) if chunk is not None else scanner.finish()
            if scanner.error is not None:
                self._refuse(attempt, scanner.error)
            if out:
                held.append(out)
                held_bytes += len(out)
            if chunk is None or scanner.is_done:
                break
            if scanner.has_reasoning:
                # Thinking is life, not content: it puts the limit off, and can still fail over.
                timer.reschedule(
                    min(
                        max(attempt.started + limit.first_content_s, now + limit.between_chunks_s),
                        attempt.call.deadline,
                    )
                )
            scanner.has_reasoning = scanner.has_reasoning or thought
        if not scanner.has_content and held_bytes < _MOST_HELD_BYTES:
            if not scanner.is_complete:
                raise BrokenAnswerError("its stream ended before it said anything", "ended_early")
            if not scanner.is_answer:
                raise MalformedAnswerError("its stream holds no content", "no_content")
        attempt.first_content = self._clock.monotonic()
        if attempt.heard is not None:
            attempt.heard.hear(b"".join(held))
        return Answer(attempt, 200, b"".join(held), self._rest(attempt, answer, chunks, scanner, limit))

    async def _not_a_stream(self, attempt: Attempt, answer: UpstreamAnswer) -> None:
        """JSON where a stream was asked for: an error under status 200, or an upstream that cannot stream."""
        body = await answer.read(self._settings.max_answer_bytes)
        if read_completion(body).error:
            self._refuse(attempt, body)
        raise MalformedAnswerError("it does not stream", "not_a_stream")

    async def _rest(
        self,
        attempt: Attempt,
        answer: UpstreamAnswer,
        chunks: AsyncIterator[bytes],
        scanner: StreamScanner,
        limit: Limits,
    ) -> AsyncIterator[bytes]:
        """What follows the first content, event by event; ends with `[DONE]`, or with an error event and without it."""
        clock, deadline = self._clock, attempt.call.deadline
        try:
            try:
                async with clock.timeout_at(None) as timer, aclosing(chunks):  # type: ignore[type-var]
                    while not scanner.is_done:
                        timer.reschedule(min(clock.monotonic() + limit.between_chunks_s, deadline))
                        chunk = await anext(chunks, None)
                        # The client's own slowness must not count as the upstream's silence.
                        timer.reschedule(None)
                        out = scanner.finish() if chunk is None else scanner.feed(chunk)
                        if out:
                            if attempt.heard is not None:
                                attempt.heard.hear(out)
                            yield out
                        if scanner.error is not None or chunk is None:
                            break
            except TimeoutError as error:
                raise StalledError("it fell silent amid the answer", "silent_amid_answer") from error
            if scanner.error is not None or not scanner.is_complete:
                raise BrokenAnswerError("its stream ended amid the answer", "ended_early")
            self._note(attempt, scanner)
            attempt.end("answered")
            yield b"data: [DONE]\n\n"
        except AttemptError as error:
            self._note(attempt, scanner)
            attempt.end("broken", error.cause, against=FAILURES["broken"])
            follow = await self.go_on(attempt) if attempt.heard is not None and attempt.heard.is_text else None
            if follow is None or follow.rest is None:
                yield _error_event(error, attempt)
            else:
                characters = len(attempt.heard.text) if attempt.heard is not None else 0
                try:
                    yield continuation.seam(
                        attempt.ranked.candidate, follow.attempt.ranked.candidate, error.cause, characters
                    )
                    yield follow.body
                    async with aclosing(follow.rest) as rest:  # type: ignore[type-var]
                        async for piece in rest:
                            yield piece
                finally:
                    # The client may be gone before the second half is begun; then its own end never comes.
                    follow.attempt.end("caller_gone", "cancelled")
        finally:
            self._note(attempt, scanner)
            attempt.end("caller_gone", "cancelled")
            answer.close()

    def _note(self, attempt: Attempt, scanner: StreamScanner) -> None:
        attempt.usage = scanner.usage
        attempt.finish_reason = scanner.finish_reason
        if scanner.bad_events:
            self._metrics.bad_events.labels(attempt.ranked.candidate.offer.upstream).inc(scanner.bad_events)
            scanner.bad_events = 0


def _error_event(error: AttemptError, attempt: Attempt) -> bytes:
    offer = attempt.ranked.candidate.offer
    body = {
        "error": {
            "message": f"{offer.offer_id} failed amid the answer: {error.message}. What came before is incomplete.",
            "type": "upstream_error",
            "param": None,
            "code": error.cause,
        }
    }
    return b"data: " + msgspec.json.encode(body) + b"\n\n"
