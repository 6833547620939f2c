"""What an upstream's answer holds: content or none, usage, an error under status 200. Pure.

One scanner for whole bodies and one for streams belong here. They look and never change what a client gets, save for
what the proxy itself asked for (usage events a client did not want). Reading from the network is `failover.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from proxy.errors import MalformedAnswerError


class Usage(NamedTuple):
    """Tokens and cost as the upstream reports them; None where it says nothing."""

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None


def usage_of(found: Any) -> Usage | None:
    """Read a usage object, forgiving whatever in it is odd."""
    if not isinstance(found, dict):
        return None
    cost = found.get("cost")
    return Usage(
        _count(found, "prompt_tokens"),
        _count(found.get("prompt_tokens_details"), "cached_tokens"),
        _count(found, "completion_tokens"),
        _count(found.get("completion_tokens_details"), "reasoning_tokens"),
        float(cost) if isinstance(cost, int | float) and not isinstance(cost, bool) and cost >= 0 else None,
    )


def _count(found: Any, name: str) -> int | None:
    if type(found) is not dict:
        return None
    value = found.get(name)
    if type(value) is int and value >= 0:
        return value
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


class _Message(msgspec.Struct):
    content: Any = None
    tool_calls: Any = None
    function_call: Any = None
    refusal: Any = None
    audio: Any = None
    images: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    reasoning_details: Any = None

    @property
    def has_content(self) -> bool:
        return bool(self.content or self.tool_calls or self.function_call or self.refusal or self.audio or self.images)

    @property
    def has_reasoning(self) -> bool:
        return bool(self.reasoning or self.reasoning_content or self.reasoning_details)


class _Choice(msgspec.Struct):
    message: _Message | None = None
    delta: _Message | None = None
    text: Any = None
    finish_reason: Any = None
    error: Any = None

    @property
    def has_content(self) -> bool:
        said = self.delta or self.message
        return bool(self.text) or (said is not None and said.has_content)


class Completion(msgspec.Struct):
    """What is looked at of a completion or a chunk of one."""

    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    model: Any = None
    provider: Any = None
    data: Any = None
    """Embeddings."""

    @property
    def finish_reason(self) -> str | None:
        """Why the first choice ended, in the upstream's word."""
        reason = self.choices[0].finish_reason if self.choices else None
        return reason if isinstance(reason, str) else None


_decode = msgspec.json.Decoder(Completion).decode


def read_completion(body: bytes) -> Completion:
    """Look at a whole answer.

    Raises `MalformedAnswerError` when it is no completion or holds nothing. One that holds an error is returned;
    see `Completion.error`.
    """
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        cause = "empty_body" if not body.strip() else "not_json"
        raise MalformedAnswerError("its answer is not a completion", cause) from error
    if found.error:
        return found
    if found.data:
        return found
    if not found.choices:
        raise MalformedAnswerError("its answer holds no choice", "no_choices")
    if not any(choice.has_content for choice in found.choices):
        finished = any(choice.finish_reason in ("length", "content_filter") for choice in found.choices)
        usage = usage_of(found.usage)
        counted = usage is not None and bool(usage.completion_tokens)
        if not finished and not counted:
            raise MalformedAnswerError("its answer is empty", "no_content")
    return found


MOST_EVENT_BYTES = 16 * 1024 * 1024
"""An event longer than this is none; generated images come in events of some megabytes."""


class StreamScanner:
    """Goes through a stream of server-sent events as it arrives and hands on whole events only.

    What is handed on is the upstream's own bytes. Left out are `[DONE]` (the relay sends it once, at the end), events
    that are no JSON, and usage that the client did not ask for.
    """

    __slots__ = (
        "_annotate",
        "_holds_return",
        "_is_first",
        "_keeps_usage",
        "_tail",
        "bad_events",
        "error",
        "finish_reason",
        "has_content",
        "has_reasoning",
        "is_done",
        "model",
        "provider",
        "usage",
    )

    def __init__(self, *, keeps_usage: bool, annotate: Callable[[bytes, Usage | None], bytes] | None = None) -> None:
        """`annotate` may add to the event that tells usage, where it is handed on."""
        self._keeps_usage = keeps_usage
        self._annotate = annotate
        self._tail = bytearray()
        self._is_first = True
        self._holds_return = False
        self.has_content = False
        self.has_reasoning = False
        self.is_done = False
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.model: str | None = None
        self.provider: str | None = None
        self.error: bytes | None = None
        """The event that says the upstream failed; nothing after it counts."""
        self.bad_events = 0

    @property
    def is_complete(self) -> bool:
        """Whether the answer came to its end, as far as its own words go."""
        return self.is_done or self.finish_reason is not None

    @property
    def is_answer(self) -> bool:
        """Whether what came is an answer rather than nothing."""
        counted = self.usage is not None and bool(self.usage.completion_tokens)
        return self.has_content or counted or self.finish_reason in ("length", "content_filter")

    def feed(self, chunk: bytes) -> bytes:
        """Take what arrived; returns the events that are complete and may be relayed, as one piece.

        Raises `MalformedAnswerError` when an event grows past `MOST_EVENT_BYTES`.
        """
        if self._is_first:
            self._is_first = False
            chunk = chunk.removeprefix(b"\xef\xbb\xbf")
        if self._holds_return or b"\r" in chunk:
            chunk = self._with_plain_line_ends(chunk)
        # Only what is new is searched, so that an event in a thousand pieces costs no more than in one.
        searched = max(0, len(self._tail) - 1)
        self._tail += chunk
        end = self._tail.rfind(b"\n\n", searched)
        if end < 0:
            if len(self._tail) > MOST_EVENT_BYTES:
                raise MalformedAnswerError("an event of its stream does not end", "endless_event")
            return b""
        events = bytes(self._tail[:end]).split(b"\n\n")
        del self._tail[: end + 2]
        kept = [event for event in (self._event(event) for event in events) if event is not None]
        if not kept:
            return b""
        return b"\n\n".join(kept) + b"\n\n"

    def _with_plain_line_ends(self, chunk: bytes) -> bytes:
        if self._holds_return:
            chunk = b"\r" + chunk
        # A lone \r at the end may be half of a line end.
        self._holds_return = chunk.endswith(b"\r")
        if self._holds_return:
            chunk = chunk[:-1]
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def finish(self) -> bytes:
        """The upstream has ended; returns a last event that lacked its blank line, if it is whole."""
        tail = bytes(self._tail).strip()
        self._tail.clear()
        if not tail:
            return b""
        event = self._event(tail)
        return b"" if event is None else event + b"\n\n"

    def _event(self, event: bytes) -> bytes | None:
        if self.error is not None or self.is_done:
            return None
        data = event[6:] if event.startswith(b"data: ") and b"\n" not in event else _data_of(event)
        if data is None:
            # A comment (keep-alive) or an event without data: life, but nothing a client needs.
            return None
        if data == b"[DONE]":
            self.is_done = True
            return None
        try:
            found = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.bad_events += 1
            return None
        if found.error or (found.choices and found.choices[0].error):
            self.error = data
            return None
        if self.model is None and isinstance(found.model, str):
            self.model = found.model
        if self.provider is None and isinstance(found.provider, str):
            self.provider = found.provider
        for choice in found.choices or ():
            if choice.has_content:
                self.has_content = True
            elif choice.delta is not None and choice.delta.has_reasoning:
                self.has_reasoning = True
            if isinstance(choice.finish_reason, str):
                self.finish_reason = choice.finish_reason
        if found.usage is not None:
            self.usage = usage_of(found.usage)
            if not self._keeps_usage:
                return _without_usage(data) if found.choices else None
            if self._annotate is not None:
                return b"data: " + self._annotate(data, self.usage)
        return event


def _data_of(event: bytes) -> bytes | None:
    """The data of an event of several lines or unusual spacing; None when it has none."""
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines).strip() if lines else None


_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _without_usage(data: bytes) -> bytes:
    fields = _decode_fields(data)
    fields.pop("usage", None)
    return b"data: " + msgspec.json.encode(fields)
