"""How much better or worse a configuration is at one kind of prompt than overall, for every Arena category.

Pure. A category's rating less the overall one is an offset; a Gaussian process a category (`regression.py`) carries it
to configurations that were not rated there: offsets follow level, vendor, line, thinking and what benchmarks ask.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.rankings import quality
from pipeline.rankings.configurations import ARENA_SCOPE, Evidence, Rating, Rungs
from pipeline.rankings.regression import Columns, Estimate, Kernel, Term, Vector, condition, linear, same, smooth

_SUBSET, _OVERALL = ARENA_SCOPE.split("/")

LEFT_OUT = frozenset({_OVERALL, "exclude_ties"})
"""Categories that are no kind of prompt."""

FEWEST = 30
"""Ratings below which a category is not carried over."""

_NOISE_SD = 4.0
"""What an offset moves by for reasons other than votes."""

_UNKNOWN_EFFORT_SD = 5.0

SCHEMA: Mapping[str, pl.DataType] = {
    "model_id": pl.String(),
    "effort": pl.String(),
    "category": pl.String(),
    "quality": pl.Float64(),
    "quality_sd": pl.Float64(),
    "basis": pl.String(),
}


_SEASON = smooth("released", 0.7)

TERMS: tuple[Term, ...] = (
    # Sizes in standard deviations of a category's offsets: the geometric mean of what each category alone learns.
    Term("level", (linear("level"),), 0.36),
    Term("level curve", (smooth("level", 100.0),), 0.23),
    Term("date", (linear("released"),), 0.32),
    Term("date curve", (_SEASON,), 0.19),
    Term("level and date", (smooth("level", 100.0), _SEASON), 0.18),
    Term("size", (linear("log_size"),), 0.12),
    Term("vendor", (same("vendor"),), 0.18),
    Term("vendor and date", (same("vendor"), _SEASON), 0.21),
    Term("weights it was made of", (same("base"),), 0.31),
    Term("line", (same("line"),), 0.18),
    Term("line and date", (same("line"), _SEASON), 0.30),
    Term("generation", (same("generation"),), 0.13),
    Term("family", (same("family"),), 0.14),
    Term("model", (same("model"),), 0.19),
    Term("thinks", (linear("thinks"),), 0.15),
    Term("thinks and date", (linear("thinks"), _SEASON), 0.14),
    Term("effort", (linear("effort"),), 0.07),
    Term("price", (linear("log_price"),), 0.09),
    *(
        Term(name, (linear(name),), 0.08)
        for name in ("log_index", "gpqa", "hle", "livecodebench", "scicode", "ifbench", "lcr", "rating@webdev/overall")
    ),
)


@dataclass(frozen=True)
class Offsets:
    """Offsets of one category: rows of the overall ratings that have one, their values and variances."""

    rows: Vector
    values: Vector
    noise_variance: Vector

    @property
    def centre(self) -> float:
        """Mean offset."""
        return float(self.values.mean())

    @property
    def scale(self) -> float:
        """How far offsets lie apart."""
        return float(self.values.std()) or 1.0


def offsets(ratings: Sequence[Rating], evidence: Iterable[Evidence]) -> dict[str, Offsets]:
    """Offsets of every category with enough ratings, by category in alphabetical order."""
    row_of = {rating.record_id: row for row, rating in enumerate(ratings)}
    found: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
    for item in evidence:
        subset, _, category = item.scope.partition("/")
        row = row_of.get(item.record_id)
        if item.metric != "rating" or subset != _SUBSET or category in LEFT_OUT or row is None:
            continue
        blur = _UNKNOWN_EFFORT_SD**2 if ratings[row].effort is None else 0.0
        variance = (item.variance or 100.0) + _NOISE_SD**2 + blur
        found[category].append((row, item.value - ratings[row].value, variance))
    made = {}
    for category in sorted(found):
        if len(found[category]) >= FEWEST:
            rows, values, variances = (np.array(column) for column in zip(*found[category], strict=True))
            made[category] = Offsets(rows, values, variances)
    return made


def learn(kernel: Kernel, seen: Offsets) -> Estimate:
    """A category's offset for every row that `kernel` reaches, from those that were seen."""
    found = condition(
        kernel, seen.rows.astype(int), (seen.values - seen.centre) / seen.scale, seen.noise_variance / seen.scale**2
    )
    return Estimate(seen.centre + seen.scale * found.mean, seen.scale * found.sd)


def with_level(columns: Columns, level: Vector) -> dict[str, Vector]:
    """Columns with the overall quality beside them."""
    return {**columns, "level": level}


def build(rungs: Rungs, configured: pl.DataFrame, evidence: Sequence[Evidence]) -> pl.DataFrame:
    """Rows of `published.category_qualities`; `configured` holds the overall qualities in the order of `rungs.keys`."""
    overall, overall_sd = configured["quality"].to_numpy(), configured["quality_sd"].to_numpy()
    bases = configured["quality_basis"].to_list()
    all_columns = quality.columns(rungs)
    known, target, _ = quality.rated_rows(rungs, all_columns, rungs.ratings)
    kernel = Kernel(TERMS, with_level(known, target), with_level(all_columns, overall))
    is_rated = np.array([basis == "rated" for basis in bases])
    frames = []
    for category, seen in offsets(rungs.ratings, evidence).items():
        offset = learn(kernel, seen)
        # Of the same configurations in every category, so that one category's points are another's.
        middle = float(offset.mean[is_rated].mean()) if is_rated.any() else seen.centre
        rated = {(r.model_id, r.effort) for r in (rungs.ratings[int(row)] for row in seen.rows)}
        frames.append(
            pl.DataFrame(
                {
                    "model_id": [model_id for model_id, _ in rungs.keys],
                    "effort": [effort for _, effort in rungs.keys],
                    "category": [category] * len(rungs.keys),
                    "quality": overall + offset.mean - middle,
                    "quality_sd": np.sqrt(overall_sd**2 + offset.sd**2),
                    "basis": [
                        "rated" if key in rated else "offset" if basis == "rated" else basis
                        for key, basis in zip(rungs.keys, bases, strict=True)
                    ],
                }
            )
        )
    return pl.concat(frames) if frames else pl.DataFrame(schema=SCHEMA)
