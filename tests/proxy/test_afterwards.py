"""What calls leave to be written down: done in order, soon, and whatever one of them raises."""

from __future__ import annotations

import asyncio
import time

import pytest

from proxy.afterwards import Afterwards


@pytest.mark.anyio
async def test_work_waits_until_the_next_call_was_sent() -> None:
    afterwards, did = Afterwards(), list[str]()
    afterwards.add(lambda: did.append("written down"))
    afterwards.while_waiting()
    asyncio.get_running_loop().call_soon(did.append, "body sent")
    assert did == []
    for _ in range(4):
        await asyncio.sleep(0)

    assert did == ["body sent", "written down"]


@pytest.mark.anyio
async def test_work_is_done_in_time_though_nobody_calls() -> None:
    afterwards, done = Afterwards(), asyncio.Event()
    for _ in range(2):
        done.clear()
        afterwards.add(done.set)
        await asyncio.wait_for(done.wait(), 30)


@pytest.mark.anyio
async def test_work_does_not_pile_up() -> None:
    afterwards, did = Afterwards(), list[int]()
    for number in range(1_000):
        afterwards.add(lambda number=number: did.append(number))  # type: ignore[misc]
    assert len(did) > 900
    afterwards.catch_up()

    assert did == list(range(1_000))


@pytest.mark.anyio
async def test_what_one_raises_keeps_no_other_from_being_done(caplog: pytest.LogCaptureFixture) -> None:
    afterwards, did = Afterwards(), list[str]()
    afterwards.add(lambda: did.append("before"))
    afterwards.add(lambda: time.sleep(-1))
    afterwards.add(lambda: did.append("after"))
    afterwards.catch_up()

    assert did == ["before", "after"]
    assert "could not be written down" in caplog.text
