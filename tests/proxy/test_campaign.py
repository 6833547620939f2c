"""A short campaign of faults, held to what is promised; `python -m tests.proxy.campaign` makes 10,000 calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proxy.campaign import (
    BROKEN,
    FAULTS,
    MOST_CALLS,
    NEVER_RESTS,
    REFUSED,
    TOTAL_S,
    UNREACHABLE,
    campaign,
)

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


@pytest.mark.parametrize(
    "calls", [810, pytest.param(10_000, marks=[pytest.mark.performance, pytest.mark.timeout(2700)])]
)
async def test_no_call_is_lost_while_one_candidate_is_well(tmp_path: Path, calls: int) -> None:
    """Every call is answered in time; what fails is soon left alone, and is found again when it is well."""
    report = await campaign(tmp_path, calls, silence_s=3.0)

    rows = report.rows
    assert [text for row in rows.values() for text in row.lost] == []
    assert {name for name, row in rows.items() if row.broken} == BROKEN
    assert max(row.slowest_s for row in rows.values()) < TOTAL_S + 0.5
    for name in FAULTS.keys() - NEVER_RESTS:
        assert rows[name].upstream_calls <= MOST_CALLS, name
    assert {name for name in rows if name not in NEVER_RESTS and not rows[name].is_open} == set()
    assert not rows["moderating"].is_open
    assert {name for name, row in rows.items() if not row.is_closed} <= set(UNREACHABLE)
    assert report.tasks_left == 0


def test_the_refusals_are_those_of_many_vendors() -> None:
    """Ten at least, as they come over the wire."""
    assert len({one.vendor for one in REFUSED}) >= 10
