"""Efforts are spelt in every way there is, and a wrong reading puts a score on the wrong configuration."""

from __future__ import annotations

import pytest

from pipeline.rankings.efforts import DEFAULT, canonical, ladder


@pytest.mark.parametrize(
    ("raw", "effort"),
    [
        ("Adaptive Reasoning, Max Effort", "max"),
        ("Adaptive Reasoning, Xhigh Effort", "xhigh"),
        ("Non-reasoning, High Effort", "none"),
        ("none-high", "none"),
        ("non-reasoning", "none"),
        ("no-thinking", "none"),
        ("thinking-32k", "thinking"),
        ("thinking-high", "high"),
        ("thinking-minimal", "minimal"),
        ("Reasoning", "thinking"),
        ("xHigh", "xhigh"),
        ("instant", "none"),
        ("", None),
        (None, None),
        ("Preview", None),
    ],
)
def test_canonical(raw: str | None, effort: str | None) -> None:
    assert canonical(raw) == effort


def test_a_listed_ladder_keeps_its_rungs_and_default() -> None:
    rungs = ladder(supported=["high", "low", "medium"], default="low", can_reason=True, is_mandatory=True, evidence=[])

    assert (rungs.efforts, rungs.default) == (("low", "medium", "high"), "low")


def test_thinking_that_is_not_mandatory_can_be_switched_off() -> None:
    rungs = ladder(supported=["high"], default="high", can_reason=True, is_mandatory=False, evidence=[])

    assert rungs.efforts == ("none", "high")


def test_an_unlisted_hybrid_is_off_or_on() -> None:
    rungs = ladder(supported=[], default=None, can_reason=True, is_mandatory=False, evidence=["thinking"])

    assert (rungs.efforts, rungs.default) == (("none", "high"), "none")


def test_a_model_that_cannot_think_has_one_configuration() -> None:
    rungs = ladder(supported=[], default=None, can_reason=False, is_mandatory=None, evidence=[])

    assert (rungs.efforts, rungs.is_reasoning) == ((DEFAULT,), False)


def test_evidence_of_unknown_effort_belongs_to_no_rung_of_a_ladder() -> None:
    rungs = ladder(supported=["low", "high"], default="low", can_reason=True, is_mandatory=True, evidence=[])

    assert rungs.place(None) is None
    assert rungs.place("high") == "high"
    assert rungs.place("thinking") == "high"
