"""What the proxy reports about its own calls, read from its segment files. Counts and times, never prompts.

Segments stay where they are: a record is known by its id, so reading a segment twice changes nothing. What the
outcomes say about a model's speed and reliability is worked out in `rankings`.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import types
import typing
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import polars as pl

from pipeline.settings import Settings
from pipeline.sources import values
from pipeline.sources.source import FetchError, Parsed, Payload, Refused, Schema, Sighting, Source, Table, Web
from pipeline.sources.values import BadValueError
from warehouse.locations import locations
from warehouse.outcomes import OPEN_SUFFIX, OUTCOMES, RECORDS, SEGMENT_SUFFIX

_POLARS: dict[Any, Any] = {str: pl.String, int: pl.Int64, float: pl.Float64, bool: pl.Boolean}

_MOMENTS = frozenset(("at", "began_at", "given_at"))
_SIGNED = frozenset(("score",))
"""Numbers that may be below zero."""


def _fields(row: type) -> Iterator[tuple[str, type, bool]]:
    """Name, type and whether it may be null of every field of a record."""
    for name, hint in typing.get_type_hints(row).items():
        is_optional = isinstance(hint, types.UnionType)
        parts = [part for part in typing.get_args(hint) if part is not type(None)] if is_optional else [hint]
        yield name, parts[0], is_optional


FIELDS = {table: tuple(_fields(row)) for table, row in RECORDS.items()}

SCHEMAS: dict[str, Schema] = {
    table: {
        **{name: pl.Datetime("us") if name in _MOMENTS else _POLARS[kind] for name, kind, _ in fields},
        "segment": pl.String,
    }
    for table, fields in FIELDS.items()
}


def _value(name: str, kind: type, is_optional: bool, value: object) -> object:
    if value is None:
        if is_optional:
            return None
        raise BadValueError(f"{name} is missing")
    # A bool is an int to Python, and an int will do where a float is meant.
    fits = type(value) is kind or (kind is float and type(value) is int)
    if not fits:
        raise BadValueError(f"{name} is a {type(value).__name__}")
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and not (math.isfinite(value) and (value >= 0 or name in _SIGNED)):  # type: ignore[arg-type, operator]
        raise BadValueError(f"{name} is {value}")
    if name in _MOMENTS:
        moment = values.moment(value)
        if moment is None:
            raise BadValueError(f"{name} is no time")
        return moment
    return value


def _record(table: str, line: str, segment: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise BadValueError(f"the line is not JSON: {error}") from error
    if not isinstance(entry, dict):
        raise BadValueError(f"the line is a {type(entry).__name__}")
    row = {name: _value(name, kind, is_optional, entry.get(name)) for name, kind, is_optional in FIELDS[table]}
    outcome = row.get("outcome")
    if outcome is not None and outcome not in OUTCOMES:
        raise BadValueError(f"outcome {outcome!r} is none of {', '.join(OUTCOMES)}")
    return {**row, "segment": segment}


def parse_segments(body: bytes, sighting: Sighting, table: str = "outcomes") -> Parsed:
    """Records of the segments in `body`, a JSON object of segment name → text. Raises `PayloadRefusedError`.

    A last line without an end was being written, or its writer was killed: it is left alone, not refused.
    """
    (key, *_), *_ = FIELDS[table]
    records: dict[str, dict[str, Any]] = {}
    refused: list[Refused] = []
    for segment, text in values.mapping(values.document(body)).items():
        *lines, _unfinished = str(text).split("\n")
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = _record(table, line, segment)
            except BadValueError as error:
                refused.append(Refused(f"{segment}:{number}", str(error), line))
                continue
            records[record[key]] = record
    frame = pl.DataFrame(list(records.values()), schema=dict(SCHEMAS[table]))
    return Parsed({table: frame}, refused=refused, observed_at=sighting.observed_at)


def collect(web: Web, wanted: Sequence[tuple[Any, ...]], settings: Settings, table: str = "outcomes") -> bytes:
    """Segments that are new or still open; `wanted` names the finished ones that are already in.

    Raises `FetchError` while the proxy has reported nothing.
    """
    del web, settings
    folder = locations().records(table)
    known = {row[0] for row in wanted}
    segments = sorted([*folder.glob(f"*{SEGMENT_SUFFIX}"), *folder.glob(f"*{OPEN_SUFFIX}")]) if folder.exists() else []
    if not segments:
        raise FetchError(f"the proxy has reported no {table} yet")
    texts = {}
    for path in segments:
        if path.name in known:
            continue
        try:
            texts[path.name] = path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            continue  # finished, and so renamed, since it was listed: it is read next time
    return json.dumps(texts).encode()


def _payloads(settings: Settings) -> Sequence[Payload]:
    del settings
    return tuple(
        Payload(
            name="segments" if table == "outcomes" else table,
            parse=partial(parse_segments, table=table),
            tables=(table,),
            collect=partial(collect, table=table),
            collected_from=f"warehouse/data/{table}",
            wanted=f"{table}.wanted",
            attribution="this deployment's own proxy",
            is_local=True,
            at_least=0,
        )
        for table in RECORDS
    )


SOURCE = Source(
    name="outcomes",
    step="outcomes",
    tables=(
        Table(
            "outcomes",
            SCHEMAS["outcomes"],
            "Attempts of this deployment's own proxy: what became of each, how long it took, what it cost.",
        ),
        Table(
            "decisions",
            SCHEMAS["decisions"],
            "Calls of this deployment's own proxy: what was considered and tried, and what else it could have cost.",
        ),
        Table("feedback", SCHEMAS["feedback"], "What callers of this deployment's own proxy thought of its answers."),
        Table(
            "shadow_calls",
            SCHEMAS["shadow_calls"],
            "Calls that a second candidate was sent as well: both outcomes side by side.",
        ),
    ),
    payloads=_payloads,
    url=None,
    stale_after=dt.timedelta(days=1),
    is_optional=True,
    group="outcomes",
    kinds=frozenset({"polars", "duckdb"}),
)
