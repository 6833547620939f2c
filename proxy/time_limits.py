"""How long a candidate may take. Pure.

A fixed limit would kill the best thinking models, which are silent for minutes, and wait for ever on those that
answer within a second. So, unless a limit is set, it follows what the publication says of the candidate at that
effort: `FACTOR` times its median, within a floor and a cap. Where it says nothing, the effort does. A long prompt has
to be read first, and a local server may have to load the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from proxy.candidates import Candidate
from proxy.settings import Settings

FACTOR = 5.0
"""Times the median. Published p99 to p50 ratios of time to first token lie between 2 and 5."""
FLOOR_S = 15.0
CAP_S = 600.0
UNKNOWN_S: Mapping[str | None, float] = {
    "none": 60.0,
    "minimal": 60.0,
    "low": 90.0,
    "medium": 180.0,
    "high": 300.0,
    "xhigh": 450.0,
    "max": 600.0,
}
"""Where nothing is published, by effort."""
UNKNOWN_EFFORT_S = 60.0
UNKNOWN_THINKING_S = 120.0
"""Of a model that may think, at its own default effort."""
LOCAL_FLOOR_S = 120.0
"""A local server loads a model when it is first asked for, at the speed of a disk."""
SLOW_READING_TOKENS_PER_S = 2_000.0
_TOKENS_OF_AN_ANSWER = 1_000
_SLOW_TOKENS_PER_S = 20.0


class Limits(NamedTuple):
    """Seconds; each counts from the event before."""

    first_content_s: float
    between_chunks_s: float


class Tightened(NamedTuple):
    """What a caller allows at most, by header; None leaves it to us."""

    first_content_s: float | None = None
    between_chunks_s: float | None = None
    total_s: float | None = None


NO_WISH = Tightened()


def limits(
    candidate: Candidate,
    *,
    is_stream: bool,
    output_tokens: int | None,
    settings: Settings,
    wish: Tightened,
    prompt_tokens: int = 0,
) -> Limits:
    """Limits of one attempt. An answer that is not streamed comes whole, so its generation is part of the wait."""
    first_s = settings.first_byte_timeout_s
    if first_s is None:
        first_s = _expected_s(candidate) + prompt_tokens / SLOW_READING_TOKENS_PER_S
        if not is_stream:
            tokens = max(candidate.output_tokens or _TOKENS_OF_AN_ANSWER, output_tokens or 0)
            first_s += 2 * tokens / (candidate.throughput_tokens_per_s or _SLOW_TOKENS_PER_S)
        first_s = min(first_s, CAP_S)
    between_s = settings.between_chunks_timeout_s
    return Limits(
        first_s if wish.first_content_s is None else min(first_s, wish.first_content_s),
        between_s if wish.between_chunks_s is None else min(between_s, wish.between_chunks_s),
    )


def _expected_s(candidate: Candidate) -> float:
    if candidate.first_token_ms is not None:
        first_s = max(FLOOR_S, FACTOR * candidate.first_token_ms / 1000)
    elif candidate.effort is None and candidate.offer.supports_reasoning:
        first_s = UNKNOWN_THINKING_S
    else:
        first_s = UNKNOWN_S.get(candidate.effort, UNKNOWN_EFFORT_S)
    return max(first_s, LOCAL_FLOOR_S) if candidate.offer.is_local else first_s
