"""The whole recorded market, from payload files to publication: what is ranked, how well, and where it came from."""

from __future__ import annotations

import datetime as dt
import math
import os
import random
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from pipeline.automation import REFRESH_JOB_NAME
from pipeline.definitions import build_definitions
from pipeline.entities import pins, read, resolve
from pipeline.rankings import __main__, backtest, configurations, evaluate, history, quality, tables
from pipeline.rankings.profile import load
from pipeline.rankings.typical_calls import BANDS
from tests.conftest import RECORDINGS, needs_recordings
from warehouse import sql
from warehouse.connect import open_reader
from warehouse.locations import Locations

pytestmark = [pytest.mark.performance, needs_recordings]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locations]:
    """A refresh from the full recordings, in a directory of its own."""
    data = tmp_path_factory.mktemp("market")
    before = dict(os.environ)
    os.environ["ORCHESTRATOR_DATA_DIR"] = str(data)
    for name in ("DATABASE_URL", "ORCHESTRATOR_PROFILES_DIR", "ORCHESTRATOR_DATA_COLLECTION"):
        os.environ.pop(name, None)
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            job = build_definitions(directory=str(RECORDINGS)).resolve_job_def(REFRESH_JOB_NAME)
            assert job.execute_in_process(instance=instance, run_config={"loggers": {"terminal": {}}}).success
        yield Locations(published=data / "orchestrator.duckdb", data_dir=data)
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def published(market: Locations) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_reader(market.published) as connection:
        connection.execute("SET search_path = 'published'")
        yield connection


def test_quality_is_estimated_as_well_as_documented(market: Locations) -> None:
    with open_reader(market.build) as connection:
        evidence = tables.read_evidence(connection)
        rungs = configurations.build(tables.read_models(connection), evidence)
        first_published = tables.read_first_published(connection)
    data, terms = evaluate.rated(rungs), quality.terms()
    lines = evaluate.hidden_fifths(data, terms)
    by_name = {line.name: line for line in lines}
    linear = next(i for i, line in enumerate(lines) if line.name.startswith("a line on intelligence index"))
    efforts, other_efforts = evaluate.hidden_efforts(rungs)
    new, *_ = evaluate.hidden_by_time(data, terms, first_published, dt.date(2026, 6, 1))

    assert by_name["this model"].spearman >= 0.96
    assert by_name["this model"].mean_absolute_error <= 20
    assert all(0.8 <= (line.coverage or 0) <= 0.99 for name, line in by_name.items() if name.startswith("  rated"))
    assert lines[linear + 1].mean_absolute_error <= 18
    assert 0.85 <= (by_name["this model"].coverage or 0) <= 0.95
    assert lines[linear + 1].mean_absolute_error < lines[linear].mean_absolute_error
    assert efforts.mean_absolute_error <= other_efforts.mean_absolute_error / 2
    assert 0.85 <= (efforts.coverage or 0) <= 0.95
    in_category, by_mean_offset, *_ = evaluate.hidden_categories(rungs, evidence)
    assert in_category.mean_absolute_error <= 0.7 * by_mean_offset.mean_absolute_error
    assert 0.85 <= (in_category.coverage or 0) <= 0.95
    assert new.spearman >= 0.85
    # 84 rows, so one is 1.2 %.
    assert 0.84 <= (new.coverage or 0) <= 0.96


def test_nearly_every_callable_model_has_quality_time_and_cost(published: duckdb.DuckDBPyConnection) -> None:
    ((share, models),) = published.execute(
        """
        SELECT avg((ranked.model_id IS NOT NULL)::INT), count(*)
        FROM (
            SELECT DISTINCT model_id FROM offers
            WHERE is_callable AND NOT is_free AND NOT coalesce(may_train_on_prompts, false)
        )
        LEFT JOIN (
            SELECT DISTINCT model_id FROM rankings
            WHERE quality IS NOT NULL AND latency_ms IS NOT NULL AND cost_in_usd_per_call IS NOT NULL
        ) AS ranked USING (model_id)
        """
    ).fetchall()

    assert models > 250
    assert share >= 0.95


def test_the_command_says_how_many_are_covered_and_names_the_rest(market: Locations) -> None:
    with open_reader(market.build) as connection:
        rows = connection.execute(sql.statement("ranking", "read_coverage")).fetchall()
        told = __main__.coverage(connection)
    missing = [(model_id, reason) for model_id, is_complete, reason in rows if not is_complete]
    ours = [model_id for model_id, reason in missing if not reason.endswith("let in")]

    assert len(ours) <= 0.05 * len(rows)
    assert all(model_id in told and reason in told for model_id, reason in missing)


def test_nothing_that_is_no_chat_model_is_ranked(published: duckdb.DuckDBPyConnection) -> None:
    odd = published.execute(
        "SELECT DISTINCT upstream_model FROM band_rankings JOIN offers USING (offer_id) "
        "WHERE upstream_model LIKE '%:batch' OR upstream_model LIKE '~%' OR upstream_model LIKE 'openrouter/%' "
        "OR upstream_model LIKE '%guard%' OR upstream_model LIKE '%image%' OR upstream_model LIKE '%embed%'"
    ).fetchall()

    assert odd == []


def test_the_quick_ones_do_not_think_for_a_minute(published: duckdb.DuckDBPyConnection) -> None:
    ((slowest_ms,),) = published.execute(
        "SELECT max(latency_ms) FROM rankings WHERE profile = 'speed' AND rank <= 10"
    ).fetchall()

    assert slowest_ms < 15_000


def test_efforts_of_one_model_rise_in_quality_and_time(published: duckdb.DuckDBPyConnection) -> None:
    rows = published.execute(
        "SELECT effort, quality, latency_ms FROM configurations WHERE model_id LIKE 'openai/gpt-5%6-luna' "
        "ORDER BY latency_ms"
    ).fetchall()

    assert [row[0] for row in rows] == ["none", "low", "medium", "high", "xhigh", "max"]
    assert rows[-1][1] > rows[0][1] + 30
    assert rows[-1][2] > 50 * rows[0][2]


def test_an_easy_prompt_goes_to_a_cheaper_model_than_a_hard_one(published: duckdb.DuckDBPyConnection) -> None:
    """The leaders of two bands, compared by what the same (medium) call costs and how good they are."""
    leaders = {
        band: (cost, quality)
        for band, cost, quality in published.execute(
            "SELECT band.difficulty_band, medium.cost_in_usd_per_call, medium.quality FROM band_rankings AS band "
            "JOIN rankings AS medium ON medium.profile = band.profile "
            "AND medium.offer_id = band.offer_id AND medium.effort IS NOT DISTINCT FROM band.effort "
            "WHERE band.profile = 'balanced' AND band.rank = 1"
        ).fetchall()
    }

    assert leaders["easy"][0] * 3 < leaders["hard"][0]
    assert leaders["easy"][1] < leaders["hard"][1]


def test_random_rows_of_the_rankings_lead_back_to_source_rows(published: duckdb.DuckDBPyConnection) -> None:
    """The walk that docs/formulas.md shows."""
    page = Path(__file__).resolve().parents[3] / "docs" / "formulas.md"
    walk = page.read_text(encoding="utf-8").split("```sql\n-- walk")[1].split("```")[0]
    walk = "-- walk" + walk
    rows = published.execute(
        "SELECT profile, rank, cost_in_usd_per_call, context_tokens FROM rankings ORDER BY profile, rank"
    ).fetchall()
    for profile, rank, cost, context in random.Random(5).sample(rows, 40):  # noqa: S311 - a repeatable choice
        trail = published.execute(walk, {"profile": profile, "rank": rank}).fetchall()
        by_signal: dict[str, list[float]] = {}
        for signal, value, *_ in trail:
            by_signal.setdefault(signal, []).append(value)

        assert set(by_signal) == {"quality", "latency", "throughput", "cost", "context", "reliability"}
        assert sum(by_signal["cost"]) == pytest.approx(cost, rel=1e-9)
        assert by_signal["context"] == [context]
        assert all(is_linked for *_, is_linked in trail), (profile, rank)


def test_random_rows_of_the_rankings_by_kind_lead_back_to_votes(published: duckdb.DuckDBPyConnection) -> None:
    """The second walk that docs/formulas.md shows; and the parts of a score follow from what it finds."""
    page = Path(__file__).resolve().parents[3] / "docs" / "formulas.md"
    walk = "-- walk by kind" + page.read_text(encoding="utf-8").split("```sql\n-- walk by kind")[1].split("```")[0]
    rows = published.execute(
        "SELECT profile, category, difficulty_band, rank, quality_score, caution FROM category_rankings "
        "JOIN profiles USING (profile) ORDER BY ALL"
    ).fetchall()
    seen = set()
    for profile, category, band, rank, success, caution in random.Random(5).sample(rows, 60):  # noqa: S311
        wanted = {"profile": profile, "category": category, "band": band, "rank": rank}
        trail = published.execute(walk, wanted).fetchall()
        quality, quality_sd, estimate, estimate_sd, _, basis = trail[0][:6]
        seen.add(basis)

        assert quality == estimate
        assert quality_sd >= estimate_sd
        assert basis != "rated" or trail[0][8] is not None, wanted
        if band != "hard":
            call = BANDS[band]
            logit = (call.difficulty - quality + caution * quality_sd) / call.points_per_logit
            assert success == pytest.approx(1 / (1 + math.exp(logit)), abs=1e-9)
    assert {"rated", "measured"} <= seen


def test_signals_of_rated_models_are_the_ratings_themselves(published: duckdb.DuckDBPyConnection) -> None:
    differing = published.execute(
        """
        SELECT signals.record_id, signals.metric_value, newest.value
        FROM signals
        JOIN (
            SELECT record_id, arg_max(value, observed_at) AS value
            FROM observations
            WHERE source = 'lmsys_arena' AND metric = 'rating' AND scope = 'text/overall'
            GROUP BY record_id
        ) AS newest USING (record_id)
        WHERE signals.basis = 'rated' AND abs(signals.metric_value - newest.value) > 0.01
        """
    ).fetchall()
    ((rated,),) = published.execute("SELECT count(*) FROM signals WHERE basis = 'rated'").fetchall()

    assert differing == []
    assert rated > 380


def test_the_recorded_history_is_replayed(market: Locations) -> None:
    """A choice costs some score against hindsight, and less than the fixed rules that a person would follow."""
    with open_reader(market.build) as connection:
        copy = history.with_bundled(connection)
        known, model_ids = read.records(connection), read.previous_ids(connection)
    past = history.read(copy, lambda names: resolve.resolve(names, known, model_ids, pins=pins.load()))
    balanced = next(p for p in load() if p.is_default)
    days = [dt.date(2025, 12, 2), dt.date(2026, 3, 10), dt.date(2026, 6, 20), dt.date(2026, 8, 22)]
    choices = backtest.replay(past, balanced, quality.terms(), days, floor=1350.0)
    by_strategy = {one.strategy: one for one in backtest.summarise(choices)}

    assert {choice.day for choice in choices} == set(days)
    assert min(choice.offers for choice in choices) > 150
    assert by_strategy[backtest.HINDSIGHT].regret == 0.0
    assert 0 < by_strategy[backtest.PROFILE].regret < by_strategy[backtest.TOP_RATED].regret
    assert by_strategy[backtest.PROFILE].regret < by_strategy[backtest.CHEAPEST].regret
    newest = [choice for choice in choices if choice.day == days[-1] and choice.strategy == backtest.PROFILE]
    with open_reader(market.published) as connection:
        first = connection.execute(
            "SELECT offer_id, effort FROM published.rankings WHERE profile = 'balanced' AND rank = 1"
        ).fetchall()
    assert [(choice.offer_id, choice.effort) for choice in newest] == first
