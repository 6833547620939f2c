"""A client's call as the proxy reads it: what it asks for, what it needs of a model, and the body as it came.

The body is kept as the caller's own bytes, field by field, so that whatever the proxy does not understand goes on
untouched. Only what a decision needs is looked at. Choosing does not belong here (`routing.py`), nor does changing
the body for an upstream (`bodies.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from proxy.candidates import Needs
from proxy.errors import InvalidRequestError

OWN_FIELDS = frozenset(("routing_profile", "routing", "models"))
"""Fields that are for the proxy alone and never reach an upstream."""

_BYTES_PER_TOKEN = 3.5
_TOKENS_PER_ATTACHMENT = 1_000
_TOKENS_RESERVED = 1_024
"""Room for an answer whose length the caller did not limit."""

_decode = msgspec.json.Decoder().decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

_NEEDS_OF_PART: Mapping[str, Needs] = {
    "image_url": Needs.VISION,
    "image": Needs.VISION,
    "input_image": Needs.VISION,
    "input_audio": Needs.AUDIO,
    "audio": Needs.AUDIO,
    "audio_url": Needs.AUDIO,
    "file": Needs.FILES,
    "input_file": Needs.FILES,
    "video_url": Needs.VIDEO,
    "input_video": Needs.VIDEO,
}
_INLINE_DATA = re.compile(r"^data:[^,]{0,200},")


@dataclass(slots=True)
class ChatRequest:
    """A chat call, read. Tokens are estimates."""

    fields: Mapping[str, msgspec.Raw]
    """The caller's bytes of each field of the body."""
    body: dict[str, Any]
    """The same, parsed. Not to be changed."""
    asked_model: str | None
    names: tuple[str, ...]
    """Models to try in order; empty means the profile chooses."""
    profile: str | None
    is_stream: bool
    wants_usage_event: bool
    needs: Needs
    prompt_tokens: int
    output_tokens: int
    """As limited by the caller, else a reserve."""
    effort: str | None
    own_fields: dict[str, Any] = field(default_factory=dict)
    limit_tokens: int | None = None
    """The caller's own limit of the answer; None when it set none."""

    @property
    def tokens(self) -> int:
        """Context window the call needs."""
        return self.prompt_tokens + self.output_tokens


def read_chat(data: bytes, profile_header: str | None = None) -> ChatRequest:
    """Read the body of a chat call.

    Raises `InvalidRequestError` when it is not a JSON object or a field that is read has the wrong type.
    """
    body, fields = read_object(data)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequestError("messages must be a list with at least one message.", param="messages")
    needs = _needs(body)
    attachments, attached_bytes = 0, 0
    for i, message in enumerate(messages):
        if not isinstance(message, dict):
            raise InvalidRequestError(f"messages[{i}] must be an object.", param=f"messages[{i}]")
        content = message.get("content")
        if isinstance(content, str) or content is None:
            continue
        if not isinstance(content, list):
            raise InvalidRequestError(
                f"messages[{i}].content must be a string or a list of parts.", param=f"messages[{i}].content"
            )
        for part in content:
            if not isinstance(part, dict):
                raise InvalidRequestError(
                    f"messages[{i}].content holds something that is no object.", param=f"messages[{i}].content"
                )
            need = _NEEDS_OF_PART.get(part.get("type") if isinstance(part.get("type"), str) else "")  # type: ignore[arg-type]
            if need is not None:
                needs |= need
                attachments += 1
                attached_bytes += _inline_bytes(part)
    text_bytes = len(fields["messages"]) - attached_bytes
    if "tools" in fields:
        text_bytes += len(fields["tools"])
    prompt_tokens = int(text_bytes / _BYTES_PER_TOKEN) + attachments * _TOKENS_PER_ATTACHMENT
    limit = _limit(body, "max_completion_tokens") or _limit(body, "max_tokens")
    return ChatRequest(
        fields=fields,
        body=body,
        prompt_tokens=prompt_tokens,
        output_tokens=_TOKENS_RESERVED if limit is None else limit,
        limit_tokens=limit,
        needs=needs,
        effort=_effort(body),
        **choice(body, profile_header),
    )


def read_embeddings(data: bytes, profile_header: str | None = None) -> ChatRequest:
    """Read the body of a call for embeddings. A model must be named: vectors of two models cannot be compared.

    Raises `InvalidRequestError`.
    """
    body, fields = read_object(data)
    given = body.get("input")
    if not isinstance(given, str | list) or not given:
        raise InvalidRequestError("input must be a string or a list, and not empty.", param="input")
    chosen = choice(body, profile_header)
    if not chosen["names"]:
        raise InvalidRequestError(
            "Name an embedding model: vectors of different models cannot be compared.", param="model"
        )
    longest = (
        max((len(one) for one in given if isinstance(one, str)), default=0) if isinstance(given, list) else len(given)
    )
    return ChatRequest(
        fields=fields,
        body=body,
        prompt_tokens=int(longest / _BYTES_PER_TOKEN),
        output_tokens=0,
        needs=Needs.NOTHING,
        effort=None,
        **{**chosen, "is_stream": False, "wants_usage_event": False},
    )


def read_object(data: bytes) -> tuple[dict[str, Any], dict[str, msgspec.Raw]]:
    """The body twice: parsed, and as bytes of each field.

    Raises `InvalidRequestError` when it is not a JSON object.
    """
    try:
        body = _decode(data)
        if not isinstance(body, dict):
            raise InvalidRequestError("The body must be a JSON object.")
        return body, _decode_fields(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequestError(f"The body is not valid JSON: {error}.") from None


def choice(body: Mapping[str, Any], profile_header: str | None) -> dict[str, Any]:
    """The fields that say which model, which profile, and whether the answer is streamed."""
    model = _optional(body, "model", str, "a string")
    models = _optional(body, "models", list, "a list of strings") or []
    if any(not isinstance(name, str) or not name for name in models):
        raise InvalidRequestError("models must be a list of strings.", param="models")
    if len(models) > 32:
        raise InvalidRequestError("models may name at most 32 models.", param="models")
    profile = _optional(body, "routing_profile", str, "a string") or profile_header
    if not model and not models and not profile:
        raise InvalidRequestError(
            "model is missing: send auto, auto:<profile>, or a model's name (GET /v1/models lists them).", param="model"
        )
    names: Sequence[str] = models
    if model:
        word, _, named_profile = model.partition(":")
        if word.lower() in ("auto", "openrouter/auto"):
            profile = named_profile.lower() or profile
        else:
            names = [model, *(name for name in models if name != model)]
    stream = _optional(body, "stream", bool, "true or false") or False
    options = _optional(body, "stream_options", dict, "an object") or {}
    return {
        "asked_model": model,
        "names": tuple(names),
        "profile": profile.lower() if profile else None,
        "is_stream": stream,
        "wants_usage_event": stream and options.get("include_usage") is True,
    }


def _optional(body: Mapping[str, Any], name: str, kind: type[Any], expected: str) -> Any:
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        raise InvalidRequestError(f"{name} must be {expected}.", param=name)
    return value


def _limit(body: Mapping[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 100_000_000:
        raise InvalidRequestError(f"{name} must be a positive whole number.", param=name)
    return value


def _needs(body: Mapping[str, Any]) -> Needs:
    needs = Needs.NOTHING
    if _optional(body, "tools", list, "a list") or body.get("functions"):
        needs |= Needs.TOOLS
    form = _optional(body, "response_format", dict, "an object")
    if form:
        needs |= {"json_schema": Needs.JSON_SCHEMA, "json_object": Needs.JSON_MODE}.get(
            form.get("type") if isinstance(form.get("type"), str) else "",
            Needs.NOTHING,
        )
    return needs


def _effort(body: Mapping[str, Any]) -> str | None:
    effort = _optional(body, "reasoning_effort", str, "a string")
    reasoning = body.get("reasoning")
    if effort is None and isinstance(reasoning, dict) and isinstance(reasoning.get("effort"), str):
        effort = reasoning["effort"]
    return effort  # type: ignore[no-any-return]


def _inline_bytes(part: Mapping[str, Any]) -> int:
    """Length of data that a part carries in itself; it is no text and costs no token a few bytes."""
    total = 0
    for value in part.values():
        if isinstance(value, dict):
            total += sum(len(text) for key, text in value.items() if isinstance(text, str) and key in _DATA_KEYS)
        elif isinstance(value, str) and _INLINE_DATA.match(value):
            total += len(value)
    return total


_DATA_KEYS = frozenset(("url", "data", "file_data"))
