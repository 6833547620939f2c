"""Plots of a ranking: what is drawn is what is there, small enough for an event, and valid SVG."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from pipeline.plots import (
    FULL,
    PREVIEW,
    Choice,
    Place,
    inline,
    latencies,
    pareto,
    pareto_front,
    quality_and_cost,
    rank_moves,
)

LARGEST_PREVIEW = 20_000


def choice(name: str, quality: float, cost: float, latency_ms: float = 2000.0) -> Choice:
    """A choice whose time was measured."""
    return Choice(name, quality, cost, latency_ms, "measured")


MANY = [choice(f"maker/model-{n}", 1100 + (n * 37) % 400, 0.0001 * 1.01**n, 500.0 + 90 * n) for n in range(1, 900)]


def words(svg: str) -> list[str]:
    """Every text of a picture."""
    root = ElementTree.fromstring(svg)  # noqa: S314 — our own drawing
    return [element.text or "" for element in root.iter() if element.tag.endswith("}text")]


def test_the_front_is_what_nothing_beats() -> None:
    """Known by hand: dearer and worse is off, dearer and better on, of equals one."""
    cheap, good, worse, best = choice("a", 1200, 1), choice("b", 1300, 2), choice("c", 1250, 3), choice("d", 1400, 9)

    assert pareto_front([best, worse, good, cheap, choice("a2", 1200, 1)]) == [cheap, good, best]


def test_the_front_is_named() -> None:
    """A reader sees which models are worth their price, and not the others' names."""
    drawn = words(
        quality_and_cost([choice("cheap", 1200, 0.001), choice("no", 1150, 0.1), choice("top", 1450, 1)], FULL)
    )

    assert {"cheap", "top"} <= set(drawn)
    assert "no" not in drawn


def test_only_what_is_unbeaten_is_named() -> None:
    """A quick one below the front of quality and cost alone is on it."""
    places = [
        Place("cheap", 1200, 0.001, 9_000, True),
        Place("beaten", 1210, 0.2, 9_000, False),
        Place("quick", 1250, 0.3, 500, True),
        Place("top", 1450, 1.0, 60_000, True),
    ]
    drawn = set(words(pareto(places, FULL)))

    assert {"quick", "top"} <= drawn
    assert "beaten" not in drawn


def test_what_costs_nothing_is_left_out() -> None:
    """A logarithm has no place for it; with nothing else there is a picture that says so."""
    assert "nothing to show" in words(quality_and_cost([choice("local", 1200, 0)], PREVIEW))


def test_moves_are_told() -> None:
    """Up, down, new and unmoved."""
    drawn = words(rank_moves({"up": 3, "down": 1, "same": 4}, {"up": 1, "down": 2, "new": 3, "same": 4}, PREVIEW))

    assert {"up  +2", "down  -1", "new  new", "same"} <= set(drawn)


@pytest.mark.parametrize(
    "svg",
    [
        quality_and_cost(MANY, PREVIEW),
        latencies(MANY, PREVIEW),
        rank_moves({}, {one.label: n for n, one in enumerate(MANY, 1)}, PREVIEW),
        pareto([Place(one.label, one.quality, one.cost_usd, 900.0, n % 9 == 0) for n, one in enumerate(MANY)], PREVIEW),
        pareto([], PREVIEW),
        latencies([], PREVIEW),
        rank_moves({}, {}, PREVIEW),
        quality_and_cost([choice("one <&> only", 1200, 0.5)], PREVIEW),
        latencies([choice("one", 1200, 0.5)], PREVIEW),
    ],
)
def test_previews_are_small_and_well_formed(svg: str) -> None:
    """They are kept with every event, whatever is drawn."""
    assert ElementTree.fromstring(svg).tag.endswith("svg")  # noqa: S314 — our own drawing
    assert len(inline(svg, "plot")) <= LARGEST_PREVIEW


def test_every_choice_is_counted_once() -> None:
    """The bars' heights add up, whatever the basis."""
    mixed = [
        choice("a", 1, 1, 1000),
        choice("b", 1, 1, 1000),
        choice("c", 1, 1, 1000)._replace(latency_basis="inferred"),
    ]
    root = ElementTree.fromstring(latencies(mixed, PREVIEW))  # noqa: S314 — our own drawing
    heights = [
        float(e.get("height", 0))
        for e in root.iter()
        if e.tag.endswith("rect") and e.get("x") and e.get("width") != "9"
    ]

    assert len(heights) == 2
    assert max(heights) / min(heights) == pytest.approx(2, rel=0.01)
