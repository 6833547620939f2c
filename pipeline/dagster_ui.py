"""Keeps `dagster dev` running: the UI, the daemon that runs schedules and queue, and the code server, as one group.

They start together, are started again when one of them was killed, and stop together however we end. What they load
is in `definitions.py`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from warehouse.locations import PROJECT_ROOT

STOP_GRACE_S = 20.0
"""How long they may take to stop before they are killed. Less than `warehouse/supervise.py` gives us."""

LIVED_LONG_ENOUGH_S = 30.0
MOST_SHORT_LIVES = 3
"""One that never came up would not the next time: it is not started again. Neither is one that came up and ended
within that time so many times in a row. How long the start takes is the machine's affair and does not count."""

_POLL_S = 0.2
_PR_SET_PDEATHSIG = 1


class _StopRequestedError(Exception):
    """Ctrl-C or SIGTERM reached us."""


def run(host: str, port: int, environment: dict[str, str], before_each_start: Callable[[], None]) -> int:
    """Serve until Ctrl-C or SIGTERM (then 0), or until `dagster dev` cannot be kept up (then its exit code)."""
    short_lives = 0
    previous = {number: signal.signal(number, _raise_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    process: subprocess.Popen[bytes] | None = None
    try:
        while True:
            before_each_start()
            process = _start(host, port, environment)
            up_since: float | None = None
            while process.poll() is None:
                if up_since is None and _listens(host, port):
                    up_since = time.monotonic()
                time.sleep(_POLL_S)
            _kill_group(process)
            is_short = up_since is None or time.monotonic() - up_since < LIVED_LONG_ENOUGH_S
            short_lives = short_lives + 1 if is_short else 0
            if up_since is None or short_lives >= MOST_SHORT_LIVES:
                return process.returncode or 1
            print("A part of the Dagster UI was stopped; starting it again.", file=sys.stderr, flush=True)
    except _StopRequestedError:
        return 0
    finally:
        # A second Ctrl-C while stopping must not leave children behind.
        for number in previous:
            signal.signal(number, signal.SIG_IGN)
        if process is not None:
            _stop(process)
        for number, handler in previous.items():
            signal.signal(number, handler)


def _raise_stop(number: int, frame: FrameType | None) -> None:
    raise _StopRequestedError


def _start(host: str, port: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    program = [
        str(Path(sys.executable).with_name("dagster")),
        "dev",
        "--workspace",
        str(PROJECT_ROOT / "workspace.yaml"),
    ]
    options = ["--host", host, "--port", str(port), "--log-level", "warning", "--code-server-log-level", "warning"]
    return subprocess.Popen(
        [*program, *options],
        env=environment,
        cwd=PROJECT_ROOT,
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=_die_with(os.getpid()) if sys.platform == "linux" else None,
    )


def _listens(host: str, port: int) -> bool:
    target = "127.0.0.1" if host in ("0.0.0.0", "") else "::1" if host == "::" else host  # noqa: S104
    try:
        with socket.create_connection((target, port), timeout=1):
            return True
    except OSError:
        return False


def _die_with(parent: int) -> Callable[[], None]:
    """Have the kernel interrupt the child when we are killed, for then nobody else could."""
    libc = ctypes.CDLL(None)

    def set_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGINT)

    return set_signal


def _stop(process: subprocess.Popen[bytes]) -> None:
    # `dagster dev` stops its parts on an interrupt; a SIGTERM would end it and leave them.
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=STOP_GRACE_S)
    _kill_group(process)
    process.wait()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
