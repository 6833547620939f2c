"""What benchmarks have in common of a model, and what its relatives let expect where none was run.

Pure. The common factor is in `common_factor.py`; the regression below knows nothing of people's ratings, so it may look
at every model, rated or not, without telling what is to be estimated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.rankings import common_factor
from pipeline.rankings.regression import Columns, Factor, Regression, Term, Vector

_FEWEST = 30
"""Rows with a benchmark below which relatives say too little."""

_NOISE_SD = 0.15
"""What a factor may be off by, in its own spread."""


def _same(column: str) -> Factor:
    return Factor(column, "same")


def _linear(column: str) -> Factor:
    return Factor(column, "linear")


def _smooth(column: str, length: float) -> Factor:
    return Factor(column, "smooth", length)


TERMS: tuple[Term, ...] = (
    # Sizes in standard deviations of the factor, trained once by the likelihood of the factors that are known.
    Term("date", (_linear("released"),), 0.59),
    Term("date curve", (_smooth("released", 1.0),), 0.31),
    Term("size", (_linear("log_size"),), 0.32),
    Term("active size", (_linear("log_active_size"),), 0.13),
    Term("vendor and date", (_same("vendor"), _smooth("released", 1.0)), 0.16),
    Term("family and date", (_same("family"), _smooth("released", 1.0)), 0.13),
    Term("line", (_same("line"),), 0.26),
    Term("line and date", (_same("line"), _smooth("released", 0.7)), 0.17),
    Term("generation", (_same("generation"),), 0.04),
    Term("generation and size", (_same("generation"), _smooth("log_size", 0.7)), 0.12),
    Term("weights it was made of", (_same("base"),), 0.14),
    Term("weights it was made of and size", (_same("base"), _smooth("log_size", 0.7)), 0.26),
    Term("tier", (_linear("tier"),), 0.14),
    Term("tier and date", (_smooth("tier", 0.7), _smooth("released", 0.7)), 0.05),
    Term("price", (_linear("log_price"),), 0.10),
    Term("price and date", (_smooth("log_price", 1.0), _smooth("released", 1.0)), 0.09),
    Term("model", (_same("model"),), 0.10),
    Term("thinks", (_linear("thinks"),), 0.20),
)

COLUMNS = frozenset(factor.column for term in TERMS for factor in term.factors)
"""What `column` looks at besides the benchmarks."""


def column(columns: Columns, benchmarks: Sequence[str]) -> Vector:
    """The common factor of `benchmarks` on every row, expected from relatives where none of them is known.

    NaN throughout where there are too few rows with a benchmark to learn from.
    """
    factor = common_factor.scores(columns, benchmarks)
    known = ~np.isnan(factor)
    if known.sum() < _FEWEST or known.all():
        return factor
    centre, scale = float(factor[known].mean()), float(factor[known].std()) or 1.0
    told = {name: columns[name][known] for name in COLUMNS}
    noise = np.full(int(known.sum()), _NOISE_SD**2)
    regression = Regression(TERMS, told, (factor[known] - centre) / scale, noise)
    expected = regression.predict({name: columns[name][~known] for name in COLUMNS})
    factor[~known] = centre + scale * expected.mean
    return factor
