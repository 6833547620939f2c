"""Pictures as SVG text: quality against cost, moves of rank, spread of times and of match weights. Pure.

Small ones go into an asset's metadata, large ones into files; both are the same drawing at another size. What the
numbers mean is said in the modules that make them.
"""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

PREVIEW = (560, 320)
"""Width and height of what stands in an asset's metadata."""

FULL = (1200, 760)
"""Width and height of the file it links to."""

_INK, _FAINT, _LINE = "#1f2933", "#9aa5b1", "#d9dee4"
_GOOD, _BAD, _PLAIN = "#0b7a75", "#b4432f", "#5b7ba6"
_APART, _LETTER = 14, 6.0
_HALO = 'stroke="#fff" stroke-width="3" paint-order="stroke"'
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 30, 40


class Choice(NamedTuple):
    """An offer at an effort, as far as it is drawn."""

    label: str
    """Name for people."""
    quality: float
    """On the scale of ratings."""
    cost_usd: float
    """Of a typical call."""
    latency_ms: float
    """Of a typical call, in all."""
    latency_basis: str
    """Where that time is from."""


class Place(NamedTuple):
    """A choice among all, on quality, cost and time."""

    label: str
    """Name for people."""
    quality_lower: float
    """A cautious estimate, on the scale of ratings."""
    cost_usd: float
    """Of a typical call."""
    latency_ms: float
    """Of a typical call, in all."""
    is_undominated: bool
    """No other is better in one of the three and worse in none."""


class _Frame:
    """A drawing of one size with axes from given bounds."""

    def __init__(self, size: tuple[int, int], title: str, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.width, self.height = size
        self.is_large = size[0] > PREVIEW[0]
        self._x, self._y = x, y
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" font-family="sans-serif" font-size="11">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{self.width}" height="{self.height}" fill="#fff"/>',
            f'<text x="10" y="18" font-size="13" font-weight="bold" fill="{_INK}">{escape(title)}</text>',
        ]

    def x(self, value: float) -> float:
        """Place of a value from left to right."""
        low, high = self._x
        return round(_LEFT + (self.width - _LEFT - _RIGHT) * (value - low) / ((high - low) or 1), 1)

    def y(self, value: float) -> float:
        """Place of a value from bottom to top."""
        low, high = self._y
        return round(self.height - _BOTTOM - (self.height - _TOP - _BOTTOM) * (value - low) / ((high - low) or 1), 1)

    def add(self, part: str) -> None:
        """One more element."""
        self._parts.append(part)

    def text(self, x: float, y: float, words: str, anchor: str = "start", colour: str = _INK) -> None:
        """Words at a place."""
        self.add(f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{colour}" {_HALO}>{escape(words)}</text>')

    def rule(self, x1: float, y1: float, x2: float, y2: float, colour: str = _LINE) -> None:
        """A thin line."""
        self.add(f'<path d="M{x1:g} {y1:g}L{x2:g} {y2:g}" stroke="{colour}" fill="none"/>')

    def axes(self, xs: Mapping[float, str], ys: Mapping[float, str], below: str, beside: str) -> None:
        """Grid lines with their labels, and what the axes are."""
        for value, words in xs.items():
            self.rule(self.x(value), _TOP, self.x(value), self.height - _BOTTOM)
            self.text(self.x(value), self.height - _BOTTOM + 14, words, "middle", _FAINT)
        for value, words in ys.items():
            self.rule(_LEFT, self.y(value), self.width - _RIGHT, self.y(value))
            self.text(_LEFT - 6, self.y(value) + 4, words, "end", _FAINT)
        self.text((_LEFT + self.width - _RIGHT) / 2, self.height - 8, below, "middle")
        middle = (_TOP + self.height - _BOTTOM) / 2
        self.add(
            f'<text transform="translate(13 {middle:g}) rotate(-90)" text-anchor="middle" fill="{_INK}">'
            f"{escape(beside)}</text>"
        )

    def dots(self, places: Sequence[tuple[float, float]], colour: str, width: float) -> None:
        """Many points as one path: a few bytes each."""
        path = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in dict.fromkeys(places))
        if path:
            self.add(
                f'<path d="{path}" stroke="{colour}" stroke-width="{width:g}" stroke-linecap="round" opacity=".5"/>'
            )

    def tip(self, x: float, y: float, told: str) -> None:
        """What to say when the pointer is at a place: an unseen circle that the browser explains."""
        self.add(f'<circle cx="{x:g}" cy="{y:g}" r="5" fill-opacity="0"><title>{escape(told)}</title></circle>')

    def done(self) -> str:
        """The whole picture."""
        return "\n".join([*self._parts, "</svg>"])


def pareto_front(choices: Sequence[Choice]) -> list[Choice]:
    """Choices that no other is both better and no dearer than, cheapest first."""
    front: list[Choice] = []
    for choice in sorted(choices, key=lambda one: (one.cost_usd, -one.quality, one.label)):
        if not front or choice.quality > front[-1].quality:
            front.append(choice)
    return front


def quality_and_cost(choices: Sequence[Choice], size: tuple[int, int]) -> str:
    """Quality against the cost of a typical call, with the Pareto front. What costs nothing is left out."""
    priced = [choice for choice in choices if choice.cost_usd > 0]
    if not priced:
        return _empty(size, "Quality against cost")
    costs = [math.log10(choice.cost_usd * 1000) for choice in priced]
    qualities = sorted(choice.quality for choice in priced)
    # The weakest few would press all others together.
    floor = qualities[len(qualities) // 50]
    frame = _Frame(size, "Quality against cost", (min(costs) - 0.1, max(costs) + 0.1), (floor - 10, qualities[-1] + 25))
    frame.axes(
        {power: _dollars(10.0**power) for power in range(math.ceil(min(costs)), math.floor(max(costs)) + 1)},
        _steps(floor, qualities[-1]),
        "US dollars for 1,000 typical calls",
        "quality (Arena scale)",
    )
    shown = [choice for choice in priced if choice.quality >= floor]

    def place(choice: Choice) -> tuple[float, float]:
        return frame.x(math.log10(choice.cost_usd * 1000)), frame.y(choice.quality)

    frame.dots([place(choice) for choice in shown], _PLAIN, 6 if frame.is_large else 4)
    front = [choice for choice in pareto_front(priced) if choice.quality >= floor]
    if front:
        start, *rest = (place(choice) for choice in front)
        steps = f"M{start[0]:g} {start[1]:g}" + "".join(f"H{x:g}V{y:g}" for x, y in rest)
        frame.add(f'<path d="{steps}" stroke="{_GOOD}" fill="none" stroke-width="1.5"/>')
        frame.dots([place(choice) for choice in front], _GOOD, 8 if frame.is_large else 6)
    last_y = math.inf
    for choice in front:
        x, y = place(choice)
        if last_y - y < _APART:
            continue
        # Above the front is free; where there is no room to the left, below it.
        if x - _LEFT > _LETTER * len(choice.label):
            frame.text(x - 7, y - 4, choice.label, "end")
        else:
            frame.text(x + 5, y + 13, choice.label)
        last_y = y
    if frame.is_large:
        for choice in shown:
            x, y = place(choice)
            told = f"{choice.label}: {choice.quality:.0f}, ${choice.cost_usd * 1000:.2f}"
            frame.tip(x, y, told)
    return frame.done()


def pareto(places: Sequence[Place], size: tuple[int, int]) -> str:
    """What nothing beats on quality, cost and time, against the rest: quality over cost, coloured by time.

    A point that lies below another of more cost is on the front for its speed. What costs nothing is left out.
    """
    title = "Unbeaten on quality, cost and time together"
    priced = [place for place in places if place.cost_usd > 0]
    front = [place for place in priced if place.is_undominated]
    if not front:
        return _empty(size, title)
    costs = [math.log10(place.cost_usd * 1000) for place in priced]
    floor = min(place.quality_lower for place in front)
    top = max(place.quality_lower for place in front)
    frame = _Frame(size, title, (min(costs) - 0.1, max(costs) + 0.1), (floor - 10, top + 25))
    frame.axes(
        {power: _dollars(10.0**power) for power in range(math.ceil(min(costs)), math.floor(max(costs)) + 1)},
        _steps(floor, top),
        "US dollars for 1,000 typical calls",
        "quality, lower bound (Arena scale)",
    )

    def at(place: Place) -> tuple[float, float]:
        return frame.x(math.log10(place.cost_usd * 1000)), frame.y(place.quality_lower)

    shown = [place for place in priced if place.quality_lower >= floor]
    frame.dots([at(place) for place in shown if not place.is_undominated], _FAINT, 5 if frame.is_large else 3)
    speeds = ((5_000, _GOOD, "under 5 s"), (20_000, _PLAIN, "under 20 s"), (math.inf, _BAD, "longer"))
    slower_than = 0.0
    for row, (limit, colour, words) in enumerate(speeds):
        frame.dots([at(p) for p in front if slower_than <= p.latency_ms < limit], colour, 9 if frame.is_large else 6)
        frame.dots([(frame.width - 92, _TOP + 8 + 15 * row)], colour, 8)
        frame.text(frame.width - 84, _TOP + 12 + 15 * row, words)
        slower_than = limit
    last_y = math.inf
    for place in sorted(front, key=lambda one: (one.quality_lower, -one.cost_usd, one.label)):
        x, y = at(place)
        if last_y - y < _APART or x - _LEFT < _LETTER * len(place.label):
            continue
        frame.text(x - 7, y - 4, place.label, "end")
        last_y = y
    if frame.is_large:
        for place in shown:
            x, y = at(place)
            told = f"{place.label}: {place.quality_lower:.0f}, ${place.cost_usd * 1000:.2f}, {place.latency_ms:.0f} ms"
            frame.tip(x, y, told)
    return frame.done()


def rank_moves(before: Mapping[str, int], now: Mapping[str, int], size: tuple[int, int]) -> str:
    """The first of a ranking, now and in the run before; what moved is coloured, what is new says so."""
    title = "Rank now, and in the run before"
    shown = 30 if size[0] > PREVIEW[0] else 12
    first = sorted(now, key=lambda label: (now[label], label))[:shown]
    if not first:
        return _empty(size, title)
    frame = _Frame(size, title, (0, 1), (shown + 0.6, 0.4))
    left, right = frame.width * 0.16, frame.width * 0.42
    for label in first:
        rank, last = now[label], before.get(label)
        colour = _PLAIN if last in (rank, None) else _GOOD if rank < (last or 0) else _BAD
        y = frame.y(rank)
        if last is not None:
            from_y = frame.y(min(last, shown + 1))
            frame.add(
                f'<path d="M{left:g} {from_y:g}L{right:g} {y:g}" stroke="{colour}" stroke-width="2" fill="none"/>'
            )
            frame.text(left - 6, from_y + 4, str(last), "end", _FAINT)
        moved = "new" if last is None else "" if last == rank else f"{last - rank:+d}"
        frame.text(right + 6, y + 4, f"{rank}")
        frame.text(right + 28, y + 4, f"{label}  {moved}".rstrip(), colour=_INK if not moved else colour)
    return frame.done()


def latencies(choices: Sequence[Choice], size: tuple[int, int]) -> str:
    """How many choices take how long for a typical call, by where the time is known from."""
    found: dict[str, list[float]] = {}
    for choice in choices:
        found.setdefault(choice.latency_basis, []).append(choice.latency_ms)
    return times(found, size, "Expected time of a typical call", "choices ranked")


def times(found: Mapping[str, Sequence[float]], size: tuple[int, int], title: str, beside: str) -> str:
    """How many of each group's times in ms are how long, on a logarithmic scale."""
    # Eight bins a decade: 1 s, 1.33 s, 1.78 s, ...
    bins = {
        group: Counter(math.floor(8 * math.log10(one / 1000)) for one in values if one > 0)
        for group, values in found.items()
    }
    marks = {8 * math.log10(s): f"{s:g} s" for s in (0.001, 0.01, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)}
    return _stacked(bins, size, title, marks, "time", beside)


def match_weights(found: Mapping[str, Sequence[float]], size: tuple[int, int]) -> str:
    """How many pairs that were compared have which match weight in bits, by what became of them."""
    bins = {verdict: Counter(math.floor(one / 2) for one in values) for verdict, values in found.items()}
    marks = {bits / 2: f"{bits}" for bits in range(-60, 100, 8)}
    return _stacked(bins, size, "Match weights of the pairs compared", marks, "match weight (bits)", "pairs")


def _stacked(
    bins: Mapping[str, Mapping[int, int]],
    size: tuple[int, int],
    title: str,
    marks: Mapping[float, str],
    below: str,
    beside: str,
) -> str:
    """Columns over bins of whole numbers, each group's part in its colour."""
    filled = {group: counts for group, counts in sorted(bins.items()) if counts}
    if not filled:
        return _empty(size, title)
    low, high = min(map(min, filled.values())), max(map(max, filled.values())) + 1
    tallest = max(sum(counts.get(at, 0) for counts in filled.values()) for at in range(low, high))
    frame = _Frame(size, title, (low, high), (0, tallest * 1.12))
    frame.axes({at: words for at, words in marks.items() if low <= at <= high}, _steps(0, tallest), below, beside)
    colours = dict(zip(filled, (_PLAIN, _GOOD, _BAD, _FAINT, _INK), strict=False))
    for at in range(low, high):
        base = 0
        for group, counts in filled.items():
            if count := counts.get(at, 0):
                top, bottom = frame.y(base + count), frame.y(base)
                frame.add(
                    f'<rect x="{frame.x(at) + 1:g}" y="{top:g}" width="{frame.x(at + 1) - frame.x(at) - 2:.1f}" '
                    f'height="{bottom - top:.1f}" fill="{colours.get(group, _INK)}"/>'
                )
                base += count
    for row, group in enumerate(filled):
        frame.add(
            f'<rect x="{frame.width - 124}" y="{_TOP + 4 + 15 * row}" width="9" height="9" '
            f'fill="{colours.get(group, _INK)}"/>'
        )
        frame.text(frame.width - 110, _TOP + 12 + 15 * row, group)
    return frame.done()


def inline(svg: str, words: str) -> str:
    """A picture as Markdown that needs no file."""
    return f"![{words}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _empty(size: tuple[int, int], title: str) -> str:
    frame = _Frame(size, title, (0, 1), (0, 1))
    frame.text(frame.width / 2, frame.height / 2, "nothing to show", "middle", _FAINT)
    return frame.done()


def _steps(low: float, high: float) -> dict[float, str]:
    """About five round marks between two values."""
    rough = max(high - low, 1e-9) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step)
    return {number * step: f"{number * step:g}" for number in range(first, math.floor(high / step) + 1)}


def _dollars(value: float) -> str:
    return f"${value:,.0f}" if value >= 1 else f"${value:.2g}" if value < 0.1 else f"${value:.2f}"
