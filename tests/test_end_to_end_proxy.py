"""The way of a call through a running proxy, with the real OpenAI client and upstreams that misbehave on command."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests import fake_upstream as fake
from tests.fake_upstream import FakeUpstream
from tests.proxy.publication import model, offer, row, snapshot, world, write
from tests.proxy.serving import Served, serving
from warehouse import published

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

HI: list[Any] = [{"role": "user", "content": "hi"}]


@dataclass
class House:
    """Two upstreams, `first` ranked before `second`, a proxy before them, and a client."""

    first: FakeUpstream
    second: FakeUpstream
    proxy: Served
    client: openai.AsyncOpenAI
    http: httpx.AsyncClient

    async def say(self, **more: Any) -> Any:
        return await self.client.chat.completions.create(**{"model": "auto", "messages": HI, **more})

    async def stream(self, **more: Any) -> list[Any]:
        return [chunk async for chunk in await self.say(stream=True, **more)]


@contextlib.asynccontextmanager
async def house(directory: Path, **settings: Any) -> AsyncIterator[House]:
    async with FakeUpstream() as first, FakeUpstream() as second:
        bases = settings.pop("bases", {"first": first.base_url, "second": second.base_url})
        first.script("*", fake.answer("from first"))
        second.script("*", fake.answer("from second"))
        async with serving(directory, bases, **settings) as proxy:
            client = openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key="unused", max_retries=0)
            async with client, httpx.AsyncClient(base_url=proxy.url, timeout=120) as http:
                yield House(first, second, proxy, client, http)


def text_of(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


@pytest.mark.canary
async def test_a_plain_call_and_its_headers(tmp_path: Path) -> None:
    """The best candidate answers; headers say which, why and how often was tried."""
    async with house(tmp_path) as at:
        raw = await at.client.chat.completions.with_raw_response.create(
            model="auto", messages=HI, extra_headers={"x-request-id": "mine-1"}
        )

        assert raw.parse().choices[0].message.content == "from first"
        wanted = {
            "x-request-id": "mine-1",
            "x-orchestrator-model": "vendor-first/model",
            "x-orchestrator-upstream": "first:first",
            "x-orchestrator-profile": "balanced",
            "x-orchestrator-attempts": "1",
        }
        assert wanted == {name: raw.headers[name] for name in wanted}
        told = (await at.http.get(f"/v1/decisions/{raw.headers['x-orchestrator-decision']}")).json()
        assert told["attempts"][0]["outcome"] == "answered"


@pytest.mark.canary
async def test_a_streamed_call(tmp_path: Path) -> None:
    """Chunks arrive as they are sent, usage only where it is asked for."""
    async with house(tmp_path) as at:
        at.first.script("*", fake.stream(["Hel", "lo"]))

        plain = await at.stream()
        with_usage = await at.stream(stream_options={"include_usage": True})

        assert (text_of(plain), text_of(with_usage)) == ("Hello", "Hello")
        assert all(chunk.usage is None for chunk in plain)
        assert with_usage[-1].usage is not None


async def test_tools_go_through_both_ways(tmp_path: Path) -> None:
    """The definitions reach the upstream as they were written, the calls come back as they were made."""
    tools: list[Any] = [
        {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    ]
    calls = [fake.tool_call("look", '{"at": "1.0"}', "call_1"), fake.tool_call("look", "{}", "call_2")]
    async with house(tmp_path) as at:
        at.first.script("*", fake.answer(None, tool_calls=calls))

        whole = await at.say(tools=tools, parallel_tool_calls=True)
        streamed = await at.stream(tools=tools)

        assert tools == at.first.calls[0].body["tools"]
        assert [one.function.arguments for one in whole.choices[0].message.tool_calls] == ['{"at": "1.0"}', "{}"]
        ids = [
            one.id
            for chunk in streamed
            for one in (chunk.choices and chunk.choices[0].delta.tool_calls) or ()
            if one.id
        ]
        assert ids == ["call_1", "call_2"]


def test_the_synchronous_client(tmp_path: Path) -> None:
    """The same, from a thread of its own."""

    async def run() -> tuple[str, str]:
        async with house(tmp_path) as at:

            def ask() -> tuple[str, str]:
                with openai.OpenAI(base_url=f"{at.proxy.url}/v1", api_key="unused", max_retries=0) as client:
                    whole = client.chat.completions.create(model="auto:budget", messages=HI)
                    parts = list(client.chat.completions.create(model="auto", messages=HI, stream=True))
                return whole.choices[0].message.content or "", text_of(parts)

            return await asyncio.to_thread(ask)

    assert asyncio.run(run()) == ("from second", "from first")


BAD = {
    "429": fake.status(429),
    "500": fake.status(500),
    "503 with a page": fake.raw(b"<html>busy</html>", 503, "text/html"),
    "reset": fake.reset(),
    "hang up": fake.hangup(),
    "garbage": fake.garbage(),
    "wrong type": fake.wrong_content_type(),
    "truncated": fake.truncated_json(),
    "short": fake.short_body(),
    "gzip garbage": fake.gzip_garbage(),
    "empty": fake.empty_body(),
    "no content": fake.no_content(),
    "error in 200": fake.error_in_200(),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("is_stream", [False, True])
async def test_whatever_the_first_candidate_does_the_second_answers(tmp_path: Path, name: str, is_stream: bool) -> None:
    """The client sees one good answer."""
    async with house(tmp_path) as at:
        at.first.script("*", BAD[name])

        text = text_of(await at.stream()) if is_stream else (await at.say()).choices[0].message.content

        assert text == "from second"


async def test_a_refused_connection_fails_over(tmp_path: Path) -> None:
    """Nobody listens there."""
    with fake.refusing_base_url() as nobody:
        async with house(tmp_path) as at, FakeUpstream() as second:
            second.script("*", fake.answer("from second"))
            bases = {"first": nobody, "second": second.base_url}
            async with serving(tmp_path / "other", bases) as proxy:
                answer = await at.http.post(f"{proxy.url}/v1/chat/completions", json={"model": "auto", "messages": HI})

    assert (
        answer.headers["x-orchestrator-attempts"],
        answer.headers["x-orchestrator-upstream"],
    ) == ("2", "second:second")


@pytest.mark.parametrize("stall", [fake.stall_before_headers, fake.stall_after_headers])
async def test_a_stall_fails_over(tmp_path: Path, stall: Any) -> None:
    """When the first candidate's time is over."""
    async with house(tmp_path, first_byte_timeout_s=1.0) as at:
        at.first.script("*", stall())

        assert text_of(await at.stream()) == "from second"
        await at.first.calls[0].ended.wait()
        assert at.first.calls[0].is_cancelled


async def test_a_break_amid_a_stream_is_an_error_and_nothing_is_made_again(tmp_path: Path) -> None:
    """The client keeps what it got, and learns that it is not all."""
    async with house(tmp_path) as at:
        at.first.script("*", fake.break_mid_stream(["Hel"]))
        got: list[Any] = []

        async def read() -> None:
            async for chunk in await at.say(stream=True):
                got.append(chunk)

        with pytest.raises(openai.APIError, match="failed amid the answer"):
            await read()

        assert text_of(got) == "Hel"
        assert len(at.second.calls) == 0


async def test_the_fourth_call_skips_the_broken_candidate_until_the_cooldown_ends(tmp_path: Path) -> None:
    """And `/v1/status` says so."""
    async with house(tmp_path) as at:
        at.first.script("*", fake.status(500))
        for _ in range(4):
            await at.say()

        assert len(at.first.calls) == 3
        (breaker,) = (await at.http.get("/v1/status")).json()["breakers"]
        assert (breaker["key"], breaker["state"]) == ("first:first", "open")

        at.first.script("*", fake.answer("well again"))
        at.proxy.clock.added_s += 60
        assert (await at.say()).choices[0].message.content == "well again"
        assert (await at.http.get("/v1/status")).json()["breakers"] == []


async def test_a_client_that_hangs_up_cancels_the_upstream_call(tmp_path: Path) -> None:
    """Before the first byte as well as amid the stream; no breaker hears of it."""
    async with house(tmp_path) as at:
        at.first.script("*", fake.stall_before_headers(), fake.stall_mid_stream(after=1))
        waiting = asyncio.create_task(at.say())
        call = await at.first.wait_for_calls(1)
        waiting.cancel()
        await call.ended.wait()

        stream = await at.say(stream=True)
        async for _ in stream:
            break
        await stream.close()
        await at.first.calls[1].ended.wait()

        assert (at.first.calls[0].is_cancelled, at.first.calls[1].is_cancelled) == (True, True)
        assert (await at.http.get("/v1/status")).json()["breakers"] == []


async def test_what_the_proxy_does_not_know_reaches_the_upstream_untouched(tmp_path: Path) -> None:
    """Byte for byte, in numbers and escapes too; only the model's name changes, and the proxy's own fields go."""
    body = (
        b'{"model":"auto","temperature":0.10,"x_new_field":{"a":[1.50,"\\u00e9"]},'
        b'"messages":[{"role":"user","content":"caf\\u00e9 1.0"}],"routing_profile":"balanced"}'
    )
    async with house(tmp_path) as at:
        await at.http.post("/v1/chat/completions", content=body)

        raw = at.first.calls[0].raw
        for part in (b"0.10", b'{"a":[1.50,"\\u00e9"]}', b'"caf\\u00e9 1.0"'):
            assert part in raw
        assert at.first.calls[0].model == "first"
        assert b"routing_profile" not in raw


async def test_an_answer_reaches_the_client_with_what_it_cost(tmp_path: Path) -> None:
    """Vendors' own fields are untouched; who served it and the cost are added, because clients lose headers."""
    body = fake.completion("first", "hello", vendor_field={"x": 1})
    async with house(tmp_path) as at:
        at.first.script("*", fake.json_body(body))

        answer = await at.http.post("/v1/chat/completions", json={"model": "auto", "messages": HI})

        provider, cost = answer.json().pop("provider"), answer.json()["usage"]["cost"]
        assert {**body, "provider": provider, "usage": {**body["usage"], "cost": cost}} == answer.json()
        assert (provider, cost > 0) == ("first", True)


async def test_names_that_lead_to_a_model(tmp_path: Path) -> None:
    """Our id, in any case, an upstream's name, an alias from the linkage; an unknown name gets the nearest."""
    async with house(tmp_path) as at:
        for name in ("vendor-second/model", "Vendor-Second/MODEL", "second", "second:second"):
            assert (await at.say(model=name)).choices[0].message.content == "from second"
        with pytest.raises(openai.NotFoundError) as caught:
            await at.say(model="vendor-secnd/model")

        assert caught.value.code == "model_not_found"
        assert "vendor-second/model" in caught.value.message


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"{", 400, None),
        (b"[]", 400, None),
        (b'{"model": "auto"}', 400, "messages"),
        (b'{"model": "auto", "messages": []}', 400, "messages"),
        (b'{"model": "auto", "messages": ["x"]}', 400, "messages[0]"),
        (b'{"messages": [{"role": "user", "content": "x"}]}', 400, "model"),
        (b'{"model": 7, "messages": [{"role": "user", "content": "x"}]}', 400, "model"),
        (b'{"model": "auto:nope", "messages": [{"role": "user", "content": "x"}]}', 400, "routing_profile"),
        (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "stream": "yes"}', 400, "stream"),
        (b"x" * 3000, 413, None),
        (b"\xff\xfe", 400, None),
    ],
)
async def test_a_body_that_cannot_be_meant(tmp_path: Path, body: bytes, status: int, param: str | None) -> None:
    """The caller's mistake, in OpenAI's shape, and nothing is called."""
    async with house(tmp_path, max_body_bytes=2000) as at:
        answer = await at.http.post("/v1/chat/completions", content=body)

        error = answer.json()["error"]
        assert (status, "invalid_request_error", param) == (answer.status_code, error["type"], error["param"])
        assert answer.headers["x-request-id"] == error["request_id"]
        assert len(at.first.calls) == 0


async def test_the_key_is_asked_for_everywhere_but_at_health(tmp_path: Path) -> None:
    """As Bearer or x-api-key."""
    async with house(tmp_path, api_key="sesame") as at:
        body = {"model": "auto", "messages": HI}
        refused = await at.http.post("/v1/chat/completions", json=body, headers={"authorization": "Bearer no"})
        given = [
            (await at.http.post("/v1/chat/completions", json=body, headers=headers)).status_code
            for headers in ({"authorization": "Bearer sesame"}, {"x-api-key": "sesame"}, {"x-api-key": ""}, {})
        ]
        others = [(await at.http.get(path)).status_code for path in ("/v1/models", "/metrics", "/health", "/nope")]

        assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")
        assert given == [200, 200, 401, 401]
        assert others == [401, 401, 200, 401]


async def test_without_a_key_rankings_work_and_a_chat_call_says_what_to_set(tmp_path: Path) -> None:
    """Nothing to call is no reason to show nothing."""
    async with house(tmp_path, key="FIRST_KEY") as at:
        rankings = await at.http.get("/v1/models/rankings", params={"profile": "balanced", "limit": 1})
        route = await at.http.get("/v1/route", params={"prompt": "hello"})
        chat = await at.http.post("/v1/chat/completions", json={"model": "auto", "messages": HI})
        ready = await at.http.get("/health/ready")

        assert (
            rankings.json()["rankings"][0]["model"],
            rankings.json()["rankings"][0]["callable"],
        ) == ("vendor-first/model", False)
        assert route.json()["candidates"][0]["model"] == "vendor-first/model"
        assert (chat.status_code, ready.status_code) == (503, 503)
        assert "FIRST_KEY is not set" in chat.json()["error"]["message"]


async def test_listings(tmp_path: Path) -> None:
    """What a client may ask for, in OpenAI's shape; the profiles and their weights."""
    async with house(tmp_path) as at:
        listed = [one.id async for one in at.client.models.list()]
        one = await at.client.models.retrieve("vendor-first/model")
        profiles = (await at.http.get("/v1/routing_profiles")).json()
        page = (await at.http.get("/v1/models/rankings", params={"profile": "budget", "limit": 5})).json()
        metrics = (await at.http.get("/metrics")).text

        assert listed == ["auto", "auto:balanced", "auto:budget", "vendor-first/model", "vendor-second/model"]
        assert one.model_dump()["context_length"] == 128_000
        assert (profiles["default"], [p["id"] for p in profiles["data"]]) == ("balanced", ["balanced", "budget"])
        assert [r["model"] for r in page["rankings"]] == ["vendor-second/model", "vendor-first/model"]
        assert "orchestrator_snapshot_age_seconds" in metrics


async def test_errors_of_the_framework_have_the_same_shape(tmp_path: Path) -> None:
    """A path that is not there, a method that is not, a number that is none."""
    async with house(tmp_path) as at:
        for method, path, status in (
            ("GET", "/v1/nope", 404),
            ("DELETE", "/v1/models", 405),
            ("GET", "/v1/chat/completions", 405),
            ("GET", "/v1/models/rankings?limit=0", 400),
            ("GET", "/v1/models/rankings?limit=x", 400),
            ("GET", "/v1/models/rankings?profile=nope", 400),
        ):
            answer = await at.http.request(method, path)

            assert (status, {"message", "type", "param", "code"}) == (
                answer.status_code,
                answer.json()["error"].keys() - {"request_id"},
            )
            assert answer.headers["x-request-id"]


async def test_a_new_publication_is_in_use_without_losing_a_call(tmp_path: Path) -> None:
    """Calls go on while the file is replaced; a publication of another contract changes nothing and is reported."""
    async with house(tmp_path, reload_poll_s=0.02) as at:
        first, second = (
            offer(f"vendor-{name}/model", upstream=name, upstream_model=name) for name in ("first", "second")
        )

        async def until(wanted: str) -> str:
            async with asyncio.timeout(60):
                while (said := (await at.say()).choices[0].message.content) != wanted:
                    pass
            return said

        write(at.proxy.published, world([second, first], publication_id="20260823T000000"))
        assert await until("from second") == "from second"

        old = world([first, second], publication_id="20260824T000000")
        write(at.proxy.published, [snapshot("20260824T000000", contract_version=99), *old[1:]])
        async with asyncio.timeout(60):
            while (health := (await at.http.get("/health")).json())["status"] != "degraded":
                await asyncio.sleep(0.01)
        assert (health["status"], health["publication"]) == ("degraded", "20260823T000000")
        assert "version 99" in health["problem"]
        assert (await at.say()).choices[0].message.content == "from second"


async def test_outcomes_are_written_without_a_word_of_the_prompt(tmp_path: Path) -> None:
    """One line an attempt, finished when the proxy stops."""
    async with house(tmp_path) as at:
        at.first.script("*", fake.status(500))
        await at.say(messages=[{"role": "user", "content": "my secret question"}])

    (segment,) = (tmp_path / "outcomes").glob("*.jsonl")
    text = segment.read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert [(one["upstream"], one["outcome"]) for one in rows] == [("first", "malformed"), ("second", "answered")]
    assert "secret" not in text


async def test_an_address_that_is_not_allowed_is_never_called(tmp_path: Path) -> None:
    """A loopback upstream that the allowlist does not name cannot be called, and the error says so."""
    async with house(tmp_path, allowed_domains=()) as at:
        answer = await at.http.post("/v1/chat/completions", json={"model": "auto", "messages": HI})

        assert (answer.status_code, "ORCHESTRATOR_ALLOWED_DOMAINS" in answer.text) == (503, True)
        assert len(at.first.calls) == 0


async def test_difficulty_chooses_the_list(tmp_path: Path) -> None:
    """A greeting and a proof go where their bands' rankings say."""
    cheap, strong = (offer(f"vendor-{name}/model", upstream=name, upstream_model=name) for name in ("first", "second"))
    rows = [
        one
        for one in world([cheap, strong])
        if not (isinstance(one, published.BandRanking) and one.difficulty_band != "easy")
    ]
    for rank, one in enumerate((strong, cheap), 1):
        about = {"model_id": one.model_id, "offer_id": one.offer_id, "rank": rank, "score": 1 / rank}
        rows += [
            row(published.BandRanking, profile="balanced", difficulty_band=band, **about) for band in ("medium", "hard")
        ]
    (tmp_path / "published").mkdir()
    write(tmp_path / "published" / "orchestrator.duckdb", [*rows, model("unused/model")])
    proof = (
        "Prove rigorously that for every prime p > 3 the sum of the inverses of 1, ..., p-1 modulo p^2 vanishes "
        "(Wolstenholme's theorem), and derive the analogous congruence for the binomial coefficient C(2p, p). "
        "Then implement a verified O(n log n) algorithm in Rust and analyse its complexity step by step."
    )
    async with house(tmp_path) as at:
        greeting = await at.say(messages=[{"role": "user", "content": "hello there, good morning!"}])
        hard = await at.http.post(
            "/v1/chat/completions", json={"model": "auto", "messages": [{"role": "user", "content": proof}]}
        )

        assert greeting.choices[0].message.content == "from first"
        assert hard.headers["x-orchestrator-upstream"] == "second:second"


async def test_a_model_that_is_known_but_offered_nowhere_is_told_apart_from_one_that_is_not(tmp_path: Path) -> None:
    """Weights that no upstream serves, by any of their names."""
    offered = offer("vendor-first/model", upstream="first", upstream_model="first")
    record = row(
        published.ModelRecord, source="huggingface", record_id="Vendor/Weights-7B", model_id="vendor/weights-7b"
    )
    (tmp_path / "published").mkdir()
    rows = [*world([offered]), model("vendor/weights-7b", kind="base"), record]
    write(tmp_path / "published" / "orchestrator.duckdb", rows)
    async with house(tmp_path) as at:
        for name, words in (("vendor/weights-7B", "is known, but no upstream offers it"), ("nope", "does not exist")):
            answer = await at.http.post("/v1/chat/completions", json={"model": name, "messages": HI})

            assert (answer.status_code, words in answer.json()["error"]["message"]) == (404, True)


async def test_a_changed_upstreams_file_is_used_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    """Without a restart; `/v1/status` says why a bad file is not used."""
    async with house(tmp_path, reload_poll_s=0.02) as at:
        file = tmp_path / "upstreams.toml"
        good = file.read_text()
        file.write_text(good + '\n[third]\nbase_url = "nonsense"\n')

        async def status_until(name: str, is_wanted: Any) -> dict[str, Any]:
            async with asyncio.timeout(60):
                while not is_wanted((status := (await at.http.get("/v1/status")).json())[name]):
                    await asyncio.sleep(0.02)
            return status  # type: ignore[no-any-return]

        status = await status_until("upstreams_problem", bool)
        assert "[third]" in status["upstreams_problem"]
        assert (await at.say()).choices[0].message.content == "from first"

        file.write_text(good.split("[second]")[1].join(("[second]", "")))
        status = await status_until("upstreams", lambda found: [one["name"] for one in found] == ["second"])
        assert status["upstreams_problem"] is None
        async with asyncio.timeout(60):
            while (await at.say()).choices[0].message.content != "from second":
                await asyncio.sleep(0.02)
        assert (await at.say()).choices[0].message.content == "from second"


async def test_odd_clients_are_served(tmp_path: Path) -> None:
    """HTTP/1.0 without keep-alive, HEAD, a reader so slow that the upstream has to wait for it."""
    async with house(tmp_path) as at:
        port = int(at.proxy.url.rsplit(":", 1)[1])
        body = json.dumps({"model": "auto", "messages": HI}).encode()

        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /v1/chat/completions HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        assert answer.split(b" ", 2)[1] == b"200"
        assert b"from first" in answer

        head = await at.http.head("/v1/models")
        assert (head.status_code, head.content) == (200, b"")

        at.first.script("*", fake.stream(["x" * 10_000] * 3_000))
        streamed = json.dumps({"model": "auto", "messages": HI, "stream": True}).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(streamed) + streamed)
        call = await at.first.wait_for_calls(2)
        before = 0
        while call.bytes_sent == 0:
            await asyncio.sleep(0.01)
        while call.bytes_sent != before:
            before = call.bytes_sent
            await asyncio.sleep(0.3)
        # Far less than the 30 MB it would send: the rest waits for the reader.
        assert 0 < call.bytes_sent < 20_000_000
        got = b""
        while b"[DONE]" not in got[-200:]:
            got = got[-200:] + await asyncio.wait_for(reader.read(1_000_000), 60)
        writer.close()
