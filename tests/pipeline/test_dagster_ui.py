"""The Dagster UI as its users meet it: runs queue, a killed part comes back, and nothing is left behind.

Starts `dagster dev` itself on loopback, with a data folder, a Dagster home and a home directory of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipeline import __main__ as pipeline_main
from pipeline import dagster_home, dagster_ui
from pipeline.automation import prune
from pipeline.dagster_ui import MOST_SHORT_LIVES
from tests.deployment import ROOT, belonging, daemons, dagster_runs, end, environment, eventually, free_port, graphql

pytestmark = [pytest.mark.integration, pytest.mark.timeout(2400)]

_LAUNCH = """mutation ($repository: String!, $location: String!, $job: String!) { launchPipelineExecution(
  executionParams: {selector: {repositoryName: $repository, repositoryLocationName: $location, pipelineName: $job},
  mode: "default"}) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_WHERE = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"


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
        node = eventually(lambda: self.ask(_WHERE)["repositoriesOrError"]["nodes"][0], 600)
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


def test_two_runs_started_at_once_both_succeed(ui: Ui) -> None:
    """They write one file, so they go one after the other. Nothing lands in the home directory, nothing is left."""
    ids = [ui.launch("refresh"), ui.launch("prune")]

    ended = eventually(
        lambda: (runs := ui.runs()) and all(runs[one]["status"] in ("SUCCESS", "FAILURE") for one in ids) and runs,
        1500,
    )
    ui.process.terminate()
    code = ui.process.wait(timeout=120)
    first, second = sorted((ended[one] for one in ids), key=lambda run: run["startTime"])

    assert [first["status"], second["status"]] == ["SUCCESS", "SUCCESS"]
    assert first["endTime"] <= second["startTime"]
    assert (ui.home / "data" / "orchestrator.duckdb").exists()
    assert (code, belonging(ui.home)) == (0, {})
    assert [path.name for path in (ui.home / "user").rglob("*")] == []


def test_a_killed_daemon_comes_back_and_a_killed_ui_leaves_nothing(ui: Ui) -> None:
    """Schedules go on without anyone looking, once: a second UI on the same home is refused meanwhile."""
    ui.repository()
    (killed,) = eventually(lambda: daemons(ui.home), 240)
    command = [sys.executable, "-m", "pipeline", "ui", "--port", str(free_port())]
    second = subprocess.run(
        command, cwd=ROOT, env=environment(ui.home), capture_output=True, text=True, check=False, timeout=240
    )

    os.kill(killed, signal.SIGKILL)

    def is_back() -> bool:
        return ui.process.poll() is None and bool(daemons(ui.home) - {killed})

    eventually(is_back, 600)
    ui.process.kill()
    eventually(lambda: not belonging(ui.home), 240)

    assert "starting it again" in (ui.home / "ui.log").read_text()
    assert second.returncode == 2
    assert "Another Dagster UI is running" in second.stderr


@pytest.mark.parametrize(
    ("program", "starts"),
    [
        ("raise SystemExit(5)", 1),
        ("socket.create_server(('127.0.0.1', int(sys.argv[1]))).accept(); raise SystemExit(5)", MOST_SHORT_LIVES),
    ],
    ids=["never came up", "came up and ended"],
)
def test_what_cannot_be_kept_up_is_not_started_for_ever(
    monkeypatch: pytest.MonkeyPatch, program: str, starts: int
) -> None:
    """However long a start takes: what counts is whether it ever answered, and how long it did."""
    begun: list[str] = []

    def start(host: str, port: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", f"import socket, sys; {program}", str(port)]
        return subprocess.Popen(command, env=environment, process_group=0)

    monkeypatch.setattr(dagster_ui, "_start", start)

    code = dagster_ui.run("127.0.0.1", free_port(), dict(os.environ), lambda: begun.append("again"))

    assert (code, len(begun)) == (5, starts)


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
