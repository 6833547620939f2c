"""From source tables to rankings, on a small market whose right order is known."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pytest

from pipeline.rankings import tables
from tests.pipeline.rankings.build_tables import NOW, insert
from tests.pipeline.rankings.conftest import rank


def column(connection: duckdb.DuckDBPyConnection, query: str) -> list[object]:
    return [row[0] for row in connection.execute(query).fetchall()]


def test_only_current_chat_offers_can_be_called(ranked: duckdb.DuckDBPyConnection) -> None:
    refused = dict(
        ranked.execute(
            "SELECT upstream_model, not_callable_reason FROM ranking.offers WHERE NOT is_callable"
        ).fetchall()
    )

    assert {name: reason.split(":")[0] for name, reason in refused.items()} == {
        "acme/swift:batch": "batch only",
        "~acme/latest": "a moving alias",
        "bolt/old": "expired on 2026-08-01",
        "crest/guard": "a guard model",
        "crest/paint": "not a chat model",
        "openrouter/auto": "a router of the upstream, not a model",
        "embed": "an embedding model",
    }


def test_the_window_is_the_smaller_of_model_and_endpoint(ranked: duckdb.DuckDBPyConnection) -> None:
    assert column(ranked, "SELECT context_tokens FROM ranking.offers WHERE upstream_model = 'bolt/mid'") == [262_144]


def test_free_and_contributor_tiers_are_left_out_unless_allowed(world: duckdb.DuckDBPyConnection) -> None:
    query = "SELECT DISTINCT offer_id FROM ranking.rankings"
    rank(world)
    careful = set(column(world, query))
    rank(world, allow_data_collection=True)

    assert set(column(world, query)) - careful == {
        "openrouter:acme/swift:free",
        "openrouter:bolt/cheap-contributor",
    }


def test_local_servers_cost_nothing_and_other_upstreams_an_unknown_sum(ranked: duckdb.DuckDBPyConnection) -> None:
    costs = dict(
        ranked.execute(
            "SELECT offer_id, cost_in_usd_per_call FROM ranking.rankings WHERE profile = 'budget' "
            "AND offer_id NOT LIKE 'openrouter:%'"
        ).fetchall()
    )

    assert costs == {"ollama:swift:7b": 0.0, "cloud:mid": None}
    assert column(ranked, "SELECT offer_id FROM ranking.rankings WHERE profile = 'budget' AND rank = 1") == [
        "ollama:swift:7b"
    ]


def test_every_supported_effort_is_ranked_and_the_rated_one_keeps_its_rating(ranked: duckdb.DuckDBPyConnection) -> None:
    rows = ranked.execute(
        "SELECT effort, quality, quality_sd, quality_basis, latency_ms FROM ranking.rankings "
        "WHERE profile = 'quality' AND model_id = 'acme/grand' ORDER BY latency_ms"
    ).fetchall()

    assert [row[0] for row in rows] == ["low", "medium", "high"]
    by_effort = {row[0]: row for row in rows}
    assert by_effort["high"][1] == pytest.approx(1480, abs=5)
    assert by_effort["high"][3] == "rated"
    assert by_effort["low"][2] > by_effort["high"][2]


def test_the_best_model_wins_quality_and_never_budget(ranked: duckdb.DuckDBPyConnection) -> None:
    winner = "SELECT model_id FROM ranking.rankings WHERE rank = 1 AND profile = "

    assert column(ranked, f"{winner}'quality'") == ["acme/grand"]
    assert column(ranked, f"{winner}'budget'") == ["acme/swift"]


def test_own_calls_move_the_expected_time_little_at_first_and_wholly_in_the_end(
    world: duckdb.DuckDBPyConnection,
) -> None:
    times = []
    for calls in (0, 3, 400):
        world.execute("DELETE FROM core.outcomes")
        world.execute(
            'INSERT INTO core.outcomes (attempt_id, offer_id, effort, "at", outcome, is_streamed, first_content_ms, '
            "total_ms, completion_tokens) "
            "SELECT i::VARCHAR, 'openrouter:bolt/mid', NULL, $now, 'answered', true, 6000, 16000, 500 "
            "FROM range($calls) AS t(i)",
            {"now": NOW, "calls": calls},
        )
        rank(world)
        times += world.execute(
            "SELECT latency_ms, latency_basis FROM ranking.rankings "
            "WHERE profile = 'speed' AND offer_id = 'openrouter:bolt/mid'"
        ).fetchall()

    (without, _), (few, few_basis), (many, many_basis) = times
    assert (few_basis, many_basis) == ("measured", "outcomes")
    assert without < few < without + 0.35 * (16_000 - without)
    assert many == pytest.approx(16_000, rel=0.15)


def test_endpoint_percentiles_beat_third_party_figures(world: duckdb.DuckDBPyConnection) -> None:
    insert(
        world,
        "core.openrouter_endpoints",
        [
            {
                "openrouter_id": "bolt/mid",
                "host_name": "Host",
                "host_tag": "host/fp8",
                "status": -2,
                "latency_p50_ms": 3000.0,
                "throughput_p50_tokens_per_s": 20.0,
                "observed_at": NOW,
            }
        ],
    )
    rank(world)

    assert world.execute(
        "SELECT DISTINCT latency_basis FROM ranking.rankings WHERE offer_id = 'openrouter:bolt/mid'"
    ).fetchall() == [("endpoint",)]


def host(host_tag: str, **more: object) -> dict[str, object]:
    """A row of `core.openrouter_endpoints`: a host of bolt/mid."""
    return {
        "openrouter_id": "bolt/mid",
        "host_name": host_tag.split("/")[0],
        "host_tag": host_tag,
        "status": 0,
        "context_tokens": 131_072,
        "price_in_usd_per_mtok": 0.5,
        "price_out_usd_per_mtok": 1.5,
        "observed_at": NOW,
        **more,
    }


def test_hosts_are_offers_of_their_own(world: duckdb.DuckDBPyConnection) -> None:
    """Each is priced, limited and blamed by itself; an old or ailing one is listed and not called."""
    hosts = [
        host("cheap/fp8", quantization="fp8", discount=0.5),
        host("twice"),
        host("twice", price_out_usd_per_mtok=9.0),
        host("large", context_tokens=999_999_999),
        host("trains", may_train_on_prompts=True),
        host("ailing", status=-2),
        host("old", observed_at=NOW - dt.timedelta(days=30)),
    ]
    insert(world, "core.openrouter_endpoints", hosts)
    rank(world)
    rows = world.execute(
        "SELECT host_tag, is_callable, price_out_usd_per_mtok, context_tokens, upstream_model FROM ranking.offers "
        "WHERE host_tag IS NOT NULL"
    ).fetchall()
    ranked = set(column(world, "SELECT DISTINCT offer_id FROM ranking.rankings"))

    assert {row[0]: row[1:] for row in rows} == {
        # A discount is already inside the price.
        "cheap/fp8": (True, 1.5, 131_072, "bolt/mid"),
        "twice": (True, 1.5, 131_072, "bolt/mid"),
        "large": (True, 1.5, 262_144, "bolt/mid"),
        "trains": (True, 1.5, 131_072, "bolt/mid"),
        "ailing": (False, 1.5, 131_072, "bolt/mid"),
        "old": (False, 1.5, 131_072, "bolt/mid"),
    }
    assert {name.split("@")[1] for name in ranked if isinstance(name, str) and "@" in name} == {
        "cheap/fp8",
        "twice",
        "large",
    }


def test_quantisation_widens_the_interval(world: duckdb.DuckDBPyConnection) -> None:
    insert(world, "core.openrouter_endpoints", [host("whole", quantization="bf16"), host("q", quantization="fp4")])
    rank(world)
    sds = dict(
        world.execute(
            "SELECT offer_id, quality_sd FROM ranking.rankings WHERE profile = 'speed' AND offer_id LIKE '%@%'"
        ).fetchall()
    )

    assert sds["openrouter:bolt/mid@q"] > sds["openrouter:bolt/mid@whole"]


def test_a_sixth_profile_is_ranked(world: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'description = "Mine."\nis_default = true\n[weights]\nquality = 0.5\ncontext = 0.5\n'
    )
    rank(world, directories=[tmp_path])

    assert column(world, "SELECT DISTINCT profile FROM ranking.band_rankings") == ["mine"]


def test_ranking_twice_gives_the_same_rows(world: duckdb.DuckDBPyConnection) -> None:
    runs = []
    for _ in range(2):
        rank(world)
        runs.append(world.execute("SELECT * FROM ranking.band_rankings ORDER BY ALL").fetchall())

    assert runs[0] == runs[1]


def test_without_any_rating_there_is_a_clear_error(world: duckdb.DuckDBPyConnection) -> None:
    world.execute("DELETE FROM core.lmsys_arena_ratings")

    with pytest.raises(ValueError, match="No Arena rating"):
        rank(world)


def test_costs_of_a_ranking_are_the_sum_of_their_signals(ranked: duckdb.DuckDBPyConnection) -> None:
    unequal = ranked.execute(
        """
        SELECT ranking.offer_id, ranking.effort, ranking.cost_in_usd_per_call, sum(signal.value)
        FROM ranking.rankings AS ranking
        JOIN ranking.signals AS signal
            ON signal.signal = 'cost' AND signal.offer_id = ranking.offer_id
            AND signal.effort IS NOT DISTINCT FROM ranking.effort
        WHERE ranking.profile = 'balanced'
        GROUP BY ALL
        HAVING abs(ranking.cost_in_usd_per_call - sum(signal.value)) > 1e-12
        """
    ).fetchall()

    assert unequal == []


def test_own_calls_forget(world: duckdb.DuckDBPyConnection) -> None:
    world.execute(
        'INSERT INTO core.outcomes (attempt_id, offer_id, "at", outcome, is_streamed, first_content_ms, total_ms) '
        "VALUES "
        "('1', 'o', $now::TIMESTAMP - INTERVAL 7 DAY, 'answered', true, 100, 200), "
        "('2', 'o', $now::TIMESTAMP - INTERVAL 14 DAY, 'answered', true, 100, 200)",
        {"now": NOW},
    )
    tables.make_own_calls(world, NOW)

    assert column(world, "SELECT calls FROM ranking.own_calls") == [pytest.approx(0.75)]


def test_free_twins_are_told_apart_by_limits_and_hosts_by_what_they_answered(world: duckdb.DuckDBPyConnection) -> None:
    """Uptime leaves rate-limited calls out, so a free tier's says nothing of its limits; own calls say it all."""
    hosts = [
        host("steady", uptime_percent_last_1d=100.0),
        host("shaky", uptime_percent_last_1d=70.0),
        host("stale", uptime_percent_last_30m=70.0, observed_at=NOW - dt.timedelta(days=3)),
        host("silent"),
    ]
    insert(world, "core.openrouter_endpoints", hosts)
    world.execute(
        'INSERT INTO core.outcomes (attempt_id, offer_id, "at", outcome, total_ms) '
        "SELECT i::VARCHAR, 'openrouter:bolt/mid@silent', $now, if(i < 90, 'overloaded', 'answered'), 900 "
        "FROM range(100) AS t(i) UNION ALL "
        "SELECT 'gone', 'openrouter:bolt/mid@steady', $now, 'caller_gone', 900",
        {"now": NOW},
    )
    rank(world, allow_data_collection=True)
    shares = dict(
        world.execute("SELECT offer_id, reliability FROM ranking.rankings WHERE profile = 'budget'").fetchall()
    )
    told = {
        (offer, basis): (source, metric, value)
        for offer, basis, source, metric, value in world.execute(
            "SELECT offer_id, basis, source, metric, value FROM ranking.signals WHERE signal = 'reliability'"
        ).fetchall()
    }

    assert shares["openrouter:acme/swift"] == pytest.approx(0.99)
    assert shares["openrouter:acme/swift:free"] == pytest.approx(0.99 * 0.8)
    assert shares["openrouter:bolt/mid@steady"] == pytest.approx((9.9 + 100) / 110)
    assert shares["openrouter:bolt/mid@shaky"] == pytest.approx((9.9 + 70) / 110)
    # Worth less for its age, and it may have moved since.
    weight, stays = 100 * 0.5 ** (3 / 7), 0.9945**3
    assert shares["openrouter:bolt/mid@stale"] == pytest.approx((9.9 + 0.7 * weight) * stays / (10 + weight))
    assert shares["openrouter:bolt/mid@silent"] == pytest.approx((9.9 + 10) / 110)
    assert told["openrouter:bolt/mid@shaky", "endpoint"] == ("openrouter", "uptime_percent", 0.7)
    assert told["openrouter:bolt/mid@silent", "outcomes"][2] == pytest.approx(0.1)
    assert ("openrouter:bolt/mid@steady", "outcomes") not in told


def test_the_front_is_what_no_other_beats_on_quality_speed_and_price(ranked: duckdb.DuckDBPyConnection) -> None:
    """Known by hand: of equals both stay, the beaten name their best ranked better, the unpriced are not compared."""
    ranked.execute(
        """
        CREATE OR REPLACE TABLE ranking.rankings AS
        SELECT 'balanced' AS profile, * FROM (VALUES
            (1, 'm', 'quick', NULL, 1400.0, 0.0, 900.0, 0.002),
            (2, 'm', 'cheap', 'low', 1390.0, 0.0, 3000.0, 0.001),
            (3, 'm', 'twin', 'low', 1390.0, 0.0, 3000.0, 0.001),
            (4, 'm', 'worse', NULL, 1380.0, 0.0, 3000.0, 0.001),
            (5, 'm', 'unsure', NULL, 1405.0, 50.0, 900.0, 0.002),
            (6, 'm', 'best', 'high', 1500.0, 0.0, 60000.0, 0.1),
            (7, 'm', 'unpriced', NULL, 1500.0, 0.0, 100.0, NULL)
        ) AS t (rank, model_id, offer_id, effort, quality, quality_sd, latency_ms, cost_in_usd_per_call)
        """
    )
    tables.make_pareto(ranked)
    found = ranked.execute(
        "SELECT offer_id, is_undominated, dominated_by_offer_id, dominated_by_effort FROM ranking.pareto ORDER BY rank"
    ).fetchall()

    assert found == [
        ("quick", True, None, None),
        ("cheap", True, None, None),
        ("twin", True, None, None),
        ("worse", False, "cheap", "low"),
        ("unsure", False, "quick", None),
        ("best", True, None, None),
        ("unpriced", None, None, None),
    ]
