"""The Dagster UI as its users meet it: runs queue, a killed part comes back, and nothing is left behind.

Starts `dagster dev` itself on loopback, with a data folder, a Dagster home and a home directory of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipeline import __main__ as pipeline_main
from pipeline import dagster_home
from pipeline.automation import prune
from pipeline.dagster_ui import LIVED_LONG_ENOUGH_S
from tests.deployment import ROOT, belonging, daemons, dagster_runs, end, environment, eventually, graphql
from warehouse.supervise import port_is_free

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

_LAUNCH = """mutation ($repository: String!, $location: String!, $job: String!) { launchPipelineExecution(
  executionParams: {selector: {repositoryName: $repository, repositoryLocationName: $location, pipelineName: $job},
  mode: "default"}) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_WHERE = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"


def free_port() -> int:
    """A port nobody listens on now."""
    return next(port for port in range(19_310, 19_399) if port_is_free("127.0.0.1", port))


class Ui:
    """A running UI."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        (home / "user").mkdir(exist_ok=True)
        env = environment(home, HOME=str(home / "user"))
        command = [sys.executable, "-m", "pipeline", "ui", "--port", str(self.port), "--offline"]
        with (home / "ui.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True)

    def ask(self, query: str, **variables: str) -> Any:
        """The answer to a GraphQL query."""
        return graphql(self.port, query, **variables)

    def repository(self) -> dict[str, str]:
        """Where the jobs are, once they are loaded."""
        node = eventually(lambda: self.ask(_WHERE)["repositoriesOrError"]["nodes"][0], 120)
        return {"repository": node["name"], "location": node["location"]["name"]}

    def launch(self, job: str) -> str:
        """Ask for a run as the UI's button does; its id."""
        launched = self.ask(_LAUNCH, job=job, **self.repository())["launchPipelineExecution"]
        return str(launched["run"]["runId"])

    def runs(self) -> dict[str, dict[str, Any]]:
        """Every run by id."""
        return {run["runId"]: run for run in dagster_runs(self.port)}


@pytest.fixture
def ui(tmp_path: Path) -> Iterator[Ui]:
    """A UI over a deployment that has nothing yet."""
    started = Ui(tmp_path)
    try:
        yield started
    finally:
        end(started.process, tmp_path)


def test_two_refreshes_started_at_once_both_succeed(ui: Ui) -> None:
    """They write one file, so they go one after the other. Nothing lands in the home directory, nothing is left."""
    ids = [ui.launch("refresh"), ui.launch("refresh")]

    ended = eventually(
        lambda: (runs := ui.runs()) and all(runs[one]["status"] in ("SUCCESS", "FAILURE") for one in ids) and runs,
        360,
    )
    ui.process.terminate()
    code = ui.process.wait(timeout=60)
    first, second = sorted((ended[one] for one in ids), key=lambda run: run["startTime"])

    assert [first["status"], second["status"]] == ["SUCCESS", "SUCCESS"]
    assert first["endTime"] <= second["startTime"]
    assert (ui.home / "data" / "orchestrator.duckdb").exists()
    assert (code, belonging(ui.home)) == (0, {})
    assert [path.name for path in (ui.home / "user").rglob("*")] == []


def test_a_killed_daemon_comes_back_and_a_killed_ui_leaves_nothing(ui: Ui) -> None:
    """Schedules go on without anyone looking, once: a second UI on the same home is refused meanwhile."""
    ui.repository()
    (killed,) = eventually(lambda: daemons(ui.home), 60)
    seen_at = time.monotonic()
    command = [sys.executable, "-m", "pipeline", "ui", "--port", str(free_port())]
    second = subprocess.run(
        command, cwd=ROOT, env=environment(ui.home), capture_output=True, text=True, check=False, timeout=60
    )
    # One that ends at once would end again, and is not started again. Counted from when the daemon was seen: on a slow
    # machine our own start takes long before there is one.
    eventually(lambda: time.monotonic() - seen_at > LIVED_LONG_ENOUGH_S + 2, 60)

    os.kill(killed, signal.SIGKILL)

    def is_back() -> bool:
        return ui.process.poll() is None and bool(daemons(ui.home) - {killed})

    eventually(is_back, 120)
    ui.process.kill()
    eventually(lambda: not belonging(ui.home), 60)

    assert "starting it again" in (ui.home / "ui.log").read_text()
    assert second.returncode == 2
    assert "Another Dagster UI is running" in second.stderr


def test_what_a_killed_ui_left_half_made_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run between made and queued would wait for ever, and its schedule for it."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.get() as instance:
        statuses = dg.DagsterRunStatus
        made = {
            status: instance.create_run_for_job(prune, status=status).run_id
            for status in (statuses.NOT_STARTED, statuses.STARTING, statuses.STARTED, statuses.SUCCESS)
        }

        pipeline_main.close_runs_of_a_former_ui()

        after = {status: instance.get_run_by_id(run_id) for status, run_id in made.items()}
    assert {status.value: run.status.value for status, run in after.items() if run} == {
        "NOT_STARTED": "FAILURE",
        "STARTING": "FAILURE",
        "STARTED": "FAILURE",
        "SUCCESS": "SUCCESS",
    }


def test_nothing_is_told_to_anyone(tmp_path: Path) -> None:
    """Telemetry is off in the settings that are written, and in the environment."""
    env = {"DAGSTER_HOME": str(tmp_path / "dagster")}
    home = dagster_home.prepare(env)

    assert "telemetry:\n  enabled: false" in (home / "dagster.yaml").read_text()
    assert env["DAGSTER_DISABLE_TELEMETRY"]
