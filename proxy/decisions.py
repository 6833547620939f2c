"""The decisions of this worker, for whoever asks why a call went where it went.

The last ones are kept in memory, bounded, and all go to segment files, which the pipeline makes a table of. A record
holds names, numbers and reasons, never a word of the prompt. All that was considered is worked out again only when
somebody asks, from what the call wanted and the publication it was made under, for as long as that or the one after it
is in use; what a file says of it is worked out by the thread that writes.
"""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from proxy.alternatives import Alternatives, alternatives
from proxy.answers import Usage
from proxy.attempts import Call
from proxy.candidates import WORDS, Ranked
from proxy.clock import Clock
from proxy.metrics import Metrics
from proxy.outcomes import OutcomeLog
from proxy.routing import Rejection, Wanted, explain
from proxy.savings import compared_usd
from proxy.snapshot import Snapshot
from warehouse.outcomes import OPEN_SUFFIX, SEGMENT_SUFFIX, Decision, Feedback

_KEPT = 2_000
_SHOWN = 50
_MOST_NAME = 200
_COLUMNS = frozenset(
    (
        "at", "ms", "id", "request_id", "endpoint", "asked", "profile", "difficulty", "publication", "attempts",
        "skipped", "cost_usd", "key", "feedback",
    )
)  # fmt: skip
"""What of a record has a column of its own."""
_MOST_SEARCHED_BYTES = 16 * 1024 * 1024


class _Kept(NamedTuple):
    """What it takes to explain a call afterwards: by what it needed, never by what it said."""

    wanted: Wanted
    resting: Mapping[str, str]
    usage: Usage | None
    spent_usd: float
    effort: str | None
    profile: str | None
    is_cost_known: bool


class Lasting:
    """A decision on its way to a file: made a row by the thread that writes it."""

    __slots__ = ("_call", "_noted")

    def __init__(self, noted: Mapping[str, Any], call: _Kept) -> None:
        self._noted = noted
        self._call = call

    def _asdict(self) -> dict[str, Any]:
        noted, call = self._noted, self._call
        could = alternatives(call.wanted)
        usage = call.usage._replace(cost_usd=None) if call.usage is not None else None
        compared = could.compared(usage) if usage is not None else None
        difficulty = noted["difficulty"] or {}
        attempts = noted["attempts"]
        last = attempts[-1] if attempts else {}
        # Listed at once: a caller's judgement may be added to the record meanwhile.
        route = {name: value for name, value in list(noted.items()) if name not in _COLUMNS and value}
        return Decision(
            decision_id=noted["id"],
            began_at=noted["at"],
            total_ms=noted["ms"],
            endpoint=noted["endpoint"],
            key_name=noted.get("key"),
            asked_model=noted["asked"][:_MOST_NAME] if noted["asked"] else None,
            profile=call.profile,
            difficulty=difficulty.get("score"),
            difficulty_band=difficulty.get("band"),
            category=difficulty.get("category"),
            publication_id=noted["publication"],
            candidates=could.count,
            considered_json=could.first_json,
            removed_json=could.removed_json,
            skipped_json=_text([*noted["skipped"], *_resting(call)]),
            attempts_json=_text(attempts),
            attempts=len(attempts),
            outcome=last.get("outcome"),
            model_id=last.get("model"),
            offer_id=last.get("offer"),
            effort=call.effort or last.get("effort"),
            prompt_tokens=call.usage.prompt_tokens if call.usage is not None else None,
            completion_tokens=call.usage.completion_tokens if call.usage is not None else None,
            cost_usd=noted["cost_usd"] if call.is_cost_known else None,
            average_usd=compared.average_usd if compared is not None else None,
            most_expensive_usd=compared.most_expensive_usd if compared is not None else None,
            most_expensive_offer_id=compared.most_expensive if compared is not None else None,
            route_json=_text(route),
        )._asdict()


def _resting(call: _Kept) -> list[dict[str, Any]]:
    return [{"offer": offer_id, "reason": reason} for offer_id, reason in call.resting.items()]


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


class Decisions:
    """Calls by decision id, the oldest forgotten first; counts what choosing and failing over did."""

    def __init__(self, clock: Clock, metrics: Metrics, kept: int = _KEPT, lasting: OutcomeLog | None = None) -> None:
        self._clock = clock
        self._metrics = metrics
        self._lasting = lasting
        self._kept = kept
        self._by_id: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._calls: dict[str, _Kept] = {}
        self._snapshot: Snapshot | None = None

    def note(self, decision_id: str, call: Call, seconds: float | None = None) -> None:
        """Remember a call that has ended, and took so long; not told, until now."""
        self._by_id.pop(decision_id, None)
        if len(self._by_id) >= self._kept:
            oldest, _ = self._by_id.popitem(last=False)
            self._calls.pop(oldest, None)
        self._keep(decision_id, call)
        since = self._clock.monotonic() - call.started
        seconds = since if seconds is None else seconds
        began = self._clock.now() - dt.timedelta(seconds=since)
        noted = self._by_id[decision_id] = {
            "at": began.isoformat(timespec="milliseconds") + "Z",
            "ms": round(seconds * 1000, 1),
            **record(decision_id, call),
        }
        if self._lasting is not None:
            self._lasting.append(Lasting(noted, self._calls[decision_id]))
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
            call.profile,
            any(attempt.cost_usd is not None for attempt in call.attempts),
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
        found.setdefault("feedback", []).append({"at": feedback.given_at, "score": feedback.score})
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
    found = Alternatives(chosen).compared(call.usage)
    return None if found is None else {"spent_usd": call.spent_usd, **found._asdict()}


def find(directory: Path, decision_id: str) -> dict[str, Any] | None:
    """A decision of any worker, from the newest segment files; None where they do not have it. Blocks on the disk."""
    mark = b'"decision_id":' + msgspec.json.encode(decision_id)
    left = _MOST_SEARCHED_BYTES
    found = sorted((*directory.glob(f"*{SEGMENT_SUFFIX}"), *directory.glob(f"*{OPEN_SUFFIX}")), reverse=True)
    for path in found:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue  # finished, and so renamed, since it was listed
        at = data.rfind(mark)
        if at >= 0 and (end := data.find(b"\n", at)) > 0:
            row: dict[str, Any] = msgspec.json.decode(data[data.rfind(b"\n", 0, at) + 1 : end])
            return {
                name.removesuffix("_json"): _parsed(name, value) for name, value in row.items() if name != "attempts"
            }
        left -= len(data)
        if left < 0:
            return None
    return None


def _parsed(name: str, value: Any) -> Any:
    return msgspec.json.decode(value) if name.endswith("_json") else value


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
