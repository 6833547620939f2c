"""What ends up in the build database: current rows, history, quarantine, and the state of every payload."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.resources import BuildDatabase
from pipeline.settings import Settings
from pipeline.settings import load as load_settings
from pipeline.sources import artificial_analysis, huggingface, lmsys_arena, openrouter, openrouter_endpoints
from pipeline.sources.assets import load_sources
from pipeline.sources.load import Report, append, load
from pipeline.sources.pruning import prune
from pipeline.sources.source import OBSERVATIONS, Source
from tests.conftest import RECORDINGS, needs_recordings
from tests.pipeline.sources.conftest import NOW, SMALL, FakeWeb, StoreMaker
from warehouse.connect import open_memory

Query = Callable[..., list[tuple[Any, ...]]]
Refresh = Callable[..., Report]

MODELS = "https://openrouter.ai/api/v1/models"


@pytest.fixture
def refresh(store: StoreMaker, build: BuildDatabase, settings: Settings) -> Refresh:
    """Loads a source from the small recordings, or from wherever the options say."""

    def run(source: Source, web: FakeWeb | None = None, now: dt.datetime = NOW, **options: Any) -> Report:
        if web is None and not options:
            options = {"directory": str(SMALL)}
        return load(source, store(web, **options), build, settings, now)

    return run


def catalogue(**prices: str) -> bytes:
    return json.dumps(
        {"data": [{"id": f"acme/{n}", "pricing": {"prompt": p, "completion": p}} for n, p in prices.items()]}
    ).encode()


def many(prompt: str) -> bytes:
    """A catalogue large enough to be one."""
    return catalogue(**{f"m{n}": prompt for n in range(60)})


# --- current rows


def test_all_sources_of_a_directory_fill_their_tables(refresh: Refresh, query: Query) -> None:
    """Every source's rows, its refusals with their payload, and where each came from."""
    for source in load_sources():
        refresh(source)

    assert query("SELECT count(*), count(DISTINCT openrouter_id) FROM core.openrouter_listings") == [(13, 13)]
    assert query("SELECT count(*) FROM core.openrouter_endpoints") == [(2,)]
    assert query("SELECT count(*) FROM core.lmsys_arena_ratings") == [(5,)]
    assert query("SELECT leaderboard, count(*) FROM core.huggingface_benchmarks GROUP BY 1 ORDER BY 1") == [
        ("v1", 2),
        ("v2", 4),
    ]
    assert query("SELECT count(*) FROM core.artificial_analysis_models") == [(2,)]
    assert query("SELECT source, count(*) FROM core.quarantine GROUP BY 1 ORDER BY 1") == [
        ("alpaca_eval", 2),
        ("artificial_analysis", 1),
        ("genai_prices", 1),
        ("hub_evaluations", 4),
        ("huggingface", 5),
        ("litellm_prices", 1),
        ("lmsys_arena", 3),
        ("lmsys_benchmarks", 3),
        ("models_dev", 2),
        ("openrouter", 10),
    ]
    assert query("SELECT DISTINCT origin FROM core.source_loads") == [("directory",)]
    assert query(
        "SELECT payload_reference, reason, row_json::JSON->>'id' FROM core.quarantine WHERE record_ref = 'acme/nan'"
    ) == [("openrouter/models-2026-08-02.json", "prompt price is 'NaN'", "acme/nan")]


def test_a_second_load_of_the_same_changes_nothing(refresh: Refresh, query: Query) -> None:
    """Same rows, same versions, same history."""
    first = {source.step: refresh(source) for source in load_sources()}
    before = query("SELECT * FROM core.observations ORDER BY ALL")
    second = {source.step: refresh(source) for source in load_sources()}

    for step, report in second.items():
        for name, table in report.tables.items():
            assert (step, name, table.rows_changed) == (step, name, 0)
            assert table.version == first[step].tables[name].version
    assert query("SELECT * FROM core.observations ORDER BY ALL") == before


def test_a_newer_catalogue_replaces_the_one_before(refresh: Refresh, query: Query) -> None:
    """Models that have gone are gone, and the number of changed rows is told."""
    refresh(openrouter.SOURCE, FakeWeb({MODELS: many("0.000001")}))
    prices = {**{f"m{n}": "0.000001" for n in range(59)}, "new": "0.000003"}
    report = refresh(openrouter.SOURCE, FakeWeb({MODELS: catalogue(**prices)}), now=NOW + dt.timedelta(hours=1))

    assert report.tables["openrouter_listings"].rows == 60
    assert report.tables["openrouter_listings"].rows_changed == 1
    assert query(
        "SELECT openrouter_id FROM core.openrouter_listings WHERE openrouter_id IN ('acme/m59', 'acme/new')"
    ) == [("acme/new",)]


def test_a_failed_refresh_keeps_rows_and_says_why(refresh: Refresh, query: Query) -> None:
    """The state of the payload carries the problem until a refresh succeeds."""
    refresh(openrouter.SOURCE, FakeWeb({MODELS: many("0.000001")}))
    report = refresh(openrouter.SOURCE, FakeWeb({MODELS: b"<html>"}), now=NOW + dt.timedelta(hours=1))
    failed = query("SELECT origin, observed_at, problem FROM core.source_loads WHERE payload = 'models'")
    refresh(openrouter.SOURCE, FakeWeb({MODELS: many("0.000002")}), now=NOW + dt.timedelta(hours=2))

    assert report.tables["openrouter_listings"].rows == 60
    assert failed == [("live", NOW, f"{MODELS}: an HTML page arrived instead of JSON")]
    assert query("SELECT origin, problem FROM core.source_loads WHERE payload = 'models'") == [("live", None)]


def test_what_expires_while_held_becomes_expired(refresh: Refresh, query: Query) -> None:
    """A month without a network does not make a dead model callable."""
    entry = {"id": "acme/short", "pricing": {"prompt": "0", "completion": "0"}, "expiration_date": "2026-08-10"}
    body = json.dumps({"data": [*json.loads(many("0.000001"))["data"], entry]}).encode()
    refresh(openrouter.SOURCE, FakeWeb({MODELS: body}))
    kind = "SELECT kind FROM core.openrouter_listings WHERE openrouter_id = 'acme/short'"
    before = query(kind)
    refresh(openrouter.SOURCE, offline=True, now=NOW + dt.timedelta(days=30))

    assert (before, query(kind)) == ([("chat",)], [("expired",)])


def test_a_leaderboard_that_fails_leaves_its_siblings(refresh: Refresh, query: Query, tmp_path: Path) -> None:
    """Subsets come from files of their own; one unreadable file costs one subset its news."""
    folder = tmp_path / "from/lmsys_arena"
    folder.mkdir(parents=True)
    shutil.copy(SMALL / "lmsys_arena/leaderboard-text-2026-08.json", folder / "leaderboard-text-2026-08.json")
    shutil.copy(SMALL / "lmsys_arena/leaderboard-text-2026-08.json", folder / "leaderboard-vision-2026-08.json")
    refresh(lmsys_arena.SOURCE, directory=str(folder.parent))
    (folder / "leaderboard-vision-2026-08.json").write_text("<html>")
    (folder / "leaderboard-text-2026-09.json").write_text('{"full":{"swift-2":{"rating":1500}}}')
    report = refresh(lmsys_arena.SOURCE, directory=str(folder.parent), now=NOW + dt.timedelta(days=40))

    assert query("SELECT subset, count(*) FROM core.lmsys_arena_ratings GROUP BY 1 ORDER BY 1") == [
        ("text", 1),
        ("vision", 5),
    ]
    assert list(report.problems) == ["vision"]


def test_names_outlive_their_ratings(refresh: Refresh, query: Query) -> None:
    """A name of any publication stays linkable, with its span and whether it is on a board now."""
    refresh(lmsys_arena.SOURCE)
    found = dict(query("SELECT model_name, (first_published_on::VARCHAR, is_current) FROM core.lmsys_arena_names"))

    assert found == {
        "swift-1": ("2026-06-28", True),
        "swift-1-high": ("2026-08-01", True),
        "oldie": ("2026-08-01", True),
        "oldie-chat": ("2026-08-01", False),
        "retired-1": ("2026-06-28", False),
        "Swift 1": ("2026-06-01", False),
        "Oldie (2024-05)": ("2026-06-01", False),
    }


def test_keys_to_other_sources_are_carried_over(refresh: Refresh, query: Query) -> None:
    """The newer payload lacks them; the older one's stand, and only the newer one's models do."""
    refresh(artificial_analysis.SOURCE)

    assert query(
        "SELECT slug, intelligence_index, openrouter_id, huggingface_id FROM core.artificial_analysis_models ORDER BY 1"
    ) == [("swift-1", 30.5, "acme/swift-1", "acme/Swift-1-Instruct"), ("swift-1-high", 41.5, None, None)]


def test_repositories_gather_what_several_payloads_know(refresh: Refresh, query: Query) -> None:
    """The newest known value of each column, and every mirror."""
    refresh(huggingface.SOURCE)

    assert query(
        "SELECT downloads, license, context_tokens, gguf_sources FROM core.huggingface_repositories "
        "WHERE huggingface_id = 'acme/Swift-1-Instruct'"
    ) == [(120000, "apache-2.0", 131072, ["mirror/Swift-1-Instruct-GGUF", "third/Swift-1-Instruct-GGUF"])]


def test_hosts_are_asked_for_chat_models_only(
    refresh: Refresh, store: StoreMaker, build: BuildDatabase, query: Query
) -> None:
    """Batch ids, aliases, routers, guards and what has expired are not worth a request."""
    refresh(openrouter.SOURCE)
    web = FakeWeb({})
    load(openrouter_endpoints.SOURCE, store(web), build, load_settings({"OPENROUTER_API_KEY": "key"}), NOW)
    chat = query("SELECT openrouter_id FROM core.openrouter_listings WHERE kind = 'chat' ORDER BY 1")

    assert web.asked == [f"{MODELS}/{name}/endpoints" for (name,) in chat]


# --- history


def test_history_tells_every_price_once_with_its_time(refresh: Refresh, query: Query) -> None:
    """From the change log, an older catalogue that still saw the second price, and the present one."""
    refresh(openrouter.SOURCE)
    prices = query(
        "SELECT value, observed_at::DATE::VARCHAR FROM core.observations "
        "WHERE record_id = 'acme/swift-1' AND metric = 'price_in_usd_per_mtok' ORDER BY observed_at"
    )

    assert prices == [(0.9, "2026-05-27"), (0.8, "2026-06-20"), (0.8, "2026-07-01"), (0.5, "2026-08-02")]


def test_hourly_refreshes_keep_the_ends_of_a_stretch(refresh: Refresh, query: Query) -> None:
    """Since when a price holds and when it was last seen; a price that comes back is a change again."""
    for hour, price in enumerate(["0.000001", "0.000001", "0.000001", "0.000002", "0.000001"]):
        refresh(openrouter.SOURCE, FakeWeb({MODELS: many(price)}), now=NOW + dt.timedelta(hours=hour))
    found = query(
        "SELECT value, date_diff('hour', ?, observed_at) FROM core.observations "
        "WHERE record_id = 'acme/m1' AND metric = 'price_in_usd_per_mtok' ORDER BY observed_at",
        [NOW],
    )

    assert found == [(1.0, 0), (1.0, 2), (2.0, 3), (1.0, 4)]


def test_ratings_are_dated_by_their_publication(refresh: Refresh, query: Query) -> None:
    """Three publications of one name, however they were spelled in the files."""
    refresh(lmsys_arena.SOURCE)
    found = query(
        "SELECT value, observed_at::DATE::VARCHAR FROM core.observations "
        "WHERE record_id = 'swift-1' AND metric = 'rating' AND scope = 'text/overall' ORDER BY observed_at"
    )

    assert found == [(1380.0, "2026-06-28"), (1388.5, "2026-08-01")]


def observed(*points: tuple[int, float]) -> pl.DataFrame:
    """A price of one model at hours."""
    rows = [("s", "r", "price", "", value, NOW + dt.timedelta(hours=hour), "live") for hour, value in points]
    return pl.DataFrame(rows, schema={**OBSERVATIONS, "origin": pl.String}, orient="row")


in_any_order = st.lists(st.sampled_from([1.0, 2.0]), min_size=1, max_size=8).flatmap(
    lambda values: st.permutations(list(enumerate(values)))
)


@given(in_any_order)
@hypothesis_settings(deadline=None, max_examples=20)
def test_history_is_true_in_whatever_order_it_is_read(points: list[tuple[int, float]]) -> None:
    """No row says what its payload did not, the newest payload's value is in force; read in time, it is exact."""
    connection = open_memory()
    connection.execute("CREATE SCHEMA core")
    query = "SELECT observed_at, value FROM core.observations ORDER BY observed_at"
    for point in points:
        append(connection, observed(point))
    late = connection.execute(query).fetchall()
    for point in points:
        append(connection, observed(point))
    again = connection.execute(query).fetchall()
    connection.execute("DELETE FROM core.observations")
    for point in sorted(points):
        append(connection, observed(point))
    in_time = connection.execute(query).fetchall()
    connection.execute("DELETE FROM core.observations")
    append(connection, observed(*points))
    at_once = connection.execute(query).fetchall()
    connection.close()
    said = {NOW + dt.timedelta(hours=hour): value for hour, value in points}

    for rows in (late, again):
        assert set(rows) <= set(said.items())
        assert rows[-1] == max(said.items())
    assert in_time == at_once
    for hour, value in points:
        assert [v for at, v in in_time if at <= NOW + dt.timedelta(hours=hour)][-1] == value


# --- pruning


def test_pruning_drops_what_is_old_but_never_the_last_word(build: BuildDatabase) -> None:
    """A price that has not changed for a year still holds."""
    day = dt.timedelta(days=1)
    rows = [
        ("openrouter", "a", "price_in_usd_per_mtok", "", value, NOW - age * day, "live")
        for value, age in ((3.0, 90), (2.0, 60), (1.0, 40))
    ]
    rows += [
        ("lmsys_arena", "b", "rating", s, 1400.0 + age, NOW - age * day, "live") for s in "xy" for age in (50, 20, 5)
    ]
    with build.writing() as connection:
        connection.execute(
            "CREATE TABLE core.observations (source VARCHAR, record_id VARCHAR, metric VARCHAR, scope VARCHAR, "
            "value DOUBLE, observed_at TIMESTAMP, origin VARCHAR)"
        )
        connection.executemany("INSERT INTO core.observations VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        removed = prune(connection, "observations", NOW - 30 * day)
        left = connection.execute("SELECT record_id, scope, value FROM core.observations ORDER BY ALL").fetchall()
        again = prune(connection, "observations", NOW - 30 * day)

    assert removed == [("lmsys_arena", "rating", 2), ("openrouter", "price_in_usd_per_mtok", 2)]
    assert left == [("a", "", 1.0), ("b", "x", 1405.0), ("b", "x", 1420.0), ("b", "y", 1405.0), ("b", "y", 1420.0)]
    assert again == []


# --- the bundled snapshot


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A snapshot of two listings, one of which expires, observed two days ago."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    at = NOW - dt.timedelta(days=2)
    row = dict.fromkeys(openrouter.LISTINGS)
    rows = [
        {**row, "openrouter_id": "acme/a", "kind": "chat", "price_in_usd_per_mtok": 1.0, "observed_at": at},
        {**row, "openrouter_id": "acme/b", "kind": "chat", "expires_on": at.date(), "observed_at": at},
    ]
    pl.DataFrame(rows, schema=dict(openrouter.LISTINGS)).write_parquet(folder / "openrouter_listings.parquet")
    pl.DataFrame(
        [
            {
                "source": "openrouter",
                "payload": "models",
                "origin": "directory",
                "reference": "openrouter/models.json",
                "sha256": "x",
                "observed_at": at,
                "loaded_at": at,
                "rows_loaded": 2,
                "rows_quarantined": 0,
                "problem": None,
                "attribution": "y",
            }
        ],
        schema_overrides={"problem": pl.String},
    ).write_parquet(folder / "source_loads.parquet")
    return folder


def test_an_empty_database_begins_with_the_bundle(refresh: Refresh, query: Query, bundle: Path) -> None:
    """With its own dates, its history, and what has expired since told apart."""
    report = refresh(openrouter.SOURCE, offline=True, snapshot=str(bundle))

    assert query("SELECT openrouter_id, kind FROM core.openrouter_listings") == [
        ("acme/a", "chat"),
        ("acme/b", "expired"),
    ]
    assert query("SELECT origin, reference, observed_at FROM core.source_loads") == [
        ("bundled", "warehouse/snapshot, from openrouter/models.json", NOW - dt.timedelta(days=2))
    ]
    assert query("SELECT value, origin FROM core.observations") == [(1.0, "bundled")]
    assert not report.problems


def test_a_bundle_never_replaces_what_is_newer(refresh: Refresh, query: Query, bundle: Path) -> None:
    """An upgrade of the program brings a newer bundle only to those whose data is older."""
    old = NOW - dt.timedelta(days=9)
    refresh(openrouter.SOURCE, FakeWeb({MODELS: many("0.000001")}), now=old)
    refresh(openrouter.SOURCE, offline=True, snapshot=str(bundle), cache=str(bundle / "none"))
    upgraded = query("SELECT count(*), min(origin) FROM core.openrouter_listings, core.source_loads")
    refresh(openrouter.SOURCE, FakeWeb({MODELS: many("0.000001")}), now=NOW)
    refresh(openrouter.SOURCE, offline=True, snapshot=str(bundle))

    assert upgraded == [(2, "bundled")]
    assert query("SELECT count(*), min(origin) FROM core.openrouter_listings, core.source_loads") == [(60, "live")]


def test_a_live_payload_adds_to_the_bundles_history(refresh: Refresh, query: Query, bundle: Path) -> None:
    """The first refresh with a network already has something to compare with."""
    web = FakeWeb({MODELS: catalogue(a="0.000002", **{f"m{n}": "0.000001" for n in range(60)})})
    refresh(openrouter.SOURCE, web, snapshot=str(bundle))

    assert query(
        "SELECT value, origin FROM core.observations WHERE record_id = 'acme/a' AND metric LIKE '%in_usd%' ORDER BY 2"
    ) == [
        (1.0, "bundled"),
        (2.0, "live"),
    ]


# --- the full recordings


@needs_recordings
def test_the_full_recordings_load_in_seconds(store: StoreMaker, build: BuildDatabase, query: Query) -> None:
    """Every count of the recorded payloads, and a history of a sane size."""
    for source in load_sources():
        load(source, store(directory=str(RECORDINGS)), build, load_settings({}), NOW + dt.timedelta(days=25))
    tables = ("openrouter_listings", "openrouter_endpoints", "artificial_analysis_models", "lmsys_arena_ratings")
    counts = [query(f"SELECT count(*) FROM core.{table}")[0][0] for table in tables]

    assert counts == [421, 1021, 610, 23263]
    assert query("SELECT count(DISTINCT model_name) FROM core.lmsys_arena_ratings WHERE subset = 'text'") == [(393,)]
    assert query(
        "SELECT leaderboard, count(*), count(DISTINCT huggingface_id) FROM core.huggingface_benchmarks "
        "GROUP BY 1 ORDER BY 1"
    ) == [("v1", 7169, 6811), ("v2", 4576, 4497)]
    assert 700 < query("SELECT count(*) FROM core.lmsys_arena_names")[0][0] < 1000
    assert query("SELECT count(*) FROM core.artificial_analysis_models WHERE openrouter_id IS NOT NULL")[0][0] > 290
    assert 100_000 < query("SELECT count(*) FROM core.observations")[0][0] < 300_000
    assert query("SELECT count(*) FROM core.observations WHERE isnan(value) OR value < 0 AND metric LIKE 'price%'") == [
        (0,)
    ]
    key = "source, record_id, metric, scope, observed_at"
    assert query(f"SELECT count(*) FROM (SELECT 1 FROM core.observations GROUP BY {key} HAVING count(*) > 1)") == [(0,)]
    assert query("SELECT source, count(*) FROM core.quarantine GROUP BY 1 ORDER BY 1") == [
        ("litellm_prices", 13),
        ("lmsys_arena", 4),
        ("models_dev", 2),
        ("openrouter", 3),
    ]
    events = query(
        "SELECT count(DISTINCT observed_at::DATE) FROM core.observations "
        "WHERE source = 'openrouter' AND metric = 'price_in_usd_per_mtok'"
    )
    assert events[0][0] > 50
    assert len(set(itertools.chain(*query("SELECT DISTINCT source FROM core.source_loads")))) == 7


def test_a_table_of_an_older_version_gets_its_new_columns(
    store: StoreMaker, build: BuildDatabase, query: Query
) -> None:
    """Nothing new arrives, and yet what is asked of the table can be answered."""
    source = next(source for source in load_sources() if source.name == "models_dev")
    load(source, store(directory=str(SMALL)), build, load_settings({}), NOW)
    with build.writing() as connection:
        connection.execute("ALTER TABLE core.models_dev_models DROP COLUMN price_image_usd")
    load(source, store(offline=True), build, load_settings({}), NOW)

    assert query("SELECT count(*) > 0, count(price_image_usd) FROM core.models_dev_models") == [(True, 0)]


def test_the_bundle_tells_which_rows_it_refused(build: BuildDatabase, query: Query, store: StoreMaker) -> None:
    """What `rows_quarantined` counts can be looked at, without the rows' own words."""
    for source in load_sources():
        if source.name in ("litellm_prices", "lmsys_arena"):
            load(source, store(offline=True, snapshot=""), build, load_settings({}), NOW)

    counted = query("SELECT source, sum(rows_quarantined) FROM core.source_loads GROUP BY 1 ORDER BY 1")
    held = query("SELECT source, count(*) FROM core.quarantine WHERE row_json = 'null' GROUP BY 1 ORDER BY 1")

    assert held == [("litellm_prices", 13), ("lmsys_arena", 4)]
    assert [(source, int(count)) for source, count in counted] == held
