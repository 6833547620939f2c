"""What is read of a chat completion, whole or in chunks, whichever host wrote it: text, thoughts, tool calls, usage.

Hosts differ in where they put reasoning and how they number tool calls; that is settled here, once for all
translations. What the other shapes look like does not belong here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

_encode = msgspec.json.Encoder().encode


def event(name: str, data: Mapping[str, Any]) -> bytes:
    """One server-sent event with a name."""
    return b"event: " + name.encode() + b"\ndata: " + _encode(data) + b"\n\n"


class Thought(NamedTuple):
    """A piece of reasoning. `signature` and `encrypted` only mean something to the host they came from."""

    text: str = ""
    signature: str | None = None
    encrypted: str | None = None


class Counts(NamedTuple):
    """Tokens of a call. `prompt` includes what was read from and written to a cache."""

    prompt: int = 0
    cached: int = 0
    cache_written: int = 0
    completion: int = 0
    reasoning: int = 0
    cost_usd: float | None = None


def choice_of(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first choice, or an empty one."""
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def text_of(message: Mapping[str, Any]) -> str:
    """Text of a message or delta, whose content may be a string or parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(
            part["text"]
            for part in content
            if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
        )
    return ""


def thoughts_of(message: Mapping[str, Any]) -> list[Thought]:
    """Reasoning of a message or delta, in whichever field the host put it, and once where it put it in several."""
    found: list[Thought] = []
    details = message.get("reasoning_details")
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, dict):
            continue
        text = detail.get("text") or detail.get("summary")
        signature, data = detail.get("signature"), detail.get("data")
        if isinstance(data, str) and data:
            found.append(Thought(encrypted=data))
        elif (isinstance(text, str) and text) or (isinstance(signature, str) and signature):
            found.append(
                Thought(text if isinstance(text, str) else "", signature if isinstance(signature, str) else None)
            )
    if found:
        return found
    for name in ("reasoning_content", "reasoning"):
        text = message.get(name)
        if isinstance(text, str) and text:
            return [Thought(text)]
    content = message.get("content")
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and part.get("type") == "thinking":
            inner = part.get("thinking")
            text = inner if isinstance(inner, str) else text_of({"content": inner})
            if text:
                found.append(Thought(text))
    return found


class ToolPiece(NamedTuple):
    """What a delta adds to a tool call. `key` is the same for the same call."""

    key: int
    call_id: str | None
    name: str | None
    arguments: str


class ToolCalls:
    """Tells the tool calls of a stream apart, also where a host gives every call index 0, or none."""

    def __init__(self) -> None:
        self._key_of_index: dict[int, int] = {}
        self._id_of_key: dict[int, str] = {}

    def pieces(self, delta: Mapping[str, Any]) -> Iterable[ToolPiece]:
        """Pieces of a delta, or of a whole message."""
        calls = delta.get("tool_calls")
        if not isinstance(calls, list):
            legacy = delta.get("function_call")
            calls = [{"index": 0, "function": legacy}] if isinstance(legacy, dict) else []
        for place, call in enumerate(calls):
            if not isinstance(call, dict):
                continue
            function = call.get("function")
            function = function if isinstance(function, dict) else {}
            index = call.get("index")
            index = index if isinstance(index, int) else place
            call_id = call.get("id") if isinstance(call.get("id"), str) and call.get("id") else None
            name = function.get("name") if isinstance(function.get("name"), str) and function.get("name") else None
            key = self._key_of_index.get(index)
            is_other = key is not None and name is not None and call_id not in (None, self._id_of_key.get(key))
            if key is None or is_other:
                key = len(self._id_of_key)
                self._key_of_index[index] = key
                self._id_of_key[key] = call_id or ""
            arguments = function.get("arguments")
            yield ToolPiece(key, call_id, name, _arguments(arguments))


def _arguments(given: Any) -> str:
    if isinstance(given, str):
        return given
    return "" if given is None else json.dumps(given, ensure_ascii=False)


def counts_of(usage: Any) -> Counts:
    """Read a usage object, forgiving whatever in it is odd."""
    if not isinstance(usage, dict):
        return Counts()
    cost = usage.get("cost")
    return Counts(
        _count(usage, "prompt_tokens"),
        _count(usage.get("prompt_tokens_details"), "cached_tokens") or _count(usage, "prompt_cache_hit_tokens"),
        _count(usage.get("prompt_tokens_details"), "cache_write_tokens"),
        _count(usage, "completion_tokens"),
        _count(usage.get("completion_tokens_details"), "reasoning_tokens"),
        float(cost) if isinstance(cost, int | float) and not isinstance(cost, bool) else None,
    )


def _count(found: Any, name: str) -> int:
    value = found.get(name) if isinstance(found, dict) else None
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else 0


def is_whole_json(text: str) -> bool:
    """Whether tool arguments are complete. None at all are not: more may come, though some tools take none."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def read_chunks(events: bytes) -> list[dict[str, Any]]:
    """The JSON objects of whole server-sent events, in order. `[DONE]`, comments and what is no object are left out."""
    found: list[dict[str, Any]] = []
    for one in events.split(b"\n\n"):
        lines = [line[5:] for line in one.split(b"\n") if line.startswith(b"data:")]
        if not lines:
            continue
        try:
            parsed = json.loads(b"\n".join(lines))
        except ValueError:
            continue
        if isinstance(parsed, dict):
            found.append(parsed)
    return found
