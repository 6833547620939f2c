"""Quality on the Arena text scale for every model at every effort, with an honest standard deviation.

Pure. A Gaussian process (`regression.py`) is conditioned on the ratings; its kernel says what makes two models alike:
the same model, family or vendor, benchmark scores, price, size, date, effort. The standard deviations of its terms
are trained by `python -m pipeline.rankings train` and kept in `quality_model.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.rankings import capability, ladders
from pipeline.rankings.configurations import UNKNOWN_EFFORT_SD, Rating, Rungs
from pipeline.rankings.regression import (
    Columns,
    Estimate,
    Factor,
    Regression,
    Term,
    Vector,
    fit_sds,
    linear,
    same,
    smooth,
)

MODEL_FILE = Path(__file__).parent / "quality_model.json"

_MIDDLE, _CEILING = 1300.0, 2500.0
"""Estimation is in points stretched towards a ceiling, equal to rating points at the middle: old and weak models lie
further apart for reasons nobody recorded than strong ones do, and only so is one spread true of both."""

RATING_NOISE_SD = 4.0
"""What a rating moves by for reasons other than votes: prompts change, styles come and go."""

_FEWEST_PAIRS = 20
"""Models with both a rating and a score on hard tasks, below which the two scales cannot be laid on one another."""

_BENCHMARKS = (
    "log_index",
    "mmlu_pro",
    "gpqa",
    "hle",
    "livecodebench",
    "scicode",
    "ifbench",
    "lcr",
    "tau2",
    "terminalbench",
    "average@v2",
    "ifeval@v2",
    "mmlu_pro@v2",
    "bbh@v2",
    "average@v1",
    "mmlu@v1",
    "truthfulqa@v1",
    "gsm8k@v1",
    "math@v2",
    "mt_bench",
    "mmlu@lmsys",
    "arena_hard",
    "alpaca_eval",
    "design_arena",
    "rating@vision/overall",
    "rating@webdev/overall",
)

_IN_COMMON = tuple(name for name in _BENCHMARKS if not name.startswith("rating@"))
"""Benchmarks whose common factor is a column of its own: votes of the Arena's visitors are another kind of evidence."""


def _known(column: str) -> Term:
    return Term(f"{column} is known", (Factor(column, "known"),), 25.0)


TERMS: tuple[Term, ...] = (
    # Who is listed, priced and measured at all differs from who is not.
    *(_known(c) for c in ("released", "log_size", "log_price", "rating@webdev/overall", "average@v2")),
    *(_known(c) for c in ("log_index", "mmlu_pro", "gpqa", "hle", "livecodebench", "scicode", "ifbench")),
    *(_known(c) for c in ("mt_bench", "mmlu@lmsys", "arena_hard", "alpaca_eval", "design_arena")),
    Term("date", (linear("released"),), 60.0),
    Term("date curve", (smooth("released", 0.5),), 30.0),
    Term("size", (linear("log_size"),), 40.0),
    Term("size curve", (smooth("log_size", 1.0),), 20.0),
    Term("size and date", (smooth("log_size", 1.0), smooth("released", 1.0)), 20.0),
    Term("active size", (linear("log_active_size"),), 20.0),
    Term("active size and date", (smooth("log_active_size", 1.0), smooth("released", 1.0)), 20.0),
    Term("price", (linear("log_price"),), 30.0),
    Term("price curve", (smooth("log_price", 1.0),), 20.0),
    Term("price and date", (smooth("log_price", 1.0), smooth("released", 0.7)), 20.0),
    Term("price and size", (smooth("log_price", 1.0), smooth("log_size", 1.0)), 15.0),
    Term("vendor", (same("vendor"),), 20.0),
    Term("vendor and date", (same("vendor"), smooth("released", 0.7)), 20.0),
    Term("family", (same("family"),), 20.0),
    Term("family and date", (same("family"), smooth("released", 0.7)), 20.0),
    Term("family and size", (same("family"), smooth("log_size", 0.7)), 20.0),
    Term("vendor and size", (same("vendor"), smooth("log_size", 0.7)), 15.0),
    _known("tier"),
    Term("tier", (linear("tier"),), 20.0),
    Term("tier and date", (smooth("tier", 0.7), smooth("released", 0.7)), 15.0),
    Term("vendor and tier", (same("vendor"), same("tier")), 15.0),
    Term("weights it was made of", (same("base"),), 30.0),
    Term("weights it was made of and size", (same("base"), smooth("log_size", 0.7)), 20.0),
    Term("line", (same("line"),), 20.0),
    Term("line and date", (same("line"), smooth("released", 0.7)), 15.0),
    Term("line and tier", (same("line"), same("tier")), 15.0),
    Term("generation", (same("generation"),), 15.0),
    Term("generation and size", (same("generation"), smooth("log_size", 0.7)), 15.0),
    Term("model", (same("model"),), 15.0),
    Term("thinks", (linear("thinks"),), 5.0),
    Term("effort", (linear("effort"),), 5.0),
    Term("effort of the model", (same("model"), smooth("effort", 0.3)), 5.0),
    *(Term(name, (linear(name),), 15.0) for name in _BENCHMARKS),
    Term("common", (linear("common"),), 60.0),
    Term("common curve", (smooth("common", 1.0),), 30.0),
    Term("common and date", (smooth("common", 1.0), smooth("released", 1.0)), 20.0),
    Term("common and size", (smooth("common", 1.0), smooth("log_size", 1.0)), 15.0),
    Term("common and vendor", (same("vendor"), smooth("common", 1.0)), 15.0),
    Term("index curve", (smooth("log_index", 0.5),), 30.0),
    Term("index and date", (smooth("log_index", 0.5), smooth("released", 1.0)), 20.0),
)
"""What makes two models alike, with how many rating points each part may explain before training."""


def terms(model_file: Path = MODEL_FILE) -> tuple[Term, ...]:
    """The kernel with its trained standard deviations."""
    trained: Mapping[str, float] = json.loads(model_file.read_text(encoding="utf-8"))["sd"]
    return tuple(Term(t.name, t.factors, trained[t.name]) for t in TERMS)


def columns(rungs: Rungs) -> dict[str, NDArray[np.float64]]:
    """The columns the kernel looks at, benchmarks filled in at the efforts they were not run at
    and what they have in common where none was run."""
    if rungs.completed:
        return dict(rungs.completed)
    found = rungs.select({f.column for t in TERMS for f in t.factors} | {*ladders.BENCHMARKS, *capability.COLUMNS})
    for name, filled in ladders.fill(rungs).items():
        found[name] = np.where(np.isnan(found[name]), filled.mean, found[name])
    found["log_index"] = np.log(np.maximum(found["intelligence_index"], 1.0))
    found["common"] = capability.column(found, _IN_COMMON)
    rungs.completed.update(found)
    return found


def rated_rows(
    rungs: Rungs, all_columns: Columns, ratings: Sequence[Rating]
) -> tuple[dict[str, Vector], Vector, Vector]:
    """Columns, target and noise variance of the rows that ratings are of.

    A rating whose effort is unknown stands at the model's default, blurred, with the mean of its efforts' scores.
    """
    rows: dict[str, list[float]] = {name: [] for name in all_columns}
    for rating in ratings:
        ladder = rungs.ladders[rating.model_id]
        if rating.effort is not None:
            row = rungs.rows[rating.model_id, rating.effort]
            for name, values in all_columns.items():
                rows[name].append(float(values[row]))
            continue
        places = [rungs.rows[rating.model_id, effort] for effort in ladder.efforts]
        for name, values in all_columns.items():
            known = values[places][~np.isnan(values[places])]
            rows[name].append(float(known.mean()) if len(known) else float("nan"))
        rows["effort"][-1] = ladder.position(None)
    target = np.array([r.value for r in ratings])
    noise = np.array(
        [r.variance + RATING_NOISE_SD**2 + (UNKNOWN_EFFORT_SD**2 if r.effort is None else 0.0) for r in ratings]
    )
    return {name: np.array(values) for name, values in rows.items()}, target, noise


def train(rungs: Rungs, *, steps: int = 120) -> tuple[Term, ...]:
    """The kernel's terms with the standard deviations under which the ratings are most likely."""
    return train_on(*rated_rows(rungs, columns(rungs), rungs.ratings), steps=steps)


def train_on(known: Columns, target: Vector, noise: Vector, *, steps: int = 120) -> tuple[Term, ...]:
    """The same, from rows as `rated_rows` gives them."""
    return fit_sds(TERMS, known, _stretched(target), noise * _stretch(target) ** 2, steps=steps)


def predict(trained: Sequence[Term], known: Columns, target: Vector, noise: Vector, wanted: Columns) -> Estimate:
    """Ratings of `wanted` rows from `target`, the ratings of `known` rows, whose variances are `noise`."""
    regression = Regression(trained, known, _stretched(target), noise * _stretch(target) ** 2)
    stretched = regression.predict(wanted)
    mean = _CEILING - (_CEILING - _MIDDLE) * np.exp(-stretched.mean / (_CEILING - _MIDDLE))
    return Estimate(mean, stretched.sd / _stretch(mean))


def _stretched(ratings: Vector) -> Vector:
    room = _CEILING - _MIDDLE
    return np.asarray(-room * np.log(np.maximum(_CEILING - ratings, 1.0) / room), dtype=np.float64)


def _stretch(ratings: Vector) -> Vector:
    """Stretched points to a rating point."""
    return np.asarray((_CEILING - _MIDDLE) / np.maximum(_CEILING - ratings, 1.0), dtype=np.float64)


def save(trained: Sequence[Term], rating_count: int, model_file: Path = MODEL_FILE) -> None:
    """Keep trained terms for `terms` to read."""
    content = {"trained_on_ratings": rating_count, "sd": {t.name: round(t.sd, 3) for t in trained}}
    model_file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Qualities:
    """Estimates in the order of `Rungs.keys`."""

    estimate: Estimate
    when_hard: Vector
    """Ability on hard prompts, in the same points: people's ratings hardly see thinking, hard tasks do."""
    basis: list[str]
    """rated, measured or inferred."""


def estimate(rungs: Rungs, trained: Sequence[Term]) -> Qualities:
    """Quality of every row of `rungs`.

    Raises `ValueError` when no model has a rating: there is no scale then.
    """
    if not rungs.ratings:
        raise ValueError("No Arena rating was linked to a model, so there is no scale to estimate quality on.")
    all_columns = columns(rungs)
    known_columns, target, noise = rated_rows(rungs, all_columns, rungs.ratings)
    estimated = predict(trained, known_columns, target, noise, all_columns)
    rated = {(r.model_id, r.effort) for r in rungs.ratings}
    known = np.any([~np.isnan(all_columns[name]) for name in _BENCHMARKS], axis=0)
    basis = [
        "rated" if key in rated else "measured" if is_known else "inferred"
        for key, is_known in zip(rungs.keys, known, strict=True)
    ]
    when_hard = _when_hard(estimated.mean, all_columns["log_index"], known_columns["log_index"], target)
    return Qualities(estimated, when_hard, basis)


def _when_hard(mean: Vector, log_index: Vector, rated_log_index: Vector, ratings: Vector) -> Vector:
    """Half way from the estimate to the rating that goes with the configuration's score on hard tasks, where known."""
    pairs = ~np.isnan(rated_log_index)
    if pairs.sum() < _FEWEST_PAIRS or rated_log_index[pairs].std() == 0:
        return mean
    slope, intercept = np.polyfit(rated_log_index[pairs], ratings[pairs], 1)
    implied = slope * log_index + intercept
    return np.where(np.isnan(implied), mean, (mean + implied) / 2)


def metrics() -> frozenset[str]:
    """The benchmark columns that quality is estimated from, as `Evidence.column` names them."""
    return frozenset("intelligence_index" if name == "log_index" else name for name in _BENCHMARKS)
