"""The regression finds what generated the data, and says honestly how sure it is."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.rankings.regression import Factor, Regression, Term, fit_sds

SMOOTH = (Term("curve", (Factor("x", "smooth", 1.0),), 1.0),)


def test_with_little_noise_it_passes_through_the_points_and_returns_to_the_mean_far_away() -> None:
    target = np.array([1.0, 3.0, 2.0])
    regression = Regression(SMOOTH, {"x": np.array([0.0, 3.0, 6.0])}, target, np.full(3, 1e-6))
    estimate = regression.predict({"x": np.array([0.0, 3.0, 100.0])})

    assert estimate.mean == pytest.approx([1.0, 3.0, 2.0], abs=1e-3)
    assert estimate.sd == pytest.approx([0.0, 0.0, 1.0], abs=1e-2)


def test_leaving_one_out_is_what_fitting_without_it_gives() -> None:
    drawn = np.random.default_rng(1)
    x, noise = drawn.normal(size=12), np.full(12, 0.1)
    target = np.sin(x)
    whole = Regression(SMOOTH, {"x": x}, target - target.mean(), noise).leave_one_out()
    rest = np.arange(12) != 5
    # The centre of all rows is subtracted beforehand, since leaving a row out must not move it.
    without = Regression(SMOOTH, {"x": x[rest]}, (target - target.mean())[rest], noise[rest])
    estimate = without.predict({"x": x[[5]]})

    assert whole.mean[5] == pytest.approx(estimate.mean[0], abs=0.03)
    assert whole.sd[5] == pytest.approx(np.sqrt(estimate.sd[0] ** 2 + 0.1), abs=1e-6)


def test_a_missing_column_is_silent_and_never_a_zero() -> None:
    terms = (Term("x", (Factor("x", "linear"),), 1.0), Term("group", (Factor("g", "same"),), 1.0))
    columns = {"x": np.array([-1.0, 1.0, np.nan]), "g": np.array([0.0, 0.0, 1.0])}
    regression = Regression(terms, columns, np.array([-5.0, 5.0, 3.0]), np.full(3, 0.01))
    nothing_known = regression.predict({"x": np.array([np.nan]), "g": np.array([np.nan])})

    assert nothing_known.mean[0] == pytest.approx(1.0)


def test_training_finds_the_part_that_explains_the_data() -> None:
    drawn = np.random.default_rng(2)
    columns = {"signal": drawn.normal(size=150), "nothing": drawn.normal(size=150)}
    target = 3.0 * columns["signal"] + drawn.normal(scale=0.3, size=150)
    terms = tuple(Term(name, (Factor(name, "linear"),), 1.0) for name in columns)
    fitted = {t.name: t.sd for t in fit_sds(terms, columns, target, np.full(150, 0.09), steps=80)}

    assert fitted["signal"] == pytest.approx(3.0, rel=0.5)
    assert fitted["nothing"] < 0.4


def test_intervals_hold_what_they_promise() -> None:
    drawn = np.random.default_rng(3)
    x = drawn.uniform(-10, 10, size=300)
    covariance = np.exp(-0.5 * (x[:, None] - x[None, :]) ** 2) + 1e-9 * np.eye(300)
    target = np.linalg.cholesky(covariance) @ drawn.normal(size=300) + drawn.normal(scale=0.3, size=300)
    estimate = Regression(SMOOTH, {"x": x}, target, np.full(300, 0.09)).leave_one_out()
    inside = np.mean(np.abs(estimate.mean - target) < 1.645 * estimate.sd)

    assert 0.84 < inside < 0.95


def test_an_unknown_kind_of_factor_is_said() -> None:
    with pytest.raises(ValueError, match="not 'wobbly'"):
        Regression((Term("x", (Factor("x", "wobbly"),), 1.0),), {"x": np.array([1.0, 2.0])}, np.zeros(2), np.ones(2))
