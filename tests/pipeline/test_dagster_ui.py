"""The Dagster UI as its users meet it: runs queue, a killed part comes back, and nothing is left behind.

Starts `dagster dev` itself on loopback, with a data folder, a Dagster home and a home directory of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline import dagster_home
from pipeline.dagster_ui import LIVED_LONG_ENOUGH_S
from tests.deployment import ROOT, environment
from warehouse.supervise import port_is_free

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

_LAUNCH = """mutation ($repository: String!, $location: String!, $job: String!) { launchPipelineExecution(
  executionParams: {selector: {repositoryName: $repository, repositoryLocationName: $location, pipelineName: $job},
  mode: "default"}) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_WHERE = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"
_RUNS = "{ runsOrError { ... on Runs { results { runId status startTime endTime jobName } } } }"


def free_port() -> int:
    """A port nobody listens on now."""
    return next(port for port in range(19_310, 19_399) if port_is_free("127.0.0.1", port))


def eventually(is_so: Callable[[], Any], within_s: float) -> Any:
    """The first true answer. Asks ten times a second at most."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError, KeyError, IndexError, TypeError):
            if answer := is_so():
                return answer
        time.sleep(0.1)
    raise AssertionError(f"not so within {within_s:g} s")


def belonging(home: Path) -> dict[int, str]:
    """Processes that were started with that Dagster home: number and command line."""
    mark = f"DAGSTER_HOME={home / 'dagster'}".encode()
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


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
        answer = httpx.post(
            f"http://127.0.0.1:{self.port}/graphql", json={"query": query, "variables": variables}, timeout=30
        )
        return answer.json()["data"]

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
        return {run["runId"]: run for run in self.ask(_RUNS)["runsOrError"]["results"]}

    def daemon(self) -> int:
        """Process number of the daemon that runs schedules and the queue."""
        return next(number for number, command in belonging(self.home).items() if "dagster._daemon" in command)


@pytest.fixture
def ui(tmp_path: Path) -> Iterator[Ui]:
    """A UI over a deployment that has nothing yet."""
    started = Ui(tmp_path)
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.process.pid, signal.SIGKILL)
        started.process.wait()
        for number in belonging(tmp_path):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


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
    began = time.monotonic()
    ui.repository()
    killed = ui.daemon()
    command = [sys.executable, "-m", "pipeline", "ui", "--port", str(free_port())]
    second = subprocess.run(
        command, cwd=ROOT, env=environment(ui.home), capture_output=True, text=True, check=False, timeout=60
    )
    # One that ends at once would end again, and is not started again.
    eventually(lambda: time.monotonic() - began > LIVED_LONG_ENOUGH_S + 2, 60)

    os.kill(killed, signal.SIGKILL)

    def is_back() -> bool:
        daemons = {number for number, command in belonging(ui.home).items() if "dagster._daemon" in command}
        return ui.process.poll() is None and bool(daemons - {killed})

    eventually(is_back, 120)
    ui.process.kill()
    eventually(lambda: not belonging(ui.home), 60)

    assert "starting it again" in (ui.home / "ui.log").read_text()
    assert second.returncode == 2
    assert "Another Dagster UI is running" in second.stderr


def test_nothing_is_told_to_anyone(tmp_path: Path) -> None:
    """Telemetry is off in the settings that are written, and in the environment."""
    env = {"DAGSTER_HOME": str(tmp_path / "dagster")}
    home = dagster_home.prepare(env)

    assert "telemetry:\n  enabled: false" in (home / "dagster.yaml").read_text()
    assert env["DAGSTER_DISABLE_TELEMETRY"]
