"""What relatives let expect of a model on which no benchmark was run."""

from __future__ import annotations

import numpy as np

from pipeline.rankings import capability


def test_relatives_tell_what_no_benchmark_does() -> None:
    """Bigger and newer is better; where a benchmark was run, relatives change nothing."""
    drawn = np.random.default_rng(3)
    rows = 200
    columns = {name: np.full(rows, np.nan) for name in capability.COLUMNS}
    columns["released"] = drawn.uniform(2023, 2026, rows)
    columns["log_size"] = drawn.uniform(0, 6, rows)
    level = columns["released"] - 2024.5 + 0.3 * columns["log_size"]
    columns |= {name: level + 0.1 * drawn.normal(size=rows) for name in ("one", "two", "three")}
    hidden = np.arange(rows) < 60
    gappy = {**columns, **{n: np.where(hidden, np.nan, columns[n]) for n in ("one", "two", "three")}}

    found = capability.column(gappy, ("one", "two", "three"))
    whole = capability.column(columns, ("one", "two", "three"))

    assert not np.isnan(found).any()
    assert np.corrcoef(found[hidden], level[hidden])[0, 1] > 0.95
    assert np.corrcoef(found[~hidden], whole[~hidden])[0, 1] > 0.999


def test_too_few_rows_teach_nothing() -> None:
    columns = {name: np.arange(40.0) for name in capability.COLUMNS}
    columns["one"] = np.where(np.arange(40) < 20, np.arange(40.0), np.nan)

    assert np.isnan(capability.column(columns, ("one",))[20:]).all()
