"""What benchmarks have in common of a model, and what its relatives let expect where none was run.

Pure. The common factor is in `common_factor.py`; the regression below knows nothing of people's ratings, so it may look
at every model, rated or not, without telling what is to be estimated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.rankings import common_factor
from pipeline.rankings.regression import Columns, Regression, Term, Vector, linear, same, smooth

_FEWEST = 30
"""Rows with a benchmark below which relatives say too little."""

_NOISE_SD = 0.15
"""What a factor may be off by, in its own spread."""


TERMS: tuple[Term, ...] = (
    # Sizes in standard deviations of the factor, trained once by the likelihood of the factors that are known.
    Term("date", (linear("released"),), 0.59),
    Term("date curve", (smooth("released", 1.0),), 0.31),
    Term("size", (linear("log_size"),), 0.32),
    Term("active size", (linear("log_active_size"),), 0.13),
    Term("vendor and date", (same("vendor"), smooth("released", 1.0)), 0.16),
    Term("family and date", (same("family"), smooth("released", 1.0)), 0.13),
    Term("line", (same("line"),), 0.26),
    Term("line and date", (same("line"), smooth("released", 0.7)), 0.17),
    Term("generation", (same("generation"),), 0.04),
    Term("generation and size", (same("generation"), smooth("log_size", 0.7)), 0.12),
    Term("weights it was made of", (same("base"),), 0.14),
    Term("weights it was made of and size", (same("base"), smooth("log_size", 0.7)), 0.26),
    Term("tier", (linear("tier"),), 0.14),
    Term("tier and date", (smooth("tier", 0.7), smooth("released", 0.7)), 0.05),
    Term("price", (linear("log_price"),), 0.10),
    Term("price and date", (smooth("log_price", 1.0), smooth("released", 1.0)), 0.09),
    Term("model", (same("model"),), 0.10),
    Term("thinks", (linear("thinks"),), 0.20),
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
