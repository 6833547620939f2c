"""The entity assets write what the contract says, from whatever sources a build has, and keep ids between refreshes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipeline.entities import pins
from pipeline.entities.assets import ASSETS, DESCRIPTIONS
from pipeline.resources import BuildDatabase, Clock
from warehouse.connect import open_writer
from warehouse.published import TABLE_OF, Model, ModelAlias, ModelRecord

LISTINGS = """
CREATE OR REPLACE TABLE core.openrouter_listings AS
SELECT openrouter_id, canonical_slug, NULL::VARCHAR AS hugging_face_id, name,
  split_part(ltrim(openrouter_id, '~'), '/', 1) AS vendor,
  TIMESTAMP '2025-04-14' AS created_at, kind, alias_target, NULL::VARCHAR AS knowledge_cutoff,
  TIMESTAMP '2026-08-22' AS observed_at
FROM (VALUES
  ('openai/gpt-4.1', 'openai/gpt-4.1-2025-04-14', 'OpenAI: GPT-4.1', 'chat', NULL),
  ('openai/gpt-4.1:batch', 'openai/gpt-4.1-2025-04-14', 'OpenAI: GPT-4.1 (batch)', 'batch', NULL),
  ('openai/gpt-4.1-mini', 'openai/gpt-4.1-mini-2025-04-14', 'OpenAI: GPT-4.1 Mini', 'chat', NULL),
  ('~openai/gpt-latest', '~openai/gpt-latest', 'OpenAI: GPT Latest', 'alias', 'openai/gpt-4.1'),
  ('openrouter/auto', 'openrouter/auto', 'Auto Router', 'router', NULL)
) AS listed (openrouter_id, canonical_slug, name, kind, alias_target);
"""

NAMES = """
CREATE OR REPLACE TABLE core.lmsys_arena_names AS
SELECT model_name, 'OpenAI' AS organization, 'Proprietary' AS license, DATE '2025-12-01' AS first_published_on,
  DATE '2026-08-19' AS last_published_on, true AS is_current
FROM (VALUES ('gpt-4.1-2025-04-14'), ('gpt-4.1-mini-2025-04-14')) AS named (model_name);
"""


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build database with two sources; the others have no table at all."""
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(tmp_path))
    path = tmp_path / "build.duckdb"
    with open_writer(path) as connection:
        connection.execute("CREATE SCHEMA core")
        connection.execute(LISTINGS)
        connection.execute(NAMES)
    return path


def refresh(path: Path, moment: str = "2026-08-22T12:00:00+00:00") -> dg.ExecuteInProcessResult:
    """Materialise the entity assets."""
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            ASSETS,
            resources={"build": BuildDatabase(path=str(path)), "clock": Clock(fixed_at=moment)},
            instance=instance,
        )


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    """Answer of a query on the build database."""
    with open_writer(path) as connection:
        return connection.execute(query).fetchall()


def test_a_release_to_come_is_not_published(build: Path) -> None:
    """A listing dated ahead of the clock: the date is ignored, and said to be."""
    with open_writer(build) as connection:
        connection.execute("UPDATE core.openrouter_listings SET created_at = TIMESTAMP '2028-05-24'")
    result = refresh(build)

    assert rows(build, "SELECT count(*) FROM entity.models WHERE released_on > DATE '2026-08-22'") == [(0,)]
    metadata = result.asset_materializations_for_node("entities")
    (models,) = [m.metadata for m in metadata if m.asset_key.path[-1] == "models"]
    assert "openrouter:openai/gpt-4.1 states 2028-05-24" in str(models["first_dates_ignored"].value)


def test_records_become_models_with_aliases(build: Path) -> None:
    """Batch and dated names join; the moving alias leads to its target's model; a router stays alone."""
    result = refresh(build)

    assert result.success
    model_of = dict(rows(build, "SELECT source || ':' || record_id, model_id FROM entity.model_records"))
    assert model_of["openrouter:openai/gpt-4.1"] == "openai/gpt-4.1"
    assert {model for record, model in model_of.items() if "mini" not in record and "auto" not in record} == {
        "openai/gpt-4.1"
    }
    assert model_of["lmsys_arena:gpt-4.1-mini-2025-04-14"] == "openai/gpt-4.1-mini"
    aliases = dict(rows(build, "SELECT alias, kind FROM entity.model_aliases WHERE model_id = 'openai/gpt-4.1'"))
    assert aliases["~openai/gpt-latest"] == "moving_alias"
    assert aliases["gpt-4.1-2025-04-14"] == "record"
    kinds = dict(rows(build, "SELECT model_id, kind FROM entity.models"))
    assert (kinds["openai/gpt-4.1"], kinds["openrouter/auto"]) == ("chat", "router")


def test_tables_are_what_the_contract_says(build: Path) -> None:
    """Column by column, keys unique, every record's model known."""
    refresh(build)

    tables = ((ModelRecord, "model_records"), (Model, "models"), (ModelAlias, "model_aliases"))
    for row, table in tables:
        wanted = [(column.name, column.sql_type) for column in TABLE_OF[row].columns if column.name != "offer_count"]
        held = rows(build, f"SELECT column_name, column_type FROM (DESCRIBE entity.{table})")
        assert held == wanted
        key = ", ".join(TABLE_OF[row].key)
        assert rows(build, f"SELECT {key} FROM entity.{table} GROUP BY ALL HAVING count(*) > 1") == []
    for table in ("model_records", "model_aliases"):
        lost = f"SELECT model_id FROM entity.{table} EXCEPT SELECT model_id FROM entity.models"
        assert rows(build, lost) == []
    reasons = {reason for (reason,) in rows(build, "SELECT DISTINCT match_reason FROM entity.model_records")}
    assert reasons <= {"pinned", "exact", "linked", "alone"}
    assert rows(build, "FROM entity.model_records WHERE match_probability NOT BETWEEN 0 AND 1") == []


def test_a_second_refresh_changes_nothing(build: Path) -> None:
    """The same input, the same rows, no change recorded."""
    refresh(build)
    before = rows(build, "FROM entity.model_records ORDER BY ALL")

    refresh(build, "2026-08-23T12:00:00+00:00")

    assert rows(build, "FROM entity.model_records ORDER BY ALL") == before
    assert rows(build, "FROM entity.changes") == []


def test_an_id_survives_the_record_it_was_named_after(build: Path) -> None:
    """The marketplace drops a model; its id and name for it stay with the record that is left."""
    refresh(build)
    with open_writer(build) as connection:
        connection.execute("DELETE FROM core.openrouter_listings WHERE openrouter_id = 'openai/gpt-4.1-mini'")

    refresh(build, "2026-08-23T12:00:00+00:00")

    query = "SELECT model_id FROM entity.model_records WHERE record_id = 'gpt-4.1-mini-2025-04-14'"
    assert rows(build, query) == [("openai/gpt-4.1-mini",)]


def test_every_asset_says_what_it_holds(build: Path) -> None:
    """Row counts, the review page and the chart, which exist."""
    result = refresh(build)
    seen = {event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
            for event in result.get_asset_materialization_events() if event.asset_key}  # fmt: skip

    assert set(seen) == {f"entity/{table}" for table in DESCRIPTIONS}
    assert all("dagster/row_count" in metadata for metadata in seen.values())
    pairs = seen["entity/pairs"]
    assert "Nearest to the threshold" in Path(str(pairs["review_page"].value)).read_text(encoding="utf-8")
    assert "data:image/svg+xml" in str(pairs["match_weights"].value)
    assert "](https://openrouter.ai/openai/" in str(pairs["links_to_review"].value)
    # No browser follows a link from a server to a file.
    assert [name for one in seen.values() for name, value in one.items() if "file://" in str(value.value)] == []


def test_a_pin_that_names_nobody_is_a_failed_check(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It warns and stops nothing."""
    lost = pins.Pin(("openrouter", "openai/gone"), ("openrouter", "openai/gpt-4.1"), True, "by hand")
    monkeypatch.setattr(pins, "load", lambda: pins.Pins((lost,)))

    result = refresh(build)

    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert result.success
    assert (checks["pins_name_known_records"], checks["no_cluster_contradicts_itself"]) == (False, True)


def test_a_build_without_any_source_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty tables, of the right shape."""
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(tmp_path))
    path = tmp_path / "build.duckdb"

    assert refresh(path).success
    assert rows(path, "SELECT count(*) FROM entity.models") == [(0,)]
