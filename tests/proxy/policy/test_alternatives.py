"""What a call would have cost elsewhere: the shortcut gives what adding up every candidate gives."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.alternatives import Alternatives, alternatives
from proxy.answers import Usage
from proxy.candidates import Needs
from proxy.costs import cost_usd
from proxy.routing import want
from tests.proxy.hand import indexed
from tests.proxy.publication import offer, world

PRICES = st.one_of(st.none(), st.floats(0, 100))


@st.composite
def offers(draw: st.DrawFn) -> list[Any]:
    """A handful of offers, some local, free, of unknown price, or dearer for long prompts."""
    made = []
    for i in range(draw(st.integers(1, 8))):
        tiers = draw(st.lists(st.tuples(st.integers(1, 300_000), st.floats(0, 100)), max_size=2))
        made.append(
            offer(
                f"v/m{i}",
                is_local=draw(st.booleans()) and draw(st.booleans()),
                price_in_usd_per_mtok=draw(PRICES),
                price_out_usd_per_mtok=draw(PRICES),
                price_cache_read_usd_per_mtok=draw(PRICES),
                price_request_usd=draw(st.one_of(st.none(), st.floats(0, 1))),
                price_tiers_json=json.dumps(
                    [{"min_prompt_tokens": least, "price_in_usd_per_mtok": price} for least, price in sorted(tiers)]
                )
                if tiers
                else None,
            )
        )
    return made


@given(offers(), st.lists(st.tuples(*[st.integers(0, 400_000)] * 3), min_size=1, max_size=4))
def test_average_and_maximum_are_those_of_the_plain_sum(made: list[Any], calls: list[tuple[int, int, int]]) -> None:
    """For any prices, tiers and tokens, however often it is asked."""
    snapshot = indexed(world(made), "openrouter")
    could = Alternatives(snapshot.rankings["balanced"])
    for prompt, cached, written in calls:
        usage = Usage(prompt, cached, written)
        plain = {one.offer_id: usd for one in made if (usd := cost_usd(usage, one)[0]) is not None}
        found = could.compared(usage)
        if not plain:
            assert found is None
            continue
        assert found is not None
        assert found.alternatives == len(plain)
        assert found.average_usd == pytest.approx(sum(plain.values()) / len(plain), abs=1e-12)
        assert found.most_expensive_usd == pytest.approx(max(plain.values()), abs=1e-12)
        assert plain[found.most_expensive] == pytest.approx(found.most_expensive_usd, abs=1e-12)


def test_calls_that_want_the_same_share_what_was_worked_out_and_others_do_not() -> None:
    """A window between two prompts' lengths makes them different calls."""
    snapshot = indexed(world([offer("a/m", context_tokens=10_000), offer("b/m", context_tokens=100_000)]), "openrouter")

    def at(tokens: int, band: str = "easy") -> Alternatives:
        return alternatives(want(snapshot, (), None, band, Needs.NOTHING, tokens))

    assert at(100) is at(9_000)
    assert at(100) is not at(100, "hard")
    assert (at(100).count, at(10_000).count, at(10_001).count, at(200_000).count) == (2, 2, 1, 0)
    assert at(10_001).removed == {"context": 1}
    assert [one["offer"] for one in at(10_001).first] == ["openrouter:b/m"]
