"""Reads a publication in a process of its own: `python -m proxy.reading PATH` writes its rows to standard output.

The database's library and what it keeps for itself would cost each worker some 70 MiB for good, and a second of the
event loop's time at every publication. Only this crossing belongs here; what rows mean is the contract's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from warehouse import published
from warehouse.published import PublishedRows

_ROOT = Path(__file__).resolve().parent.parent
_LONGEST_S = 120.0
UNUSABLE = 3
_NAMES: dict[type[Any], int] = {published.Model: 0, published.ModelRecord: 1, published.ModelAlias: 0}
"""Tables that name models, and the column of the name."""


class ReadingError(Exception):
    """The publication could not be read. The text says why."""


class Served(NamedTuple):
    """What serving needs of a publication."""

    rows: PublishedRows
    """All rows of the tables, but of models that nobody offers none."""
    unoffered: bytes
    """Marks of those models' names, sorted: 42,000 names of the recorded market in 80 kB."""


def read(path: Path, tables: Sequence[type[Any]]) -> Served:
    """Rows of these tables, read by a child process. Blocks.

    Raises `ContractMismatchError` for a file that is no publication or one of another contract, `ReadingError` for
    whatever else kept the child from answering.
    """
    names = [published.TABLE_OF[one].name for one in tables]
    answer = ask_child("proxy.reading", path, *names)
    *parts, unoffered = msgspec.msgpack.decode(answer, type=list[msgspec.Raw])
    rows = {one: msgspec.msgpack.decode(part, type=list[one]) for one, part in zip(tables, parts, strict=True)}  # type: ignore[valid-type]
    return Served(PublishedRows(rows), msgspec.msgpack.decode(unoffered, type=bytes))


def ask_child(module: str, path: Path, *arguments: str) -> bytes:
    """What `python -m module path arguments` writes; it ends with `UNUSABLE` when the file is at fault. Blocks.

    Raises `ContractMismatchError` and `ReadingError` as `read` does.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(_ROOT), os.environ.get("PYTHONPATH", "")))}
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, str(path), *arguments],
            capture_output=True,
            timeout=_LONGEST_S,
            check=False,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ReadingError(f"{path} could not be read: {error}.") from error
    if done.returncode != 0:
        text = done.stderr.decode(errors="replace").strip()
        if done.returncode == UNUSABLE:
            raise published.ContractMismatchError(text)
        raise ReadingError(f"{path} could not be read: {text.splitlines()[-1] if text else done.returncode}.")
    return done.stdout


def served(rows: PublishedRows, tables: Sequence[type[Any]]) -> Served:
    """Leave out what no call can lead to: most of what is known is offered nowhere, and would only take memory."""
    offered = {offer.model_id for offer in rows[published.Offer]}
    kept: dict[type[Any], list[Any]] = {}
    unoffered: set[int] = set()
    for table in tables:
        found: list[Any] = rows[table]
        if "model_id" in table._fields and table is not published.Offer:
            for row in found if table in _NAMES else ():
                if row.model_id not in offered:
                    unoffered.add(mark(row[_NAMES[table]]))
            found = [row for row in found if row.model_id in offered]
        kept[table] = found
    return Served(PublishedRows(kept), array("I", sorted(unoffered)).tobytes())


def mark(name: str) -> int:
    """32 bits that stand for a name: enough to say in an error that it is known."""
    return zlib.crc32(name.lower().encode(errors="replace"))


def main(arguments: Sequence[str]) -> int:
    """The child's part."""
    path, *names = arguments
    tables = [table.row for name in names for table in published.TABLES if table.name == name]
    try:
        rows = published.read(Path(path), tables)
    except (published.ContractMismatchError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    kept = served(rows, tables)
    sys.stdout.buffer.write(msgspec.msgpack.encode([*(kept.rows[one] for one in tables), kept.unoffered]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
