"""Puts what is known on rungs: one row per model and effort, one column per metric.

Pure. What the columns say about quality or time belongs to `quality.py` and `speed.py`.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from numpy.typing import NDArray

from pipeline.rankings import efforts, lineage
from pipeline.rankings.efforts import Ladder

ARENA_SCOPE = "text/overall"
"""The Arena subset and category that quality is measured on."""

UNKNOWN_EFFORT_SD = 12.0
"""Rating points by which an unknown effort blurs a rating: half the usual distance between a model's rated efforts."""


ACCURACIES = (
    *("mmlu_pro", "gpqa", "hle", "livecodebench", "scicode", "ifbench", "lcr", "tau2", "terminalbench"),
    *("mmlu@lmsys", "arena_hard", "alpaca_eval"),
)
"""Shares of tasks solved or comparisons won, 0 to 1: kept as log odds, which do not flatten near the ends."""


@dataclass(frozen=True)
class ModelFacts:
    """What linkage and listings say about a model as such."""

    model_id: str
    name: str
    vendor: str | None
    family: str | None
    kind: str
    size_b: float | None
    active_size_b: float | None
    released_on: dt.date | None
    """A stated day; the one that estimates use is `came_out_on`."""
    is_offered: bool
    supported_efforts: tuple[str, ...] = ()
    default_effort: str | None = None
    can_reason: bool | None = None
    reasoning_is_mandatory: bool | None = None
    names: tuple[str, ...] = ()
    """Names it is rated under, which say more of date and descent than its id."""
    first_seen_on: dt.date | None = None
    """About when it was first rated."""

    @property
    def spellings(self) -> tuple[str, ...]:
        """Its names, the id's own last."""
        return (*self.names, self.model_id.rsplit("/", 1)[-1])

    @property
    def came_out_on(self) -> dt.date | None:
        """The day of its release, from what is stated, named, known of its weights or seen."""
        return lineage.released_on(self.spellings, self.released_on, self.first_seen_on)


@dataclass(frozen=True)
class Evidence:
    """One metric of one record, with the model it was linked to. `effort` as the source words it."""

    model_id: str
    effort: str | None
    metric: str
    scope: str
    value: float
    variance: float | None
    weight: float
    source: str
    record_id: str
    observed_at: dt.datetime

    @property
    def column(self) -> str:
        """Column that the metric goes into."""
        return f"{self.metric}@{self.scope}" if self.scope else self.metric


@dataclass(frozen=True)
class Rating:
    """One Arena rating; `effort` is None where a model has several and the name does not say which."""

    model_id: str
    effort: str | None
    value: float
    variance: float
    record_id: str


@dataclass
class Rungs:
    """Every configuration and what is known of it. Rows are in the order of `keys`."""

    keys: list[tuple[str, str]]
    ladders: dict[str, Ladder]
    columns: dict[str, NDArray[np.float64]]
    """Metrics and facts, missing as NaN; categories (vendor, family, model) coded as numbers."""
    ratings: list[Rating]
    rows: dict[tuple[str, str], int] = field(default_factory=dict)
    unknown_effort: dict[str, dict[str, float]] = field(default_factory=dict)
    """Scores whose effort is not known, by column and model."""
    completed: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """`quality.columns`, kept once they have been worked out."""

    def select(self, names: Iterable[str]) -> dict[str, NDArray[np.float64]]:
        """The named columns; one that no source filled is missing throughout."""
        blank = np.full(len(self.keys), np.nan)
        return {name: self.columns.get(name, blank) for name in names}


SPREAD_OVER_EFFORTS = frozenset(
    {"price_in_usd_per_mtok", "price_out_usd_per_mtok", "throughput_tokens_per_s", "rating@webdev/overall"}
)
"""Metrics that describe the model at any effort, as far as is known."""


def build(models: Iterable[ModelFacts], evidence: Iterable[Evidence]) -> Rungs:
    """Ladders, rows and columns of all `models`; evidence of models that are not given is left out."""
    facts = {m.model_id: m for m in models}
    by_model: dict[str, list[Evidence]] = defaultdict(list)
    for item in evidence:
        if item.model_id in facts:
            by_model[item.model_id].append(item)
    ladders = {
        m.model_id: efforts.ladder(
            supported=m.supported_efforts,
            default=m.default_effort,
            can_reason=m.can_reason,
            is_mandatory=m.reasoning_is_mandatory,
            evidence=(e for item in by_model[m.model_id] if (e := efforts.canonical(item.effort))),
        )
        for m in facts.values()
    }
    keys = [(model_id, effort) for model_id in sorted(facts) for effort in ladders[model_id].efforts]
    rows = {key: row for row, key in enumerate(keys)}
    sums: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    unknown: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    ratings = []
    for model_id, items in by_model.items():
        ladder = ladders[model_id]
        for item in items:
            effort = ladder.place(efforts.canonical(item.effort))
            if item.metric == "rating" and item.scope == ARENA_SCOPE:
                ratings.append(Rating(model_id, effort, item.value, item.variance or 100.0, item.record_id))
                continue
            if item.column in SPREAD_OVER_EFFORTS or (effort is None and item.source != "artificial_analysis"):
                for place in ladder.efforts:
                    sums[item.column][rows[model_id, place]].append(item.value)
            elif effort is None:
                unknown[item.column][model_id].append(item.value)
            else:
                sums[item.column][rows[model_id, effort]].append(item.value)
    columns = {name: _filled(len(keys), {row: median(v) for row, v in by_row.items()}) for name, by_row in sums.items()}
    columns |= _facts(keys, facts, ladders)
    for name in ACCURACIES:
        if name in columns:
            columns[name] = log_odds(columns[name])
    blurred = {
        column: {m: _scaled(column, median(values)) for m, values in by_id.items()} for column, by_id in unknown.items()
    }
    price_in, price_out = (
        columns.get(f"price_{way}_usd_per_mtok", np.full(len(keys), np.nan)) for way in ("in", "out")
    )
    columns["log_price"] = np.log(np.maximum((3 * price_in + price_out) / 4, 0.01))
    return Rungs(keys, ladders, columns, sorted(ratings, key=lambda r: (r.model_id, r.record_id)), rows, blurred)


def log_odds(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the odds of success, kept finite at the ends."""
    clipped = np.clip(shares, 0.005, 0.995)
    return np.asarray(np.log(clipped / (1 - clipped)), dtype=np.float64)


def _scaled(column: str, value: float) -> float:
    return float(log_odds(np.array([value]))[0]) if column in ACCURACIES else value


def _filled(size: int, values: Mapping[int, float]) -> NDArray[np.float64]:
    column = np.full(size, np.nan)
    for row, value in values.items():
        column[row] = value
    return column


def _facts(
    keys: Sequence[tuple[str, str]], facts: Mapping[str, ModelFacts], ladders: Mapping[str, Ladder]
) -> dict[str, NDArray[np.float64]]:
    vendors = _codes(m.vendor for m in facts.values())
    families = _codes(f"{m.vendor}/{m.family}" if m.family else None for m in facts.values())
    lines = {m.model_id: lineage.line(m.model_id) for m in facts.values()}
    generations = {m.model_id: lineage.generation(m.model_id) for m in facts.values()}
    bases = {m.model_id: made_of.of if (made_of := lineage.base(m.spellings)) else None for m in facts.values()}
    ancestry = {"line": lines, "generation": generations, "base": bases}
    coded = {column: _codes(values.values()) for column, values in ancestry.items()}
    released = {m.model_id: day.toordinal() / 365.25 if (day := m.came_out_on) else math.nan for m in facts.values()}
    names = _codes(facts)
    columns: dict[str, list[float]] = defaultdict(list)
    for model_id, effort in keys:
        m, ladder = facts[model_id], ladders[model_id]
        columns["model"].append(names[model_id])
        columns["vendor"].append(vendors[m.vendor] if m.vendor else math.nan)
        columns["family"].append(families[f"{m.vendor}/{m.family}"] if m.family else math.nan)
        columns["log_size"].append(math.log(m.size_b) if m.size_b else math.nan)
        active = m.active_size_b or m.size_b
        columns["log_active_size"].append(math.log(active) if active else math.nan)
        columns["tier"].append(tier(m.name, m.model_id))
        columns["released"].append(released[model_id])
        for column, values in ancestry.items():
            word = values[model_id]
            columns[column].append(coded[column][word] if word else math.nan)
        columns["effort"].append(ladder.position(effort))
        columns["thinks"].append(float(ladder.is_reasoning and effort != "none"))
        columns["one"].append(1.0)
    return {name: np.array(values) for name, values in columns.items()}


_TIERS = {
    **dict.fromkeys(("nano", "tiny", "micro", "1b", "2b"), 0.0),
    **dict.fromkeys(
        (
            "mini",
            "lite",
            "small",
            "haiku",
            "flash",
            "air",
            "edge",
            "instant",
            "8b",
        ),
        1.0,
    ),
    **dict.fromkeys(("medium", "sonnet", "plus", "turbo", "standard", "fast", "scout", "terra"), 2.0),
    **dict.fromkeys(("large", "pro", "max", "opus", "ultra", "premier", "maverick"), 3.0),
}
"""What makers call their small and their big ones, from nothing to everything."""


def tier(*names: str) -> float:
    """The smallest tier word in a model's names, 0 (nano) to 3 (ultra); NaN where there is none.

    >>> tier("Gemini 2.5 Flash Lite"), tier("Claude Opus 4.5")
    (1.0, 3.0)
    """
    words = {word for name in names for word in re.split(r"[^a-z0-9.]+", name.lower())}
    return min((_TIERS[word] for word in words if word in _TIERS), default=math.nan)


def _codes(values: Iterable[str | None]) -> dict[str, float]:
    return {value: float(i) for i, value in enumerate(sorted({v for v in values if v}))}
