"""Whose benchmark is whose, where a source goes by names of its own."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import duckdb
import pytest

from pipeline.rankings import tables
from tests.pipeline.rankings.build_tables import NOW, insert

DAY = dt.date(2025, 5, 5)


def record(source: str, record_id: str, model_id: str) -> dict[str, Any]:
    return {
        "source": source,
        "record_id": record_id,
        "model_id": model_id,
        "match_probability": 1.0,
        "match_reason": "exact",
        "observed_at": NOW,
    }


@pytest.fixture
def found(world: duckdb.DuckDBPyConnection) -> set[tuple[str, str, str, float]]:
    """Metric, model, record and value of the benchmarks that have ended."""
    insert(
        world,
        "entity.model_records",
        [
            record("lmsys_arena", "vicuna-33b", "lmsys/vicuna-33b"),
            record("lmsys_arena", "Vicuna-33B", "lmsys/vicuna-33b"),
            record("lmsys_arena", "Claude-2.0", "anthropic/claude-2"),
            record("lmsys_arena", "gpt-4-0613", "openai/gpt-4-0613"),
            record("lmsys_arena", "vicuna-13b", "lmsys/vicuna-13b"),
            record("huggingface", "meta-llama/Llama-2-70b-chat-hf", "meta/llama-2-70b-chat"),
        ],
    )
    scores = [
        ("vicuna-33b", "Vicuna-33B", "mt_bench", 7.12),
        ("vicuna-33b", "Vicuna-33B", "mmlu", 0.592),
        ("vicuna-33b", None, "arena_hard", 0.0863),
        ("claude-2.0", "Claude-2.0", "mt_bench", 8.06),
        ("nobody-knows", "Nobody Knows", "mt_bench", 5.0),
    ]
    names = ("model_key", "model_name", "benchmark", "score")
    insert(world, "core.lmsys_benchmarks", [{**dict(zip(names, s, strict=True)), "published_on": DAY} for s in scores])
    rates = {"gpt4_0613": 0.3018, "llama-2-70b-chat-hf": 0.1469, "vicuna-13b": 0.0922, "vicuna-13b-v1.5": 0.1048}
    insert(
        world,
        "core.alpaca_eval_results",
        [{"model_name": n, "length_controlled_win_rate": rate, "published_on": DAY} for n, rate in rates.items()],
    )
    tables.make_evidence(world)
    rows = world.execute(
        "SELECT metric || CASE scope WHEN '' THEN '' ELSE '@' || scope END, model_id, record_id, value "
        "FROM ranking.evidence WHERE metric IN ('mt_bench', 'mmlu', 'arena_hard', 'alpaca_eval')"
    ).fetchall()
    assert len(rows) == len(set(rows))
    return {(metric, model_id, record_id, value) for metric, model_id, record_id, value in rows}


def test_the_arenas_keys_and_shown_names_lead_to_its_records(found: set[tuple[str, str, str, float]]) -> None:
    """One row a score, under the key where there is such a record, else under the name that was shown."""
    assert {row for row in found if row[0] != "alpaca_eval"} == {
        ("mt_bench", "lmsys/vicuna-33b", "vicuna-33b", 7.12),
        ("mmlu@lmsys", "lmsys/vicuna-33b", "vicuna-33b", 0.592),
        ("arena_hard", "lmsys/vicuna-33b", "vicuna-33b", 0.0863),
        ("mt_bench", "anthropic/claude-2", "Claude-2.0", 8.06),
    }


def test_names_equal_but_for_signs_are_alpaca_evals(found: set[tuple[str, str, str, float]]) -> None:
    """A name beside a version of itself may be any of them, and is nobody's."""
    assert {row for row in found if row[0] == "alpaca_eval"} == {
        ("alpaca_eval", "openai/gpt-4-0613", "gpt-4-0613", 0.3018),
        ("alpaca_eval", "meta/llama-2-70b-chat", "meta-llama/Llama-2-70b-chat-hf", 0.1469),
    }


def test_design_arena_counts_votes_on_models_once_a_listing(world: duckdb.DuckDBPyConnection) -> None:
    """The median over kinds of work; agents, and listings without votes, say nothing of a chat model."""
    votes = [("models", "website", 1300.0), ("models", "svg", 1200.0), ("models", "3d", 1250.0), ("agents", "x", 1.0)]
    listing = {"kind": "chat", "observed_at": NOW}
    insert(
        world,
        "core.openrouter_listings",
        [
            {
                **listing,
                "openrouter_id": "openai/gpt-9",
                "design_arena_json": json.dumps(
                    [dict(zip(("arena", "category", "elo"), v, strict=True)) for v in votes]
                ),
            },
            {**listing, "openrouter_id": "openai/gpt-8", "design_arena_json": None},
            {**listing, "openrouter_id": "openai/gpt-7", "design_arena_json": '[{"arena": "models", "rank": 3}]'},
        ],
    )
    insert(
        world, "entity.model_records", [record("openrouter", f"openai/gpt-{n}", f"openai/gpt-{n}") for n in (7, 8, 9)]
    )
    tables.make_evidence(world)
    rows = world.execute(
        "SELECT model_id, effort, value FROM ranking.evidence WHERE metric = 'design_arena'"
    ).fetchall()
    assert rows == [("openai/gpt-9", None, 1250.0)]
