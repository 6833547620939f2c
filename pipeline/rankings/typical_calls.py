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


TYPICAL_CALLS: tuple[TypicalCall, ...] = (
    TypicalCall("easy", prompt_tokens=200, answer_tokens=150, thinking=0.3, difficulty=1050.0),
    TypicalCall("medium", prompt_tokens=1_000, answer_tokens=500, thinking=1.0, difficulty=1330.0),
    TypicalCall("hard", prompt_tokens=3_000, answer_tokens=1_500, thinking=3.0, difficulty=1480.0),
)

BANDS: dict[str, TypicalCall] = {call.band: call for call in TYPICAL_CALLS}

MEDIUM = BANDS["medium"]
