"""The outcome log: nothing lost that need not be, nothing raised, whole lines only."""

from __future__ import annotations

import asyncio
import datetime as dt
import errno
import os
import signal
import subprocess
import sys
import tracemalloc
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import pytest

from proxy.outcomes import OutcomeLog
from warehouse.outcomes import OPEN_SUFFIX, Outcome


class HandClock:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self.moved = asyncio.Event()

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> dt.datetime:
        return dt.datetime(2026, 8, 22, 12) + dt.timedelta(seconds=self.seconds)

    def timeout_at(self, when: float | None) -> AbstractAsyncContextManager[Any]:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        until = self.seconds + seconds
        while self.seconds < until:
            self.moved.clear()
            await self.moved.wait()

    def move(self, seconds: float) -> None:
        self.seconds += seconds
        self.moved.set()


def outcome(number: int = 1, **changes: Any) -> Outcome:
    values: dict[str, Any] = dict.fromkeys(Outcome._fields)
    values |= {
        "attempt_id": f"r{number}-1",
        "request_id": f"r{number}",
        "attempt": 1,
        "attempts": 1,
        "at": "2026-08-22T12:00:00Z",
        "model_id": "anthropic/claude-opus-4.5",
        "offer_id": "openrouter:anthropic/claude-opus-4.5@anthropic",
        "upstream": "openrouter",
        "endpoint": "chat",
        "is_streamed": False,
        "outcome": "answered",
        "total_ms": 12.5,
        "cost_is_reported": True,
    }
    return Outcome(**(values | changes))


def lines(path: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def finished(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.jsonl"))


def opened(directory: Path) -> list[Path]:
    return sorted(directory.glob(f"*{OPEN_SUFFIX}"))


@pytest.mark.anyio
async def test_records_are_readable_while_open_and_finished_by_age(tmp_path: Path) -> None:
    clock = HandClock()
    log = OutcomeLog(tmp_path / "outcomes", "7", clock, segment_s=60)
    log.append(outcome(1, completion_tokens=5))
    log.flush()

    (path,) = opened(tmp_path / "outcomes")
    assert lines(path) == [outcome(1, completion_tokens=5)._asdict()]
    clock.move(59)
    log.append(outcome(2))
    log.flush()
    assert finished(tmp_path / "outcomes") == []
    clock.move(1)
    log.flush()
    (done,) = finished(tmp_path / "outcomes")
    assert [line["request_id"] for line in lines(done)] == ["r1", "r2"]
    assert opened(tmp_path / "outcomes") == []
    assert (log.written, log.dropped, log.waiting) == (2, 0, 0)


@pytest.mark.anyio
async def test_segments_are_bounded_in_size_and_sort_by_time(tmp_path: Path) -> None:
    clock = HandClock()
    log = OutcomeLog(tmp_path, "7", clock, segment_bytes=2_000)
    for number in range(30):
        log.append(outcome(number))
        log.flush()
        clock.move(0.001)
    log.finish()

    paths = finished(tmp_path)
    assert len(paths) > 3
    assert all(path.stat().st_size < 3_000 for path in paths)
    assert [line["request_id"] for path in paths for line in lines(path)] == [f"r{n}" for n in range(30)]


@pytest.mark.anyio
async def test_a_full_disk_costs_records_beyond_the_bound_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = OutcomeLog(tmp_path, "7", HandClock(), buffer_rows=10)
    log.append(outcome(0))
    log.flush()
    real_write = os.write

    def write_half(descriptor: int, data: Any) -> int:
        if len(data) < 200:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", write_half)
    for number in range(1, 15):
        log.append(outcome(number))
    log.flush()
    log.flush()

    assert log.problem is not None
    assert "No space" in log.problem
    assert (log.waiting, log.dropped, log.written) == (10, 4, 1)
    assert len(caplog.records) == 1
    assert len(lines(opened(tmp_path)[0])) == 1
    monkeypatch.undo()
    log.finish()
    assert [line["request_id"] for line in lines(finished(tmp_path)[0])] == [f"r{n}" for n in range(11)]
    assert (log.waiting, log.problem) == (0, None)


def test_records_that_come_while_others_are_written_are_all_kept(tmp_path: Path) -> None:
    log = OutcomeLog(tmp_path, "7", HandClock())
    log.append(outcome(0))
    came = 1

    def comes(frame: FrameType, event: str, _: Any) -> Any:
        # The event loop may append between any two steps of the thread that writes.
        nonlocal came
        if frame.f_code.co_filename != OutcomeLog.flush.__code__.co_filename or frame.f_code.co_name == "append":
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and came < 500:
            log.append(outcome(came))
            came += 1
        return comes

    usual = sys.gettrace()
    sys.settrace(comes)
    try:
        log.flush()
    finally:
        sys.settrace(usual)
    log.finish()

    assert came == 500
    written = [line["request_id"] for path in finished(tmp_path) for line in lines(path)]
    assert written == [f"r{n}" for n in range(500)]


def test_a_record_that_cannot_be_said_keeps_nobody_waiting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = OutcomeLog(tmp_path, "7", HandClock())
    log.append(outcome(1))
    log.append(outcome(2, cause=object()))
    log.append(outcome(3))
    log.finish()

    (path,) = finished(tmp_path)
    assert [line["request_id"] for line in lines(path)] == ["r1", "r3"]
    assert (log.written, log.dropped, log.waiting) == (2, 1, 0)
    assert "cannot be written" in caplog.text


@pytest.mark.anyio
async def test_a_directory_that_cannot_be_made_is_a_problem_not_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    log = OutcomeLog(tmp_path / "file" / "outcomes", "7", HandClock())
    log.finish_leftovers()
    log.append(outcome())
    log.finish()

    assert log.problem is not None
    assert log.waiting == 1


@pytest.mark.anyio
async def test_leftovers_of_a_crash_are_finished_and_living_workers_left_alone(tmp_path: Path) -> None:
    (tmp_path / f"20260822T110000000000-1{OPEN_SUFFIX}").write_bytes(b'{"request_id":"whole"}\n{"request_id":"to')
    (tmp_path / f"20260822T110000000000-2{OPEN_SUFFIX}").write_bytes(b'{"torn')
    living = OutcomeLog(tmp_path, "3", HandClock())
    living.append(outcome())
    living.flush()

    OutcomeLog(tmp_path, "4", HandClock()).finish_leftovers()

    (adopted,) = finished(tmp_path)
    assert adopted.name == "20260822T110000000000-1.jsonl"
    assert adopted.read_bytes() == b'{"request_id":"whole"}\n'
    assert [path.name.endswith(f"-3{OPEN_SUFFIX}") for path in opened(tmp_path)] == [True]
    living.append(outcome(2))
    living.finish()
    assert len(finished(tmp_path)) == 2


@pytest.mark.integration
def test_a_killed_worker_leaves_whole_lines_to_the_next(tmp_path: Path) -> None:
    """SIGKILL amid writing: the next start finds every line that was flushed."""
    program = (
        "import sys; from pathlib import Path\n"
        "from proxy.clock import SystemClock; from proxy.outcomes import OutcomeLog\n"
        "from tests.proxy.edges.test_outcomes import outcome\n"
        "log = OutcomeLog(Path(sys.argv[1]), 'w', SystemClock())\n"
        "n = 0\n"
        "while True:\n"
        "    log.append(outcome(n)); log.flush(); n += 1\n"
        "    if n == 50: print('ready', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        worker.send_signal(signal.SIGKILL)

    log = OutcomeLog(tmp_path, "next", HandClockOutsideLoop())
    log.finish_leftovers()

    (path,) = finished(tmp_path)
    found = [line["request_id"] for line in lines(path)]
    assert len(found) >= 50
    assert found == [f"r{n}" for n in range(len(found))]


class HandClockOutsideLoop(HandClock):
    """The same, where there is no event loop."""

    def __init__(self) -> None:
        self.seconds = 0.0


@pytest.mark.anyio
async def test_the_background_task_writes_and_close_finishes(tmp_path: Path) -> None:
    clock = HandClock()
    log = OutcomeLog(tmp_path, "7", clock, flush_s=1)
    log.start()
    log.append(outcome(1))
    while not opened(tmp_path):
        clock.move(1)
        await asyncio.sleep(0)
    log.append(outcome(2))
    await log.close()

    assert [line["request_id"] for line in lines(finished(tmp_path)[0])] == ["r1", "r2"]


@pytest.mark.anyio
async def test_memory_is_bounded_when_nothing_is_ever_written(tmp_path: Path) -> None:
    log = OutcomeLog(tmp_path, "7", HandClock(), buffer_rows=1_000)
    one = outcome()
    for _ in range(1_000):
        log.append(one)
    tracemalloc.start()
    for _ in range(50_000):
        log.append(one)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert grown < 10_000
    assert log.dropped == 50_000
