"""The common factor of benchmarks, on values made from a known one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.rankings import common_factor


@pytest.fixture
def made() -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """A factor of 300 rows, and five columns on scales of their own with a fifth of spread beside it."""
    drawn = np.random.default_rng(7)
    factor = drawn.normal(size=300)
    columns = {f"b{n}": 10.0 * n + (n + 1) * (factor + 0.2 * drawn.normal(size=300)) for n in range(5)}
    return factor, columns


def test_it_is_found_from_what_is_known(made: tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]) -> None:
    """Two thirds of the values missing at random, the factor is still told."""
    factor, columns = made
    drawn = np.random.default_rng(8)
    gappy = {name: np.where(drawn.random(300) < 0.65, np.nan, values) for name, values in columns.items()}

    found = common_factor.scores(gappy, list(gappy))

    nothing = np.all([np.isnan(values) for values in gappy.values()], axis=0)
    assert nothing.any()
    assert np.array_equal(np.isnan(found), nothing)
    assert np.corrcoef(found[~nothing], factor[~nothing])[0, 1] > 0.95


def test_neither_scale_nor_a_second_copy_matters(
    made: tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]],
) -> None:
    """Which unit a benchmark is in says nothing, and rows with one value count like rows with all, less sure."""
    _, columns = made
    names = list(columns)
    rescaled = {name: 1000.0 - 3.0 * values if name == "b2" else values for name, values in columns.items()}
    rescaled["b2"] = -rescaled["b2"]
    found, again = common_factor.scores(columns, names), common_factor.scores(rescaled, names)

    assert np.allclose(found, again, atol=1e-6)
    assert abs(float(found.std()) - 1.0) < 0.1


def test_a_column_with_few_values_is_left_out(
    made: tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]],
) -> None:
    _, columns = made
    few = np.full(300, np.nan)
    few[: common_factor.FEWEST - 1] = 1e6
    names = list(columns)

    assert np.array_equal(common_factor.scores({**columns, "few": few}, [*names, "few"]),
                          common_factor.scores(columns, names))  # fmt: skip
    assert np.isnan(common_factor.scores({"few": few}, ["few"])).all()
