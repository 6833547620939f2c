"""What linkage takes in: one row a record, whatever its source, and its name taken apart.

Reading core tables into this shape is done in `assets.py`; names themselves are read in `names.py`.
"""

from __future__ import annotations

import datetime as dt
import io
import multiprocessing
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

import polars as pl

from pipeline.entities import names
from pipeline.entities import vocabulary as words_of

RECORD_SCHEMA: dict[str, Any] = {
    "source": pl.String,
    "record_id": pl.String,
    "name": pl.String,
    "organization": pl.String,
    "canonical_name": pl.String,
    "display_name": pl.String,
    "alias_target": pl.String,
    "refs": pl.List(pl.String),
    "released_on": pl.Date,
    "first_seen_on": pl.Date,
    "last_seen_on": pl.Date,
    "params_b": pl.Float64,
    "is_pretrained": pl.Boolean,
    "kind": pl.String,
    "license": pl.String,
    "knowledge_cutoff": pl.String,
    "is_open_weights": pl.Boolean,
    "observed_at": pl.Datetime("us"),
}
"""`name` is what is taken apart; `canonical_name` and `display_name` fill in what it leaves out; `refs` are the keys
the source gives, as 'source:record_id' in lower case; `first_seen_on` and `last_seen_on` say when it was listed."""

CHUNK = 50_000
PARALLEL_FROM = 100_000
"""Records from which names are taken apart in two processes; below, starting them costs more than it saves."""


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows with any of the columns of `RECORD_SCHEMA`, the rest null, ordered by source and record."""
    full = [{column: row.get(column) for column in RECORD_SCHEMA} for row in rows]
    return pl.DataFrame(full, schema=RECORD_SCHEMA, orient="row").sort("source", "record_id")


def ref(source: str, record_id: str) -> str:
    """How records name each other in `refs`."""
    return f"{source}:{record_id.lower()}"


_Row = tuple[str, str, str | None, str | None, str | None]


def parts_of(row: _Row) -> names.NameParts:
    """Parts of (source, name, organization, canonical_name, display_name)."""
    source, name, organization, canonical_name, display_name = row
    parts = names.parse(name, source, organization or "")
    for other in (canonical_name, display_name):
        if other and other != name:
            parts = _filled(parts, names.parse(other, source))
    return parts


def _filled(parts: names.NameParts, other: names.NameParts) -> names.NameParts:
    """What the name leaves out and another spelling of the same source states: size and version, never the date.

    A date in OpenRouter's canonical slug is the day of the listing or release, not the checkpoint's own date.
    """
    if (parts.words, parts.tier, parts.modality) != (other.words, other.tier, other.modality):
        return parts
    if not parts.size and other.size:
        parts = parts._replace(size=other.size, size_b=other.size_b)
    if parts.active_b is None:
        parts = parts._replace(active_b=other.active_b)
    if not parts.version and other.version:
        parts = parts._replace(version=other.version)
    if not parts.stage and other.stage == "base":
        parts = parts._replace(stage="base")
    return parts


def _parsed_columns(rows: list[_Row]) -> pl.DataFrame:
    parsed = [parts_of(row) for row in rows]
    columns = dict(zip(names.NameParts._fields, zip(*parsed, strict=True), strict=True)) if parsed else {}
    return pl.DataFrame(
        {field: list(columns.get(field, ())) for field in names.NameParts._fields}, schema=_PARTS_SCHEMA
    )


_PARTS_SCHEMA: dict[str, Any] = dict.fromkeys(names.NameParts._fields, pl.String) | {
    "size_b": pl.Float64,
    "active_b": pl.Float64,
    "mode_in_brackets": pl.Boolean,
    "is_garbage": pl.Boolean,
}


def _parsed_bytes(rows: list[_Row]) -> bytes:
    buffer = io.BytesIO()
    _parsed_columns(rows).write_ipc(buffer)
    return buffer.getvalue()


def take_apart(records: pl.DataFrame, processes: int = 2) -> pl.DataFrame:
    """`records` with the columns of `NameParts` and what linkage derives from them beside each.

    Added: `active` (text), `date_y`, `date_m`, `date_d` (null where unsaid), `is_official` (a vendor's own repository)
    and `is_mirror` (an author of conversions).
    """
    spelt = records.select("source", "name", "organization", "canonical_name", "display_name")
    if records.height < PARALLEL_FROM or processes < 2:
        parts = _parsed_columns(spelt.rows())
    else:
        parts = _parsed_in_processes(spelt, processes)
    joined = pl.concat([records, parts], how="horizontal")
    vendors = _vendors(joined)
    plain_vendor = pl.col("vendor").str.replace_all("[^a-z0-9]", "")
    return joined.with_columns(
        active=pl.col("active_b").cast(pl.String).fill_null(""),
        date_y=pl.col("date").str.slice(0, 4).cast(pl.Int32, strict=False),
        date_m=pl.col("date").str.slice(5, 2).cast(pl.Int32, strict=False),
        date_d=pl.col("date").str.slice(8, 2).cast(pl.Int32, strict=False),
        is_mirror=(pl.col("source") == "huggingface") & plain_vendor.is_in(sorted(words_of.MIRROR_AUTHORS)),
        is_official=(pl.col("source") == "huggingface")
        & pl.col("vendor").is_in(sorted(vendors))
        & ~plain_vendor.is_in(sorted(words_of.MIRROR_AUTHORS)),
        is_reuploader=(pl.col("source") == "huggingface") & plain_vendor.is_in(sorted(words_of.REUPLOADERS)),
        refs=pl.col("refs").fill_null([]),
        is_pretrained=pl.col("is_pretrained").fill_null(False),
    )


def _parsed_in_processes(spelt: pl.DataFrame, processes: int) -> pl.DataFrame:
    """Chunk by chunk, never more of them in flight than the workers need: a million names are large as objects."""
    starts = range(0, spelt.height, CHUNK)
    parsed: list[pl.DataFrame] = []
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: deque[Future[bytes]] = deque()
        for start in starts:
            if len(waiting) > processes:
                parsed.append(pl.read_ipc(io.BytesIO(waiting.popleft().result())))
            waiting.append(pool.submit(_parsed_bytes, spelt.slice(start, CHUNK).rows()))
        parsed += [pl.read_ipc(io.BytesIO(future.result())) for future in waiting]
    return pl.concat(parsed)


def _vendors(records: pl.DataFrame) -> set[str]:
    """Vendors known by name, and those that a catalogue lists: new ones need no edit."""
    listed = records.filter(pl.col("source").is_in(["openrouter", "artificial_analysis"]) & (pl.col("vendor") != ""))
    return set(words_of.VENDOR_SPELLINGS) | set(listed["vendor"].to_list())


def day(moment: dt.datetime | dt.date | None) -> dt.date | None:
    """The date of either."""
    return moment.date() if isinstance(moment, dt.datetime) else moment
