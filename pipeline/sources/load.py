"""Writes what was found into the build database: tables, history, quarantine and what each payload's state is.

One transaction a source. Tables that have never been filled begin as the bundled snapshot, and so does a payload of
which the bundle holds a newer copy; whatever cannot be had stays as it was.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipeline.resources import BuildDatabase
from pipeline.settings import Settings
from pipeline.sources.payloads import Held, Obtained, PayloadStore, Search
from pipeline.sources.source import OBSERVATIONS, Payload, Refused, Source, Table
from warehouse import sql

SNAPSHOT = Path(sql.__file__).parent / "snapshot"
"""The bundled facts: one Parquet file a core table."""

NO_SNAPSHOT = "-"

ROW_JSON_CHARACTERS = 2_000

LOADS: dict[str, Any] = {
    "source": pl.String,
    "payload": pl.String,
    "origin": pl.String,
    "reference": pl.String,
    "sha256": pl.String,
    "observed_at": pl.Datetime("us"),
    "loaded_at": pl.Datetime("us"),
    "rows_loaded": pl.Int64,
    "rows_quarantined": pl.Int64,
    "problem": pl.String,
    "attribution": pl.String,
}
QUARANTINE: dict[str, Any] = {
    "source": pl.String,
    "payload": pl.String,
    "payload_reference": pl.String,
    "record_ref": pl.String,
    "reason": pl.String,
    "row_json": pl.String,
    "observed_at": pl.Datetime("us"),
}
SHARED = ("source_loads", "quarantine", "observations")
"""Tables that every source writes its rows of."""


@dataclass(frozen=True)
class TableReport:
    """What became of one table."""

    table: str
    rows: int
    rows_changed: int
    version: str
    """Hash of the rows without the time they were seen."""
    columns: tuple[tuple[str, str, str], ...]
    """Name, type and meaning."""


@dataclass(frozen=True)
class Report:
    """What became of one source."""

    tables: Mapping[str, TableReport]
    loads: Sequence[Mapping[str, Any]]
    """Rows of core.source_loads of the payloads of this source."""
    problems: Mapping[str, tuple[str, ...]]
    """Payload → why something newer could not be used."""
    notes: Mapping[str, str]
    """Payload → why nothing newer was looked for."""
    older_payloads: int
    """Older payloads that were read for the history."""


def load(source: Source, store: PayloadStore, database: BuildDatabase, settings: Settings, now: dt.datetime) -> Report:
    """Find every payload of `source` and write what it holds. The database is not held while the network is asked."""
    payloads = list(source.payloads(settings))
    with database.writing() as connection:
        prepare(connection, source, payloads, _snapshot_path(store), now)
        held = _held(connection, source)
        wanted = {payload.name: _wanted(connection, payload) for payload in payloads}
    with store.web() as web:
        searches = {
            payload.name: store.find(
                source.name,
                payload,
                settings=settings,
                held=held.get(payload.name),
                wanted=wanted[payload.name],
                web=web,
                now=now,
            )
            for payload in payloads
        }
    with database.writing() as connection:
        return _write(connection, source, payloads, searches, now)


def prepare(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    payloads: Sequence[Payload],
    snapshot: Path | None,
    now: dt.datetime,
) -> None:
    """Make sure that every table of `source` exists, filled from the bundled snapshot where it knows better."""
    connection.execute("BEGIN")
    for shared in SHARED:
        if not exists(connection, shared):
            _run(connection, shared, pl.DataFrame(schema=_shared_schema(shared)), [], [], source.name)
    names = [payload.name for payload in payloads]
    bundled = _bundled_loads(snapshot, source, names, _held(connection, source), now)
    chosen = [load["payload"] for load in bundled]
    observed = []
    for table in source.tables:
        feeding = [payload.name for payload in payloads if table.name in payload.tables and payload.name in chosen]
        frame = _bundled_frame(snapshot, table, feeding)
        if table.as_of is not None:
            frame = table.as_of(frame, now.date())
        if frame.height or not exists(connection, table.name):
            _run(connection, table.name, frame, feeding, names, source.name)
        _add_new_columns(connection, table)
        if table.observe is not None:
            observed.append(table.observe(frame))
    if bundled and snapshot is not None:
        _run(connection, "source_loads", pl.DataFrame(bundled, schema=LOADS), chosen, names, source.name)
        _run(connection, "quarantine", _bundled_refused(snapshot, source, chosen), chosen, names, source.name)
        observed.append(_bundled_history(snapshot, source))
        append(connection, pl.concat(observed).with_columns(pl.lit("bundled").alias("origin")))
    connection.execute("COMMIT")


def _write(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    payloads: Sequence[Payload],
    searches: Mapping[str, Search],
    now: dt.datetime,
) -> Report:
    held = _held_rows(connection, source)
    names = [payload.name for payload in payloads]
    obtained = {name: search.obtained for name, search in searches.items() if search.obtained is not None}
    silent = [name for name, search in searches.items() if search.is_silent]
    # Only a table that several payloads share can be left with rows of one that is no longer configured.
    dropped = [name for name in held if name not in names] if any(t.payload_column for t in source.tables) else []
    connection.execute("BEGIN")
    reports = {}
    for table in source.tables:
        frames = list(_frames(table, obtained.values()))
        before = _remember(connection, table.name)
        if frames or ((silent or dropped) and table.payload_column):
            incoming = pl.concat(frames) if frames else pl.DataFrame(schema=dict(table.schema))
            _run(connection, table.name, incoming, [*obtained, *silent], names, source.name)
        elif table.as_of is not None:
            kept = connection.sql(f"FROM core.{table.name}").pl().cast(dict(table.schema))
            _run(connection, table.name, table.as_of(kept, now.date()), [], names, source.name)
        reports[table.name] = _report(connection, table.name, before)
    observed = [
        parsed.observations.with_columns(pl.lit(found.origin).alias("origin"))
        for found in obtained.values()
        for parsed in (found.parsed, *found.older)
    ]
    if observed:
        append(connection, pl.concat(observed))
    loads = _load_rows(source, payloads, searches, held, now)
    _run(connection, "source_loads", pl.DataFrame(loads, schema=LOADS), [*names, *silent, *dropped], names, source.name)
    refused = [row for payload in payloads for row in _refused_rows(source, payload, obtained.get(payload.name))]
    _run(
        connection,
        "quarantine",
        pl.DataFrame(refused, schema=QUARANTINE),
        [*obtained, *silent, *dropped],
        names,
        source.name,
    )
    connection.execute("COMMIT")
    return Report(
        tables=reports,
        loads=loads,
        problems={
            name: search.problems for name, search in searches.items() if search.problems and not search.is_silent
        },
        notes={name: search.note for name, search in searches.items() if search.note},
        older_payloads=sum(len(found.older) for found in obtained.values()),
    )


def _wanted(connection: duckdb.DuckDBPyConnection, payload: Payload) -> list[tuple[Any, ...]]:
    """Rows of the payload's wanted query; none while the tables it asks have not been loaded."""
    if payload.wanted is None:
        return []
    try:
        return connection.execute(sql.statement("core", payload.wanted)).fetchall()
    except duckdb.CatalogException:
        return []


def _frames(table: Table, obtained: Iterable[Obtained]) -> Iterable[pl.DataFrame]:
    for found in obtained:
        readings = (found.parsed, *found.older) if table.accumulates else (found.parsed,)
        for parsed in readings:
            if table.name in parsed.frames:
                yield parsed.frames[table.name]


def _load_rows(
    source: Source,
    payloads: Sequence[Payload],
    searches: Mapping[str, Search],
    held: Mapping[str, Mapping[str, Any]],
    now: dt.datetime,
) -> list[dict[str, Any]]:
    """Rows of core.source_loads after this run: what was obtained, else what was held with its new problem."""
    rows = []
    for payload in payloads:
        search = searches[payload.name]
        problem = "; ".join(search.problems) or None
        if search.obtained is not None:
            found = search.obtained
            rows.append(
                {
                    "source": source.name,
                    "payload": payload.name,
                    "origin": found.origin,
                    "reference": found.reference,
                    "sha256": found.sha256,
                    "observed_at": found.observed_at,
                    "loaded_at": now,
                    "rows_loaded": max(
                        found.parsed.rows, 0 if found.parsed.frames else found.parsed.observations.height
                    ),
                    "rows_quarantined": len(found.parsed.refused),
                    "problem": problem,
                    "attribution": payload.attribution,
                }
            )
        elif payload.name in held and not search.is_silent:
            rows.append({**held[payload.name], "problem": problem})
    return rows


def _refused_rows(source: Source, payload: Payload, found: Obtained | None) -> Iterable[dict[str, Any]]:
    if found is None:
        return
    for refused in found.parsed.refused:
        yield {
            "source": source.name,
            "payload": payload.name,
            "payload_reference": found.reference,
            "record_ref": refused.record_ref,
            "reason": refused.reason,
            "row_json": _row_json(refused),
            "observed_at": found.observed_at,
        }


def _row_json(refused: Refused) -> str:
    return json.dumps(refused.row, default=str, ensure_ascii=False)[:ROW_JSON_CHARACTERS]


# --- the tables


def exists(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether there is a table `core.<table>`."""
    query = "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'core' AND table_name = ?"
    return bool(connection.execute(query, [table]).fetchall()[0][0])


def _shared_schema(table: str) -> dict[str, Any]:
    return {"source_loads": LOADS, "quarantine": QUARANTINE, "observations": {**OBSERVATIONS, "origin": pl.String}}[
        table
    ]


def _run(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    incoming: pl.DataFrame,
    loaded: Sequence[str],
    payloads: Sequence[str],
    source: str,
) -> None:
    """Run the SQL of `core.<table>` over the views it may read.

    `incoming` the new rows, `previous` the table as it was (empty where there was none), `loaded` the payloads that
    are being replaced, `payloads` all payloads of the source, both with (source, payload).
    """
    connection.register("incoming", incoming.to_arrow())
    for view, names in (("loaded", loaded), ("payloads", payloads)):
        frame = pl.DataFrame(
            {"source": [source] * len(names), "payload": names}, schema={"source": pl.String, "payload": pl.String}
        )
        connection.register(view, frame.to_arrow())
    if table != "observations":
        before = f"FROM core.{table}" if exists(connection, table) else "FROM incoming LIMIT 0"
        connection.execute(f"CREATE OR REPLACE TEMP TABLE previous AS {before}")
    connection.execute(sql.statement("core", table))
    for view in ("incoming", "loaded", "payloads"):
        connection.unregister(view)
    connection.execute("DROP TABLE IF EXISTS temp.previous")


def append(connection: duckdb.DuckDBPyConnection, observed: pl.DataFrame) -> None:
    """Add history rows, with their origin, in one go: what is a change is told from all of them at once."""
    if observed.height:
        _run(connection, "observations", observed, [], [], "")


def _add_new_columns(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Give a table that an older version filled the columns that have come since, empty until it is loaded anew."""
    held = {name for name, _, _ in _columns(connection, table.name)}
    if set(table.schema) <= held:
        return
    connection.register("incoming", pl.DataFrame(schema=dict(table.schema)).to_arrow())
    for name, kind, *_ in connection.execute("DESCRIBE incoming").fetchall():
        if name not in held:
            connection.execute(f'ALTER TABLE core.{table.name} ADD COLUMN "{name}" {kind}')
    connection.unregister("incoming")


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[tuple[str, str, str], ...]:
    query = (
        "SELECT column_name, data_type, coalesce(comment, '') FROM duckdb_columns() "
        "WHERE schema_name = 'core' AND table_name = ? ORDER BY column_index"
    )
    return tuple(connection.execute(query, [table]).fetchall())


def _facts(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    names = [f'"{name}"' for name, _, _ in _columns(connection, table) if name not in ("observed_at", "loaded_at")]
    return ", ".join(names)


def _remember(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    """Keep the table's rows for comparison; returns their columns."""
    facts = _facts(connection, table)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE remembered AS SELECT {facts} FROM core.{table}")
    return facts


def _report(connection: duckdb.DuckDBPyConnection, table: str, facts_before: str) -> TableReport:
    facts = _facts(connection, table)
    query = f"SELECT count(*), coalesce(bit_xor(hash(rows)), 0) FROM (SELECT {facts} FROM core.{table}) AS rows"
    rows, version = connection.execute(query).fetchall()[0]
    changed = rows
    if facts == facts_before:
        query = f"SELECT count(*) FROM (SELECT {facts} FROM core.{table} EXCEPT FROM remembered)"
        changed = connection.execute(query).fetchall()[0][0]
    connection.execute("DROP TABLE temp.remembered")
    return TableReport(table, rows, changed, f"{rows}-{version:016x}", _columns(connection, table))


def table_report(connection: duckdb.DuckDBPyConnection, table: str) -> TableReport:
    """Rows, version and columns of a core table as it is."""
    return _report(connection, table, _remember(connection, table))


def _held_rows(connection: duckdb.DuckDBPyConnection, source: Source) -> dict[str, dict[str, Any]]:
    query = f"SELECT {', '.join(LOADS)} FROM core.source_loads WHERE source = ?"
    rows = connection.execute(query, [source.name]).fetchall()
    return {row[1]: dict(zip(LOADS, row, strict=True)) for row in rows}


def _held(connection: duckdb.DuckDBPyConnection, source: Source) -> dict[str, Held]:
    return {
        name: Held(row["origin"], row["observed_at"], row["loaded_at"], row["rows_loaded"])
        for name, row in _held_rows(connection, source).items()
    }


# --- the bundled snapshot


def _snapshot_path(store: PayloadStore) -> Path | None:
    if store.snapshot == NO_SNAPSHOT:
        return None
    path = Path(store.snapshot) if store.snapshot else SNAPSHOT
    return path if (path / "source_loads.parquet").exists() else None


def _bundled_loads(
    snapshot: Path | None, source: Source, payloads: Sequence[str], held: Mapping[str, Held], now: dt.datetime
) -> list[dict[str, Any]]:
    """Loads of the bundle that are newer than what is held."""
    if snapshot is None:
        return []
    rows = pl.read_parquet(snapshot / "source_loads.parquet").filter(pl.col("source") == source.name).to_dicts()
    return [
        {
            **row,
            "origin": "bundled",
            "reference": f"warehouse/snapshot, from {row['reference']}",
            "loaded_at": now,
        }
        for row in rows
        if row["payload"] in payloads
        and (row["payload"] not in held or held[row["payload"]].observed_at < row["observed_at"])
    ]


def _bundled_frame(snapshot: Path | None, table: Table, payloads: Sequence[str]) -> pl.DataFrame:
    """Rows of `table` in the bundle that come from `payloads`, in the table's schema."""
    empty = pl.DataFrame(schema=dict(table.schema))
    if snapshot is None or not payloads or not (snapshot / f"{table.name}.parquet").exists():
        return empty
    frame = pl.read_parquet(snapshot / f"{table.name}.parquet")
    if table.payload_column is not None:
        frame = frame.filter(pl.col(table.payload_column).is_in(list(payloads)))
    absent = [pl.lit(None, kind).alias(name) for name, kind in table.schema.items() if name not in frame.columns]
    return frame.with_columns(absent).cast(dict(table.schema)).select(list(table.schema))  # type: ignore[arg-type]


def _bundled_refused(snapshot: Path, source: Source, payloads: Sequence[str]) -> pl.DataFrame:
    """Rows that were refused when the bundle was made: what `rows_quarantined` of its loads counts."""
    path = snapshot / "quarantine.parquet"
    if not path.exists():
        return pl.DataFrame(schema=QUARANTINE)
    frame = pl.read_parquet(path).filter((pl.col("source") == source.name) & pl.col("payload").is_in(list(payloads)))
    return frame.select([pl.col(name).cast(kind) for name, kind in QUARANTINE.items()])


def _bundled_history(snapshot: Path, source: Source) -> pl.DataFrame:
    path = snapshot / "observations.parquet"
    if not path.exists():
        return pl.DataFrame(schema=dict(OBSERVATIONS))
    return pl.read_parquet(path).filter(pl.col("source") == source.name)
