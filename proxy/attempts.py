"""One call and its attempts: what is known while they run, and the record that is left of each.

A call's facts and an attempt's bookkeeping (breakers, metrics, outcome) belong here, written exactly once when the
attempt ends. Which candidate is tried next does not (`failover.py`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Protocol

from proxy.admission import Places
from proxy.answers import Usage
from proxy.breaker import Ticket
from proxy.candidates import Ranked
from proxy.client import UpstreamAnswer
from proxy.clock import Clock
from proxy.continuation import Heard
from proxy.costs import cost_usd
from proxy.difficulty import Assessment
from proxy.limits import NO_WISH, Tightened
from proxy.metrics import Metrics
from proxy.policies import Plan
from proxy.request import ChatRequest
from proxy.routing import Wanted
from proxy.shapes import Asked
from warehouse.outcomes import Outcome


class OutcomeSink(Protocol):
    """Where records of attempts go."""

    def append(self, outcome: Outcome) -> None:
        """Take one. Never waits."""


@dataclass(slots=True)
class Call:
    """One call of a client."""

    request_id: str
    endpoint: str
    request: ChatRequest
    wanted: Wanted
    assessment: Assessment | None
    started: float
    deadline: float
    wish: Tightened = NO_WISH
    attempts: list[Attempt] = field(default_factory=list)
    skipped: list[tuple[Ranked, str]] = field(default_factory=list)
    """Candidates whose turn came but whose dialect would have lost the caller's meaning, or that had no place left."""
    asked: Asked | None = None
    """The request in the shape that the client speaks."""
    upstream_endpoint: str = "chat"
    resting: dict[str, str] = field(default_factory=dict)
    """Endpoints that were passed over because a breaker was open, and why."""
    plan: Plan | None = None
    """What the request's wishes, its key and its session made of it."""

    @property
    def profile(self) -> str | None:
        """Profile that chose; None when the caller named the model."""
        return None if self.wanted.is_named else self.wanted.profile


class Attempt:
    """One candidate being tried."""

    __slots__ = (
        "_clock",
        "_metrics",
        "_outcomes",
        "at",
        "call",
        "cause",
        "cost_usd",
        "dropped",
        "ended",
        "first_byte",
        "first_content",
        "heard",
        "number",
        "outcome",
        "place",
        "ranked",
        "started",
        "status",
        "tickets",
        "upstream_answer",
        "usage",
    )

    def __init__(
        self,
        call: Call,
        ranked: Ranked,
        tickets: tuple[Ticket, ...],
        clock: Clock,
        metrics: Metrics,
        outcomes: OutcomeSink,
    ) -> None:
        self.call = call
        self.ranked = ranked
        self.tickets = tickets
        self._clock = clock
        self._metrics = metrics
        self._outcomes = outcomes
        self.number = len(call.attempts) + 1
        self.at: dt.datetime = clock.now()
        self.started = clock.monotonic()
        self.first_byte: float | None = None
        self.first_content: float | None = None
        self.ended: float | None = None
        self.outcome: str | None = None
        self.cause: str | None = None
        self.status: int | None = None
        self.usage: Usage | None = None
        self.cost_usd: float | None = None
        self.dropped: tuple[str, ...] = ()
        self.place: Places | None = None
        """Given back when the attempt ends."""
        self.heard: Heard | None = None
        """What the client was sent, where another candidate may go on from it."""
        self.upstream_answer: UpstreamAnswer | None = None
        """Closed when the attempt ends, whoever holds it by then."""
        call.attempts.append(self)

    def end(
        self,
        outcome: str,
        cause: str | None = None,
        *,
        against: str = "nothing",
        rest_s: float | None = None,
        is_lasting: bool = False,
    ) -> None:
        """Close the books. `against` says which breakers a failure counts for: nothing, model, key or both.

        The first ending counts; a later one changes nothing.
        """
        if self.ended is not None:
            return
        now = self.ended = self._clock.monotonic()
        if self.place is not None:
            self.place.give_back()
        if self.upstream_answer is not None:
            self.upstream_answer.close()
        self.outcome, self.cause = outcome, cause
        self._tell_breakers(now, against, rest_s, is_lasting)
        offer = self.ranked.candidate.offer
        self.cost_usd, is_reported = cost_usd(self.usage, offer)
        self._count(outcome, offer.upstream, offer.model_id)
        usage = self.usage or Usage()
        call = self.call
        assessment = call.assessment
        self._outcomes.append(
            Outcome(
                attempt_id=f"{call.request_id}-{self.number}",
                request_id=call.request_id,
                attempt=self.number,
                attempts=len(call.attempts),
                at=self.at.isoformat(timespec="milliseconds") + "Z",
                profile=call.profile,
                difficulty=assessment.difficulty if assessment else None,
                difficulty_band=assessment.band if assessment else None,
                category=assessment.category if assessment else None,
                model_id=offer.model_id,
                offer_id=offer.offer_id,
                upstream=offer.upstream,
                effort=call.request.effort or self.ranked.candidate.effort,
                endpoint=call.endpoint,
                is_streamed=call.request.is_stream,
                outcome=outcome,
                status=self.status,
                cause=cause,
                first_byte_ms=self._ms(self.first_byte),
                first_content_ms=self._ms(self.first_content),
                total_ms=(now - self.started) * 1000,
                prompt_tokens=usage.prompt_tokens,
                cached_tokens=usage.cached_tokens,
                completion_tokens=usage.completion_tokens,
                reasoning_tokens=usage.reasoning_tokens,
                cost_usd=self.cost_usd,
                cost_is_reported=is_reported,
            )
        )

    def _ms(self, moment: float | None) -> float | None:
        return None if moment is None else (moment - self.started) * 1000

    def _tell_breakers(self, now: float, against: str, rest_s: float | None, is_lasting: bool) -> None:
        candidate = self.ranked.candidate
        counted: set[str] = set()
        if against in ("key", "both") and candidate.account is not None:
            counted.add(candidate.account.breaker_key)
        if against in ("model", "both"):
            counted.add(candidate.endpoint_key)
            if is_lasting:
                # A model that is gone is gone on all of its hosts; a host that is down takes nobody else along.
                counted.add(candidate.model_key)
        for ticket in self.tickets:
            if self.outcome == "answered":
                ticket.breaker.succeeded(ticket, now)
            elif ticket.breaker.key in counted:
                reason = self.cause or self.outcome or ""
                ticket.breaker.failed(ticket, now, reason, rest_s, is_lasting=is_lasting)
            else:
                ticket.breaker.abandoned(ticket)

    def _count(self, outcome: str, upstream: str, model_id: str) -> None:
        metrics = self._metrics
        metrics.attempt(upstream, model_id, outcome).inc()
        of_upstream = metrics.of_upstream(upstream)
        if self.first_content is not None:
            of_upstream.first_content_seconds.observe(self.first_content - self.started)
        if self.usage is not None:
            of_upstream.tokens_in.inc(self.usage.prompt_tokens or 0)
            of_upstream.tokens_out.inc(self.usage.completion_tokens or 0)
        if self.cost_usd:
            of_upstream.cost_usd.inc(self.cost_usd)

    def summary(self) -> dict[str, Any]:
        """For people: an error's list of attempts, a decision's record."""
        offer = self.ranked.candidate.offer
        return {
            "model": offer.model_id,
            "offer": offer.offer_id,
            "effort": self.ranked.candidate.effort,
            "outcome": self.outcome,
            "cause": self.cause,
            "status": self.status,
            "ms": None if self.ended is None else round((self.ended - self.started) * 1000, 1),
        }
