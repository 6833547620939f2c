"""A scriptable OpenAI-compatible upstream on loopback that answers well, or misbehaves in the way it is told.

What an upstream can do on the wire belongs here, down to TCP; what the proxy should make of it does not. Nothing
sleeps unless a behaviour says a time: a stall lasts until the test opens the gate.

    async with FakeUpstream() as up:
        up.script("vendor/model", status(429, retry_after=7), answer("hello"))    # the last one repeats
        ...                                                                       # call up.base_url
        assert up.calls[0].model == "vendor/model"

As a process, for demonstrations and load: `python -m tests.fake_upstream --port 18790 --mode answer`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

# --- what a behaviour is made of -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Send:
    """Put these bytes on the wire."""

    data: bytes


@dataclass(frozen=True)
class Pause:
    """Say nothing: until the gate is open (None is the upstream's own gate), or for `seconds` where that is given."""

    gate: asyncio.Event | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Hangup:
    """End the connection: with a FIN, or with a reset."""

    is_reset: bool = False


Step = Send | Pause | Hangup


@dataclass(eq=False)
class Call:
    """One request as it arrived, and what became of it."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    raw: bytes
    arrived_at: float
    """Monotonic seconds."""
    body: Any = None
    """The parsed JSON body; None where it is none."""
    ended_at: float | None = None
    bytes_sent: int = 0
    is_cancelled: bool = False
    """The caller hung up before the answer was complete."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    stalled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the answer has come to its first pause."""

    @property
    def model(self) -> str | None:
        """Model asked for."""
        return self.body.get("model") if isinstance(self.body, dict) else None

    @property
    def wants_stream(self) -> bool:
        """Whether a stream was asked for."""
        return isinstance(self.body, dict) and self.body.get("stream") is True

    @property
    def wants_usage(self) -> bool:
        """Whether the stream shall end with a usage chunk."""
        options = self.body.get("stream_options") if isinstance(self.body, dict) else None
        return isinstance(options, dict) and options.get("include_usage") is True


@dataclass(frozen=True)
class Behaviour:
    """A way to answer: the steps for a call, decided when the call is known."""

    name: str
    steps: Callable[[Call], Sequence[Step]]


# --- bytes -----------------------------------------------------------------------------------------------------------

CREATED = 1_764_000_000
"""A fixed time of creation, so that answers are the same bytes each time."""

USAGE: dict[str, Any] = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


def dumps(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def head(
    code: int = 200, content_type: str = "application/json", length: int | None = None, more: Mapping[str, str] = {}
) -> bytes:
    """Status line and headers; chunked where no length is given."""
    framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    lines = [f"HTTP/1.1 {code} {_REASONS.get(code, 'Status')}", f"content-type: {content_type}", framing]
    lines += [f"{name}: {value}" for name, value in more.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def whole(body: bytes, code: int = 200, content_type: str = "application/json", more: Mapping[str, str] = {}) -> bytes:
    """A complete response."""
    return head(code, content_type, len(body), more) + body


def framed(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


LAST_CHUNK = b"0\r\n\r\n"
EVENT_STREAM = "text/event-stream; charset=utf-8"


def event(value: Any, name: str | None = None) -> bytes:
    """One server-sent event; text is sent as it is, everything else as JSON."""
    data = value.encode() if isinstance(value, str) else dumps(value)
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + data + b"\n\n"


DONE = event("[DONE]")


def usage_with(usage: Mapping[str, Any] | None, cost: float | None) -> dict[str, Any]:
    """Usage as an upstream reports it, with its price where there is one (OpenRouter's `usage.cost`)."""
    counted = dict(USAGE if usage is None else usage)
    return counted if cost is None else {**counted, "cost": cost}


def completion(
    model: str,
    text: str | None = "Hello from the fake upstream.",
    *,
    tool_calls: Sequence[Mapping[str, Any]] = (),
    reasoning: str | None = None,
    usage: Mapping[str, Any] | None = None,
    cost: float | None = None,
    finish: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A chat completion in OpenAI's shape."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if reasoning is not None:
        message["reasoning"] = reasoning
    if tool_calls:
        message["tool_calls"] = [dict(call) for call in tool_calls]
    reason = finish or ("tool_calls" if tool_calls else "stop")
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
        "usage": usage_with(usage, cost),
        **more,
    }


def chunk(model: str, delta: Mapping[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk of a streamed chat completion."""
    choice = {"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": finish}
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": model,
        "choices": [choice],
        **more,
    }


def tool_call(name: str, arguments: Any, call_id: str = "call_1") -> dict[str, Any]:
    """A tool call; arguments that are no text are written as JSON."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}


# --- good behaviours -------------------------------------------------------------------------------------------------


def answer(
    text: str | None = "Hello from the fake upstream.",
    *,
    tool_calls: Sequence[Mapping[str, Any]] = (),
    reasoning: str | None = None,
    usage: Mapping[str, Any] | None = None,
    cost: float | None = None,
    finish: str | None = None,
    headers: Mapping[str, str] = {},
    **more: Any,
) -> Behaviour:
    """A good answer in the form that was asked for: a body, or a stream that says the same."""
    streamed = stream(
        [text] if text else [],
        reasoning=[reasoning] if reasoning else [],
        tool_calls=tool_calls,
        usage=usage,
        cost=cost,
        finish=finish,
        headers=headers,
    )

    def steps(call: Call) -> Sequence[Step]:
        if call.wants_stream:
            return streamed.steps(call)
        model = call.model or "fake"
        if call.path.endswith("/completions") and not call.path.endswith("/chat/completions"):
            body: dict[str, Any] = {
                "id": "cmpl-fake",
                "object": "text_completion",
                "created": CREATED,
                "model": model,
                "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish or "stop"}],
                "usage": usage_with(usage, cost),
            }
        elif call.path.endswith("/embeddings"):
            return embeddings(usage=usage).steps(call)
        else:
            body = completion(
                model,
                text,
                tool_calls=tool_calls,
                reasoning=reasoning,
                usage=usage,
                cost=cost,
                finish=finish,
                **more,
            )
        return [Send(whole(dumps(body), more=headers))]

    return Behaviour("answer", steps)


def stream(
    chunks: Iterable[str] = ("Hel", "lo"),
    *,
    reasoning: Iterable[str] = (),
    tool_calls: Sequence[Mapping[str, Any]] = (),
    role_first: bool = True,
    comments: Iterable[str] = (),
    usage: Mapping[str, Any] | None = None,
    sends_usage: bool | None = None,
    cost: float | None = None,
    finish: str | None = None,
    ends: bool = True,
    done: bool = True,
    gap_s: float | None = None,
    first_after_s: float | None = None,
    stall_after: int | None = None,
    gate: asyncio.Event | None = None,
    extra: Mapping[int, bytes] = {},
    line_end: bytes = b"\n",
    headers: Mapping[str, str] = {},
    served_as: str | None = None,
) -> Behaviour:
    """A stream, event by event.

    `comments` are keep-alives before the first chunk; `sends_usage` None does as the caller asked; `ends` False
    leaves the finish reason out, `done` False the `[DONE]`; `stall_after` n waits for the gate after n content
    chunks; `extra` puts raw bytes before the content chunk of that number; `served_as` is the model it names.
    """
    pieces, thoughts, keepalives = list(chunks), list(reasoning), list(comments)

    def steps(call: Call) -> Sequence[Step]:
        model = served_as or call.model or "fake"
        is_legacy = call.path.endswith("/completions") and not call.path.endswith("/chat/completions")
        found: list[Step] = [Send(head(200, EVENT_STREAM, more={"cache-control": "no-cache", **headers}))]

        def say(data: bytes) -> None:
            found.append(Send(framed(data.replace(b"\n", line_end))))

        def rest() -> None:
            if gap_s:
                found.append(Pause(seconds=gap_s))

        for comment in keepalives:
            say(f": {comment}\n\n".encode())
        if first_after_s:
            found.append(Pause(seconds=first_after_s))
        if role_first and not is_legacy:
            say(event(chunk(model, {"role": "assistant", "content": ""})))
        for thought in thoughts:
            say(event(chunk(model, {"reasoning": thought, "reasoning_content": thought})))
            rest()
        for number, piece in enumerate(pieces):
            if number in extra:
                say(extra[number])
            if stall_after == number:
                found.append(Pause(gate))
            if is_legacy:
                say(event(_legacy_chunk(model, piece, None)))
            else:
                say(event(chunk(model, {"content": piece})))
            rest()
        if stall_after is not None and stall_after >= len(pieces):
            found.append(Pause(gate))
        for index, call_made in enumerate(tool_calls):
            opened = {**call_made, "function": {**call_made["function"], "arguments": ""}, "index": index}
            say(event(chunk(model, {"tool_calls": [opened]})))
            arguments = call_made["function"]["arguments"]
            half = len(arguments) // 2
            for part in (arguments[:half], arguments[half:]):
                if part:
                    say(event(chunk(model, {"tool_calls": [{"index": index, "function": {"arguments": part}}]})))
        if ends:
            reason = finish or ("tool_calls" if tool_calls else "stop")
            say(event(_legacy_chunk(model, "", reason) if is_legacy else chunk(model, {}, reason)))
        if call.wants_usage if sends_usage is None else sends_usage:
            last = chunk(model, {}, usage=usage_with(usage, cost))
            last["choices"] = []
            say(event(last))
        if done:
            say(DONE)
        found.append(Send(LAST_CHUNK))
        return found

    return Behaviour("stream", steps)


def _legacy_chunk(model: str, text: str, finish: str | None) -> dict[str, Any]:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
    return {"id": "cmpl-fake", "object": "text_completion", "created": CREATED, "model": model, "choices": [choice]}


def embeddings(dimensions: int = 4, usage: Mapping[str, Any] | None = None) -> Behaviour:
    """One vector for each input: deterministic, and different for each position."""

    def steps(call: Call) -> Sequence[Step]:
        inputs = call.body.get("input", "") if isinstance(call.body, dict) else ""
        count = len(inputs) if isinstance(inputs, list) and inputs and not isinstance(inputs[0], int) else 1
        data = [
            {"object": "embedding", "index": i, "embedding": [round(i + d / 10, 3) for d in range(dimensions)]}
            for i in range(count)
        ]
        counted = dict(usage) if usage else {"prompt_tokens": 5, "total_tokens": 5}
        body = {"object": "list", "data": data, "model": call.model, "usage": counted}
        return [Send(whole(dumps(body)))]

    return Behaviour("embeddings", steps)


def raw(body: bytes, code: int = 200, content_type: str = "application/json", **headers: str) -> Behaviour:
    """Exactly this body; underscores in header names become hyphens."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return Behaviour("raw", lambda call: [Send(whole(body, code, content_type, more))])


def json_body(value: Any, code: int = 200, **headers: str) -> Behaviour:
    """Exactly this JSON."""
    return raw(dumps(value), code, **headers)


# --- bad behaviours --------------------------------------------------------------------------------------------------


def status(
    code: int,
    body: Any = None,
    *,
    retry_after: str | float | None = None,
    headers: Mapping[str, str] = {},
) -> Behaviour:
    """An error status with a body in OpenAI's shape, or the one given (bytes are sent as they are)."""
    if body is None:
        body = {"error": {"message": f"fake status {code}", "type": "fake_error", "param": None, "code": None}}
    data = body if isinstance(body, bytes) else dumps(body)
    more = dict(headers) if retry_after is None else {**headers, "retry-after": str(retry_after)}
    return Behaviour(f"status {code}", lambda call: [Send(whole(data, code, more=more))])


def reset() -> Behaviour:
    """The connection is reset as soon as the request has arrived."""
    return Behaviour("reset", lambda call: [Hangup(is_reset=True)])


def hangup() -> Behaviour:
    """The connection is closed in good order without a byte of answer."""
    return Behaviour("hangup", lambda call: [Hangup()])


def stall_before_headers(gate: asyncio.Event | None = None, seconds: float | None = None) -> Behaviour:
    """Accepts and says nothing until the gate opens, then answers well."""
    good = answer()
    return Behaviour("stall before headers", lambda call: [Pause(gate, seconds), *good.steps(call)])


def stall_after_headers(gate: asyncio.Event | None = None, seconds: float | None = None) -> Behaviour:
    """Sends its headers at once and its body when the gate opens."""
    good = answer()

    def steps(call: Call) -> Sequence[Step]:
        first, *others = good.steps(call)
        assert isinstance(first, Send)
        top, mark, body = first.data.partition(b"\r\n\r\n")
        return [Send(top + mark), Pause(gate, seconds), *([Send(body)] if body else []), *others]

    return Behaviour("stall after headers", steps)


def stall_mid_stream(after: int = 1, chunks: Iterable[str] = ("Hel", "lo"), **options: Any) -> Behaviour:
    """A stream that falls silent after so many content chunks until the gate opens."""
    return Behaviour("stall mid-stream", stream(chunks, stall_after=after, **options).steps)


def garbage() -> Behaviour:
    """Status 200, says JSON, is noise."""
    return raw(bytes(range(128, 256)) * 4)


def wrong_content_type() -> Behaviour:
    """A page for people under status 200, as a captive portal or a balancer sends it."""
    return raw(b"<!doctype html><title>It works</title><p>It works", content_type="text/html")


def truncated_json() -> Behaviour:
    """JSON that ends in its middle, though the length fits."""
    return Behaviour("truncated JSON", lambda call: [Send(whole(dumps(completion(call.model or "fake"))[:-40]))])


def short_body() -> Behaviour:
    """Fewer bytes than the length promised, then the end of the connection."""

    def steps(call: Call) -> Sequence[Step]:
        body = dumps(completion(call.model or "fake"))
        return [Send(head(length=len(body)) + body[: len(body) // 2]), Hangup()]

    return Behaviour("short body", steps)


def gzip_garbage() -> Behaviour:
    """Says gzip, is not."""
    return raw(b"this was never gzip" * 5, content_encoding="gzip")


def empty_body() -> Behaviour:
    """Status 200 and nothing."""
    return raw(b"")


def empty_object() -> Behaviour:
    """Status 200 and a JSON object without choices."""
    return raw(b"{}")


def no_content() -> Behaviour:
    """A well-formed completion that says nothing: no text, no tool call, no token counted."""
    silent = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    return Behaviour("no content", lambda call: answer("", usage=silent).steps(call))


def error_in_200(error: Mapping[str, Any] | None = None) -> Behaviour:
    """Status 200 and an error for a body, as OpenRouter sends it when the host fails late."""
    said = error or {"message": "Provider returned error", "code": 502, "metadata": {"provider_name": "Fake"}}
    return json_body({"error": dict(said)})


def stream_of_error(error: Mapping[str, Any] | None = None, role_first: bool = False) -> Behaviour:
    """A stream under status 200 whose first event is an error."""
    said = dict(error or {"message": "Internal server error", "code": 500})

    def steps(call: Call) -> Sequence[Step]:
        found: list[Step] = [Send(head(200, EVENT_STREAM))]
        if role_first:
            found.append(Send(framed(event(chunk(call.model or "fake", {"role": "assistant", "content": ""})))))
        return [*found, Send(framed(event({"error": said}))), Send(LAST_CHUNK)]

    return Behaviour("stream of error", steps)


def break_mid_stream(chunks: Iterable[str] = ("Hel",), is_reset: bool = True, **options: Any) -> Behaviour:
    """A stream that breaks off after these chunks: with a reset, or with a FIN before its last chunk."""
    began = stream(chunks, ends=False, done=False, sends_usage=False, **options)
    return Behaviour("break mid-stream", lambda call: [*began.steps(call)[:-1], Hangup(is_reset)])


def error_mid_stream(chunks: Iterable[str] = ("Hel",), error: Mapping[str, Any] | None = None) -> Behaviour:
    """A stream that turns into an error event after these chunks, in OpenRouter's shape."""
    began = stream(chunks, ends=False, done=False, sends_usage=False)
    said = dict(error or {"code": 502, "message": "Provider disconnected"})

    def steps(call: Call) -> Sequence[Step]:
        last = {**chunk(call.model or "fake", {"content": ""}, "error"), "error": said}
        return [*began.steps(call)[:-1], Send(framed(event(last))), Send(LAST_CHUNK)]

    return Behaviour("error mid-stream", steps)


def empty_stream(done: bool = False, role_first: bool = False) -> Behaviour:
    """A stream that ends without content."""
    return Behaviour("empty stream", stream([], role_first=role_first, ends=False, done=done, sends_usage=False).steps)


def malformed_event(chunks: Sequence[str] = ("Hel", "lo"), at: int = 1) -> Behaviour:
    """A good stream with one event that is no JSON among its chunks."""
    return Behaviour("malformed event", stream(chunks, extra={at: b'data: {"choices": [{"del\n\n'}).steps)


def drip(chunks: Iterable[str] = tuple("slowly"), gap_s: float = 0.05) -> Behaviour:
    """A good stream, slowly: so many seconds between its chunks."""
    return Behaviour("drip", stream(chunks, gap_s=gap_s).steps)


# --- the server ------------------------------------------------------------------------------------------------------


class FakeUpstream:
    """The server. Unscripted models get `default`; `models` is what `GET /models` lists."""

    def __init__(
        self,
        default: Behaviour | None = None,
        *,
        port: int = 0,
        models: Iterable[str | Mapping[str, Any]] = (),
        records: bool = True,
        native: Iterable[str] = ("/chat/completions", "/completions", "/embeddings"),
    ) -> None:
        self.default = default or answer()
        self.models = [dict(entry) if isinstance(entry, Mapping) else {"id": entry} for entry in models]
        self.pages: dict[tuple[str, str], Behaviour] = {}
        """Answers to other requests, by method and path: `("GET", "/api/tags")`."""
        self.calls: list[Call] = []
        """POSTs, in order of arrival."""
        self.gate = asyncio.Event()
        self.call_count = 0
        self.open_connections = 0
        self.connection_count = 0
        self._native = tuple(native)
        self._records = records
        self._port = port
        self._scripts: dict[str, list[Behaviour]] = {}
        self._arrived = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._protocols: set[_Protocol] = set()

    @property
    def port(self) -> int:
        """Port listened on."""
        return self._port

    @property
    def base_url(self) -> str:
        """What an upstream's row says: `/chat/completions` follows it."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def tls_base_url(self) -> str:
        """The same place, where every TLS handshake fails."""
        return f"https://127.0.0.1:{self._port}/v1"

    def script(self, model: str, *behaviours: Behaviour) -> None:
        """What calls for `model` ("*" for any) get, in order; the last one repeats. Replaces an earlier script."""
        self._scripts[model] = list(behaviours)

    def release(self) -> None:
        """Let everything that stalls on the upstream's own gate go on."""
        self.gate.set()

    def calls_for(self, model: str) -> list[Call]:
        """Calls that asked for this model."""
        return [call for call in self.calls if call.model == model]

    async def wait_for_calls(self, count: int) -> Call:
        """The call of that number, as soon as it has arrived."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.calls) >= count)
        return self.calls[count - 1]

    async def __aenter__(self) -> FakeUpstream:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Protocol(self), "127.0.0.1", self._port, backlog=2048)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.gate.set()
        for protocol in list(self._protocols):
            protocol.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0)

    def behaviour_for(self, call: Call) -> Behaviour:
        """The next behaviour for this call; takes it off the script unless it is the last."""
        page = self.pages.get((call.method, call.path))
        if page is not None:
            return page
        if call.method == "GET" and call.path.endswith("/models"):
            data = [{"object": "model", "created": CREATED, "owned_by": "fake", **entry} for entry in self.models]
            return json_body({"object": "list", "data": data})
        script = self._scripts.get(call.model or "", self._scripts.get("*"))
        if call.method != "POST" or not (script or call.path.endswith(self._native)):
            return status(404, {"error": {"message": f"no route {call.method} {call.path}", "code": 404}})
        if script:
            return script.pop(0) if len(script) > 1 else script[0]
        if call.path.endswith("/embeddings"):
            return embeddings()
        return self.default

    async def arrive(self, call: Call) -> None:
        """Tell those who wait for calls."""
        async with self._arrived:
            self._arrived.notify_all()


class _Protocol(asyncio.Protocol):
    """One connection: HTTP/1.1 with keep-alive, one request at a time."""

    def __init__(self, upstream: FakeUpstream) -> None:
        self._upstream = upstream
        self._buffer = bytearray()
        self._transport: asyncio.Transport
        self._task: asyncio.Task[None] | None = None
        self._call: Call | None = None
        self._can_write = asyncio.Event()
        self._can_write.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._upstream._protocols.add(self)
        self._upstream.open_connections += 1
        self._upstream.connection_count += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._upstream._protocols.discard(self)
        self._upstream.open_connections -= 1
        self._can_write.set()
        if self._call is not None:
            self._call.is_cancelled = True
            self._end_call()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._can_write.clear()

    def resume_writing(self) -> None:
        self._can_write.set()

    def abort(self) -> None:
        """End it without ceremony."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._call is None and not self._buffer and data.startswith(b"\x16\x03"):
            # A TLS handshake: answered in plain text, as a server on the wrong port would.
            self._transport.write(whole(b"", 400))
            self._transport.close()
            return
        self._buffer += data
        if self._call is None:
            self._next_request()

    def _next_request(self) -> None:
        top_end = self._buffer.find(b"\r\n\r\n")
        if top_end < 0:
            return
        request_line, *lines = bytes(self._buffer[:top_end]).decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        start = top_end + 4
        if "content-length" in headers:
            end = start + int(headers["content-length"])
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[start:end])
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            parsed = _dechunked(self._buffer, start)
            if parsed is None:
                return
            body, end = parsed
        else:
            body, end = b"", start
        del self._buffer[:end]
        method, target, _ = request_line.split(" ", 2)
        call = Call(method, target.partition("?")[0], headers, body, time.monotonic())
        with contextlib.suppress(ValueError):
            call.body = json.loads(body) if body else None
        self._start(call)

    def _start(self, call: Call) -> None:
        upstream = self._upstream
        self._call = call
        if call.method == "POST":
            upstream.call_count += 1
            if upstream._records:
                upstream.calls.append(call)
        steps = upstream.behaviour_for(call).steps(call)
        if not upstream._records and len(steps) == 1 and isinstance(steps[0], Send):
            self._transport.write(steps[0].data)
            self._end_call()
            return
        self._task = asyncio.get_running_loop().create_task(self._answer(call, steps))

    async def _answer(self, call: Call, steps: Sequence[Step]) -> None:
        if call.method == "POST":
            await self._upstream.arrive(call)
        for step in steps:
            match step:
                case Send(data):
                    if self._transport.is_closing():
                        return  # what is written now goes nowhere; `connection_lost` ends the call
                    self._transport.write(data)
                    call.bytes_sent += len(data)
                    if not self._can_write.is_set():
                        await self._can_write.wait()
                case Pause(gate, seconds):
                    call.stalled.set()
                    if seconds is not None:
                        await asyncio.sleep(seconds)
                    else:
                        await (gate or self._upstream.gate).wait()
                case Hangup(is_reset):
                    self._call = None
                    _finish(call)
                    if is_reset:
                        # What was sent before shall arrive before the reset does.
                        await asyncio.sleep(0.02 if call.bytes_sent else 0)
                        sock = self._transport.get_extra_info("socket")
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        self._transport.abort()
                    else:
                        self._transport.close()
                    return
        self._task = None
        self._end_call()

    def _end_call(self) -> None:
        if self._call is not None:
            _finish(self._call)
        self._call = None
        if self._buffer and not self._transport.is_closing():
            self._next_request()


def _finish(call: Call) -> None:
    call.ended_at = time.monotonic()
    call.ended.set()


def _dechunked(buffer: bytearray, start: int) -> tuple[bytes, int] | None:
    """A chunked request body from `start`, and where it ends; None while it is incomplete."""
    body, at = bytearray(), start
    while True:
        line_end = buffer.find(b"\r\n", at)
        if line_end < 0:
            return None
        size = int(bytes(buffer[at:line_end]).split(b";")[0], 16)
        at = line_end + 2
        if len(buffer) < at + size + 2:
            return None
        body += buffer[at : at + size]
        at += size + 2
        if size == 0:
            return bytes(body), at


@contextlib.contextmanager
def refusing_base_url() -> Iterator[str]:
    """A base URL whose port refuses every connection, and stays ours for as long as the block lasts."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/v1"


@contextlib.asynccontextmanager
async def silent_base_url() -> AsyncIterator[str]:
    """A base URL whose listener is full, so that connecting itself hangs."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener, contextlib.ExitStack() as held:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        await loop.run_in_executor(None, lambda: None)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


# --- as a process ----------------------------------------------------------------------------------------------------


def _cached(behaviour: Behaviour) -> Behaviour:
    """The same steps for the same kind of call: what makes the plain answer cheap under load."""
    kept: dict[tuple[str, str | None, bool, bool], Sequence[Step]] = {}

    def steps(call: Call) -> Sequence[Step]:
        key = (call.path, call.model, call.wants_stream, call.wants_usage)
        if key not in kept:
            kept[key] = behaviour.steps(call)
        return kept[key]

    return Behaviour(behaviour.name, steps)


def parse_mode(mode: str, chunk_count: int = 20, gap_s: float | None = None, first_s: float | None = None) -> Behaviour:
    """A behaviour by name: answer, stream, a status such as 429 or 429:7 (seconds to wait), or a misbehaviour.

    Raises `ValueError` that lists the names.
    """
    name, _, argument = mode.partition(":")
    words = [f" word{i}" for i in range(chunk_count)]
    if name == "answer" and first_s is None:
        streamed = stream(words, gap_s=gap_s)
        plain = answer()
        return _cached(Behaviour("answer", lambda call: (streamed if call.wants_stream else plain).steps(call)))
    if name == "answer":
        good = stream(words, gap_s=gap_s, first_after_s=first_s)
        late = answer()
        return Behaviour(
            "answer",
            lambda call: good.steps(call) if call.wants_stream else [Pause(seconds=first_s), *late.steps(call)],
        )
    if name.isdigit():
        return status(int(name), retry_after=argument or None)
    makers: dict[str, Callable[[], Behaviour]] = {
        "stream": lambda: _cached(stream(words, gap_s=gap_s, first_after_s=first_s)),
        "reset": reset,
        "hangup": hangup,
        "stall": stall_before_headers,
        "stall-after-headers": stall_after_headers,
        "stall-mid-stream": stall_mid_stream,
        "garbage": garbage,
        "html": wrong_content_type,
        "truncated": truncated_json,
        "short": short_body,
        "gzip-garbage": gzip_garbage,
        "empty": empty_body,
        "no-content": no_content,
        "error-in-200": error_in_200,
        "stream-of-error": stream_of_error,
        "break": break_mid_stream,
        "empty-stream": empty_stream,
        "malformed-event": malformed_event,
        "drip": lambda: drip(gap_s=gap_s or 0.2),
    }
    if name not in makers:
        raise ValueError(f"unknown mode {mode!r}; known are answer, a status code, {', '.join(makers)}")
    return makers[name]()


async def _serve(arguments: argparse.Namespace) -> None:
    timing = (arguments.chunks, arguments.gap_ms / 1000 or None, arguments.first_ms / 1000 or None)
    models = arguments.models.split(",") if arguments.models else []
    default = parse_mode(arguments.mode, *timing)
    async with FakeUpstream(default, port=arguments.port, models=models, records=False) as up:
        for line in arguments.script:
            model, _, modes = line.partition("=")
            up.script(model, *(parse_mode(mode, *timing) for mode in modes.split(",")))
        print(f"fake upstream on {up.base_url}, mode {arguments.mode}", flush=True)
        await asyncio.Event().wait()


def main(argv: Sequence[str] | None = None) -> None:
    """Run it until it is stopped."""
    parser = argparse.ArgumentParser(prog="python -m tests.fake_upstream", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--mode", default="answer", help="what every model does: answer, stream, 429:7, stall, ...")
    parser.add_argument("--script", action="append", default=[], metavar="MODEL=MODE,MODE", help="the last repeats")
    parser.add_argument("--models", default="", help="names for GET /models, separated by commas")
    parser.add_argument("--chunks", type=int, default=20, help="content chunks of a stream")
    parser.add_argument("--gap-ms", type=float, default=0, help="time between chunks")
    parser.add_argument("--first-ms", type=float, default=0, help="time before the first chunk or the answer")
    with contextlib.suppress(KeyboardInterrupt):
        try:
            import uvloop
        except ImportError:
            asyncio.run(_serve(parser.parse_args(argv)))
        else:
            uvloop.run(_serve(parser.parse_args(argv)))


if __name__ == "__main__":
    main()
