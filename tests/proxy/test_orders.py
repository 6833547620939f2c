"""An operator's word on a breaker reaches every worker of a host."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.breaker import BreakerRule, Breakers
from proxy.orders import Orders
from tests.proxy.hand import HandClock

pytestmark = pytest.mark.anyio


class Worker:
    def __init__(self, directory: Path, clock: HandClock) -> None:
        self.breakers = Breakers(BreakerRule())
        self.clock = clock
        self.orders = Orders(directory / "orders.json", self.breakers, clock)
        self.orders.skip_past()

    def state(self, key: str = "upstream one") -> str:
        return self.breakers[key].state(self.clock.monotonic())


async def test_what_one_worker_is_told_all_obey(tmp_path: Path) -> None:
    """Opened for as long as was said, wherever it is looked at; closed again the same way."""
    clock = HandClock()
    first, second = Worker(tmp_path, clock), Worker(tmp_path, clock)
    first.orders.give("open", "upstream one", 600)
    assert (first.state(), second.state()) == ("open", "closed")
    second.orders.look()
    assert (first.state(), second.state()) == ("open", "open")
    assert second.breakers["upstream one"].reason == "opened by an operator"

    second.orders.give("close", "upstream one")
    first.orders.look()
    assert (first.state(), second.state()) == ("closed", "closed")
    # A look at what is known already changes nothing.
    first.breakers["upstream one"].open(clock.monotonic(), "its own")
    first.orders.look()
    second.orders.give("open", "upstream two")
    first.orders.look()
    assert first.state() == "open"


async def test_a_worker_that_starts_later_obeys_what_still_holds(tmp_path: Path) -> None:
    """For the rest of the time; not what is over, closed again, or was for a cooldown only."""
    clock = HandClock()
    first = Worker(tmp_path, clock)
    first.orders.give("open", "upstream one", 600)
    first.orders.give("open", "upstream two", 10)
    first.orders.give("open", "upstream three")
    first.orders.give("open", "upstream four", 600)
    first.orders.give("close", "upstream four")
    await clock.advance(60)
    late = Worker(tmp_path, clock)
    assert [late.state(f"upstream {name}") for name in ("one", "two", "three", "four")] == [
        "open",
        "closed",
        "closed",
        "closed",
    ]
    assert late.breakers["upstream one"].until == clock.monotonic() + 540


async def test_a_file_that_cannot_be_read_is_said_and_changes_nothing(tmp_path: Path) -> None:
    """The next good order is obeyed again."""
    clock = HandClock()
    first = Worker(tmp_path, clock)
    (tmp_path / "orders.json").write_text("no orders")
    first.orders.look()
    assert first.orders.problem is not None
    assert first.state() == "closed"
    Worker(tmp_path, clock).orders.give("open", "upstream one", 60)
    first.orders.look()
    assert (first.state(), first.orders.problem) == ("open", None)
