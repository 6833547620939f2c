"""Going on with an answer that broke off: which calls allow it, which models can, and how they are asked. Pure.

Off unless a request says `"routing": {"on_break": "continue"}`. The next candidate gets the conversation with the text
that has gone out as the beginning of its own answer, which only models that accept such a prefill take up seamlessly.
Trying candidates is `failover.py`'s.

It is refused wherever two models' halves do not make one answer: tool calls and structured output would be patched
together from two minds, log-probabilities and several choices have no seam that could be marked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from proxy.candidates import Candidate
from proxy.request import ChatRequest

_encode = msgspec.json.Encoder().encode
_BYTES_PER_TOKEN = 3.5

_VENDORS = frozenset(("deepseek", "meta-llama", "microsoft", "mistralai", "moonshotai", "nousresearch", "qwen", "z-ai"))
"""Makers whose chat templates leave a last assistant message open, wherever hosts use them as they are."""
_SERVERS: Mapping[str, Mapping[str, Any]] = {
    "vllm": {"continue_final_message": True, "add_generation_prompt": False},
    "llamacpp": {},
    "ollama": {},
}
"""Servers that go on from a last assistant message whatever the model, and what they must be told for it."""


def refusal(request: ChatRequest) -> str | None:
    """Why an answer to this request is not continued by another model; None when it may be."""
    body = request.body
    if not request.is_stream:
        return "it is not streamed"
    if body.get("tools") or body.get("functions"):
        return "it has tools"
    form = body.get("response_format")
    if isinstance(form, dict) and form.get("type") != "text":
        return "it asks for structured output"
    if body.get("logprobs") or body.get("top_logprobs"):
        return "it asks for log-probabilities"
    if body.get("n") not in (None, 1):
        return "it asks for several answers"
    if body.get("modalities") not in (None, ["text"]):
        return "it asks for more than text"
    return None


def accepts_prefill(candidate: Candidate) -> bool:
    """Whether the candidate is known to take up an answer where it is left off."""
    offer, account = candidate.offer, candidate.account
    if account is None or offer.reasoning_is_mandatory or candidate.effort not in (None, "none"):
        return False  # it would think first, and answer anew
    if account.kind in _SERVERS:
        return True
    if account.dialect == "mistral":
        return True
    return account.dialect == "openrouter" and offer.model_id.partition("/")[0] in _VENDORS


def continued(request: ChatRequest, candidate: Candidate, text: str) -> ChatRequest:
    """The request that asks a candidate to go on from `text`."""
    last: dict[str, Any] = {"role": "assistant", "content": text}
    account = candidate.account
    if account is not None and account.dialect == "mistral":
        last["prefix"] = True
    said = round(len(text.encode()) / _BYTES_PER_TOKEN)
    changed: dict[str, Any] = {"messages": [*request.body["messages"], last]}
    for name in ("max_tokens", "max_completion_tokens"):
        limit = request.body.get(name)
        if isinstance(limit, int):
            changed[name] = max(1, limit - said)
    if account is not None:
        changed |= _SERVERS.get(account.kind, {})
    return replace(
        request,
        body={**request.body, **changed},
        fields={**request.fields, **{name: msgspec.Raw(_encode(value)) for name, value in changed.items()}},
        prompt_tokens=request.prompt_tokens + said,
    )


def seam(broken: Candidate, by: Candidate, cause: str | None, characters: int) -> bytes:
    """The event between two models' halves: a chunk without content, so that clients that do not know it go on."""
    about = {
        "continued": {
            "from": broken.offer.offer_id,
            "by": by.offer.offer_id,
            "model": by.offer.model_id,
            "because": cause,
            "after_characters": characters,
        }
    }
    chunk = {
        "id": "seam",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": by.offer.upstream_model,
        "choices": [{"index": 0, "delta": {}, "finish_reason": None}],
        "orchestrator": about,
    }
    return b"data: " + _encode(chunk) + b"\n\n"


class _Delta(msgspec.Struct):
    content: Any = None
    tool_calls: Any = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None


_decode = msgspec.json.Decoder(_Chunk).decode


class Heard:
    """The text that a client has been sent so far."""

    __slots__ = ("_parts", "is_text")

    def __init__(self, text: str = "") -> None:
        self._parts = [text] if text else []
        self.is_text = True
        """Whether it was nothing but text."""

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self._parts)

    def hear(self, events: bytes) -> None:
        """Take whole events as they go out."""
        for event in events.split(b"\n\n"):
            data = event[6:] if event.startswith(b"data: ") else b""
            if not data or data == b"[DONE]":
                continue
            try:
                choices = _decode(data).choices
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            for choice in choices or ():
                delta = choice.delta
                if delta is None:
                    continue
                if isinstance(delta.content, str):
                    self._parts.append(delta.content)
                elif delta.content or delta.tool_calls:
                    self.is_text = False
