"""A publication is swapped in whole or not at all, whatever happens on the way."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from pipeline import checks, publish
from pipeline.rankings import tables
from pipeline.rankings.assets import ASSETS as RANKING_ASSETS
from pipeline.resources import BuildDatabase, Clock
from tests.pipeline.rankings import small_world
from tests.pipeline.rankings.build_tables import NOW
from tests.pipeline.rankings.conftest import rank
from warehouse.connect import open_reader, open_writer
from warehouse.locations import Locations
from warehouse.published import (
    CONTRACT_VERSION,
    SCHEMA,
    TABLES,
    BandRanking,
    Model,
    Offer,
    Profile,
    Ranking,
    Signal,
    Snapshot,
    read,
)


@pytest.fixture(scope="module")
def ranked_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small market, ranked: a build file to copy."""
    file = tmp_path_factory.mktemp("ranked") / "build.duckdb"
    with open_writer(file) as connection:
        small_world.build(connection)
        rank(connection)
        tables.make_changes(connection, file.with_name("none.duckdb"), NOW)
    return file


@pytest.fixture
def places(ranked_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Locations:
    """A data directory of the test's own, with a ranked build file in it."""
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    here = Locations(published=tmp_path / "orchestrator.duckdb", data_dir=tmp_path)
    shutil.copyfile(ranked_build, here.build)
    return here


def run(*, fixed_at: str = "2026-08-22T12:00:00") -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            publish.ASSETS,
            resources={"build": BuildDatabase(), "clock": Clock(fixed_at=fixed_at)},
            instance=instance,
            raise_on_error=False,
        )


def failed_checks(result: dg.ExecuteInProcessResult) -> set[tuple[str, str]]:
    return {
        (check.asset_key.path[-1], check.check_name)
        for check in result.get_asset_check_evaluations()
        if not check.passed
    }


def execute(places: Locations, statement: str) -> None:
    with open_writer(places.build) as connection:
        connection.execute(statement)


def files(places: Locations) -> list[str]:
    return sorted(file.name for file in places.publications.iterdir())


def swap_in(places: Locations, publication_id: str) -> None:
    """Publish without Dagster."""
    staging = places.publications / ".staging-test.duckdb"
    marked = publish.Stamp(publication_id, NOW, "test")
    with open_writer(places.build) as connection:
        publish.stage(connection, staging, marked)
        connection.execute(f"DETACH {publish.CATALOG}")
    publish.put_in_place(staging, places, marked)


def gate(places: Locations) -> list[checks.Finding]:
    """What the gates would say of the build file as it is."""
    with open_writer(places.build) as connection:
        publish.stage(connection, places.publications / ".staging-gate.duckdb", publish.stamp(NOW, "test"))
        return checks.gate(connection, publish.CATALOG, places.published)


def test_every_table_is_published_and_can_be_read(places: Locations) -> None:
    result = run()

    assert result.success
    assert failed_checks(result) == set()
    rows = read(places.published, [Model, Offer, Ranking, BandRanking, Profile, Signal, Snapshot])
    assert len(rows[BandRanking]) == 3 * len(rows[Ranking]) > 0
    (snapshot,) = rows[Snapshot]
    assert (snapshot.contract_version, snapshot.built_at) == (CONTRACT_VERSION, NOW)
    assert snapshot.source_ages_s == {"lmsys_arena": 0.0, "openrouter": 0.0}
    assert {model.model_id: model.offer_count for model in rows[Model]}["acme/swift"] == 3


def test_the_path_is_a_relative_link_to_a_read_only_version(places: Locations) -> None:
    run()

    assert places.published.is_symlink()
    assert not places.published.readlink().is_absolute()
    assert places.published.resolve().stat().st_mode & 0o777 == 0o444
    assert files(places) == ["warehouse-20260822T120000000000Z.duckdb"]


def test_tables_and_columns_carry_their_meaning(places: Locations) -> None:
    swap_in(places, "one")
    with open_reader(places.published) as connection:
        tables = dict(connection.execute("SELECT table_name, comment FROM duckdb_tables()").fetchall())
        columns = dict(
            connection.execute(
                "SELECT table_name || '.' || column_name, comment FROM duckdb_columns() WHERE schema_name = ?", [SCHEMA]
            ).fetchall()
        )

    assert tables == {table.name: table.meaning for table in TABLES}
    assert columns == {f"{table.name}.{c.name}": c.meaning for table in TABLES for c in table.columns}


def test_the_last_five_stay(places: Locations) -> None:
    for number in range(7):
        swap_in(places, str(number))
        publish.drop_old(places)

    assert files(places) == [f"warehouse-{number}.duckdb" for number in range(2, 7)]
    assert places.published.resolve().name == "warehouse-6.duckdb"


def test_the_one_in_use_stays_however_old(places: Locations) -> None:
    for number in range(7):
        swap_in(places, str(number))
    places.published.unlink()
    places.published.symlink_to("publications/warehouse-0.duckdb")
    publish.drop_old(places)

    assert files(places) == [f"warehouse-{number}.duckdb" for number in (0, 2, 3, 4, 5, 6)]


def test_the_same_moment_twice_overwrites_nothing(places: Locations) -> None:
    swap_in(places, "now")
    swap_in(places, "now")

    assert len(files(places)) == 2


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("DELETE FROM ranking.offers", ("offers", "has_not_shrunk")),
        ("DELETE FROM ranking.rankings WHERE model_id LIKE '%i%'", ("rankings", "has_not_shrunk")),
        ("DELETE FROM ranking.rankings WHERE profile = 'speed'", ("rankings", "profile_is_ranked")),
        ("DELETE FROM ranking.band_rankings WHERE profile = 'speed' AND difficulty_band = 'easy'",
         ("rankings", "profile_is_ranked")),
        ("UPDATE ranking.rankings SET score = score / 2 WHERE rank = 3", ("rankings", "scores_add_up")),
        ("UPDATE ranking.rankings SET rank = 1 WHERE rank = 2", ("rankings", "keeps_the_contract")),
        ("UPDATE entity.models SET name = NULL WHERE model_id = 'bolt/mid'", ("models", "keeps_the_contract")),
        ("DELETE FROM entity.models WHERE model_id = 'bolt/mid'", ("offers", "every_offer_has_a_model")),
        ("UPDATE ranking.offers SET is_callable = false WHERE model_id = 'acme/grand'",
         ("rankings", "ranks_only_callable_offers")),
        ("UPDATE ranking.profiles SET is_default = true", ("profiles", "one_default_profile")),
    ],
)  # fmt: skip
def test_damage_is_found_before_it_is_published(places: Locations, damage: str, expected: tuple[str, str]) -> None:
    swap_in(places, "before")
    execute(places, damage)

    assert expected in {(f.table, f.check) for f in gate(places) if not f.passed}


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("DELETE FROM ranking.rankings WHERE model_id = 'bolt/mid'", "callable_offer_is_unranked"),
        ("UPDATE ranking.signals SET record_id = 'gone' WHERE signal = 'quality'", "signal_names_a_known_record"),
        ("UPDATE core.source_loads SET problem = 'timed out' WHERE source = 'openrouter'", "source_is_old"),
        (
            "UPDATE ranking.offers SET price_out_usd_per_mtok = 0 WHERE record_id = 'bolt/mid' AND upstream = "
            "'openrouter'; INSERT INTO core.observations VALUES "
            "('openrouter', 'bolt/mid', 'price_out_usd_per_mtok', '', 3.0, '2026-08-01', 'directory')",
            "price_fell_to_zero",
        ),
        (
            "INSERT INTO ranking.changes VALUES ('first_rank', 'bolt/mid', 'x', NULL, 'speed', 2, 1, 'rank', false)",
            "leader_changed_unexplained",
        ),
    ],
)
def test_a_warning_names_what_it_found(places: Locations, damage: str, expected: str) -> None:
    execute(places, damage)
    swap_in(places, "one")
    with open_reader(places.published) as connection:
        connection.execute(f"SET search_path = '{SCHEMA}'")
        findings = [checks.run(connection, check) for check in checks.SQL_CHECKS if check.severity == "warn"]

    assert [finding.check for finding in findings if not finding.passed] == [expected]


def test_a_damaged_warehouse_is_not_published(places: Locations) -> None:
    run()
    before = places.published.resolve()
    execute(places, "DELETE FROM ranking.offers")
    result = run(fixed_at="2026-08-22T13:00:00")

    assert not result.success
    assert ("offers", "has_not_shrunk") in failed_checks(result)
    assert places.published.resolve() == before
    assert files(places) == [before.name]


def test_a_file_of_the_users_own_is_left_alone(places: Locations) -> None:
    places.published.write_text("mine")
    result = run()

    assert not result.success
    (failure,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    assert "is a file of its own" in failure.event_specific_data.error.message  # type: ignore[union-attr]
    assert places.published.read_text() == "mine"


def test_leavings_of_a_stopped_publisher_are_removed(places: Locations) -> None:
    places.publications.mkdir()
    (places.publications / ".staging-1-x.duckdb").write_text("half")
    (places.publications / ".staging-1-x.duckdb.wal").write_text("half")
    (places.data_dir / ".orchestrator.duckdb.1.link").symlink_to("nowhere")
    run()

    assert len(files(places)) == 1
    assert not list(places.data_dir.glob(".*.link"))


def test_a_reader_keeps_its_publication_while_a_new_one_comes(places: Locations) -> None:
    swap_in(places, "old")
    with open_reader(places.published) as connection:
        swap_in(places, "new")
        held = connection.execute(f"SELECT publication_id FROM {SCHEMA}.snapshot").fetchall()

    assert held == [("old",)]
    assert read(places.published, [Snapshot])[Snapshot][0].publication_id == "new"


def test_an_unreadable_last_publication_does_not_stop_the_next(places: Locations) -> None:
    places.publications.mkdir()
    broken = places.publications / "warehouse-0.duckdb"
    broken.write_text("not a database")
    places.published.symlink_to(broken)

    assert run().success


def test_every_sql_check_passes_on_a_sound_publication(places: Locations) -> None:
    swap_in(places, "one")
    with open_reader(places.published) as connection:
        connection.execute(f"SET search_path = '{SCHEMA}'")
        for check in checks.SQL_CHECKS:
            assert checks.run(connection, check).passed, check.name


def test_a_check_file_without_a_header_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "nameless.sql"
    file.write_text("SELECT 1")

    with pytest.raises(checks.CheckFileError, match="must begin with"):
        checks.read(file)


def test_rankings_and_publication_in_one_run(places: Locations) -> None:
    execute(places, "DROP SCHEMA ranking CASCADE")
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [*RANKING_ASSETS, *publish.ASSETS, *checks.CHECKS],
            resources={"build": BuildDatabase(), "clock": Clock(fixed_at="2026-08-22T12:00:00")},
            instance=instance,
        )

    assert result.success
    assert failed_checks(result) == set()
    rankings = result.asset_materializations_for_node("rankings")[0]
    assert "acme/grand" in str(rankings.metadata["first_ten_quality"].value)


PUBLISHER = textwrap.dedent(
    """
    import datetime as dt, itertools, sys
    from pathlib import Path
    from pipeline import publish
    from warehouse.connect import open_writer
    from warehouse.locations import Locations

    data = Path(sys.argv[1])
    places = Locations(published=data / "orchestrator.duckdb", data_dir=data)
    with open_writer(places.build) as connection:
        for number in itertools.count():
            publish.clear_leftovers(places)
            marked = publish.stamp(dt.datetime.now(dt.UTC).replace(tzinfo=None), str(number))
            staging = places.publications / f".staging-{number}.duckdb"
            publish.stage(connection, staging, marked)
            connection.execute("DETACH publication")
            publish.put_in_place(staging, places, marked)
            publish.drop_old(places)
            print("published", flush=True)
    """
)


@pytest.mark.integration
def test_killed_at_any_moment_leaves_the_last_publication(places: Locations) -> None:
    """Readers open the one path all the time; a publisher is killed over and over, and none of them ever notices."""
    swap_in(places, "first")
    faults: list[str] = []
    reads = 0
    stop = threading.Event()

    def keep_reading() -> None:
        nonlocal reads
        while not stop.is_set():
            try:
                rows = read(places.published, [Ranking, Snapshot])
                if not rows[Ranking] or len(rows[Snapshot]) != 1:
                    faults.append("an empty publication")
            except Exception as error:  # whatever a reader may meet is what this test is about
                faults.append(repr(error))
            reads += 1

    reader = threading.Thread(target=keep_reading)
    reader.start()
    try:
        for moment in _moments():
            process = subprocess.Popen(
                [sys.executable, "-c", PUBLISHER, str(places.data_dir)], stdout=subprocess.PIPE, text=True
            )
            assert process.stdout is not None
            with process.stdout:
                # Past its start, then somewhere in the middle of the next publications.
                assert process.stdout.readline() == "published\n"
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(timeout=moment)
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
    finally:
        stop.set()
        reader.join()

    assert faults == []
    assert reads > 20
    assert run(fixed_at="2099-01-01T00:00:00").success
    assert not list(places.publications.glob(".staging-*"))


def _moments() -> Iterator[float]:
    drawn = random.Random(20260822)  # noqa: S311 - a repeatable spread of moments, nothing secret
    for _ in range(8):
        yield drawn.uniform(0.0, 0.25)
