"""Publishes the warehouse: the contract's tables, written to a new file that takes the place of the last at once.

A publication is staged beside the last, checked, made read-only, renamed and swapped in by one symlink; a crash at any
moment leaves the last one. What the tables hold is decided upstream, what they must hold in `warehouse/published.py`
and `warehouse/sql/checks/`. Why it is done this way: docs/decisions/0004-publication.md.
"""

import datetime as dt
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from pipeline import checks, lineage
from pipeline.checks import Finding
from pipeline.resources import BuildDatabase, Clock
from warehouse import sql
from warehouse.locations import Locations, locations
from warehouse.published import CONTRACT_VERSION, SCHEMA, TABLES, Table

GROUP = "published"

OWNERS = ["team:orchestrator"]

KEPT = 5
"""Publications that stay, the one in use among them: the way back."""

CATALOG = "publication"
"""Name the staging file is attached under."""

_STAGING_PREFIX = ".staging-"

_SOURCES: dict[str, str] = {
    **{name: f"FROM entity.{name}" for name in ("model_records", "model_aliases")},
    **{
        name: f"FROM ranking.{name}"
        for name in (
            "offers",
            "configurations",
            "category_qualities",
            "rankings",
            "band_rankings",
            "category_rankings",
            "pareto",
            "profiles",
            "signals",
            "changes",
            "price_disagreements",
        )
    },
    **{
        name: f"FROM core.{name}"
        for name in ("observations", "source_loads", "quarantine", "decisions", "feedback", "shadow_calls")
    },
}
"""Where a published table's rows are; those that are not named here have an SQL file in `sql/published/`."""


class PublicationError(Exception):
    """The publication cannot be put in its place. The text says why and what to do."""


@dataclass(frozen=True)
class Stamp:
    """What a publication says of itself."""

    publication_id: str
    built_at: dt.datetime
    run_id: str

    @property
    def parameters(self) -> dict[str, Any]:
        """For `sql/published/snapshot.sql`."""
        return {
            "contract_version": CONTRACT_VERSION,
            "publication_id": self.publication_id,
            "built_at": self.built_at,
            "run_id": self.run_id,
        }


def stamp(now: dt.datetime, run_id: str) -> Stamp:
    """The stamp of a publication made at `now` (UTC)."""
    return Stamp(f"{now:%Y%m%dT%H%M%S%f}Z", now, run_id)


def stage(connection: duckdb.DuckDBPyConnection, staging: Path, marked: Stamp) -> None:
    """Write every table of the contract, with its comments, into a new file attached as `CATALOG`.

    Rows go in as they are: whether they keep the contract is for the checks to say. Raises `duckdb.Error` when a
    table or a column of the contract does not exist.
    """
    staging.parent.mkdir(parents=True, exist_ok=True)
    connection.execute(f"ATTACH {_text(str(staging))} AS {CATALOG}")
    connection.execute("BEGIN")
    connection.execute(f"CREATE SCHEMA {CATALOG}.{SCHEMA}")
    for table in TABLES:
        parameters = marked.parameters if table.name == "snapshot" else None
        connection.execute(_create(table), parameters)
        name = f"{CATALOG}.{SCHEMA}.{table.name}"
        connection.execute(f"COMMENT ON TABLE {name} IS {_text(table.meaning)}")
        for column in table.columns:
            connection.execute(f"COMMENT ON COLUMN {name}.{column.name} IS {_text(column.meaning)}")
    connection.execute("COMMIT")


def _create(table: Table) -> str:
    source = _SOURCES.get(table.name) or f"FROM ({sql.statement('published', table.name)})"
    columns = ", ".join(f"CAST({c.name} AS {c.sql_type}) AS {c.name}" for c in table.columns)
    # The primary order makes range scans by it cheap and the files of two runs comparable.
    return (
        f"CREATE TABLE {CATALOG}.{SCHEMA}.{table.name} AS SELECT {columns} {source} ORDER BY {', '.join(table.order)}"
    )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def put_in_place(staging: Path, places: Locations, marked: Stamp) -> Path:
    """Make a staged, detached file the publication that everyone opens. Returns its lasting path.

    Raises `PublicationError` when the published path is something we did not put there.
    """
    refuse_foreign_file(places)
    if staging.with_name(f"{staging.name}.wal").exists():
        raise PublicationError(f"{staging} was not written completely: its write-ahead log is still there.")
    _sync(staging)
    staging.chmod(0o444)
    versioned = _free_name(places.publications, marked.publication_id)
    staging.rename(versioned)
    _sync(places.publications)
    link = places.published.with_name(f".{places.published.name}.{os.getpid()}.link")
    link.unlink(missing_ok=True)
    link.symlink_to(Path(os.path.relpath(versioned, places.published.parent)))
    link.replace(places.published)
    _sync(places.published.parent)
    return versioned


def refuse_foreign_file(places: Locations) -> None:
    """Raise `PublicationError` when the published path holds a file of someone else's, which a swap would destroy."""
    if places.published.exists() and not places.published.is_symlink():
        raise PublicationError(
            f"{places.published} is a file of its own, not a link to a publication, and is left alone. "
            "Move it away, or let DATABASE_URL name another path, and run: orchestrator refresh"
        )


def clear_leftovers(places: Locations) -> list[str]:
    """Remove what publishers that were killed have left behind. Returns the names."""
    removed = []
    for directory, pattern in (
        (places.publications, f"{_STAGING_PREFIX}*"),
        (places.published.parent, f".{places.published.name}.*.link"),
    ):
        for leftover in sorted(directory.glob(pattern)) if directory.is_dir() else ():
            leftover.unlink(missing_ok=True)
            removed.append(leftover.name)
    return removed


def drop_old(places: Locations, kept: int = KEPT) -> list[str]:
    """Remove all publications but the newest `kept` and the one in use. Returns the names."""
    in_use = places.published.resolve()
    found = sorted(places.publications.glob("warehouse-*.duckdb"), key=lambda f: (f.stat().st_mtime_ns, f.name))
    removed = []
    for file in found[: max(len(found) - kept, 0)]:
        if file != in_use and file.resolve() != in_use:
            file.unlink(missing_ok=True)
            # Someone may have opened it for writing after all.
            file.with_name(f"{file.name}.wal").unlink(missing_ok=True)
            removed.append(file.name)
    return removed


def _free_name(directory: Path, publication_id: str) -> Path:
    name = directory / f"warehouse-{publication_id}.duckdb"
    number = 2
    while name.exists():
        name = directory / f"warehouse-{publication_id}-{number}.duckdb"
        number += 1
    return name


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _key(name: str) -> dg.AssetKey:
    return dg.AssetKey([SCHEMA, name])


def _upstream(table: Table) -> list[dg.AssetKey]:
    named = {"models": ["entity/models", "ranking/offers"], "snapshot": ["core/source_loads"]}
    sources = named.get(table.name) or [_SOURCES[table.name].removeprefix("FROM ").replace(".", "/")]
    return [dg.AssetKey(source.split("/")) for source in sources]


def _lineage(table: Table) -> dict[str, dg.TableColumnLineage]:
    """Metadata: of a copy, every column is the same column of the one table it is published from."""
    if table.name not in _SOURCES:
        return lineage.of(f"{SCHEMA}.{table.name}")
    (source,) = _upstream(table)
    copied = {c.name: [dg.TableColumnDep(source, c.name)] for c in table.columns}
    return {"dagster/column_lineage": dg.TableColumnLineage(copied)}


def _spec(table: Table) -> dg.AssetSpec:
    schema = dg.TableSchema([dg.TableColumn(c.name, c.sql_type, description=c.meaning) for c in table.columns])
    return dg.AssetSpec(
        _key(table.name),
        description=table.meaning,
        deps=_upstream(table),
        group_name=GROUP,
        kinds={"duckdb"},
        owners=OWNERS,
        metadata={"dagster/column_schema": schema, "dagster/table_name": f"{SCHEMA}.{table.name}"},
        code_version="1",
    )


@dg.multi_asset(
    name="published",
    specs=[_spec(table) for table in TABLES],
    check_specs=[
        dg.AssetCheckSpec(gate.name, asset=_key(gate.table), description=gate.description, blocking=True)
        for gate in checks.GATES
    ],
)
def published(
    context: dg.AssetExecutionContext, build: BuildDatabase, clock: Clock
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Stage, check, swap.

    Raises `dagster.Failure`, and leaves the last publication, when a check fails or the path is not ours.
    """
    places = locations()
    began = time.perf_counter()
    with build.writing() as connection:
        try:
            refuse_foreign_file(places)
        except PublicationError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        if removed := clear_leftovers(places):
            context.log.info(f"Removed what a stopped publisher left: {', '.join(removed)}")
        marked = stamp(clock.now(), context.run.run_id)
        staging = places.publications / f"{_STAGING_PREFIX}{os.getpid()}-{marked.publication_id}.duckdb"
        stage(connection, staging, marked)
        findings = checks.gate(connection, CATALOG, places.published)
        counts = {table.name: _count(connection, table) for table in TABLES}
        connection.execute(f"DETACH {CATALOG}")
        yield from (_result(finding) for finding in findings)
        if failed := [finding for finding in findings if not finding.passed]:
            clear_leftovers(places)
            raise dg.Failure(
                "Not published; the last publication stays. "
                + " ".join(f"published.{f.table}: {f.text}" for f in failed),
                allow_retries=False,
            )
        size = staging.stat().st_size
        versioned = put_in_place(staging, places, marked)
        drop_old(places)
    for table in TABLES:
        yield dg.MaterializeResult(
            asset_key=_key(table.name),
            metadata={
                "dagster/row_count": counts[table.name],
                "publication": dg.MetadataValue.path(str(versioned)),
                **_lineage(table),
                **(
                    {"file_size_mb": round(size / 1e6, 2), "duration_s": round(time.perf_counter() - began, 3)}
                    if table.name == "snapshot"
                    else {}
                ),
            },
        )


def _count(connection: duckdb.DuckDBPyConnection, table: Table) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {CATALOG}.{SCHEMA}.{table.name}").fetchall()[0][0])


def _result(finding: Finding) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=finding.passed,
        asset_key=_key(finding.table),
        check_name=finding.check,
        severity=dg.AssetCheckSeverity.ERROR,
        description=finding.text,
        metadata=finding.metadata,
    )


ASSETS: list[dg.AssetsDefinition] = [published]
"""Every published table, made in one step."""
