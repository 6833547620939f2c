"""Policies as clients meet them: a real proxy on loopback, fake upstreams behind it, plain HTTP before it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from proxy.explain import as_text
from proxy.keys import hash_of
from proxy.routes.chat import ChatRoute
from tests.fake_upstream import FakeUpstream, answer, break_mid_stream, stall_before_headers, status, stream
from tests.proxy.publication import category_ranking, offer, world, write
from tests.proxy.serving import Served, serving
from warehouse.published import Offer

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

PATH = "/v1/chat/completions"


class Place:
    """A proxy, its upstreams by name, and a client."""

    def __init__(self, proxy: Served, upstreams: dict[str, FakeUpstream], client: httpx.AsyncClient) -> None:
        self.proxy = proxy
        self.up = upstreams
        self.client = client

    async def ask(self, key: str | None = None, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        sent = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], **body}
        bearer = {"authorization": f"Bearer {key}"} if key else {}
        return await self.client.post(PATH, json=sent, headers={**bearer, **(headers or {})})

    async def decision(self, response: httpx.Response, key: str | None = None) -> dict[str, Any]:
        bearer = {"authorization": f"Bearer {key}"} if key else {}
        found = await self.client.get(f"/v1/decisions/{response.headers['x-orchestrator-decision']}", headers=bearer)
        return found.json()  # type: ignore[no-any-return]


@asynccontextmanager
async def place(
    directory: Path,
    names: Sequence[str] = ("one", "two"),
    offers: Sequence[Offer] | None = None,
    keys: str | None = None,
    **how: Any,
) -> AsyncIterator[Place]:
    environment = dict(how.pop("environment", {}))
    if keys is not None:
        file = directory / "keys.toml"
        file.write_text(keys)
        environment["ORCHESTRATOR_KEYS"] = str(file)
    async with AsyncExitStack() as stack:
        upstreams = {name: await stack.enter_async_context(FakeUpstream()) for name in names}
        for name, up in upstreams.items():
            up.script("*", answer(f"I am {name}"))
        bases = {name: up.base_url for name, up in upstreams.items()}
        proxy = await stack.enter_async_context(serving(directory, bases, offers, environment=environment, **how))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=proxy.url, timeout=120))
        yield Place(proxy, upstreams, client)


def row(name: str, **fields: Any) -> str:
    """A row of keys.toml whose key is `sk-<name>`."""
    lines = [f'[{name}]\nsha256 = "{hash_of(f"sk-{name}")}"']
    lines += [f"{field} = {json.dumps(value)}" for field, value in fields.items()]
    return "\n".join(lines) + "\n"


def said(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    return str(response.json()["choices"][0]["message"]["content"])


async def test_a_key_opens_what_it_allows_and_nothing_else(tmp_path: Path) -> None:
    """Without a key nothing; with one its profiles, its models, and no operator's paths."""
    keys = (
        row("alice", profiles=["budget"])
        + row("bob", models=["vendor-two/*"])
        + row("olga", is_operator=True)
        + row("gone", enabled=False)
    )
    async with place(tmp_path, keys=keys) as at:
        assert (await at.ask()).status_code == 401
        assert (await at.ask("sk-nobody")).status_code == 401
        gone = await at.ask("sk-gone")
        assert gone.status_code == 401
        assert "switched off" in gone.json()["error"]["message"]
        # The budget profile ranks in reverse: alice's own default is the only one she may use.
        assert said(await at.ask("sk-alice")) == "I am two"
        refused = await at.ask("sk-alice", model="auto:balanced")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_allowed")
        assert said(await at.ask("sk-bob")) == "I am two"
        assert (await at.ask("sk-bob", model="vendor-one/model")).status_code == 400
        bearer = {"authorization": "Bearer sk-alice"}
        assert (await at.client.get("/v1/decisions", headers=bearer)).status_code == 403
        breakers = "/v1/status/breakers/close"
        assert (await at.client.post(breakers, json={"key": "x"}, headers=bearer)).status_code == 403
        operator = {"authorization": "Bearer sk-olga"}
        assert (await at.client.get("/v1/decisions", headers=operator)).status_code == 200
        theirs = await at.ask("sk-bob")
        decision = theirs.headers["x-orchestrator-decision"]
        assert (await at.client.get(f"/v1/decisions/{decision}", headers=bearer)).status_code == 404
        assert (await at.decision(theirs, "sk-bob"))["key"] == "bob"


async def test_a_budget_is_spent_by_what_calls_report_and_then_refuses(tmp_path: Path) -> None:
    """Three calls of 4 cents, two whole and one streamed, spend a dime; a failed one spent nothing."""
    async with place(tmp_path, ("one",), keys=row("alice", budget_usd_per_day=0.1)) as at:
        at.up["one"].script("*", status(500), answer("hello", cost=0.04), stream(cost=0.04), answer("again", cost=0.04))
        assert (await at.ask("sk-alice", max_tokens=10)).status_code == 502
        bearer = {"authorization": "Bearer sk-alice"}
        after_failure = (await at.client.get("/v1/key", headers=bearer)).json()
        assert after_failure["usage"]["spent_usd_this_day"] == 0
        assert after_failure["usage"]["running"] == 0
        for streamed in (False, True, False):
            assert (await at.ask("sk-alice", max_tokens=10, stream=streamed)).status_code == 200
        refused = await at.ask("sk-alice", max_tokens=10)
        about = (await at.client.get("/v1/key", headers=bearer)).json()

    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "budget_spent")
    assert int(refused.headers["retry-after"]) > 0
    assert about["usage"]["spent_usd_this_day"] == pytest.approx(0.12)
    assert about["usage"]["reserved_usd_this_day"] == 0
    assert about["limits"] == {"budget_usd_per_day": 0.1}


async def test_two_hundred_calls_at_once_overshoot_a_budget_by_at_most_one(tmp_path: Path) -> None:
    """Through every layer: what was answered is what was paid, and the last call is the only one that may exceed."""
    async with place(tmp_path, ("one",), keys=row("alice", budget_usd_per_day=0.5)) as at:
        at.up["one"].script("*", answer("hello", cost=0.05))
        found = await asyncio.gather(*(at.ask("sk-alice", max_tokens=20_000) for _ in range(200)))
        answered = [one for one in found if one.status_code == 200]
        usage = (await at.client.get("/v1/key", headers={"authorization": "Bearer sk-alice"})).json()["usage"]

    assert {one.status_code for one in found} <= {200, 402, 429}
    assert 0.05 * len(answered) < 0.5 + 0.05
    assert usage["spent_usd_this_day"] == pytest.approx(0.05 * len(answered))
    assert (usage["reserved_usd_this_day"], usage["running"]) == (0, 0)
    assert all("retry-after" in one.headers for one in found if one.status_code != 200)


async def test_hanging_up_before_the_usage_comes_is_not_free(tmp_path: Path) -> None:
    """What was served is estimated and charged, and the lease is given back."""
    async with place(tmp_path, ("one",), keys=row("alice", budget_usd_per_day=1.0)) as at:
        at.up["one"].script("*", stream(["Hel", "lo"], stall_after=1))
        body = {"model": "auto", "messages": [{"role": "user", "content": "hi " * 2000}], "stream": True}
        bearer = {"authorization": "Bearer sk-alice"}
        async with at.client.stream("POST", PATH, json=body, headers=bearer) as response:
            async for _ in response.aiter_bytes():
                break
        usage: dict[str, Any] = {"running": 1}
        async with asyncio.timeout(60):
            while usage["running"]:
                usage = (await at.client.get("/v1/key", headers=bearer)).json()["usage"]

    assert usage["spent_usd_this_day"] > 0.001
    assert usage["reserved_usd_this_day"] == 0


async def test_calls_at_a_time_are_bounded_by_the_key(tmp_path: Path) -> None:
    """The second waits for nobody: it is told to try again."""
    async with place(tmp_path, ("one",), keys=row("alice", concurrency=1)) as at:
        at.up["one"].script("*", stream(["a", "b"], stall_after=1))
        running = asyncio.create_task(at.ask("sk-alice", stream=True))
        await at.up["one"].wait_for_calls(1)
        refused = await at.ask("sk-alice")
        at.up["one"].release()
        assert (await running).status_code == 200
        at.up["one"].script("*", answer("free again"))
        assert said(await at.ask("sk-alice")) == "free again"

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert refused.headers["retry-after"] == "1"


async def test_openrouters_fields_choose_among_upstreams(tmp_path: Path) -> None:
    """Only, ignore, a sort, a ceiling, a suffix; and no fallbacks means one try."""
    offers = [
        offer("vendor/model", upstream="one", upstream_model="m1", price_in_usd_per_mtok=3.0, latency_ms=100.0),
        offer("vendor/model", upstream="two", upstream_model="m2", throughput_tokens_per_s=500.0, latency_ms=900.0),
    ]
    async with place(tmp_path, offers=offers) as at:
        assert said(await at.ask()) == "I am one"
        assert said(await at.ask(provider={"only": ["two"]})) == "I am two"
        assert said(await at.ask(provider={"ignore": ["one"]})) == "I am two"
        assert said(await at.ask(provider={"order": ["two"]})) == "I am two"
        assert said(await at.ask(provider={"sort": "price"})) == "I am two"
        assert said(await at.ask(provider={"sort": "latency"})) == "I am one"
        assert said(await at.ask(provider={"max_price": {"prompt": 2}})) == "I am two"
        assert said(await at.ask(model="vendor/model:nitro")) == "I am two"
        assert said(await at.ask(model="vendor/model:floor")) == "I am two"
        named = await at.ask(provider={"only": ["two"], "enforce_distillable_text": True})
        assert named.headers["x-orchestrator-dropped"] == "provider.enforce_distillable_text"
        assert "provider" not in at.up["two"].calls[-1].body
        nothing = await at.ask(provider={"only": ["elsewhere"]})
        assert nothing.status_code == 400
        assert "not served by elsewhere" in nothing.json()["error"]["message"]
        wrong = await at.ask(provider={"sort": "beauty"})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "provider.sort")

        at.up["one"].script("*", status(500))
        before = len(at.up["two"].calls)
        alone = await at.ask(provider={"allow_fallbacks": False})
        assert alone.status_code == 502
        assert alone.headers["x-orchestrator-attempts"] == "1"
        assert len(at.up["two"].calls) == before


async def test_our_own_object_is_strict_and_does_what_it_says(tmp_path: Path) -> None:
    """An unknown field is 400 with those there are; difficulty, profile and attempts are obeyed."""
    async with place(tmp_path) as at:
        unknown = await at.ask(routing={"profil": "speed"})
        assert unknown.status_code == 400
        assert "known are profile, difficulty" in unknown.json()["error"]["message"]
        fixed = await at.ask(routing={"difficulty": 0.9})
        assert fixed.headers["x-orchestrator-difficulty"] == "0.90 hard"
        assert (await at.ask(routing={"difficulty": "off"})).headers["x-orchestrator-difficulty"].endswith("medium")
        kind = await at.ask(routing={"category": "coding"})
        assert kind.headers["x-orchestrator-category"] == "coding"
        assert (await at.ask()).headers["x-orchestrator-category"] == "chat"
        wrong = await at.ask(routing={"category": "cooking"})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "routing.category")
        assert said(await at.ask(routing={"profile": "budget"})) == "I am two"
        at.up["one"].script("*", status(500))
        assert (await at.ask(routing={"max_attempts": 1})).status_code == 502
        assert said(await at.ask()) == "I am two"
        assert all("routing" not in call.body for up in at.up.values() for call in up.calls)


async def test_code_goes_to_the_coder_and_every_account_of_the_call_says_so(tmp_path: Path) -> None:
    """The header, the decision, the explanation and the ranking it came from; a greeting goes where it always did."""
    offers = [offer(f"vendor-{name}/model", upstream=name, upstream_model=name) for name in ("one", "two")]
    published = tmp_path / "published" / "orchestrator.duckdb"
    published.parent.mkdir()
    write(published, world(offers, *category_ranking("balanced", "coding", offers[::-1])))
    code = "Refactor this Python class so that worker threads no longer deadlock on the queue, and add pytest tests."
    async with place(tmp_path, offers=offers) as at:
        coded = await at.ask(messages=[{"role": "user", "content": code}])
        decision = await at.decision(coded)
        explained = (await at.client.get("/v1/route", params={"prompt": code})).json()
        listed = (await at.client.get("/v1/models/rankings", params={"category": "coding", "band": "hard"})).json()
        unlisted = await at.client.get("/v1/models/rankings", params={"category": "cooking"})
        greeted = await at.ask()

    assert (said(coded), said(greeted)) == ("I am two", "I am one")
    assert coded.headers["x-orchestrator-category"] == "coding"
    assert (decision["ranked_for"], decision["difficulty"]["category"]) == ("coding", "coding")
    assert explained["ranked_for"] == "coding"
    assert "ranked by who is good at coding" in as_text(explained)
    assert [one["offer"] for one in explained["candidates"]] == ["two:two", "one:one"]
    assert [one["model"] for one in listed["rankings"]] == ["vendor-two/model", "vendor-one/model"]
    assert (unlisted.status_code, "task with one: coding" in unlisted.text) == (400, True)


async def test_openrouter_is_told_the_host_the_policy_and_the_session(tmp_path: Path) -> None:
    """Named or chosen, hosts must not train on prompts unless that is allowed; a stable id keeps a cache warm."""
    offers = [offer("vendor/model", upstream="one", host_tag="deepinfra/fp8")]
    async with place(tmp_path, ("one",), offers, kind="openrouter") as at:
        await at.ask(model="vendor/model")
        await at.ask(model="vendor/model", provider={"data_collection": "allow", "quantizations": ["fp8", "unknown"]})
        await at.ask()
        first, second, third = (call.body for call in at.up["one"].calls)

    assert first["provider"]["data_collection"] == "deny"
    assert first["provider"]["order"] == ["deepinfra/fp8"]
    assert first["provider"]["allow_fallbacks"] is False
    assert second["provider"]["data_collection"] == "allow"
    assert second["provider"]["quantizations"] == ["fp8", "unknown"]
    assert third["provider"] == {"order": ["deepinfra/fp8"], "allow_fallbacks": False, "data_collection": "deny"}
    assert len(first["session_id"]) == 32
    assert "hi" not in first["session_id"]


async def test_a_session_stays_where_its_cache_is_warm(tmp_path: Path) -> None:
    """The first turn failed over; the second goes to where the first was answered, and the record has the sum."""
    offers = [
        offer(
            f"vendor-{name}/model",
            upstream=name,
            upstream_model=name,
            price_cache_read_usd_per_mtok=0.1,
        )
        for name in ("one", "two")
    ]
    async with place(tmp_path, offers=offers) as at:
        at.up["one"].script("*", status(503), answer("I am one"))
        turn = [{"role": "user", "content": "a long story " * 200}]
        headers = {"x-session-id": "s1"}
        assert said(await at.ask(messages=turn, headers=headers)) == "I am two"
        turn += [{"role": "assistant", "content": "ok"}, {"role": "user", "content": "go on"}]
        second = await at.ask(messages=turn, headers=headers)
        assert said(second) == "I am two"
        found = (await at.decision(second))["session"]
        other = await at.ask(messages=turn, headers={"x-session-id": "s2"})
        assert said(other) == "I am one"
        free = await at.ask(messages=turn, headers=headers, routing={"affinity": False})
        assert said(free) == "I am one"

    assert (found["source"], found["stays"]) == ("x-session-id", True)
    assert found["stay"]["total_usd"] < found["move"]["total_usd"]
    assert found["stay"]["warm_tokens"] > 0


async def test_a_session_leaves_an_endpoint_that_fails(tmp_path: Path) -> None:
    """Staying is a wish, not a promise."""
    async with place(tmp_path) as at:
        headers = {"x-session-id": "s1"}
        assert said(await at.ask(headers=headers)) == "I am one"
        at.up["one"].script("*", status(503))
        assert said(await at.ask(headers=headers)) == "I am two"
        at.up["one"].script("*", answer("back"))
        assert said(await at.ask(headers=headers)) == "I am two"


async def test_names_of_habit_get_a_profile_where_they_cannot_be_called(tmp_path: Path) -> None:
    """A small model's name means budget, an unknown one stays an error."""
    async with place(tmp_path) as at:
        found = await at.ask(model="claude-haiku-4-5-20251001")
        assert said(found) == "I am two"
        assert found.headers["x-orchestrator-profile"] == "budget"
        assert (await at.decision(found))["answers_for"] == "claude-haiku-4-5-20251001"
        assert said(await at.ask(model="claude-sonnet-4-5")) == "I am one"
        # No profile is called quality here; the deployment's default is.
        assert said(await at.ask(model="claude-opus-4-8")) == "I am one"
        assert (await at.ask(model="no-such-model")).status_code == 404
        assert said(await at.ask(model="vendor-one/model")) == "I am one"
        assert said(await at.ask(model="claude-haiku-4-5", routing_profile="balanced")) == "I am one"


async def test_answers_that_are_meant_to_repeat_are_kept_when_that_is_switched_on(tmp_path: Path) -> None:
    """Whole and streamed, per key; sampled ones only by force; and never when it is off."""
    async with place(
        tmp_path, ("one",), cache_mb=8, keys=row("alice") + row("bob") + row("olga", is_operator=True)
    ) as at:
        up = at.up["one"]
        up.script("*", *(answer(f"answer {i}") for i in range(20)))
        first = await at.ask("sk-alice", temperature=0)
        again = await at.ask("sk-alice", temperature=0)
        assert said(first) == said(again) == "answer 0"
        assert again.headers["x-orchestrator-cache"] == "hit"
        assert again.headers["x-orchestrator-model"] == "vendor-one/model"
        assert "x-orchestrator-cache" not in first.headers
        assert said(await at.ask("sk-bob", temperature=0)) == "answer 1"
        assert said(await at.ask("sk-alice")) == "answer 2"
        assert said(await at.ask("sk-alice")) == "answer 3"
        assert said(await at.ask("sk-alice", temperature=0, routing={"cache": "off"})) == "answer 4"
        streamed = [await at.ask("sk-alice", temperature=0, stream=True) for _ in range(2)]
        assert streamed[0].text == streamed[1].text
        assert streamed[0].text.count("[DONE]") == 1
        assert len(up.calls) == 6
        metrics = (await at.client.get("/metrics", headers={"authorization": "Bearer sk-olga"})).text
        assert 'orchestrator_policies_total{did="answered_from_cache"} 2.0' in metrics
        assert (await at.decision(again, "sk-alice"))["cache"] == "hit"


async def test_an_upstream_is_sent_no_more_than_its_share(tmp_path: Path) -> None:
    """The call that finds no place goes to the next candidate; where there is none it is told to come back."""
    async with place(tmp_path, upstream_concurrency=1, queue_length=0) as at:
        at.up["one"].script("*", stream(["a", "b"], stall_after=1))
        running = asyncio.create_task(at.ask(stream=True))
        await at.up["one"].wait_for_calls(1)
        moved = await at.ask()
        assert said(moved) == "I am two"
        (skipped,) = (await at.decision(moved))["skipped"]
        assert skipped["reason"] == "one is at its limit of 1 calls"
        refused = await at.ask(model="vendor-one/model")
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "overloaded")
        assert refused.headers["retry-after"] == "1"
        at.up["one"].release()
        assert (await running).status_code == 200
        at.up["one"].script("*", answer("free again"))
        assert said(await at.ask()) == "free again"
        assert (await at.client.get("/v1/status")).json()["admission"]["one"]["running"] == 0


async def test_a_short_queue_waits_for_a_place(tmp_path: Path) -> None:
    """Rather than paying another upstream at once."""
    async with place(tmp_path, ("one",), upstream_concurrency=1) as at:
        at.up["one"].script("*", stream(["a", "b"], stall_after=1), answer("after you"))
        running = asyncio.create_task(at.ask(stream=True))
        await at.up["one"].wait_for_calls(1)
        waiting = asyncio.create_task(at.ask())
        async with asyncio.timeout(60):
            while (await at.client.get("/v1/status")).json()["admission"]["one"]["waiting"] != 1:
                pass
        at.up["one"].release()
        assert (await running).status_code == 200
        assert said(await waiting) == "after you"


async def test_a_client_that_is_gone_before_the_first_byte_leaves_nothing_behind(tmp_path: Path) -> None:
    """The answer that nobody began to read is closed, its place and its lease are given back, and it is recorded."""
    async with place(tmp_path, ("one",), upstream_concurrency=1) as at:
        at.up["one"].script("*", stream(["a", "b"], stall_after=1))
        runtime = at.proxy.runtime
        body = json.dumps({"model": "auto", "stream": True, "messages": [{"role": "user", "content": "hi"}]}).encode()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(_: Any) -> None:
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await ChatRoute(runtime)("gone", {}, receive, send)
        found = (await at.client.get("/v1/decisions/gone")).json()
        admission = (await at.client.get("/v1/status")).json()["admission"]["one"]
        await asyncio.wait_for(at.up["one"].calls[0].ended.wait(), 60)

    assert [one["outcome"] for one in found["attempts"]] == ["caller_gone"]
    assert admission["running"] == 0
    assert at.up["one"].calls[0].is_cancelled


async def test_changed_keys_are_used_and_bad_ones_change_nothing(tmp_path: Path) -> None:
    """Without a restart; what is wrong stands in the status."""
    async with place(tmp_path, ("one",), keys=row("alice") + row("olga", is_operator=True)) as at:
        policies, file = at.proxy.runtime.policies, tmp_path / "keys.toml"

        def write(text: str) -> None:
            file.write_text(text)
            os.utime(file, ns=(1, file.stat().st_mtime_ns + 1_000_000))
            policies.reload()

        assert (await at.ask("sk-alice")).status_code == 200
        write("[[nonsense")
        assert (await at.ask("sk-alice")).status_code == 200
        operator = {"authorization": "Bearer sk-olga"}
        problem = (await at.client.get("/v1/status", headers=operator)).json()["policies"]["problem"]
        assert "is not valid TOML" in problem
        assert "stays in use" in problem
        write(row("bob"))
        assert (await at.ask("sk-alice")).status_code == 401
        assert (await at.ask("sk-bob")).status_code == 200
        assert policies.problem is None
        file.unlink()
        policies.reload()
        assert (await at.ask("sk-bob")).status_code == 200
        assert policies.problem is not None


async def test_feedback_is_checked_and_kept(tmp_path: Path) -> None:
    """A thumb or a score, for one's own decision; it goes to the pipeline with the outcomes."""
    async with place(tmp_path, ("one",), keys=row("alice") + row("bob")) as at:
        decision = (await at.ask("sk-alice")).headers["x-orchestrator-decision"]

        async def say(key: str = "sk-alice", **body: Any) -> httpx.Response:
            return await at.client.post("/v1/feedback", json=body, headers={"authorization": f"Bearer {key}"})

        assert (await say(decision_id=decision, thumb="up")).json()["score"] == 1.0
        assert (await say(decision_id=decision, score=-0.5)).status_code == 200
        assert (await say("sk-bob", decision_id=decision, score=0)).status_code == 404
        for wrong in (
            {"decision_id": decision},
            {"decision_id": decision, "score": 2},
            {"decision_id": decision, "score": True},
            {"decision_id": decision, "thumb": "sideways"},
            {"decision_id": 3, "score": 0},
            {"decision_id": decision, "score": 0, "comment": "prompt text"},
        ):
            assert (await say(**wrong)).status_code == 400, wrong
    kept = [
        json.loads(line) for file in (tmp_path / "feedback").glob("*.jsonl") for line in file.read_text().splitlines()
    ]

    assert [(one["request_id"], one["score"], one["model_id"]) for one in kept] == [
        (decision, 1.0, "vendor-one/model"),
        (decision, -0.5, "vendor-one/model"),
    ]


async def test_a_real_client_reads_over_the_seam_of_a_broken_stream(tmp_path: Path) -> None:
    """It gets one answer; the default stays an error."""
    async with place(tmp_path, kind="vllm") as at:
        at.up["one"].script("*", break_mid_stream(["one ", "two "]))
        at.up["two"].script("*", stream(["three ", "four"]))
        client = openai.AsyncOpenAI(base_url=f"{at.proxy.url}/v1", api_key="none", max_retries=0)
        asked: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": "count"}], "stream": True}
        async with client:
            parts = [
                choice.delta.content or ""
                async for chunk in await client.chat.completions.create(
                    **asked, extra_body={"routing": {"on_break": "continue"}}
                )
                for choice in chunk.choices
            ]
            assert "".join(parts) == "one two three four"
            sent = at.up["two"].calls[0].body
            assert sent["messages"][-1] == {"role": "assistant", "content": "one two "}
            assert sent["continue_final_message"] is True
            with pytest.raises(openai.APIError, match="failed amid the answer"):
                async for _ in await client.chat.completions.create(**asked):
                    pass


async def test_a_slow_first_candidate_is_raced_within_the_budget(tmp_path: Path) -> None:
    """After its own expected time, here a second; the slow upstream sees its call cancelled."""
    async with place(tmp_path, hedge_share=1.0, keys=row("alice", budget_usd_per_day=1.0)) as at:
        at.up["one"].script("*", stall_before_headers())
        raced = await at.ask("sk-alice", max_tokens=1_000)
        assert said(raced) == "I am two"
        record = await at.decision(raced, "sk-alice")
        assert record["reserved_usd"] == pytest.approx(2 * 0.004, rel=0.01)
        assert record["hedge"] == "asked two:two beside it; the second answered"
        await asyncio.wait_for(at.up["one"].calls[0].ended.wait(), 60)

    assert at.up["one"].calls[0].is_cancelled


async def test_an_operator_opens_and_closes_a_breaker_for_every_worker(tmp_path: Path) -> None:
    """By the key of anything that can be guarded, used or not; the order lies in a file that the others read."""
    async with place(tmp_path) as at:
        opened = await at.client.post("/v1/status/breakers/open", json={"key": "one:one", "seconds": 600})
        assert (opened.status_code, opened.json()["state"]) == (200, "open")
        assert opened.json()["reaches_all_workers"] is True
        assert said(await at.ask()) == "I am two"
        closed = await at.client.post("/v1/status/breakers/close", json={"key": "one:one"})
        assert closed.json()["state"] == "closed"
        assert said(await at.ask()) == "I am one"
        orders = json.loads((at.proxy.outcomes.parent / "orders.json").read_text())
        assert [(one["action"], one["key"]) for one in orders] == [("open", "one:one"), ("close", "one:one")]
        assert (await at.client.post("/v1/status/breakers/open", json={"key": "nothing"})).status_code == 400
        assert (await at.client.post("/v1/status/breakers/turn", json={"key": "one:one"})).status_code == 404


async def test_a_decision_of_another_worker_is_found_in_the_files(tmp_path: Path) -> None:
    """As it is after a restart."""
    async with place(tmp_path) as at:
        response = await at.ask()
        decisions = at.proxy.runtime.decisions
        assert at.proxy.runtime.lasting is not None
        at.proxy.runtime.afterwards.catch_up()
        at.proxy.runtime.lasting.flush()
        decisions._by_id.clear()
        found = await at.decision(response)
        assert found["decision_id"] == response.headers["x-orchestrator-decision"]
        assert found["attempts"][0]["model"] == "vendor-one/model"
        assert (await at.client.get("/v1/decisions/unheard-of")).status_code == 404


async def test_the_same_request_again_is_judged_the_same_and_another_anew(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        judged = []
        for prompt in ("Prove that there are infinitely many primes.", "hi", "hi " * 4_000) * 2:
            response = await at.ask(messages=[{"role": "user", "content": prompt}])
            judged.append(response.headers["x-orchestrator-difficulty"])
        assert judged[:3] == judged[3:]
        assert judged[0] != judged[1]
