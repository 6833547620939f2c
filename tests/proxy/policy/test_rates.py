"""The bucket that keeps a rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.rates import give_back, take


def test_a_minutes_worth_at_once_and_then_as_it_refills() -> None:
    """Ten a minute: ten at once, the eleventh after six seconds."""
    due = 0.0
    for _ in range(10):
        due, wait = take(due, 100.0, 1, 10)
        assert wait == 0
    due, wait = take(due, 100.0, 1, 10)

    assert wait == pytest.approx(6.0)
    assert take(due, 105.9, 1, 10).wait_s == pytest.approx(0.1)
    assert take(due, 106.0, 1, 10).wait_s == 0


def test_more_than_a_minutes_worth_is_given_to_a_full_bucket_and_earned_back() -> None:
    """A prompt of 300 tokens at 100 tokens a minute: once, and then nothing for three minutes."""
    due, wait = take(0.0, 1000.0, 300, 100)

    assert wait == 0
    assert take(due, 1000.0, 1, 100).wait_s == pytest.approx(120.6)
    assert take(due, 1180.0, 100, 100).wait_s == 0


def test_what_was_not_used_is_given_back() -> None:
    """An estimate of 90 that turns out to be 10 leaves 90 of 100."""
    due, _ = take(0.0, 50.0, 90, 100)
    due = give_back(due, 80, 100)

    assert take(due, 50.0, 90, 100).wait_s == 0
    assert take(due, 50.0, 91, 100).wait_s > 0


@given(
    per_minute=st.integers(1, 600),
    asked=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 50)), min_size=1, max_size=80),
)
def test_no_window_ever_holds_more_than_the_rate_and_one_burst(per_minute: int, asked: list[tuple[float, int]]) -> None:
    """For every window of the sequence: what was given is at most the burst, the refill, and one last large call."""
    now, due = 1_000.0, 0.0
    given_at: list[tuple[float, int]] = []
    for pause, amount in asked:
        now += pause
        taken = take(due, now, amount, per_minute)
        if taken.wait_s:
            assert taken.due_s == max(due, now)
            assert take(taken.due_s, now + taken.wait_s * 1.0001 + 1e-6, amount, per_minute).wait_s == 0
        else:
            given_at.append((now, amount))
        due = taken.due_s
    for i, (start, _) in enumerate(given_at):
        for end, last in given_at[i:]:
            total = sum(amount for at, amount in given_at[i:] if at <= end)
            surplus = max(0, last - per_minute)
            assert total <= per_minute * (1 + (end - start) / 60) * (1 + 1e-6) + surplus + 1e-6
