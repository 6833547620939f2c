"""Scores that LMSYS published beside the Arena's votes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.lmsys_benchmarks import LAST_ARENA_HARD, LAST_TABLE, parse_arena_hard, parse_table
from pipeline.sources.source import PayloadRefusedError, Sighting

AT = Sighting(observed_at=dt.datetime(2026, 8, 1), now=dt.datetime(2026, 8, 1))

_HEADER = "key,Model,MT-bench (score),MMLU,License\n"


def test_each_score_of_the_table_is_a_row(small: Callable[[str], bytes]) -> None:
    """A dash is no score, a row said twice counts once, and what contradicts it or lies off the scale is refused."""
    parsed = parse_table(small("lmsys_benchmarks/leaderboard_table-2026-05-01.csv"), AT)
    rows = parsed.frames["lmsys_benchmarks"].to_dicts()

    assert [(row["model_key"], row["model_name"], row["benchmark"], row["score"]) for row in rows] == [
        ("mid-7b", "Mid-7B", "mmlu", 0.451),
        ("swift-1-instruct", "Swift 1 Instruct", "mmlu", 0.702),
        ("swift-1-instruct", "Swift 1 Instruct", "mt_bench", 8.1),
    ]
    assert {row["published_on"] for row in rows} == {LAST_TABLE}
    assert [(refused.record_ref, refused.reason) for refused in parsed.refused] == [
        ("odd", "MT-bench is '81.0'"),
        ("mid-7b", "a second mmlu under the same key"),
    ]


def test_arena_hard_is_a_share_with_the_day_it_was_run(small: Callable[[str], bytes]) -> None:
    parsed = parse_arena_hard(small("lmsys_benchmarks/arena_hard_auto_leaderboard-2026-05-01.csv"), AT)
    rows = parsed.frames["lmsys_benchmarks"].to_dicts()

    assert [(row["model_key"], row["benchmark"], row["score"], row["published_on"]) for row in rows] == [
        ("mid-7b", "arena_hard", 0.125, LAST_ARENA_HARD),
        ("swift-1-instruct", "arena_hard", 0.825, dt.date(2026, 4, 30)),
    ]
    assert [(refused.record_ref, refused.reason) for refused in parsed.refused] == [("odd", "score is missing")]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "nothing"),
        (b"<!DOCTYPE html><p>moved", "HTML"),
        (b"key,Model,MMLU\na,A,0.5\n", "MT-bench"),
        (_HEADER.encode(), "empty"),
        (f"{_HEADER}a,A,-,-,MIT\n".encode(), "no row holds a score"),
        (_HEADER.encode() + b"\xff\xfe", "not readable"),
    ],
)
def test_what_is_no_table_is_refused_as_a_whole(body: bytes, says: str) -> None:
    with pytest.raises(PayloadRefusedError, match=says):
        parse_table(body, AT)


def test_rows_shorter_or_longer_than_the_header_are_read_as_far_as_they_go() -> None:
    parsed = parse_table(f"{_HEADER}a,A,7.5\nb,B,-,0.5,MIT,more,still more\n".encode(), AT)

    assert parsed.frames["lmsys_benchmarks"].select("model_key", "benchmark", "score").rows() == [
        ("a", "mt_bench", 7.5),
        ("b", "mmlu", 0.5),
    ]


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(rest: str) -> None:
    """Whatever follows the header, scores lie on their scales."""
    try:
        parsed = parse_table(f"{_HEADER}{rest}".encode("utf-8", "replace"), AT)
    except PayloadRefusedError:
        return
    highest = {"mt_bench": 10.0, "mmlu": 1.0}
    for row in parsed.frames["lmsys_benchmarks"].to_dicts():
        assert 0 <= row["score"] <= highest[row["benchmark"]]
