"""Benchmarks on the Hub, in the shape their documentation gives."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.settings import load as load_settings
from pipeline.sources.hub_evaluations import HUB, collect, parse_leaderboards
from pipeline.sources.source import FetchError, PayloadRefusedError, Sighting
from tests.pipeline.sources.conftest import FakeWeb

AT = Sighting(observed_at=dt.datetime(2026, 8, 1), now=dt.datetime(2026, 8, 1))


def test_verified_and_community_results_stay_apart(small: Callable[[str], bytes]) -> None:
    """A result that nobody says was verified is the community's; one repository may have several."""
    parsed = parse_leaderboards(small("huggingface/evaluations-2026-08-01.json"), AT)
    rows = parsed.frames["hub_evaluations"].to_dicts()

    assert {(row["huggingface_id"], row["score"], row["is_verified"]) for row in rows} == {
        ("acme/Swift-1-Instruct", 41.2, True),
        ("acme/Swift-1-Instruct", 55.0, False),
        ("bolt/Mid-7B", 12.5, False),
    }
    assert set(parsed.observations["scope"].to_list()) == {
        "acme/hard-questions .eval_results/hard.yaml verified",
        "acme/hard-questions .eval_results/hard_with_tools.yaml community",
        "acme/hard-questions .eval_results/hard.yaml community",
    }
    assert {(refused.record_ref, refused.reason) for refused in parsed.refused} == {
        ("acme/hard-questions bolt/Odd", "value is 'much'"),
        ("acme/hard-questions entry 4", "modelId is missing"),
        ("acme/hard-questions bolt/Mid-7B", "a second row under the same key"),
        ("acme/gated", "it has no name or no entries"),
    }


def test_each_official_benchmark_is_asked_and_a_gated_one_left_out() -> None:
    """The list names the data sets; a leaderboard that does not answer costs only itself."""
    board = b'[{"rank":1,"modelId":"acme/x","value":3.5,"verified":true}]'
    web = FakeWeb(
        {
            f"{HUB}?filter=benchmark:official": b'[{"id":"acme/open"},{"id":"acme/gated"}]',
            f"{HUB}/acme/open/leaderboard": board,
        }
    )

    parsed = parse_leaderboards(collect(web, (), load_settings({})), AT)

    assert parsed.frames["hub_evaluations"]["benchmark"].to_list() == ["acme/open"]
    with pytest.raises(FetchError):
        collect(FakeWeb({f"{HUB}?filter=benchmark:official": b"[]"}), (), load_settings({}))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"leaderboards":[]}', b'{"leaderboards":[{"benchmark":"x"}]}']
)
def test_what_holds_no_score_is_refused(body: bytes) -> None:
    """Nothing replaces the held scores but scores."""
    with pytest.raises(PayloadRefusedError):
        parse_leaderboards(body, AT)


_VALUE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
_ENTRY = st.dictionaries(st.sampled_from(["modelId", "value", "verified", "rank", "filename"]), _VALUE, max_size=5)


@settings(max_examples=80, deadline=None)
@given(entries=st.lists(_ENTRY | _VALUE, max_size=4))
def test_no_entry_breaks_the_parser(entries: list[Any]) -> None:
    """Whatever stands beside a good entry, that one is read, and scores are finite."""
    good = {"modelId": "acme/good", "value": 1.0}
    body = json.dumps({"leaderboards": [{"benchmark": "b", "entries": [*entries, good]}]}).encode()

    rows = parse_leaderboards(body, AT).frames["hub_evaluations"].to_dicts()

    assert "acme/good" in {row["huggingface_id"] for row in rows}
    assert all(abs(row["score"]) <= 1e6 for row in rows)
