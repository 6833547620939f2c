"""Rankings by kind of task, on a market of three whose right order is known."""

from __future__ import annotations

import polars as pl
import pytest

from pipeline.rankings import estimates, kinds
from pipeline.rankings.calls import CallableOffer, Configured
from pipeline.rankings.kinds import InCategory
from pipeline.rankings.profile import Profile

ONLY_QUALITY = Profile(
    name="only_quality",
    caution=0.0,
    description="Quality alone.",
    is_default=True,
    weights={"quality": 1.0, "latency": 0.0, "cost": 0.0, "context": 0.0},
)


def offer(name: str, upstream: str = "market") -> CallableOffer:
    return CallableOffer(
        offer_id=f"{upstream}:{name}",
        model_id=name,
        is_local=False,
        is_free=False,
        may_train_on_prompts=False,
        supports_reasoning=False,
        reasoning_is_mandatory=None,
        supported_efforts=(),
        price_in_usd_per_mtok=1.0,
        price_out_usd_per_mtok=3.0,
        price_reasoning_usd_per_mtok=None,
        price_request_usd=None,
        context_tokens=100_000,
        latency_ms=500.0,
        throughput_tokens_per_s=80.0,
        active_size_b=None,
    )


def configured(quality: float, when_hard: float | None = None) -> list[Configured]:
    hard = quality if when_hard is None else when_hard
    return [Configured("default", True, quality, hard, 5.0, "rated", 500.0, 80.0, 0.0, "measured")]


MODELS = {"v/chatter": configured(1420.0), "v/coder": configured(1400.0), "v/thinker": configured(1390.0, 1500.0)}
"""The chatter is best overall, the thinker when prompts are hard."""

QUALITIES = {
    "coding": {
        ("v/chatter", "default"): InCategory(1390.0, 6.0, "rated"),
        ("v/coder", "default"): InCategory(1440.0, 7.0, "rated"),
        ("v/thinker", "default"): InCategory(1385.0, 8.0, "offset"),
    }
}


def ranked(offers: list[CallableOffer], qualities: dict[str, dict[tuple[str, str], InCategory]]) -> pl.DataFrame:
    return estimates.rank_in_categories(offers, MODELS, qualities, {}, {}, [ONLY_QUALITY], allow_data_collection=False)


def order(found: pl.DataFrame, band: str) -> list[str]:
    return found.filter(pl.col("difficulty_band") == band).sort("rank")["model_id"].to_list()


OFFERS = [offer(name) for name in MODELS]


def test_code_goes_to_the_coder_and_how_hard_it_is_keeps_its_effect() -> None:
    overall = estimates.rank(OFFERS, MODELS, {}, {}, [ONLY_QUALITY], allow_data_collection=False)
    coding = ranked(OFFERS, QUALITIES)

    assert order(overall, "easy") == order(overall, "medium") == ["v/chatter", "v/coder", "v/thinker"]
    assert order(overall, "hard") == ["v/thinker", "v/chatter", "v/coder"]
    assert order(coding, "easy") == order(coding, "medium") == ["v/coder", "v/chatter", "v/thinker"]
    # The thinker's 1500 on hard tasks less the 5 points it is worse at code, beside the coder's 1400 and 40 more.
    assert order(coding, "hard") == ["v/thinker", "v/coder", "v/chatter"]


def test_rows_carry_the_estimate_of_the_category() -> None:
    coding = ranked(OFFERS, QUALITIES)
    rows = set(coding.select("model_id", "category", "rated_in", "quality", "quality_sd", "quality_basis").rows())

    assert rows == {
        ("v/chatter", "coding", "coding", 1390.0, 6.0, "rated"),
        ("v/coder", "coding", "coding", 1440.0, 7.0, "rated"),
        ("v/thinker", "coding", "coding", 1385.0, 8.0, "offset"),
    }


def test_a_model_that_the_category_does_not_know_keeps_its_quality() -> None:
    known = {"coding": {("v/coder", "default"): InCategory(1440.0, 7.0, "rated")}}

    assert order(ranked(OFFERS, known), "medium") == ["v/coder", "v/chatter", "v/thinker"]


@pytest.mark.parametrize("qualities", [{}, {"french": QUALITIES["coding"]}])
def test_without_a_category_of_its_own_no_kind_of_task_has_a_ranking(
    qualities: dict[str, dict[tuple[str, str], InCategory]],
) -> None:
    found = ranked(OFFERS, qualities)

    assert found.is_empty()
    assert found.schema == pl.Schema(kinds.SCHEMA)


def test_every_upstream_has_its_first_offers_in_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody with a key for the worst upstream alone has an order by kind of task too; ranks are those of all."""
    monkeypatch.setattr(kinds, "DEPTH", 2)
    offers = [*OFFERS, *(offer(name, "poor") for name in MODELS)]
    found = ranked(offers, QUALITIES).filter(pl.col("difficulty_band") == "medium").sort("rank")

    assert found.select("offer_id", "rank").rows() == [
        ("market:v/coder", 1),
        ("poor:v/coder", 2),
        ("market:v/chatter", 3),
        ("poor:v/chatter", 4),
    ]
