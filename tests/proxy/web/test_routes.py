"""The page's files and the routes behind it, as any HTTP client sees them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.web import FILES
from tests.fake_upstream import FakeUpstream, answer, status
from tests.proxy import publication
from tests.proxy.serving import Served, serving
from warehouse import published

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

CHEAP = publication.offer("vendor/cheap", upstream="a", price_in_usd_per_mtok=1.0, price_out_usd_per_mtok=2.0)
DEAR = publication.offer("vendor/dear", upstream="a", price_in_usd_per_mtok=10.0, price_out_usd_per_mtok=20.0)
WORLD = [
    *(one for one in publication.world([CHEAP, DEAR]) if not isinstance(one, published.Profile)),
    publication.profile("balanced", is_default=True),
    # The reverse of `balanced`, and the one that weighs quality most: its first offer is the yardstick.
    publication.profile("budget")._replace(weight_quality=0.9),
    publication.row(
        published.Signal,
        model_id="vendor/cheap",
        signal="quality",
        value=1234.0,
        unit="arena_rating",
        basis="rated",
        source="lmsys_arena",
        record_id="cheap-1",
        metric="rating",
    ),
]


@contextlib.asynccontextmanager
async def running(
    directory: Path, upstream: FakeUpstream, **settings: Any
) -> AsyncIterator[tuple[Served, httpx.AsyncClient]]:
    (directory / "published").mkdir()
    publication.write(directory / "published" / "orchestrator.duckdb", WORLD)
    async with (
        serving(directory, {"a": upstream.base_url}, (), **settings) as served,
        httpx.AsyncClient(base_url=served.url) as client,
    ):
        yield served, client


async def test_files_are_open_cached_and_closed_to_everything_foreign(tmp_path: Path) -> None:
    """Without the key: the page and its parts, each with the strict policy and an entity tag that saves sending it."""
    async with FakeUpstream() as upstream, running(tmp_path, upstream, api_key="secret") as (_, client):
        page = await client.get("/")
        assert page.status_code == 200
        parts = re.findall(r'(?:src|href)="(/page/[^"]+)"', page.text)
        assert set(parts) == {path for path in FILES if path != "/"}
        for path in ("/", *parts):
            answered = await client.get(path)
            policy = dict(part.split(" ", 1) for part in answered.headers["content-security-policy"].split("; "))
            assert policy["default-src"] == "'none'"
            assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
            assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
            assert "unsafe" not in str(policy)
            assert answered.headers["x-content-type-options"] == "nosniff"
            again = await client.get(path, headers={"if-none-match": answered.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
            head = await client.head(path)
            assert (head.status_code, head.content) == (200, b"")
            plain = await client.get(path, headers={"accept-encoding": "identity"})
            assert "content-encoding" not in plain.headers
            assert plain.content == answered.content
        assert page.headers["cache-control"] == "no-cache"
        assert "immutable" in (await client.get(parts[0])).headers["cache-control"]
        assert (await client.post("/")).status_code == 405
        assert (await client.get("/v1/traffic")).status_code == 401
        assert (await client.get("/page/none.js")).status_code == 401


async def test_a_chart_is_a_whole_ranking(tmp_path: Path) -> None:
    """Rows in order with names beside them; the same again costs nothing; what does not exist is said."""
    async with FakeUpstream() as upstream, running(tmp_path, upstream) as (_, client):
        answered = await client.get("/v1/models/chart?profile=balanced&band=hard")
        chart = answered.json()
        rows = [dict(zip(chart["columns"], row, strict=True)) for row in chart["rows"]]
        assert [row["model"] for row in rows] == ["vendor/cheap", "vendor/dear"]
        assert [row["upstream"] for row in rows] == ["a", "a"]
        assert {"vendor/cheap", "vendor/dear"} == chart["models"].keys()
        again = await client.get(
            "/v1/models/chart?profile=balanced&band=hard", headers={"if-none-match": answered.headers["etag"]}
        )
        assert again.status_code == 304
        other = await client.get("/v1/models/chart?profile=budget&band=hard")
        assert other.headers["etag"] != answered.headers["etag"]
        unknown = await client.get("/v1/models/chart?profile=best")
        assert (unknown.status_code, unknown.json()["error"]["param"]) == (400, "profile")
        assert (await client.get("/v1/models/chart?band=brutal")).status_code == 400


async def test_evidence_names_the_source_rows(tmp_path: Path) -> None:
    """Signals and records of one model, under any name it has; an unknown name gets its nearest."""
    async with FakeUpstream() as upstream, running(tmp_path, upstream) as (_, client):
        found = (await client.get("/v1/models/evidence?model=vendor/cheap")).json()
        assert [(one["source"], one["record_id"], one["value"]) for one in found["signals"]] == [
            ("lmsys_arena", "cheap-1", 1234.0)
        ]
        assert [one["record_id"] for one in found["records"]] == ["vendor/cheap"]
        unknown = await client.get("/v1/models/evidence?model=vendor/cheep")
        assert unknown.status_code == 404
        assert "vendor/cheap" in unknown.json()["error"]["message"]


async def test_a_chart_follows_the_publication(tmp_path: Path) -> None:
    """After a new publication the chart is of that one."""
    async with FakeUpstream() as upstream, running(tmp_path, upstream, reload_poll_s=0.01) as (served, client):
        assert (await client.get("/v1/models/chart")).json()["publication"] == "20260822T120000"
        newer = [
            publication.snapshot("20260823T120000") if isinstance(one, published.Snapshot) else one for one in WORLD
        ]
        publication.write(served.published, newer)
        assert (await client.get("/v1/models/chart")).json()["publication"] == "20260823T120000"


async def test_traffic_counts_failovers_spending_and_savings(tmp_path: Path) -> None:
    """1,000 tokens in and 100 out cost 0.0012 at the cheap model and 0.012 at the yardstick, the dear one."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    async with FakeUpstream(answer("yes", usage=usage)) as upstream, running(tmp_path, upstream) as (_, client):
        before = (await client.get("/v1/traffic")).json()
        assert tuple(before[name] for name in ("calls", "failovers", "spent_usd", "saved_usd")) == (0, 0, 0.0, 0.0)
        assert before["yardstick"] == "vendor/dear"

        async def call(model: str) -> None:
            body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
            assert (await client.post("/v1/chat/completions", json=body)).status_code == 200

        await call("auto")
        once = (await client.get("/v1/traffic")).json()
        assert pytest.approx(once["spent_usd"]) == 0.0012
        assert pytest.approx(once["saved_usd"]) == 0.0120 - 0.0012
        # Named by the caller: spent, but nothing that routing saved.
        await call("vendor/cheap")
        # The cheap one fails, and the dear one is the yardstick itself: nothing saved, one failover.
        upstream.script("vendor/cheap", status(500))
        await call("auto")
        last = (await client.get("/v1/traffic")).json()
        assert (last["calls"], last["failovers"]) == (3, 1)
        assert pytest.approx(last["spent_usd"]) == 0.0012 + 0.0012 + 0.012
        assert once["saved_usd"] == pytest.approx(last["saved_usd"])
        assert last["answers_by_model"] == {"vendor/cheap": 2, "vendor/dear": 1}
        assert (last["tokens_in"], last["tokens_out"]) == (3000, 300)


async def test_decisions_are_listed_newest_first(tmp_path: Path) -> None:
    """Each with when it began, how long it took and its attempts; never a word of the prompt."""
    async with FakeUpstream() as upstream, running(tmp_path, upstream) as (_, client):
        for number in range(3):
            body = {"model": "auto", "messages": [{"role": "user", "content": f"a secret {number}"}]}
            await client.post("/v1/chat/completions", json=body, headers={"x-request-id": f"call-{number}"})
        listed = await client.get("/v1/decisions?limit=2")
        data = listed.json()["data"]
        assert [one["id"] for one in data] == ["call-2", "call-1"]
        assert [attempt["outcome"] for attempt in data[0]["attempts"]] == ["answered"]
        assert data[0]["ms"] > 0
        assert data[0]["at"].endswith("Z")
        assert "secret" not in listed.text
        assert (await client.get("/v1/decisions?limit=0")).status_code == 400
