"""Fixtures of the rankings' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from pipeline.rankings import categories, estimates, profile, quality, signals, tables
from tests.pipeline.rankings import small_world
from tests.pipeline.rankings.build_tables import NOW
from warehouse.connect import open_memory


@pytest.fixture
def world() -> Iterator[duckdb.DuckDBPyConnection]:
    """The small market, with its inputs in place and nothing ranked."""
    connection = open_memory()
    small_world.build(connection)
    yield connection
    connection.close()


@pytest.fixture
def ranked(world: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """The small market, ranked."""
    rank(world)
    return world


def rank(
    connection: duckdb.DuckDBPyConnection, *, allow_data_collection: bool = False, directories: list[Path] | None = None
) -> None:
    """Every table of schema `ranking`, as the assets make them."""
    tables.make_offers(connection, NOW)
    tables.make_evidence(connection)
    tables.make_own_calls(connection, NOW)
    tables.make_own_attempts(connection, NOW)
    evidence = tables.read_evidence(connection)
    rungs, frame = estimates.configure(tables.read_models(connection), evidence, quality.terms())
    tables.write(connection, "configurations", frame)
    tables.write(connection, "category_qualities", categories.build(rungs, frame, evidence))
    configured, offered = tables.read_configurations(connection), tables.read_offers(connection)
    own_calls, own_calls_at = tables.read_own_calls(connection)
    attempts, attempts_at = tables.read_own_attempts(connection)
    trail = signals.build(
        rungs,
        evidence,
        quality.metrics(),
        offered.offers,
        offered.listings,
        configured,
        own_calls,
        own_calls_at,
        attempts,
        attempts_at,
    )
    tables.write(connection, "signals", trail)
    profiles = profile.load(directories or [profile.SHIPPED])
    tables.write_profiles(connection, profiles)
    result = estimates.rank(
        offered.offers, configured, own_calls, attempts, profiles, allow_data_collection=allow_data_collection
    )
    tables.write(connection, "band_rankings", result)
    tables.write(connection, "rankings", result.filter(result["difficulty_band"] == "medium"))
    by_category = estimates.rank_in_categories(
        offered.offers,
        configured,
        tables.read_category_qualities(connection),
        own_calls,
        attempts,
        profiles,
        allow_data_collection=allow_data_collection,
    )
    tables.write(connection, "category_rankings", by_category)
    tables.make_pareto(connection)
