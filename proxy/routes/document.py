"""The OpenAPI document at /schema/openapi.json: the framework's own routes, and the model calls it never sees.

What a model call's body may hold is described as loosely as it is relayed: the fields the proxy reads have their types,
all others are welcome. Handlers do not belong here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin

from proxy.difficulty.assessment import CATEGORIES

_TEXT = {"type": "string"}
_OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": True}
_OBJECTS = {"type": "array", "items": _OBJECT}
_COUNT = {"type": ["integer", "null"], "minimum": 1, "maximum": 100_000_000}
_CONTENT = {"oneOf": [_TEXT, _OBJECTS, {"type": "null"}]}
_MESSAGES = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {"role": _TEXT, "content": _CONTENT},
        "required": ["role"],
        "additionalProperties": True,
    },
}
_CHOICE: dict[str, Any] = {
    "model": {
        "type": "string",
        "minLength": 1,
        "description": "auto, auto:<profile>, or a name that GET /v1/models lists",
        "examples": ["auto"],
    },
    "models": {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 32},
    "routing_profile": {"type": ["string", "null"]},
    "routing": {
        "type": "object",
        "description": "This proxy's own wishes; an unknown one is refused",
        "properties": {
            "difficulty": {"oneOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"const": "off"}]},
            "category": {"enum": ["off", *CATEGORIES], "description": "kind of task to rank for"},
        },
    },
    "provider": {"type": "object", "description": "OpenRouter's wishes", "additionalProperties": True},
    "stream": {"type": ["boolean", "null"]},
}


def _body(summary: str, required: tuple[str, ...], streams: bool = True, /, **fields: Any) -> dict[str, Any]:
    """An operation that takes a JSON body with these fields and whatever else its clients send."""
    schema = {
        "type": "object",
        "properties": {**_CHOICE, **fields},
        "required": list(required),
        "additionalProperties": True,
    }
    answer: dict[str, Any] = {"application/json": {"schema": _OBJECT}}
    if streams:
        answer["text/event-stream"] = {"schema": _TEXT}
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
            "responses": {"200": {"description": "The answer", "content": answer}},
        }
    }


CALLS: Mapping[str, Any] = {
    "/v1/chat/completions": _body(
        "OpenAI's chat completions",
        ("model", "messages"),
        messages=_MESSAGES,
        tools={"type": ["array", "null"], "items": _OBJECT},
        response_format={"type": ["object", "null"], "additionalProperties": True},
        stream_options={"type": ["object", "null"], "properties": {"include_usage": {"type": "boolean"}}},
        max_tokens=_COUNT,
        max_completion_tokens=_COUNT,
        reasoning_effort={"type": ["string", "null"]},
    ),
    "/v1/completions": _body("OpenAI's legacy completions", ("model", "prompt"), prompt=_TEXT, max_tokens=_COUNT),
    "/v1/responses": _body(
        "OpenAI's Responses, stateless",
        ("model", "input"),
        input={"oneOf": [_TEXT, _OBJECTS]},
        instructions={"type": ["string", "null"]},
        max_output_tokens=_COUNT,
        tools={"type": ["array", "null"], "items": _OBJECT},
    ),
    "/v1/messages": _body(
        "Anthropic's Messages",
        ("model", "messages", "max_tokens"),
        messages=_MESSAGES,
        max_tokens={"type": "integer", "minimum": 1, "maximum": 100_000_000},
        system={"oneOf": [_TEXT, _OBJECTS]},
        tools=_OBJECTS,
    ),
    "/v1/embeddings": _body(
        "Embeddings, of a model that is named",
        ("model", "input"),
        False,
        input={"oneOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": _TEXT, "minItems": 1}]},
    ),
    "/v1/messages/count_tokens": _body(
        "Estimate the tokens of a call; calls nothing", ("messages",), False, messages=_MESSAGES
    ),
}
"""Path items of what is served beside the framework, or whose body it does not read."""

_ROUTE = _body(
    "Explain where this chat call would go; calls nothing", ("model", "messages"), False, messages=_MESSAGES
)["post"]

_ERROR = {
    "description": "Any error, in OpenAI's shape (Anthropic's below /v1/messages)",
    "content": {
        "application/json": {"schema": {"type": "object", "properties": {"error": _OBJECT}, "required": ["error"]}}
    },
}


def described(framework: Mapping[str, Any]) -> dict[str, Any]:
    """The framework's document, with the model calls, the key and the errors put in."""
    paths = {path: {way: dict(one) for way, one in item.items()} for path, item in framework["paths"].items()}
    paths.update({path: {way: dict(one) for way, one in item.items()} for path, item in CALLS.items()})
    if "post" in paths.get("/v1/route", {}):
        paths["/v1/route"]["post"]["requestBody"] = _ROUTE["requestBody"]
    for item in paths.values():
        for one in item.values():
            one["responses"] = {
                **{status: answer for status, answer in one.get("responses", {}).items() if status.startswith("2")},
                "default": _ERROR,
            }
    keys = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }
    return {
        **framework,
        "paths": dict(sorted(paths.items())),
        "components": {**framework.get("components", {}), "securitySchemes": keys},
        "security": [{}, {"bearer": []}, {"x-api-key": []}],
    }


class Document(JsonRenderPlugin):
    """Serves it."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return super().render(request, described(openapi_schema))
