"""The legacy `/v1/completions` to chat completions and back, for upstreams that only chat. Pure.

A chat model completes a prompt as well as it can be told to; what only a text completion can do is refused in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from proxy.errors import InvalidRequestError
from proxy.translations.chat import choice_of, text_of

_SAME = frozenset(
    {
        "model",
        "max_tokens",
        "temperature",
        "top_p",
        "n",
        "stream",
        "stream_options",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "user",
        "seed",
    }
)
_ONLY_LEGACY = frozenset({"prompt", "suffix", "echo", "best_of", "logprobs"})
_encode = msgspec.json.Encoder().encode


def to_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """The chat request that comes nearest: the prompt is what the user says.

    Raises `InvalidRequestError` for what chat cannot do: token ids, several prompts, suffix, echo, log probabilities.
    """
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str) or not prompt:
        raise InvalidRequestError("prompt must be one string: the candidates for this model only chat.", param="prompt")
    for name in ("suffix", "echo", "logprobs"):
        if body.get(name) not in (None, False, ""):
            raise InvalidRequestError(f"{name} cannot be used: the candidates for this model only chat.", param=name)
    if body.get("best_of") not in (None, 1, body.get("n")):
        raise InvalidRequestError("best_of cannot be used: the candidates for this model only chat.", param="best_of")
    chat = {name: value for name, value in body.items() if name in _SAME or name not in _ONLY_LEGACY}
    chat["messages"] = [{"role": "user", "content": prompt}]
    # The default of completions, which chat does not have.
    chat.setdefault("max_tokens", 16)
    return chat


def stand_in(body: Mapping[str, Any]) -> dict[str, Any]:
    """A chat request that is chosen for in place of one that no chat can say; it is never sent.

    Raises `InvalidRequestError` when there is no prompt at all.
    """
    prompt = body.get("prompt")
    if not isinstance(prompt, str | list) or not prompt:
        raise InvalidRequestError("prompt must be a string or a list, and not empty.", param="prompt")
    texts = [prompt] if isinstance(prompt, str) else prompt
    # A token id counts as a short word.
    words = (one if isinstance(one, str) else "word " * (len(one) if isinstance(one, list) else 1) for one in texts)
    text = "\n".join(words)
    chat = {name: value for name, value in body.items() if name not in _ONLY_LEGACY}
    return {"max_tokens": 16, **chat, "messages": [{"role": "user", "content": text}]}


def from_chat(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A chat completion as a text completion. Fields that both have stay as they are."""
    return _as_text(answer, "message")


class StreamTranslator:
    """Turns the chunks of a chat stream into those of a completion stream."""

    def feed(self, chunk: Mapping[str, Any]) -> list[bytes]:
        """The event that a chunk becomes; none for one that only names the role or only thinks."""
        delta = choice_of(chunk).get("delta")
        is_mute = isinstance(delta, dict) and not text_of(delta) and choice_of(chunk).get("finish_reason") is None
        if is_mute and chunk.get("usage") is None:
            return []
        return [b"data: " + _encode(_as_text(chunk, "delta")) + b"\n\n"]

    def finish(self) -> list[bytes]:
        """The event that ends the stream."""
        return [b"data: [DONE]\n\n"]

    def error(self, message: str, status: int = 500) -> list[bytes]:
        """The event that ends a stream that broke."""
        error = {"message": message, "type": "upstream_error", "param": None, "code": status}
        return [b"data: " + _encode({"error": error}) + b"\n\n"]


def _as_text(answer: Mapping[str, Any], field: str) -> dict[str, Any]:
    given = answer.get("choices")
    choices = []
    for choice in given if isinstance(given, list) else ():
        if isinstance(choice, dict):
            said = choice.get(field)
            choices.append(
                {
                    "index": choice.get("index", 0),
                    "text": text_of(said) if isinstance(said, dict) else "",
                    "logprobs": None,
                    "finish_reason": _reason(choice.get("finish_reason")),
                }
            )
    return {**answer, "object": "text_completion", "choices": choices}


def _reason(reason: Any) -> str | None:
    """Legacy completions know three reasons."""
    return reason if reason in ("stop", "length", "content_filter", None) else "stop"
