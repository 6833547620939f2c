"""Dagster's own memory: which runs, logs and events stay, so that its folder does not grow for ever.

A refresh leaves about 2 MB of events, and a deployment with a key makes a hundred a day. So the newest runs stay
whole, of older ones the last of each job and day stays without its log (enough for every plot over time), and what is
older than the retention goes. What the warehouse itself holds is pruned in `sources`.
"""

import datetime as dt
import shutil
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from pipeline import settings
from pipeline.resources import Clock

KEPT_WHOLE = 25
"""Newest runs whose every event stays."""

_LOCK_TIMEOUT_S = 20.0

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


class FinishedRun(NamedTuple):
    """A run that has ended."""

    run_id: str
    job: str
    ended_at: dt.datetime


class Doomed(NamedTuple):
    """What is to go."""

    runs: list[str]
    """Runs that go with all their events."""
    logs: list[str]
    """Runs that stay, with what they made, but without their log."""


def choose(
    runs: Sequence[FinishedRun], needed: Collection[str], now: dt.datetime, retention: dt.timedelta | None
) -> Doomed:
    """What of `runs` goes at `now`; `needed` are runs that made the newest version of some asset.

    `retention` is the age at which runs go, None keeps the daily ones for ever.
    """
    doomed = Doomed([], [])
    kept_days: set[tuple[str, dt.date]] = set()
    newest_first = sorted(runs, key=lambda run: (run.ended_at, run.run_id), reverse=True)
    for run in newest_first[KEPT_WHOLE:]:
        day = (run.job, run.ended_at.date())
        is_old = retention is not None and now - run.ended_at > retention
        if run.run_id in needed or (not is_old and day not in kept_days):
            kept_days.add(day)
            doomed.logs.append(run.run_id)
        else:
            doomed.runs.append(run.run_id)
    return doomed


def prune(instance: dg.DagsterInstance, now: dt.datetime, retention: dt.timedelta | None) -> Doomed:
    """Remove what `choose` says from `instance`, and give its space back. `now` is UTC without zone."""
    records = instance.get_run_records(dg.RunsFilter(statuses=_FINISHED))
    runs = [
        FinishedRun(
            record.dagster_run.run_id,
            record.dagster_run.job_name,
            dt.datetime.fromtimestamp(record.end_time or record.create_timestamp.timestamp(), dt.UTC).replace(
                tzinfo=None
            ),
        )
        for record in records
    ]
    needed = {record.asset_entry.last_run_id or "" for record in instance.get_asset_records()}
    doomed = choose(runs, needed, now, retention)
    for run_id in doomed.runs:
        instance.delete_run(run_id)
    history = Path(instance.root_directory) / "history" / "runs"
    if (history / "index.db").exists():
        _prune_files(history, Path(instance.storage_directory()), doomed)
    return doomed


def _prune_files(history: Path, logs: Path, doomed: Doomed) -> None:
    """What Dagster's own deletion leaves on disk: a file a run, captured output, check results, and free pages."""
    for run_id in (*doomed.runs, *doomed.logs):
        for file in history.glob(f"{run_id}.db*"):
            file.unlink(missing_ok=True)
        shutil.rmtree(logs / run_id, ignore_errors=True)
    with closing(sqlite3.connect(history / "index.db", timeout=_LOCK_TIMEOUT_S)) as connection:
        connection.executemany(
            "DELETE FROM asset_check_executions WHERE run_id = ? AND id NOT IN "
            "(SELECT max(id) FROM asset_check_executions GROUP BY asset_key, check_name)",
            [(run_id,) for run_id in doomed.runs],
        )
        connection.commit()
    for file in (history / "index.db", history.parent / "runs.db"):
        with closing(sqlite3.connect(file, timeout=_LOCK_TIMEOUT_S)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@dg.op(description="Drop runs and logs of Dagster's own that nobody needs any more.", ins={"after": dg.In(dg.Nothing)})
def prune_runs(context: dg.OpExecutionContext, clock: Clock) -> None:
    """Prune by ORCHESTRATOR_METRIC_RETENTION_DAYS; a locked database is left for the next time."""
    days = settings.load().metric_retention_days
    try:
        doomed = prune(context.instance, clock.now(), dt.timedelta(days=days) if days else None)
    except sqlite3.OperationalError as error:
        context.log.warning(f"Dagster's history could not be pruned now ({error}); the next run does it.")
        return
    context.log.info(f"Dropped {len(doomed.runs)} runs, and the logs of {len(doomed.logs)} more.")
