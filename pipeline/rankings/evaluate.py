"""How good the estimates are: hide what is known, estimate it from the rest, compare.

Pure, and deterministic for a seed. Every figure stands beside what simple rules would have given on the same rows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.rankings import categories, ladders, quality, regression
from pipeline.rankings.configurations import Evidence, Rating, Rungs
from pipeline.rankings.regression import Columns, Term, Vector

_Z90 = 1.6449
"""Half width of a 90 % interval, in standard deviations."""

FOLDS = 5

_STRATA = (0.0, 1100.0, 1200.0, 1300.0, 1400.0, np.inf)
"""Ratings between which errors are told apart: an interval must be honest for the weak and for the strong."""

OTHER_ARENAS = ("rating@webdev/overall", "rating@vision/overall")
"""Columns of votes on the same site about another question: evidence of a different thing, yet from like voters."""


@dataclass(frozen=True)
class Measured:
    """One way of estimating, measured on hidden values."""

    name: str
    count: int
    spearman: float
    mean_absolute_error: float
    coverage: float | None
    """Share of hidden values inside the 90 % interval; None for rules that give none."""


def spearman(left: Vector, right: Vector) -> float:
    """Rank correlation; ties share their mean rank."""
    return float(np.corrcoef(_ranks(left), _ranks(right))[0, 1])


def _ranks(values: Vector) -> Vector:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)


def measure(name: str, truth: Vector, mean: Vector, sd: Vector | None = None) -> Measured:
    """The figures of one way of estimating."""
    error = np.abs(mean - truth)
    coverage = None if sd is None else float(np.mean(error <= _Z90 * sd))
    return Measured(name, len(truth), spearman(mean, truth), float(error.mean()), coverage)


@dataclass(frozen=True)
class Rated:
    """Ratings as rows: what is known of each, its value and its own uncertainty."""

    ratings: Sequence[Rating]
    columns: Columns
    target: Vector
    noise_variance: Vector

    def rows(self, wanted: NDArray[np.bool_]) -> dict[str, Vector]:
        """The columns of some rows."""
        return {name: values[wanted] for name, values in self.columns.items()}


def without(data: Rated, hidden_columns: Sequence[str]) -> Rated:
    """The same rows with some columns unknown."""
    blank = np.full(len(data.target), np.nan)
    columns = {name: blank if name in hidden_columns else values for name, values in data.columns.items()}
    return Rated(data.ratings, columns, data.target, data.noise_variance)


def rated(rungs: Rungs) -> Rated:
    """Every rating as a row."""
    columns, target, noise = quality.rated_rows(rungs, quality.columns(rungs), rungs.ratings)
    return Rated(rungs.ratings, columns, target, noise)


def hidden_fifths(data: Rated, terms: Sequence[Term], *, seed: int = 0, repeats: int = 3) -> list[Measured]:
    """Hide a random fifth of the ratings, then the next, `repeats` times over: the model and three simple rules."""
    drawn = np.random.default_rng(seed)
    found: list[dict[str, Vector]] = []
    for _ in range(repeats):
        order = drawn.permutation(len(data.target))
        guesses = {name: np.full(len(order), np.nan) for name in ("model", "sd", "vendor", "price", "linear")}
        for fold in range(FOLDS):
            hidden = np.zeros(len(order), dtype=bool)
            hidden[order[fold::FOLDS]] = True
            for name, values in _guesses(data, terms, hidden).items():
                guesses[name][hidden] = values
        found.append(guesses)
    truth = np.tile(data.target, repeats)
    stacked = {name: np.concatenate([guesses[name] for guesses in found]) for name in found[0]}
    return _compared(truth, stacked)


def hidden_with_the_kernel_trained_anew(data: Rated, *, seed: int = 0, steps: int = 50) -> list[Measured]:
    """Hide each fifth once, from the training of the kernel's sizes too: what the shipped sizes flatter by."""
    order = np.random.default_rng(seed).permutation(len(data.target))
    mean, sd = np.empty(len(order)), np.empty(len(order))
    for fold in range(FOLDS):
        hidden = np.zeros(len(order), dtype=bool)
        hidden[order[fold::FOLDS]] = True
        known = ~hidden
        terms = quality.train_on(data.rows(known), data.target[known], data.noise_variance[known], steps=steps)
        guesses = _guesses(data, terms, hidden)
        mean[hidden], sd[hidden] = guesses["model"], guesses["sd"]
    return [measure("this model", data.target, mean, sd)]


def hidden_by_time(
    data: Rated, terms: Sequence[Term], first_published: Mapping[str, dt.date], since: dt.date
) -> list[Measured]:
    """Estimate every model first rated on or after `since` from the ratings of models first rated before it was."""
    days = [first_published.get(r.record_id, dt.date.min) for r in data.ratings]
    newest = {r.model_id: min(d for o, d in zip(data.ratings, days, strict=True) if o.model_id == r.model_id)
              for r in data.ratings}  # fmt: skip
    models = [newest[r.model_id] for r in data.ratings]
    truth: list[Vector] = []
    found: dict[str, list[Vector]] = {}
    for day in sorted({d for d in models if d >= since}):
        hidden = np.array([d == day for d in models])
        known = np.array([d < day for d in models])
        truth.append(data.target[hidden])
        for name, values in _guesses(data, terms, hidden, known).items():
            found.setdefault(name, []).append(values)
    if not truth:
        return []
    return _compared(np.concatenate(truth), {name: np.concatenate(values) for name, values in found.items()})


def _guesses(
    data: Rated, terms: Sequence[Term], hidden: NDArray[np.bool_], known: NDArray[np.bool_] | None = None
) -> dict[str, Vector]:
    known = ~hidden if known is None else known
    estimate = quality.predict(
        terms, data.rows(known), data.target[known], data.noise_variance[known], data.rows(hidden)
    )
    overall = float(data.target[known].mean())
    vendors = data.columns["vendor"]
    vendor_means = {
        v: float(data.target[known & (vendors == v)].mean()) for v in set(vendors[known & ~np.isnan(vendors)])
    }
    return {
        "model": estimate.mean,
        "sd": np.sqrt(estimate.sd**2 + data.noise_variance[hidden]),
        "vendor": np.array([vendor_means.get(v, overall) for v in vendors[hidden]]),
        "price": _linear(data, ("log_price",), known, hidden),
        "linear": _linear(data, ("log_index", "log_price", "released"), known, hidden),
    }


def _linear(data: Rated, names: Sequence[str], known: NDArray[np.bool_], hidden: NDArray[np.bool_]) -> Vector:
    """Least squares on some columns; NaN where a row lacks one."""
    design = np.column_stack([np.ones(len(data.target)), *(data.columns[name] for name in names)])
    complete = ~np.isnan(design).any(axis=1)
    if (known & complete).sum() <= design.shape[1]:
        return np.full(int(hidden.sum()), np.nan)
    weights, *_ = np.linalg.lstsq(design[known & complete], data.target[known & complete], rcond=None)
    return np.asarray(design[hidden] @ weights, dtype=np.float64)


def _compared(truth: Vector, guesses: Mapping[str, Vector]) -> list[Measured]:
    """The model on all rows, then each rule and the model on the rows that rule can say something about."""
    model, sd = guesses["model"], guesses["sd"]
    recent = truth >= np.median(truth)
    lines = [
        measure("this model", truth, model, sd),
        measure("this model, better half", truth[recent], model[recent], sd[recent]),
    ]
    for low, high in pairwise(_STRATA):
        inside = (truth >= low) & (truth < high)
        if inside.sum() > 2:
            name = f"  rated {low:.0f} to {high:.0f}" if high < _STRATA[-1] else f"  rated {low:.0f} and better"
            lines.append(measure(name, truth[inside], model[inside], sd[inside]))
    for name, label in (
        ("vendor", "the vendor's mean"),
        ("price", "a line on price"),
        ("linear", "a line on intelligence index, price and date"),
    ):
        can = ~np.isnan(guesses[name])
        if can.sum() > 2:
            lines.append(measure(label, truth[can], guesses[name][can]))
            lines.append(measure("  this model on the same rows", truth[can], model[can], sd[can]))
    return lines


def hidden_categories(rungs: Rungs, evidence: Sequence[Evidence], *, seed: int = 0) -> list[Measured]:
    """Hide a fifth of each category's ratings, then the next, and estimate them from the rest and the overall ratings.

    All categories together, then each; every line is followed by the category's mean offset on the same rows.
    """
    data = rated(rungs)
    columns = categories.with_level(data.columns, data.target)
    kernel = regression.Kernel(categories.TERMS, columns, columns)
    drawn = np.random.default_rng(seed)
    found: dict[str, list[Vector]] = {}
    for category, seen in categories.offsets(rungs.ratings, evidence).items():
        order = drawn.permutation(len(seen.values))
        mean, sd, simple = (np.empty(len(order)) for _ in range(3))
        for fold in range(FOLDS):
            hidden = order[fold::FOLDS]
            known = np.setdiff1d(order, hidden)
            part = categories.Offsets(seen.rows[known], seen.values[known], seen.noise_variance[known])
            estimate, rows = categories.learn(kernel, part), seen.rows[hidden].astype(int)
            mean[hidden], simple[hidden] = estimate.mean[rows], part.centre
            sd[hidden] = np.sqrt(estimate.sd[rows] ** 2 + seen.noise_variance[hidden])
        overall = data.target[seen.rows.astype(int)]
        found[category] = [overall + seen.values, overall + mean, sd, overall + simple]
    if not found:
        return []
    together = [np.concatenate(parts) for parts in zip(*found.values(), strict=True)]
    lines = []
    for name, (truth, guessed, spread, simple) in {"all categories": together, **found}.items():
        lines.append(measure(name, truth, guessed, spread))
        lines.append(measure("  overall and the category's mean offset", truth, simple))
    return lines


def hidden_efforts(rungs: Rungs) -> list[Measured]:
    """Hide each effort's intelligence index of models that have several, and estimate it from all others."""
    own, mean, sd, others = (np.array(values) for values in ladders.leave_one_out(rungs))
    if len(own) < 3:
        return []
    return [measure("this model", own, mean, sd), measure("the mean of the model's other efforts", own, others)]
