"""Offsets of kinds of prompts, on ratings with known answers."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from pipeline.rankings import categories, configurations, estimates, quality
from pipeline.rankings.configurations import Evidence, ModelFacts

AT = dt.datetime(2026, 8, 22)


def facts(vendor: str, number: int) -> ModelFacts:
    return ModelFacts(
        model_id=f"{vendor}/{vendor}-{number}",
        name=f"{vendor} {number}",
        vendor=vendor,
        family=vendor,
        kind="chat",
        size_b=None,
        active_size_b=None,
        released_on=dt.date(2026, 1, 1) + dt.timedelta(days=number),
        is_offered=True,
    )


def rating(model: ModelFacts, scope: str, value: float) -> Evidence:
    return Evidence(
        model.model_id, None, "rating", scope, value, 9.0, 1.0, "lmsys_arena", model.model_id.split("/")[1], AT
    )


MODELS = [facts(vendor, number) for number in range(20) for vendor in ("coders", "poets")]
UNRATED_IN_CODING = {"coders/coders-19", "poets/poets-19"}


def evidence() -> list[Evidence]:
    """One vendor is 40 points better at code than at other things, the other 40 worse; all are alike overall."""
    rows = []
    for model in MODELS:
        overall = 1300.0 + 5 * int(model.model_id.rsplit("-", 1)[1])
        rows.append(rating(model, "text/overall", overall))
        rows.append(rating(model, "text/exclude_ties", overall))
        if model.model_id not in UNRATED_IN_CODING:
            rows.append(rating(model, "text/coding", overall + (140 if model.vendor == "coders" else 60)))
        if model.vendor == "coders":
            rows.append(rating(model, "text/seldom", overall))
    return rows


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], tuple[float, float, str]]:
    rungs, frame = estimates.configure(MODELS, evidence(), quality.terms())
    built = categories.build(rungs, frame, evidence())
    assert built.schema == categories.SCHEMA
    return {(m, c): (q, sd, basis) for m, _, c, q, sd, basis in built.iter_rows()}


def test_a_vendors_leaning_is_carried_to_its_model_without_a_rating_there(
    found: dict[tuple[str, str], tuple[float, float, str]],
) -> None:
    (coder, coder_sd, coder_basis), (poet, _, _) = (
        found["coders/coders-19", "coding"],
        found["poets/poets-19", "coding"],
    )

    assert coder - poet == pytest.approx(80, abs=15)
    assert coder_basis == "offset"
    assert coder_sd > found["coders/coders-18", "coding"][1]
    assert found["coders/coders-18", "coding"][2] == "rated"


def test_a_categorys_own_level_is_taken_out(found: dict[tuple[str, str], tuple[float, float, str]]) -> None:
    """All ratings in coding lie 100 points above: that says something of the category, nothing of a model."""
    values = [value for (_, category), (value, _, _) in found.items() if category == "coding"]

    assert np.mean(values) == pytest.approx(1300 + 5 * 9.5, abs=3)


def test_what_is_no_kind_of_prompt_or_seldom_rated_is_left_out(
    found: dict[tuple[str, str], tuple[float, float, str]],
) -> None:
    assert {category for _, category in found} == {"coding"}


def test_without_any_category_there_are_no_rows() -> None:
    only_overall = [item for item in evidence() if item.scope == "text/overall"]
    rungs, frame = estimates.configure(MODELS, only_overall, quality.terms())

    assert configurations.ARENA_SCOPE == "text/overall"
    assert categories.build(rungs, frame, only_overall).is_empty()
