"""A deployment of the tests' own: its environment, its commands, and a refresh of the bundled snapshot.

What starts `orchestrator` as a user would belongs here; what is then true of it is in the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from warehouse.supervise import port_is_free

ROOT = Path(__file__).resolve().parents[1]

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
        command, cwd=cwd, env=environment(home, **more), capture_output=True, text=True, check=False, timeout=240
    )


def free_port() -> int:
    """A port nobody listens on now, outside the range the kernel hands out by itself."""
    return next(port for port in range(20_100, 20_400) if port_is_free("127.0.0.1", port))


def refreshed(home: Path) -> Path:
    """Refresh `home` from the bundled snapshot. Returns its publication."""
    done = run(home, "refresh", "--offline")
    assert done.returncode == 0, done.stderr
    return home / "data" / "orchestrator.duckdb"
