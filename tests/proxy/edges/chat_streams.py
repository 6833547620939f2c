"""Chat answers as hosts stream them, made of whole answers: for tests that compare the two."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 40,
    "total_tokens": 140,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 8},
    "cost": 0.0125,
}

WHOLE: dict[str, Any] = {
    "id": "gen-1",
    "object": "chat.completion",
    "created": 1_764_000_000,
    "model": "anthropic/claude-x",
    "provider": "Anthropic",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": "Let me look.",
                "reasoning": "Hmm, two places.",
                "reasoning_details": [
                    {
                        "type": "reasoning.text",
                        "text": "Hmm, two places.",
                        "signature": "c2lnbmVk",
                        "format": "anthropic-claude-v1",
                        "index": 0,
                    }
                ],
                "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "look", "arguments": '{"at":"north"}'}},
                    {"id": "t2", "type": "function", "function": {"name": "look", "arguments": '{"at":"süd"}'}},
                ],
            },
        }
    ],
    "usage": USAGE,
}


def chunk(delta: Mapping[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": dict(delta), "finish_reason": finish}
    return {"id": "gen-1", "object": "chat.completion.chunk", "model": "m/x", "choices": [choice], **more}


def pieces(text: str, cuts: Iterable[int]) -> list[str]:
    """The text cut at these places."""
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in itertools.pairwise(places)]


def streamed(
    whole: Mapping[str, Any], cuts: Sequence[int] = (), *, interleaves: bool = False
) -> Iterator[dict[str, Any]]:
    """The chunks of a whole answer, its texts cut at `cuts`."""
    choice = whole["choices"][0]
    message = choice["message"]
    top = {name: whole[name] for name in ("model", "provider") if name in whole}
    yield {**chunk({"role": "assistant", "content": ""}), **top}
    for detail in message.get("reasoning_details", ()):
        if "text" not in detail:
            yield chunk({"reasoning_details": [detail]})
            continue
        for piece in pieces(detail["text"], cuts):
            yield chunk({"reasoning": piece, "reasoning_details": [{**detail, "text": piece, "signature": None}]})
        if detail.get("signature"):
            yield chunk({"reasoning_details": [{**detail, "text": ""}]})
    if "reasoning_details" not in message and message.get("reasoning_content"):
        for piece in pieces(message["reasoning_content"], cuts):
            yield chunk({"reasoning_content": piece})
    for piece in pieces(message.get("content") or "", cuts):
        yield chunk({"content": piece})
    rest: list[list[dict[str, Any]]] = []
    for index, call in enumerate(message.get("tool_calls", ())):
        function = {"name": call["function"]["name"], "arguments": ""}
        opened = {"index": index, "id": call["id"], "type": "function", "function": function}
        arguments = [
            {"index": index, "function": {"arguments": piece}} for piece in pieces(call["function"]["arguments"], cuts)
        ]
        rest.append([opened, *arguments])
    if interleaves:
        while any(rest):
            for queue in rest:
                if queue:
                    yield chunk({"tool_calls": [queue.pop(0)]})
    else:
        for queue in rest:
            for piece_of_call in queue:
                yield chunk({"tool_calls": [piece_of_call]})
    yield chunk({}, choice["finish_reason"])
    if "usage" in whole:
        yield {**chunk({}), "choices": [], "usage": whole["usage"]}


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=20)


@st.composite
def answers(draw: st.DrawFn) -> dict[str, Any]:
    """Any whole answer."""
    message: dict[str, Any] = {"role": "assistant", "content": draw(st.none() | words)}
    thought = draw(st.sampled_from(["none", "plain", "signed", "encrypted"]))
    if thought == "plain":
        message["reasoning_content"] = draw(words)
    elif thought == "signed":
        detail = {"type": "reasoning.text", "text": draw(words), "signature": "c2ln", "format": "f", "index": 0}
        message["reasoning_details"] = [detail]
    elif thought == "encrypted":
        message["reasoning_details"] = [{"type": "reasoning.encrypted", "data": "ZGF0YQ==", "format": "f", "index": 0}]
    names = draw(st.lists(st.sampled_from(["look", "go"]), max_size=3))
    if names:
        message["tool_calls"] = [
            {
                "id": f"t{i}",
                "type": "function",
                "function": {"name": name, "arguments": draw(st.sampled_from(['{"a":1}', "{}", '{"b":{"c":"é}"}}']))},
            }
            for i, name in enumerate(names)
        ]
    finish = "tool_calls" if names else draw(st.sampled_from(["stop", "length"]))
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "g", "object": "chat.completion", "model": "m/x", "choices": [choice], "usage": USAGE}


_KEYS = (
    *("type", "role", "content", "text", "source", "url", "media_type", "data", "name", "input", "id"),
    *("tool_use_id", "thinking", "signature", "call_id", "output", "arguments", "summary", "namespace", "tools"),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 100) | st.sampled_from(["user", "assistant", "text", "a", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=5),
    max_leaves=12,
)
"""JSON that uses the words of the request shapes in any place."""
