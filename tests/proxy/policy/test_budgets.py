"""Budgets and limits of keys: reserved before, settled after, across processes, and never leaked."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from proxy.budgets import (
    Lease,
    Ledger,
    LedgerError,
    Refused,
    Store,
    is_running,
    process_name,
    unseen_usd,
    worst_case_usd,
)
from proxy.keys import Key
from tests.proxy.policy.offers import HandClock, offer

NOON = dt.datetime(2026, 11, 30, 12)
ROOT = Path(__file__).resolve().parents[3]


def key(**limits: Any) -> Key:
    return Key("team", "0" * 64, **limits)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "budgets.sqlite3")
    yield opened
    opened.close()


def take(store: Store, key: Key, worst_usd: float = 0.0, tokens: int = 0, now: dt.datetime = NOON) -> Lease | Refused:
    (found,) = store.batch([lambda opened: opened.take(key, now, worst_usd, tokens, 600.0)])
    return found  # type: ignore[no-any-return]


def settle(store: Store, lease: Lease | Refused, cost_usd: float, tokens: int | None = None) -> None:
    assert isinstance(lease, Lease)
    store.batch([lambda opened: opened.settle(lease, cost_usd, tokens)])


def usage(store: Store, key: Key, now: dt.datetime = NOON) -> dict[str, Any]:
    (found,) = store.batch([lambda opened: opened.usage(key, now)])
    return found  # type: ignore[no-any-return]


def test_what_is_reserved_is_not_there_for_others_until_it_is_settled(store: Store) -> None:
    """Two calls of at most 60 cents do not fit into a dollar; once the first has cost 10, the second does."""
    dollar = key(budget_usd_per_day=1.0)
    first = take(store, dollar, 0.6)
    second = take(store, dollar, 0.6)

    assert isinstance(second, Refused)
    assert second.limit == "budget_usd_per_day"
    assert not second.is_spent
    assert second.retry_after_s == 2.0
    settle(store, first, 0.1)
    assert isinstance(take(store, dollar, 0.6), Lease)
    assert usage(store, dollar) == {
        "spent_usd_this_day": 0.1,
        "reserved_usd_this_day": 0.6,
        "spent_usd_this_month": 0.1,
        "reserved_usd_this_month": 0.6,
        "running": 1,
    }


def test_a_call_that_failed_gives_everything_back(store: Store) -> None:
    """A release is a settlement of nothing."""
    dollar = key(budget_usd_per_day=1.0)
    settle(store, take(store, dollar, 0.9), 0.0)

    assert usage(store, dollar)["reserved_usd_this_day"] == 0
    assert isinstance(take(store, dollar, 0.9), Lease)


def test_alone_a_call_may_be_dearer_than_what_is_left(store: Store) -> None:
    """A call without max_tokens may reserve more than the whole budget; it runs, but no other beside it."""
    dollar = key(budget_usd_per_day=1.0)
    first = take(store, dollar, 4.8)

    assert isinstance(first, Lease)
    assert isinstance(take(store, dollar, 0.01), Refused)
    settle(store, first, 0.02)
    assert isinstance(take(store, dollar, 4.8), Lease)


def test_a_spent_budget_says_when_it_is_back(store: Store) -> None:
    """The day's at midnight UTC, the month's at its end; and calls that cost nothing go on."""
    both = key(budget_usd_per_day=1.0, budget_usd_per_month=1.5)
    settle(store, take(store, both, 1.0), 1.2)
    day = take(store, both, 0.1)

    assert isinstance(day, Refused)
    assert (day.limit, day.is_spent, day.retry_after_s) == ("budget_usd_per_day", True, 12 * 3600)
    assert day.message == "The key team has spent $1.20 of $1 in 2026-11-30."
    assert isinstance(take(store, both, 0.0), Lease)
    tomorrow = NOON + dt.timedelta(days=1)
    assert isinstance(take(store, both, 0.1, now=tomorrow), Lease)


def test_the_month_holds_over_days(store: Store) -> None:
    """A month's budget is not renewed at midnight."""
    monthly = key(budget_usd_per_month=1.0)
    first = NOON.replace(day=3)
    lease = take(store, monthly, 1.0, now=first)
    settle(store, lease, 1.0)
    refused = take(store, monthly, 0.1, now=NOON)

    assert isinstance(refused, Refused)
    assert (refused.limit, refused.retry_after_s) == ("budget_usd_per_month", 12 * 3600)
    assert isinstance(take(store, monthly, 0.1, now=NOON + dt.timedelta(days=1)), Lease)


def test_a_call_over_midnight_counts_for_the_day_it_began(store: Store) -> None:
    """What was reserved yesterday is settled there."""
    dollar = key(budget_usd_per_day=1.0)
    lease = take(store, dollar, 0.9, now=NOON.replace(hour=23, minute=59))
    settle(store, lease, 0.9)
    tomorrow = NOON + dt.timedelta(days=1)

    assert usage(store, dollar, tomorrow)["spent_usd_this_day"] == 0
    assert usage(store, dollar, NOON)["spent_usd_this_day"] == 0.9


def test_concurrency_counts_running_calls(store: Store) -> None:
    """And nothing else."""
    two = key(concurrency=2)
    first, _ = take(store, two), take(store, two)
    refused = take(store, two)

    assert isinstance(refused, Refused)
    assert refused.limit == "concurrency"
    settle(store, first, 0.0)
    assert isinstance(take(store, two), Lease)


def test_rates_are_kept_and_a_refusal_costs_nothing(store: Store) -> None:
    """Requests and tokens are taken together or not at all; unused tokens come back."""
    both = key(requests_per_minute=2, tokens_per_minute=1000)
    lease = take(store, both, tokens=800)
    refused = take(store, both, tokens=800)

    assert isinstance(refused, Refused)
    assert refused.limit == "tokens_per_minute"
    assert refused.retry_after_s == pytest.approx(36.0)
    settle(store, lease, 0.0, tokens=100)
    assert isinstance(take(store, both, tokens=800), Lease)
    third = take(store, both, tokens=1)
    assert isinstance(third, Refused)
    assert (third.limit, third.retry_after_s) == ("requests_per_minute", pytest.approx(30.0))


def test_a_lease_of_a_crashed_worker_does_not_outlive_its_time(store: Store) -> None:
    """The reservation is void once the call's own time limit has passed, and a late settlement still counts."""
    dollar = key(budget_usd_per_day=1.0, concurrency=1)
    lost = take(store, dollar, 0.9)
    later = NOON + dt.timedelta(seconds=601)

    assert isinstance(take(store, dollar, 0.9), Refused)
    assert isinstance(take(store, dollar, 0.9, now=later), Lease)
    settle(store, lost, 0.3)
    found = usage(store, dollar, later)
    assert found["spent_usd_this_day"] == 0.3
    assert found["reserved_usd_this_day"] == 0.9


def test_a_new_worker_voids_what_a_dead_one_held(tmp_path: Path) -> None:
    """Killed outright, it gives back nothing itself; the living keep theirs."""
    path = tmp_path / "budgets.sqlite3"
    program = (
        "import datetime as dt, os, sys; from pathlib import Path; from proxy.budgets import Store; "
        "from proxy.keys import Key; store = Store(Path(sys.argv[1])); "
        "store.batch([lambda s: s.take(Key('team', '0' * 64, budget_usd_per_day=1.0), "
        "dt.datetime(2026, 11, 30, 12), 0.9, 0, 1e6)]); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], cwd=ROOT, check=False)
    dollar = key(budget_usd_per_day=1.0)
    store = Store(path)
    try:
        assert done.returncode == -9
        assert isinstance(take(store, dollar, 0.9), Refused)
        (voided,) = store.batch([lambda opened: opened.tidy(NOON)])
        assert voided == 1
        mine = take(store, dollar, 0.9)
        assert isinstance(mine, Lease)
        assert store.batch([lambda opened: opened.tidy(NOON)]) == [0]
    finally:
        store.close()


def test_a_process_is_known_by_its_start_too() -> None:
    """So that a later process with the same number is not taken for it."""
    mine = process_name(1)
    assert mine is not None
    assert is_running(mine)
    assert not is_running("1:12345678901")
    assert not is_running("4194305:5")


def test_a_step_that_fails_undoes_its_transaction(store: Store) -> None:
    """Nothing is half counted."""
    dollar = key(budget_usd_per_day=1.0)

    def fails(_: Store) -> None:
        raise sqlite3.OperationalError("disk full")

    with pytest.raises(sqlite3.OperationalError):
        store.batch([lambda opened: opened.take(dollar, NOON, 0.9, 0, 60.0), fails])
    assert usage(store, dollar)["reserved_usd_this_day"] == 0


@pytest.mark.parametrize(
    ("known", "output_tokens", "expected"),
    [
        ({"is_local": True}, None, 0.0),
        ({}, 100, None),
        ({"kind": "embedding", "price_in_usd_per_mtok": 1.0}, None, 0.0014),
        ({"price_in_usd_per_mtok": 1.0, "price_out_usd_per_mtok": 10.0}, 1000, 0.0114),
        ({"price_in_usd_per_mtok": 1.0, "price_out_usd_per_mtok": 10.0, "max_output_tokens": 500}, 1000, 0.0064),
        ({"price_in_usd_per_mtok": 1.0, "price_out_usd_per_mtok": 10.0, "max_output_tokens": 500}, None, 0.0064),
        (
            {"price_in_usd_per_mtok": 1.0, "price_out_usd_per_mtok": 10.0, "price_cache_write_usd_per_mtok": 2.0},
            1000,
            0.0128,
        ),
    ],
)
def test_the_worst_case_is_the_dearest_way_the_call_can_go(
    known: dict[str, Any], output_tokens: int | None, expected: float | None
) -> None:
    """1,000 prompt tokens count as 1,400, at the dearer of reading and caching, and all of the answer is added."""
    found = worst_case_usd(offer("x:y", **known), 1000, output_tokens)

    assert found == (None if expected is None else pytest.approx(expected))


def test_a_call_that_never_said_its_cost_is_charged_for_what_it_was_served() -> None:
    """Ten seconds at 50 tokens a second, never more than was reserved."""
    priced = offer("x:y", price_in_usd_per_mtok=1.0, price_out_usd_per_mtok=10.0, throughput_tokens_per_s=50.0)

    assert unseen_usd(priced, 1000, 10.0, 1.0) == pytest.approx(0.006)
    assert unseen_usd(priced, 1000, 10.0, 0.001) == 0.001
    assert unseen_usd(offer("x:y", is_local=True), 1000, 10.0, 1.0) == 0.0


@pytest.mark.integration
@pytest.mark.parametrize(("worst", "cost"), [(0.02, 0.011), (3.0, 0.07)])
def test_two_hundred_calls_of_four_workers_overshoot_a_dollar_by_at_most_one(
    tmp_path: Path, worst: float, cost: float
) -> None:
    """Whether the worst case is close to the truth or far above the budget, the dollar is spent and no more."""
    path = tmp_path / "budgets.sqlite3"
    arguments = [sys.executable, "-m", "tests.proxy.policy.spender", str(path), "50", str(worst), str(cost)]
    workers = [subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    counted = [json.loads(worker.communicate()[0]) for worker in workers]
    made = sum(one["made"] for one in counted)
    store = Store(path)
    try:
        found = usage(store, key(budget_usd_per_day=1.0), dt.datetime.now(dt.UTC).replace(tzinfo=None))
    finally:
        store.close()

    assert made + sum(one["refused"] for one in counted) == 200
    assert 1.0 <= made * cost < 1.0 + cost
    assert found["spent_usd_this_day"] == pytest.approx(made * cost)
    assert (found["reserved_usd_this_day"], found["running"]) == (0.0, 0)


@pytest.mark.anyio
async def test_a_caller_that_hangs_up_while_waiting_gives_its_lease_back(tmp_path: Path) -> None:
    """However the two race."""
    ledger = Ledger(tmp_path / "budgets.sqlite3", HandClock())
    dollar = key(budget_usd_per_day=1.0)
    tasks = [asyncio.create_task(ledger.take(dollar, 0.001, 0, 60.0)) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    for lease in found:
        if isinstance(lease, Lease):
            ledger.release(lease)
    used = await ledger.usage(dollar)
    await ledger.close()

    assert (used["running"], used["reserved_usd_this_day"]) == (0, 0.0)


@pytest.mark.anyio
async def test_without_the_ledger_a_limited_key_is_refused(tmp_path: Path) -> None:
    """And served again when the ledger can be used again."""
    place = tmp_path / "data"
    place.write_text("a file where the directory should be")
    ledger = Ledger(place / "budgets.sqlite3", HandClock())
    dollar = key(budget_usd_per_day=1.0)

    with pytest.raises(LedgerError, match=r"budgets\.sqlite3"):
        await ledger.take(dollar, 0.1, 0, 60.0)
    assert ledger.problem is not None
    place.unlink()
    assert isinstance(await ledger.take(dollar, 0.1, 0, 60.0), Lease)
    assert ledger.problem is None
    await ledger.close()


@pytest.mark.anyio
async def test_a_ledger_that_is_not_needed_starts_nothing(tmp_path: Path) -> None:
    """No file for a proxy without limited keys."""
    ledger = Ledger(tmp_path / "budgets.sqlite3", HandClock())
    await ledger.close()

    assert list(tmp_path.iterdir()) == []


class Spending(RuleBasedStateMachine):
    """Calls that start, end, fail and are forgotten, in any order, beside a model that adds up by itself."""

    @initialize(limit=st.integers(0, 50))
    def open(self, limit: int) -> None:
        self.directory = TemporaryDirectory()
        self.store = Store(Path(self.directory.name) / "budgets.sqlite3")
        self.key = key(budget_usd_per_day=limit / 10)
        self.limit = limit
        self.now = NOON
        self.running: dict[Lease, int] = {}
        self.spent = 0

    @rule(worst=st.integers(1, 30))
    def start(self, worst: int) -> None:
        found = take(self.store, self.key, worst / 10, now=self.now)
        reserved = sum(self.running.values())
        fits = self.spent + reserved + worst <= self.limit or (self.spent < self.limit and not reserved)
        assert isinstance(found, Lease) == (fits and self.spent < self.limit)
        if isinstance(found, Lease):
            self.running[found] = worst

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        if self.running:
            # By age: the ids are random, and a replay must draw the same.
            lease = list(self.running)[data.draw(st.integers(0, len(self.running) - 1))]
            cost = data.draw(st.integers(0, self.running.pop(lease)))
            settle(self.store, lease, cost / 10)
            self.spent += cost

    @rule()
    def crash(self) -> None:
        self.now += dt.timedelta(seconds=600)
        self.running.clear()

    @invariant()
    def nothing_is_lost(self) -> None:
        found = usage(self.store, self.key, self.now)
        assert found["spent_usd_this_day"] == pytest.approx(self.spent / 10)
        assert found["reserved_usd_this_day"] == pytest.approx(sum(self.running.values()) / 10)
        assert found["running"] == len(self.running)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.directory.cleanup()


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
