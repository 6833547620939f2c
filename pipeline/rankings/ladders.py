"""What a benchmark would show at the efforts nobody has run it at, from the efforts somebody has.

Pure. One regression a benchmark over all models whose effort can be chosen: how far a rung lies above another is much
the same from model to model, more so within a vendor and a season. A score whose effort is unknown says something of
the model and little of any rung.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.rankings.configurations import Rungs
from pipeline.rankings.regression import Estimate, Regression, Term, Vector, linear, same, smooth

BENCHMARKS = (
    "intelligence_index",
    "mmlu_pro",
    "gpqa",
    "hle",
    "livecodebench",
    "scicode",
    "ifbench",
    "lcr",
    "tau2",
    "terminalbench",
)
"""Columns that are filled in: those whose source runs models at several efforts."""

_FEWEST = 10
"""Scores below which a benchmark says too little about rungs."""

_SAME_SD, _UNKNOWN_EFFORT_SD = 0.03, 0.3
"""What a score may be off by, in standard deviations of its benchmark: run again, and at an effort not stated."""


_SEASON = smooth("released", 0.5)
_NEAR = smooth("effort", 0.3)

TERMS: tuple[Term, ...] = (
    # Sizes in standard deviations of the benchmark, trained once on the intelligence index, which has the most rungs.
    Term("model", (same("model"),), 0.23),
    Term("date", (linear("released"),), 0.59),
    Term("vendor", (same("vendor"),), 0.34),
    Term("family and season", (same("family"), _SEASON), 0.25),
    Term("price and season", (linear("log_price"), _SEASON), 0.20),
    Term("size and season", (linear("log_size"), _SEASON), 0.34),
    Term("effort", (linear("effort"),), 0.25),
    Term("effort curve", (_NEAR,), 0.14),
    Term("effort and date", (smooth("effort", 0.15), smooth("released", 0.7)), 0.29),
    Term("thinks", (linear("thinks"),), 0.17),
    Term("thinks and season", (linear("thinks"), _SEASON), 0.10),
    Term("thinks and date", (linear("thinks"), linear("released")), 0.09),
    Term("effort and season", (linear("effort"), _SEASON), 0.06),
    Term("effort of the vendor", (same("vendor"), linear("effort")), 0.06),
    Term("effort of the vendor's season", (same("vendor"), _SEASON, linear("effort")), 0.10),
    Term("thinks of the vendor", (same("vendor"), linear("thinks")), 0.05),
    Term("effort of the model", (same("model"), _NEAR), 0.14),
)


@dataclass(frozen=True)
class Rows:
    """Scores of one benchmark to learn rungs from, in the benchmark's own spread."""

    columns: dict[str, Vector]
    target: Vector
    noise_variance: Vector
    keys: list[tuple[str, str | None]]
    """Model and effort of each; effort None where it is not known."""
    centre: float
    scale: float


def rows(rungs: Rungs, benchmark: str) -> Rows | None:
    """Scores of models whose effort can be chosen; None when there are too few."""
    values = rungs.columns.get(benchmark)
    unknown = rungs.unknown_effort.get(benchmark, {})
    if values is None:
        return None
    known = [row for row, (model_id, _) in enumerate(rungs.keys) if _has_choice(rungs, model_id)]
    known = [row for row in known if not np.isnan(values[row])]
    blurred = [m for m in sorted(unknown) if _has_choice(rungs, m)]
    if len(known) < _FEWEST:
        return None
    places = known + [rungs.rows[m, rungs.ladders[m].default] for m in blurred]
    target = np.array([float(values[row]) for row in known] + [unknown[m] for m in blurred])
    centre, scale = float(target.mean()), float(target.std()) or 1.0
    used = {f.column for t in TERMS for f in t.factors}
    noise = [_SAME_SD**2] * len(known) + [_UNKNOWN_EFFORT_SD**2] * len(blurred)
    keys: list[tuple[str, str | None]] = [*(rungs.keys[row] for row in known), *((m, None) for m in blurred)]
    columns = {name: values[places] for name, values in rungs.select(used).items()}
    return Rows(columns, (target - centre) / scale, np.array(noise), keys, centre, scale)


def fill(rungs: Rungs) -> Mapping[str, Estimate]:
    """Estimates of each benchmark for the rungs without a score, of models that have one somewhere on their ladder.

    In the order of `Rungs.keys`, NaN where there is nothing to fill in.
    """
    filled = {}
    for benchmark in BENCHMARKS:
        learnt = rows(rungs, benchmark)
        if learnt is None:
            continue
        wanted = _wanted(rungs, benchmark, {model_id for model_id, _ in learnt.keys})
        mean, sd = np.full(len(rungs.keys), np.nan), np.full(len(rungs.keys), np.nan)
        if wanted:
            regression = Regression(TERMS, learnt.columns, learnt.target, learnt.noise_variance)
            estimate = regression.predict({n: v[wanted] for n, v in rungs.select(learnt.columns).items()})
            mean[wanted] = learnt.centre + learnt.scale * estimate.mean
            sd[wanted] = learnt.scale * estimate.sd
        filled[benchmark] = Estimate(mean, sd)
    return filled


def _wanted(rungs: Rungs, benchmark: str, scored: set[str]) -> list[int]:
    values = rungs.columns[benchmark]
    return [row for row, (model_id, _) in enumerate(rungs.keys) if model_id in scored and np.isnan(values[row])]


def _has_choice(rungs: Rungs, model_id: str) -> bool:
    return len(rungs.ladders[model_id].efforts) > 1


def leave_one_out(rungs: Rungs, benchmark: str = "intelligence_index") -> tuple[Sequence[float], ...]:
    """Hide each score of a model that has several efforts scored, and estimate it from all others.

    Returns the scores, their estimates, the estimates' standard deviations, and the mean of the model's other efforts.
    """
    learnt = rows(rungs, benchmark)
    if learnt is None:
        return (), (), (), ()
    estimate = Regression(TERMS, learnt.columns, learnt.target, learnt.noise_variance).leave_one_out()
    efforts: dict[str, list[int]] = {}
    for row, (model_id, effort) in enumerate(learnt.keys):
        if effort is not None:
            efforts.setdefault(model_id, []).append(row)
    several = [(row, group) for group in efforts.values() if len(group) > 1 for row in group]
    own = learnt.centre + learnt.scale * learnt.target
    return (
        [float(own[row]) for row, _ in several],
        [float(learnt.centre + learnt.scale * estimate.mean[row]) for row, _ in several],
        [float(learnt.scale * estimate.sd[row]) for row, _ in several],
        [float(np.mean([own[other] for other in group if other != row])) for row, group in several],
    )
