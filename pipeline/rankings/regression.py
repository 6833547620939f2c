"""Gaussian-process regression in closed form, with kernels declared as data and gaps in every column.

Nothing about models or ratings belongs here. A kernel is a sum of terms; a term is a product of factors, each of one
column. Where either row lacks a column, the term is silent about that pair, so a missing value is neither a guess nor
a zero. Formulas: Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), algorithm 2.1, eq. 5.9
(gradient of the marginal likelihood) and 5.12 (leave-one-out predictions).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
_PRIOR_SPREAD = 1.0
"""Standard deviation of the logarithm of a term's sd before training: a factor of 2.7 either way is unremarkable."""

Columns = Mapping[str, NDArray[np.float64]]
"""Numeric columns; missing is NaN. Categories are coded as numbers."""


@dataclass(frozen=True)
class Factor:
    """How two rows resemble each other in one column."""

    column: str
    kind: str
    """linear (product of standardised values), smooth (falls off with distance), same (equal or not), known (both
    rows have a value, whatever it is)."""
    length: float = 1.0
    """smooth: the distance at which resemblance has fallen to 0.6, in the column's own unit."""


def same(column: str) -> Factor:
    """Equal or not."""
    return Factor(column, "same")


def linear(column: str) -> Factor:
    """Alike as the product of their standardised values."""
    return Factor(column, "linear")


def smooth(column: str, length: float) -> Factor:
    """Alike as they are near, in the column's unit."""
    return Factor(column, "smooth", length)


@dataclass(frozen=True)
class Term:
    """One part of the kernel: the product of its factors, times `sd` squared. No factor: a constant."""

    name: str
    factors: tuple[Factor, ...]
    sd: float
    """How much of the target this part can explain, as a standard deviation in the target's unit."""


@dataclass(frozen=True)
class Estimate:
    """Means and standard deviations of the estimated function, row by row."""

    mean: Vector
    sd: Vector


class Regression:
    """A fitted regression. `columns` and `target` are the training rows, `noise_variance` each row's own."""

    def __init__(
        self,
        terms: Sequence[Term],
        columns: Columns,
        target: Vector,
        noise_variance: Vector,
        parts: Sequence[Matrix] | None = None,
    ) -> None:
        self._terms = tuple(terms)
        self._columns = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
        self._scales = _scales(self._terms, self._columns)
        # Terms without their sd: the same at every step of a training, so computed once.
        self._parts = parts or [_part(t, self._columns, self._columns, self._scales) for t in self._terms]
        self._centre = float(np.mean(target))
        self._residual = np.asarray(target, dtype=np.float64) - self._centre
        kernel = np.diag(np.asarray(noise_variance, dtype=np.float64) + 1e-8)
        for term, part in zip(self._terms, self._parts, strict=True):
            kernel = kernel + term.sd**2 * part
        lower = np.linalg.cholesky(kernel)
        inverse_lower = np.linalg.inv(lower)
        self._inverse: Matrix = inverse_lower.T @ inverse_lower
        self._alpha: Vector = self._inverse @ self._residual
        self._log_determinant = 2.0 * float(np.log(np.diag(lower)).sum())

    def predict(self, columns: Columns) -> Estimate:
        """Estimates for new rows, without measurement noise."""
        rows = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
        size = len(next(iter(rows.values())))
        cross, own = np.zeros((size, len(self._residual))), np.zeros(size)
        flat_left, flat_right = [], []
        for term in self._terms:
            own += term.sd**2 * _diagonal(term, rows, self._scales)
            if all(factor.kind in ("linear", "known") for factor in term.factors):
                # Products of one number a row: all such terms together are one matrix product.
                flat_left.append(term.sd * _numbers(term, rows, self._scales))
                flat_right.append(term.sd * _numbers(term, self._columns, self._scales))
            else:
                cross += term.sd**2 * _part(term, rows, self._columns, self._scales)
        if flat_left:
            cross += np.column_stack(flat_left) @ np.column_stack(flat_right).T
        mean = self._centre + cross @ self._alpha
        variance = own - np.sum((cross @ self._inverse) * cross, axis=1)
        return Estimate(mean, np.sqrt(np.maximum(variance, 1e-9)))

    def leave_one_out(self) -> Estimate:
        """What each training row would have been estimated at without it, measurement noise included."""
        precision = np.diag(self._inverse)
        return Estimate(self._centre + self._residual - self._alpha / precision, np.sqrt(1.0 / precision))

    def log_likelihood(self) -> float:
        """Log marginal likelihood of the training rows."""
        n = len(self._residual)
        return (
            -0.5 * float(self._residual @ self._alpha)
            - 0.5 * self._log_determinant
            - 0.5 * n * float(np.log(2 * np.pi))
        )

    def gradient(self) -> dict[str, float]:
        """Derivative of the log marginal likelihood by the logarithm of each term's sd."""
        outer = np.outer(self._alpha, self._alpha) - self._inverse
        return {t.name: float(np.vdot(outer, part)) * t.sd**2 for t, part in zip(self._terms, self._parts, strict=True)}


class Kernel:
    """A kernel between `known` rows, and between them and `wanted` rows, for several targets over the same rows."""

    def __init__(self, terms: Sequence[Term], known: Columns, wanted: Columns) -> None:
        scales = _scales(terms, known)
        self.known: Matrix = np.zeros((_height(known), _height(known)))
        self.cross: Matrix = np.zeros((_height(wanted), _height(known)))
        self.own: Vector = np.zeros(_height(wanted))
        for term in terms:
            self.known += term.sd**2 * _part(term, known, known, scales)
            self.cross += term.sd**2 * _part(term, wanted, known, scales)
            self.own += term.sd**2 * _diagonal(term, wanted, scales)


def condition(kernel: Kernel, rows: NDArray[np.int_], target: Vector, noise_variance: Vector) -> Estimate:
    """Estimates of the wanted rows from a target of mean zero, seen at some of the known rows."""
    lower = np.linalg.cholesky(kernel.known[np.ix_(rows, rows)] + np.diag(noise_variance + 1e-8))
    inverse = np.linalg.inv(lower)
    projected = kernel.cross[:, rows] @ inverse.T
    variance = kernel.own - np.sum(projected * projected, axis=1)
    return Estimate(projected @ (inverse @ target), np.sqrt(np.maximum(variance, 1e-9)))


def _height(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def fit_sds(
    terms: Sequence[Term], columns: Columns, target: Vector, noise_variance: Vector, *, steps: int = 120
) -> tuple[Term, ...]:
    """The same terms with the most probable standard deviations, found by RMSprop on their logarithms.

    Each has a log-normal prior around the sd the term came with, so that parts that say the same share the work
    instead of all but one dying out.
    """
    logs = {t.name: float(np.log(t.sd)) for t in terms}
    rows = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
    parts = [_part(t, rows, rows, _scales(terms, rows)) for t in terms]
    mean_square = dict.fromkeys(logs, 1.0)
    best, best_posterior = tuple(terms), -np.inf
    for step in range(steps):
        current = tuple(Term(t.name, t.factors, float(np.exp(logs[t.name]))) for t in terms)
        regression = Regression(current, rows, target, noise_variance, parts)
        distance = {t.name: (logs[t.name] - np.log(t.sd)) / _PRIOR_SPREAD for t in terms}
        posterior = regression.log_likelihood() - 0.5 * sum(d**2 for d in distance.values())
        if posterior > best_posterior:
            best, best_posterior = current, posterior
        for name, likelihood_slope in regression.gradient().items():
            slope = likelihood_slope - distance[name] / _PRIOR_SPREAD
            mean_square[name] = 0.9 * mean_square[name] + 0.1 * slope**2
            logs[name] += 0.1 * (1 - step / steps) * slope / (mean_square[name] ** 0.5 + 1e-6)
    return best


def _scales(terms: Sequence[Term], columns: Columns) -> dict[str, tuple[float, float]]:
    scales = {}
    for term in terms:
        for factor in term.factors:
            values = columns[factor.column]
            known = values[~np.isnan(values)]
            spread = float(known.std()) if len(known) > 1 else 0.0
            scales[factor.column] = (float(known.mean()) if len(known) else 0.0, spread if spread > 0 else 1.0)
    return scales


def _part(term: Term, left: Columns, right: Columns, scales: Mapping[str, tuple[float, float]]) -> Matrix:
    product = np.ones((len(next(iter(left.values()))), len(next(iter(right.values())))))
    for factor in term.factors:
        product *= _resemblance(factor, left[factor.column], right[factor.column], scales)
    return product


def _numbers(term: Term, rows: Columns, scales: Mapping[str, tuple[float, float]]) -> Vector:
    product = np.ones(len(next(iter(rows.values()))))
    for factor in term.factors:
        centre, scale = scales[factor.column]
        values = rows[factor.column]
        is_linear = factor.kind == "linear"
        product = product * (np.nan_to_num((values - centre) / scale) if is_linear else ~np.isnan(values))
    return np.asarray(product, dtype=np.float64)


def _diagonal(term: Term, rows: Columns, scales: Mapping[str, tuple[float, float]]) -> Vector:
    numbers = _numbers(term, rows, scales)
    return numbers * numbers


def _resemblance(factor: Factor, left: Vector, right: Vector, scales: Mapping[str, tuple[float, float]]) -> Matrix:
    known = (~np.isnan(left))[:, None] & (~np.isnan(right))[None, :]
    if factor.kind == "linear":
        centre, scale = scales[factor.column]
        return np.outer(np.nan_to_num((left - centre) / scale), np.nan_to_num((right - centre) / scale))
    if factor.kind == "known":
        return np.asarray(known, dtype=np.float64)
    difference = np.nan_to_num(left)[:, None] - np.nan_to_num(right)[None, :]
    if factor.kind == "smooth":
        return np.asarray(known * np.exp(-0.5 * (difference / factor.length) ** 2), dtype=np.float64)
    if factor.kind == "same":
        return np.asarray(known & (difference == 0), dtype=np.float64)
    raise ValueError(f"{factor.column}: a factor is linear, smooth, same or known, not {factor.kind!r}")
