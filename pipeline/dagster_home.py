"""Dagster's own state: a folder of the project's, its settings, and nothing in anyone's home directory.

Only what Dagster needs to start belongs here; schedules and jobs are in `automation.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

from warehouse.locations import PROJECT_ROOT

_SETTINGS = """\
# Written by the orchestrator at every start; change pipeline/dagster_home.py instead.
telemetry:
  enabled: false
nux:
  # No dialogue that asks for an address before the first look.
  enabled: false
concurrency:
  runs:
    # Runs write one DuckDB file, so they wait for one another.
    max_concurrent_runs: 1
run_monitoring:
  enabled: true
  start_timeout_seconds: 300
retention:
  schedule:
    purge_after_days: 7
  sensor:
    purge_after_days: 7
"""


def prepare(environment: dict[str, str] | None = None) -> Path:
    """Create the folder, write its settings and export `DAGSTER_HOME`. Returns the absolute path.

    A `DAGSTER_HOME` that is already set is used as it is, its own dagster.yaml included.
    """
    env = os.environ if environment is None else environment
    named = env.get("DAGSTER_HOME")
    home = Path(named).expanduser().absolute() if named else PROJECT_ROOT / ".dagster"
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "dagster.yaml"
    if not named or not settings.exists():
        settings.write_text(_SETTINGS, encoding="utf-8")
    env["DAGSTER_HOME"] = str(home)
    env.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    return home
