"""OpenAI's `/v1/responses` to chat completions and back, without keeping anything, streamed events complete for Codex.

Items, tools and the order of events belong here (platform.openai.com/docs/api-reference/responses). The router keeps
no responses: `previous_response_id` is refused in words, and every response says `store: false`. Pure.

Thoughts make the way back through the client: where it asks for `reasoning.encrypted_content`, what the host sent as
reasoning is packed into it as it came, and unpacked into the next request.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from proxy.errors import InvalidRequestError
from proxy.translations.chat import Counts, ToolCalls, choice_of, counts_of, event, text_of, thoughts_of


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PACKED = "chat1."
"""Begins the encrypted content that is ours: version 1 of packed chat reasoning."""

_RUN_BY_OPENAI = _words(
    "web_search web_search_preview web_search_2025_08_26 web_search_preview_2025_03_11 file_search code_interpreter "
    "image_generation computer_use_preview computer mcp tool_search"
)
"""Tools that OpenAI's own servers run. They are left out: a model that is not told of a tool does without it."""

_RECORDS_ONLY = _words(
    "web_search_call file_search_call code_interpreter_call image_generation_call mcp_list_tools mcp_call "
    "tool_search_call tool_search_output ghost_snapshot compaction item_reference"
)
"""Items of a history that record what OpenAI's servers did. They say nothing to another model."""

_OWN_FIELDS = (
    "models",
    "routing",
    "routing_profile",
    "provider",
    "plugins",
    "session_id",
    "temperature",
    "top_p",
    "top_logprobs",
    "parallel_tool_calls",
    "user",
    "metadata",
    "service_tier",
    "prompt_cache_key",
    "safety_identifier",
)
"""Fields that chat completions have under the same name and with the same meaning."""

_ECHOED: Mapping[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What a response repeats of its request, with OpenAI's defaults."""


class Tool(NamedTuple):
    """What a tool is to the client; chat knows functions only."""

    name: str
    namespace: str | None
    is_custom: bool
    """It takes free text rather than JSON."""


# --- requests --------------------------------------------------------------------------------------------------------


def to_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """The chat request that means the same.

    Raises `InvalidRequestError` for what is malformed, and for what only a server that keeps responses could do.
    """
    for name, words in (
        ("previous_response_id", "no responses are kept here; send the whole conversation as input"),
        ("conversation", "no conversations are kept here; send the whole conversation as input"),
        ("prompt", "prompt templates are kept by OpenAI; send instructions and input"),
    ):
        if body.get(name):
            raise InvalidRequestError(f"{name} cannot be used: {words}.", param=name)
    if body.get("background"):
        raise InvalidRequestError("background cannot be used: no responses are kept here.", param="background")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequestError("model must be a string and not empty.", param="model")
    messages: list[dict[str, Any]] = []
    if body.get("instructions"):
        messages.append({"role": "system", "content": _instructions(body["instructions"])})
    messages += _messages(body.get("input"))
    if not messages:
        raise InvalidRequestError("input must be a string or a list of items.", param="input")
    chat: dict[str, Any] = {"model": model, "messages": messages}
    for name in _OWN_FIELDS:
        if body.get(name) is not None:
            chat[name] = body[name]
    if "top_logprobs" in chat:
        if chat["top_logprobs"]:
            chat["logprobs"] = True
        else:
            del chat["top_logprobs"]
    if body.get("max_output_tokens") is not None:
        chat["max_tokens"] = body["max_output_tokens"]
    tools = _chat_tools(body.get("tools"))
    if tools:
        chat["tools"] = tools
        choice = _tool_choice(body.get("tool_choice"), chat)
        if choice is not None:
            chat["tool_choice"] = choice
    else:
        chat.pop("parallel_tool_calls", None)
    reasoning = body.get("reasoning")
    if isinstance(reasoning, dict) and isinstance(reasoning.get("effort"), str):
        chat["reasoning_effort"] = reasoning["effort"]
    _text_options(body.get("text"), chat)
    if body.get("stream"):
        chat["stream"] = True
        chat["stream_options"] = {"include_usage": True}
    return chat


def _instructions(given: Any) -> str:
    if not isinstance(given, str):
        raise InvalidRequestError("instructions must be a string.", param="instructions")
    return given


def _messages(given: Any) -> list[dict[str, Any]]:
    """Items as messages. Thoughts and calls of one turn become one assistant message, as chat has it."""
    if given is None:
        return []
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if not isinstance(given, list):
        raise InvalidRequestError("input must be a string or a list of items.", param="input")
    messages: list[dict[str, Any]] = []
    turn: dict[str, Any] | None = None  # the assistant message that still takes calls

    def assistant() -> dict[str, Any]:
        nonlocal turn
        if turn is None:
            turn = {"role": "assistant", "content": None}
            messages.append(turn)
        return turn

    for i, item in enumerate(given):
        where = f"input[{i}]"
        if not isinstance(item, dict):
            raise InvalidRequestError(f"{where} must be an object.", param=where)
        kind = item.get("type", "message")
        if kind == "message":
            role = item.get("role")
            if role not in ("user", "assistant", "system", "developer"):
                raise InvalidRequestError(f"{where}.role must be user, assistant, system or developer.", param=where)
            content = _content(item.get("content"), where)
            if role != "assistant":
                turn = None
                messages.append({"role": role, "content": content})
                continue
            if turn is not None and turn["content"] is not None and "tool_calls" not in turn:
                turn = None
            # While calls wait for their results, everything the model said belongs to the message that made them.
            said = assistant()
            said["content"] = content if said["content"] is None else _both(said["content"], content)
        elif kind == "reasoning":
            if turn is not None and turn["content"] is not None and "tool_calls" not in turn:
                turn = None
            _remember(item, assistant())
        elif kind in ("function_call", "custom_tool_call"):
            assistant().setdefault("tool_calls", []).append(_call(item, kind, where))
        elif kind in ("function_call_output", "custom_tool_call_output"):
            turn = None
            messages += _call_output(item, where)
        elif not isinstance(kind, str) or kind not in _RECORDS_ONLY:
            raise InvalidRequestError(f"{where} has type {kind!r}, which cannot be passed on.", param=where)
    return [message for message in messages if not _is_hollow(message)]


def _both(first: Any, second: Any) -> Any:
    """The content of two messages as that of one."""
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    as_parts = [[{"type": "text", "text": one}] if isinstance(one, str) else one for one in (first, second)]
    return [*as_parts[0], *as_parts[1]]


def _is_hollow(message: Mapping[str, Any]) -> bool:
    """An assistant message without word or call, such as a thought that led to nothing."""
    return message["role"] == "assistant" and message["content"] is None and "tool_calls" not in message


def _content(given: Any, where: str) -> Any:
    if isinstance(given, str):
        return given
    if not isinstance(given, list) or any(not isinstance(part, dict) for part in given):
        raise InvalidRequestError(f"{where}.content must be a string or a list of parts.", param=where)
    parts = [_part(part, where) for part in given]
    if all(part["type"] == "text" and set(part) == {"type", "text"} for part in parts):
        # A string says the same, and every host takes it.
        return "".join(part["text"] for part in parts)
    return parts


def _part(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text", "summary_text"):
        return {"type": "text", "text": str(part.get("text", ""))}
    if kind == "refusal":
        return {"type": "text", "text": str(part.get("refusal", ""))}
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        image = {"url": part["image_url"]}
        if part.get("detail") in ("low", "high", "auto"):
            image["detail"] = part["detail"]
        return {"type": "image_url", "image_url": image}
    if kind == "input_file" and (part.get("file_data") or part.get("file_url")):
        data = part.get("file_data") or part.get("file_url")
        return {"type": "file", "file": {"filename": str(part.get("filename") or "file"), "file_data": data}}
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": part.get("input_audio")}
    raise InvalidRequestError(f"{where} has a part of type {kind!r} that cannot be passed on.", param=where)


def _call(item: Mapping[str, Any], kind: str, where: str) -> dict[str, Any]:
    if not isinstance(item.get("call_id"), str) or not isinstance(item.get("name"), str):
        raise InvalidRequestError(f"{where} must have a call_id and a name.", param=where)
    if kind == "custom_tool_call":
        arguments = json.dumps({"input": item.get("input", "")}, ensure_ascii=False)
    else:
        arguments = str(item.get("arguments") or "{}")
    name = _flat(item["name"], item.get("namespace"))
    return {"id": item["call_id"], "type": "function", "function": {"name": name, "arguments": arguments}}


def _call_output(item: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """The result, and what it shows rather than says as a message of the user's: a tool's message holds text only."""
    if not isinstance(item.get("call_id"), str):
        raise InvalidRequestError(f"{where} must have a call_id.", param=where)
    output = item.get("output", "")
    shown: list[dict[str, Any]] = []
    if isinstance(output, list):
        parts = _content(output, where)
        if isinstance(parts, list):
            shown = [part for part in parts if part["type"] != "text"]
            parts = "".join(part["text"] for part in parts if part["type"] == "text")
        output = parts
    elif not isinstance(output, str):
        output = json.dumps(output, ensure_ascii=False)
    result = {"role": "tool", "tool_call_id": item["call_id"], "content": output}
    return [result, *([{"role": "user", "content": shown}] if shown else [])]


def _remember(item: Mapping[str, Any], message: dict[str, Any]) -> None:
    """Put a thought back where the host that had it will look for it."""
    unpacked = _unpack(item.get("encrypted_content"))
    if isinstance(unpacked, list):
        message["reasoning_details"] = [*message.get("reasoning_details", []), *unpacked]
        return
    text = unpacked if isinstance(unpacked, str) else ""
    for name in ("content", "summary"):
        if not text and isinstance(item.get(name), list):
            text = "".join(str(part.get("text", "")) for part in item[name] if isinstance(part, dict))
    if text:
        message["reasoning_content"] = message.get("reasoning_content", "") + text


def _pack(details: list[Any], text: str) -> str | None:
    held: Any = details or text
    return _PACKED + base64.urlsafe_b64encode(json.dumps(held).encode()).decode() if held else None


def _unpack(given: Any) -> Any:
    """What was packed, or None: content that OpenAI encrypted says nothing to anyone else."""
    if not isinstance(given, str) or not given.startswith(_PACKED):
        return None
    try:
        return json.loads(base64.urlsafe_b64decode(given.removeprefix(_PACKED)))
    except (ValueError, binascii.Error):
        return None


def _flat(name: str, namespace: Any) -> str:
    return f"{namespace}__{name}" if isinstance(namespace, str) and namespace else name


def tools_of(body: Mapping[str, Any]) -> dict[str, Tool]:
    """The request's tools by the name that chat has for them."""
    found: dict[str, Tool] = {}
    for tool, namespace in _each_tool(body.get("tools")):
        name = tool.get("name")
        if isinstance(name, str):
            found[_flat(name, namespace)] = Tool(name, namespace, tool.get("type") == "custom")
    return found


def _each_tool(tools: Any) -> list[tuple[Mapping[str, Any], str | None]]:
    """Functions and custom tools, those within namespaces too."""
    if tools is None:
        return []
    if not isinstance(tools, list) or any(not isinstance(tool, dict) for tool in tools):
        raise InvalidRequestError("tools must be a list of objects.", param="tools")
    found: list[tuple[Mapping[str, Any], str | None]] = []
    for i, tool in enumerate(tools):
        kind = tool.get("type")
        if kind == "namespace" and isinstance(tool.get("tools"), list):
            found += [(one, tool.get("name")) for one in tool["tools"] if isinstance(one, dict)]
        elif kind in ("function", "custom"):
            found.append((tool, None))
        elif kind == "local_shell":
            found.append((_LOCAL_SHELL, None))
        elif not isinstance(kind, str) or kind not in _RUN_BY_OPENAI:
            raise InvalidRequestError(f"tools[{i}] has type {kind!r}, which is not known.", param=f"tools[{i}].type")
    return found


_LOCAL_SHELL: Mapping[str, Any] = {
    "type": "function",
    "name": "local_shell",
    "description": "Run a command on the user's machine.",
    "parameters": {
        "type": "object",
        "properties": {
            "command": {"type": "array", "items": {"type": "string"}},
            "workdir": {"type": "string"},
            "timeout_ms": {"type": "number"},
        },
        "required": ["command"],
    },
}


def _chat_tools(tools: Any) -> list[dict[str, Any]]:
    return [{"type": "function", "function": _function(tool, namespace)} for tool, namespace in _each_tool(tools)]


def _function(tool: Mapping[str, Any], namespace: str | None) -> dict[str, Any]:
    name = tool.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidRequestError("Each tool must have a name.", param="tools")
    function: dict[str, Any] = {"name": _flat(name, namespace)}
    description = str(tool.get("description") or "")
    if tool.get("type") == "custom":
        form = tool.get("format")
        if isinstance(form, dict) and form.get("definition"):
            description += f"\n\nThe input must follow this {form.get('syntax', '')} grammar:\n{form['definition']}"
        text = {"type": "string", "description": "The whole input, as plain text."}
        function["parameters"] = {
            "type": "object",
            "properties": {"input": text},
            "required": ["input"],
            "additionalProperties": False,
        }
    else:
        function["parameters"] = tool.get("parameters") or {"type": "object", "properties": {}}
        if tool.get("strict") is not None:
            function["strict"] = tool["strict"]
    if description:
        function["description"] = description
    return function


def _tool_choice(choice: Any, chat: dict[str, Any]) -> Any:
    if choice is None or choice in ("auto", "none", "required"):
        return choice
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind in ("function", "custom") and isinstance(choice.get("name"), str):
        return {"type": "function", "function": {"name": _flat(choice["name"], choice.get("namespace"))}}
    if kind == "allowed_tools" and isinstance(choice.get("tools"), list):
        allowed = {
            _flat(one["name"], one.get("namespace"))
            for one in choice["tools"]
            if isinstance(one, dict) and isinstance(one.get("name"), str)
        }
        chat["tools"] = [tool for tool in chat["tools"] if tool["function"]["name"] in allowed]
        return "required" if choice.get("mode") == "required" else "auto"
    raise InvalidRequestError(
        "tool_choice must be auto, none, required, or name a function, a custom tool or allowed_tools.",
        param="tool_choice",
    )


def _text_options(text: Any, chat: dict[str, Any]) -> None:
    if not isinstance(text, dict):
        return
    if text.get("verbosity") is not None:
        chat["verbosity"] = text["verbosity"]
    form = text.get("format")
    if not isinstance(form, dict):
        return
    kind = form.get("type")
    if kind == "json_schema":
        schema = {
            name: form[name] for name in ("name", "description", "schema", "strict") if form.get(name) is not None
        }
        chat["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", **schema}}
    elif kind == "json_object":
        chat["response_format"] = {"type": "json_object"}


# --- answers ---------------------------------------------------------------------------------------------------------


def from_chat(answer: Mapping[str, Any], body: Mapping[str, Any], response_id: str, created_at: int) -> dict[str, Any]:
    """A chat completion as a response to `body`. Ids are made of `response_id`; `created_at` is Unix time."""
    translator = StreamTranslator(body, response_id, created_at)
    choice = choice_of(answer)
    said = choice.get("message")
    chunk = {
        **answer,
        "choices": [{"delta": said if isinstance(said, dict) else {}, "finish_reason": choice.get("finish_reason")}],
    }
    translator.feed(chunk)
    translator.finish()
    return translator.response


def _usage(counts: Counts) -> dict[str, Any]:
    found: dict[str, Any] = {
        "input_tokens": counts.prompt,
        "input_tokens_details": {"cached_tokens": counts.cached, "cache_write_tokens": counts.cache_written},
        "output_tokens": counts.completion,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": counts.prompt + counts.completion,
    }
    if counts.cost_usd is not None:
        found["cost"] = counts.cost_usd
    return found


class _Item:
    """An item of the output on its way."""

    def __init__(self, index: int, item: dict[str, Any]) -> None:
        self.index = index
        self.item = item
        self.text = ""
        self.part: dict[str, Any] | None = None
        self.details: list[Any] = []
        self.is_open = True

    @property
    def place(self) -> dict[str, Any]:
        """What events about it name."""
        return {"item_id": self.item["id"], "output_index": self.index}


class StreamTranslator:
    """Turns the chunks of a chat stream into the events of a response, each with its sequence number."""

    def __init__(self, body: Mapping[str, Any], response_id: str, created_at: int) -> None:
        self._id = response_id
        self._tools = tools_of(body)
        reasoning = body.get("reasoning")
        self._summarises = isinstance(reasoning, dict) and bool(reasoning.get("summary"))
        include = body.get("include")
        self._packs = isinstance(include, list) and "reasoning.encrypted_content" in include
        self.response = self._new(body, created_at)
        """The response so far; complete after `finish`."""
        self._number = 0
        self._has_started = False
        self._has_ended = False
        self._items: list[_Item] = []
        self._said: _Item | None = None  # reasoning or message that is open
        self._calls = ToolCalls()
        self._items_of_calls: dict[int, _Item] = {}
        self._finish_reason: str | None = None
        self._counts: Counts | None = None

    def _new(self, body: Mapping[str, Any], created_at: int) -> dict[str, Any]:
        echoed = {name: body[name] if body.get(name) is not None else default for name, default in _ECHOED.items()}
        return {
            "id": f"resp_{self._id}",
            "object": "response",
            "created_at": created_at,
            "status": "in_progress",
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": body.get("model") or "",
            "output": [],
            "previous_response_id": None,
            "store": False,
            "usage": None,
            **echoed,
        }

    def feed(self, chunk: Mapping[str, Any]) -> list[bytes]:
        """The events that a chunk becomes."""
        if self._has_ended:
            return []
        if isinstance(chunk.get("model"), str) and chunk["model"]:
            self.response["model"] = chunk["model"]
        if isinstance(chunk.get("provider"), str):
            self.response["provider"] = chunk["provider"]
        out = self._start()
        if isinstance(chunk.get("usage"), dict):
            self._counts = counts_of(chunk["usage"])
        choice = choice_of(chunk)
        delta = choice.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        self._think(delta, out)
        self._speak("output_text", text_of(delta), out)
        if isinstance(delta.get("refusal"), str):
            self._speak("refusal", delta["refusal"], out)
        for piece in self._calls.pieces(delta):
            item = self._items_of_calls.get(piece.key)
            if item is None:
                self._end_said(out)
                item = self._items_of_calls[piece.key] = self._open_call(
                    piece.call_id, piece.name or "", piece.key, out
                )
            if piece.arguments:
                item.text += piece.arguments
                if item.item["type"] == "function_call":
                    self._say("response.function_call_arguments.delta", {**item.place, "delta": piece.arguments}, out)
        if isinstance(choice.get("finish_reason"), str):
            self._finish_reason = choice["finish_reason"]
        return out

    def finish(self) -> list[bytes]:
        """The events that end the response."""
        if self._has_ended:
            return []
        out = self._start()
        self._end_said(out)
        for item in self._items_of_calls.values():
            self._end_call(item, out)
        self._has_ended = True
        self.response["usage"] = _usage(self._counts or Counts())
        reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(self._finish_reason or "")
        self.response["status"] = "incomplete" if reason else "completed"
        if reason:
            self.response["incomplete_details"] = {"reason": reason}
        self._say(f"response.{self.response['status']}", {"response": self.response}, out)
        return out

    def error(self, message: str, status: int = 500) -> list[bytes]:
        """The events that end a response that broke."""
        if self._has_ended:
            return []
        out = self._start()
        self._has_ended = True
        code = "rate_limit_exceeded" if status == 429 else "invalid_prompt" if status == 400 else "server_error"
        self.response |= {"status": "failed", "error": {"code": code, "message": message}}
        self._say("response.failed", {"response": self.response}, out)
        return out

    def _say(self, name: str, data: Mapping[str, Any], out: list[bytes]) -> None:
        out.append(event(name, {"type": name, "sequence_number": self._number, **data}))
        self._number += 1

    def _start(self) -> list[bytes]:
        out: list[bytes] = []
        if not self._has_started:
            self._has_started = True
            self._say("response.created", {"response": self.response}, out)
            self._say("response.in_progress", {"response": self.response}, out)
        return out

    def _open(self, item: dict[str, Any], out: list[bytes]) -> _Item:
        found = _Item(len(self._items), item)
        self._items.append(found)
        self.response["output"].append(item)
        self._say("response.output_item.added", {"output_index": found.index, "item": item}, out)
        return found

    def _end(self, item: _Item, out: list[bytes]) -> None:
        item.is_open = False
        self._say("response.output_item.done", {"output_index": item.index, "item": item.item}, out)

    def _think(self, delta: Mapping[str, Any], out: list[bytes]) -> None:
        details = delta.get("reasoning_details")
        text = "".join(thought.text for thought in thoughts_of(delta))
        if not text and not (isinstance(details, list) and details):
            return
        item = self._said
        if item is None or item.item["type"] != "reasoning":
            self._end_said(out)
            shape: dict[str, Any] = {"id": f"rs_{self._id}_{len(self._items)}", "type": "reasoning", "summary": []}
            item = self._said = self._open(shape, out)
        if isinstance(details, list):
            _merge_details(item.details, details)
        if not text:
            return
        kind, index = ("reasoning_summary", "summary_index") if self._summarises else ("reasoning", "content_index")
        if item.part is None:
            if self._summarises:
                item.part = {"type": "summary_text", "text": ""}
                added = {**item.place, "summary_index": 0, "part": item.part}
                self._say("response.reasoning_summary_part.added", added, out)
            else:
                item.part = {"type": "reasoning_text", "text": ""}
                added = {**item.place, "content_index": 0, "part": item.part}
                self._say("response.content_part.added", added, out)
        item.text += text
        self._say(f"response.{kind}_text.delta", {**item.place, index: 0, "delta": text}, out)

    def _speak(self, kind: str, text: str, out: list[bytes]) -> None:
        if not text:
            return
        item = self._said
        if item is None or item.part is None or item.part["type"] != kind:
            self._end_said(out)
            shape = {
                "id": f"msg_{self._id}_{len(self._items)}",
                "type": "message",
                "status": "in_progress",
                "role": "assistant",
                "content": [],
            }
            item = self._said = self._open(shape, out)
            item.part = (
                {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
                if kind == "output_text"
                else {"type": "refusal", "refusal": ""}
            )
            added = {**item.place, "content_index": 0, "part": item.part}
            self._say("response.content_part.added", added, out)
        item.text += text
        more: dict[str, Any] = {"logprobs": []} if kind == "output_text" else {}
        self._say(f"response.{kind}.delta", {**item.place, "content_index": 0, "delta": text, **more}, out)

    def _end_said(self, out: list[bytes]) -> None:
        item, self._said = self._said, None
        if item is None:
            return
        part = item.part
        if part is None:
            pass
        elif part["type"] == "summary_text":
            part["text"] = item.text
            item.item["summary"] = [part]
            place = {**item.place, "summary_index": 0}
            self._say("response.reasoning_summary_text.done", {**place, "text": item.text}, out)
            self._say("response.reasoning_summary_part.done", {**place, "part": part}, out)
        else:
            field = "refusal" if part["type"] == "refusal" else "text"
            part[field] = item.text
            item.item["content"] = [part]
            place = {**item.place, "content_index": 0}
            more: dict[str, Any] = {"logprobs": []} if part["type"] == "output_text" else {}
            self._say(f"response.{part['type']}.done", {**place, field: item.text, **more}, out)
            self._say("response.content_part.done", {**place, "part": part}, out)
        if item.item["type"] == "reasoning":
            if self._packs:
                item.item["encrypted_content"] = _pack(item.details, item.text)
        else:
            item.item["status"] = "completed"
        self._end(item, out)

    def _open_call(self, call_id: str | None, name: str, key: int, out: list[bytes]) -> _Item:
        tool = self._tools.get(name) or Tool(name, None, False)
        item: dict[str, Any] = {
            "id": f"{'ctc' if tool.is_custom else 'fc'}_{self._id}_{len(self._items)}",
            "type": "custom_tool_call" if tool.is_custom else "function_call",
            "status": "in_progress",
            "call_id": call_id or f"call_{self._id}_{key}",
            "name": tool.name,
            **({"namespace": tool.namespace} if tool.namespace else {}),
            **({"input": ""} if tool.is_custom else {"arguments": ""}),
        }
        return self._open(item, out)

    def _end_call(self, item: _Item, out: list[bytes]) -> None:
        if item.item["type"] == "custom_tool_call":
            text = _free_text(item.text)
            item.item["input"] = text
            self._say("response.custom_tool_call_input.delta", {**item.place, "delta": text}, out)
            self._say("response.custom_tool_call_input.done", {**item.place, "input": text}, out)
        else:
            item.item["arguments"] = item.text or "{}"
            done = {**item.place, "name": item.item["name"], "arguments": item.item["arguments"]}
            self._say("response.function_call_arguments.done", done, out)
        item.item["status"] = "completed"
        self._end(item, out)


def _free_text(arguments: str) -> str:
    """What a custom tool is given: the one string of the arguments, or the arguments as they are."""
    try:
        found = json.loads(arguments)
    except ValueError:
        return arguments
    text = found.get("input") if isinstance(found, dict) else None
    return text if isinstance(text, str) else arguments


def _merge_details(held: list[Any], new: list[Any]) -> None:
    """Pieces of one detail, which share its index and type, become one again."""
    for detail in new:
        if not isinstance(detail, dict):
            continue
        last = held[-1] if held else None
        is_same = last is not None and (last.get("index"), last.get("type")) == (
            detail.get("index"),
            detail.get("type"),
        )
        if last is None or not is_same or detail.get("type") == "reasoning.encrypted":
            held.append(dict(detail))
            continue
        for name, value in detail.items():
            if name in ("text", "summary") and isinstance(value, str) and isinstance(last.get(name), str):
                last[name] += value
            elif value is not None:
                last[name] = value
