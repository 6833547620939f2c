"""What a refresh has changed is told, and nothing is told when nothing has."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import publish
from pipeline.rankings import tables
from tests.pipeline.rankings import small_world
from tests.pipeline.rankings.build_tables import NOW, insert
from tests.pipeline.rankings.conftest import rank
from warehouse.connect import open_writer
from warehouse.locations import Locations


@pytest.fixture
def places(tmp_path: Path) -> Locations:
    """The small market, published once, and its build file."""
    here = Locations(published=tmp_path / "orchestrator.duckdb", data_dir=tmp_path)
    staging = here.publications / ".staging-test.duckdb"
    marked = publish.stamp(NOW, "test")
    with open_writer(here.build) as connection:
        small_world.build(connection)
        rank(connection)
        tables.make_changes(connection, here.published, NOW)
        publish.stage(connection, staging, marked)
        connection.execute(f"DETACH {publish.CATALOG}")
    publish.put_in_place(staging, here, marked)
    return here


def changes(places: Locations, *statements: str) -> list[tuple[object, ...]]:
    """What changes when the build file is altered so and ranked again."""
    with open_writer(places.build) as connection:
        for statement in statements:
            connection.execute(statement)
        rank(connection)
        tables.make_changes(connection, places.published, NOW)
        return connection.execute(
            "SELECT kind, coalesce(offer_id, model_id), effort, profile, before, after, is_explained "
            "FROM ranking.changes ORDER BY ALL"
        ).fetchall()


def test_the_first_publication_has_nothing_to_compare_with(places: Locations) -> None:
    with open_writer(places.build) as connection:
        tables.make_changes(connection, places.data_dir / "none.duckdb", NOW)

        assert connection.execute("SELECT count(*) FROM ranking.changes").fetchall() == [(0,)]


def test_nothing_changed(places: Locations) -> None:
    assert changes(places) == []


def test_a_price_an_expiry_and_a_vanished_offer(places: Locations) -> None:
    found = changes(
        places,
        "UPDATE core.openrouter_listings SET price_out_usd_per_mtok = 4 WHERE openrouter_id = 'bolt/mid'",
        "UPDATE core.openrouter_listings SET expires_on = '2026-09-01' WHERE openrouter_id = 'acme/swift'",
        "DELETE FROM core.openrouter_listings WHERE openrouter_id = 'bolt/unpriced'",
    )

    assert [row for row in found if row[0] != "quality"] == [
        ("offer_expires", "openrouter:acme/swift", None, None, None, 10.0, True),
        ("offer_vanished", "openrouter:bolt/unpriced", None, None, None, None, True),
        ("price_out", "openrouter:bolt/mid", None, None, 3.0, 4.0, True),
    ]


def test_a_rating_that_jumps_beyond_its_interval(places: Locations) -> None:
    found = changes(places, "UPDATE core.lmsys_arena_ratings SET rating = 1600 WHERE model_name = 'mid'")

    assert ("quality", "bolt/mid") in {row[:2] for row in found}


def test_a_new_leader_names_its_former_rank_and_is_explained_by_its_price(places: Locations) -> None:
    found = changes(
        places,
        "UPDATE core.openrouter_listings SET price_in_usd_per_mtok = 0.0001, price_out_usd_per_mtok = 0.0001 "
        "WHERE openrouter_id LIKE 'acme/grand%'",
    )
    leaders = {row[3]: row for row in found if row[0] == "first_rank"}

    assert leaders["balanced"][1] == "openrouter:acme/grand"
    assert leaders["balanced"][4] > 1  # type: ignore[operator]
    assert all(row[-1] for row in leaders.values())


def test_an_appeared_offer(places: Locations) -> None:
    with open_writer(places.build) as connection:
        insert(connection, "core.openrouter_listings", [small_world.listing("bolt/mid:exacto", 2.0, 5.0)])
        insert(
            connection,
            "entity.model_records",
            [
                {
                    "source": "openrouter",
                    "record_id": "bolt/mid:exacto",
                    "model_id": "bolt/mid",
                    "match_probability": 1.0,
                    "match_reason": "exact",
                    "observed_at": NOW,
                }
            ],
        )

    assert ("offer_appeared", "openrouter:bolt/mid:exacto") in {row[:2] for row in changes(places)}
