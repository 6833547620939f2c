"""Shadow calls: a second model is sent what the first answered, and nobody but the record notices."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.sources.outcomes import parse_segments
from pipeline.sources.source import Sighting
from tests.fake_upstream import answer, stall_before_headers, status, stream
from tests.proxy.policy.test_through_the_proxy import Place, place, row, said
from tests.proxy.publication import NOW, offer

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

USAGE = {"prompt_tokens": 1_000, "completion_tokens": 100}


async def idle(at: Place) -> None:
    shadow = at.proxy.runtime.shadow
    assert shadow is not None
    await asyncio.gather(*tuple(shadow._running))
    await asyncio.sleep(0)


def records(at: Place) -> list[dict[str, Any]]:
    """What the pipeline reads of the shadow calls' files."""
    at.proxy.runtime.shadow_log.finish()
    texts = {one.name: one.read_text() for one in (at.proxy.outcomes.parent / "shadow_calls").glob("*.jsonl")}
    parsed = parse_segments(json.dumps(texts).encode(), Sighting(observed_at=NOW, now=NOW), "shadow_calls")
    assert not parsed.refused
    assert "sphinx" not in str(texts)
    return parsed.frames["shadow_calls"].to_dicts()


async def test_a_second_model_is_asked_after_the_answer_and_both_stand_side_by_side(tmp_path: Path) -> None:
    """Streamed or not, the caller gets the first one's answer; the second is asked whole, with the same words."""
    async with place(tmp_path, shadow_share=1.0) as at:
        at.up["one"].script("*", stream(("Hello", "there"), usage=USAGE))
        at.up["two"].script("*", answer("other words", usage=USAGE))
        got = await at.ask(stream=True, messages=[{"role": "user", "content": "the secret of the sphinx"}])
        await idle(at)

        assert "Hello" in got.text
        assert "other words" not in got.text
        (sent,) = at.up["two"].calls
        assert "stream" not in sent.body
        assert sent.body["messages"][0]["content"] == "the secret of the sphinx"
        (found,) = records(at)
        # Neither an attempt of the call nor an outcome that a ranking would count.
        decision = await at.decision(got)
        assert [one["model"] for one in decision["attempts"]] == ["vendor-one/model"]

    assert found["decision_id"] == got.headers["x-orchestrator-decision"]
    assert (found["primary_model_id"], found["shadow_model_id"]) == ("vendor-one/model", "vendor-two/model")
    assert (found["primary_ok"], found["shadow_ok"], found["shadow_cause"]) == (True, True, None)
    assert (found["primary_finish_reason"], found["shadow_finish_reason"]) == ("stop", "stop")
    assert found["shadow_cost_usd"] == pytest.approx(1_000e-6 + 400e-6)
    assert found["primary_is_streamed"] is True
    assert found["shadow_total_ms"] > 0


async def test_a_second_model_that_hangs_or_fails_harms_nobody(tmp_path: Path) -> None:
    """Callers are answered meanwhile; no breaker hears of it; no more than four wait at a time."""
    gate = asyncio.Event()
    async with place(tmp_path, shadow_share=1.0, shadow_usd_per_day=1000) as at:
        at.up["two"].script("*", stall_before_headers(gate))
        for _ in range(8):
            assert said(await at.ask(max_tokens=10)) == "I am one"
        assert len(at.up["two"].calls) <= 4
        gate.set()
        await idle(at)
        at.up["two"].script("*", status(500))
        for _ in range(5):
            await at.ask(max_tokens=10)
            await idle(at)

        assert [one["shadow_cause"] for one in records(at)][-1] == "server_error"
        assert not [one for one in at.proxy.runtime.breakers if one.is_open or one.failures]


async def test_the_cap_is_kept_and_keys_are_not_charged(tmp_path: Path) -> None:
    """Each shadow call costs $0.0014 of a cap of $0.003: two fit, the third's worst case does not."""
    keys = row("alice", budget_usd_per_day=1.0)
    async with place(tmp_path, keys=keys, shadow_share=1.0, shadow_usd_per_day=0.003) as at:
        for up in at.up.values():
            up.script("*", answer("fine", usage=USAGE))
        for _ in range(5):
            assert said(await at.ask("sk-alice", max_tokens=100)) == "fine"
            await idle(at)
        assert len(at.up["two"].calls) == 2
        bearer = {"authorization": "Bearer sk-alice"}
        used = (await at.client.get("/v1/key", headers=bearer)).json()["usage"]
        assert used["spent_usd_this_day"] == pytest.approx(5 * 0.0014)


async def test_nobody_is_asked_whom_the_call_itself_might_not_have(tmp_path: Path) -> None:
    """Hosts that train, models the caller did not name or the key does not allow, fallbacks that are forbidden."""
    offers = [
        offer("vendor-one/model", upstream="one", upstream_model="one"),
        offer("vendor-two/model", upstream="two", upstream_model="two", may_train_on_prompts=True),
    ]
    keys = row("alice") + row("bob", models=["vendor-one/*"])
    async with place(tmp_path, offers=offers, keys=keys, shadow_share=1.0, shadow_usd_per_day=1000) as at:
        await at.ask("sk-alice", max_tokens=10)
        await at.ask("sk-alice", model="vendor-one/model", max_tokens=10)
        await at.ask("sk-bob", max_tokens=10, provider={"data_collection": "allow"})
        await at.ask("sk-alice", max_tokens=10, provider={"data_collection": "allow", "allow_fallbacks": False})
        await idle(at)
        assert at.up["two"].calls == []
        await at.ask("sk-alice", max_tokens=10, provider={"data_collection": "allow"})
        await idle(at)
        assert len(at.up["two"].calls) == 1


async def test_it_is_off_unless_it_is_asked_for(tmp_path: Path) -> None:
    """Then there is not even anything to ask."""
    async with place(tmp_path) as at:
        await at.ask()
        assert at.proxy.runtime.shadow is None
        assert at.up["two"].calls == []
