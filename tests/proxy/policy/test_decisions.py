"""Decisions that were made: what is remembered of them, what is worked out when asked, and what callers thought."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.sources.outcomes import parse_segments
from pipeline.sources.source import Sighting
from proxy.decisions import Decisions, find
from proxy.metrics import Metrics
from proxy.outcomes import OutcomeLog
from proxy.request import ChatRequest
from tests.proxy.hand import Bench, fails, indexed, says
from tests.proxy.publication import NOW, offer, world
from warehouse.outcomes import Feedback

pytestmark = pytest.mark.anyio

CHEAP = offer("cheap/model", upstream="up-a", price_in_usd_per_mtok=1.0, price_out_usd_per_mtok=1.0)
PLAIN = offer("plain/model", upstream="up-b", price_in_usd_per_mtok=2.0, price_out_usd_per_mtok=2.0)
DEAR = offer("dear/model", upstream="up-c", price_in_usd_per_mtok=9.0, price_out_usd_per_mtok=9.0)
SMALL = offer("small/model", upstream="up-a", context_tokens=100)


def bench(publication: str = "20260822T120000") -> Bench:
    offers = (CHEAP, PLAIN, DEAR, SMALL)
    at = Bench(indexed(world(offers, publication_id=publication), "up-a", "up-b", "up-c"))
    for one in offers:
        at.transport.tell(one.upstream_model, says("fine"))
    return at


async def made(at: Bench, decisions: Decisions, id_: str, **body: Any) -> dict[str, Any]:
    call = at.call(**body)
    await at.failover.answer(call)
    decisions.note(id_, call)
    found = decisions.explained(id_)
    assert found is not None
    return found


async def test_a_decision_tells_what_was_considered_and_what_else_would_have_cost() -> None:
    """10 prompt and 5 answer tokens at each one's price; the one whose window is too small is named with its reason."""
    at = bench()
    found = await made(at, Decisions(at.clock, Metrics()), "d1", max_tokens=200)

    considered = found["considered"]
    assert [one["model"] for one in considered["first"]] == ["cheap/model", "plain/model", "dear/model"]
    assert considered["removed"] == {"context": 1}
    assert considered["rejected"][0]["model"] == "small/model"
    assert considered["cost"] == {
        "spent_usd": pytest.approx(15e-6),
        "average_usd": pytest.approx((15 + 30 + 135) / 3 * 1e-6),
        "most_expensive_usd": pytest.approx(135e-6),
        "most_expensive": "up-c:dear/model",
        "alternatives": 3,
    }


async def test_an_open_breaker_at_the_time_is_the_reason_afterwards_too() -> None:
    """Even when it has closed since."""
    at = bench()
    decisions = Decisions(at.clock, Metrics())
    at.transport.tell("cheap/model", fails(500))
    for i in range(4):
        found = await made(at, decisions, f"d{i}", max_tokens=200)
    for breaker in at.breakers:
        breaker.close(at.clock.monotonic())

    (rejected,) = (one for one in found["considered"]["rejected"] if one["filter"] == "breaker")
    assert rejected["model"] == "cheap/model"
    assert "is open" in rejected["reason"]


async def test_nothing_of_a_prompt_is_remembered() -> None:
    """Neither in the record nor behind it."""
    at = bench()
    decisions = Decisions(at.clock, Metrics())
    call = at.call(messages=[{"role": "user", "content": "the secret plan"}], max_tokens=200)
    await at.failover.answer(call)
    decisions.note("d1", call)
    del call
    gc.collect()
    alive = [one for one in gc.get_objects() if isinstance(one, ChatRequest) and "secret" in str(one.body)]

    assert "secret" not in json.dumps(decisions.explained("d1"), default=str)
    assert alive == []


async def test_old_publications_are_let_go() -> None:
    """A decision outlives its publication as a record; the publication before the last is not kept for it."""
    decisions = Decisions(bench().clock, Metrics())
    snapshots = []
    for i in range(3):
        at = bench(f"2026082{i}T120000")
        await made(at, decisions, f"d{i}", max_tokens=200)
        snapshots.append(at.snapshot)

    known = [decisions.explained(f"d{i}") for i in range(3)]
    assert [one is not None and one["considered"] is not None for one in known] == [False, True, True]
    assert known[0] is not None
    assert known[0]["attempts"][0]["outcome"] == "answered"


async def test_the_ring_is_bounded() -> None:
    """The oldest are forgotten whole."""
    at = bench()
    decisions = Decisions(at.clock, Metrics(), kept=2)
    for i in range(4):
        await made(at, decisions, f"d{i}", max_tokens=200)

    assert decisions.explained("d1") is None
    assert [one["id"] for one in decisions.last(9)] == ["d3", "d2"]
    assert len(decisions._calls) == 2


async def test_what_a_caller_thought_stands_with_the_decision() -> None:
    """And is told apart from calls that nobody remembers."""
    at = bench()
    decisions = Decisions(at.clock, Metrics())
    await made(at, decisions, "d1", max_tokens=200)
    given = Feedback("f1", "d1", "2026-08-22T12:00:00.000Z", 1.0, None, None, None, None)
    judged = decisions.judge(given)
    unknown = decisions.judge(given._replace(request_id="other"))

    assert (judged.model_id, judged.offer_id, judged.profile) == ("cheap/model", "up-a:cheap/model", "balanced")
    assert unknown.model_id is None
    found = decisions.explained("d1")
    assert found is not None
    assert found["feedback"] == [{"at": "2026-08-22T12:00:00.000Z", "score": 1.0}]


async def test_every_decision_is_kept_for_the_warehouse_without_a_word_of_the_prompt(tmp_path: Path) -> None:
    """One row a call, as the pipeline reads it; any worker finds it again by its id."""
    at = bench()
    at.transport.tell("cheap/model", fails(503))
    log = OutcomeLog(tmp_path / "decisions", "w1", at.clock)
    decisions = Decisions(at.clock, Metrics(), lasting=log)
    words = "the secret of the sphinx"
    await made(at, decisions, "d1", max_tokens=200, messages=[{"role": "user", "content": words}])
    await made(at, decisions, "d2", model="dear/model")
    log.finish()

    (segment,) = (tmp_path / "decisions").glob("*.jsonl")
    text = segment.read_text()
    assert "sphinx" not in text
    parsed = parse_segments(json.dumps({segment.name: text}).encode(), Sighting(observed_at=NOW, now=NOW), "decisions")
    assert not parsed.refused
    first, second = parsed.frames["decisions"].to_dicts()
    assert (first["attempts"], first["outcome"], first["model_id"], first["profile"]) == (
        2,
        "answered",
        "plain/model",
        "balanced",
    )
    assert first["cost_usd"] == pytest.approx(30e-6)
    assert first["average_usd"] == pytest.approx(60e-6)
    assert first["most_expensive_usd"] == pytest.approx(135e-6)
    assert [one["cause"] for one in json.loads(first["attempts_json"])] == ["overloaded", None]
    assert json.loads(first["removed_json"]) == {"context": 1}
    assert (second["profile"], second["asked_model"], second["candidates"]) == (None, "dear/model", 1)

    found = find(tmp_path / "decisions", "d1")
    assert found is not None
    assert found["attempts"][1]["model"] == "plain/model"
    assert find(tmp_path / "decisions", "d3") is None
