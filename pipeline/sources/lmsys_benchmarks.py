"""What LMSYS published beside people's votes: MT-bench, MMLU as makers state it, and Arena-Hard-Auto.

The first two are columns of the tables its leaderboard was drawn from (`leaderboard_table_YYYYMMDD.csv`), the third a
table of its own, all in one Space of the Hub. They have ended, and tell most of models of 2023 and 2024 that nobody
runs benchmarks on any more. Models are called as the Arena calls them. Votes themselves are in `lmsys_arena.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from pipeline.settings import Settings
from pipeline.sources import values
from pipeline.sources.source import Parsed, Payload, PayloadRefusedError, Refused, Schema, Sighting, Source, Table
from pipeline.sources.values import BadValueError

_SPACE = "https://huggingface.co/spaces/lmarena-ai/chatbot-arena-leaderboard/resolve/main"

LAST_TABLE = dt.date(2025, 5, 5)
"""The table that is asked for. Later ones have no new score in these columns."""

LAST_ARENA_HARD = dt.date(2024, 7, 31)
"""Day of the last run of Arena-Hard-Auto 0.1, where a row does not say."""

BENCHMARKS: Schema = {
    "model_key": pl.String,
    "model_name": pl.String,
    "benchmark": pl.String,
    "score": pl.Float64,
    "published_on": pl.Date,
    "payload": pl.String,
    "observed_at": pl.Datetime("us"),
}

_Found = list[dict[str, Any]]


def _score(stated: str | None, highest: float, what: str) -> float | None:
    """A score between 0 and `highest`; None for the dash that stands for none. Raises `BadValueError`."""
    if stated is None or stated.strip() in ("", "-"):
        return None
    score = values.number(stated)
    if score is None or not 0 <= score <= highest:
        raise BadValueError(f"{what} is {stated[:40]!r}")
    return score


def _of_table(row: Mapping[str, str | None]) -> _Found:
    named = {"model_key": values.required_text(row.get("key"), "key"), "model_name": values.text(row.get("Model"))}
    stated = {
        "mt_bench": _score(row.get("MT-bench (score)"), 10, "MT-bench"),
        "mmlu": _score(row.get("MMLU"), 1, "MMLU"),
    }
    return [
        {**named, "benchmark": benchmark, "score": score, "published_on": LAST_TABLE}
        for benchmark, score in stated.items()
        if score is not None
    ]


def _of_arena_hard(row: Mapping[str, str | None]) -> _Found:
    key = values.required_text(row.get("model"), "model")
    score = _score(row.get("score"), 100, "score")
    if score is None:
        raise BadValueError("score is missing")
    run_on = values.date(row.get("date")) or LAST_ARENA_HARD
    return [
        {"model_key": key, "model_name": None, "benchmark": "arena_hard", "score": score / 100, "published_on": run_on}
    ]


def _parse(
    body: bytes, sighting: Sighting, payload: str, columns: set[str], read: Callable[[Mapping[str, str | None]], _Found]
) -> Parsed:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    refused: list[Refused] = []
    for position, row in enumerate(values.table(body, columns)):
        reference = row.get("key") or row.get("model") or f"row {position}"
        try:
            scores = read(row)
        except BadValueError as error:
            refused.append(Refused(reference, str(error), row))
            continue
        for score in scores:
            key = (score["model_key"], score["benchmark"])
            if key not in found:
                found[key] = {**score, "payload": payload, "observed_at": sighting.observed_at}
            elif found[key]["score"] != score["score"]:
                refused.append(Refused(reference, f"a second {score['benchmark']} under the same key", row))
    if not found:
        raise PayloadRefusedError("no row holds a score that can be read")
    frame = pl.DataFrame([found[key] for key in sorted(found)], schema=dict(BENCHMARKS))
    return Parsed({"lmsys_benchmarks": frame}, refused=refused, observed_at=sighting.observed_at)


def parse_table(body: bytes, sighting: Sighting) -> Parsed:
    """A table of the leaderboard. Raises `PayloadRefusedError`."""
    return _parse(body, sighting, "leaderboard_table", {"key", "MT-bench (score)", "MMLU"}, _of_table)


def parse_arena_hard(body: bytes, sighting: Sighting) -> Parsed:
    """Arena-Hard-Auto's table: percent of comparisons with the baseline won. Raises `PayloadRefusedError`."""
    return _parse(body, sighting, "arena_hard", {"model", "score"}, _of_arena_hard)


def _payloads(settings: Settings) -> Sequence[Payload]:
    del settings
    return (
        Payload(
            name="leaderboard_table",
            parse=parse_table,
            tables=("lmsys_benchmarks",),
            addresses=(f"{_SPACE}/leaderboard_table_{LAST_TABLE:%Y%m%d}.csv",),
            patterns=("lmsys_benchmarks/leaderboard_table-*.csv",),
            attribution="LMSYS Chatbot Arena's leaderboard tables (lmarena.ai)",
            cache_for=dt.timedelta(days=30),
            is_archive=True,
        ),
        Payload(
            name="arena_hard",
            parse=parse_arena_hard,
            tables=("lmsys_benchmarks",),
            addresses=(f"{_SPACE}/arena_hard_auto_leaderboard_v0.1.csv",),
            patterns=("lmsys_benchmarks/arena_hard_auto_leaderboard-*.csv",),
            attribution="Arena-Hard-Auto 0.1 (LMSYS, Apache-2.0)",
            cache_for=dt.timedelta(days=30),
            is_archive=True,
        ),
    )


SOURCE = Source(
    name="lmsys_benchmarks",
    step="lmsys_benchmarks",
    tables=(
        Table(
            "lmsys_benchmarks",
            BENCHMARKS,
            "MT-bench, MMLU and Arena-Hard as LMSYS published them beside the Arena: one row a model and benchmark.",
            payload_column="payload",
        ),
    ),
    payloads=_payloads,
    url="https://huggingface.co/spaces/lmarena-ai/chatbot-arena-leaderboard",
    stale_after=dt.timedelta(days=365),
    is_optional=True,
)
