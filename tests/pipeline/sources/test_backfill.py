"""The history filled in from files of former days, as a person asks for it in Dagster's UI: by day, in any order."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipeline.automation import REFRESH_JOB_NAME
from pipeline.definitions import build_definitions
from pipeline.resources import BuildDatabase, Clock
from pipeline.settings import load as load_settings
from pipeline.sources import backfill
from tests.pipeline.sources.conftest import NOW, SMALL

Rows = list[tuple[Any, ...]]

HISTORY = "SELECT * FROM core.observations ORDER BY ALL"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of dated files of the test's own."""
    return Path(shutil.copytree(SMALL, tmp_path / "recordings"))


def fill(folder: Path, build: BuildDatabase, day: str) -> dg.ExecuteInProcessResult:
    """One partition, as the UI's button does it."""
    resources = {"build": build, "clock": Clock(fixed_at=NOW.isoformat())}
    (asset,) = backfill.assets(folder, load_settings({}))
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize([asset], resources=resources, partition_key=day, instance=instance)


def history(build: BuildDatabase) -> Rows:
    with build.writing() as connection:
        return connection.execute(HISTORY).fetchall()


def test_every_day_a_file_is_of_is_a_partition(folder: Path) -> None:
    """As its name says: a day, or a month where it names no day; files without a date are of today."""
    days = backfill.recordings(folder, load_settings({}))
    listed = {day: {str(one.path.relative_to(folder)) for one in found} for day, found in days.items()}

    assert list(listed) == sorted(listed)
    assert "openrouter/models-2026-07.json" in listed["2026-07"]
    assert "openrouter/models-2026-08-02.json" in listed["2026-08-02"]
    assert listed["2026-07-01"] == {
        "artificial_analysis/llms-2026-07-01.json",
        "lmsys_arena/arena_text-2026-07-01.json",
    }
    assert not any("upstreams/" in name or "complete" in name for names in listed.values() for name in names)


def test_a_day_fills_the_history_and_again_adds_nothing(folder: Path, build: BuildDatabase) -> None:
    """Prices and ratings of that day, dated by it, or by the day a leaderboard says that it was made."""
    first = fill(folder, build, "2026-07-01")
    rows = history(build)
    fill(folder, build, "2026-07-01")
    (noted,) = (event.step_materialization_data.materialization for event in first.get_asset_materialization_events())

    assert first.success
    assert noted.partition == "2026-07-01"
    assert noted.metadata["dagster/row_count"].value == len(rows) > 0
    assert {row[0] for row in rows} == {"artificial_analysis", "lmsys_arena"}
    assert {row[5] for row in rows} == {dt.datetime(2026, 7, 1), dt.datetime(2026, 6, 28)}
    assert {row[6] for row in rows} == {"directory"}
    assert history(build) == rows


def test_days_may_be_filled_in_any_order(folder: Path, tmp_path: Path) -> None:
    """The newest value of every series is the same, and each day's is what its file says."""
    days = ["2026-07", "2026-07-01", "2026-08-02"]
    found = []
    for number, order in enumerate((days, days[::-1])):
        build = BuildDatabase(path=str(tmp_path / f"{number}.duckdb"))
        for day in order:
            assert fill(folder, build, day).success
        found.append(history(build))

    assert all(rows == found[0] for rows in found)


def test_a_file_that_cannot_be_read_costs_itself_only(folder: Path, build: BuildDatabase) -> None:
    """The rest of the day is in, and the check says which file and why."""
    (folder / "lmsys_arena" / "arena_text-2026-07-01.json").write_text("<html>")

    result = fill(folder, build, "2026-07-01")
    (check,) = result.get_asset_check_evaluations()

    assert result.success
    assert {row[0] for row in history(build)} == {"artificial_analysis"}
    assert not check.passed
    assert "lmsys_arena/arena_text-2026-07-01.json" in (check.description or "")


def test_what_pruning_will_take_again_is_said(
    folder: Path, build: BuildDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that nobody fills in a year and wonders next morning."""
    told = {}
    for kept in ("0", "30"):
        monkeypatch.setenv("ORCHESTRATOR_METRIC_RETENTION_DAYS", kept)
        (event,) = fill(folder, build, "2026-07-01").get_asset_materialization_events()
        told[kept] = event.step_materialization_data.materialization.metadata["gone_at_the_next_pruning"].value

    assert told["0"] == 0
    assert told["30"] == len(history(build))


def test_the_ui_offers_it_where_there_are_files(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only then, upstream of the history, and no refresh or schedule starts it."""
    key = dg.AssetKey(["core", backfill.NAME])
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(tmp_path / "empty"))
    without = build_definitions().resolve_asset_graph()
    monkeypatch.setenv("ORCHESTRATOR_HISTORY_DIR", str(folder))
    definitions = build_definitions()
    graph = definitions.resolve_asset_graph()
    jobs = [job for job in definitions.get_repository_def().get_all_jobs() if not job.name.startswith("__")]

    assert not without.has(key)
    assert graph.get(key).child_keys == {dg.AssetKey(["core", "observations"])}
    assert "2026-07-01" in graph.get(key).partitions_def.get_partition_keys()  # type: ignore[union-attr]
    assert REFRESH_JOB_NAME in {job.name for job in jobs}
    assert [job.name for job in jobs if key in job.asset_layer.executable_asset_keys] == []
