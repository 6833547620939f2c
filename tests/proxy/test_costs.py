"""What a call cost where an upstream does not say: prices by the length of the prompt, and what was cached."""

from __future__ import annotations

import json

import pytest

from proxy.affinity import Pin, Placed, Turn, rest_of_session
from proxy.answers import Usage
from proxy.budgets import worst_case_usd
from proxy.costs import at_length, cost_usd
from tests.proxy.publication import offer

TIERS = json.dumps(
    [
        {"min_prompt_tokens": 128_000, "price_in_usd_per_mtok": 2.0},
        {"min_prompt_tokens": 200_000, "price_in_usd_per_mtok": 4.0, "price_out_usd_per_mtok": 9.0},
    ]
)
TIERED = offer("a/model", price_tiers_json=TIERS, price_cache_read_usd_per_mtok=0.1, max_output_tokens=1_000)


@pytest.mark.parametrize(
    ("prompt", "cached", "usd"),
    [
        (100_000, 0, 0.1 + 0.004),
        (127_999, 0, 0.127999 + 0.004),
        (128_000, 0, 0.256 + 0.004),
        (128_000, 100_000, 0.056 + 0.01 + 0.004),
        (200_000, 0, 0.8 + 0.009),
    ],
)
def test_the_whole_call_costs_what_its_prompts_length_says(prompt: int, cached: int, usd: float) -> None:
    """The last tier reached replaces the prices it names, for every token of the call; others stay."""
    assert cost_usd(Usage(prompt, cached, 1_000), TIERED) == (pytest.approx(usd), False)


def test_what_the_upstream_reports_is_what_it_cost() -> None:
    """Tiers or not."""
    assert cost_usd(Usage(300_000, 0, 1_000, cost_usd=0.5), TIERED) == (0.5, True)


def test_a_budgets_worst_case_counts_the_tier_that_may_be_reached() -> None:
    """150,000 tokens are an estimate; up to 210,000 may be counted, and those are in the dearest tier."""
    assert worst_case_usd(TIERED, 10_000, 1_000) == pytest.approx(0.014 + 0.004)
    assert worst_case_usd(TIERED, 150_000, 1_000) == pytest.approx(210_000 * 4e-6 + 0.009)


def test_a_session_is_added_up_at_the_prices_of_its_length() -> None:
    """Reading a warm prefix, writing what is new, and answering all follow the tier."""
    pin = Pin("o", "a/model", None, 0.0, prompt_tokens=200_000, cached_share=1.0)
    turn = Turn(200_000, 1.0, answers_tool=False, marks_cache=False)
    found = rest_of_session(Placed(TIERED, None), turn, 0, 0.0, 1_000, pin)
    assert found is not None
    assert (found.first_prompt_usd, found.answers_usd) == (pytest.approx(0.02), pytest.approx(0.009))
    assert at_length(TIERED, 1) is TIERED
