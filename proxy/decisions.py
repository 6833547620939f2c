"""The last decisions of this worker, for whoever asks why a call went where it went.

Kept in memory, bounded; a record holds names, numbers and reasons, never a word of the prompt. The lasting record is
the outcomes' (`outcomes.py`).
"""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from itertools import islice, pairwise
from typing import Any

from proxy.attempts import Call
from proxy.candidates import WORDS, Ranked
from proxy.clock import Clock
from proxy.metrics import Metrics
from proxy.routing import Rejection
from proxy.savings import compared_usd

_KEPT = 2_000


class Decisions:
    """Calls by decision id, the oldest forgotten first; counts what choosing and failing over did."""

    def __init__(self, clock: Clock, metrics: Metrics, kept: int = _KEPT) -> None:
        self._clock = clock
        self._metrics = metrics
        self._kept = kept
        self._by_id: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def note(self, decision_id: str, call: Call) -> None:
        """Remember a call that has ended."""
        self._by_id.pop(decision_id, None)
        if len(self._by_id) >= self._kept:
            self._by_id.popitem(last=False)
        seconds = self._clock.monotonic() - call.started
        began = self._clock.now() - dt.timedelta(seconds=seconds)
        self._by_id[decision_id] = {
            "at": began.isoformat(timespec="milliseconds") + "Z",
            "ms": round(seconds * 1000, 1),
            **record(decision_id, call),
        }
        moved_on = sum(one.ranked.candidate is not two.ranked.candidate for one, two in pairwise(call.attempts))
        if moved_on:
            self._metrics.failovers.labels(call.endpoint).inc(moved_on)
        compared = compared_usd(call)
        if compared is not None:
            self._metrics.routed_cost_usd.inc(compared[0])
            self._metrics.yardstick_cost_usd.inc(compared[1])

    def last(self, limit: int) -> list[dict[str, Any]]:
        """The newest records, newest first."""
        return list(islice(reversed(self._by_id.values()), limit))

    def get(self, decision_id: str) -> dict[str, Any] | None:
        """The record, or None when it is unknown or forgotten."""
        return self._by_id.get(decision_id)


def record(decision_id: str, call: Call) -> dict[str, Any]:
    """What a call was and became."""
    wanted, assessment = call.wanted, call.assessment
    return {
        "id": decision_id,
        "request_id": call.request_id,
        "endpoint": call.endpoint,
        "asked": call.request.asked_model,
        "profile": wanted.profile,
        "named": list(call.request.names),
        "difficulty": None
        if assessment is None
        else {
            "score": round(assessment.difficulty, 4),
            "band": assessment.band,
            "confidence": round(assessment.confidence, 3),
            "category": assessment.category,
        },
        "needs": {"features": [WORDS[need] for need in wanted.needs], "tokens": wanted.tokens},
        "publication": wanted.snapshot.publication_id,
        "attempts": [attempt.summary() for attempt in call.attempts],
        "skipped": [{"offer": one.candidate.offer.offer_id, "reason": reason} for one, reason in call.skipped],
        "dropped_fields": list(call.attempts[-1].dropped) if call.attempts else [],
        "cost_usd": sum(attempt.cost_usd or 0.0 for attempt in call.attempts),
        **(call.plan.record() if call.plan is not None else {}),
    }


def shown(one: Ranked) -> dict[str, Any]:
    """A candidate and the parts of its score, for people."""
    offer = one.candidate.offer
    return {
        "model": offer.model_id,
        "offer": offer.offer_id,
        "upstream": offer.upstream,
        "effort": one.candidate.effort,
        "rank": one.rank,
        "score": one.score,
        "quality_score": one.quality_score,
        "latency_score": one.latency_score,
        "cost_score": one.cost_score,
        "context_score": one.context_score,
        "expected_latency_ms": one.latency_ms,
        "expected_cost_usd": one.cost_in_usd_per_call,
        "context_tokens": one.candidate.context_tokens,
    }


def shown_rejection(one: Rejection) -> dict[str, Any]:
    """A candidate that was not taken, and why."""
    offer = one.ranked.candidate.offer
    return {
        "model": offer.model_id,
        "offer": offer.offer_id,
        "effort": one.ranked.candidate.effort,
        "rank": one.ranked.rank,
        "filter": one.filter,
        "reason": one.reason,
    }
