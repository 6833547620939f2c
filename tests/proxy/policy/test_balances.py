"""An account that is short of money: refused once, and from then on asked for what it can pay."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.proxy.hand import Bench, fails, indexed, says
from tests.proxy.publication import offer, world

pytestmark = pytest.mark.anyio

# Completion at $4 and $8 a million tokens; 1,000 tokens of the first cost $0.004.
A = offer("a/model", upstream="up")
DEARER = offer("dearer/model", upstream="up", price_out_usd_per_mtok=8.0)
SHORT = {"error": {"code": 402, "message": "This request requires more credits, or fewer max_tokens. You requested up "
                   "to 16000 tokens, but can only afford 1000."}}  # fmt: skip


def bench() -> Bench:
    at = Bench(indexed(world((A, DEARER)), "up"))
    at.transport.tell("a/model", fails(402, SHORT), says("a"))
    at.transport.tell("dearer/model", says("b"))
    return at


def asked(at: Bench) -> list[Any]:
    return [json.loads(request.body).get("max_tokens") for _, request in at.transport.sent]


async def test_only_the_first_call_is_refused() -> None:
    """Later ones state the length that the balance covers, at each offer's own price; a shorter wish stays."""
    at = bench()
    await at.answer()
    await at.answer()
    await at.answer(model="dearer/model")
    await at.answer(max_tokens=300)
    await at.answer(max_tokens=5_000)

    assert asked(at) == [None, 1_000, 1_000, 500, 300, 1_000]


async def test_after_a_while_it_is_believed_to_be_in_funds_again() -> None:
    """Ten minutes later nothing is written that nobody asked for."""
    at = bench()
    await at.answer()
    await at.clock.advance(601)
    await at.answer()

    assert asked(at) == [None, 1_000, None]
