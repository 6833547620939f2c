"""A pair is explained in full, unknown records get near names, and a new server's names are resolved on the fly."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest

from pipeline.entities import cases, clustering, explain, records, review
from pipeline.entities.__main__ import main
from pipeline.entities.linkage import TrainedModel, link
from pipeline.entities.pins import Pin, Pins
from pipeline.entities.resolve import resolve
from pipeline.entities.train import choose_threshold, difference
from tests.pipeline.entities.test_linkage import SMALL, arena, openrouter

HELD = records.frame(SMALL)


def told(left: str, right: str, pins: Pins | None = None) -> explain.Explanation:
    """Explain two records of the small set."""
    return explain.explain(HELD, explain.find(HELD, left), explain.find(HELD, right), pins=pins)


def test_a_link_is_a_sum_of_weights() -> None:
    """The bars add up to the match weight that the probability comes from."""
    found = told("anthropic/claude-opus-4.5", "claude-opus-4-5-20251101")

    total = sum(step.match_weight for step in found.steps)
    assert found.is_same
    assert found.verdict.startswith("linked")
    assert found.match_probability == pytest.approx(1 / (1 + 2**-total), rel=1e-6)
    assert found.steps[0].comparison == "prior"
    assert "listed in the weeks after" in explain.render(found)


def test_a_constraint_is_named() -> None:
    """Two ids that one source lists side by side."""
    found = told("openai/gpt-4o", "openai/gpt-4o-2024-08-06")

    assert not found.is_same
    assert "two models" in explain.render(found)


def test_equal_names_are_called_exact() -> None:
    """No statistic was asked."""
    found = told("openrouter:anthropic/claude-opus-4.5", "openrouter:anthropic/claude-opus-4.5:batch")

    assert found.verdict.startswith("exact")
    assert found.steps == ()


def test_a_pin_gives_its_reason() -> None:
    """And wins."""
    pin = Pin(("openrouter", "openai/gpt-4o"), ("openrouter", "openai/gpt-4o-2024-08-06"), True, "asked the vendor")

    found = told("openai/gpt-4o", "openai/gpt-4o-2024-08-06", Pins((pin,)))

    assert found.is_same
    assert "asked the vendor" in found.verdict


def test_an_unknown_record_gets_near_names() -> None:
    """Part of a name is enough for a hint."""
    with pytest.raises(explain.UnknownRecordError, match=r"openrouter:anthropic/claude-opus-4\.5"):
        explain.find(HELD, "claude-opus-4.5-does-not-exist"[:15])


def test_new_servers_names_are_resolved_without_a_refresh() -> None:
    """Known models by the ids of the last refresh, unknown ones as unknown."""
    ids = {
        ("openrouter", "meta-llama/llama-3.1-8b-instruct"): "meta/llama-3.1-8b-instruct",
        ("huggingface", "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B"): "deepseek/deepseek-r1-distill-qwen-14b",
    }

    found = resolve(["llama3.1:8b-instruct-q4_K_M", "deepseek-r1:14b", "my-own"], HELD, ids)

    assert found == {
        "llama3.1:8b-instruct-q4_K_M": "meta/llama-3.1-8b-instruct",
        "deepseek-r1:14b": "deepseek/deepseek-r1-distill-qwen-14b",
        "my-own": None,
    }


def test_the_review_shows_the_nearest_to_the_threshold_first() -> None:
    """With what speaks for them, or keeps them apart; of one model two at first; refused ones are listed apart."""
    linked = link(HELD)
    near = review.nearest(linked, 0.9)

    first = near.filter(pl.int_range(pl.len()).over("model") < 2)
    assert near.head(first.height).equals(first)
    assert first["distance"].is_sorted()
    assert "tf_adj" not in "".join(near["strongest"])
    assert "Kept apart by a constraint" in review.page(linked, 0.9, "today")
    assert "| linked |" in review.links_to_review(linked, 0.9)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [("words", "stranger", "apart: differ in words"), ("match_probability", 0.5, "apart: too little speaks for it")],
)
def test_the_review_says_what_keeps_a_pair_apart(column: str, value: object, reason: str) -> None:
    """The constraint where there is one."""
    linked = link(HELD)
    none = clustering.Clusters({}, {}, (), ())
    of = "units" if column in linked.units.columns else "pairs"
    changed = getattr(linked, of)
    if of == "units":
        ids = linked.pairs["unique_id_l"].to_list()
        changed = changed.with_columns(
            pl.when(pl.col("unique_id").is_in(ids)).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
        )
    else:
        changed = changed.with_columns(pl.lit(value).alias(column))

    told = review.links_to_review(dataclasses.replace(linked, clusters=none, **{of: changed}), 0.9)

    assert f"| {reason} |" in told


def test_newly_linked_records_are_told_from_old_ones() -> None:
    """A record that joined another since last time, not one that was together before."""
    linked = link(records.frame([openrouter("v/alpha-7b"), arena("alpha-7b", "v"), openrouter("v/beta-7b")]))
    now = linked.records.select("source", "record_id", model_id="cluster_id")

    assert review.newly_linked(now, {}) == [
        "lmsys_arena:alpha-7b → lmsys_arena:alpha-7b",
        "openrouter:v/alpha-7b → lmsys_arena:alpha-7b",
    ]
    together = {("openrouter", "v/alpha-7b"): "m", ("lmsys_arena", "alpha-7b"): "m"}
    assert review.newly_linked(now, together) == []


def test_the_threshold_is_one_step_inside_the_best_plateau() -> None:
    """High, but not on the edge."""
    curve = [{"threshold": t, "f1": f1} for t, f1 in ((0.5, 0.9), (0.8, 1.0), (0.9, 1.0), (0.95, 1.0), (0.99, 0.8))]

    assert choose_threshold(curve) == 0.9


def test_training_again_shows_what_moved() -> None:
    """Against itself, nothing; against another, the level and both values."""
    settings = TrainedModel.load().settings
    comparison = settings["comparisons"][0]
    moved = [{**level, "m_probability": 0.5} for level in comparison["comparison_levels"][:1]]

    assert difference(settings, settings) == []
    changed = {"comparisons": [{**comparison, "comparison_levels": moved}]}
    assert "-> 0.500000" in difference(settings, changed)[0]


def test_a_missing_build_is_said_in_one_line(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to do."""
    with pytest.raises(SystemExit, match="orchestrator refresh"):
        main(["why", "--build", f"{tmp_path}/none.duckdb", "a", "b"])


def test_local_names_of_the_labels_can_be_linked_without_a_server() -> None:
    """They are rows like any other."""
    rows = cases.local_records(cases.load())

    assert rows
    assert all(row["source"] == "upstream" and row["name"] in row["record_id"] for row in rows)
