"""Outcome segments: every attempt once, whatever state the files are in."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.resources import BuildDatabase
from pipeline.settings import Settings
from pipeline.sources.load import Report, load
from pipeline.sources.outcomes import FIELDS, SOURCE, parse_segments
from pipeline.sources.pruning import prune, prune_segments
from pipeline.sources.source import Sighting
from tests.pipeline.sources.conftest import NOW, StoreMaker
from warehouse.outcomes import OUTCOMES, RECORDS, Outcome

AT = Sighting(observed_at=NOW, now=NOW)


def attempt(number: int, **changes: Any) -> dict[str, Any]:
    """An attempt as the proxy writes it."""
    outcome = Outcome(
        attempt_id=f"r{number}-1",
        request_id=f"r{number}",
        attempt=1,
        attempts=1,
        at="2026-08-03T10:00:00.250000Z",
        profile="balanced",
        difficulty=0.4,
        difficulty_band="medium",
        category=None,
        model_id="acme/swift-1",
        offer_id="openrouter:acme/swift-1",
        upstream="openrouter",
        effort=None,
        endpoint="chat",
        is_streamed=True,
        outcome="answered",
        status=200,
        cause=None,
        first_byte_ms=310.5,
        first_content_ms=400.0,
        total_ms=2400.0,
        prompt_tokens=20,
        cached_tokens=None,
        completion_tokens=200,
        reasoning_tokens=None,
        cost_usd=0.0004,
        cost_is_reported=True,
    )
    return {**outcome._asdict(), **changes}


def lines(*attempts: dict[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in attempts)


def segments(**texts: str) -> bytes:
    return json.dumps(texts).encode()


@pytest.mark.parametrize("outcome", list(OUTCOMES))
def test_every_word_for_an_outcome_is_known(outcome: str) -> None:
    """What the proxy may say, the pipeline takes."""
    assert parse_segments(segments(a=lines(attempt(1, outcome=outcome))), AT).rows == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"outcome": "splendid"}, "outcome 'splendid' is none of"),
        ({"total_ms": -1.0}, "total_ms is -1.0"),
        ({"total_ms": None}, "total_ms is missing"),
        ({"total_ms": "fast"}, "total_ms is a str"),
        ({"at": "yesterday"}, "at is no time"),
        ({"attempt_id": None}, "attempt_id is missing"),
        ({"is_streamed": 1}, "is_streamed is a int"),
        ({"cost_usd": float("nan")}, "cost_usd is nan"),
    ],
)
def test_an_attempt_that_cannot_be_is_refused(change: dict[str, Any], reason: str) -> None:
    """With the line it stands in."""
    parsed = parse_segments(segments(a=lines(attempt(1), attempt(2, **change))), AT)

    assert parsed.rows == 1
    assert parsed.refused[0].record_ref == "a:2"
    assert parsed.refused[0].reason.startswith(reason)


@given(st.integers(0, 900))
def test_a_segment_may_end_anywhere(cut: int) -> None:
    """However much of the last line is there, the lines before it load and nothing is refused."""
    whole, last = lines(attempt(1), attempt(2)), lines(attempt(3))
    parsed = parse_segments(segments(a=whole + last[: min(cut, len(last) - 1)]), AT)

    assert parsed.frames["outcomes"]["attempt_id"].to_list() == ["r1-1", "r2-1"]
    assert not parsed.refused


@pytest.fixture
def refresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: StoreMaker, build: BuildDatabase, settings: Settings
) -> Callable[[], Report]:
    """Ingests the segments of a data directory of this test's own."""
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(tmp_path))
    (tmp_path / "outcomes").mkdir()
    return lambda: load(SOURCE, store(offline=True), build, settings, NOW)


def test_an_attempt_counts_once_however_often_it_is_read(
    refresh: Callable[[], Report], tmp_path: Path, query: Callable[..., list[tuple[Any, ...]]]
) -> None:
    """An open segment grows, is finished and renamed; every attempt stands once, under the final name."""
    open_segment = tmp_path / "outcomes/20260803T100000-1.jsonl.open"
    open_segment.write_text(lines(attempt(1)) + lines(attempt(2))[:40], encoding="utf-8")
    refresh()
    first = query("SELECT attempt_id FROM core.outcomes")
    open_segment.write_text(lines(attempt(1), attempt(2), attempt(3)), encoding="utf-8")
    open_segment.rename(tmp_path / "outcomes/20260803T100000-1.jsonl")
    refresh()
    report = refresh()

    assert first == [("r1-1",)]
    assert query('SELECT attempt_id, segment, "at"::VARCHAR FROM core.outcomes ORDER BY 1') == [
        (f"r{n}-1", "20260803T100000-1.jsonl", "2026-08-03 10:00:00.25") for n in (1, 2, 3)
    ]
    assert report.tables["outcomes"].rows_changed == 0


def test_a_refused_line_is_in_quarantine(
    refresh: Callable[[], Report], tmp_path: Path, query: Callable[..., list[tuple[Any, ...]]]
) -> None:
    """A damaged line costs itself only."""
    (tmp_path / "outcomes/a.jsonl").write_text(lines(attempt(1)) + "{broken\n" + lines(attempt(2)), encoding="utf-8")
    refresh()

    assert query("SELECT count(*) FROM core.outcomes") == [(2,)]
    assert query("SELECT source, record_ref, row_json FROM core.quarantine") == [("outcomes", "a.jsonl:2", '"{broken"')]


def test_nothing_reported_is_no_error(refresh: Callable[[], Report]) -> None:
    """A deployment that has served nothing yet has an empty table."""
    report = refresh()

    assert report.tables["outcomes"].rows == 0
    assert not report.problems


def test_old_attempts_go_and_do_not_come_back(
    refresh: Callable[[], Report],
    tmp_path: Path,
    build: BuildDatabase,
    query: Callable[..., list[tuple[Any, ...]]],
) -> None:
    """Rows older than the retention, and the files that hold nothing else; one that was written to since stays."""
    before = dt.datetime(2026, 8, 3, 12)
    for number, written_at in ((1, before - dt.timedelta(minutes=1)), (2, before + dt.timedelta(minutes=1))):
        segment = tmp_path / f"outcomes/{number}.jsonl"
        newer = attempt(9, at="2026-08-03T12:00:30Z") if number == 2 else None
        segment.write_text(lines(attempt(number), *([newer] if newer else [])), encoding="utf-8")
        stamp = written_at.replace(tzinfo=dt.UTC).timestamp()
        os.utime(segment, (stamp, stamp))
    refresh()

    with build.writing() as connection:
        removed = prune(connection, "outcomes", before)
    gone = prune_segments(tmp_path / "outcomes", before)
    refresh()

    assert removed == [("answered", 2)]
    assert gone == 1
    assert query("SELECT attempt_id FROM core.outcomes") == [("r9-1",)]


def record(table: str, **changes: Any) -> dict[str, Any]:
    """A record of any kind with every field filled in."""
    blank: dict[Any, Any] = {str: "x", int: 1, float: 0.5, bool: True}
    filled = {name: blank[kind] for name, kind, _ in FIELDS[table]}
    filled |= dict.fromkeys(filled.keys() & {"began_at", "given_at"}, "2026-08-03T10:00:00.250Z")
    if "outcome" in filled:
        filled["outcome"] = "answered"
    return {**filled, **changes}


@pytest.mark.parametrize("table", [name for name in RECORDS if name != "outcomes"])
def test_every_kind_of_record_is_kept_once_and_goes_with_its_age(
    table: str,
    refresh: Callable[[], Report],
    tmp_path: Path,
    query: Callable[..., list[tuple[Any, ...]]],
    build: BuildDatabase,
) -> None:
    """Read twice it stands once; older than the retention it is gone, its file too."""
    folder = tmp_path / table
    folder.mkdir()
    key = FIELDS[table][0][0]
    moment = "given_at" if table == "feedback" else "began_at"
    old = record(table, **{key: "old", moment: "2026-06-01T00:00:00Z"})
    segment = folder / "20260803T100000-1.jsonl"
    segment.write_text(lines(old, record(table, **{key: "new"}), record(table, **{key: 5})), encoding="utf-8")
    refresh()
    refresh()
    assert query(f"SELECT {key}, segment FROM core.{table} ORDER BY 1") == [
        ("new", segment.name),
        ("old", segment.name),
    ]

    with build.writing() as connection:
        assert sum(count for *_, count in prune(connection, table, dt.datetime(2026, 7, 1))) == 1
    assert query(f"SELECT {key} FROM core.{table}") == [("new",)]


def test_a_thumb_down_is_below_zero_and_nothing_else_is() -> None:
    """Scores reach from -1 to 1; a count below zero is a mistake."""
    good = parse_segments(segments(a=lines(record("feedback", score=-1))), AT, "feedback")
    bad = parse_segments(segments(a=lines(record("decisions", candidates=-1))), AT, "decisions")
    assert (good.rows, bad.rows, bad.refused[0].reason) == (1, 0, "candidates is -1")
