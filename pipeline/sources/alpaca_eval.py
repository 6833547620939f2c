"""AlpacaEval 2: how often a judge prefers a model's answers to GPT-4 Turbo's, with the length of answers taken out.

Has ended; its 200-odd models are of 2023 and 2024. Which Arena name or repository a row's name spells otherwise is
decided in `warehouse/sql/ranking/evidence.sql`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pipeline.settings import Settings
from pipeline.sources import values
from pipeline.sources.source import Parsed, Payload, PayloadRefusedError, Refused, Schema, Sighting, Source, Table
from pipeline.sources.values import BadValueError

ENDED_ON = dt.date(2024, 12, 31)
"""Every row is from before: when one was added is not said."""

RESULTS: Schema = {
    "model_name": pl.String,
    "win_rate": pl.Float64,
    "length_controlled_win_rate": pl.Float64,
    "standard_error": pl.Float64,
    "average_length": pl.Int64,
    "published_on": pl.Date,
    "observed_at": pl.Datetime("us"),
}


def _share(stated: str | None, what: str) -> float:
    percent = values.number(stated)
    if percent is None or not 0 <= percent <= 100:
        raise BadValueError(f"{what} is {str(stated)[:40]!r}")
    return percent / 100


def _result(row: Mapping[str, str | None]) -> dict[str, Any]:
    error = values.number(row.get("lc_standard_error"))
    return {
        # The first column has no header.
        "model_name": values.required_text(row.get(""), "name"),
        "win_rate": _share(row.get("win_rate"), "win_rate"),
        "length_controlled_win_rate": _share(row.get("length_controlled_winrate"), "length_controlled_winrate"),
        "standard_error": None if error is None else error / 100,
        "average_length": values.count(values.number(row.get("avg_length"))),
        "published_on": ENDED_ON,
    }


def parse_leaderboard(body: bytes, sighting: Sighting) -> Parsed:
    """The leaderboard's CSV, rates in percent. Raises `PayloadRefusedError`."""
    found: dict[str, dict[str, Any]] = {}
    refused: list[Refused] = []
    for position, row in enumerate(values.table(body, {"", "win_rate", "length_controlled_winrate"})):
        reference = row.get("") or f"row {position}"
        try:
            result = _result(row)
        except BadValueError as error:
            refused.append(Refused(reference, str(error), row))
            continue
        if result["model_name"] in found:
            refused.append(Refused(reference, "a second row under the same key", row))
            continue
        found[result["model_name"]] = {**result, "observed_at": sighting.observed_at}
    if not found:
        raise PayloadRefusedError("no row holds a rate that can be read")
    frame = pl.DataFrame([found[name] for name in sorted(found)], schema=dict(RESULTS))
    return Parsed({"alpaca_eval_results": frame}, refused=refused, observed_at=sighting.observed_at)


def _payloads(settings: Settings) -> Sequence[Payload]:
    del settings
    return (
        Payload(
            name="leaderboard",
            parse=parse_leaderboard,
            tables=("alpaca_eval_results",),
            addresses=(
                "https://raw.githubusercontent.com/tatsu-lab/alpaca_eval/main/src/alpaca_eval/leaderboards/"
                "data_AlpacaEval_2/weighted_alpaca_eval_gpt4_turbo_leaderboard.csv",
            ),
            patterns=("alpaca_eval/leaderboard-*.csv",),
            attribution="AlpacaEval 2 (tatsu-lab, Apache-2.0)",
            cache_for=dt.timedelta(days=30),
            is_archive=True,
        ),
    )


SOURCE = Source(
    name="alpaca_eval",
    step="alpaca_eval",
    tables=(
        Table(
            "alpaca_eval_results",
            RESULTS,
            "AlpacaEval 2: how often each model's answers are preferred to GPT-4 Turbo's, one row a model.",
        ),
    ),
    payloads=_payloads,
    url="https://github.com/tatsu-lab/alpaca_eval",
    stale_after=dt.timedelta(days=365),
    is_optional=True,
)
