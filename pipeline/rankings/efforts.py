"""Reasoning efforts: one spelling, one order, and which efforts a model has.

Pure. What an effort does to quality and time is estimated elsewhere; here is only what efforts there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

POSITION: dict[str, float] = {
    "none": 0.0,
    "minimal": 0.1,
    "low": 0.3,
    "medium": 0.5,
    "high": 0.7,
    "xhigh": 0.85,
    "max": 1.0,
}
"""Efforts in order, each with its place between no thinking and all there is."""

DEFAULT = "default"
"""The only configuration of a model whose effort cannot be chosen."""

THINKING = "thinking"
"""Thinking is on and how much is not said: `(Reasoning)`, `-thinking-32k`."""

_ALWAYS_THINKS_AT = POSITION["high"]


def canonical(raw: str | None) -> str | None:
    """The effort that a source's wording means; None where it says nothing about effort.

    >>> canonical("Adaptive Reasoning, Max Effort"), canonical("Non-reasoning, High Effort"), canonical("thinking-32k")
    ('max', 'none', 'thinking')
    """
    words = (raw or "").lower().replace("_", "-")
    if not words or words == DEFAULT:
        return None
    if re.search(r"\bnon?-?(reasoning|thinking)|^(none|off|disabled|instant)\b", words):
        return "none"
    for effort in ("minimal", "xhigh", "max", "medium", "low", "high"):
        if re.search(rf"(?<![a-z]){effort}(?![a-z])", words):
            return effort
    if re.search(r"reason|think|adaptive|\d+k\b", words):
        return THINKING
    return None


@dataclass(frozen=True)
class Ladder:
    """The efforts a model has, in order, and which of them it takes when none is asked for."""

    efforts: tuple[str, ...]
    default: str
    is_reasoning: bool
    """Whether the model thinks at all."""

    def place(self, effort: str | None) -> str | None:
        """The rung that evidence at `effort` belongs to; None where the evidence does not say which."""
        if self.efforts == (DEFAULT,):
            return None if effort == "none" and self.is_reasoning else DEFAULT
        if effort == THINKING:
            return "high" if "high" in self.efforts else self.efforts[-1]
        return effort if effort in self.efforts else None

    def position(self, effort: str | None) -> float:
        """Place of an effort between 0 and 1; of the default rung where the effort is unknown."""
        name = self.default if effort is None else effort
        if name == DEFAULT:
            return _ALWAYS_THINKS_AT if self.is_reasoning else 0.0
        return POSITION[name]


def in_order(efforts: Iterable[str]) -> tuple[str, ...]:
    """Known efforts, each once, from least to most."""
    return tuple(sorted({e for e in efforts if e in POSITION}, key=POSITION.__getitem__))


def ladder(
    *,
    supported: Sequence[str],
    default: str | None,
    can_reason: bool | None,
    is_mandatory: bool | None,
    evidence: Iterable[str],
) -> Ladder:
    """The efforts of a model, from what its offers list and what its evidence names.

    `supported`, `default` and `can_reason` are what upstreams list (canonical or not), `evidence` the canonical
    efforts that records of the model state. Thinking that is not mandatory can be switched off, listed or not.
    """
    seen = set(evidence)
    listed = set(in_order(canonical(e) or "" for e in supported))
    rated = {e for e in seen if e in POSITION}
    if listed:
        if is_mandatory is False:
            listed.add("none")
        rungs = in_order(listed | (rated if is_mandatory is not True else rated - {"none"}))
    elif can_reason and is_mandatory is False:
        rungs = in_order({"none", "high"} | rated)
    elif can_reason or is_mandatory:
        return Ladder((DEFAULT,), DEFAULT, is_reasoning=True)
    else:
        rungs = in_order(rated | ({"high"} if THINKING in seen and rated - {"high"} else set()))
        if len(rungs) < 2:
            return Ladder((DEFAULT,), DEFAULT, is_reasoning=bool((seen - {"none"}) and can_reason is not False))
    chosen = canonical(default)
    if chosen not in rungs:
        chosen = next((e for e in ("medium", "none", "high") if e in rungs), rungs[len(rungs) // 2])
        if not listed and "none" in rungs:
            chosen = "none"
    return Ladder(rungs, chosen, is_reasoning=True)
