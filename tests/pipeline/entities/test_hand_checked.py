"""Linkage of the full recordings against the hand-checked pairs: floors per source pair, and the test through time.

The model, its threshold and nothing else come from recordings up to 2026-03; what it says about 2026-08 is untouched.
"""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from pipeline.entities import cases, linkage, pins, records
from pipeline.entities import vocabulary as words_of
from pipeline.entities.recordings import records_until
from tests.conftest import RECORDINGS, needs_recordings

EVERY = cases.load()
CHECK = [case for case in EVERY if case.split == "check"]
ENOUGH = 20
"""Pairs of a kind below which one error says nothing about a share."""


def test_there_are_enough_labels_and_half_of_them_tempt() -> None:
    """At least 400, at least half different, each with its reason, none twice, both splits filled."""
    ends = [frozenset((case.left, case.right)) for case in EVERY]

    assert len(EVERY) >= 400
    assert 2 * sum(not case.same for case in EVERY) >= len(EVERY)
    assert all(case.why for case in EVERY)
    assert len(set(ends)) == len(ends)
    assert {case.split for case in EVERY} == {"tuning", "check"}
    assert [case.number for case in EVERY] == list(range(1, len(EVERY) + 1))


def test_labels_do_not_contradict_each_other() -> None:
    """Joined by the pairs that are the same, no pair that is not may be inside one group."""
    group: dict[cases.RecordRef, cases.RecordRef] = {}

    def root(ref: cases.RecordRef) -> cases.RecordRef:
        while group.get(ref, ref) != ref:
            ref = group[ref]
        return ref

    for case in EVERY:
        if case.same:
            group[root(case.left)] = root(case.right)
    assert [case.number for case in EVERY if not case.same and root(case.left) == root(case.right)] == []


def linked_until(until: dt.date) -> dict[cases.RecordRef, str]:
    """Cluster of every record of the recordings up to a day, local names beside them."""
    held = records_until(RECORDINGS, until).filter(~pl.col("record_id").str.starts_with("~"))
    everything = pl.concat([held, records.frame(cases.local_records(EVERY))])
    found = linkage.link(everything, pins=pins.load()).records.select("source", "record_id", "cluster_id")
    return {(source, record_id): cluster for source, record_id, cluster in found.iter_rows()}


@pytest.fixture(scope="module")
def today() -> dict[cases.RecordRef, str]:
    """The set of 2026-08-22."""
    return linked_until(dt.date(2026, 8, 31))


@needs_recordings
@pytest.mark.integration
def test_check_labels_hold_for_every_source_pair(today: dict[cases.RecordRef, str]) -> None:
    """Precision at least 0.995 and recall at least 0.97, in all and wherever a share means something."""
    judged = cases.evaluate(CHECK, today)

    assert judged.skipped <= 0.05 * len(CHECK)
    for pair, score in judged.scores.items():
        if score.true_positives + score.false_negatives >= ENOUGH:
            assert (pair, True) == (pair, score.precision >= 0.995 and score.recall >= 0.97)
        else:
            assert (pair, 0) == (pair, score.false_positives)


@needs_recordings
@pytest.mark.integration
def test_it_beats_the_obvious_baselines(today: dict[cases.RecordRef, str]) -> None:
    """Normalised equality misses half, a fuzzy ratio joins what it should not."""
    there = [case for case in CHECK if {case.left, case.right} <= set(today)]
    ours = cases.evaluate(there, today).scores["all"]

    for says_same in cases.BASELINES.values():
        theirs = cases.judge(there, says_same).scores["all"]
        assert ours.f1 > theirs.f1 + 0.2
        assert ours.precision >= theirs.precision


@needs_recordings
@pytest.mark.integration
def test_known_models_have_records_from_every_source_that_has_them(today: dict[cases.RecordRef, str]) -> None:
    """Claude Opus 4.5, GPT-4o 2024-08-06, Llama 3.1 70B Instruct, DeepSeek R1: complete, without their neighbours."""
    members: dict[str, set[str]] = {}
    for (source, record_id), cluster in today.items():
        if source not in words_of.HOSTED_SOURCES:
            members.setdefault(cluster, set()).add(f"{source}:{record_id}")

    def model_of(record_id: str) -> set[str]:
        return members[today["openrouter", record_id]]

    assert model_of("openai/gpt-4o-2024-08-06") == {
        "openrouter:openai/gpt-4o-2024-08-06",
        "artificial_analysis:gpt-4o-2024-08-06",
        "lmsys_arena:gpt-4o-2024-08-06",
        "lmsys_arena:GPT-4o-2024-08-06",
    }
    assert model_of("anthropic/claude-opus-4.5") == {
        "openrouter:anthropic/claude-opus-4.5",
        "openrouter:anthropic/claude-opus-4.5:batch",
        "artificial_analysis:claude-opus-4-5",
        "artificial_analysis:claude-opus-4-5-thinking",
        "lmsys_arena:claude-opus-4-5-20251101",
        "lmsys_arena:claude-opus-4-5-20251101-high-32k",
        "lmsys_arena:claude-opus-4-5-20251101-thinking-32k",
    }
    llama = model_of("meta-llama/llama-3.1-70b-instruct")
    assert {"huggingface:meta-llama/Llama-3.1-70B-Instruct", "lmsys_arena:llama-3.1-70b-instruct"} <= llama
    assert all("70b" in member.lower() and "instruct" in member.lower() for member in llama)
    r1 = model_of("deepseek/deepseek-r1")
    assert {"huggingface:deepseek-ai/DeepSeek-R1", "lmsys_arena:deepseek-r1"} <= r1
    assert not any("0528" in member or "distill" in member.lower() for member in r1)


def test_scores_are_what_they_are_called() -> None:
    """Precision over links made, recall over links wanted."""
    score = cases.Score(true_positives=8, false_positives=2, false_negatives=8, true_negatives=80)

    assert (score.precision, score.recall) == (0.8, 0.5)
    assert cases.Score(0, 0, 0, 5).precision == 1.0


def test_the_baselines_do_what_their_names_say() -> None:
    """Known answers."""
    assert cases.equal_names(("openrouter", "openai/GPT-4o:free"), ("lmsys_arena", "gpt 4o"))
    assert cases.token_sort_ratio("new york mets", "mets york new") == 100.0
    assert round(cases.token_sort_ratio("abc", "abd")) == 67
    assert cases.similar_names(("lmsys_arena", "gpt-4o-2024-08-06"), ("lmsys_arena", "gpt-4o-2024-08-05"))
