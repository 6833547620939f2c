"""Dagster's memory stays small, and keeps what a person would look for."""

from __future__ import annotations

import datetime as dt
import itertools
import shutil
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from pipeline import automation
from pipeline.resources import BuildDatabase, Clock
from pipeline.run_history import KEPT_WHOLE, FinishedRun, choose, prune

NOW = dt.datetime(2026, 10, 15, 12, 0)
MONTH = dt.timedelta(days=30)


def run_at(hours_ago: float, job: str = "refresh") -> FinishedRun:
    """A run that ended that long ago."""
    return FinishedRun(f"{job}-{hours_ago:g}", job, NOW - dt.timedelta(hours=hours_ago))


RECENT = [run_at(number / 100) for number in range(KEPT_WHOLE)]


def test_few_runs_all_stay() -> None:
    """However old they are: who refreshes by hand once a month keeps all of it."""
    assert choose([run_at(24 * 90 * number) for number in range(KEPT_WHOLE)], (), NOW, MONTH) == ([], [])


def test_of_older_runs_the_last_of_each_job_and_day_stays_without_its_log() -> None:
    """Enough for a plot over time; the debug log of last week's run is read by nobody."""
    older = [run_at(24), run_at(25), run_at(24.5, "refresh_outcomes"), run_at(48), run_at(49)]

    assert choose([*RECENT, *older], (), NOW, MONTH) == (
        ["refresh-25", "refresh-49"],
        ["refresh-24", "refresh_outcomes-24.5", "refresh-48"],
    )


def test_runs_older_than_the_retention_go_unless_an_asset_needs_them() -> None:
    """The newest version of an asset can always be looked at."""
    older = [run_at(24 * 31), run_at(24 * 32, "refresh_benchmarks")]

    assert choose([*RECENT, *older], {"refresh_benchmarks-768"}, NOW, MONTH) == (
        ["refresh-744"],
        ["refresh_benchmarks-768"],
    )


def test_without_a_retention_the_daily_ones_stay() -> None:
    """ORCHESTRATOR_METRIC_RETENTION_DAYS=0 keeps them for ever."""
    assert choose([*RECENT, run_at(24_000)], (), NOW, None) == ([], ["refresh-24000"])


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance on disk."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


@dg.asset
def counted() -> dg.MaterializeResult[None]:
    """An asset that notes a number."""
    return dg.MaterializeResult(metadata={"dagster/row_count": 1})


def test_what_goes_is_gone_from_the_disk(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """Run, events, log file and captured output; the newest materialization stays."""
    runs = [dg.materialize([counted], instance=instance).run_id for _ in range(KEPT_WHOLE + 3)]

    doomed = prune(instance, dt.datetime.now(dt.UTC).replace(tzinfo=None) + dt.timedelta(days=31), MONTH)

    shards = {file.name.removesuffix(".db") for file in (tmp_path / "history" / "runs").glob("*-*.db")}
    assert sorted(doomed.runs) == sorted(runs[:3])
    assert shards == set(runs[3:])
    assert {run.run_id for run in instance.get_runs()} == set(runs[3:])
    assert instance.get_latest_materialization_event(counted.key) is not None


def test_the_prune_job_prunes_both(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the schedule starts: the warehouse's history and Dagster's own."""
    monkeypatch.setenv("ORCHESTRATOR_METRIC_RETENTION_DAYS", "1")
    runs = [dg.materialize([counted], instance=instance).run_id for _ in range(KEPT_WHOLE + 2)]
    build = BuildDatabase(path=str(tmp_path / "build.duckdb"))
    with build.writing() as connection:
        connection.execute(
            "CREATE TABLE core.observations (source VARCHAR, record_id VARCHAR, metric VARCHAR, scope VARCHAR, "
            "value DOUBLE, observed_at TIMESTAMP)"
        )
    tomorrow = dt.datetime.now(dt.UTC) + dt.timedelta(days=3)

    done = automation.prune.execute_in_process(
        instance=instance, resources={"build": build, "clock": Clock(fixed_at=tomorrow.isoformat())}
    )

    assert done.success
    assert {run.run_id for run in instance.get_runs()} == {*runs[2:], done.run_id}


def replicate(history: Path, log: Path, ended_at: Sequence[dt.datetime]) -> None:
    """Copies of the run whose log this is, under ids of their own: its log, its events, its check results."""
    template = log.stem
    run_ids = [str(uuid.uuid4()) for _ in ended_at]
    for run_id in run_ids:
        (history / "runs" / f"{run_id}.db").hardlink_to(log)
    for name, tables in (
        ("runs/index.db", ("event_logs", "asset_check_executions")),
        ("runs.db", ("runs", "run_tags")),
    ):
        with closing(sqlite3.connect(history / name)) as connection:
            for table, (run_id, end) in itertools.product(tables, zip(run_ids, ended_at, strict=True)):
                names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "id"]
                taken = [
                    f"'{run_id}'"
                    if name == "run_id"
                    else str(end.timestamp())
                    if name == "end_time"
                    else f"replace({name}, '{template}', '{run_id}')"
                    if name in ("event", "run_body", "evaluation_event")
                    else name
                    for name in names
                ]
                connection.execute(
                    f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(taken)} FROM {table} WHERE run_id = ?",
                    (template,),
                )
            connection.commit()


@pytest.mark.performance
@pytest.mark.timeout(1800)
def test_seven_days_leave_at_most_200_mb(home: Path, tmp_path: Path) -> None:
    """Every schedule of a deployment with a key, a hundred runs a day of a real refresh's size, pruned as scheduled."""
    shutil.copytree(home / "dagster", tmp_path / "dagster", ignore=shutil.ignore_patterns("*.lock"))
    history = tmp_path / "dagster" / "history"
    template = max((history / "runs").glob("*-*.db"), key=lambda file: file.stat().st_size)
    log = shutil.copy(template, tmp_path)
    begin = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    largest = 0
    with dg.DagsterInstance.from_ref(dg._core.instance.ref.InstanceRef.from_dir(str(tmp_path / "dagster"))) as instance:
        for quarter_of_a_day in range(28):
            first = begin.replace(tzinfo=dt.UTC) + dt.timedelta(hours=quarter_of_a_day * 6)
            replicate(history, Path(log), [first + dt.timedelta(minutes=number * 14) for number in range(25)])
            largest = max(largest, sum(file.stat().st_size for file in (tmp_path / "dagster").rglob("*.db*")))
            prune(instance, begin + dt.timedelta(hours=(quarter_of_a_day + 1) * 6), MONTH)

    print(f"at most {largest / 1e6:.0f} MB")
    assert largest <= 200e6
