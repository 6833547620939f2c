"""Places at an upstream: bounded, fair among clients, and never lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.admission import Admission, Places, Queue
from proxy.clock import Limit
from tests.proxy.policy.offers import HandClock

pytestmark = pytest.mark.anyio


class Patient(HandClock):
    """A clock whose time limits end when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: list[tuple[float | None, asyncio.Timeout]] = []

    @asynccontextmanager
    async def timeout_at(self, when: float | None) -> AsyncIterator[Limit]:  # type: ignore[override]
        async with asyncio.timeout(None) as limit:
            self.limits.append((when, limit))
            yield limit

    def pass_to(self, seconds: float) -> None:
        self.seconds = seconds
        due = [one for one in self.limits if one[0] is not None and one[0] <= seconds]
        self.limits = [one for one in self.limits if one not in due]
        for _, limit in due:
            limit.reschedule(0)


def places(clock: Patient, count: int = 1, queue: int = 3) -> Places:
    return Places(count, queue, 2.0, clock)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_free_place_is_taken_at_once_and_a_full_one_waited_for() -> None:
    """The one who waits is served when another leaves."""
    one = places(Patient())
    assert await one.take("a")
    waiting = asyncio.create_task(one.take("b"))
    await settle()
    assert (one.taken, one.waiting, waiting.done()) == (1, 1, False)
    one.give_back()

    assert await waiting
    assert (one.taken, one.waiting) == (1, 0)
    one.give_back()
    assert one.taken == 0


async def test_clients_are_served_in_turn_however_many_calls_one_sends() -> None:
    """A crowd of one client's calls does not stand before another's."""
    one = places(Patient(), queue=10)
    assert await one.take("first")
    order: list[str] = []

    async def call(client: str) -> None:
        assert await one.take(client)
        order.append(client)
        one.give_back()

    tasks = [asyncio.create_task(call(client)) for client in ("crowd", "crowd", "crowd", "single")]
    await settle()
    one.give_back()
    await asyncio.gather(*tasks)

    assert order == ["crowd", "single", "crowd", "crowd"]


async def test_a_full_queue_and_a_long_wait_turn_away() -> None:
    """At once when the queue is full; else after the longest wait, or at the call's own end if that is sooner."""
    clock = Patient()
    one = places(clock, queue=2)
    assert await one.take("a")
    patient = asyncio.create_task(one.take("b"))
    hurried = asyncio.create_task(one.take("c", until=0.5))
    await settle()

    assert not await one.take("d")
    clock.pass_to(0.5)
    assert not await hurried
    assert not patient.done()
    clock.pass_to(2.0)
    assert not await patient
    assert (one.taken, one.waiting, one.turned_away) == (1, 0, 3)


async def test_one_who_leaves_while_waiting_takes_no_place_along() -> None:
    """Before its turn, and in the very moment of it."""
    one = places(Patient())
    assert await one.take("a")
    early, late = asyncio.create_task(one.take("b")), asyncio.create_task(one.take("c"))
    await settle()
    early.cancel()
    await settle()
    assert one.waiting == 1
    one.give_back()
    late.cancel()
    await asyncio.gather(early, late, return_exceptions=True)

    assert (one.taken, one.waiting) == (0, 0)


async def test_limits_can_change_while_calls_run() -> None:
    """Running calls stay; an upstream without a limit has no places to count."""
    admission = Admission({"local": 2}, 4, 1.0, Patient())
    local = admission.of("local")
    assert local is not None
    assert await local.take()
    assert await local.take()
    admission.limit({"local": 1, "other": 5})

    assert not local.take_now()
    local.give_back()
    assert not local.take_now()
    local.give_back()
    assert local.take_now()
    assert admission.of("none") is None
    assert admission.state()["local"] == {"places": 1, "running": 1, "waiting": 0, "turned_away": 0}
    admission.limit({})
    assert admission.of("local") is None


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["put", "next", "leave"])), max_size=60))
def test_nobody_is_lost_doubled_or_overtaken_twice(steps: list[tuple[str, str]]) -> None:
    """Within a client, order is kept; between two turns of one client every other one that waits has had one."""
    queue = Queue()
    waiting: dict[str, list[int]] = {client: [] for client in "abcd"}
    since: dict[str, set[str]] = {}
    for number, (client, step) in enumerate(steps):
        if step == "put":
            queue.put(client, number)
            waiting[client].append(number)
        elif step == "leave" and waiting[client]:
            assert queue.leave(client, waiting[client].pop())
            if not waiting[client]:
                since.pop(client, None)
                for passed in since.values():
                    passed.discard(client)
        elif step == "next":
            ticket = queue.next()
            served = [who for who, tickets in waiting.items() if tickets and tickets[0] == ticket]
            assert len(served) == (1 if any(waiting.values()) else 0)
            for who in served:
                waiting[who].pop(0)
                assert not since.get(who), f"{who} was served again before {since[who]}"
                since[who] = {other for other, tickets in waiting.items() if tickets and other != who}
                for other, passed in since.items():
                    if other != who:
                        passed.discard(who)
        assert len(queue) == sum(len(tickets) for tickets in waiting.values())
