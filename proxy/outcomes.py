"""Records of one kind (attempts, decisions, …), appended cheaply to segment files that the pipeline ingests.

Buffering, writing and rotating belong here; the record's shape and the file names are `warehouse/outcomes.py`'s.
A call only ever pays for one append to a list in memory, and nothing here raises into it: when the disk is full or
slow, records wait up to a bound and are then dropped and counted. Finished segments are never touched again; the
pipeline alone deletes them, once it has ingested them and their retention is over.

A segment being written is locked (`flock`), so the next worker to start can tell one that a crash left behind, whose
last line may be torn, from one that is still in use.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import threading
from collections import deque
from pathlib import Path
from typing import Any, Protocol

import msgspec

from proxy.clock import Clock
from warehouse.outcomes import OPEN_SUFFIX, SEGMENT_SUFFIX, segment_name

_logger = logging.getLogger(__name__)

_ROWS_PER_WRITE = 2_000


class Record(Protocol):
    """Something that becomes one line."""

    def _asdict(self) -> dict[str, Any]:
        """Its fields. Called by the thread that writes, so it may take a while."""


class OutcomeLog:
    """Appends records to segments in `directory`. `worker` must be unlike that of any other running worker.

    A segment is finished when it has `segment_bytes` or is `segment_s` old. At most `buffer_rows` wait in memory.
    """

    def __init__(
        self,
        directory: Path,
        worker: str,
        clock: Clock,
        *,
        flush_s: float = 1.0,
        segment_bytes: int = 16 * 1024 * 1024,
        segment_s: float = 60.0,
        buffer_rows: int = 20_000,
    ) -> None:
        self.written = 0
        """Records that are in a file."""
        self.dropped = 0
        """Records lost because the buffer was full, or because they cannot be said in JSON."""
        self.problem: str | None = None
        """Why the last write failed; None when it did not."""
        self._directory = directory
        self._worker = worker
        self._clock = clock
        self._flush_s = flush_s
        self._segment_bytes = segment_bytes
        self._segment_s = segment_s
        self._buffer_rows = buffer_rows
        self._buffer: deque[Record] = deque()
        self._encoder = msgspec.json.Encoder()
        self._lock = threading.Lock()
        self._segment: _Segment | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Records that are in memory only."""
        return len(self._buffer)

    def append(self, record: Record) -> None:
        """Take one record. Never waits, never raises."""
        if len(self._buffer) >= self._buffer_rows:
            self.dropped += 1
            return
        self._buffer.append(record)

    def start(self) -> None:
        """Begin to write in the background, on the running event loop. Finishes what a crashed worker left."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="outcomes")

    async def close(self) -> None:
        """Write what waits and finish the segment."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await asyncio.to_thread(self.finish)

    async def _run(self) -> None:
        await asyncio.to_thread(self.finish_leftovers)
        while True:
            await self._clock.sleep(self._flush_s)
            if self._buffer or self._segment is not None:
                await asyncio.to_thread(self.flush)

    def flush(self) -> None:
        """Write what waits; finish the segment when it is large or old enough. Blocks on the disk, never raises."""
        with self._lock:
            while self._buffer and self._write(self._next()):
                pass
            segment = self._segment
            if segment is not None and self._clock.monotonic() >= segment.opened_at + self._segment_s:
                self._finish_segment()

    def finish(self) -> None:
        """Write what waits and finish the segment. Blocks on the disk, never raises."""
        self.flush()
        with self._lock:
            self._finish_segment()

    def finish_leftovers(self) -> None:
        """Finish segments that no living worker holds: torn last lines are cut off, empty ones removed."""
        try:
            left = sorted(self._directory.glob(f"*{OPEN_SUFFIX}"))
        except OSError as error:
            self._failed(error)
            return
        for path in left:
            try:
                with path.open("r+b") as file:
                    try:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        continue
                    whole = _length_of_whole_lines(file.fileno())
                    os.ftruncate(file.fileno(), whole)
                    if whole:
                        path.rename(_finished(path))
                    else:
                        path.unlink()
            except FileNotFoundError:
                continue  # another worker that starts now was first
            except OSError as error:
                self._failed(error)

    def _next(self) -> list[Record]:
        # By their places: an iterator fails when the event loop appends meanwhile.
        return [self._buffer[i] for i in range(min(len(self._buffer), _ROWS_PER_WRITE))]

    def _write(self, rows: list[Record]) -> bool:
        try:
            if self._segment is None:
                self._segment = _Segment.open(
                    self._directory, segment_name(self._clock.now(), self._worker), self._clock.monotonic()
                )
            lines = [line for line in map(self._line, rows) if line]
            self._segment.write(b"".join(lines))
        except OSError as error:
            self._failed(error)
            return False
        for _ in rows:
            self._buffer.popleft()
        self.written += len(lines)
        self.dropped += len(rows) - len(lines)
        self.problem = None
        if self._segment.size >= self._segment_bytes:
            self._finish_segment()
        return True

    def _line(self, row: Record) -> bytes:
        try:
            return self._encoder.encode(row._asdict()) + b"\n"
        except Exception:
            # One that cannot be said must not keep those behind it waiting for ever.
            _logger.exception("a record cannot be written")
            return b""

    def _finish_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        try:
            segment.finish()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        problem = f"{type(error).__name__}: {error.strerror or error}"
        if problem != self.problem:
            _logger.warning("records cannot be written to %s: %s", self._directory, problem)
        self.problem = problem


class _Segment:
    """One open file. Holds only whole lines, whatever fails."""

    def __init__(self, path: Path, descriptor: int, opened_at: float) -> None:
        self.path = path
        self.size = 0
        self.opened_at = opened_at
        self._descriptor = descriptor

    @classmethod
    def open(cls, directory: Path, name: str, opened_at: float) -> _Segment:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{name}{OPEN_SUFFIX}"
        # Locked under another name first: no other worker ever sees it unlocked.
        unseen = directory / f".{name}.new"
        descriptor = os.open(unseen, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unseen.rename(path)
        except OSError:
            os.close(descriptor)
            unseen.unlink(missing_ok=True)
            raise
        return cls(path, descriptor, opened_at)

    def write(self, data: bytes) -> None:
        """All of it or, when that fails, none."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(data)

    def finish(self) -> None:
        """Make it a finished segment; an empty one vanishes."""
        try:
            if self.size:
                os.fsync(self._descriptor)
                self.path.rename(_finished(self.path))
            else:
                self.path.unlink(missing_ok=True)
        finally:
            os.close(self._descriptor)


def _finished(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(OPEN_SUFFIX) + SEGMENT_SUFFIX)


def _length_of_whole_lines(descriptor: int) -> int:
    """Bytes up to and including the last newline."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - 65_536)
        at = os.pread(descriptor, end - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0
