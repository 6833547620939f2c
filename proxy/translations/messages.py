"""Anthropic's `/v1/messages` to chat completions and back, streamed events too, so that Claude-style clients work.

Their request and answer shapes belong here (docs.claude.com, API version 2023-06-01). Everything is pure: ids are
handed in, nothing waits. What has no meaning outside Anthropic's own servers is refused in words, not silently dropped.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from proxy.errors import InvalidRequestError
from proxy.translations.chat import (
    Counts,
    Thought,
    ToolCalls,
    choice_of,
    counts_of,
    event,
    is_whole_json,
    text_of,
    thoughts_of,
)

_THOUGHT_FORMAT = "anthropic-claude-v1"
_BYTES_PER_TOKEN = 3.5
_TOKENS_PER_IMAGE = 1_600
_TOKENS_PER_DOCUMENT = 3_000

_OWN_FIELDS = ("models", "routing", "routing_profile", "provider", "plugins", "session_id", "reasoning", "usage")
"""Fields of the router's and of OpenRouter's convention, which go on as they are."""

_SESSION = re.compile(r"(?:_session_|\"session_id\":\s*\")([0-9a-zA-Z-]{8,64})")

_CLIENT_TOOLS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "bash_",
        {
            "description": "Run a command in a bash session that lasts between calls.",
            "parameters": {
                "type": "object",
                "properties": {
                    "command": {"type": "string", "description": "The command to run."},
                    "restart": {"type": "boolean", "description": "Start the session anew."},
                },
            },
        },
    ),
    (
        "text_editor_",
        {
            "description": "View, create and edit text files.",
            "parameters": {
                "type": "object",
                "properties": {
                    "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert"]},
                    "path": {"type": "string"},
                    "file_text": {"type": "string", "description": "With create: the content."},
                    "old_str": {"type": "string", "description": "With str_replace: the text to replace."},
                    "new_str": {"type": "string", "description": "With str_replace and insert: the new text."},
                    "insert_line": {"type": "integer", "description": "With insert: the line to insert after."},
                    "view_range": {"type": "array", "items": {"type": "integer"}},
                },
                "required": ["command", "path"],
            },
        },
    ),
)
"""Tools that Anthropic defines and the client runs: their schemas, which the request leaves out."""

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


# --- requests --------------------------------------------------------------------------------------------------------


def to_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """The chat request that means the same.

    Raises `InvalidRequestError` for what is malformed, and for tools that only Anthropic's servers could run.
    """
    chat: dict[str, Any] = {"model": _require(body, "model", str, "a string")}
    messages = _system(body.get("system"))
    for i, message in enumerate(_require(body, "messages", list, "a list")):
        where = f"messages[{i}]"
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ("user", "assistant", "system"):
            raise InvalidRequestError(f"{where}.role must be user or assistant.", param=f"{where}.role")
        blocks = _blocks(message.get("content"), f"{where}.content")
        if role == "assistant":
            messages.append(_assistant(blocks, where))
        elif role == "system":
            messages += _system(blocks)
        else:
            messages += _user(blocks, where)
    chat["messages"] = messages
    limit = body.get("max_tokens")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise InvalidRequestError("max_tokens must be a whole number of at least 1.", param="max_tokens")
    chat["max_tokens"] = limit
    for theirs, ours in (("temperature",) * 2, ("top_p",) * 2, ("top_k",) * 2, ("stop_sequences", "stop")):
        if body.get(theirs) is not None and body[theirs] != []:
            chat[ours] = body[theirs]
    if body.get("tools"):
        chat["tools"] = [_tool(tool, i) for i, tool in enumerate(_require(body, "tools", list, "a list"))]
        _tool_choice(body.get("tool_choice"), chat)
    _thinking(body, chat)
    _identity(body.get("metadata"), chat)
    if body.get("mcp_servers"):
        raise InvalidRequestError("mcp_servers are connected to by Anthropic's servers only.", param="mcp_servers")
    if body.get("stream"):
        chat["stream"] = True
        chat["stream_options"] = {"include_usage": True}
    for name in _OWN_FIELDS:
        if name in body:
            chat[name] = body[name]
    return chat


def _require(body: Mapping[str, Any], name: str, kind: type, words: str) -> Any:
    value = body.get(name)
    if not isinstance(value, kind) or not value:
        raise InvalidRequestError(f"{name} must be {words} and not empty.", param=name)
    return value


def _blocks(content: Any, where: str) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list) or any(not isinstance(block, dict) for block in content):
        raise InvalidRequestError(f"{where} must be a string or a list of blocks.", param=where)
    return content


def _system(system: Any) -> list[dict[str, Any]]:
    if system is None or system == "" or system == []:
        return []
    parts = [
        _text(block)
        for block in _blocks(system, "system")
        # A client's own accounting, new with each request: it would spoil every prompt cache.
        if not str(block.get("text", "")).startswith("x-anthropic-billing-header:")
    ]
    return [{"role": "system", "content": _content(parts)}] if parts else []


def _text(block: Mapping[str, Any]) -> dict[str, Any]:
    return _marked(block, {"type": "text", "text": str(block.get("text", ""))})


def _marked(block: Mapping[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """The part with the block's cache mark, if it has one."""
    mark = block.get("cache_control")
    return part if mark is None else {**part, "cache_control": mark}


def _content(parts: list[dict[str, Any]]) -> Any:
    """A plain string where that says the same: every host takes it."""
    if len(parts) == 1 and set(parts[0]) == {"type", "text"}:
        return parts[0]["text"]
    return parts


def _user(blocks: Sequence[Mapping[str, Any]], where: str) -> list[dict[str, Any]]:
    """Tool results come first, as messages of their own; what they show rather than say follows with the rest."""
    results: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for j, block in enumerate(blocks):
        if block.get("type") == "tool_result":
            message, shown = _tool_result(block, f"{where}.content[{j}]")
            results.append(message)
            parts += shown
        else:
            parts.append(_part(block, f"{where}.content[{j}]"))
    return [*results, *([{"role": "user", "content": _content(parts)}] if parts or not results else [])]


def _part(block: Mapping[str, Any], where: str) -> dict[str, Any]:
    kind = block.get("type")
    if kind == "text":
        return _text(block)
    source = block.get("source")
    source = source if isinstance(source, dict) else {}
    if kind == "image":
        return _marked(block, {"type": "image_url", "image_url": {"url": _address(source, where)}})
    if kind == "document":
        if source.get("type") == "text":
            return _marked(block, {"type": "text", "text": str(source.get("data", ""))})
        if source.get("type") == "content":
            inner = _blocks(source.get("content"), f"{where}.source.content")
            return _marked(block, {"type": "text", "text": "".join(str(one.get("text", "")) for one in inner)})
        file = {"filename": str(block.get("title") or "document.pdf"), "file_data": _address(source, where)}
        return _marked(block, {"type": "file", "file": file})
    if kind == "search_result":
        inner = _blocks(block.get("content"), f"{where}.content")
        text = "".join(str(one.get("text", "")) for one in inner)
        return _marked(block, {"type": "text", "text": f"{block.get('title', '')} ({block.get('source', '')})\n{text}"})
    raise InvalidRequestError(f"{where} has type {kind!r}, which cannot be passed on.", param=where)


def _address(source: Mapping[str, Any], where: str) -> str:
    if source.get("type") == "base64":
        return f"data:{source.get('media_type', 'application/octet-stream')};base64,{source.get('data', '')}"
    if source.get("type") == "url" and isinstance(source.get("url"), str):
        return str(source["url"])
    raise InvalidRequestError(f"{where}.source must be base64 or a url; files are not kept here.", param=where)


def _tool_result(block: Mapping[str, Any], where: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    content = block.get("content")
    blocks = [] if content is None else _blocks(content, f"{where}.content")
    said = [_text(one) for one in blocks if one.get("type") == "text"]
    shown = [_part(one, where) for one in blocks if one.get("type") in ("image", "document", "search_result")]
    text = _content(said) if said else ""
    if block.get("is_error") is True:
        text = f"Error: {text}" if isinstance(text, str) else [{"type": "text", "text": "Error:"}, *text]
    if block.get("cache_control") is not None:
        # A mark stands on a part; coding agents put their last one here.
        parts = [{"type": "text", "text": text}] if isinstance(text, str) else text
        text = [*parts[:-1], _marked(block, parts[-1])]
    call_id = block.get("tool_use_id")
    if not isinstance(call_id, str):
        raise InvalidRequestError(f"{where}.tool_use_id must be a string.", param=where)
    return {"role": "tool", "tool_call_id": call_id, "content": text}, shown


def _assistant(blocks: Sequence[Mapping[str, Any]], where: str) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    details: list[dict[str, Any]] = []
    unsigned: list[str] = []
    for j, block in enumerate(blocks):
        kind = block.get("type")
        if kind == "text":
            parts.append(_text(block))
        elif kind == "tool_use":
            arguments = json.dumps(block.get("input") or {}, ensure_ascii=False, separators=(",", ":"))
            function = {"name": str(block.get("name", "")), "arguments": arguments}
            calls.append({"id": str(block.get("id", "")), "type": "function", "function": function})
        elif kind == "thinking":
            text = str(block.get("thinking", ""))
            if block.get("signature"):
                details.append(
                    {
                        "type": "reasoning.text",
                        "text": text,
                        "signature": block["signature"],
                        "format": _THOUGHT_FORMAT,
                        "index": len(details),
                    }
                )
            elif text:
                unsigned.append(text)
        elif kind == "redacted_thinking":
            data = str(block.get("data", ""))
            details.append(
                {"type": "reasoning.encrypted", "data": data, "format": _THOUGHT_FORMAT, "index": len(details)}
            )
        else:
            raise InvalidRequestError(
                f"{where}.content[{j}] has type {kind!r}, which only Anthropic's servers understand.", param=where
            )
    message: dict[str, Any] = {"role": "assistant", "content": _content(parts) if parts else None}
    if calls:
        message["tool_calls"] = calls
    elif not parts:
        message["content"] = ""
    if details:
        message["reasoning_details"] = details
    if unsigned:
        message["reasoning_content"] = "\n".join(unsigned)
    return message


def _tool(tool: Any, i: int) -> dict[str, Any]:
    where = f"tools[{i}]"
    if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
        raise InvalidRequestError(f"{where} must be an object with a name.", param=where)
    kind = tool.get("type", "custom")
    function: dict[str, Any] = {"name": tool["name"]}
    if kind in ("custom", None):
        if tool.get("description"):
            function["description"] = tool["description"]
        function["parameters"] = tool.get("input_schema") or {"type": "object", "properties": {}}
        if tool.get("strict") is not None:
            function["strict"] = tool["strict"]
    else:
        schema = next((schema for begin, schema in _CLIENT_TOOLS if str(kind).startswith(begin)), None)
        if schema is None:
            raise InvalidRequestError(
                f"{where} has type {kind!r}, which only Anthropic's servers run; give a tool of your own instead.",
                param=f"{where}.type",
            )
        function |= schema
    return _marked(tool, {"type": "function", "function": function})


def _tool_choice(choice: Any, chat: dict[str, Any]) -> None:
    if choice is None:
        return
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind == "tool":
        chat["tool_choice"] = {"type": "function", "function": {"name": str(choice.get("name", ""))}}
    elif kind in ("auto", "any", "none"):
        chat["tool_choice"] = "required" if kind == "any" else kind
    else:
        raise InvalidRequestError("tool_choice.type must be auto, any, tool or none.", param="tool_choice")
    if choice.get("disable_parallel_tool_use") is True:
        chat["parallel_tool_calls"] = False


def _thinking(body: Mapping[str, Any], chat: dict[str, Any]) -> None:
    """How hard to think, in OpenRouter's `reasoning`, which every dialect reads; and the schema of the answer."""
    thinking, output = body.get("thinking"), body.get("output_config")
    output = output if isinstance(output, dict) else {}
    if isinstance(thinking, dict):
        kind, budget = thinking.get("type"), thinking.get("budget_tokens")
        if kind == "enabled" and isinstance(budget, int) and not isinstance(budget, bool):
            chat["reasoning"] = {"max_tokens": budget}
        elif kind == "disabled":
            chat["reasoning"] = {"enabled": False}
        elif kind in ("adaptive", "enabled"):
            chat["reasoning"] = {"enabled": True}
    if isinstance(output.get("effort"), str) and chat.get("reasoning") != {"enabled": False}:
        chat["reasoning"] = {"effort": output["effort"]}
    wanted = output.get("format") or body.get("output_format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        named = {"name": str(wanted.get("name") or "answer"), "schema": wanted.get("schema") or {}, "strict": True}
        chat["response_format"] = {"type": "json_schema", "json_schema": named}


def _identity(metadata: Any, chat: dict[str, Any]) -> None:
    """Coding agents put their session into the user id; it keeps a session on one host."""
    user_id = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user_id, str) or not user_id:
        return
    session = _SESSION.search(user_id)
    if session:
        chat["session_id"] = session[1]
    # Hosts take 64 characters at most.
    chat["user"] = user_id if len(user_id) <= 64 else hashlib.blake2b(user_id.encode(), digest_size=24).hexdigest()


def count_tokens(body: Mapping[str, Any]) -> dict[str, int]:
    """An estimate of `input_tokens`: 3.5 bytes of text a token, a flat sum an image or document.

    Raises `InvalidRequestError` as `to_chat` does.
    """
    chat = to_chat({**body, "max_tokens": body.get("max_tokens") or 1})
    text, attached = 0, 0
    for message in chat["messages"]:
        content = message.get("content")
        for part in content if isinstance(content, list) else [{"type": "text", "text": content or ""}]:
            if part["type"] == "text":
                text += len(part["text"].encode())
            else:
                attached += _TOKENS_PER_IMAGE if part["type"] == "image_url" else _TOKENS_PER_DOCUMENT
        for call in message.get("tool_calls", ()):
            text += len(call["function"]["name"].encode()) + len(call["function"]["arguments"].encode())
        text += len(str(message.get("reasoning_content", "")).encode())
    if "tools" in chat:
        text += len(json.dumps(chat["tools"], ensure_ascii=False).encode())
    return {"input_tokens": max(1, round(text / _BYTES_PER_TOKEN) + attached + 3 * len(chat["messages"]))}


# --- answers ---------------------------------------------------------------------------------------------------------


def from_chat(answer: Mapping[str, Any], message_id: str) -> dict[str, Any]:
    """A chat completion as a message. `message_id` goes out as it is, after `msg_`."""
    choice = choice_of(answer)
    said = choice.get("message")
    said = said if isinstance(said, dict) else {}
    content: list[dict[str, Any]] = []
    for thought in _joined(thoughts_of(said)):
        content.append(_thinking_block(thought))
    text = text_of(said) or (said.get("refusal") if isinstance(said.get("refusal"), str) else "")
    if text:
        content.append({"type": "text", "text": text})
    for piece in ToolCalls().pieces(said):
        content.append(
            {
                "type": "tool_use",
                "id": piece.call_id or f"toolu_{message_id}_{piece.key}",
                "name": piece.name or "",
                "input": _input(piece.arguments),
            }
        )
    reason, sequence = _stop(choice, has_calls=any(block["type"] == "tool_use" for block in content))
    found = _message(message_id, answer, content)
    return {**found, "stop_reason": reason, "stop_sequence": sequence, "usage": _usage(counts_of(answer.get("usage")))}


def _message(message_id: str, answer: Mapping[str, Any], content: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": f"msg_{message_id}",
        "type": "message",
        "role": "assistant",
        "model": answer.get("model") or "",
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
    }
    if isinstance(answer.get("provider"), str):
        found["provider"] = answer["provider"]
    return found


def _joined(thoughts: Sequence[Thought]) -> list[Thought]:
    """Neighbouring text as one thought; a signature ends it."""
    found: list[Thought] = []
    for thought in thoughts:
        last = found[-1] if found else None
        if last is None or last.encrypted or thought.encrypted or last.signature:
            found.append(thought)
        else:
            found[-1] = Thought(last.text + thought.text, thought.signature)
    return found


def _thinking_block(thought: Thought) -> dict[str, Any]:
    if thought.encrypted:
        return {"type": "redacted_thinking", "data": thought.encrypted}
    return {"type": "thinking", "thinking": thought.text, "signature": thought.signature or ""}


def _input(arguments: str) -> dict[str, Any]:
    """Arguments as an object; what is none is kept under one name, so that nothing is lost."""
    try:
        found = json.loads(arguments) if arguments.strip() else {}
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"invalid_arguments": arguments}


def _stop(choice: Mapping[str, Any], *, has_calls: bool) -> tuple[str, str | None]:
    reason = choice.get("finish_reason")
    sequence = choice.get("stop_reason")  # vLLM: the sequence that ended it
    if has_calls and reason in ("stop", None):
        return "tool_use", None
    if reason == "stop" and isinstance(sequence, str) and sequence:
        return "stop_sequence", sequence
    return _STOP_REASONS.get(reason if isinstance(reason, str) else "", "end_turn"), None


def _usage(counts: Counts) -> dict[str, Any]:
    """Theirs counts what came from a cache apart from the rest of the prompt."""
    found: dict[str, Any] = {
        "input_tokens": max(0, counts.prompt - counts.cached - counts.cache_written),
        "cache_creation_input_tokens": counts.cache_written,
        "cache_read_input_tokens": counts.cached,
        "output_tokens": counts.completion,
    }
    if counts.cost_usd is not None:
        found["cost"] = counts.cost_usd
    return found


def error_body(status: int, message: str, request_id: str | None = None) -> dict[str, Any]:
    """An error in their shape."""
    kind = _ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    found: dict[str, Any] = {"type": "error", "error": {"type": kind, "message": message}}
    return found if request_id is None else {**found, "request_id": request_id}


# --- streams ---------------------------------------------------------------------------------------------------------


class _Tool:
    """A tool call on its way."""

    def __init__(self, call_id: str, name: str) -> None:
        self.call_id = call_id
        self.name = name
        self.arguments = ""
        self.sent = 0


class StreamTranslator:
    """Turns the chunks of a chat stream into the events of theirs, one by one.

    Their content blocks follow one another: a block is closed before the next begins. Of tool calls that a host sends
    interleaved, one streams and the others wait for its end.
    """

    def __init__(self, message_id: str, prompt_tokens: int = 0) -> None:
        """`prompt_tokens` is an estimate for the first event; the last one has what the upstream counted."""
        self._message_id = message_id
        self._prompt_tokens = prompt_tokens
        self._has_started = False
        self._has_ended = False
        self._index = -1
        self._open: str | None = None
        self._signature: str | None = None
        self._calls = ToolCalls()
        self._tools: dict[int, _Tool] = {}
        self._queue: list[_Tool] = []
        self._has_calls = False
        self._choice: dict[str, Any] = {}
        self._counts: Counts | None = None

    def feed(self, chunk: Mapping[str, Any]) -> list[bytes]:
        """The events that a chunk becomes."""
        if self._has_ended:
            return []
        out = self._start(chunk)
        if isinstance(chunk.get("usage"), dict):
            self._counts = counts_of(chunk["usage"])
        choice = choice_of(chunk)
        delta = choice.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        for thought in thoughts_of(delta):
            self._think(thought, out)
        text = text_of(delta) or (delta.get("refusal") if isinstance(delta.get("refusal"), str) else "")
        if text:
            self._turn_to("text", out, {"type": "text", "text": ""})
            self._delta({"type": "text_delta", "text": text}, out)
        for piece in self._calls.pieces(delta):
            tool = self._tools.get(piece.key)
            if tool is None:
                tool = _Tool(piece.call_id or f"toolu_{self._message_id}_{piece.key}", piece.name or "")
                self._tools[piece.key] = tool
                self._queue.append(tool)
                self._has_calls = True
            elif piece.name and not tool.name:
                tool.name = piece.name
            tool.arguments += piece.arguments
        if self._queue:
            self._pump(out, is_last=False)
        for name in ("finish_reason", "stop_reason"):
            if choice.get(name) is not None:
                self._choice[name] = choice[name]
        return out

    def finish(self) -> list[bytes]:
        """The events that end the message."""
        if self._has_ended:
            return []
        out = self._start({})
        self._pump(out, is_last=True)
        self._close(out)
        self._has_ended = True
        reason, sequence = _stop(self._choice, has_calls=self._has_calls)
        usage = _usage(self._counts or Counts(prompt=self._prompt_tokens))
        delta = {"stop_reason": reason, "stop_sequence": sequence}
        out.append(event("message_delta", {"type": "message_delta", "delta": delta, "usage": usage}))
        out.append(event("message_stop", {"type": "message_stop"}))
        return out

    def error(self, message: str, status: int = 500) -> list[bytes]:
        """The event that ends a stream that broke."""
        if self._has_ended:
            return []
        self._has_ended = True
        return [event("error", error_body(status, message))]

    def ping(self) -> bytes:
        """What keeps a silent stream alive, in their words."""
        return event("ping", {"type": "ping"})

    def _start(self, chunk: Mapping[str, Any]) -> list[bytes]:
        if self._has_started:
            return []
        self._has_started = True
        message = _message(self._message_id, chunk, [])
        message["usage"] = {**_usage(Counts(prompt=self._prompt_tokens)), "output_tokens": 1}
        return [event("message_start", {"type": "message_start", "message": message}), self.ping()]

    def _think(self, thought: Thought, out: list[bytes]) -> None:
        if thought.encrypted:
            self._turn_to("redacted", out, {"type": "redacted_thinking", "data": thought.encrypted}, is_new=True)
            self._close(out)
            return
        if thought.text:
            # A signed thought is over; what follows is the next.
            self._turn_to(
                "thinking",
                out,
                {"type": "thinking", "thinking": "", "signature": ""},
                is_new=self._signature is not None,
            )
            self._delta({"type": "thinking_delta", "thinking": thought.text}, out)
        if thought.signature:
            if self._open != "thinking":
                self._turn_to("thinking", out, {"type": "thinking", "thinking": "", "signature": ""})
            self._signature = thought.signature

    def _turn_to(self, kind: str, out: list[bytes], block: dict[str, Any], *, is_new: bool = False) -> None:
        """Have a block of this kind open."""
        if self._open == kind and not is_new:
            return
        if self._queue:
            self._pump(out, is_last=True)
        self._close(out)
        self._index += 1
        self._open = kind
        out.append(
            event("content_block_start", {"type": "content_block_start", "index": self._index, "content_block": block})
        )

    def _delta(self, delta: dict[str, Any], out: list[bytes]) -> None:
        out.append(event("content_block_delta", {"type": "content_block_delta", "index": self._index, "delta": delta}))

    def _close(self, out: list[bytes]) -> None:
        if self._open is None:
            return
        if self._signature is not None:
            self._delta({"type": "signature_delta", "signature": self._signature}, out)
            self._signature = None
        out.append(event("content_block_stop", {"type": "content_block_stop", "index": self._index}))
        self._open = None

    def _pump(self, out: list[bytes], *, is_last: bool) -> None:
        """Send what can be sent of the tool calls that wait, in their order."""
        while self._queue:
            tool = self._queue[0]
            if not tool.name and not is_last:
                return
            if self._open != "tool":
                self._close(out)
                self._index += 1
                self._open = "tool"
                block = {"type": "tool_use", "id": tool.call_id, "name": tool.name, "input": {}}
                start = {"type": "content_block_start", "index": self._index, "content_block": block}
                out.append(event("content_block_start", start))
            if tool.sent < len(tool.arguments):
                self._delta({"type": "input_json_delta", "partial_json": tool.arguments[tool.sent :]}, out)
                tool.sent = len(tool.arguments)
            if not is_last and (len(self._queue) == 1 or not is_whole_json(tool.arguments)):
                return
            self._queue.pop(0)
            self._close(out)
