"""The yardsticks themselves, and the estimates measured with them on the full recordings."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest

from pipeline.rankings import __main__, configurations, evaluate, tables
from pipeline.rankings.profile import load
from tests.pipeline.rankings import small_world
from tests.pipeline.rankings.build_tables import NOW
from warehouse.connect import open_writer


def test_rank_correlation_counts_order_only_and_shares_ties() -> None:
    rising = np.array([1.0, 2.0, 3.0, 4.0])

    assert evaluate.spearman(rising, rising**3) == pytest.approx(1.0)
    assert evaluate.spearman(rising, -rising) == pytest.approx(-1.0)
    # scipy.stats.spearmanr([1, 2, 3, 4], [1, 2, 2, 3])
    assert evaluate.spearman(rising, np.array([1.0, 2.0, 2.0, 3.0])) == pytest.approx(0.9486832980505138)


def test_figures_of_a_known_error() -> None:
    measured = evaluate.measure("x", np.array([0.0, 10.0, 20.0]), np.array([1.0, 12.0, 17.0]), np.full(3, 1.0))

    assert measured.mean_absolute_error == pytest.approx(2.0)
    assert measured.coverage == pytest.approx(1 / 3)


def test_hidden_ratings_are_hidden(world: duckdb.DuckDBPyConnection) -> None:
    """A rating far off its benchmark must not be foreseen: it would be, if it leaked into its own estimate."""
    world.execute("UPDATE core.lmsys_arena_ratings SET rating = 2500 WHERE model_name = 'number-3'")
    tables.make_offers(world, NOW)
    tables.make_evidence(world)
    rungs = configurations.build(tables.read_models(world), tables.read_evidence(world))
    data = evaluate.rated(rungs)
    row = next(i for i, r in enumerate(data.ratings) if r.record_id == "number-3")
    hidden = np.arange(len(data.target)) == row
    (estimate,) = evaluate._guesses(data, evaluate.quality.terms(), hidden)["model"]

    assert estimate < 1600


def test_the_command_prints_figures_and_says_when_there_is_nothing_to_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = tmp_path / "build.duckdb"
    assert __main__.main(["evaluate", "--build", str(build)]) == 1
    with open_writer(build) as connection:
        small_world.build(connection)
        tables.make_offers(connection, NOW)
        tables.make_evidence(connection)
    assert __main__.main(["evaluate", "--retrain", "--build", str(build)]) == 0

    shown = capsys.readouterr()
    assert "orchestrator refresh" in shown.err
    assert "the vendor's mean" in shown.out
    assert "from the kernel's training too" in shown.out


def test_the_page_shows_every_profile_and_band(ranked: duckdb.DuckDBPyConnection) -> None:
    page = __main__.first_tens(ranked)

    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == [p.name for p in load()]
    assert "| 1 | acme/grand |" in page
    assert page.count("Easy prompts: ") == page.count("Hard prompts: ") == len(load())


def test_coverage_counts_and_names_what_is_missing(ranked: duckdb.DuckDBPyConnection) -> None:
    """One model of four has no price anywhere."""
    told = __main__.coverage(ranked)

    assert "4 chat models can be called, 4 of them without giving" in told
    assert "3 of those (75.0%)" in told
    assert "bolt/unpriced" in told
    assert "no source states a price" in told
