"""When what is refreshed: jobs, their schedules, and the sensor that notices a stale publication.

Rhythms belong here; what a run does is the assets' business.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from pipeline.progress import terminal_logger
from pipeline.resources import Clock
from pipeline.run_history import prune_runs
from pipeline.settings import SettingError
from pipeline.sources import backfill
from pipeline.sources.assets import table_key
from pipeline.sources.pruning import prune_metrics
from warehouse.locations import locations
from warehouse.outcomes import RECORDS
from warehouse.published import ContractMismatchError, Snapshot, read

REFRESH_JOB_NAME = "refresh"
PRUNE_JOB_NAME = "prune"

STALE_AFTER = dt.timedelta(hours=26)
"""A publication older than this means that schedules did not run: a machine that slept, a daemon that was down."""

# Runs started by a schedule or from the UI print into the terminal of `orchestrator up`, too.
_READABLE: dict[str, Any] = {"loggers": {"terminal": {}}}

# Job, what it fetches (everything downstream follows), when (UTC), and why then.
_RHYTHMS: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    ("refresh_openrouter", ("core/openrouter_listings",), "7 * * * *", "prices and listings change during the day"),
    (
        "refresh_endpoints",
        ("core/openrouter_endpoints",),
        "*/30 * * * *",
        "latency and uptime are of the last half hour",
    ),
    (
        "refresh_benchmarks",
        (
            *("core/lmsys_arena_ratings", "core/huggingface_benchmarks", "core/artificial_analysis_models"),
            *("core/hub_evaluations", "core/lmsys_benchmarks", "core/alpaca_eval_results"),
            *("core/models_dev_models", "core/genai_prices_models", "core/litellm_prices_models"),
        ),
        "20 4 * * *",
        "the Arena publishes about once a day near 03:00, and price lists change about as often",
    ),
    (
        "refresh_outcomes",
        (*(f"core/{table}" for table in RECORDS), "core/upstream_listings"),
        "37 * * * *",
        "own calls are the best evidence",
    ),
)


def jobs(asset_keys: Sequence[dg.AssetKey]) -> list[dg.JobDefinition | dg.UnresolvedAssetJobDefinition]:
    """The whole refresh, and one job a rhythm with all that depends on what it fetches."""
    known = set(asset_keys)
    everything = dg.define_asset_job(
        REFRESH_JOB_NAME,
        # Former days are filled in when a person asks for them.
        selection=dg.AssetSelection.assets(*(key for key in asset_keys if key != table_key(backfill.NAME))),
        config=_READABLE,
        description="Ingest every source, link, rank and publish.",
    )
    rhythms = [
        dg.define_asset_job(
            name,
            # A step that makes several tables makes all of them.
            selection=dg.AssetSelection.assets(*_keys(keys, known)).downstream().required_multi_asset_neighbors(),
            config=_READABLE,
            description=f"Fetch {', '.join(keys)}, then everything that depends on it ({why}).",
        )
        for name, keys, _, why in _RHYTHMS
    ]
    return [everything, *rhythms]


def _keys(names: Sequence[str], known: set[dg.AssetKey]) -> list[dg.AssetKey]:
    keys = [dg.AssetKey(name.split("/")) for name in names]
    missing = [key.to_user_string() for key in keys if key not in known]
    if missing:
        raise ValueError(f"A schedule names {', '.join(missing)}, which no source makes.")
    return keys


@dg.job(
    name=PRUNE_JOB_NAME,
    description="Drop observations, attempts and Dagster's own runs older than ORCHESTRATOR_METRIC_RETENTION_DAYS.",
    executor_def=dg.in_process_executor,
    logger_defs={"terminal": terminal_logger},
    config=_READABLE,
)
def prune() -> None:
    """The warehouse's history first, then the memory of how it was made."""
    prune_runs(prune_metrics())


_PRUNING = (
    "50 3,9,15,21 * * *",
    "what is older than the retention goes, four times a day because events gather quickly",
)

SENSOR_NAME = "stale_publication"
_LOOKS_EVERY_S = 300

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

OFF = "off"
"""In place of a rhythm: do not run until someone switches it on in the UI."""


def schedules(has_key: bool, own: Mapping[str, str] | None = None) -> list[dg.ScheduleDefinition]:
    """Running by default, each to be switched off in the UI. Without a key, endpoints have nothing to fetch.

    `own` (ORCHESTRATOR_SCHEDULES) has the job → its cron expression in UTC, or `OFF`. Raises `SettingError` for a
    job that has no rhythm, and for one that cannot be read.
    """
    rhythms = {**{name: (cron, why) for name, _, cron, why in _RHYTHMS}, PRUNE_JOB_NAME: _PRUNING}
    wanted = dict(own or {})
    if unknown := sorted(wanted.keys() - rhythms.keys() - {SENSOR_NAME}):
        raise SettingError(
            f"ORCHESTRATOR_SCHEDULES names {', '.join(unknown)}; it takes {', '.join([*rhythms, SENSOR_NAME])}."
        )
    made = []
    for name, (usual, why) in rhythms.items():
        when = wanted.get(name, usual)
        runs = when != OFF and (has_key or name != "refresh_endpoints" or name in wanted)
        made.append(_schedule(name, usual if when == OFF else when, why, runs))
    return made


def _schedule(job: str, cron: str, why: str, runs: bool) -> dg.ScheduleDefinition:
    def due(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        # Where runs take longer than the rhythm, the queue would grow without end.
        if context.instance.get_runs_count(dg.RunsFilter(job_name=job, statuses=_UNFINISHED)):
            return dg.SkipReason("The last run of this job has not finished.")
        return dg.RunRequest()

    try:
        return dg.ScheduleDefinition(
            name=f"{job}_schedule",
            job_name=job,
            cron_schedule=cron,
            execution_timezone="UTC",
            execution_fn=due,
            default_status=dg.DefaultScheduleStatus.RUNNING if runs else dg.DefaultScheduleStatus.STOPPED,
            description=f"Because {why}.",
        )
    except dg.DagsterInvalidDefinitionError as error:
        raise SettingError(
            f"ORCHESTRATOR_SCHEDULES: {cron!r} for {job} is no rhythm; it takes five fields as cron does, or {OFF}."
        ) from error


def sensors(own: Mapping[str, str] | None = None) -> list[dg.SensorDefinition]:
    """The one sensor. `own` may have the seconds between its looks, or `OFF`. Raises `SettingError` for neither."""
    wanted = (own or {}).get(SENSOR_NAME, str(_LOOKS_EVERY_S))
    if wanted != OFF and not (wanted.isdecimal() and int(wanted)):
        raise SettingError(f"ORCHESTRATOR_SCHEDULES: {SENSOR_NAME} is {wanted!r}; it takes seconds, or {OFF}.")

    @dg.sensor(
        name=SENSOR_NAME,
        job_name=REFRESH_JOB_NAME,
        minimum_interval_seconds=_LOOKS_EVERY_S if wanted == OFF else int(wanted),
        default_status=dg.DefaultSensorStatus.STOPPED if wanted == OFF else dg.DefaultSensorStatus.RUNNING,
        description="Asks for a refresh when the publication is missing, unreadable or older than a day.",
    )
    def look(context: dg.SensorEvaluationContext, clock: Clock) -> dg.RunRequest | dg.SkipReason:
        # At most one request an hour, so that a refresh that fails is not asked for again at once.
        now = clock.now()
        reason = why_stale(now)
        if reason is None:
            return dg.SkipReason("The publication is fresh.")
        return dg.RunRequest(run_key=f"stale-{now:%Y%m%dT%H}", tags={"orchestrator/reason": reason})

    return [look]


def why_stale(now: dt.datetime) -> str | None:
    """Why the publication should be made anew at `now` (UTC); None when it need not."""
    try:
        snapshot = read(locations().published, (Snapshot,))[Snapshot][0]
    except FileNotFoundError:
        return "nothing is published"
    except ContractMismatchError:
        return "the publication is of another contract version"
    age = now - snapshot.built_at
    return f"the publication is {age.total_seconds() / 3600:.0f} hours old" if age > STALE_AFTER else None
