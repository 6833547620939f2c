"""`python -m pipeline refresh | ui | prune | reach`: runs jobs on the persistent Dagster instance.

Arguments and exit codes belong here; what the jobs do is in `definitions.py` and below.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from pipeline import dagster_home, dagster_ui, settings
from pipeline.automation import PRUNE_JOB_NAME, REFRESH_JOB_NAME
from pipeline.definitions import build_definitions
from pipeline.sources.reach import reach
from warehouse import environment, upstreams
from warehouse.locations import locations

_PID_TAG = "orchestrator/pid"
_HOST_TAG = "orchestrator/host"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    environment.load()
    parser = argparse.ArgumentParser(prog="python -m pipeline", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    refresh = commands.add_parser("refresh", prog="orchestrator refresh", help="ingest, link, rank and publish")
    where = refresh.add_mutually_exclusive_group()
    where.add_argument("--offline", action="store_true", help="use cached or bundled data, ask no source")
    where.add_argument("--from", dest="directory", type=Path, metavar="DIR", help="read payload files from DIR")
    ui = commands.add_parser("ui", prog="orchestrator ui", help="the Dagster UI with its schedules")
    ui.add_argument("--host", default="127.0.0.1")
    ui.add_argument("--port", type=int, default=3000)
    ui.add_argument("--offline", action="store_true", help="runs started from the UI ask no source")
    commands.add_parser("prune", prog="orchestrator prune", help="remove metrics older than the retention")
    commands.add_parser("reach", help="try to reach every source")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "refresh":
            return _refresh(is_offline=chosen.offline, directory=chosen.directory)
        if chosen.command == "ui":
            return _ui(chosen.host, chosen.port, is_offline=chosen.offline)
        if chosen.command == "prune":
            return _execute(build_definitions(), PRUNE_JOB_NAME)
        return _reach()
    except (settings.SettingError, upstreams.UpstreamsError) as error:
        print(error, file=sys.stderr)
        return 2


def _refresh(*, is_offline: bool, directory: Path | None) -> int:
    if directory is not None and not directory.is_dir():
        print(f"--from names {directory}, which is not a directory.", file=sys.stderr)
        return 2
    named = str(directory.absolute()) if directory is not None else ""
    code = _execute(build_definitions(is_offline=is_offline, directory=named), REFRESH_JOB_NAME)
    print(f"Published: {locations().published}" if code == 0 else "Not published; the last publication stays.")
    return code


def _execute(definitions: dg.Definitions, job: str) -> int:
    dagster_home.prepare()
    with dg.DagsterInstance.get() as instance:
        _close_abandoned_runs(instance)
        result = definitions.resolve_job_def(job).execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config={"loggers": {"terminal": {}}},
            tags={_PID_TAG: str(os.getpid()), _HOST_TAG: socket.gethostname()},
        )
    return 0 if result.success else 1


def _close_abandoned_runs(instance: dg.DagsterInstance) -> None:
    """Runs whose process was killed stay 'started' for ever, and would hold up everything queued behind them."""
    unfinished = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    for run in instance.get_runs(unfinished):
        pid, host = run.tags.get(_PID_TAG), run.tags.get(_HOST_TAG)
        if pid is not None and host == socket.gethostname() and not _is_alive(int(pid)):
            instance.report_run_failed(run, message="The process of this run was stopped before it finished.")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _ui(host: str, port: int, *, is_offline: bool) -> int:
    build_definitions(is_offline=is_offline)  # a wrong setting is told here, not somewhere in the UI
    home = dagster_home.prepare()
    lock = FileLock(home / "ui.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"Another Dagster UI is running on {home}. Stop it first, or set DAGSTER_HOME.", file=sys.stderr)
        return 2
    # Dagster reads the choice where it loads the definitions, in processes of its own.
    # The command line's own advice to move to another one is no news to whoever started ours.
    quiet = {"PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "ignore::UserWarning,ignore::FutureWarning")}
    env = {**os.environ, **quiet, **({"ORCHESTRATOR_OFFLINE": "true"} if is_offline else {})}
    try:
        return dagster_ui.run(host, port, env, close_runs_of_a_former_ui)
    finally:
        lock.release()


def close_runs_of_a_former_ui() -> None:
    """No UI is running, so nobody is working on the runs a former one started."""
    with dg.DagsterInstance.get() as instance:
        _close_abandoned_runs(instance)
        # One that was made and not yet queued would wait for ever, too. What is queued goes on.
        stuck = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
        for run in instance.get_runs(dg.RunsFilter(statuses=stuck)):
            if _PID_TAG not in run.tags:
                instance.report_run_failed(run, message="The Dagster UI was stopped before this run finished.")


def _reach() -> int:
    findings = reach(settings.load())
    for is_reached, text in findings:
        print(f"{'ok  ' if is_reached else 'note'}  {text}")
    return 0 if all(is_reached for is_reached, _ in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
