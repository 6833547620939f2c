"""A deployment of the tests' own: its environment, its commands, and a refresh of the bundled snapshot.

What starts `orchestrator` as a user would belongs here; what is then true of it is in the tests.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from warehouse.supervise import port_is_free

ROOT = Path(__file__).resolve().parents[1]

_handed_out: set[int] = set()

_OURS = ("ORCHESTRATOR_", "OPENROUTER_", "DAGSTER_")


def environment(home: Path, **more: str) -> dict[str, str]:
    """A process's environment whose every file lies below `home` and that knows no key."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    kept.pop("DATABASE_URL", None)
    return {**kept, "ORCHESTRATOR_DATA_DIR": str(home / "data"), "DAGSTER_HOME": str(home / "dagster"), **more}


def run(home: Path, *words: str, cwd: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
    """`orchestrator <words>`, waited for."""
    command = [sys.executable, "-m", "warehouse.cli", *words]
    return subprocess.run(
        command, cwd=cwd, env=environment(home, **more), capture_output=True, text=True, check=False, timeout=800
    )


def free_port() -> int:
    """A port nobody listens on now, outside the range the kernel hands out by itself; not the same one twice.

    Drawn from many: whoever takes the lowest free one meets everyone else who does.
    """
    while (port := 12_000 + secrets.randbelow(20_000)) in _handed_out or not port_is_free("127.0.0.1", port):
        pass
    _handed_out.add(port)
    return port


def refreshed(home: Path) -> Path:
    """Refresh `home` from the bundled snapshot. Returns its publication."""
    done = run(home, "refresh", "--offline")
    assert done.returncode == 0, done.stderr
    return home / "data" / "orchestrator.duckdb"


def eventually(is_so: Callable[[], Any], within_s: float, every_s: float = 0.1) -> Any:
    """The first true answer; how long it takes is the machine's affair, `within_s` only ends a hopeless wait."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError, KeyError, IndexError, TypeError):
            if answer := is_so():
                return answer
        time.sleep(every_s)
    raise AssertionError(f"not so within {within_s:g} s")


def belonging(home: Path) -> dict[int, str]:
    """Processes that were started with that deployment's Dagster home: number and command line."""
    mark = f"DAGSTER_HOME={home / 'dagster'}".encode()
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def daemons(home: Path) -> set[int]:
    """Those of them that run schedules and the queue."""
    return {number for number, command in belonging(home).items() if "dagster._daemon" in command}


def end(process: subprocess.Popen[Any], home: Path) -> None:
    """Kill it and whatever belongs to that deployment, for a test that may have failed half way."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for number in belonging(home):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


_RUNS = "{ runsOrError { ... on Runs { results { runId status startTime endTime jobName tags { key value } } } } }"


def graphql(port: int, query: str, **variables: str) -> Any:
    """The Dagster UI's answer to a query."""
    asked = {"query": query, "variables": variables}
    return httpx.post(f"http://127.0.0.1:{port}/graphql", json=asked, timeout=120).json()["data"]


def dagster_runs(port: int) -> list[dict[str, Any]]:
    """Every run, newest first; tags as a dictionary."""
    found = graphql(port, _RUNS)["runsOrError"]["results"]
    return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found]
