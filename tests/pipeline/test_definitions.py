"""What Dagster is told: the assets by name, each explained, the checks, the rhythms."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipeline import automation, settings
from pipeline.definitions import build_definitions
from tests.deployment import ROOT, environment

ASSETS = {
    "sources": {
        "core/alpaca_eval_results",
        "core/artificial_analysis_models",
        "core/genai_prices_models",
        "core/hub_evaluations",
        "core/huggingface_benchmarks",
        "core/huggingface_repositories",
        "core/litellm_prices_models",
        "core/lmsys_arena_names",
        "core/lmsys_arena_ratings",
        "core/lmsys_benchmarks",
        "core/models_dev_models",
        "core/observations",
        "core/openrouter_endpoints",
        "core/openrouter_listings",
        "core/quarantine",
        "core/source_loads",
        "core/upstream_listings",
    },
    "outcomes": {"core/decisions", "core/feedback", "core/outcomes", "core/shadow_calls"},
    "entities": {
        "entity/changes",
        "entity/model_aliases",
        "entity/model_records",
        "entity/models",
        "entity/pairs",
        "entity/records",
    },
    "rankings": {
        "ranking/band_rankings",
        "ranking/category_qualities",
        "ranking/category_rankings",
        "ranking/changes",
        "ranking/configurations",
        "ranking/evidence",
        "ranking/offers",
        "ranking/own_attempts",
        "ranking/own_calls",
        "ranking/pareto",
        "ranking/price_disagreements",
        "ranking/profiles",
        "ranking/provider_prices",
        "ranking/rankings",
        "ranking/signals",
    },
    "published": {
        "published/band_rankings",
        "published/category_qualities",
        "published/category_rankings",
        "published/changes",
        "published/configurations",
        "published/decisions",
        "published/feedback",
        "published/shadow_calls",
        "published/model_aliases",
        "published/model_records",
        "published/models",
        "published/observations",
        "published/offers",
        "published/pareto",
        "published/price_disagreements",
        "published/profiles",
        "published/quarantine",
        "published/rankings",
        "published/signals",
        "published/snapshot",
        "published/source_loads",
    },
}

# Why each rhythm is what it is stands beside it in `pipeline/automation.py`.
SCHEDULES = {
    "refresh_openrouter_schedule": "7 * * * *",
    "refresh_endpoints_schedule": "*/30 * * * *",
    "refresh_benchmarks_schedule": "20 4 * * *",
    "refresh_outcomes_schedule": "37 * * * *",
    "prune_schedule": "50 3,9,15,21 * * *",
}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    """Everything, as Dagster loads it."""
    return build_definitions()


def test_the_assets_are_these(definitions: dg.Definitions) -> None:
    """None appears or vanishes unseen, and each is in the group a reader looks for it in."""
    graph = definitions.resolve_asset_graph()
    groups: dict[str, set[str]] = {}
    for key in graph.get_all_asset_keys():
        groups.setdefault(graph.get(key).group_name or "", set()).add(key.to_user_string())

    assert groups == ASSETS


def test_every_asset_explains_itself(definitions: dg.Definitions) -> None:
    """Description, kinds, owner and the table it is."""
    graph = definitions.resolve_asset_graph()
    nodes = [graph.get(key) for key in graph.get_all_asset_keys()]
    silent = [
        node.key.to_user_string()
        for node in nodes
        if not (node.description and node.kinds and node.owners and node.metadata.get("dagster/table_name"))
    ]

    assert silent == []


def test_everything_leads_to_a_publication(definitions: dg.Definitions) -> None:
    """No helper that tells a reader nothing: what nobody reads is published, or a report about linkage."""
    graph = definitions.resolve_asset_graph()
    leaves = {key.to_user_string() for key in graph.get_all_asset_keys() if not graph.get(key).child_keys}

    assert {leaf for leaf in leaves if not leaf.startswith("published/")} <= {
        "entity/changes",
        "entity/pairs",
        "entity/records",
    }


def test_checks_keep_a_wrong_publication_back(definitions: dg.Definitions) -> None:
    """Every published table is held to the contract, and a failure stops the swap."""
    graph = definitions.resolve_asset_graph()
    blocking = {(key.asset_key.to_user_string(), key.name) for key in graph.asset_check_keys if graph.get(key).blocking}

    assert {(table, "keeps_the_contract") for table in ASSETS["published"]} <= blocking
    assert {("published/rankings", "has_not_shrunk"), ("published/rankings", "profile_is_ranked")} <= blocking


def test_every_source_table_is_checked(definitions: dg.Definitions) -> None:
    """Newest payload, age and refused rows, for each."""
    checked = {(key.asset_key.to_user_string(), key.name) for key in definitions.resolve_asset_graph().asset_check_keys}
    shared = {"core/observations", "core/quarantine", "core/source_loads"}

    for table in (ASSETS["sources"] | ASSETS["outcomes"]) - shared:
        assert {(table, "newest_payload_used"), (table, "is_fresh"), (table, "few_rows_refused")} <= checked


def test_schedules_keep_their_rhythm_and_run_by_default(definitions: dg.Definitions) -> None:
    """And each starts a job that exists."""
    repository = definitions.get_repository_def()

    assert {one.name: one.cron_schedule for one in repository.schedule_defs} == SCHEDULES
    assert {one.execution_timezone for one in repository.schedule_defs} == {"UTC"}
    for schedule in repository.schedule_defs:
        assert repository.get_job(schedule.job_name).name == schedule.job_name


@pytest.mark.parametrize(("has_key", "status"), [(True, "RUNNING"), (False, "STOPPED")])
def test_endpoints_are_asked_only_with_a_key(has_key: bool, status: str) -> None:
    """Without one there is nothing to fetch; all else runs either way."""
    statuses = {one.name: one.default_status.value for one in automation.schedules(has_key)}

    assert statuses.pop("refresh_endpoints_schedule") == status
    assert set(statuses.values()) == {"RUNNING"}


def test_a_rhythm_of_ones_own_takes_the_place_of_the_usual() -> None:
    """A named job follows it, endpoints even without a key; `off` leaves a job to be switched on; others stay."""
    own = settings.load({"ORCHESTRATOR_SCHEDULES": "refresh_endpoints = */5 * * * *; prune=off;"}).schedules
    made = {one.name: (one.cron_schedule, one.default_status.value) for one in automation.schedules(False, own)}

    assert made["refresh_endpoints_schedule"] == ("*/5 * * * *", "RUNNING")
    assert made["prune_schedule"] == (SCHEDULES["prune_schedule"], "STOPPED")
    assert made["refresh_openrouter_schedule"] == (SCHEDULES["refresh_openrouter_schedule"], "RUNNING")
    assert [one.minimum_interval_seconds for one in automation.sensors({"stale_publication": "60"})] == [60]
    assert [one.default_status.value for one in automation.sensors({"stale_publication": "off"})] == ["STOPPED"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prune", "job=when"),
        ("prune=", "job=when"),
        ("prune=hourly", "no rhythm"),
        ("prune=61 * * * *", "no rhythm"),
        ("prunes=off", "it takes refresh_openrouter"),
        ("stale_publication=* * * * *", "seconds"),
        ("stale_publication=0", "seconds"),
    ],
)
def test_a_rhythm_that_cannot_be_read_is_refused(text: str, told: str) -> None:
    """In one line that says what would do."""

    def read() -> None:
        own = settings.load({"ORCHESTRATOR_SCHEDULES": text}).schedules
        automation.schedules(True, own)
        automation.sensors(own)

    with pytest.raises(settings.SettingError, match=told):
        read()


def test_a_job_that_has_not_finished_is_not_asked_for_again(tmp_path: Path) -> None:
    """Or the queue of a slow machine would grow without end."""
    schedule = next(one for one in automation.schedules(True) if one.job_name == "prune")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:

        def ask() -> tuple[int, str | None]:
            answer = schedule.evaluate_tick(dg.build_schedule_context(instance, dt.datetime.now(dt.UTC)))
            return len(answer.run_requests or ()), answer.skip_message

        first = ask()
        run = instance.create_run_for_job(automation.prune, status=dg.DagsterRunStatus.STARTED)
        while_it_waits = ask()
        instance.report_run_canceled(run)

        assert (first, while_it_waits, ask()) == (
            (1, None),
            (0, "The last run of this job has not finished."),
            (1, None),
        )


def test_the_sensor_watches_by_default(definitions: dg.Definitions) -> None:
    """One sensor, which asks for the whole refresh."""
    (sensor,) = definitions.get_repository_def().sensor_defs

    assert sensor.name == "stale_publication"
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert [target.job_name for target in sensor.targets] == ["refresh"]


def test_every_rhythm_ends_in_a_publication(definitions: dg.Definitions) -> None:
    """What was fetched is linked, ranked and published in the same run."""
    repository = definitions.get_repository_def()
    for name in SCHEDULES:
        job = repository.get_job(repository.get_schedule_def(name).job_name)
        if job.name != "prune":
            assert "published" in job.graph.node_dict, job.name
            assert "rankings" in job.graph.node_dict, job.name


def columns_shown(noted: dict[str, Any]) -> set[str]:
    """Names of the columns that an asset's page shows."""
    schema = noted["dagster/column_schema"]
    return {column.name for column in getattr(schema, "schema", schema).columns}


@pytest.mark.integration
def test_what_a_run_noted_is_what_a_reader_wants(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and columns with their meanings for every asset; plots; and column lineage into the publication."""
    monkeypatch.setenv("DAGSTER_HOME", str(home / "dagster"))
    bare: list[str] = []
    found: dict[str, dict[str, Any]] = {}
    specs = {spec.key: spec for spec in build_definitions().resolve_all_asset_specs()}
    with dg.DagsterInstance.get() as instance:
        for key, spec in specs.items():
            event = instance.get_latest_materialization_event(key)
            assert event is not None, key
            assert event.asset_materialization is not None
            noted = {**spec.metadata, **event.asset_materialization.metadata}
            found[key.to_user_string()] = noted
            schema = noted.get("dagster/column_schema")
            columns = getattr(schema, "schema", schema)
            if columns is None or not isinstance(noted["dagster/row_count"].value, int):
                bare.append(key.to_user_string())
            else:
                bare += [f"{key.to_user_string()}.{one.name}" for one in columns.columns if not one.description]

    assert bare == []
    assert "data:image/svg+xml" in found["ranking/rankings"]["quality_and_cost"].value
    assert Path(found["ranking/rankings"]["latencies_large"].value).exists()
    lineage = found["published/rankings"]["dagster/column_lineage"].value.deps_by_column
    assert lineage["score"] == [dg.TableColumnDep(dg.AssetKey(["ranking", "rankings"]), "score")]
    traced = {key: noted["dagster/column_lineage"].value for key, noted in found.items()
              if "dagster/column_lineage" in noted}  # fmt: skip
    shown = {key: columns_shown(noted) for key, noted in found.items()}
    untraced = {key for key in found if not key.startswith("core/")} - set(traced)
    assert untraced == {"entity/changes", "ranking/profiles", "ranking/signals"}
    unknown = [
        f"{key}.{column} < {dep.asset_key.to_user_string()}.{dep.column_name}"
        for key, told in traced.items()
        for column, deps in told.deps_by_column.items()
        for dep in deps
        if column not in shown[key] or dep.column_name not in shown.get(dep.asset_key.to_user_string(), ())
    ]
    assert unknown == []


@pytest.mark.integration
def test_the_workspace_loads_from_any_folder(tmp_path: Path) -> None:
    """`dagster definitions validate`, as a deployment's check."""
    command = [str(Path(sys.executable).with_name("dagster")), "definitions", "validate"]
    env = {**environment(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH")]))}
    (tmp_path / "dagster").mkdir()
    done = subprocess.run(
        [*command, "--workspace", str(ROOT / "workspace.yaml")],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
