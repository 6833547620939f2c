"""AlpacaEval's leaderboard."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from pipeline.sources.alpaca_eval import ENDED_ON, parse_leaderboard
from pipeline.sources.source import PayloadRefusedError, Sighting

AT = Sighting(observed_at=dt.datetime(2026, 8, 1), now=dt.datetime(2026, 8, 1))


def test_rates_are_shares_and_odd_rows_are_refused(small: Callable[[str], bytes]) -> None:
    parsed = parse_leaderboard(small("alpaca_eval/leaderboard-2026-05-01.csv"), AT)
    rows = parsed.frames["alpaca_eval_results"].to_dicts()

    assert [row["model_name"] for row in rows] == ["Swift_1_Instruct", "mid-7b", "mid-7b-v1.5"]
    assert rows[0]["length_controlled_win_rate"] == pytest.approx(0.5237)
    assert rows[0]["win_rate"] == pytest.approx(0.4056)
    assert rows[0]["standard_error"] == pytest.approx(0.0082)
    assert (rows[0]["average_length"], rows[0]["published_on"]) == (1488, ENDED_ON)
    assert rows[1]["standard_error"] is None
    assert [(refused.record_ref, refused.reason) for refused in parsed.refused] == [
        ("odd", "win_rate is '120.5'"),
        ("mid-7b", "a second row under the same key"),
    ]


def test_another_table_is_refused() -> None:
    with pytest.raises(PayloadRefusedError, match="length_controlled_winrate"):
        parse_leaderboard(b",win_rate,avg_length\na,1,2\n", AT)
