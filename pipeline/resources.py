"""What assets are handed: the build database and the clock. (The fetcher lives with the sources.)

Add here what several assets need from outside. Decisions do not belong here.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import duckdb
from filelock import FileLock, Timeout

from warehouse.connect import open_writer
from warehouse.locations import locations

LAYERS = ("core", "entity", "ranking", "published")


class BuildDatabase(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The pipeline's own DuckDB file, one writer at a time."""

    path: str = ""
    """File to build in; the configured location when empty."""
    lock_timeout_s: float = 600.0
    """How long to wait for another run that is writing."""

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-write connection with the schemas in place; other runs wait meanwhile.

        Raises `dagster.Failure` naming the holder when another run does not finish in time.
        """
        path = Path(self.path) if self.path else locations().build
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        holder = path.with_suffix(".holder")
        try:
            lock.acquire(timeout=self.lock_timeout_s)
        except Timeout as error:
            who = holder.read_text(encoding="utf-8") if holder.exists() else "another process"
            raise dg.Failure(
                f"{who} has been writing {path} for over {self.lock_timeout_s:.0f} s. "
                "Wait for it to finish, or stop that process, and run the refresh again.",
                allow_retries=False,
            ) from error
        try:
            holder.write_text(f"Process {os.getpid()}", encoding="utf-8")
            with open_writer(path) as connection:
                for layer in LAYERS:
                    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {layer}")
                yield connection
        finally:
            lock.release()


class Clock(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The time, so that tests can set it."""

    fixed_at: str = ""
    """ISO 8601 time to stand still at; the real time when empty."""

    def now(self) -> dt.datetime:
        """UTC, without zone, as the warehouse stores it."""
        if self.fixed_at:
            moment = dt.datetime.fromisoformat(self.fixed_at)
            return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment
        return dt.datetime.now(dt.UTC).replace(tzinfo=None)
