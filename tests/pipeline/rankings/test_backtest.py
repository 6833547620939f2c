"""Replays on a history small enough to know the right answers of, and on the bundled one."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
from pathlib import Path

import pytest

from pipeline.rankings import backtest, backtest_command, history, quality
from pipeline.rankings.backtest import CHEAPEST, FIRST, HINDSIGHT, PROFILE, TOP_RATED, Choice, History, Listing, Series
from pipeline.rankings.configurations import Evidence, ModelFacts
from pipeline.rankings.history import PastCall
from pipeline.rankings.profile import Profile
from tests.pipeline.rankings import small_world
from tests.pipeline.rankings.build_tables import NOW, insert
from tests.pipeline.rankings.conftest import rank
from warehouse.connect import open_reader, open_writer

TERMS = quality.terms()
ONLY_QUALITY = Profile("q", "Quality.", True, 0.0, {"quality": 1.0, "latency": 0.0, "cost": 0.0, "context": 0.0})
ONLY_COST = Profile("c", "Cost.", True, 0.0, {"quality": 0.0, "latency": 0.0, "cost": 1.0, "context": 0.0})

JANUARY, MARCH, MAY = dt.date(2026, 1, 10), dt.date(2026, 3, 10), dt.date(2026, 5, 10)


def on(day: str) -> dt.datetime:
    return dt.datetime.fromisoformat(day)


def model(name: str) -> ModelFacts:
    return ModelFacts(f"acme/{name}", name, "acme", name, "chat", None, None, None, True)


def rating(name: str, value: float, day: str) -> Evidence:
    return Evidence(f"acme/{name}", None, "rating", "text/overall", value, 4.0, 9000.0, "lmsys_arena", name, on(day))


def listing(name: str, *prices: tuple[str, float]) -> Listing:
    """A listing with one price for prompt and completion, in force from each day and last seen on the last one."""
    offer = history._offer(f"openrouter:acme/{name}", f"acme/{name}", False, None, (), None, False)
    times, values = [on(day) for day, _ in prices], [price for _, price in prices]
    return Listing(
        offer, {metric: Series(times, values) for metric in ("price_in_usd_per_mtok", "price_out_usd_per_mtok")}
    )


# 'early' is the best of January; 'late' comes in February and is rated best in April; 'fallen' is overrated until then.
WORLD = History(
    [model(name) for name in ("early", "late", "fallen", "cheap")],
    [
        rating("early", 1450.0, "2025-12-01"),
        rating("fallen", 1440.0, "2025-12-01"),
        rating("fallen", 1200.0, "2026-04-01"),
        rating("late", 1520.0, "2026-04-01"),
        rating("cheap", 1300.0, "2025-12-01"),
    ],
    [
        listing("early", ("2025-12-01", 5.0), ("2026-03-20", 5.0)),
        listing("late", ("2026-02-01", 4.0), ("2026-05-01", 2.0), ("2026-06-01", 2.0)),
        listing("fallen", ("2025-12-01", 1.0), ("2026-06-01", 1.0)),
        listing("cheap", ("2025-12-01", 0.1), ("2026-06-01", 0.1)),
    ],
)


def replayed(profile: Profile, world: History = WORLD, floor: float = 1350.0) -> dict[tuple[dt.date, str], Choice]:
    choices = backtest.replay(world, profile, TERMS, [JANUARY, MARCH, MAY], floor=floor)
    return {(choice.day, choice.strategy): choice for choice in choices}


def name_of(choice: Choice) -> str:
    return choice.offer_id.removeprefix("openrouter:acme/")


def test_a_choice_knows_nothing_of_what_was_published_later() -> None:
    found = replayed(ONLY_QUALITY)

    # In March 'late' is offered and unrated; what is known at the end has it best.
    assert [name_of(found[day, PROFILE]) for day in (JANUARY, MARCH, MAY)] == ["early", "early", "late"]
    assert [name_of(found[day, HINDSIGHT]) for day in (JANUARY, MARCH, MAY)] == ["early", "late", "late"]
    assert found[JANUARY, PROFILE].offers == 3
    assert found[JANUARY, PROFILE].regret == found[MAY, PROFILE].regret == 0.0


def test_regret_is_the_score_lost_against_hindsight() -> None:
    found = replayed(ONLY_QUALITY)
    march = found[MARCH, PROFILE]
    early, late = (1 / (1 + math.exp((1330 - q) / 90)) for q in (1450.0, 1520.0))

    assert march.regret == pytest.approx(late - early, abs=0.02)
    assert march.final_quality == pytest.approx(1450, abs=5)
    assert all(choice.regret is None or choice.regret >= 0 for choice in found.values())


def test_costs_are_of_the_prices_in_force() -> None:
    found = replayed(ONLY_QUALITY)

    # 1,000 tokens in and 500 out.
    assert found[MARCH, HINDSIGHT].final_cost_in_usd_per_call == pytest.approx(1_500 * 4 / 1e6)
    assert found[MAY, HINDSIGHT].final_cost_in_usd_per_call == pytest.approx(1_500 * 2 / 1e6)


def test_fixed_strategies() -> None:
    found = replayed(ONLY_QUALITY)

    assert [name_of(found[day, TOP_RATED]) for day in (JANUARY, MARCH, MAY)] == ["early", "early", "late"]
    # 'fallen' is above the floor and cheapest until it falls; then only 'late' is left above it.
    assert [name_of(found[day, CHEAPEST]) for day in (JANUARY, MARCH, MAY)] == ["fallen", "fallen", "late"]
    # 'early' stays until it is no longer listed.
    assert [name_of(found[day, FIRST]) for day in (JANUARY, MARCH, MAY)] == ["early", "early", "late"]
    assert name_of(replayed(ONLY_COST)[MAY, FIRST]) == "cheap"


def test_means_are_over_days() -> None:
    by_strategy = {one.strategy: one for one in backtest.summarise(list(replayed(ONLY_QUALITY).values()))}

    assert list(by_strategy) == list(backtest.STRATEGIES)
    assert by_strategy[PROFILE].days == 3
    assert by_strategy[PROFILE].choices == 2
    assert by_strategy[PROFILE].cost_in_usd_per_call == pytest.approx(1_500 * (5 + 5 + 2) / 3 / 1e6)
    assert by_strategy[HINDSIGHT].regret == by_strategy[HINDSIGHT].worst_regret == 0.0
    assert by_strategy[PROFILE].worst_regret == pytest.approx(by_strategy[PROFILE].regret * 3)


def test_publications_of_another_level_are_moved_to_that_of_those_before() -> None:
    """A page with style control lies above one without; what a model gained within it stays."""
    names = [f"m{n}" for n in range(30)]
    before = [rating(name, 1300.0 + n, "2025-12-01") for n, name in enumerate(names)]
    page = [rating(name, 1315.0 + n + (40 if n == 3 else 0), "2026-03-01") for n, name in enumerate(names)]
    moved = {item.record_id: item.value for item in backtest.levelled([*before, *page]) if item.observed_at.month == 3}

    assert moved["m7"] == pytest.approx(1307)
    assert moved["m3"] == pytest.approx(1343)
    assert [
        i.value for i in backtest.levelled([rating("a", 1300.0, "2025-12-01"), rating("a", 1350.0, "2026-03-01")])
    ] == [
        1300.0,
        1350.0,
    ]


def test_free_listings_are_left_out_unless_let_in() -> None:
    world = History(WORLD.models, WORLD.evidence, [*WORLD.listings, listing("early", ("2026-01-01", 0.0))])
    day = [dt.date(2026, 1, 1)]

    assert all(c.offers == 3 for c in backtest.replay(world, ONLY_COST, TERMS, day, floor=0.0))
    let_in = backtest.replay(world, ONLY_COST, TERMS, day, floor=0.0, allow_data_collection=True)
    assert {c.offers for c in let_in} == {4}


def test_the_command_replays_a_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From a build's history to a table, CSV and JSON that agree; own calls of the time are told."""
    build = tmp_path / "build.duckdb"
    with open_writer(build) as connection:
        small_world.build(connection)
        rank(connection)
        for age in (60, 0):
            at = NOW - dt.timedelta(days=age)
            connection.execute(
                "INSERT INTO core.observations "
                "SELECT 'openrouter', openrouter_id, metric, '', value, $at, 'test' FROM ("
                "UNPIVOT (SELECT openrouter_id, price_in_usd_per_mtok, price_out_usd_per_mtok "
                "FROM core.openrouter_listings WHERE kind = 'chat') "
                "ON COLUMNS(* EXCLUDE openrouter_id) INTO NAME metric VALUE value)",
                {"at": at},
            )
            connection.execute(
                "INSERT INTO core.observations SELECT 'lmsys_arena', model_name, 'rating', 'text/overall', rating, "
                "$at, 'test' FROM core.lmsys_arena_ratings",
                {"at": at},
            )
        insert(
            connection,
            "core.outcomes",
            [
                {
                    "attempt_id": "1",
                    "offer_id": "openrouter:acme/swift",
                    '"at"': NOW - dt.timedelta(days=1),
                    "outcome": "answered",
                    "is_streamed": True,
                    "first_content_ms": 500.0,
                    "total_ms": 2_000.0,
                    "cost_usd": 0.003,
                }
            ],
        )
    with open_reader(build) as connection:
        copy = history.with_bundled(connection, tmp_path)
    past = history.read(copy, lambda names: dict.fromkeys(names))
    days = [(NOW - dt.timedelta(days=age)).date() for age in (60, 0)]
    choices = backtest.replay(past, ONLY_QUALITY, TERMS, days, floor=1_000.0)
    calls = history.read_calls(copy)
    table = backtest_command.report("q", choices, calls)
    rows = list(csv.DictReader(io.StringIO(backtest_command.rows(choices, "csv"))))

    assert {c.offer_id for c in choices if c.strategy == PROFILE} == {"openrouter:acme/grand"}
    assert {c.offer_id for c in choices if c.strategy == CHEAPEST} == {"openrouter:acme/swift"}
    assert calls == [PastCall(NOW - dt.timedelta(days=1), None, "openrouter:acme/swift", None, 2_000.0, 0.003)]
    assert "Own calls of that time: 1 answered, 2.0 s on average, $3.00 a thousand." in table
    assert "acme/grand" in table
    assert [row["strategy"] for row in rows] == [c.strategy for c in choices]
    assert json.loads(backtest_command.rows(choices, "json"))[0]["offer_id"] == rows[0]["offer_id"]

    assert backtest_command.main(["--build", str(tmp_path / "none.duckdb")]) == 2
    assert backtest_command.main(["--build", str(build), "--profile", "none"]) == 2
    told = capsys.readouterr().err
    assert "orchestrator refresh" in told
    assert "There is no profile 'none'" in told
