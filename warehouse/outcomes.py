"""What the proxy reports back: attempts, decisions, callers' opinions, shadow calls; and the files they go to.

The way back of the contract. Only shapes and file names belong here: appending is the proxy's, ingesting the
pipeline's. A record carries counts, times, names and causes; never prompts, answers, keys or client addresses.
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
    given_at: Annotated[str, "UTC, ISO 8601 with Z"]
    score: Annotated[float, "-1 (useless) to 1 (just right); a thumb is one of the two"]
    profile: Annotated[str | None, "profile the call asked for; null where that is not known or a model was named"]
    model_id: Annotated[str | None, "published.models; null where the worker did not remember the call"]
    offer_id: Annotated[str | None, "published.offers"]
    effort: Annotated[str | None, "effort asked for"]


class Decision(NamedTuple):
    """One call: what was considered, what was tried, and what that cost against what else could have answered."""

    decision_id: Annotated[str, "x-orchestrator-decision of the answer, which is the request_id of its outcomes"]
    began_at: Annotated[str, "UTC start of the call, ISO 8601 with Z"]
    total_ms: Annotated[float, "start of the call to its end"]
    endpoint: Annotated[str, "chat, completions, responses, messages or embeddings"]
    key_name: Annotated[str | None, "name of the client's key, never the key; null for the operator's own"]
    asked_model: Annotated[str | None, "the model field as it came, at most 200 characters of it"]
    profile: Annotated[str | None, "profile that chose; null when a model was named"]
    difficulty: Annotated[float | None, "0 to 1"]
    difficulty_band: Annotated[str | None, "easy, medium or hard"]
    category: Annotated[str | None, "kind of task"]
    publication_id: Annotated[str, "published.snapshot it was made under"]
    candidates: Annotated[int, "offers at an effort that could have been tried, breakers aside"]
    considered_json: Annotated[str, "the first ten of them in order: offer, effort, rank, score, expected_cost_usd"]
    removed_json: Annotated[str, "candidates that each filter removed: unavailable, needs, context, request, key, ..."]
    skipped_json: Annotated[str, "candidates whose turn came but that were not sent the call: offer, reason"]
    attempts_json: Annotated[str, "what was tried, in order: offer, effort, outcome, cause, status, ms"]
    attempts: Annotated[int, "how many were tried"]
    outcome: Annotated[str | None, "of the last attempt, one of OUTCOMES; null when nothing was tried"]
    model_id: Annotated[str | None, "published.models; of the last attempt"]
    offer_id: Annotated[str | None, "published.offers; of the last attempt"]
    effort: Annotated[str | None, "effort asked for"]
    prompt_tokens: Annotated[int | None, "of the last attempt, as the upstream reports"]
    completion_tokens: Annotated[int | None, "of the last attempt, reasoning included"]
    cost_usd: Annotated[float | None, "of all attempts together; null where no price or usage is known"]
    average_usd: Annotated[float | None, "the same tokens at the average of the candidates"]
    most_expensive_usd: Annotated[float | None, "the same tokens at the most expensive candidate"]
    most_expensive_offer_id: Annotated[str | None, "which that is"]
    route_json: Annotated[str, "what else decided: wishes of the request, session and its sum, hedging, cache"]


class ShadowCall(NamedTuple):
    """A call that a second candidate was sent as well, beside what the caller got. Nobody saw the second answer."""

    decision_id: Annotated[str, "of the caller's call"]
    began_at: Annotated[str, "UTC start of the shadow call, ISO 8601 with Z"]
    profile: Annotated[str | None, "profile that chose"]
    difficulty_band: Annotated[str | None, "easy, medium or hard"]
    category: Annotated[str | None, "kind of task"]
    primary_model_id: Annotated[str, "published.models; answered the caller"]
    primary_offer_id: Annotated[str, "published.offers"]
    primary_effort: Annotated[str | None, "effort asked for"]
    primary_is_streamed: Annotated[bool, "whether the caller asked for a stream"]
    primary_ok: Annotated[bool, "whether it answered"]
    primary_first_content_ms: Annotated[float | None, "start of the attempt to the first content"]
    primary_total_ms: Annotated[float, "start of the attempt to its end"]
    primary_prompt_tokens: Annotated[int | None, "as the upstream reports"]
    primary_completion_tokens: Annotated[int | None, "as the upstream reports, reasoning included"]
    primary_cost_usd: Annotated[float | None, "reported, else computed"]
    primary_finish_reason: Annotated[str | None, "stop, length, tool_calls, ..."]
    shadow_model_id: Annotated[str, "published.models; was asked beside it"]
    shadow_offer_id: Annotated[str, "published.offers"]
    shadow_effort: Annotated[str | None, "effort asked for"]
    shadow_ok: Annotated[bool, "whether it answered"]
    shadow_cause: Annotated[str | None, "why not"]
    shadow_total_ms: Annotated[float, "start to end; it is never streamed"]
    shadow_prompt_tokens: Annotated[int | None, "as the upstream reports"]
    shadow_completion_tokens: Annotated[int | None, "as the upstream reports, reasoning included"]
    shadow_cost_usd: Annotated[float | None, "reported, else computed"]
    shadow_finish_reason: Annotated[str | None, "stop, length, tool_calls, ..."]


RECORDS: dict[str, type[NamedTuple]] = {
    "outcomes": Outcome,
    "decisions": Decision,
    "feedback": Feedback,
    "shadow_calls": ShadowCall,
}
"""Table and directory of segments → what a line of them is. The first field is what a record is known by."""


def segment_name(now: dt.datetime, worker: str) -> str:
    """File name of a segment that `worker` opens at `now` (UTC), without suffix. Sorts by time."""
    return f"{now:%Y%m%dT%H%M%S%f}-{worker}"
