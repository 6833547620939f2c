"""Clients that speak other shapes than chat completions, against a running proxy whose upstreams only chat."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests import fake_upstream as fake
from tests.fake_upstream import FakeUpstream
from tests.proxy.publication import offer
from tests.proxy.serving import serving

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


@dataclass
class House:
    first: FakeUpstream
    second: FakeUpstream
    client: openai.AsyncOpenAI
    http: httpx.AsyncClient


@contextlib.asynccontextmanager
async def house(directory: Path, **settings: Any) -> AsyncIterator[House]:
    async with FakeUpstream() as first, FakeUpstream() as second:
        first.script("*", fake.answer("from first"))
        second.script("*", fake.answer("from second"))
        bases = {"first": first.base_url, "second": second.base_url}
        async with serving(directory, bases, **settings) as proxy:
            client = openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key="unused", max_retries=0)
            async with client, httpx.AsyncClient(base_url=proxy.url, timeout=120) as http:
                yield House(first, second, client, http)


def events_of(text: str) -> list[tuple[str | None, Any]]:
    """Name and data of each event."""
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if lines:
            found.append((lines.get("event"), json.loads(lines["data"]) if lines["data"] != "[DONE]" else "[DONE]"))
    return found


async def test_responses_whole_and_streamed(tmp_path: Path) -> None:
    """OpenAI's own client reads both; the first candidate's failure is not seen."""
    async with house(tmp_path) as at:
        at.first.script("*", fake.status(500))

        whole = await at.client.responses.create(model="auto", input="hi", instructions="Be brief.")
        kinds, text = [], ""
        async for one in await at.client.responses.create(model="auto", input="hi", stream=True):
            kinds.append(one.type)
            text += one.delta if one.type == "response.output_text.delta" else ""

        assert whole.output_text == "from second"
        assert [one["role"] for one in at.second.calls[0].body["messages"]] == ["system", "user"]
        assert (text, kinds[0], kinds[-1]) == ("from second", "response.created", "response.completed")


async def test_messages_whole_and_streamed(tmp_path: Path) -> None:
    """Anthropic's shape: blocks, stop reason, usage; events in their order and no `[DONE]`."""
    body = {"model": "auto", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    async with house(tmp_path) as at:
        whole = (await at.http.post("/v1/messages", json=body)).json()
        streamed = events_of((await at.http.post("/v1/messages", json={**body, "stream": True})).text)

        assert (whole["type"], whole["content"], whole["stop_reason"]) == (
            "message",
            [{"type": "text", "text": "from first"}],
            "end_turn",
        )
        assert whole["usage"]["output_tokens"] > 0
        names = [name for name, _ in streamed]
        assert (names[0], names[-1]) == ("message_start", "message_stop")
        text = "".join(data["delta"].get("text", "") for name, data in streamed if name == "content_block_delta")
        assert text == "from first"


async def test_errors_are_in_the_shape_of_the_client(tmp_path: Path) -> None:
    """Refusals, unknown models and a missing key, before and amid a stream."""
    body = {"model": "auto", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    async with house(tmp_path, api_key="sesame") as at:
        keyless = await at.http.post("/v1/messages", json=body)
        at.http.headers["x-api-key"] = "sesame"
        unknown = await at.http.post("/v1/messages", json={**body, "model": "nope/nope"})
        bad = await at.http.post("/v1/messages", json={"model": "auto"})
        at.first.script("*", fake.break_mid_stream(["Hel"]))
        broken = events_of((await at.http.post("/v1/messages", json={**body, "stream": True})).text)

        assert (keyless.status_code, keyless.json()["error"]["type"]) == (401, "authentication_error")
        assert (unknown.status_code, unknown.json()["error"]["type"]) == (404, "not_found_error")
        assert (bad.status_code, bad.json()["type"]) == (400, "error")
        assert broken[-1][0] == "error"
        assert "failed amid the answer" in broken[-1][1]["error"]["message"]


async def test_legacy_completions(tmp_path: Path) -> None:
    """A prompt in, a text out, also streamed."""
    async with house(tmp_path) as at:
        whole = await at.client.completions.create(model="auto", prompt="once upon")
        parts = [one async for one in await at.client.completions.create(model="auto", prompt="once upon", stream=True)]

        assert whole.choices[0].text == "from first"
        assert "".join(part.choices[0].text for part in parts if part.choices) == "from first"


async def test_tokens_are_counted_without_a_call(tmp_path: Path) -> None:
    """As Claude-style clients ask before they send."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "word " * 100}]}
    async with house(tmp_path) as at:
        counted = (await at.http.post("/v1/messages/count_tokens", json=body)).json()

        assert 80 < counted["input_tokens"] < 200
        assert at.first.calls == []


async def test_models_in_the_shape_that_the_client_asks_for(tmp_path: Path) -> None:
    """Anthropic's header gets Anthropic's list."""
    async with house(tmp_path) as at:
        listed = (await at.http.get("/v1/models", headers={"anthropic-version": "2023-06-01"})).json()

        assert listed["data"][0].keys() >= {"id", "type", "display_name", "created_at"}
        assert listed["has_more"] is False
        assert "auto" in [one["id"] for one in listed["data"]]


async def test_embeddings_go_to_what_makes_them(tmp_path: Path) -> None:
    """By name only; a chat model makes none; the second upstream that has it takes over."""
    offers = [
        offer("v/embed", upstream=name, upstream_model="embed", kind="embedding", is_callable=False, is_free=False)
        for name in ("first", "second")
    ]
    async with house(tmp_path, offers=[*offers, offer("v/chat", upstream="first", upstream_model="chat")]) as at:
        at.first.script("*", fake.status(500))
        at.second.script("*", fake.embeddings())
        found = await at.client.embeddings.create(model="v/embed", input=["a", "b"], encoding_format="float")
        auto = await at.http.post("/v1/embeddings", json={"model": "auto", "input": "a"})
        chat = await at.http.post("/v1/embeddings", json={"model": "v/chat", "input": "a"})

        assert len(found.data) == 2
        assert [one.path for one in at.second.calls] == ["/v1/embeddings"]
        assert (auto.status_code, chat.status_code) == (400, 400)
        assert "1 lack embeddings" in chat.json()["error"]["message"]


async def test_anthropics_own_client(tmp_path: Path) -> None:
    """Its streaming helper, tools both ways, and its errors."""
    tools: list[Any] = [{"name": "look", "description": "Look.", "input_schema": {"type": "object", "properties": {}}}]
    hi: list[Any] = [{"role": "user", "content": "hi"}]
    async with (
        house(tmp_path) as at,
        anthropic.AsyncAnthropic(base_url=str(at.http.base_url), api_key="unused", max_retries=0) as client,
    ):
        async with client.messages.stream(model="auto", max_tokens=50, messages=hi) as stream:
            text = "".join([piece async for piece in stream.text_stream])
            final = await stream.get_final_message()
        at.first.script("*", fake.answer(None, tool_calls=[fake.tool_call("look", {"at": 1}, "call_1")]))
        called = await client.messages.create(model="auto", max_tokens=50, messages=hi, tools=tools)
        counted = await client.messages.count_tokens(model="auto", messages=hi)
        with pytest.raises(anthropic.NotFoundError):
            await client.messages.create(model="nope/nope", max_tokens=50, messages=hi)

        assert (text, final.stop_reason) == ("from first", "end_turn")
        (block,) = called.content
        assert (called.stop_reason, block.type, block.name, block.input) == ("tool_use", "tool_use", "look", {"at": 1})
        assert at.first.calls[1].body["tools"][0]["function"]["name"] == "look"
        assert counted.input_tokens > 0
