"""OpenAI's responses and legacy completions: requests, answers and streams, held against OpenAI's own client."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterable
from typing import Any

import httpx2 as http
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from proxy.errors import InvalidRequestError
from proxy.translations import completions
from proxy.translations.responses import StreamTranslator, from_chat, to_chat
from tests.proxy.edges.chat_streams import WHOLE, answers, chunk, json_values, streamed

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)

ASK: dict[str, Any] = {"model": "auto", "input": "hi"}
PATCH = {"type": "custom", "name": "apply_patch", "description": "Edit.", "format": {"type": "text"}}
LOOK = {"type": "function", "name": "look", "description": "d", "parameters": {"type": "object"}, "strict": False}
SPACE = {"type": "namespace", "name": "files", "tools": [{"type": "function", "name": "read", "parameters": {}}]}


def parsed(raw: Iterable[bytes]) -> list[dict[str, Any]]:
    """Events, each checked against the client's types, and numbered without a gap."""
    found = []
    for one in raw:
        name, data = one.decode().removesuffix("\n\n").split("\n")
        body = json.loads(data.removeprefix("data: "))
        assert name == f"event: {body['type']}"
        EVENT.validate_python(body)
        assert body["sequence_number"] == len(found)
        found.append(body)
    return found


def events(chunks: Iterable[dict[str, Any]], body: dict[str, Any] = ASK) -> list[dict[str, Any]]:
    translator = StreamTranslator(body, "1", 1_764_000_000)
    return parsed([data for one in chunks for data in translator.feed(one)] + translator.finish())


def client(whole: dict[str, Any], seen: list[dict[str, Any]], **options: Any) -> openai.OpenAI:
    """A client of a router whose only upstream gives this answer."""

    def handle(request: Any) -> Any:
        body = json.loads(request.content)
        seen.append(to_chat(body))
        if not body.get("stream"):
            return http.Response(200, json=from_chat(whole, body, "1", 1_764_000_000))
        translator = StreamTranslator(body, "1", 1_764_000_000)
        data = [one for piece in streamed(whole, **options) for one in translator.feed(piece)] + translator.finish()
        return http.Response(200, headers={"content-type": "text/event-stream"}, content=b"".join(data))

    transport = http.Client(transport=http.MockTransport(handle))
    return openai.OpenAI(api_key="k", base_url="http://router/v1", http_client=transport, max_retries=0)


# --- requests


def test_a_coding_agents_second_turn() -> None:
    chat = to_chat(
        {
            "model": "gpt-5-codex",
            "instructions": "You code.",
            "input": [
                {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "rules"}]},
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "fix it"},
                        {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "high"},
                    ],
                },
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "I see"}]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Editing."}]},
                {
                    "type": "function_call",
                    "call_id": "c1",
                    "name": "read",
                    "namespace": "files",
                    "arguments": '{"p":1}',
                },
                {"type": "custom_tool_call", "call_id": "c2", "name": "apply_patch", "input": "*** Begin"},
                {"type": "function_call_output", "call_id": "c1", "output": "text"},
                {
                    "type": "custom_tool_call_output",
                    "call_id": "c2",
                    "output": [
                        {"type": "input_text", "text": "done"},
                        {"type": "input_image", "image_url": "https://x.example/y.png"},
                    ],
                },
                {"type": "web_search_call", "id": "ws_1", "status": "completed"},
            ],
            "tools": [LOOK, PATCH, SPACE, {"type": "web_search"}],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "reasoning": {"effort": "high", "summary": "auto"},
            "text": {
                "verbosity": "low",
                "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True},
            },
            "max_output_tokens": 500,
            "store": False,
            "stream": True,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": "session",
        }
    )

    free = {
        "type": "object",
        "properties": {"input": {"type": "string", "description": "The whole input, as plain text."}},
        "required": ["input"],
        "additionalProperties": False,
    }
    assert chat == {
        "model": "gpt-5-codex",
        "messages": [
            {"role": "system", "content": "You code."},
            {"role": "developer", "content": "rules"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "fix it"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "high"}},
                ],
            },
            {
                "role": "assistant",
                "content": "Editing.",
                "reasoning_content": "I see",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "files__read", "arguments": '{"p":1}'}},
                    {
                        "id": "c2",
                        "type": "function",
                        "function": {"name": "apply_patch", "arguments": '{"input": "*** Begin"}'},
                    },
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "text"},
            {"role": "tool", "tool_call_id": "c2", "content": "done"},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/y.png"}}]},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "look", "description": "d", "parameters": {"type": "object"}, "strict": False},
            },
            {"type": "function", "function": {"name": "apply_patch", "description": "Edit.", "parameters": free}},
            {
                "type": "function",
                "function": {"name": "files__read", "parameters": {"type": "object", "properties": {}}},
            },
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning_effort": "high",
        "verbosity": "low",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
        },
        "max_tokens": 500,
        "stream": True,
        "stream_options": {"include_usage": True},
        "prompt_cache_key": "session",
    }


def test_everything_said_between_calls_and_their_results_stays_one_message() -> None:
    """Chat refuses an assistant message between a call and its result."""
    call = {"type": "function_call", "name": "f", "arguments": "{}"}
    said = {"role": "assistant", "content": "and"}
    results = [{"type": "function_call_output", "call_id": one, "output": "x"} for one in ("a", "b")]

    chat = to_chat({"model": "m", "input": [{**call, "call_id": "a"}, said, {**call, "call_id": "b"}, *results]})

    assert [message["role"] for message in chat["messages"]] == ["assistant", "tool", "tool"]
    assert [one["id"] for one in chat["messages"][0]["tool_calls"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("choice", "expected", "left"),
    [
        ("required", "required", 2),
        ({"type": "function", "name": "look"}, {"type": "function", "function": {"name": "look"}}, 2),
        ({"type": "custom", "name": "apply_patch"}, {"type": "function", "function": {"name": "apply_patch"}}, 2),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}]}, "required", 1),
    ],
)
def test_the_choice_of_tools(choice: Any, expected: Any, left: int) -> None:
    chat = to_chat({**ASK, "tools": [LOOK, PATCH], "tool_choice": choice})

    assert chat["tool_choice"] == expected
    assert len(chat["tools"]) == left


@pytest.mark.parametrize(
    ("extra", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"background": True}, "background"),
        ({"input": None}, "input"),
        ({"input": [5]}, "input[0]"),
        ({"input": [{"type": "odd"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input[0]"),
        ({"model": None}, "model"),
        ({"tools": [{"type": "odd"}]}, "tools[0].type"),
        ({"tools": [LOOK], "tool_choice": {"type": "web_search"}}, "tool_choice"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(extra: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        to_chat({**ASK, **extra})

    assert caught.value.param == param


# --- answers, through the real client


def test_the_client_gets_the_whole_answer_and_an_honest_store() -> None:
    seen: list[dict[str, Any]] = []
    response = client(WHOLE, seen).responses.create(**ASK, store=True)

    assert seen[0]["messages"] == [{"role": "user", "content": "hi"}]
    assert [item.type for item in response.output] == ["reasoning", "message", "function_call", "function_call"]
    assert response.output_text == "Let me look."
    assert response.output[3].arguments == '{"at":"süd"}'
    assert response.status == "completed"
    assert response.store is False
    assert response.model == "anthropic/claude-x"
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (100, 40, 140)
    assert response.usage.input_tokens_details.cached_tokens == 60
    assert response.usage.output_tokens_details.reasoning_tokens == 8
    assert response.usage.cost == 0.0125


@pytest.mark.parametrize("interleaves", [False, True])
def test_the_clients_stream_assembles_to_the_same_response(interleaves: bool) -> None:
    whole = client(WHOLE, []).responses.create(**ASK)

    with client(WHOLE, [], cuts=[1, 3, 7], interleaves=interleaves).responses.stream(**ASK) as stream:
        kinds = [one.type for one in stream]
        response = stream.get_final_response()

    assert kinds[:3] == ["response.created", "response.in_progress", "response.output_item.added"]
    assert kinds[-1] == "response.completed"
    assert kinds.count("response.output_text.delta") > 2
    assert response.output_text == "Let me look."
    assert [fields(item.to_dict()) for item in response.output] == [fields(item.to_dict()) for item in whole.output]


def fields(item: dict[str, Any]) -> dict[str, Any]:
    """An item without what the client's own parsing adds."""
    kept = {name: value for name, value in item.items() if name != "parsed_arguments"}
    if isinstance(kept.get("content"), list):
        kept["content"] = [{name: part[name] for name in part if name != "parsed"} for part in kept["content"]]
    return kept


def test_the_order_of_events_of_a_text() -> None:
    found = events(
        [chunk({"role": "assistant", "content": ""}), chunk({"content": "Hel"}), chunk({"content": "lo"}, "stop")]
    )

    assert [one["type"].removeprefix("response.") for one in found] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert found[6]["text"] == "Hello"
    assert found[8]["item"]["status"] == "completed"
    assert found[9]["response"]["output"] == [found[8]["item"]]


def test_thoughts_are_summaries_where_summaries_were_asked_for() -> None:
    chunks = [chunk({"reasoning": "hm"}), chunk({"content": "x"}, "stop")]

    asked = [one["type"] for one in events(chunks, {**ASK, "reasoning": {"summary": "auto"}})]
    raw = [one["type"] for one in events(chunks)]

    assert "response.reasoning_summary_text.delta" in asked
    assert "response.reasoning_summary_part.done" in asked
    assert "response.reasoning_text.delta" in raw
    assert "response.reasoning_summary_text.delta" not in raw


def test_thoughts_make_the_way_back_through_the_client() -> None:
    body = {**ASK, "include": ["reasoning.encrypted_content"], "tools": [LOOK]}
    found = events(streamed(WHOLE, [4, 9]), body)
    output = found[-1]["response"]["output"]

    (assistant,) = to_chat({**body, "input": output})["messages"]

    said = WHOLE["choices"][0]["message"]
    assert assistant["reasoning_details"] == said["reasoning_details"]
    assert assistant["tool_calls"] == said["tool_calls"]
    foreign = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}
    assert to_chat({**ASK, "input": [{"role": "user", "content": "x"}, foreign]})["messages"] == [
        {"role": "user", "content": "x"}
    ]


def test_custom_and_namespaced_tools_come_back_as_what_they_are() -> None:
    calls = [
        {"id": "c1", "function": {"name": "apply_patch", "arguments": '{"input": "*** Begin\\n+x"}'}},
        {"id": "c2", "function": {"name": "files__read", "arguments": "{}"}},
        {"id": "c3", "function": {"name": "apply_patch", "arguments": "*** raw"}},
    ]
    whole = {"model": "m", "choices": [{"message": {"tool_calls": calls}, "finish_reason": "tool_calls"}]}

    output = from_chat(whole, {**ASK, "tools": [PATCH, SPACE]}, "1", 0)["output"]

    assert (output[0]["type"], output[0]["input"]) == ("custom_tool_call", "*** Begin\n+x")
    assert (output[1]["type"], output[1]["namespace"], output[1]["name"]) == ("function_call", "files", "read")
    assert output[2]["input"] == "*** raw"


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("stop", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
    ],
)
def test_how_it_ended(finish: str, status: str, reason: str | None) -> None:
    found = events([chunk({"content": "x"}, finish)])

    assert found[-1]["type"] == f"response.{status}"
    details = found[-1]["response"]["incomplete_details"]
    assert (details["reason"] if details else None) == reason


def test_a_broken_stream_ends_as_failed() -> None:
    translator = StreamTranslator(ASK, "1", 0)
    found = parsed([*translator.feed(chunk({"content": "Hel"})), *translator.error("it broke off", 502)])

    assert found[-1]["type"] == "response.failed"
    assert found[-1]["response"]["error"] == {"code": "server_error", "message": "it broke off"}
    assert translator.finish() == []


@given(
    answers(),
    st.lists(st.integers(0, 30), max_size=4),
    st.booleans(),
    st.sampled_from([{}, {"reasoning": {"summary": "auto"}}, {"include": ["reasoning.encrypted_content"]}]),
)
def test_any_stream_is_well_formed_and_says_what_the_whole_says(
    whole: dict[str, Any], cuts: list[int], interleaves: bool, extra: dict[str, Any]
) -> None:
    body = {**ASK, "tools": [LOOK], **extra}

    found = events(streamed(whole, cuts, interleaves=interleaves), body)

    final = found[-1]["response"]
    assert final == from_chat(whole, body, "1", 1_764_000_000)
    Response.model_validate(final)
    added = [one["output_index"] for one in found if one["type"] == "response.output_item.added"]
    done = {one["output_index"]: one["item"] for one in found if one["type"] == "response.output_item.done"}
    assert added == list(range(len(final["output"])))
    assert [done[i] for i in added] == final["output"]
    texts: dict[int, str] = {}
    for one in found:
        if one["type"].endswith(".delta"):
            texts[one["output_index"]] = texts.get(one["output_index"], "") + one["delta"]
    for i, item in enumerate(final["output"]):
        whole_text = item.get("arguments") or "".join(
            part["text"] for part in itertools.chain(item.get("content", ()), item.get("summary", ()))
        )
        assert texts.get(i, "") == whole_text


FIELDS = ("input", "tools", "tool_choice", "text", "reasoning", "instructions", "include", "metadata", "top_logprobs")


@given(st.dictionaries(st.sampled_from(FIELDS), json_values), json_values)
def test_any_request_is_translated_or_refused(extra: dict[str, Any], items: Any) -> None:
    for given_input in (
        items,
        [items],
        [{"role": "user", "content": items}],
        [{"type": "function_call", **(items if isinstance(items, dict) else {})}],
    ):
        with contextlib.suppress(InvalidRequestError):
            body = {**ASK, "input": given_input, **extra}
            json.dumps(to_chat(body))
            StreamTranslator(body, "1", 0)


@given(json_values)
def test_any_chunk_is_survived(value: Any) -> None:
    translator = StreamTranslator(ASK, "1", 0)
    legacy = completions.StreamTranslator()
    shapes = [
        value if isinstance(value, dict) else {},
        {"choices": value},
        {"choices": [value], "usage": value},
        chunk(
            {"content": value, "reasoning": value, "reasoning_details": value, "tool_calls": value, "refusal": value}
        ),
        chunk({"tool_calls": [value], "reasoning_details": [value]}),
    ]
    for shape in shapes:
        translator.feed(shape)
        from_chat(shape, ASK, "1", 0)
        legacy.feed(shape)
        completions.from_chat(shape)
    translator.finish()


# --- legacy completions


def test_a_legacy_completion() -> None:
    chat = completions.to_chat({"model": "m", "prompt": ["Once"], "stop": ["."], "echo": False, "routing": {}})
    assert chat == {
        "model": "m",
        "stop": ["."],
        "routing": {},
        "messages": [{"role": "user", "content": "Once"}],
        "max_tokens": 16,
    }

    found = completions.from_chat(WHOLE)
    Completion.model_validate(found)
    assert found["choices"][0]["text"] == "Let me look."
    assert found["usage"] == WHOLE["usage"]

    translator = completions.StreamTranslator()
    raw = [one for piece in streamed(WHOLE, [3]) for one in translator.feed(piece)] + translator.finish()
    bodies = [json.loads(one.decode().removeprefix("data: ")) for one in raw[:-1]]
    assert {body["object"] for body in bodies} == {"text_completion"}
    assert [choice["finish_reason"] for body in bodies for choice in body["choices"]][-1] == "stop"
    assert "".join(choice["text"] for body in bodies for choice in body["choices"]) == "Let me look."
    assert raw[-1] == b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    "extra",
    [{"prompt": [1, 2]}, {"prompt": ["a", "b"]}, {"suffix": "x"}, {"echo": True}, {"logprobs": 3}, {"best_of": 4}],
)
def test_what_only_a_text_completion_can_do_is_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        completions.to_chat({"model": "m", "prompt": "Once", **extra})
