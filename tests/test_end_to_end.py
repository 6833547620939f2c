"""The whole way: the bundled snapshot through the pipeline into a publication, and a running proxy that serves it.

Starts the real processes on loopback and asks no source. What only one half does is tested beside that half.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import openai
import pytest

from tests import fake_upstream as fake
from tests.deployment import ROOT, environment, free_port, run
from tests.fake_upstream import FakeUpstream
from warehouse.published import TABLES, ModelRecord, Offer, Ranking, Snapshot, SourceLoad, read

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

HI: list[Any] = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def published(home: Path) -> Path:
    """Its publication."""
    return home / "data" / "orchestrator.duckdb"


@contextlib.contextmanager
def proxy(home: Path, **more: str) -> Iterator[str]:
    """A proxy process over that deployment; its address."""
    port = free_port()
    command = [sys.executable, "-m", "proxy", "--port", str(port)]
    log = home / f"proxy-{port}.log"
    with log.open("w") as written:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(home, **more), stderr=written)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            deadline = time.monotonic() + 240
            while time.monotonic() < deadline and process.poll() is None:
                with contextlib.suppress(httpx.TransportError):
                    if client.get("/health/ready").status_code in (200, 503):
                        break
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=120)
        told = log.read_text()
        assert "Traceback" not in told
        assert "sk-secret" not in told


@contextlib.asynccontextmanager
async def serving(home: Path) -> AsyncIterator[tuple[FakeUpstream, openai.AsyncOpenAI, httpx.AsyncClient]]:
    """A proxy whose OpenRouter is a fake one that answers everything, and clients for it."""
    async with FakeUpstream() as upstream:
        upstream.script("*", fake.answer("hello"))
        settings = {
            "OPENROUTER_BASE_URL": upstream.base_url,
            "OPENROUTER_API_KEY": "sk-secret-of-the-test",
            "ORCHESTRATOR_ALLOWED_DOMAINS": "127.0.0.1",
        }
        with proxy(home, **settings) as address:
            client = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="unused", max_retries=0)
            async with client, httpx.AsyncClient(base_url=address, timeout=120) as http:
                yield upstream, client, http


def test_every_table_of_the_contract_is_published(published: Path) -> None:
    """The publication holds the contract's tables, and those a user counts on are filled."""
    rows = read(published, [table.row for table in TABLES])
    counts = {table.name: len(rows[table.row]) for table in TABLES}
    records = rows[ModelRecord]
    by_source = {source: sum(record.source == source for record in records) for source in ("openrouter", "lmsys_arena")}

    assert counts["snapshot"] == 1
    # These fill with use.
    later = {"quarantine", "changes", "decisions", "feedback", "shadow_calls"}
    assert [name for name, count in counts.items() if count == 0 and name not in later] == []
    assert by_source["openrouter"] > 400
    assert by_source["lmsys_arena"] > 390
    assert sum(record.source == "huggingface" for record in records) > 4_400


def test_every_source_says_what_it_used(published: Path) -> None:
    """Nothing was fetched, so all is bundled, with the age of its observation."""
    rows = read(published, (Snapshot, SourceLoad))
    snapshot = rows[Snapshot][0]

    assert {"bundled"} == {load.origin for load in rows[SourceLoad] if load.rows_loaded}
    assert {"openrouter", "lmsys_arena", "huggingface"} <= set(snapshot.source_ages_s)
    assert all(age > 0 for age in snapshot.source_ages_s.values())


@pytest.mark.parametrize(
    ("record", "others"),
    [
        ("anthropic/claude-opus-4.5", {"lmsys_arena:claude-opus-4-5-20251101"}),
        ("openai/gpt-4o-2024-08-06", {"lmsys_arena:gpt-4o-2024-08-06"}),
        (
            "meta-llama/llama-3.1-70b-instruct",
            {"lmsys_arena:llama-3.1-70b-instruct", "huggingface:meta-llama/Llama-3.1-70B-Instruct"},
        ),
        ("deepseek/deepseek-r1", {"lmsys_arena:deepseek-r1", "huggingface:deepseek-ai/DeepSeek-R1"}),
    ],
)
def test_a_known_model_has_its_records_and_no_others(published: Path, record: str, others: set[str]) -> None:
    """Names a curator would sign, and none of another date, size or training."""
    records = read(published, (ModelRecord,))[ModelRecord]
    model_id = next(one.model_id for one in records if (one.source, one.record_id) == ("openrouter", record))
    linked = {f"{one.source}:{one.record_id}" for one in records if one.model_id == model_id}
    foreign = ("0528", "0324", "zero", "distill", "8b", "405b", "3.3", "nemotron", "2024-05-13", "2024-11-20", "mini")

    assert others <= linked
    assert [name for name in linked if any(word in name.lower() for word in foreign)] == []


def test_only_chat_models_are_ranked(published: Path) -> None:
    """No alias, router, batch id, image, audio, embedding or guard model has a rank."""
    rows = read(published, (Ranking, Offer))
    offers = {offer.offer_id: offer for offer in rows[Offer]}
    ranked = {ranking.offer_id for ranking in rows[Ranking]}

    assert {"chat"} == {offers[offer_id].kind for offer_id in ranked}
    assert {"quality", "balanced", "speed", "budget", "long_context"} == {row.profile for row in rows[Ranking]}
    assert not any(offer_id.split(":", 1)[1].startswith(("~", "openrouter/")) for offer_id in ranked)


async def test_a_call_goes_to_the_first_of_the_ranking_and_survives_its_failure(home: Path) -> None:
    """Published rank one answers; when it is down, rank two does; the outcome reaches the warehouse."""
    async with serving(home) as (upstream, client, http):
        ranked = (await http.get("/v1/models/rankings", params={"profile": "balanced", "limit": 40})).json()["rankings"]
        first = (await client.chat.completions.create(model="auto:balanced", messages=HI)).model
        upstream.script(first, fake.status(500))

        second = await client.chat.completions.with_raw_response.create(model="auto:balanced", messages=HI)

        assert len(ranked) == 40
        assert upstream.calls[0].model == first
        assert second.headers["x-orchestrator-attempts"] == "2"
        assert second.parse().model != first
        secrets = [answer for answer in (second.text, str(second.headers)) if "sk-secret" in answer]
        assert secrets == []


def kill_refresh_after(home: Path, done: str) -> None:
    """SIGKILL it when it says that this table is made."""
    command = [sys.executable, "-m", "warehouse.cli", "refresh", "--offline"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(home), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    with process.stderr as told:
        was_made = any(done in line for line in told)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert (was_made, process.wait()) == (True, -signal.SIGKILL)


def test_a_killed_refresh_leaves_the_last_publication(home: Path, published: Path) -> None:
    """SIGKILL amid ingestion: what was published stays whole and readable.

    Killed amid publication it does so too: `tests/pipeline/test_publish.py`.
    """
    before = published.resolve()

    kill_refresh_after(home, "core/openrouter_listings")

    assert len(read(published, (Ranking,))[Ranking]) > 0
    assert published.resolve() == before


async def test_after_a_kill_a_refresh_harms_no_call_and_brings_outcomes_back(home: Path, published: Path) -> None:
    """A half rebuilt warehouse is published by nobody and has not to be cleaned by hand: the next refresh succeeds.

    While that one rebuilds and swaps, 200 calls a second all succeed; then the new one is in use. What the proxy saw is
    in the warehouse after it: tokens, cost and times, and no prompt.
    """
    marker = "a prompt that must not be stored 7f3a"
    call = {"model": "auto", "messages": [{"role": "user", "content": marker}]}
    last = published.resolve()
    await asyncio.to_thread(kill_refresh_after, home, "entity/model_records")
    assert published.resolve() == last
    async with serving(home) as (_, client, http):
        await client.chat.completions.create(**call)
        before = (await http.get("/v1/status")).json()["publication"]["id"]
        refresh = asyncio.create_task(asyncio.to_thread(run, home, "refresh", "--offline"))
        answers: list[asyncio.Task[httpx.Response]] = []
        loop = asyncio.get_running_loop()
        while not refresh.done():
            due = loop.time() + 0.1
            answers += [asyncio.create_task(http.post("/v1/chat/completions", json=call)) for _ in range(20)]
            await asyncio.wait(answers[-20:])
            await asyncio.wait([refresh], timeout=max(0.0, due - loop.time()))
        statuses = {answer.status_code for answer in await asyncio.gather(*answers)}
        deadline = loop.time() + 120
        while (after := (await http.get("/v1/status")).json()["publication"]["id"]) == before:
            assert loop.time() < deadline
            await asyncio.sleep(0)
        refreshed = await refresh
    segments = list((home / "data" / "outcomes").glob("*.jsonl*"))
    loads = read(published, (SourceLoad,))[SourceLoad]

    assert refreshed.returncode == 0, refreshed.stderr
    assert statuses == {200}
    assert after != before
    assert sum(load.rows_loaded for load in loads if load.source == "outcomes") > 0
    assert not any(marker in segment.read_text() for segment in segments)


async def test_a_local_server_is_listed_linked_ranked_at_no_cost_and_called(tmp_path: Path) -> None:
    """Its own names resolve to known models; chat models are ranked by their quality at price zero, others are not."""
    async with FakeUpstream(models=["llama3.1:8b-instruct-q4_K_M", "gpt-oss:20b", "nomic-embed-text:latest"]) as server:
        server.script("*", fake.answer("from the cellar"))
        rows = tmp_path / "upstreams.toml"
        rows.write_text(f'[cellar]\nbase_url = "{server.base_url}"\nkind = "vllm"\nis_local = true\n')
        settings = {"ORCHESTRATOR_UPSTREAMS": str(rows), "ORCHESTRATOR_ALLOWED_DOMAINS": "127.0.0.1"}
        refreshed = await asyncio.to_thread(lambda: run(tmp_path, "refresh", "--offline", **settings))
        assert refreshed.returncode == 0, refreshed.stderr
        offers = [one for one in read(tmp_path / "data" / "orchestrator.duckdb", (Offer,))[Offer] if one.is_local]
        with proxy(tmp_path, **settings) as address:
            client = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="unused", max_retries=0)
            async with client:
                answer = await client.chat.completions.create(model="auto:budget", messages=HI)
                named = await client.chat.completions.create(model="meta-llama/Llama-3.1-8B-Instruct", messages=HI)

    assert {
        offer.upstream_model: (offer.model_id, offer.is_callable, offer.price_out_usd_per_mtok) for offer in offers
    } == {
        "llama3.1:8b-instruct-q4_K_M": ("meta/llama-3.1-8b-instruct", True, 0.0),
        "gpt-oss:20b": ("openai/gpt-oss-20b", True, 0.0),
        "nomic-embed-text:latest": (next(o.model_id for o in offers if "nomic" in o.upstream_model), False, 0.0),
    }
    assert answer.choices[0].message.content == "from the cellar"
    assert named.model == "llama3.1:8b-instruct-q4_K_M"


def test_sql_is_read_only_and_helpful(home: Path) -> None:
    """Rows come back as CSV; writing and misspelling are refused with a way on."""
    csv = run(home, "sql", "SELECT profile, count(*) AS n FROM rankings GROUP BY ALL ORDER BY 1", "--format", "csv")
    wrong = run(home, "sql", "SELECT * FROM rankngs")
    writing = run(home, "sql", "DELETE FROM rankings")

    assert csv.stdout.startswith("profile,n\nbalanced,")
    assert (wrong.returncode, writing.returncode) == (1, 1)
    assert "SHOW TABLES" in wrong.stderr
    assert "read-only" in writing.stderr.lower()


def test_route_explains_and_calls_nothing(home: Path) -> None:
    """A decision is shown without any key."""
    told = run(home, "route", "Prove that there are infinitely many primes", "--profile", "quality")

    assert told.returncode == 0, told.stderr
    assert "quality" in told.stdout
    assert "OPENROUTER_API_KEY" in told.stdout


@pytest.mark.performance
async def test_fifty_page_loads_a_second_harm_no_call(home: Path) -> None:
    """Beside 200 calls a second: each load is the page, its parts and the figures it asks for, nothing from a cache."""
    seconds, call = 5, {"model": "auto", "messages": HI}
    async with serving(home) as (upstream, _, http), aiohttp.ClientSession(str(http.base_url)) as session:
        page = (await http.get("/")).text
        parts = sorted(set(re.findall(r'(?:href|src)="(/page/[^"]+)"', page)))
        figures = (
            "status",
            "traffic",
            "decisions?limit=20",
            "routing_profiles",
            "models/chart?profile=balanced&band=medium",
        )
        loop = asyncio.get_running_loop()

        async def fetch(path: str) -> int:
            async with session.get(path) as answer:
                await answer.read()
                return answer.status

        async def load() -> list[int]:
            first = [await fetch("/")]
            return first + await asyncio.gather(*map(fetch, [*parts, *(f"/v1/{figure}" for figure in figures)]))

        async def ask() -> tuple[int, str, float]:
            began = loop.time()
            async with session.post("/v1/chat/completions", json=call) as answer:
                await answer.read()
                return answer.status, answer.headers["x-orchestrator-attempts"], loop.time() - began

        # What a twenty-fifth of it takes on this machine with nothing beside it.
        began = loop.time()
        for _ in range(seconds * 2):
            await load()
            await asyncio.gather(*(ask() for _ in range(4)))
        alone_s = loop.time() - began
        began = loop.time()
        calls, loads = [], []
        for tick in range(seconds * 50):
            loads.append(asyncio.create_task(load()))
            calls += [asyncio.create_task(ask()) for _ in range(4)]
            await asyncio.sleep(max(0.0, began + (tick + 1) / 50 - loop.time()))
        answered = await asyncio.gather(*calls)
        loaded = await asyncio.gather(*loads)
        took_s = loop.time() - began
    times_ms = sorted(1000 * took for _, _, took in answered)
    print(f"{len(answered) / took_s:.0f} calls/s, {len(loaded) / took_s:.0f} page loads/s of {len(loaded[0])} requests")
    print(
        f"median call {times_ms[len(times_ms) // 2]:.1f} ms, 99 % within {times_ms[len(times_ms) * 99 // 100]:.1f} ms"
    )

    assert {(status, attempts) for status, attempts, _ in answered} == {(200, "1")}
    assert {status for statuses in loaded for status in statuses} == {200}
    assert len(parts) > 10
    assert len(upstream.calls) == seconds * (200 + 8)
    # A machine that cannot keep the rate takes longer, as long as for the same one by one, and still fails no call.
    assert took_s < 3 * max(seconds, 25 * alone_s)
