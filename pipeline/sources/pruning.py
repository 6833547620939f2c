"""What is dropped when it is older than the retention: the history of metrics, and what the proxy reported.

Deciding which rows go is SQL. Dagster's own memory is pruned in `pipeline/run_history.py`, when is in `automation.py`.
"""

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from pipeline import settings
from pipeline.resources import BuildDatabase, Clock
from pipeline.sources.assets import table_key
from pipeline.sources.load import exists
from warehouse import sql
from warehouse.locations import locations
from warehouse.outcomes import RECORDS, SEGMENT_SUFFIX

# Table → columns that its statement returns of every row that went.
PRUNED: dict[str, tuple[str, ...]] = {
    "observations": ("source", "metric"),
    "outcomes": ("outcome",),
    "decisions": ("outcome",),
    "feedback": ("profile",),
    "shadow_calls": ("shadow_offer_id",),
}


@dg.op(description="Drop observations and attempts older than the retention; the newest value of every series stays.")
def prune_metrics(context: dg.OpExecutionContext, build: BuildDatabase, clock: Clock) -> int:
    """Prune by ORCHESTRATOR_METRIC_RETENTION_DAYS and report what went, on the assets. Returns rows removed."""
    days = settings.load().metric_retention_days
    if days == 0:
        context.log.info("ORCHESTRATOR_METRIC_RETENTION_DAYS is 0: nothing is pruned")
        return 0
    before = clock.now() - dt.timedelta(days=days)
    with build.writing() as connection:
        pruned = {table: prune(connection, table, before) for table in PRUNED if exists(connection, table)}
        left = {table: _count(connection, table) for table in pruned}
    segments = {table: prune_segments(locations().records(table), before) for table in RECORDS}
    for table, removed in pruned.items():
        columns = (*PRUNED[table], "rows_removed")
        total = sum(rows for *_, rows in removed)
        records = [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in removed]
        context.log_event(
            dg.AssetObservation(
                asset_key=table_key(table),
                description=f"Pruned {total} rows older than {days} days",
                metadata={
                    "rows_removed": total,
                    "dagster/row_count": left[table],
                    "retention_days": days,
                    "removed": dg.MetadataValue.table(
                        records, schema=dg.TableSchema([dg.TableColumn(name) for name in columns])
                    ),
                    **({"segments_removed": segments[table]} if table in segments else {}),
                },
            )
        )
    return sum(rows for removed in pruned.values() for *_, rows in removed)


def prune(connection: duckdb.DuckDBPyConnection, table: str, before: dt.datetime) -> list[tuple[Any, ...]]:
    """Delete what `core/<table>.prune.sql` says is too old. Returns its columns of `PRUNED` with row counts."""
    removed = connection.execute(sql.statement("core", f"{table}.prune"), {"before": before}).fetchall()
    return [(*row, count) for row, count in sorted(Counter(removed).items(), key=str)]


def prune_segments(directory: Path, before: dt.datetime) -> int:
    """Delete finished segment files that were last written before `before`: every attempt in them is older.

    Files that stayed would be read again, for none of their rows is left to say that they were. Returns how many went.
    """
    old = [
        path
        for path in directory.glob(f"*{SEGMENT_SUFFIX}")
        if path.stat().st_mtime < before.replace(tzinfo=dt.UTC).timestamp()
    ]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM core.{table}").fetchall()[0][0])
