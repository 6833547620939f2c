"""The only place a DuckDB file is opened. Modes and settings of a connection belong here; paths and queries do not.

A DuckDB file has one writer or many readers, never both, so there are two kinds of file: the build file, which
only the pipeline opens, and publications, which are immutable and only ever opened read-only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

DatabaseError = duckdb.Error
"""What a database raises, for callers that do not import it."""

Relation = duckdb.DuckDBPyRelation

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    # An offline user gets the real error instead of a failed download.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


@contextmanager
def open_reader(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection to a publication, closed on leaving.

    The symlink is resolved first: DuckDB caches open databases by path, and a swapped link must give the new file.
    Raises `FileNotFoundError` when nothing has been published yet.
    """
    target = path.resolve()
    if not target.exists():
        raise FileNotFoundError(f"No publication at {path}. Run: orchestrator refresh")
    connection = duckdb.connect(str(target), read_only=True, config=_SETTINGS)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def open_writer(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-write connection to a build or staging file, closed on leaving."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(str(path), config=_SETTINGS)
    try:
        yield connection
    finally:
        connection.close()


def open_memory() -> duckdb.DuckDBPyConnection:
    """A private in-memory database, for work whose tables must not reach the build file."""
    return duckdb.connect(":memory:", config=_SETTINGS)
