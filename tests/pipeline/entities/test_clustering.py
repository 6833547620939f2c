"""Clusters never join what contradicts itself, whatever the links say and in whatever order they come."""

from __future__ import annotations

import datetime as dt
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.entities.clustering import Link, Unit, cluster, contradiction

DAY = dt.date(2025, 1, 20)


def test_no_chain_joins_two_checkpoints() -> None:
    """An undated name between two dated ones goes to neither, however strong both links are."""
    units = [Unit("a", date="2024-05-13"), Unit("b"), Unit("c", date="2024-08-06")]
    links = [Link("a", "b", 12.0, 0.999), Link("b", "c", 12.0, 0.999)]

    found = cluster(units, links)

    assert {"a", "b", "c"} == set(found.members)
    assert [reason for _, reason in found.refused] == ["two claim it alike"] * 2


def test_the_clearly_stronger_claim_wins() -> None:
    """Where one of two contradicting links is much stronger, it holds and the other is refused with its reason."""
    units = [Unit("a", size="7"), Unit("b"), Unit("c", size="70")]

    found = cluster(units, [Link("a", "b", 14.0, 0.9999), Link("b", "c", 6.0, 0.98)])

    assert found.members["a"] == ("a", "b")
    assert [(link.left, link.right, reason) for link, reason in found.refused] == [("b", "c", "size")]


def test_what_one_source_lists_side_by_side_stays_apart() -> None:
    """A marketplace that lists two ids means two models."""
    units = [Unit("a", in_openrouter=True), Unit("b", in_openrouter=True)]

    assert contradiction(*units) == "one source lists both"


def test_a_renamed_listing_is_not_side_by_side() -> None:
    """An old name that ended before the new one began is the same listing."""
    old = Unit("a", arena_spans=((dt.date(2024, 1, 1), dt.date(2025, 8, 4)),))
    new = Unit("b", arena_spans=((dt.date(2025, 12, 1), dt.date(2026, 8, 19)),))
    beside = Unit("c", arena_spans=((dt.date(2025, 1, 1), dt.date(2026, 1, 1)),))

    assert contradiction(old, new) == ""
    assert contradiction(old, beside) == "one source lists both"


def test_an_undated_alias_of_the_only_snapshot_is_that_snapshot() -> None:
    """gpt-4o-mini beside gpt-4o-mini-2024-07-18, listed on that day; not where several snapshots exist."""
    day = dt.date(2024, 7, 18)
    dated = Unit("a", date="2024-07-18", in_openrouter=True, dated_siblings=1)
    alias = Unit("b", in_openrouter=True, released_on=day, dated_siblings=1)
    of_many = Unit("b", in_openrouter=True, released_on=day, dated_siblings=3)

    assert contradiction(dated, alias) == ""
    assert (
        contradiction(Unit("a", date="2024-07-18", in_openrouter=True, dated_siblings=3), of_many)
        == "one source lists both"
    )


def test_pins_win() -> None:
    """A person may join what contradicts itself, and part what is linked."""
    units = [Unit("a", size="7"), Unit("b", size="8"), Unit("c"), Unit("d")]

    found = cluster(units, [Link("c", "d", 20.0, 1.0)], same=[("a", "b")], different=[("c", "d")])

    assert found.members["a"] == ("a", "b")
    assert found.cluster_of["c"] != found.cluster_of["d"]


UNITS = st.lists(
    st.builds(
        Unit,
        unit_id=st.sampled_from("abcdefghij"),
        size=st.sampled_from(["", "", "7", "70"]),
        date=st.sampled_from(["", "", "2024-05-13", "2024-08-06", "????-05-13", "2024-08-??"]),
        stage=st.sampled_from(["", "tuned", "base"]),
        in_openrouter=st.booleans(),
        released_on=st.sampled_from([None, DAY]),
    ),
    max_size=10,
    unique_by=lambda unit: unit.unit_id,
)


@settings(max_examples=200, deadline=None)
@given(UNITS, st.randoms(use_true_random=False))
def test_order_changes_nothing_and_no_cluster_contradicts_itself(units: list[Unit], chance: random.Random) -> None:
    """Any units, any links, any order: the same clusters, free of contradictions."""
    ids = [unit.unit_id for unit in units]
    links = [
        Link(a, b, round(chance.uniform(3, 20), 2), 0.99) for a in ids for b in ids if a < b and chance.random() < 0.6
    ]
    expected = cluster(units, links)
    chance.shuffle(units)
    chance.shuffle(links)

    found = cluster(units, links)

    assert expected.members == found.members
    by_id = {unit.unit_id: unit for unit in units}
    for members in found.members.values():
        assert not any(contradiction(by_id[a], by_id[b]) for a in members for b in members if a < b)
