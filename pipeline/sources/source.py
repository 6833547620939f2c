"""What a source is: its payloads, the tables they feed, and what a parser hands back.

Declarations only. Fetching is in `fetch.py`, choosing where a payload comes from in `payloads.py`, writing in
`load.py`, the Dagster side in `assets.py`. A new source is one more file here with one `SOURCE`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl

from pipeline.settings import Settings

Schema = Mapping[str, Any]
"""Column name → Polars type, as a parser builds its frames."""

OBSERVATIONS: Schema = {
    "source": pl.String,
    "record_id": pl.String,
    "metric": pl.String,
    "scope": pl.String,
    "value": pl.Float64,
    "observed_at": pl.Datetime("us"),
}


class PayloadRefusedError(ValueError):
    """The payload is not what it should be. The text says what it is instead."""


class FetchError(Exception):
    """A live address gave nothing usable. The text names the address and the cause, never a key."""


@dataclass(frozen=True)
class Sighting:
    """The circumstances a payload is read under."""

    observed_at: dt.datetime
    """When the source was seen to hold it: time of the request, or the date in the file's name."""
    now: dt.datetime
    """The clock, for what has expired meanwhile."""
    observed_until: dt.datetime | None = None
    """End of the span where the file's name only gives a month."""
    is_current: bool = True
    """False for an older payload, of which only history is wanted."""
    scope: str = ""
    """Which of several like payloads it is: an Arena subset, an upstream."""


@dataclass(frozen=True)
class Refused:
    """A row that was not let in, and why."""

    record_ref: str
    reason: str
    row: object


@dataclass(frozen=True)
class Parsed:
    """What a payload holds, as frames a table."""

    frames: Mapping[str, pl.DataFrame]
    """Core table → rows, in the table's schema."""
    observations: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=OBSERVATIONS))
    """What goes into the history."""
    refused: Sequence[Refused] = ()
    observed_at: dt.datetime | None = None
    """When the payload itself says it was made; None leaves the sighting's time."""

    @property
    def rows(self) -> int:
        """Rows of the largest table."""
        return max((frame.height for frame in self.frames.values()), default=0)


Parser = Callable[[bytes, Sighting], Parsed]


@dataclass(frozen=True)
class Answer:
    """One live answer."""

    url: str
    body: bytes
    next_url: str | None = None
    """Next page, where the `Link` header names one."""


class Web(Protocol):
    """What a collector may ask the network for."""

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """One answer, after bounded retries. Raises `FetchError`."""
        ...

    def get_all(self, urls: Iterable[str], headers: Mapping[str, str] | None = None) -> list[Answer | FetchError]:
        """Answers in the order of `urls`, at most four requests at a time."""
        ...

    def post(self, url: str, body: bytes) -> Answer:
        """One answer to a JSON body, asked once: for servers of the user's own. Raises `FetchError`."""
        ...


Collector = Callable[[Web, Sequence[tuple[Any, ...]], Settings], bytes]
"""Puts a payload together from several requests: (network, rows of the payload's wanted query, settings) → bytes."""


def no_headers(settings: Settings) -> Mapping[str, str]:
    """Most sources need none."""
    del settings
    return {}


@dataclass(frozen=True)
class Payload:
    """One document of a source: where it lives, what it is called, who reads it."""

    name: str
    parse: Parser
    tables: tuple[str, ...]
    """Core tables it feeds."""
    addresses: tuple[str, ...] = ()
    """Live addresses, the next one asked when one fails."""
    last_resort: str | None = None
    """An address without a date of its own: asked only while nothing at all is held."""
    collect: Collector | None = None
    """Puts the payload together from several requests; stands in for `addresses`."""
    collected_from: str = ""
    """What stands as its address then."""
    wanted: str | None = None
    """SQL file `core/<name>.sql` whose rows the collector is handed."""
    headers: Callable[[Settings], Mapping[str, str]] = no_headers
    needs: Callable[[Settings], str | None] = lambda settings: None
    """Why it cannot be fetched under these settings, such as a key that is not set; None when it can."""
    patterns: tuple[str, ...] = ()
    """Where its files lie below the directory of `refresh --from`; the newest is current, older ones history."""
    attribution: str = ""
    cache_for: dt.timedelta = dt.timedelta(0)
    """A kept copy younger than this is as good as a live one: for archives, and for what takes many requests."""
    is_archive: bool = False
    """Ended, or recorded once: its age is no fault."""
    is_local: bool = False
    """Asked for even offline, and its silence means that nothing is there."""
    at_least: int = 1
    """Fewer rows than this are no listing."""


@dataclass(frozen=True)
class Table:
    """A core table as a source feeds it. Its SQL is `warehouse/sql/core/<name>.sql`."""

    name: str
    schema: Schema
    description: str
    payload_column: str | None = None
    """Column that says which payload a row is from, where several payloads share the table."""
    accumulates: bool = False
    """Older payloads' rows reach its SQL too."""
    observe: Callable[[pl.DataFrame], pl.DataFrame] | None = None
    """Rows → observations, for rows that come without a payload (the bundled ones)."""
    as_of: Callable[[pl.DataFrame, dt.date], pl.DataFrame] | None = None
    """Decides anew what depends on the day, for rows that stay in use (what has expired since)."""


@dataclass(frozen=True)
class Source:
    """A public listing and the core tables made of it."""

    name: str
    """As in every `source` column."""
    step: str
    """Name of the step that loads it; the file's own name."""
    tables: tuple[Table, ...]
    payloads: Callable[[Settings], Sequence[Payload]]
    url: str | None
    """A page for people."""
    stale_after: dt.timedelta
    """Older than this is worth a warning."""
    after: tuple[str, ...] = ()
    """Core tables that should be loaded first."""
    is_optional: bool = False
    """May hold nothing at all."""
    group: str = "sources"
    """Group of its assets in the graph."""
    kinds: frozenset[str] = frozenset({"httpx", "polars", "duckdb"})

    def table(self, name: str) -> Table:
        """The table of that name."""
        return next(table for table in self.tables if table.name == name)


def observations(
    frame: pl.DataFrame, source: str, record_id: str, metrics: Iterable[str], scope: pl.Expr
) -> pl.DataFrame:
    """Unpivot metric columns of `frame` into history rows; nulls are no observations.

    `frame` has `observed_at`; `record_id` names its key column.
    """
    columns = list(metrics)
    return (
        frame.select(
            pl.lit(source).alias("source"),
            pl.col(record_id).alias("record_id"),
            scope.alias("scope"),
            pl.col("observed_at"),
            *(pl.col(column).cast(pl.Float64) for column in columns),
        )
        .unpivot(columns, index=["source", "record_id", "scope", "observed_at"], variable_name="metric")
        .drop_nulls("value")
        .select(list(OBSERVATIONS))
    )
