"""Anthropic's messages: requests, answers and streams, held against Anthropic's own client."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from proxy.errors import InvalidRequestError
from proxy.translations.chat import read_chunks
from proxy.translations.messages import StreamTranslator, count_tokens, error_body, from_chat, to_chat
from tests.proxy.edges.chat_streams import WHOLE, answers, chunk, json_values, streamed

EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)

ASK = {"model": "auto", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}


def events(chunks: Iterable[dict[str, Any]], translator: StreamTranslator | None = None) -> list[dict[str, Any]]:
    """All events of a stream, each checked against the client's types."""
    found = translator or StreamTranslator("1", prompt_tokens=90)
    raw = [data for one in chunks for data in found.feed(one)] + found.finish()
    parsed = []
    for one in raw:
        name, data = one.decode().removesuffix("\n\n").split("\n")
        body = json.loads(data.removeprefix("data: "))
        assert name == f"event: {body['type']}"
        if body["type"] != "ping":
            EVENT.validate_python(body)
        parsed.append(body)
    return parsed


def client(handler: Callable[[httpx2.Request], httpx2.Response]) -> anthropic.Anthropic:
    transport = httpx2.Client(transport=httpx2.MockTransport(handler))
    return anthropic.Anthropic(api_key="k", base_url="http://router", http_client=transport, max_retries=0)


def upstream(
    whole: dict[str, Any], seen: list[dict[str, Any]], **options: Any
) -> Callable[[httpx2.Request], httpx2.Response]:
    """A router whose only upstream gives this answer."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        chat = to_chat(json.loads(request.content))
        seen.append(chat)
        if not chat.get("stream"):
            return httpx2.Response(200, json=from_chat(whole, "1"))
        translator = StreamTranslator("1", prompt_tokens=90)
        data = [one for piece in streamed(whole, **options) for one in translator.feed(piece)] + translator.finish()
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=b"".join(data))

    return handle


# --- requests


def test_a_request_with_everything() -> None:
    mark = {"type": "ephemeral"}
    chat = to_chat(
        {
            "model": "claude-sonnet",
            "max_tokens": 500,
            "system": [
                {"type": "text", "text": "x-anthropic-billing-header: cch=1f3;"},
                {"type": "text", "text": "Be terse.", "cache_control": mark},
            ],
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                        {"type": "image", "source": {"type": "url", "url": "https://x.example/y.png"}},
                        {
                            "type": "document",
                            "title": "a.pdf",
                            "source": {"type": "base64", "media_type": "application/pdf", "data": "BBBB"},
                        },
                    ],
                },
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm", "signature": "sig"},
                        {"type": "redacted_thinking", "data": "enc"},
                        {"type": "text", "text": "I look."},
                        {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "süd"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "and?"},
                        {
                            "type": "tool_result",
                            "tool_use_id": "t1",
                            "is_error": True,
                            "content": [
                                {"type": "text", "text": "blocked"},
                                {"type": "image", "source": {"type": "url", "url": "https://x.example/z.png"}},
                            ],
                        },
                    ],
                },
            ],
            "stop_sequences": ["END"],
            "temperature": 0.3,
            "top_k": 5,
            "thinking": {"type": "enabled", "budget_tokens": 2048},
            "tools": [{"name": "look", "description": "d", "input_schema": {"type": "object"}, "cache_control": mark}],
            "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
            "metadata": {"user_id": "user_ab_account__session_0a1b2c3d-0000-4000-8000-123456789abc"},
            "stream": True,
            "provider": {"zdr": True},
        }
    )

    assert chat == {
        "model": "claude-sonnet",
        "max_tokens": 500,
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be terse.", "cache_control": mark}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    {"type": "image_url", "image_url": {"url": "https://x.example/y.png"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB"}},
                ],
            },
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "look", "arguments": '{"at":"süd"}'}}
                ],
                "reasoning_details": [
                    {
                        "type": "reasoning.text",
                        "text": "hm",
                        "signature": "sig",
                        "format": "anthropic-claude-v1",
                        "index": 0,
                    },
                    {"type": "reasoning.encrypted", "data": "enc", "format": "anthropic-claude-v1", "index": 1},
                ],
            },
            {"role": "tool", "tool_call_id": "t1", "content": "Error: blocked"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "and?"},
                    {"type": "image_url", "image_url": {"url": "https://x.example/z.png"}},
                ],
            },
        ],
        "temperature": 0.3,
        "top_k": 5,
        "stop": ["END"],
        "tools": [
            {
                "type": "function",
                "function": {"name": "look", "description": "d", "parameters": {"type": "object"}},
                "cache_control": mark,
            }
        ],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "parallel_tool_calls": False,
        "reasoning": {"max_tokens": 2048},
        "session_id": "0a1b2c3d-0000-4000-8000-123456789abc",
        "user": "user_ab_account__session_0a1b2c3d-0000-4000-8000-123456789abc",
        "stream": True,
        "stream_options": {"include_usage": True},
        "provider": {"zdr": True},
    }


def test_a_coding_agents_second_turn() -> None:
    """Its shapes: a system message amid the conversation, unsigned thoughts, the cache mark on a result."""
    mark = {"type": "ephemeral"}
    chat = to_chat(
        {
            **ASK,
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "make it"}]},
                {"role": "system", "content": "Agents you may call: none."},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm", "signature": ""},
                        {"type": "tool_use", "id": "c", "name": "Bash", "input": {"command": "ls"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "c", "content": "hi", "cache_control": mark}],
                },
            ],
            "metadata": {"user_id": '{"device_id":"37ec","account_uuid":"","session_id":"3f008040-a0a0-40cc-8200"}'},
            "context_management": {"edits": []},
        }
    )

    assert [message["role"] for message in chat["messages"]] == ["user", "system", "assistant", "tool"]
    assert chat["messages"][2]["reasoning_content"] == "hm"
    assert chat["messages"][2]["content"] is None
    assert chat["messages"][3]["content"] == [{"type": "text", "text": "hi", "cache_control": mark}]
    assert chat["session_id"] == "3f008040-a0a0-40cc-8200"
    assert len(chat["user"]) <= 64
    assert "context_management" not in chat


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"thinking": {"type": "disabled"}}, {"reasoning": {"enabled": False}}),
        ({"thinking": {"type": "adaptive"}}, {"reasoning": {"enabled": True}}),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            {"reasoning": {"effort": "high"}},
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
                }
            },
        ),
        ({"tools": [{"name": "f", "input_schema": {}}], "tool_choice": {"type": "any"}}, {"tool_choice": "required"}),
        ({"stop_sequences": []}, {}),
    ],
)
def test_single_fields(extra: dict[str, Any], expected: dict[str, Any]) -> None:
    chat = to_chat({**ASK, **extra})

    assert {name: chat[name] for name in chat if name not in (*ASK, "tools")} == expected


def test_tools_that_the_client_runs_get_their_schema() -> None:
    (tool,) = to_chat({**ASK, "tools": [{"type": "bash_20250124", "name": "bash"}]})["tools"]

    assert tool["function"]["name"] == "bash"
    assert "command" in tool["function"]["parameters"]["properties"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "model"),
        ({"model": "m"}, "messages"),
        ({**ASK, "max_tokens": 0}, "max_tokens"),
        ({**ASK, "max_tokens": True}, "max_tokens"),
        ({**ASK, "messages": [{"role": "tool", "content": ""}]}, "messages[0].role"),
        ({**ASK, "messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({**ASK, "messages": [{"role": "user", "content": [{"type": "odd"}]}]}, "messages[0].content[0]"),
        ({**ASK, "tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({**ASK, "tools": "x"}, "tools"),
        ({**ASK, "mcp_servers": [{}]}, "mcp_servers"),
        ({**ASK, "tools": [{"name": "f"}], "tool_choice": "auto"}, "tool_choice"),
    ],
)
def test_what_cannot_be_passed_on_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        to_chat(body)

    assert caught.value.param == param


# --- answers, through the real client


def test_the_client_gets_the_whole_answer() -> None:
    seen: list[dict[str, Any]] = []
    message = client(upstream(WHOLE, seen)).messages.create(**ASK)  # type: ignore[call-overload]

    assert seen[0]["messages"] == [{"role": "user", "content": "hi"}]
    assert message.model == "anthropic/claude-x"
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert message.content[0].signature == "c2lnbmVk"
    assert message.content[3].input == {"at": "süd"}
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (30, 40)
    assert (message.usage.cache_read_input_tokens, message.usage.cache_creation_input_tokens) == (60, 10)
    assert message.usage.cost == 0.0125
    assert message.provider == "Anthropic"


@pytest.mark.parametrize("interleaves", [False, True])
def test_the_clients_stream_assembles_to_the_same_message(interleaves: bool) -> None:
    whole = client(upstream(WHOLE, [])).messages.create(**ASK)  # type: ignore[call-overload]
    handler = upstream(WHOLE, [], cuts=[1, 3, 7], interleaves=interleaves)

    with client(handler).messages.stream(**ASK) as stream:
        texts = list(stream.text_stream)
        message = stream.get_final_message()

    assert "".join(texts) == "Let me look."
    assert len(texts) > 2

    def fields(found: Message) -> list[dict[str, Any]]:
        return [block.model_dump(exclude={"parsed_output"}) for block in found.content]

    assert fields(message) == fields(whole)
    assert message.stop_reason == whole.stop_reason
    assert message.usage.output_tokens == 40
    assert message.usage.input_tokens == 30
    assert message.model == whole.model


def test_thoughts_survive_the_way_back() -> None:
    message = from_chat(WHOLE, "1")

    history = [*ASK["messages"], {"role": "assistant", "content": message["content"]}]  # type: ignore[misc]
    (_, assistant) = to_chat({**ASK, "messages": history})["messages"]

    said = WHOLE["choices"][0]["message"]
    assert assistant["reasoning_details"] == said["reasoning_details"]
    assert assistant["tool_calls"] == said["tool_calls"]


def test_a_broken_stream_is_an_error_to_the_client() -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        translator = StreamTranslator("1")
        data = translator.feed(chunk({"content": "Hel"})) + translator.error("it broke off", 529) + translator.finish()
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=b"".join(data))

    with client(handle).messages.stream(**ASK) as stream:  # noqa: SIM117
        with pytest.raises(anthropic.APIStatusError, match="it broke off"):
            stream.get_final_message()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (503, anthropic.APIStatusError),
    ],
)
def test_errors_are_the_clients_own(status: int, error: type[Exception]) -> None:
    answer = httpx2.Response(status, json=error_body(status, "no", "req_1"))

    with pytest.raises(error):
        client(lambda request: answer).messages.create(**ASK)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"finish_reason": "stop"}, ("end_turn", None)),
        ({"finish_reason": "length"}, ("max_tokens", None)),
        ({"finish_reason": "content_filter"}, ("refusal", None)),
        ({"finish_reason": "stop", "stop_reason": "END"}, ("stop_sequence", "END")),
        ({"finish_reason": None}, ("end_turn", None)),
        ({}, ("end_turn", None)),
    ],
)
def test_why_it_stopped(choice: dict[str, Any], expected: tuple[str, str | None]) -> None:
    found = from_chat({"choices": [{**choice, "message": {"content": "x"}}]}, "1")

    assert (found["stop_reason"], found["stop_sequence"]) == expected


def test_arguments_that_are_no_json_are_kept() -> None:
    call = {"id": "t", "function": {"name": "f", "arguments": '{"a": '}}

    (block,) = from_chat({"choices": [{"message": {"tool_calls": [call]}}]}, "1")["content"]

    assert block["input"] == {"invalid_arguments": '{"a": '}


def test_calls_that_all_have_index_zero_stay_apart() -> None:
    calls = [{"index": 0, "id": f"t{i}", "function": {"name": "f", "arguments": "{}"}} for i in range(2)]

    found = events([chunk({"tool_calls": [calls[0]]}), chunk({"tool_calls": [calls[1]]}), chunk({}, "tool_calls")])

    assert [one["content_block"]["id"] for one in found if one["type"] == "content_block_start"] == ["t0", "t1"]


def test_an_empty_stream_is_still_a_message() -> None:
    assert [one["type"] for one in events([])] == ["message_start", "ping", "message_delta", "message_stop"]


# --- any stream


@given(answers(), st.lists(st.integers(0, 30), max_size=4), st.booleans())
def test_any_stream_is_well_formed_and_says_what_the_whole_says(
    whole: dict[str, Any], cuts: list[int], interleaves: bool
) -> None:
    found = events(streamed(whole, cuts, interleaves=interleaves))

    assert [one["type"] for one in found[:2]] == ["message_start", "ping"]
    assert [one["type"] for one in found[-2:]] == ["message_delta", "message_stop"]
    blocks: list[dict[str, Any]] = []
    is_open = False
    for one in found[2:-2]:
        if one["type"] == "content_block_start":
            assert not is_open
            assert one["index"] == len(blocks)
            blocks.append(dict(one["content_block"]))
            if blocks[-1]["type"] == "tool_use":
                blocks[-1]["input"] = ""
            is_open = True
            continue
        assert is_open
        assert one["index"] == len(blocks) - 1
        if one["type"] == "content_block_stop":
            is_open = False
            continue
        delta = one["delta"]
        field = {
            "text_delta": "text",
            "thinking_delta": "thinking",
            "signature_delta": "signature",
            "input_json_delta": "partial_json",
        }[delta["type"]]
        blocks[-1]["input" if field == "partial_json" else field] += delta[field]
    assert not is_open
    for block in blocks:
        if block["type"] == "tool_use":
            block["input"] = json.loads(block["input"]) if block["input"] else {}
    expected = from_chat(whole, "1")
    Message.model_validate(expected)
    assert blocks == expected["content"]
    assert found[-2]["delta"]["stop_reason"] == expected["stop_reason"]
    assert found[-2]["usage"] == expected["usage"]


FIELDS = ("system", "tools", "tool_choice", "thinking", "metadata", "output_config", "stop_sequences", "max_tokens")


@given(st.dictionaries(st.sampled_from(FIELDS), json_values), json_values)
def test_any_request_is_translated_or_refused(extra: dict[str, Any], messages: Any) -> None:
    for one in (messages, [{"role": "user", "content": messages}], [{"role": "assistant", "content": messages}]):
        with contextlib.suppress(InvalidRequestError):
            chat = to_chat({**ASK, **extra, "messages": one})
            assert all(isinstance(message, dict) for message in chat["messages"])
            json.dumps(chat)
        with contextlib.suppress(InvalidRequestError):
            assert count_tokens({**ASK, **extra, "messages": one})["input_tokens"] > 0


@given(json_values)
def test_any_chunk_is_survived(value: Any) -> None:
    translator = StreamTranslator("1")
    shapes = [
        value if isinstance(value, dict) else {},
        {"choices": value},
        {"choices": [value], "usage": value},
        chunk({"content": value, "reasoning": value, "reasoning_details": value, "tool_calls": value}),
        chunk({"tool_calls": [value], "reasoning_details": [value]}),
    ]
    for shape in shapes:
        translator.feed(shape)
        from_chat(shape, "1")
    translator.finish()


def test_count_tokens_grows_with_what_is_sent() -> None:
    small = count_tokens({"model": "m", "messages": ASK["messages"]})["input_tokens"]
    long = count_tokens({"model": "m", "messages": [{"role": "user", "content": "word " * 700}]})["input_tokens"]
    image = {"type": "image", "source": {"type": "url", "url": "https://x.example"}}
    seen = count_tokens({"model": "m", "messages": [{"role": "user", "content": [image]}]})["input_tokens"]

    assert 1 <= small < 10
    assert 900 < long < 1_100
    assert seen > 1_500


def test_chunks_are_read_from_relayed_events() -> None:
    relayed = (
        b': alive\n\ndata: {"a":\ndata: 1}\n\nevent: x\ndata:{"b":2}\n\ndata: {"bad\n\ndata: [1]\n\ndata: [DONE]\n\n'
    )

    assert read_chunks(relayed) == [{"a": 1}, {"b": 2}]
