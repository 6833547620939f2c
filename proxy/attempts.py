"""One call and its attempts: what is known while they run, and the record that is left of each.

A call's facts and an attempt's bookkeeping (place, key, breakers, metrics, outcome) belong here: taken when it begins,
written exactly once when it ends. Which candidate is tried next does not (`failover.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from proxy.admission import Admission, Places
from proxy.answers import Usage
from proxy.breaker import Breaker, Breakers, Ticket
from proxy.candidates import Candidate, Ranked
from proxy.causes import Cause
from proxy.client import UpstreamAnswer
from proxy.clock import Clock
from proxy.continuation import Heard
from proxy.costs import cost_usd
from proxy.difficulty import Assessment
from proxy.errors import AttemptError
from proxy.metrics import Metrics
from proxy.policies import Plan
from proxy.request import ChatRequest
from proxy.routing import Wanted
from proxy.shapes import Asked
from proxy.time_limits import NO_WISH, Tightened
from proxy.upstreams import UpstreamKey
from warehouse.outcomes import Outcome

FAILURES: dict[str, str] = {
    # outcome of the wire's own failures → whose breakers count it
    "unreachable": "both",
    "stalled": "model",
    "malformed": "model",
    "broken": "model",
}

RATE_LIMITS = frozenset(("rate_limited", "request_exceeds_rate"))
"""Causes that say "too much from you" rather than "we cannot": with several keys, the next one may go through."""


class RefusedError(Exception):
    """The upstream answered with an error."""

    def __init__(self, cause: Cause, status: int, body: bytes) -> None:
        super().__init__(cause.name)
        self.cause = cause
        self.status = status
        self.body = body


class NotTriedError(Exception):
    """The candidate would not understand the call; nothing was sent."""


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
    spent: set[str] = field(default_factory=set)
    """What cannot work in this call any more: keys of breakers, or a vendor."""
    traceparent: bytes | None = None
    """Which span of the caller's it belongs to, where traces are kept."""
    key_moves: int = 0
    """Attempts that only tried another key of the same upstream; they do not count as candidates tried."""

    @property
    def profile(self) -> str | None:
        """Profile that chose; None when the caller named the model."""
        return None if self.wanted.is_named else self.wanted.profile


Later = Callable[[Callable[[], None]], None]
"""Has work done that nobody waits for."""


def at_once(work: Callable[[], None]) -> None:
    """Do it now."""
    work()


class Attempt:
    """One candidate being tried."""

    __slots__ = (
        "_clock",
        "_later",
        "_metrics",
        "_outcomes",
        "at",
        "call",
        "cause",
        "cost_usd",
        "dropped",
        "ended",
        "endpoint",
        "finish_reason",
        "first_byte",
        "first_content",
        "heard",
        "key",
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
        later: Later,
    ) -> None:
        self.call = call
        self.ranked = ranked
        self.tickets = tickets
        self._clock = clock
        self._metrics = metrics
        self._outcomes = outcomes
        self._later = later
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
        self.finish_reason: str | None = None
        self.endpoint = call.upstream_endpoint
        """Which of the upstream's endpoints is called: legacy completions go to those that have them as they came."""
        self.key: UpstreamKey | None = None
        """The one of several keys that the upstream is called with; None where it has one or none."""
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
        if self.key is not None:
            self.key.running -= 1
        if self.upstream_answer is not None:
            self.upstream_answer.close()
        self.outcome, self.cause = outcome, cause
        self._tell_breakers(now, against, rest_s, is_lasting)
        offer = self.ranked.candidate.offer
        self.cost_usd, is_reported = cost_usd(self.usage, offer)
        # The answer need not wait for that.
        self._later(partial(self._write_down, outcome, now, is_reported))

    def _write_down(self, outcome: str, ended: float, is_reported: bool) -> None:
        """Count it and record it."""
        offer = self.ranked.candidate.offer
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
                cause=self.cause,
                first_byte_ms=self._ms(self.first_byte),
                first_content_ms=self._ms(self.first_content),
                total_ms=(ended - self.started) * 1000,
                prompt_tokens=usage.prompt_tokens,
                cached_tokens=usage.cached_tokens,
                completion_tokens=usage.completion_tokens,
                reasoning_tokens=usage.reasoning_tokens,
                cost_usd=self.cost_usd,
                cost_is_reported=is_reported,
            )
        )

    @property
    def first_content_ms(self) -> float | None:
        """Start to the first content."""
        return self._ms(self.first_content)

    @property
    def total_ms(self) -> float | None:
        """Start to end; None while it runs."""
        return self._ms(self.ended)

    def _ms(self, moment: float | None) -> float | None:
        return None if moment is None else (moment - self.started) * 1000

    def _tell_breakers(self, now: float, against: str, rest_s: float | None, is_lasting: bool) -> None:
        candidate, key = self.ranked.candidate, self.key
        counted: set[str] = set()
        if against == "key" and key is not None:
            counted.add(key.name)
        elif against in ("key", "both") and candidate.account is not None:
            counted.add(candidate.account.breaker_key)
        if against == "model" and key is not None and self.cause in RATE_LIMITS:
            # Too much with this key is not too much with the others.
            counted.add(key.at(candidate.endpoint_key))
        elif against in ("model", "both"):
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
            **({} if self.key is None else {"key": self.key.name}),
            "outcome": self.outcome,
            "cause": self.cause,
            "status": self.status,
            "ms": None if self.ended is None else round((self.ended - self.started) * 1000, 1),
        }


class Attempts:
    """Begins attempts, with a place, a key and leave of the breakers, and closes the books of those that failed."""

    def __init__(
        self,
        breakers: Breakers,
        clock: Clock,
        metrics: Metrics,
        outcomes: OutcomeSink,
        admission: Admission | None = None,
        later: Later = at_once,
    ) -> None:
        self._breakers = breakers
        self._later = later
        self._clock = clock
        self._metrics = metrics
        self._outcomes = outcomes
        self._admission = admission
        self._turns: dict[str, int] = {}

    def blocked(self, candidate: Candidate) -> str | None:
        """What keeps a candidate from being tried now, in words."""
        now = self._clock.monotonic()
        breaker = self._breakers.blocks(candidate.breaker_keys, now)
        if breaker is not None:
            return f"breaker {breaker.key} is open: {breaker.reason}"
        account = candidate.account
        if account is not None and account.keys:
            resting = [self._breakers.blocks((key.name, key.at(candidate.endpoint_key)), now) for key in account.keys]
            if all(resting) and resting[0] is not None:
                return f"every key of {account.name} rests; breaker {resting[0].key} is open: {resting[0].reason}"
        return None

    def rests_until(self, candidate: Candidate) -> float:
        """When the candidate may be tried again, in the clock's seconds."""
        until = max((one.until for one in self._known(candidate.breaker_keys)), default=0.0)
        account = candidate.account
        if account is None or not account.keys:
            return until
        of_keys = [
            max((one.until for one in self._known((key.name, key.at(candidate.endpoint_key)))), default=0.0)
            for key in account.keys
        ]
        return max(until, min(of_keys))

    def open(self, candidate: Candidate) -> list[Breaker]:
        """The open breakers of a candidate, those of its keys included."""
        keys: tuple[str, ...] = candidate.breaker_keys
        account = candidate.account
        if account is not None:
            keys += tuple(name for key in account.keys for name in (key.name, key.at(candidate.endpoint_key)))
        now = self._clock.monotonic()
        return [one for one in self._known(keys) if one.state(now) == "open"]

    def is_bidden(self, candidate: Candidate) -> bool:
        """Whether the upstream, or a person, asked that it be left alone for now."""
        now = self._clock.monotonic()

        def bids(names: Iterable[str]) -> bool:
            return any(one.is_bidden and one.state(now) == "open" for one in self._known(names))

        account, endpoint = candidate.account, candidate.endpoint_key
        if account is not None and account.keys and all(bids((key.name, key.at(endpoint))) for key in account.keys):
            return True
        return bids(candidate.breaker_keys)

    def _known(self, keys: Iterable[str]) -> list[Breaker]:
        return [self._breakers[key] for key in keys if key in self._breakers]

    def has_other_key(self, attempt: Attempt) -> bool:
        """Whether another key of the attempt's upstream may go through where this one did not."""
        account = attempt.ranked.candidate.account
        keys = account.keys if account is not None else ()
        return bool(keys) and self._key(attempt.call, attempt.ranked.candidate, keys) is not None

    def _key(
        self, call: Call, candidate: Candidate, keys: Sequence[UpstreamKey], *, is_forced: bool = False
    ) -> UpstreamKey | None:
        """The key whose turn it is, the session's own first: what it has read stands in that account's cache."""
        pinned = call.plan.key_of_session if call.plan is not None else None
        turn = self._turns.get(candidate.offer.upstream, 0)
        ordered = [*keys[turn % len(keys) :], *keys[: turn % len(keys)]]
        if pinned is not None:
            ordered.sort(key=lambda key: key.name != pinned)
        now, endpoint = self._clock.monotonic(), candidate.endpoint_key
        soonest: tuple[float, UpstreamKey] | None = None
        for key in ordered:
            names = (key.name, key.at(endpoint))
            if not call.spent.isdisjoint(names) or (key.concurrency is not None and key.running >= key.concurrency):
                continue
            if self._breakers.blocks(names, now) is None:
                return key
            resting = [one for one in self._known(names) if one.is_open]
            until = max((one.until for one in resting), default=0.0)
            if not any(one.is_bidden for one in resting) and (soonest is None or until < soonest[0]):
                soonest = (until, key)
        return soonest[1] if is_forced and soonest is not None else None

    def begin_now(self, call: Call, ranked: Ranked) -> Attempt | None:
        """An attempt at a candidate, unless its upstream has no free place or a breaker is open."""
        place = self.place(ranked.candidate)
        if place is not None and not place.take_now():
            return None
        return self.begin(call, ranked, place)

    def place(self, candidate: Candidate) -> Places | None:
        """The places at a candidate's upstream; None where they are not limited."""
        return None if self._admission is None else self._admission.of(candidate.offer.upstream)

    def begin(self, call: Call, ranked: Ranked, place: Places | None, *, is_forced: bool = False) -> Attempt | None:
        """An attempt that holds the place it was given; None, and the place given back, where a breaker is open."""
        candidate = ranked.candidate
        keys, account, key = candidate.breaker_keys, candidate.account, None
        if account is not None and account.keys:
            key = self._key(call, candidate, account.keys, is_forced=is_forced)
            if key is not None:
                keys = (*keys, key.name, key.at(candidate.endpoint_key))
        has_key = account is None or not account.keys or key is not None
        tickets = self._breakers.acquire(keys, self._clock.monotonic(), is_forced=is_forced) if has_key else None
        if tickets is None:
            if place is not None:
                place.give_back()
            return None
        attempt = Attempt(call, ranked, tickets, self._clock, self._metrics, self._outcomes, self._later)
        attempt.place = place
        if key is not None:
            attempt.key = key
            key.running += 1
            if account is not None:
                self._turns[account.name] = account.keys.index(key) + 1
        return attempt

    def close_books(self, attempt: Attempt, error: NotTriedError | RefusedError | AttemptError) -> None:
        """Record how an attempt failed, and against whom it counts."""
        if isinstance(error, RefusedError):
            cause = error.cause
            attempt.status = error.status
            attempt.end(
                cause.outcome,
                cause.name,
                against=cause.opens,
                rest_s=cause.retry_after_s,
                is_lasting=cause.is_lasting,
            )
        elif isinstance(error, AttemptError):
            attempt.end(error.outcome, error.cause, against=FAILURES[error.outcome])
        elif attempt in attempt.call.attempts:
            # Nothing was sent, so there is nothing to record of it but why.
            attempt.call.attempts.remove(attempt)
            attempt.call.skipped.append((attempt.ranked, str(error)))
            for ticket in attempt.tickets:
                ticket.breaker.abandoned(ticket)
            if attempt.place is not None:
                attempt.place.give_back()
            if attempt.key is not None:
                attempt.key.running -= 1
