"""The formulas, on numbers small enough to check by hand."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rankings import calls, scoring
from pipeline.rankings.profile import Profile, load
from pipeline.rankings.speed import OwnAttempts, reliability
from pipeline.rankings.typical_calls import BANDS, MEDIUM

EVEN = Profile("even", "All alike.", True, 1.0, {"quality": 0.25, "latency": 0.25, "cost": 0.25, "context": 0.25})


def candidate(offer_id: str = "a", **changed: object) -> dict[str, object]:
    row: dict[str, object] = {
        "offer_id": offer_id,
        "model_id": offer_id,
        "effort": None,
        "configuration": "default",
        "quality": 1400.0,
        "quality_sd": 0.0,
        "quality_when_hard": 1400.0,
        "quality_basis": "rated",
        "latency_first_token_ms": 500.0,
        "throughput_tokens_per_s": 100.0,
        "thinking_tokens": 0.0,
        "first_content_ratio": 1.0,
        "latency_basis": "measured",
        "reliability": 1.0,
        "failed_call_ms": 500.0,
        "price_in_usd_per_mtok": 1.0,
        "price_out_usd_per_mtok": 2.0,
        "price_reasoning_usd_per_mtok": None,
        "price_request_usd": None,
        "price_tiers": None,
        "context_tokens": 131_072,
    }
    return {**row, **changed}


def ranked(*rows: dict[str, object], profile: Profile = EVEN, band: str = "medium") -> list[dict[str, object]]:
    frame = pl.DataFrame(list(rows), schema=calls.SCHEMA)
    return scoring.rank(scoring.candidates(frame, BANDS[band]), [profile], BANDS[band]).rows(named=True)


def test_time_and_cost_of_a_medium_call() -> None:
    (row,) = ranked(candidate(thinking_tokens=250.0, price_request_usd=0.01))

    # 0.5 s, then 250 thinking and 500 answer tokens at 100 a second.
    assert row["latency_ms"] == pytest.approx(500 + 7_500)
    # 1,000 tokens in at $1, 750 out at $2 a million, and a cent.
    assert row["cost_in_usd_per_call"] == pytest.approx(0.001 + 0.0015 + 0.01)


def test_quality_part_is_half_at_the_difficulty_and_a_logit_higher_at_the_next_step() -> None:
    at, above = (
        ranked(candidate(quality=MEDIUM.difficulty + more))[0]["quality_score"]
        for more in (0.0, MEDIUM.points_per_logit)
    )

    assert at == pytest.approx(0.5)
    assert above == pytest.approx(1 / (1 + math.exp(-1)))


def test_an_answer_that_fails_is_paid_for_again() -> None:
    sure, unlikely = (ranked(candidate(quality=q))[0] for q in (9999.0, MEDIUM.difficulty))
    half = ranked(candidate(quality=9999.0, price_in_usd_per_mtok=2.0, price_out_usd_per_mtok=4.0))[0]

    assert sure["cost_in_usd_per_call"] == unlikely["cost_in_usd_per_call"]
    assert unlikely["cost_score"] == pytest.approx(half["cost_score"])


def test_uncertainty_counts_against_an_estimate() -> None:
    sure, unsure = ranked(candidate("sure"), candidate("unsure", quality_sd=50.0))

    assert (sure["offer_id"], unsure["offer_id"]) == ("sure", "unsure")


def test_unknown_price_is_neither_free_nor_worthless() -> None:
    prices = [candidate(str(n), price_in_usd_per_mtok=10.0**n, price_out_usd_per_mtok=10.0**n) for n in range(-1, 2)]
    rows = ranked(*prices, candidate("unknown", price_in_usd_per_mtok=None, price_out_usd_per_mtok=None))
    parts = {row["offer_id"]: row["cost_score"] for row in rows}

    assert parts["1"] < parts["unknown"] < parts["0"]
    assert next(row for row in rows if row["offer_id"] == "unknown")["cost_in_usd_per_call"] is None


def test_nothing_known_of_anyone_is_worst_not_best() -> None:
    (row,) = ranked(candidate(context_tokens=None))

    assert row["context_score"] == 0.0


def test_equal_scores_are_ordered_by_name_whatever_the_input_order() -> None:
    rows = ranked(candidate("b"), candidate("a"), candidate("c"))

    assert [(row["rank"], row["offer_id"]) for row in rows] == [(1, "a"), (2, "b"), (3, "c")]


def test_an_easy_prompt_goes_to_the_cheaper_model_and_a_hard_one_to_the_better() -> None:
    balanced = next(p for p in load() if p.name == "balanced")
    cheap = candidate("cheap", price_in_usd_per_mtok=0.1, price_out_usd_per_mtok=0.3)
    cheap |= {"quality": 1330.0, "quality_when_hard": 1330.0}
    good = candidate("good", price_in_usd_per_mtok=2.0, price_out_usd_per_mtok=5.0)
    good |= {"quality": 1490.0, "quality_when_hard": 1490.0}

    assert ranked(cheap, good, profile=balanced, band="easy")[0]["offer_id"] == "cheap"
    assert ranked(cheap, good, profile=balanced, band="hard")[0]["offer_id"] == "good"


POSITIVE = st.floats(min_value=1e-3, max_value=1e6)


@given(
    quality=st.one_of(st.none(), st.floats(min_value=0, max_value=3000)),
    latency=st.one_of(st.none(), POSITIVE),
    price=st.one_of(st.none(), st.floats(min_value=0, max_value=1e4)),
    context=st.one_of(st.none(), st.integers(min_value=1, max_value=10**8)),
)
def test_every_part_and_score_lies_between_nought_and_one(
    quality: float | None, latency: float | None, price: float | None, context: int | None
) -> None:
    rows = ranked(
        candidate("known"),
        candidate(
            "drawn",
            quality=quality,
            latency_first_token_ms=latency,
            price_in_usd_per_mtok=price,
            price_out_usd_per_mtok=price,
            context_tokens=context,
        ),
    )

    for row in rows:
        for part in ("quality_score", "latency_score", "cost_score", "context_score", "score"):
            assert 0.0 <= row[part] <= 1.0  # type: ignore[operator]


@given(lower=POSITIVE, more=st.floats(min_value=0, max_value=1e4))
def test_dearer_is_never_better(lower: float, more: float) -> None:
    rows = ranked(candidate("a", price_out_usd_per_mtok=lower), candidate("b", price_out_usd_per_mtok=lower + more))
    parts = {row["offer_id"]: row["cost_score"] for row in rows}

    assert parts["a"] >= parts["b"]  # type: ignore[operator]


def test_a_call_that_is_not_answered_is_waited_for_and_asked_again() -> None:
    sure, shaky = ranked(
        candidate("sure", quality=9999.0), candidate("shaky", quality=9999.0, reliability=0.5, failed_call_ms=2_000.0)
    )
    # One lost call for each answered one: two seconds, and the prompt's thousand tokens at $1 a million.
    slower = ranked(candidate(quality=9999.0, latency_first_token_ms=2_500.0, price_request_usd=0.001))[0]

    assert (sure["offer_id"], shaky["offer_id"]) == ("sure", "shaky")
    assert shaky["latency_ms"] == sure["latency_ms"]
    assert shaky["latency_score"] == pytest.approx(slower["latency_score"])
    assert shaky["cost_score"] == pytest.approx(slower["cost_score"])


def test_a_profile_may_say_what_a_wrong_answer_costs() -> None:
    strict = Profile("strict", "Strict.", True, 1.0, EVEN.weights, wrong_answer_usd=0.004)
    (even,) = ranked(candidate(quality=MEDIUM.difficulty))
    (wary,) = ranked(candidate(quality=MEDIUM.difficulty), profile=strict)
    # Half of the answers are wrong: one a good one, at $0.004, beside two at $0.002.
    (dear,) = ranked(candidate(quality=MEDIUM.difficulty, price_request_usd=0.002))

    assert even["cost_in_usd_per_call"] == pytest.approx(0.002)
    assert wary["cost_score"] == pytest.approx(dear["cost_score"])


def test_soon_and_cheap_enough_is_no_worse_than_sooner_and_cheaper() -> None:
    easy_going = Profile("easy_going", "No hurry.", True, 1.0, EVEN.weights, soon_enough_s=30.0, cheap_enough_usd=0.05)
    rows = ranked(
        candidate("quick", quality=9999.0),
        candidate("slow", quality=9999.0, latency_first_token_ms=24_000.0, price_request_usd=0.04),
        candidate("slower", quality=9999.0, latency_first_token_ms=40_000.0),
        profile=easy_going,
    )
    parts = {row["offer_id"]: (row["latency_score"], row["cost_score"]) for row in rows}

    assert parts["quick"] == parts["slow"] == (1.0, 1.0)
    assert parts["slower"][0] == pytest.approx(1 - math.log(45 / 30) / math.log(300 / 30))


@pytest.mark.parametrize(
    ("uptime", "worth", "let_through", "own", "expected"),
    [
        (None, 100.0, 1.0, None, 0.99),
        (None, 100.0, 0.8, None, 0.99 * 0.8),
        (90.0, 90.0, 1.0, None, (10 * 0.99 + 90 * 0.9) / 100),
        (100.0, 90.0, 0.8, None, (10 * 0.99 + 90) * 0.8 / 100),
        (None, 0.0, 1.0, OwnAttempts(45.0, 45.0, 3_000.0), (9.9 + 45) / 100),
    ],
)
def test_reliability_is_the_mean_of_what_is_assumed_listed_and_seen(
    uptime: float | None, worth: float, let_through: float, own: OwnAttempts | None, expected: float
) -> None:
    found = reliability(500.0, let_through=let_through, uptime_percent=uptime, uptime_worth=worth, own=own)

    assert found.answered_share == pytest.approx(expected)
    assert found.failed_call_ms == pytest.approx(500.0 if own is None else (10 * 500 + 45 * 3_000) / 55)
