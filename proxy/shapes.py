"""The API shapes that clients may speak, each as four translations: request, answer, stream, error.

What failing over, routing and counting see is always a chat call; a shape puts its own clothes on at the edge. The
translations themselves are in `translations/`. Chat completions are the one shape that goes through untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import msgspec

from proxy.errors import InvalidRequestError, ProxyError, envelope
from proxy.request import ChatRequest, read_chat, read_embeddings, read_object
from proxy.translations import completions, messages, responses

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Translator(Protocol):
    """Turns the chunks of a chat stream into a shape's own events."""

    def feed(self, chunk: Mapping[str, Any]) -> list[bytes]:
        """The events of one chunk."""

    def finish(self) -> list[bytes]:
        """The events that end a complete answer."""

    def error(self, message: str, status: int = 500) -> list[bytes]:
        """The events that end a broken one."""


class Asked(NamedTuple):
    """A request as a shape reads it."""

    chat: ChatRequest
    body: Mapping[str, Any]
    """The client's own, for shapes whose answers repeat some of it."""
    native: ChatRequest | None = None
    """The client's own request, for upstreams that have this shape's endpoint: it goes there as it came."""
    only_native: str | None = None
    """Why it cannot be said as a chat; then upstreams that only chat are passed over."""


class Shape(NamedTuple):
    """One API shape."""

    name: str
    """As outcomes and metrics call it."""
    read: Callable[[bytes, str | None], Asked]
    whole: Callable[[bytes, Asked, str, int], bytes] | None
    """Answer, request, id and time to the body a client gets; None: it goes out as it came."""
    translator: Callable[[Asked, str, int], Translator] | None
    error: Callable[[ProxyError, str], bytes]
    keep_alive: bytes = b": waiting\n\n"
    asks_for: str = "chat"
    """Which of an upstream's endpoints is called, and which kind of model: chat or embeddings."""


def _chat(data: bytes, profile: str | None) -> Asked:
    request = read_chat(data, profile)
    return Asked(request, request.body)


def _embeddings(data: bytes, profile: str | None) -> Asked:
    request = read_embeddings(data, profile)
    return Asked(request, request.body)


def _translated(to_chat: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Callable[[bytes, str | None], Asked]:
    def read(data: bytes, profile: str | None) -> Asked:
        body, _ = read_object(data)
        chat = to_chat(body)
        if chat.get("stream"):
            # Every other shape tells usage by itself.
            chat["stream_options"] = {**(chat.get("stream_options") or {}), "include_usage": True}
        return Asked(read_chat(_encode(chat), profile), body)

    return read


def _completions(data: bytes, profile: str | None) -> Asked:
    body, fields = read_object(data)
    only_native: str | None = None
    try:
        said = completions.to_chat(body)
    except InvalidRequestError as error:
        only_native = error.message
        said = completions.stand_in(body)
    if said.get("stream"):
        said["stream_options"] = {**(said.get("stream_options") or {}), "include_usage": True}
    chat = read_chat(_encode(said), profile)
    options = body.get("stream_options")
    wants_usage = isinstance(options, dict) and options.get("include_usage") is True
    native = replace(chat, body=body, fields=fields, wants_usage_event=chat.is_stream and wants_usage)
    return Asked(chat, body, native, only_native)


def _completion(answer: bytes, _: Asked, _id: str, _at: int) -> bytes:
    return _encode(completions.from_chat(_decode(answer)))


def _response(answer: bytes, asked: Asked, request_id: str, at: int) -> bytes:
    return _encode(responses.from_chat(_decode(answer), asked.body, request_id, at))


def _message(answer: bytes, _: Asked, request_id: str, _at: int) -> bytes:
    return _encode(messages.from_chat(_decode(answer), request_id))


def _message_error(error: ProxyError, request_id: str) -> bytes:
    return _encode(messages.error_body(error.status, error.message, request_id))


CHAT = Shape("chat", _chat, None, None, envelope)
COMPLETIONS = Shape(
    "completions",
    _completions,
    _completion,
    lambda asked, request_id, at: completions.StreamTranslator(),
    envelope,
)
RESPONSES = Shape(
    "responses",
    _translated(responses.to_chat),
    _response,
    lambda asked, request_id, at: responses.StreamTranslator(asked.body, request_id, at),
    envelope,
)
MESSAGES = Shape(
    "messages",
    _translated(messages.to_chat),
    _message,
    lambda asked, request_id, at: messages.StreamTranslator(request_id, asked.chat.prompt_tokens),
    _message_error,
    keep_alive=b'event: ping\ndata: {"type":"ping"}\n\n',
)

EMBEDDINGS = Shape("embeddings", _embeddings, None, None, envelope, asks_for="embeddings")

SHAPES: Mapping[str, Shape] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETIONS,
    "/v1/responses": RESPONSES,
    "/v1/messages": MESSAGES,
    "/v1/embeddings": EMBEDDINGS,
}
"""By path."""


def of_path(path: str) -> Shape:
    """Whose errors a path answers with."""
    return MESSAGES if path.startswith("/v1/messages") else CHAT


def events(translator: Translator, piece: bytes) -> Iterable[bytes]:
    """The events that whole events of a chat stream become. `[DONE]` ends the answer, an error breaks it."""
    for event in piece.split(b"\n\n"):
        if not event.startswith(b"data: "):
            continue
        data = event[6:]
        if data == b"[DONE]":
            yield from translator.finish()
            continue
        chunk = _decode(data)
        error = chunk.get("error")
        if error and "choices" not in chunk:
            yield from translator.error(str(error.get("message", "")), 502)
        else:
            yield from translator.feed(chunk)
