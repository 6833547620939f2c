"""What benchmarks have in common: one number a row, however many of them were run on it.

Pure, and nothing about models belongs here. Factor analysis with one factor, fitted by expectation maximisation over
whatever values are known (Rubin & Thayer, EM algorithms for ML factor analysis, Psychometrika 47, 1982; gaps as in
Tipping & Bishop, Probabilistic principal component analysis, 1999).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.rankings.regression import Columns, Vector

_ROUNDS = 100

FEWEST = 15
"""Values below which a column is left out: its own spread would be a guess."""

_SMALLEST_NOISE = 0.02
"""Variance of a column beside the factor, in its own spread, below which one column would be the factor alone."""


def scores(columns: Columns, names: Sequence[str]) -> Vector:
    """The factor's mean on every row given what is known of it; NaN where nothing is. Of mean zero and spread one.

    Each column is read as level + loading · factor + noise of its own, so a row with one value is drawn towards zero
    and a row with ten counts none of them twice.
    """
    known = np.column_stack([~np.isnan(columns[name]) for name in names])
    enough = known.sum(axis=0) >= FEWEST
    known = known[:, enough]
    if not known.any():
        return np.full(len(columns[names[0]]), np.nan)
    values = np.column_stack([columns[name] for name in names])[:, enough]
    spread = np.nanstd(values, axis=0)
    scaled = np.where(known, (values - np.nanmean(values, axis=0)) / np.where(spread > 0, spread, 1.0), 0.0)
    width = scaled.shape[1]
    loading, level, noise = np.full(width, 0.9), np.zeros(width), np.full(width, 0.3)
    count = known.sum(axis=0)
    for _ in range(_ROUNDS):
        precision = 1.0 + known @ (loading**2 / noise)
        mean = np.where(known, (scaled - level) * loading / noise, 0.0).sum(axis=1) / precision
        square = mean**2 + 1.0 / precision
        # Least squares of each column on (factor, 1), with the factor's own uncertainty.
        first, second = known.T @ mean, known.T @ square
        cross, total = scaled.T @ mean, scaled.sum(axis=0)
        determinant = second * count - first**2
        loading = (cross * count - first * total) / determinant
        level = (second * total - first * cross) / determinant
        residual = np.where(known, scaled - level, 0.0)
        explained = loading**2 * second - 2 * loading * (residual.T @ mean)
        noise = np.maximum(((residual**2).sum(axis=0) + explained) / count, _SMALLEST_NOISE)
    return np.where(known.any(axis=1), mean, np.nan)
