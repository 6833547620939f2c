"""The history from files of former days, a day a partition: what a person fills in from Dagster's UI.

Which files belong to which day is decided here; how they are read is their source's, how they are stored
`core/observations.sql`'s business. Current rows are never touched: those are the refresh's.
"""

import datetime as dt
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import polars as pl

from pipeline import settings
from pipeline.resources import BuildDatabase, Clock
from pipeline.sources.assets import OWNERS, column_schema, load_sources, table_key
from pipeline.sources.load import append, exists, table_report
from pipeline.sources.payloads import dated, files, read_file
from pipeline.sources.source import OBSERVATIONS, Payload, PayloadRefusedError
from warehouse.locations import locations

NAME = "recorded_history"


class Recording(NamedTuple):
    """A file of a former day."""

    payload: Payload
    path: Path


def directory(environment: Mapping[str, str] | None = None) -> Path:
    """ORCHESTRATOR_HISTORY_DIR: the folder of dated payload files, laid out as `refresh --from` reads them."""
    env = os.environ if environment is None else environment
    named = env.get("ORCHESTRATOR_HISTORY_DIR")
    return Path(named).expanduser().absolute() if named else locations().data_dir / "history"


def recordings(root: Path, configured: settings.Settings) -> dict[str, list[Recording]]:
    """Day (2026-08-19) or month (2026-08), as the files' names say, → the files of all sources; days in order."""
    found: dict[str, list[Recording]] = {}
    for source in load_sources():
        for payload in source.payloads(configured):
            for path in sorted(files(payload, root)):
                start, until = dated(path.relative_to(root))
                if start is not None:
                    day = f"{start:%Y-%m-%d}" if until is None else f"{start:%Y-%m}"
                    found.setdefault(day, []).append(Recording(payload, path))
    return dict(sorted(found.items()))


def assets(root: Path, configured: settings.Settings) -> list[dg.AssetsDefinition]:
    """The asset with a partition for every day there is a file of; none where there is no file."""
    days = recordings(root, configured) if root.is_dir() else {}
    if not days:
        return []

    @dg.asset(
        name=NAME,
        key_prefix="core",
        description="Prices, ratings, benchmarks and speeds of former days, from the payload files in "
        "ORCHESTRATOR_HISTORY_DIR. Filling a day again adds nothing; the next refresh publishes it.",
        group_name="sources",
        kinds={"polars", "duckdb"},
        owners=OWNERS,
        partitions_def=dg.StaticPartitionsDefinition(list(days)),
        metadata={"dagster/table_name": "core.observations", "folder": dg.MetadataValue.path(str(root))},
        check_specs=[
            dg.AssetCheckSpec(
                "files_were_read", asset=table_key(NAME), description="Every file of these days could be read."
            )
        ],
        code_version="1",
    )
    def recorded_history(
        context: dg.AssetExecutionContext, build: BuildDatabase, clock: Clock
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        day, now = context.partition_key, clock.now()
        read, problems = read_day(days[day], root, now)
        with build.writing() as connection:
            append(connection, read)
            history = table_report(connection, "observations") if exists(connection, "observations") else None
        days_kept = settings.load().metric_retention_days
        kept_from = now - dt.timedelta(days=days_kept) if days_kept else dt.datetime.min
        yield dg.MaterializeResult(
            asset_key=table_key(NAME),
            metadata={
                "dagster/row_count": read.height,
                "files": dg.MetadataValue.md("\n".join(f"- `{one.path.relative_to(root)}`" for one in days[day])),
                "by_metric": _by_metric(read),
                "gone_at_the_next_pruning": read.filter(pl.col("observed_at") < kept_from).height,
                **(
                    {"rows_of_history": history.rows, "dagster/column_schema": column_schema(history)}
                    if history
                    else {}
                ),
            },
        )
        yield dg.AssetCheckResult(
            asset_key=table_key(NAME),
            check_name="files_were_read",
            passed=not problems,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(problems) or None,
        )

    return [recorded_history]


_HISTORY: dict[str, Any] = {**OBSERVATIONS, "origin": pl.String}


def read_day(found: list[Recording], root: Path, now: dt.datetime) -> tuple[pl.DataFrame, list[str]]:
    """What the files of a day say, as rows of core.observations, and which could not be read and why."""
    frames, problems = [pl.DataFrame(schema=_HISTORY)], []
    for payload, path in found:
        try:
            _, parsed = read_file(payload, path, root, now, is_current=False)
        except (PayloadRefusedError, OSError) as error:
            problems.append(f"{path.relative_to(root)}: {error}")
            continue
        frames.append(parsed.observations.with_columns(pl.lit("directory").alias("origin")))
    return pl.concat(frames), problems


def _by_metric(read: pl.DataFrame) -> dg.TableMetadataValue:
    columns = ("source", "metric", "values", "first", "last")
    counted = (
        read.group_by("source", "metric")
        .agg(
            pl.len().alias("values"),
            pl.col("observed_at").min().dt.to_string("%Y-%m-%d").alias("first"),
            pl.col("observed_at").max().dt.to_string("%Y-%m-%d").alias("last"),
        )
        .sort("source", "metric")
    )
    return dg.MetadataValue.table(
        [dg.TableRecord(row) for row in counted.select(columns).to_dicts()],
        schema=dg.TableSchema([dg.TableColumn(name) for name in columns]),
    )
