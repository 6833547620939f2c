"""Model ids outlive clusters, splits and merges, and old ones keep resolving."""

from __future__ import annotations

import datetime as dt

from pipeline.entities.identity import Change, assign, resolve_former, slug

NOW = dt.datetime(2026, 8, 22)
A, B, C = ("openrouter", "v/a"), ("lmsys_arena", "a"), ("huggingface", "v/A")


def test_new_models_take_the_name_proposed() -> None:
    """Readable and free of cluster numbers."""
    found = assign({"x": "v/a"}, {"x": [A, B]}, {}, NOW)

    assert found.model_ids == {"x": "v/a"}
    assert found.changes == ()


def test_an_id_is_kept_when_a_better_name_comes() -> None:
    """A model first known from one source keeps its id when a catalogue lists it."""
    found = assign({"x": "v/a"}, {"x": [A, B]}, {B: "v/a-from-arena"}, NOW)

    assert found.model_ids == {"x": "v/a-from-arena"}


def test_a_split_leaves_the_id_with_the_larger_part() -> None:
    """And says what moved."""
    before = {A: "v/a", B: "v/a", C: "v/a"}

    found = assign({"x": "v/a", "y": "v/a-new"}, {"x": [A, B], "y": [C]}, before, NOW)

    assert found.model_ids == {"x": "v/a", "y": "v/a-new"}
    assert (Change(NOW, "split", "v/a", "v/a-new", 1),) == found.changes


def test_a_merge_leaves_an_alias() -> None:
    """The absorbed id resolves to the model it became, also through a second merge."""
    first = assign({"x": "v/a"}, {"x": [A, B, C]}, {A: "v/a", B: "v/a", C: "v/c"}, NOW)
    later = Change(NOW + dt.timedelta(days=1), "merged", "v/a", "v/z", 3)

    assert (Change(NOW, "merged", "v/c", "v/a", 1),) == first.changes
    assert resolve_former(first.changes, {"v/a"}) == {"v/c": "v/a"}
    assert resolve_former([*first.changes, later], {"v/z"}) == {"v/c": "v/z", "v/a": "v/z"}


def test_an_id_in_use_is_never_an_alias() -> None:
    """Merged once, split again: the id is a model's own."""
    assert resolve_former([Change(NOW, "merged", "v/c", "v/a", 1)], {"v/a", "v/c"}) == {}


def test_two_models_of_one_name_are_told_apart_the_same_way_every_time() -> None:
    """The mark comes from the record, not from the order."""
    members = {"x": [A, B], "y": [C]}
    proposals = {"x": "v/a", "y": "v/a"}

    found = assign(proposals, members, {}, NOW).model_ids
    turned = assign(proposals, dict(reversed(members.items())), {}, NOW).model_ids

    assert found == turned
    assert found["x"] == "v/a"
    assert found["y"].startswith("v/a-")


def test_a_vanished_model_is_retired() -> None:
    """Its id is not given to another."""
    found = assign({"x": "v/a"}, {"x": [A]}, {A: "v/a", B: "v/b"}, NOW)

    assert (Change(NOW, "retired", "v/b", None, 0),) == found.changes


def test_slugs_are_readable_and_bounded() -> None:
    """Whatever a source calls it."""
    assert slug("GPT-4o (2024-08-06)") == "gpt-4o-2024-08-06"
    assert len(slug("x" * 500)) <= 80
