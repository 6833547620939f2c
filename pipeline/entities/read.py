"""Reads what linkage needs from the build database. Tables that a build does not have count as empty."""

from __future__ import annotations

import duckdb
import polars as pl

from pipeline.entities.identity import Change, RecordRef
from pipeline.entities.records import RECORD_SCHEMA
from warehouse.sql import statement

SOURCES: dict[str, tuple[str, ...]] = {
    "openrouter": ("openrouter_listings",),
    "lmsys_arena": ("lmsys_arena_names",),
    "huggingface": ("huggingface_benchmarks", "huggingface_repositories"),
    "hub_evaluations": ("hub_evaluations",),
    "artificial_analysis": ("artificial_analysis_models",),
    "upstream": ("upstream_listings",),
    "models_dev": ("models_dev_models",),
    "genai_prices": ("genai_prices_models",),
    "litellm_prices": ("litellm_prices_models",),
}
"""Source → the core tables its records are read from by `warehouse/sql/entity/records_<source>.sql`. Where two tell of
one record, the first counts."""


def _has(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    found = connection.execute(
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = ? AND table_name = ?", [schema, table]
    ).fetchall()
    return bool(found[0][0])


def records(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Every linkable record of the core tables, in the columns of `RECORD_SCHEMA`, ordered."""
    found = [pl.DataFrame(schema=RECORD_SCHEMA)]
    for source, tables in SOURCES.items():
        if all(_has(connection, "core", table) for table in tables):
            frame = connection.sql(statement("entity", f"records_{source}").rstrip().rstrip(";")).pl()
            found.append(frame.select([pl.col(name).cast(kind) for name, kind in RECORD_SCHEMA.items()]))
    return pl.concat(found).unique(["source", "record_id"], keep="first").sort("source", "record_id")


def previous_ids(connection: duckdb.DuckDBPyConnection) -> dict[RecordRef, str]:
    """Model id of every record in the last refresh."""
    if not _has(connection, "entity", "model_records"):
        return {}
    rows = connection.execute("SELECT source, record_id, model_id FROM entity.model_records").fetchall()
    return {(source, record_id): model_id for source, record_id, model_id in rows}


def past_changes(connection: duckdb.DuckDBPyConnection) -> list[Change]:
    """Every change of a model id ever recorded, oldest first."""
    if not _has(connection, "entity", "changes"):
        return []
    rows = connection.execute(
        "SELECT changed_at, change, old_model_id, new_model_id, record_count FROM entity.changes "
        "ORDER BY changed_at, old_model_id, new_model_id"
    ).fetchall()
    return [Change(*row) for row in rows]
