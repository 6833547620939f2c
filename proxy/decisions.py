"""The last decisions of this worker, for whoever asks why a call went where it went.

Kept in memory, bounded; a record holds names, numbers and reasons, never a word of the prompt. The lasting record is
the outcomes' (`outcomes.py`). All that was considered is worked out again only when somebody asks, from what the call
wanted and the publication it was made under, for as long as that or the one after it is in use.
"""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple

from proxy.answers import Usage
from proxy.attempts import Call
from proxy.candidates import WORDS, Ranked
from proxy.clock import Clock
from proxy.costs import cost_usd
from proxy.metrics import Metrics
from proxy.routing import Rejection, Wanted, explain
from proxy.savings import compared_usd
from proxy.snapshot import Snapshot
from warehouse.outcomes import Feedback

_KEPT = 2_000
_SHOWN = 50


class _Kept(NamedTuple):
    """What it takes to explain a call afterwards: by what it needed, never by what it said."""

    wanted: Wanted
    resting: Mapping[str, str]
    usage: Usage | None
    spent_usd: float
    effort: str | None


class Decisions:
    """Calls by decision id, the oldest forgotten first; counts what choosing and failing over did."""

    def __init__(self, clock: Clock, metrics: Metrics, kept: int = _KEPT) -> None:
        self._clock = clock
        self._metrics = metrics
        self._kept = kept
        self._by_id: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._calls: dict[str, _Kept] = {}
        self._snapshot: Snapshot | None = None

    def note(self, decision_id: str, call: Call) -> None:
        """Remember a call that has ended."""
        self._by_id.pop(decision_id, None)
        if len(self._by_id) >= self._kept:
            oldest, _ = self._by_id.popitem(last=False)
            self._calls.pop(oldest, None)
        self._keep(decision_id, call)
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

    def _keep(self, decision_id: str, call: Call) -> None:
        snapshot = call.wanted.snapshot
        if snapshot is not self._snapshot:
            # Old publications must not live on in old calls: what is left of those is their record.
            kept = (snapshot, self._snapshot)
            self._calls = {id_: one for id_, one in self._calls.items() if one.wanted.snapshot in kept}
            self._snapshot = snapshot
        last = call.attempts[-1] if call.attempts else None
        self._calls[decision_id] = _Kept(
            call.wanted,
            call.resting,
            last.usage if last is not None else None,
            sum(attempt.cost_usd or 0.0 for attempt in call.attempts),
            call.request.effort,
        )

    def last(self, limit: int) -> list[dict[str, Any]]:
        """The newest records, newest first."""
        return list(islice(reversed(self._by_id.values()), limit))

    def get(self, decision_id: str) -> dict[str, Any] | None:
        """The record, or None when it is unknown or forgotten."""
        return self._by_id.get(decision_id)

    def explained(self, decision_id: str) -> dict[str, Any] | None:
        """The record with all that was considered: null there once its publication is no longer in memory."""
        found, call = self._by_id.get(decision_id), self._calls.get(decision_id)
        if found is None:
            return None
        return {**found, "considered": None if call is None else considered(call)}

    def judge(self, feedback: Feedback) -> Feedback:
        """Note what a caller thought of a decision; returns it with what is remembered of the call."""
        found, call = self._by_id.get(feedback.request_id), self._calls.get(feedback.request_id)
        if found is None:
            return feedback
        found.setdefault("feedback", []).append({"at": feedback.at, "score": feedback.score})
        last = found["attempts"][-1] if found["attempts"] else {}
        return feedback._replace(
            profile=None if found["named"] else found["profile"],
            model_id=last.get("model"),
            offer_id=last.get("offer"),
            effort=(call.effort if call is not None else None) or last.get("effort"),
        )


def considered(call: _Kept) -> dict[str, Any]:
    """Every candidate of a call: in which order they would have been tried, why the others not, and what each costs."""
    chosen, rejected = explain(call.wanted, lambda candidate: call.resting.get(candidate.endpoint_key))
    removed: dict[str, int] = {}
    for one in rejected:
        removed[one.filter] = removed.get(one.filter, 0) + 1
    return {
        "candidates": len(chosen),
        "removed": removed,
        "first": [shown(one) for one in chosen[:_SHOWN]],
        "rejected": [shown_rejection(one) for one in rejected[:_SHOWN]],
        "cost": _compared(call, chosen),
    }


def _compared(call: _Kept, chosen: Sequence[Ranked]) -> dict[str, Any] | None:
    """The call's tokens at the prices of what could have answered; that it would have used other words is left out."""
    if call.usage is None:
        return None
    # What the upstream reported is the price of its own model only.
    usage = call.usage._replace(cost_usd=None)
    offers = {one.candidate.offer.offer_id: one.candidate.offer for one in chosen}
    costs = {id_: usd for id_, one in offers.items() if (usd := cost_usd(usage, one)[0]) is not None}
    if not costs:
        return None
    dearest = max(costs, key=lambda id_: costs[id_])
    return {
        "spent_usd": call.spent_usd,
        "average_usd": sum(costs.values()) / len(costs),
        "most_expensive_usd": costs[dearest],
        "most_expensive": dearest,
        "alternatives": len(costs),
    }


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
