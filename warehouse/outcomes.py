"""What the proxy reports back: records of attempts and of what callers thought, and the segment files they go to.

The way back of the contract. Only shapes and file names belong here: appending is the proxy's, ingesting the
pipeline's. A record carries counts, times and causes; never prompts, answers, keys or client addresses.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, NamedTuple

SEGMENT_SUFFIX = ".jsonl"
"""Finished segments: immutable, one JSON object a line, keys as in `Outcome`."""

OPEN_SUFFIX = ".jsonl.open"
"""A segment that is still being written. Ingested too, up to its last complete line."""


OUTCOMES: dict[str, str] = {
    "answered": "a complete answer",
    "overloaded": "429 or an upstream at its limit",
    "refused": "the upstream would not serve it: key, balance, model or parameter",
    "unreachable": "no connection, or none in time",
    "stalled": "connected, then silent for too long",
    "malformed": "an answer that is none: empty, truncated, not JSON, an error under status 200",
    "broken": "broke off after content had gone out",
    "caller_gone": "the client hung up; nobody's fault",
    "caller_error": "the request itself was at fault",
}
"""What can become of an attempt, and what each word means."""


class Outcome(NamedTuple):
    """One attempt of one call."""

    attempt_id: Annotated[str, "unique: request id + '-' + number of the attempt"]
    request_id: Annotated[str, "x-request-id of the call"]
    attempt: Annotated[int, "1 is the first"]
    attempts: Annotated[int, "attempts of the call so far, this one included"]
    at: Annotated[str, "UTC start of the attempt, ISO 8601 with Z"]
    profile: Annotated[str | None, "profile the call asked for; null when a model was named"]
    difficulty: Annotated[float | None, "0 to 1"]
    difficulty_band: Annotated[str | None, "easy, medium or hard"]
    category: Annotated[str | None, "kind of task"]
    model_id: Annotated[str, "published.models"]
    offer_id: Annotated[str, "published.offers"]
    upstream: Annotated[str, "upstream called"]
    effort: Annotated[str | None, "effort asked for"]
    endpoint: Annotated[str, "chat, completions, responses, messages or embeddings"]
    is_streamed: Annotated[bool, "whether the client asked for a stream"]
    outcome: Annotated[str, "one of OUTCOMES"]
    status: Annotated[int | None, "HTTP status of the upstream"]
    cause: Annotated[str | None, "short cause, without any text of the prompt or the answer"]
    first_byte_ms: Annotated[float | None, "start of the attempt to the first byte of the body"]
    first_content_ms: Annotated[float | None, "start of the attempt to the first content"]
    total_ms: Annotated[float, "start of the attempt to its end"]
    prompt_tokens: Annotated[int | None, "as the upstream reports"]
    cached_tokens: Annotated[int | None, "part of prompt_tokens read from a cache"]
    completion_tokens: Annotated[int | None, "as the upstream reports, reasoning included"]
    reasoning_tokens: Annotated[int | None, "part of completion_tokens"]
    cost_usd: Annotated[float | None, "reported by the upstream, else computed from the offer's prices"]
    cost_is_reported: Annotated[bool, "whether the upstream reported it"]


class Feedback(NamedTuple):
    """What a caller thought of an answer. Joined to its outcomes by `request_id`."""

    feedback_id: Annotated[str, "unique"]
    request_id: Annotated[str, "x-request-id of the call, which is its decision id"]
    at: Annotated[str, "UTC, ISO 8601 with Z"]
    score: Annotated[float, "-1 (useless) to 1 (just right); a thumb is one of the two"]
    profile: Annotated[str | None, "profile the call asked for; null where that is not known or a model was named"]
    model_id: Annotated[str | None, "published.models; null where the worker did not remember the call"]
    offer_id: Annotated[str | None, "published.offers"]
    effort: Annotated[str | None, "effort asked for"]


def segment_name(now: dt.datetime, worker: str) -> str:
    """File name of a segment that `worker` opens at `now` (UTC), without suffix. Sorts by time."""
    return f"{now:%Y%m%dT%H%M%S%f}-{worker}"
