"""A second candidate beside a slow first one: who answers, who is cancelled, and what is recorded."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from proxy.asking import Answer
from proxy.errors import AttemptsFailedError
from proxy.hedging import HedgeBudget
from proxy.policies import Plan
from proxy.preferences import Routing
from tests.proxy.hand import DONE, STALL, Bench, event, fails, indexed, says, settle, stalls, streams
from tests.proxy.publication import offer, world

pytestmark = pytest.mark.anyio

# Published to speak after half a second: a second candidate is asked after one.
A, B, C = (offer(f"{name}/model", upstream=f"up-{name}") for name in "abc")


class Racing(Bench):
    """A bench whose calls may be hedged."""

    def __init__(self, share: float = 1.0, routing: Routing | None = None, **settings: Any) -> None:
        super().__init__(indexed(world((A, B, C)), "up-a", "up-b", "up-c"), **settings)
        self.hedges = HedgeBudget(share)
        self.failover._hedges = self.hedges
        self.routing = routing or Routing()
        for one in (A, B, C):
            self.transport.tell(one.upstream_model, says(f"I am {one.model_id}"))

    async def begin(self, **body: Any) -> asyncio.Task[Answer]:
        call = self.call(**body)
        assert call.assessment is not None
        self.plan = call.plan = Plan(call.wanted, call.assessment, routing=self.routing)
        task = asyncio.create_task(self.failover.answer(call))
        await settle()
        return task

    @property
    def ended(self) -> list[tuple[str, str, str | None]]:
        return [(one.model_id, one.outcome, one.cause) for one in self.outcomes]


def text(answer: Answer) -> str:
    return str(json.loads(answer.body)["choices"][0]["message"]["content"])


async def test_a_quick_first_candidate_is_alone() -> None:
    """Nothing is sent that nobody needs."""
    at = Racing()
    assert text(await (await at.begin())) == "I am a/model"

    assert at.transport.models == ["a/model"]
    assert at.plan.hedge is None


async def test_the_second_answers_when_the_first_is_silent() -> None:
    """After the first's own expected time; the first is cancelled, and nobody is blamed."""
    at = Racing()
    at.transport.tell("a/model", stalls)
    task = await at.begin()
    await at.clock.advance(0.9)
    assert at.transport.models == ["a/model"]
    await at.clock.advance(0.1)

    assert text(await task) == "I am b/model"
    assert at.ended == [("b/model", "answered", None), ("a/model", "caller_gone", "lost_the_race")]
    assert at.plan.hedge == "asked up-b:b/model beside it; the second answered"
    assert all(not breaker.failures for breaker in at.breakers)


async def test_the_first_answers_when_it_speaks_before_the_second() -> None:
    """The second is cancelled, its stream closed."""
    at = Racing()
    gate = asyncio.Event()
    sent = at.transport.send

    async def slowly(request: Any) -> Any:
        answer = await sent(request)
        if json.loads(request.body)["model"] == "a/model":
            await gate.wait()
        return answer

    at.transport.send = slowly  # type: ignore[method-assign]
    at.transport.tell("b/model", streams(event(), STALL))
    at.transport.tell("a/model", streams(event("hello"), event(finish="stop"), DONE))
    task = await at.begin(stream=True)
    await at.clock.advance(1.0)
    assert at.transport.models == ["a/model", "b/model"]
    gate.set()
    answer = await task

    assert answer.rest is not None
    assert b"hello" in answer.body + b"".join([piece async for piece in answer.rest])
    assert ("b/model", "caller_gone", "lost_the_race") in at.ended
    assert all(one.is_closed for one in at.transport.answers)  # type: ignore[attr-defined]


async def test_the_second_goes_on_when_the_first_fails_meanwhile() -> None:
    """And the failure counts against the first as it would have without a hedge."""
    at = Racing(first_byte_timeout_s=3.0)
    at.transport.tell("a/model", stalls)
    at.transport.tell("b/model", stalls)
    task = await at.begin()
    await at.clock.advance(1.0)
    at.transport.tell("c/model", says("I am c/model"))
    await at.clock.advance(2.0)
    await at.clock.advance(1.0)

    assert text(await task) == "I am c/model"
    assert at.ended[:2] == [
        ("a/model", "stalled", "no_content_in_time"),
        ("b/model", "stalled", "no_content_in_time"),
    ]


async def test_when_both_fail_the_call_goes_on_as_ever() -> None:
    """The third candidate is asked, and the two are not asked again."""
    at = Racing()
    at.transport.tell("a/model", stalls)
    at.transport.tell("b/model", fails(500))
    task = await at.begin()
    await at.clock.advance(1.0)
    await at.clock.advance(15.0 + 200.0)

    assert text(await task) == "I am c/model"
    assert sorted(set(at.transport.models)) == ["a/model", "b/model", "c/model"]
    assert len(at.transport.models) == 3


async def test_a_client_that_hangs_up_ends_both() -> None:
    """Every attempt is recorded once, every trial and connection freed."""
    before = asyncio.all_tasks()
    at = Racing()
    at.transport.tell("a/model", stalls)
    at.transport.tell("b/model", streams(event(), STALL))
    task = await at.begin(stream=True)
    await at.clock.advance(1.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert sorted(at.ended) == [("a/model", "caller_gone", "cancelled"), ("b/model", "caller_gone", "cancelled")]
    assert all(one.is_closed for one in at.transport.answers)  # type: ignore[attr-defined]
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    ("share", "routing", "settings"),
    [
        (0.05, Routing(), {}),
        (1.0, Routing(hedge=False), {}),
        (1.0, Routing(max_attempts=1), {"first_byte_timeout_s": 2.0}),
    ],
)
async def test_without_leave_there_is_no_second(share: float, routing: Routing, settings: dict[str, Any]) -> None:
    """No budget saved up, the caller's no, and the limit of attempts."""
    at = Racing(share, routing, **settings)
    at.transport.tell("a/model", stalls)
    task = await at.begin()
    await at.clock.advance(1.5)
    assert at.transport.models == ["a/model"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_failure_without_any_candidate_left_is_told_as_ever() -> None:
    """With every attempt in it."""
    at = Racing()
    for one in (A, B, C):
        at.transport.tell(one.upstream_model, fails(500))
    with pytest.raises(AttemptsFailedError) as caught:
        await (await at.begin())

    assert len(caught.value.attempts) == 3
