"""`orchestrator up` as it is left running: every schedule and the sensor do their work, and nothing is left behind.

One deployment with the rhythms of days in minutes. What the parts do by themselves is tested beside them.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from pipeline import automation
from tests.deployment import (
    ROOT,
    belonging,
    daemons,
    dagster_runs,
    end,
    environment,
    eventually,
    free_port,
    graphql,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(5400)]

JOBS = {schedule.job_name for schedule in automation.schedules(has_key=True)}
RHYTHMS = "; ".join([*(f"{job}=* * * * *" for job in sorted(JOBS)), "stale_publication=5"])
"""A round of all jobs takes longer than a minute, so that the queue is never empty for long."""

BY_SCHEDULE, BY_SENSOR = "dagster/schedule_name", "dagster/sensor_name"

_TICKS = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
  schedules { name scheduleState { ticks(statuses: [FAILURE]) { error { message } } } }
  sensors { name sensorState { ticks(statuses: [FAILURE]) { error { message } } } } } } } }"""


class Up:
    """A running `orchestrator up`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.ui_port = free_port()
        self.log = home / "up.log"
        ports = ["--port", str(self.port), "--ui-port", str(self.ui_port)]
        command = [sys.executable, "-m", "warehouse.cli", "up", "--offline", *ports]
        env = environment(home, ORCHESTRATOR_SCHEDULES=RHYTHMS)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True)

    def finished(self, by: str) -> dict[str, dict[str, Any]]:
        """The newest finished run of each job that a schedule, or the sensor, asked for."""
        assert self.process.poll() is None, self.log.read_text()
        ended = [run for run in dagster_runs(self.ui_port) if by in run["tags"] and run["endTime"]]
        return {run["jobName"]: run for run in reversed(ended)}

    def failed_ticks(self) -> list[str]:
        """What went wrong when a schedule or the sensor was asked."""
        (repository,) = graphql(self.ui_port, _TICKS)["repositoriesOrError"]["nodes"]
        states = [one["scheduleState"] for one in repository["schedules"]]
        states += [one["sensorState"] for one in repository["sensors"]]
        return [str(tick["error"]) for state in states for tick in state["ticks"]]

    def is_serving(self) -> bool:
        """Whether a call could be answered, were there a key."""
        return httpx.get(f"http://127.0.0.1:{self.port}/v1/models/rankings", timeout=120).status_code == 200


@pytest.fixture
def up(home: Path, tmp_path: Path) -> Iterator[Up]:
    """One that begins with a publication."""
    shutil.copytree(home / "data", tmp_path / "data", symlinks=True, ignore=shutil.ignore_patterns("*.lock"))
    started = Up(tmp_path)
    try:
        yield started
    finally:
        end(started.process, tmp_path)


def grow_old(published: Path) -> None:
    """Put a publication in place that says it is two days old."""
    newest = published.resolve()
    old = newest.with_name("warehouse-old.duckdb")
    shutil.copyfile(newest, old)
    with contextlib.closing(duckdb.connect(str(old))) as connection:
        connection.execute("UPDATE published.snapshot SET built_at = built_at - INTERVAL 2 DAY")
    link = published.with_name("old.link")
    link.symlink_to(old)
    link.replace(published)


def test_left_running_it_keeps_every_rhythm_survives_a_killed_daemon_and_leaves_nothing(up: Up) -> None:
    """Every schedule's run and the sensor's succeed, before a kill and after; calls are served all the while."""
    eventually(lambda: up.finished(BY_SCHEDULE).keys() == JOBS, 2400, every_s=1)
    before = up.finished(BY_SCHEDULE)
    (killed,) = daemons(up.home)
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: daemons(up.home) - {killed}, 600)
    # Nobody refreshed for two days, as far as the sensor can see.
    grow_old(up.home / "data" / "orchestrator.duckdb")

    def went_on() -> bool:
        later = [run for job, run in up.finished(BY_SCHEDULE).items() if run["runId"] != before[job]["runId"]]
        return len(later) >= 2 and "refresh" in up.finished(BY_SENSOR) and up.is_serving()

    eventually(went_on, 1800, every_s=1)
    runs, failed = dagster_runs(up.ui_port), up.failed_ticks()
    up.process.send_signal(signal.SIGINT)
    code = up.process.wait(timeout=120)

    asked_for = [run for run in runs if run["endTime"] and (BY_SCHEDULE in run["tags"] or BY_SENSOR in run["tags"])]
    began = {run["startTime"]: run["endTime"] for run in asked_for if run["status"] == "SUCCESS"}
    # All of them write one file, so they go one after the other.
    assert [start for (_, end), (start, _) in itertools.pairwise(sorted(began.items())) if start < end] == []
    # The run that the kill met, if it met one, is the only one that may not have ended well.
    assert [run["jobName"] for run in asked_for if run["status"] != "SUCCESS"][1:] == []
    assert {run["status"] for run in before.values()} == {"SUCCESS"}
    assert failed == []
    assert (code, belonging(up.home)) == (0, {})
