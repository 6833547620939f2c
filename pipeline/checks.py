"""What must hold of a publication: the contract, its size, and every file of `warehouse/sql/checks/`.

A check is an SQL file that returns the offending rows, none when all is well. Its header says which table it is about
and how bad a finding is: an `error` keeps the publication from being swapped in, a `warn` is shown. A new check is a
new file.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from warehouse.connect import DatabaseError, open_reader
from warehouse.locations import locations
from warehouse.published import SCHEMA, TABLES, Table

DIRECTORY = Path(__file__).resolve().parent.parent / "warehouse" / "sql" / "checks"

_SHOWN = 10

_HEADER = re.compile(r"\A-- table: (?P<table>\w+)\n-- severity: (?P<severity>error|warn)\n(?P<about>(?:-- .*\n)+)")


class CheckFileError(ValueError):
    """A file of `warehouse/sql/checks/` has no proper header. The text says what it must be."""


@dataclass(frozen=True)
class SqlCheck:
    """One file: a query for offending rows."""

    name: str
    table: str
    severity: str
    description: str
    query: str


@dataclass(frozen=True)
class Gate:
    """A check that a publication must pass to be swapped in."""

    name: str
    table: str
    description: str


@dataclass(frozen=True)
class Finding:
    """What a check saw."""

    check: str
    table: str
    passed: bool
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)


def read(file: Path) -> SqlCheck:
    """One check file. Raises `CheckFileError` when its header is not understood."""
    text = file.read_text(encoding="utf-8")
    header = _HEADER.match(text)
    if header is None or header["table"] not in {table.name for table in TABLES}:
        raise CheckFileError(
            f"{file} must begin with '-- table: <a published table>', '-- severity: error' (or warn) and a line or "
            "more about what its rows mean."
        )
    about = " ".join(line.removeprefix("-- ") for line in header["about"].splitlines())
    return SqlCheck(file.stem, header["table"], header["severity"], about, text)


SQL_CHECKS: tuple[SqlCheck, ...] = tuple(read(file) for file in sorted(DIRECTORY.glob("*.sql")))

SIZED: dict[str, str] = {
    "models": "count(*)",
    "model_records": "count(*)",
    # Hosts and profiles come and go by the dozen; models do not.
    "offers": "count(DISTINCT model_id)",
    "rankings": "count(DISTINCT model_id)",
    "band_rankings": "count(DISTINCT model_id)",
    "profiles": "least(count(*), 1)",
}
"""What of a table is never nought, nor under half of what it was, unless something broke."""

GATES: tuple[Gate, ...] = (
    *(Gate("keeps_the_contract", t.name, "Columns, types, non-null and key as the contract says.") for t in TABLES),
    *(Gate("has_not_shrunk", name, "Neither empty nor under half of the last publication.") for name in SIZED),
    *(Gate(check.name, check.table, check.description) for check in SQL_CHECKS if check.severity == "error"),
)


def gate(connection: duckdb.DuckDBPyConnection, catalog: str, last: Path) -> list[Finding]:
    """Every gate's finding on the staged publication attached as `catalog`; `last` is the one now in use, if any."""
    findings = [contract(connection, catalog, table) for table in TABLES]
    before = _counts(last)
    for name, size in SIZED.items():
        now = _one(connection, f"SELECT {size} FROM {catalog}.{SCHEMA}.{name}")
        findings.append(_sized(name, now, before.get(name)))
    home = connection.execute("SELECT current_database(), current_schema()").fetchall()[0]
    connection.execute(f"USE {catalog}.{SCHEMA}")
    try:
        findings.extend(run(connection, check) for check in SQL_CHECKS if check.severity == "error")
    finally:
        connection.execute('USE "{}"."{}"'.format(*home))
    return findings


def contract(connection: duckdb.DuckDBPyConnection, catalog: str, table: Table) -> Finding:
    """Whether one table is what `warehouse/published.py` says."""
    place = f"{catalog}.{SCHEMA}.{table.name}"
    query = (
        "SELECT column_name, data_type FROM duckdb_columns() "
        "WHERE database_name = ? AND schema_name = ? AND table_name = ?"
    )
    there = dict(connection.execute(query, [catalog, SCHEMA, table.name]).fetchall())
    faults = []
    for column in table.columns:
        if column.name not in there:
            faults.append(f"column {column.name} is missing")
        elif there[column.name] != column.sql_type:
            faults.append(f"column {column.name} is {there[column.name]}, not {column.sql_type}")
        elif not column.is_nullable:
            nulls = _one(connection, f"SELECT count(*) FROM {place} WHERE {column.name} IS NULL")
            if nulls:
                faults.append(f"column {column.name} is null in {nulls} rows")
    if table.key and not faults:
        key = ", ".join(table.key)
        twice = _one(connection, f"SELECT count(*) FROM (SELECT 1 FROM {place} GROUP BY {key} HAVING count(*) > 1)")
        if twice:
            faults.append(f"{twice} values of ({key}) occur more than once")
    return Finding("keeps_the_contract", table.name, not faults, "; ".join(faults) or "as the contract says")


def run(connection: duckdb.DuckDBPyConnection, check: SqlCheck) -> Finding:
    """One SQL check against the published tables of the current schema."""
    cursor = connection.execute(check.query)
    names = [column[0] for column in cursor.description or ()]
    rows = cursor.fetchall()
    if not rows:
        return Finding(check.name, check.table, True, "nothing found")
    shown = [dict(zip(names, (_plain(value) for value in row), strict=True)) for row in rows[:_SHOWN]]
    metadata = {
        "rows_found": len(rows),
        "first_rows": dg.MetadataValue.table([dg.TableRecord(record) for record in shown]),
    }
    first = ", ".join(f"{name} {value}" for name, value in shown[0].items())
    return Finding(check.name, check.table, False, f"{check.description} {len(rows)} found, first: {first}.", metadata)


def _plain(value: object) -> str | int | float | bool | None:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _sized(name: str, now: int, before: int | None) -> Finding:
    metadata = {"size": now, **({"size_before": before} if before is not None else {})}
    counted = "models" if "model_id" in SIZED[name] else "rows"
    if now == 0:
        return Finding("has_not_shrunk", name, False, "it is empty", metadata)
    if before is not None and now * 2 < before:
        text = f"{now} {counted}, after {before} in the last publication"
        return Finding("has_not_shrunk", name, False, text, metadata)
    return Finding("has_not_shrunk", name, True, f"{now} {counted}", metadata)


def _counts(last: Path) -> dict[str, int]:
    """Sizes of the last publication; empty when there is none, or none that can be read."""
    try:
        with open_reader(last) as connection:
            return {name: _one(connection, f"SELECT {size} FROM {SCHEMA}.{name}") for name, size in SIZED.items()}
    except (FileNotFoundError, DatabaseError):
        return {}


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(connection.execute(query).fetchall()[0][0])


def _warning(check: SqlCheck) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name=check.name,
        asset=dg.AssetKey([SCHEMA, check.table]),
        description=check.description,
    )
    def warn() -> dg.AssetCheckResult:
        with open_reader(locations().published) as connection:
            connection.execute(f"SET search_path = '{SCHEMA}'")
            finding = run(connection, check)
        return dg.AssetCheckResult(
            passed=finding.passed,
            severity=dg.AssetCheckSeverity.WARN,
            description=finding.text,
            metadata=finding.metadata,
        )

    return warn


CHECKS: Sequence[dg.AssetChecksDefinition] = [_warning(check) for check in SQL_CHECKS if check.severity == "warn"]
"""Checks of the publication in use, to be run at any time. What keeps a publication back are `GATES`."""
