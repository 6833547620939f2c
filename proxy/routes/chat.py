"""POST /v1/chat/completions, /v1/completions, /v1/responses, /v1/messages: read the call, fail over, relay the answer.

Plain ASGI, called by the gate. Which shape a client speaks is `shapes.py`'s; for chat completions the upstream's bytes
go out as they came.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Any

import msgspec

from proxy.annotations import annotated
from proxy.asking import Answer
from proxy.attempts import Call
from proxy.difficulty import Assessment
from proxy.errors import (
    BodyTooLargeError,
    InvalidRequestError,
    NoUpstreamError,
    ProxyError,
    UnsupportedBodyError,
    envelope,
)
from proxy.gate import Headers, Receive, Send, respond_error
from proxy.policies import Plan
from proxy.request import ChatRequest
from proxy.routes.caller import Caller, Lookout
from proxy.runtime import Runtime
from proxy.shapes import CHAT, Shape, events
from proxy.time_limits import NO_WISH, Tightened
from proxy.upstreams import no_upstream

_EPOCH = dt.datetime(1970, 1, 1)

_WISHES = (
    (b"x-orchestrator-first-content-timeout-s", "first_content_s"),
    (b"x-orchestrator-between-chunks-timeout-s", "between_chunks_s"),
    (b"x-orchestrator-timeout-s", "total_s"),
)
_REMEMBERED = 1_000
_MOST_REMEMBERED_BYTES = 8 * 1024
_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


async def read_body(headers: Headers, receive: Receive, most: int) -> bytes:
    """The request's body.

    Raises `BodyTooLargeError`, `UnsupportedBodyError`, and `ClientGoneError` when the client hangs up meanwhile.
    """
    if headers.get(b"content-type", b"").startswith(b"multipart/"):
        raise UnsupportedBodyError("Send the body as application/json.")
    announced = headers.get(b"content-length", b"0")
    if announced.isdigit() and int(announced) > most:
        raise BodyTooLargeError(f"The body has {int(announced):,} bytes; at most {most:,} are read.")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise BodyTooLargeError(f"The body is longer than {most:,} bytes.")
        if not message.get("more_body", False):
            if not parts:
                return part  # type: ignore[no-any-return]
            parts.append(part)
            return b"".join(parts)
        parts.append(part)


class ClientGoneError(Exception):
    """The client hung up."""


class ChatRoute:
    """The handler of one shape."""

    def __init__(self, runtime: Runtime, shape: Shape = CHAT) -> None:
        self._runtime = runtime
        self._shape = shape
        self._lookout = Lookout()
        self._calls: dict[tuple[str, int], Any] = {}
        self._assessed: dict[bytes, Assessment] = {}
        self._seconds = runtime.metrics.call_seconds.labels(shape.name)

    async def __call__(self, request_id: str, headers: Headers, receive: Receive, send: Send) -> None:
        runtime = self._runtime
        started = runtime.clock.monotonic()
        runtime.metrics.in_flight.inc()
        client = Caller(receive, send, _STREAM_HEADERS)
        status, call = 500, None
        try:
            data = await read_body(headers, receive, runtime.settings.max_body_bytes)
            call = self._call(request_id, headers, data, started)
            if runtime.traces is not None:
                call.traceparent = headers.get(b"traceparent")
            self._lookout.add(client)
            if call.plan is not None and call.plan.key is not None:
                await self._reserve(call, call.plan)
            status = await self._serve(call, client)
        except ProxyError as error:
            status = error.status
            await self._fail(error, call, request_id, client)
        except ClientGoneError:
            status = 499
        except asyncio.CancelledError:
            if not client.is_gone:
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            status = 499
        finally:
            self._lookout.remove(client)
            client.stop()
            runtime.metrics.in_flight.dec()
            self._note(call, request_id, status, runtime.clock.monotonic() - started)

    def _call(self, request_id: str, headers: Headers, data: bytes, started: float) -> Call:
        runtime = self._runtime
        profile = headers.get(b"x-orchestrator-profile")
        asked = self._shape.read(data, profile.decode("latin-1") if profile else None)
        request = asked.chat
        snapshot = runtime.snapshot
        if not snapshot.is_servable:
            raise NoUpstreamError(no_upstream(runtime.accounts))
        assessment = self._assess(data, request)
        plan = runtime.policies.plan(request, headers, snapshot, assessment, runtime.failover.blocked)
        wish = _wish(headers)
        total_s = runtime.settings.total_timeout_s
        if wish.total_s is not None:
            total_s = min(total_s, wish.total_s)
        deadline = started + total_s
        shape, wanted = self._shape, plan.wanted
        if shape.asks_for != "chat":
            wanted = plan.wanted = replace(wanted, asks_for=shape.asks_for)
        return Call(
            request_id,
            shape.name,
            request,
            wanted,
            plan.assessment,
            started,
            deadline,
            wish,
            asked=asked,
            upstream_endpoint=shape.asks_for,
            plan=plan,
        )

    def _assess(self, data: bytes, request: ChatRequest) -> Assessment:
        """How hard it is; worked out once for a request that is made again to the letter."""
        if len(data) > _MOST_REMEMBERED_BYTES:
            return self._runtime.scorer.assess(request.body, explain=False)
        # By its digest: prompts are not kept.
        digest = blake2b(data, digest_size=16).digest()
        found = self._assessed.get(digest)
        if found is None:
            if len(self._assessed) >= _REMEMBERED:
                del self._assessed[next(iter(self._assessed))]
            found = self._assessed[digest] = self._runtime.scorer.assess(request.body, explain=False)
        return found

    async def _reserve(self, call: Call, plan: Plan) -> None:
        runtime = self._runtime
        attempts = plan.routing.max_attempts or runtime.settings.max_attempts
        await runtime.policies.reserve(plan, call.request, runtime.failover.blocked, attempts)

    async def _serve(self, call: Call, client: Caller) -> int:
        if self._runtime.policies.cache is not None and await self._recall(call, client):
            return 200
        if call.request.is_stream:
            client.keep_alive(self._runtime.settings.keepalive_s, partial(_head, call, None), self._shape.keep_alive)
        answer = await self._runtime.failover.answer(call)
        await client.quiet()
        if answer.rest is None:
            body = self._body(call, answer)
            await _whole(call, answer, body, client.send)
            self._keep(call, answer, [body])
            return answer.status
        if not client.has_started:
            await client.send(
                {"type": "http.response.start", "status": 200, "headers": [*_head(call, answer), *_STREAM_HEADERS]}
            )
        is_kept = call.plan is not None and call.plan.cache_key is not None
        pieces: list[bytes] = []
        translator = None
        is_native = answer.attempt.endpoint == self._shape.name
        if self._shape.translator is not None and call.asked is not None and not is_native:
            translator = self._shape.translator(call.asked, call.request_id, self._created())
        async with aclosing(_all(answer)) as all_:
            async for piece in all_:
                if translator is not None:
                    piece = b"".join(events(translator, piece))
                if is_kept:
                    pieces.append(piece)
                if piece:
                    await client.send({"type": "http.response.body", "body": piece, "more_body": True})
        await client.send({"type": "http.response.body", "body": b"", "more_body": False})
        self._keep(call, answer, pieces)
        return 200

    def _created(self) -> int:
        return int((self._runtime.clock.now() - _EPOCH).total_seconds())

    def _body(self, call: Call, answer: Answer) -> bytes:
        """What the client gets of an answer that came whole."""
        shape = self._shape
        if answer.status != 200:
            refusal = _refusal(answer)
            return refusal if shape.error is envelope else shape.error(_as_error(refusal, answer), call.request_id)
        echo = call.request.asked_model if self._runtime.settings.echo_asked_model else None
        body = annotated(answer.body, answer.attempt.ranked.candidate.offer, answer.attempt.cost_usd, echo)
        if shape.whole is None or call.asked is None or answer.attempt.endpoint == shape.name:
            return body
        return shape.whole(body, call.asked, call.request_id, self._created())

    async def _recall(self, call: Call, client: Caller) -> bool:
        """Answer from memory, where that is switched on and such a request was answered before."""
        plan = call.plan
        # What cannot be said as a chat is told apart by the client's own words.
        request = call.request if call.asked is None else call.asked.native or call.request
        kept = None if plan is None else self._runtime.policies.recall(plan, request, call.endpoint)
        if kept is None:
            return False
        form = _STREAM_HEADERS if kept.is_stream else [(b"content-type", b"application/json")]
        length = [] if kept.is_stream else [(b"content-length", str(len(kept.body)).encode())]
        head = [*_head(call, None), *kept.headers, (b"x-orchestrator-cache", b"hit"), *form, *length]
        await client.send({"type": "http.response.start", "status": 200, "headers": head})
        await client.send({"type": "http.response.body", "body": kept.body})
        return True

    def _keep(self, call: Call, answer: Answer, pieces: list[bytes]) -> None:
        attempt = answer.attempt
        if call.plan is None or call.plan.cache_key is None or answer.status != 200 or attempt.outcome != "answered":
            return
        self._runtime.policies.keep(
            call.plan,
            b"".join(pieces),
            attempt.ranked.candidate.headers,
            is_stream=call.request.is_stream,
            cost_usd=attempt.cost_usd,
        )

    async def _fail(self, error: ProxyError, call: Call | None, request_id: str, client: Caller) -> None:
        await client.quiet()
        if client.has_started:
            event = self._error_event(error, call, request_id)
            await client.send({"type": "http.response.body", "body": event, "more_body": False})
            return
        if call is not None:
            error.headers = {
                **error.headers,
                "x-orchestrator-attempts": str(len(call.attempts)),
                "x-orchestrator-decision": call.request_id,
            }
        await respond_error(client.send, error, request_id, self._shape.error)

    def _error_event(self, error: ProxyError, call: Call | None, request_id: str) -> bytes:
        if self._shape.translator is not None and call is not None and call.asked is not None:
            translator = self._shape.translator(call.asked, request_id, self._created())
            return b"".join(translator.error(error.message, error.status))
        return b"data: " + envelope(error, request_id) + b"\n\n"

    def _note(self, call: Call | None, request_id: str, status: int, seconds: float) -> None:
        runtime = self._runtime
        label = "none" if call is None else call.profile or "named"
        counter = self._calls.get((label, status))
        if counter is None:
            counter = self._calls[label, status] = runtime.metrics.call(self._shape.name, label, status)
        counter.inc()
        self._seconds.observe(seconds)
        if call is not None:
            for attempt in call.attempts:
                # A client that hangs up before the first byte leaves an answer that nobody has begun to read.
                attempt.end("caller_gone", "cancelled")
            if call.plan is not None:
                runtime.policies.settle(call, call.plan)
            if runtime.shadow is not None:
                runtime.shadow.consider(call)
            if runtime.traces is not None:
                runtime.traces.record(call, status, call.traceparent)
        # The client reads: time for what its attempts left. The rest fits into the wait for the next call's upstream.
        runtime.afterwards.catch_up()
        runtime.afterwards.add(partial(self._write_down, call, request_id, status, seconds))

    def _write_down(self, call: Call | None, request_id: str, status: int, seconds: float) -> None:
        runtime = self._runtime
        if call is not None:
            runtime.decisions.note(call.request_id, call, seconds)
        if runtime.settings.log_calls:
            runtime.call_log.append(call, request_id, status, seconds)
        if call is not None:
            # Call and attempts know each other; parted here, body and all are freed at once, not by a collection.
            call.attempts.clear()


def _wish(headers: Headers) -> Tightened:
    wishes: dict[str, float] = {}
    for header, name in _WISHES:
        if header in headers:
            try:
                seconds = float(headers[header])
            except ValueError:
                seconds = -1.0
            if not 0 < seconds < 86_400:
                raise InvalidRequestError(f"{header.decode()} must be a number of seconds above zero.")
            wishes[name] = seconds
    return Tightened(**wishes) if wishes else NO_WISH


def _head(call: Call, answer: Answer | None) -> list[tuple[bytes, bytes]]:
    request_id = call.request_id.encode()
    assessment: Assessment | None = call.assessment
    head = [
        (b"x-request-id", request_id),
        (b"x-orchestrator-decision", request_id),
        (b"x-orchestrator-profile", call.wanted.profile.encode()),
    ]
    if assessment is not None:
        head.append((b"x-orchestrator-difficulty", f"{assessment.difficulty:.2f} {assessment.band}".encode()))
        head.append((b"x-orchestrator-category", assessment.category.encode()))
    if answer is not None:
        attempt = answer.attempt
        head.extend(attempt.ranked.candidate.headers)
        head.append((b"x-orchestrator-attempts", str(attempt.number).encode()))
        if attempt.dropped:
            head.append((b"x-orchestrator-dropped", ", ".join(attempt.dropped).encode("ascii", "replace")))
    return head


async def _whole(call: Call, answer: Answer, body: bytes, send: Send) -> None:
    head = _head(call, answer)
    head.append((b"content-type", b"application/json"))
    head.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def _all(answer: Answer) -> AsyncGenerator[bytes, None]:
    """What was held back until there was content, then the rest."""
    assert answer.rest is not None  # noqa: S101
    async with aclosing(answer.rest) as rest:  # type: ignore[type-var]
        if answer.body:
            yield answer.body
        async for piece in rest:
            yield piece


def _as_error(refusal: bytes, answer: Answer) -> ProxyError:
    """An upstream's refusal, for shapes that have their own way to say it."""
    error = InvalidRequestError(str(msgspec.json.decode(refusal)["error"]["message"]))
    error.status = answer.status  # type: ignore[misc]
    return error


def _refusal(answer: Answer) -> bytes:
    """An upstream's refusal in OpenAI's shape: as it came when it already has it."""
    try:
        found = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    if isinstance(found, dict) and isinstance(found.get("error"), dict) and found["error"].get("message"):
        return answer.body
    text = found.get("message") or found.get("detail") or found.get("error") if isinstance(found, dict) else None
    if not isinstance(text, str):
        text = "The upstream refused the request."
    error = {"message": text, "type": "invalid_request_error", "param": None, "code": answer.attempt.cause}
    return msgspec.json.encode({"error": error})
