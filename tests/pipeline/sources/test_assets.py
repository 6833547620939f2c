"""The sources as Dagster shows them: assets, checks, metadata, and when a run may fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipeline.automation import prune
from pipeline.resources import BuildDatabase, Clock
from pipeline.sources.assets import CHECKS, load_assets, load_sources, table_key
from pipeline.sources.load import SHARED
from pipeline.sources.payloads import PayloadStore
from tests.pipeline.sources.conftest import SMALL
from warehouse import sql

CLOCK = Clock(fixed_at="2026-08-03T12:00:00")


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads this machine's settings, upstreams or outcomes."""
    for name in ("OPENROUTER_API_KEY", "ARTIFICIAL_ANALYSIS_API_KEY", "HF_TOKEN", "ORCHESTRATOR_OFFLINE_MODE_ENABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(tmp_path))
    (tmp_path / "upstreams.toml").write_text("")
    monkeypatch.setenv("ORCHESTRATOR_UPSTREAMS", str(tmp_path / "upstreams.toml"))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Dagster's state, gone with the test."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def resources(tmp_path: Path, **store: Any) -> dict[str, Any]:
    return {
        "build": BuildDatabase(path=str(tmp_path / "build.duckdb")),
        "clock": CLOCK,
        "payloads": PayloadStore(**{"offline": True, "snapshot": "-", "cache": str(tmp_path / "cache"), **store}),
    }


Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def run(tmp_path: Path, instance: dg.DagsterInstance) -> Run:
    """Materialises all source assets, or those of the steps named."""

    def materialize(*steps: str, raises: bool = True, **store: Any) -> dg.ExecuteInProcessResult:
        assets: Sequence[dg.AssetsDefinition] = [
            asset for asset in load_assets() if not steps or asset.node_def.name in steps
        ]
        return dg.materialize(
            assets,
            resources=resources(tmp_path, **store),
            instance=instance,
            raise_on_error=raises,
        )

    return materialize


def checks(result: dg.ExecuteInProcessResult, table: str) -> dict[str, bool]:
    return {
        check.check_name: check.passed
        for check in result.get_asset_check_evaluations()
        if check.asset_key == table_key(table)
    }


def test_table_asset_and_sql_share_their_name() -> None:
    """Every asset `core/<table>` has its SQL file, its description, group, owner and kinds."""
    tables = {table.name for source in load_sources() for table in source.tables} | set(SHARED)
    specs = {spec.key.path[-1]: spec for asset in load_assets() for spec in asset.specs}

    assert set(specs) == tables
    for name, spec in specs.items():
        assert spec.key == table_key(name)
        assert f"core.{name}" in sql.statement("core", name)
        assert spec.description
        assert spec.owners == ["team:orchestrator"]
        assert "duckdb" in spec.kinds
        own = {"outcomes", "decisions", "feedback", "shadow_calls"}
        assert spec.group_name == ("outcomes" if name in own else "sources")


def test_one_source_a_file_and_every_payload_is_readable() -> None:
    """Names are unique where they are keys; a payload has a way to be had and someone to credit."""
    from pipeline.settings import load

    sources = load_sources()
    payloads = [(source.name, payload) for source in sources for payload in source.payloads(load({}))]

    assert len({source.step for source in sources}) == len(sources)
    assert len({(name, payload.name) for name, payload in payloads}) == len(payloads)
    for source in sources:
        for payload in source.payloads(load({})):
            assert payload.attribution
            assert payload.patterns or payload.addresses or payload.collect
            assert bool(payload.collect) == bool(payload.collected_from)
            assert set(payload.tables) <= {table.name for table in source.tables}


def test_a_run_tells_what_a_person_wants_to_know(run: Run) -> None:
    """Origin, age, rows in and refused and changed, columns with their meanings, and the source's page."""
    result = run(directory=str(SMALL))
    (event,) = [
        m
        for m in result.asset_materializations_for_node("openrouter")
        if m.asset_key == table_key("openrouter_listings")
    ]
    told = event.metadata

    assert result.success
    assert told["origin"].value == "directory"
    assert (told["rows_in"].value, told["rows_quarantined"].value, told["rows_changed"].value) == (13, 7, 13)
    assert told["dagster/row_count"].value == 13
    assert told["age_hours"].value == 36.0
    assert told["source"].value == "https://openrouter.ai/models"
    schema: Any = told["dagster/column_schema"].value
    assert all(column.description for column in schema.columns)
    assert event.tags is not None
    assert event.tags["dagster/data_version"].startswith("13-")


def test_every_column_of_every_table_says_what_it_means(run: Run) -> None:
    """In Dagster as in the database."""
    result = run(directory=str(SMALL))
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        schema: Any = materialization.metadata["dagster/column_schema"].value
        assert schema.columns
        assert [c.name for c in schema.columns if not c.description] == [], materialization.asset_key


def test_checks_warn_and_stop_nothing(run: Run, tmp_path: Path) -> None:
    """An unreadable newest file, stale data and many refused rows each fail their check; the run goes on."""
    folder = tmp_path / "from/openrouter"
    folder.mkdir(parents=True)
    good = {"id": "acme/a", "pricing": {"prompt": "0", "completion": "0"}}
    bad = {"id": "acme/b", "pricing": {"prompt": "-5", "completion": "0"}}
    (folder / "models-2026-07-01.json").write_text(json.dumps({"data": [good, bad]}))
    (folder / "models-2026-07-02.json").write_text("<html>")
    result = run("openrouter", directory=str(folder.parent))
    evaluations = result.get_asset_check_evaluations()

    assert result.success
    assert checks(result, "openrouter_listings") == dict.fromkeys(CHECKS, False)
    assert {check.severity for check in evaluations} == {dg.AssetCheckSeverity.WARN}


def test_a_good_run_passes_its_checks(run: Run, tmp_path: Path) -> None:
    """With fresh whole data nothing warns."""
    folder = tmp_path / "from/openrouter"
    folder.mkdir(parents=True)
    good = {"id": "acme/a", "pricing": {"prompt": "0", "completion": "0"}}
    (folder / "models-2026-08-03.json").write_text(json.dumps({"data": [good]}))

    assert checks(run("openrouter", directory=str(folder.parent)), "openrouter_listings") == dict.fromkeys(CHECKS, True)


def test_what_has_ended_does_not_age(run: Run) -> None:
    """The Open LLM Leaderboard stopped in 2025: a warning for ever would teach people to look away."""
    result = run("huggingface", directory=str(SMALL))

    assert checks(result, "huggingface_benchmarks")["is_fresh"]
    assert checks(result, "huggingface_repositories")["is_fresh"]


def test_nothing_at_all_fails_the_run_and_says_what_to_do(run: Run) -> None:
    """No network, no copy and no bundle: the ranking must not go on with nothing."""
    result = run("openrouter", raises=False)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    text = str(failure.step_failure_data.error)

    assert not result.success
    assert "openrouter_listings" in text
    assert "refresh --from" in text


def test_an_optional_source_may_hold_nothing(run: Run) -> None:
    """No key for it is no fault."""
    assert run("artificial_analysis", "upstream_listings", "outcomes", "openrouter_endpoints").success


def test_without_offline_mode_a_failed_source_fails_the_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ORCHESTRATOR_OFFLINE_MODE_ENABLED=false: rather no refresh than an old one. What is held stays."""
    folder = tmp_path / "from/openrouter"
    folder.mkdir(parents=True)
    good = {"id": "acme/a", "pricing": {"prompt": "0", "completion": "0"}}
    (folder / "models-2026-07-01.json").write_text(json.dumps({"data": [good]}))
    (folder / "models-2026-07-02.json").write_text("<html>")
    monkeypatch.setenv("ORCHESTRATOR_OFFLINE_MODE_ENABLED", "false")
    result = run("openrouter", raises=False, directory=str(folder.parent))
    with BuildDatabase(path=str(tmp_path / "build.duckdb")).writing() as connection:
        rows = connection.execute("SELECT openrouter_id FROM core.openrouter_listings").fetchall()

    assert not result.success
    assert rows == [("acme/a",)]


def test_the_shipped_snapshot_is_enough_to_begin_with(run: Run) -> None:
    """A fresh clone without a network fills every table that entities and rankings read."""
    result = run(snapshot="")
    rows = {
        event.step_materialization_data.materialization.asset_key.path[-1]: (
            event.step_materialization_data.materialization.metadata["dagster/row_count"].value
        )
        for event in result.get_asset_materialization_events()
    }

    assert result.success
    assert rows["openrouter_listings"] > 400
    assert rows["lmsys_arena_names"] > 390
    assert rows["huggingface_benchmarks"] > 4400
    assert rows["artificial_analysis_models"] > 500
    assert rows["openrouter_endpoints"] > 900
    assert rows["huggingface_repositories"] > 1500
    assert rows["observations"] > 50_000


def test_pruning_reports_what_it_removed(
    run: Run, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the history's own asset; a retention of 0 keeps everything."""
    run("openrouter", directory=str(SMALL))
    given = {name: resource for name, resource in resources(tmp_path).items() if name != "payloads"}
    found = {}
    for days in ("0", "30"):
        monkeypatch.setenv("ORCHESTRATOR_METRIC_RETENTION_DAYS", days)
        result = prune.execute_in_process(resources=given, instance=instance)
        found[days] = result.output_for_node("prune_metrics")
        reports = [event for event in result.all_events if event.event_type_value == "ASSET_OBSERVATION"]
    with BuildDatabase(path=str(tmp_path / "build.duckdb")).writing() as connection:
        prices = connection.execute(
            "SELECT value FROM core.observations WHERE record_id = 'acme/swift-1' AND metric = 'price_in_usd_per_mtok'"
        ).fetchall()
    metadata = reports[0].asset_observation_data.asset_observation.metadata

    assert found["0"] == 0
    assert found["30"] == metadata["rows_removed"].value > 0
    assert prices == [(0.5,)]
