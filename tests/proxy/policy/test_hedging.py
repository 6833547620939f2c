"""When a second candidate is asked, and how often."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.candidates import Candidate
from proxy.hedging import HedgeBudget, hedge_after_s, is_worth_it
from tests.proxy.policy.offers import offer
from warehouse.published import Configuration


def candidate(offer_id: str, first_token_ms: float | None = None, **known: Any) -> Candidate:
    found = offer(offer_id, **known)
    configuration = Configuration(found.model_id, "default", True, None, None, None, None, first_token_ms, None, None)
    return Candidate(found, None, None, configuration)


@pytest.mark.parametrize(("first_ms", "expected"), [(None, 10.0), (100.0, 1.0), (3_000.0, 6.0), (82_000.0, 164.0)])
def test_a_hedge_waits_for_the_candidates_own_time(first_ms: float | None, expected: float) -> None:
    """A model that thinks for 82 s is not hedged after three."""
    assert hedge_after_s(candidate("x:y", first_ms)) == expected


def test_some_second_candidates_are_not_worth_it() -> None:
    """Too dear, too late, or the same queue."""
    first = candidate("a:m", 1_000.0, price_in_usd_per_mtok=1.0, price_out_usd_per_mtok=3.0)
    dear = candidate("b:n", 500.0, price_in_usd_per_mtok=10.0, price_out_usd_per_mtok=30.0)
    late = candidate("b:o", 9_000.0)
    same = candidate("a:m", 900.0)
    local = candidate("ollama:m", 300.0, is_local=True)

    assert is_worth_it(first, dear) == "it costs more than 3 times as much"
    assert is_worth_it(first, same) == "it is the same endpoint"
    assert is_worth_it(first, late) == "it is expected too late"
    assert is_worth_it(first, local) is None
    assert is_worth_it(local, candidate("ollama:n", 300.0, is_local=True)) == "a local server has one queue"


def test_hedges_are_a_share_of_the_calls() -> None:
    """One in twenty, and none before twenty calls have been made."""
    budget = HedgeBudget(0.05)
    made = 0
    for _ in range(1_000):
        budget.earn()
        made += budget.spend()

    assert made == 50
    assert budget.spent == 50


@given(st.lists(st.booleans(), max_size=300), st.floats(0, 1))
def test_never_more_than_the_share_and_what_was_saved(wishes: list[bool], share: float) -> None:
    """However slow everything is."""
    budget = HedgeBudget(share)
    for wish in wishes:
        budget.earn()
        if wish:
            budget.spend()

    assert budget.spent <= share * len(wishes) + 1e-6
    idle = HedgeBudget(share)
    for _ in wishes:
        idle.earn()
    assert sum(idle.spend() for _ in range(10)) <= 5
