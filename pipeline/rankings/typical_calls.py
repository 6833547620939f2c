"""What a typical call is: how many tokens go in and come out, easy, medium or hard.

Data only. Every cost and time of a ranking is that of one of these calls, so that orders can be computed beforehand;
the proxy weighs a real call's own length afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TypicalCall:
    """One difficulty band's call."""

    band: str
    prompt_tokens: int
    answer_tokens: int
    """Visible completion tokens."""
    thinking: float
    """How much a thinking model thinks, against a medium call."""
    difficulty: float
    """Quality (Arena scale) at which a model succeeds on half of such prompts. See docs/formulas.md."""
    points_per_logit: float
    """Rating points that multiply the odds of success by e: the fewer, the more such prompts tell models apart."""
    ability: str = "quality"
    """Column of the estimate that success on such prompts depends on."""


TYPICAL_CALLS: tuple[TypicalCall, ...] = (
    # Measured over models that have both a rating and a score: MMLU-Pro is half solved at 1180 (130 points a logit),
    # GPQA at 1270 (98), LiveCodeBench at 1340 (72), Terminal-Bench at 1470 (52), Humanity's Last Exam at 1550 (94).
    TypicalCall("easy", 200, 150, thinking=0.3, difficulty=1050.0, points_per_logit=130.0),
    TypicalCall("medium", 1_000, 500, thinking=1.0, difficulty=1330.0, points_per_logit=90.0),
    TypicalCall(
        "hard", 3_000, 1_500, thinking=3.0, difficulty=1470.0, points_per_logit=55.0, ability="quality_when_hard"
    ),
)

BANDS: dict[str, TypicalCall] = {call.band: call for call in TYPICAL_CALLS}

MEDIUM = BANDS["medium"]
