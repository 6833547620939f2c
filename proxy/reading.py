"""Reads a publication in a process of its own: `python -m proxy.reading PATH` writes its rows to standard output.

The database's library and what it keeps for itself would cost each worker some 70 MiB for good, and a second of the
event loop's time at every publication. Only this crossing belongs here; what rows mean is the contract's.
"""

from __future__ import annotations

import contextlib
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
TABLES = (
    published.Snapshot,
    published.Model,
    published.ModelRecord,
    published.ModelAlias,
    published.Offer,
    published.Configuration,
    published.BandRanking,
    published.CategoryRanking,
    published.Profile,
)
"""What serving needs of a publication."""
_NAMES: dict[type[Any], int] = {published.Model: 0, published.ModelRecord: 1, published.ModelAlias: 0}
"""Tables that name models, and the column of the name."""


class ReadingError(Exception):
    """The publication could not be read. The text says why."""


class Served(NamedTuple):
    """A publication as it is served."""

    rows: PublishedRows
    """All rows of the tables, but of models that nobody offers none."""
    unoffered: bytes
    """Marks of those models' names, sorted: 42,000 names of the recorded market in 80 kB."""


def read(path: Path, tables: Sequence[type[Any]]) -> Served:
    """Rows of these tables, read by a child process. Blocks.

    Raises `ContractMismatchError` for a file that is no publication or one of another contract, `ReadingError` for
    whatever else kept the child from answering.
    """
    question = _question(path, tables)
    child = None
    while _begun:
        asked, begun = _begun.pop()
        if asked == question:
            child = begun
        else:
            with begun:
                begun.kill()  # what it read has been replaced since
    child = child or _child(*question)
    *parts, unoffered = msgspec.msgpack.decode(_answer(child, path), type=list[msgspec.Raw])
    rows = {one: msgspec.msgpack.decode(part, type=list[one]) for one, part in zip(tables, parts, strict=True)}  # type: ignore[valid-type]
    return Served(PublishedRows(rows), msgspec.msgpack.decode(unoffered, type=bytes))


def begin(path: Path, tables: Sequence[type[Any]]) -> None:
    """Let a child read while this process still loads the rest of itself; the next `read` of the same takes its answer.

    Whatever goes wrong is told there.
    """
    if path.exists():
        question = _question(path, tables)
        with contextlib.suppress(ReadingError):
            _begun.append((question, _child(*question)))


_begun: list[tuple[tuple[str, ...], subprocess.Popen[bytes]]] = []


def _question(path: Path, tables: Sequence[type[Any]]) -> tuple[str, ...]:
    # Resolved, so that an answer is never taken for that of a publication that came in between.
    return ("proxy.reading", str(path.resolve()), *(published.TABLE_OF[one].name for one in tables))


def ask_child(module: str, path: Path, *arguments: str) -> bytes:
    """What `python -m module path arguments` writes; it ends with `UNUSABLE` when the file is at fault. Blocks.

    Raises `ContractMismatchError` and `ReadingError` as `read` does.
    """
    return _answer(_child(module, str(path), *arguments), path)


def _child(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(_ROOT), os.environ.get("PYTHONPATH", "")))}
    try:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )
    except OSError as error:
        raise ReadingError(f"{arguments[0]} could not be read: {error}.") from error


def _answer(child: subprocess.Popen[bytes], path: Path) -> bytes:
    with child:
        try:
            answer, complaint = child.communicate(timeout=_LONGEST_S)
        except subprocess.TimeoutExpired as error:
            child.kill()
            raise ReadingError(f"{path} could not be read: {error}.") from error
    if child.returncode != 0:
        text = complaint.decode(errors="replace").strip()
        if child.returncode == UNUSABLE:
            raise published.ContractMismatchError(text)
        raise ReadingError(f"{path} could not be read: {text.splitlines()[-1] if text else child.returncode}.")
    return answer


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
