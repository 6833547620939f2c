"""The loop that does not let a call die: next candidate, attempt, judge, go on or stop.

What may follow which outcome is data (`causes.py` for what an upstream says, `attempts.FAILURES` for what the wire
says). Asking one candidate is `asking.py`'s, beginning and booking an attempt `attempts.py`'s, a second one beside it
`racing.py`'s. Once content has gone out, a call is never made again: the client would get a mixed answer and pay twice.
A caller who hangs up ends everything and counts against nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from proxy.admission import Admission
from proxy.afterwards import Afterwards
from proxy.asking import Answer, Asker
from proxy.attempts import RATE_LIMITS, Attempt, Attempts, Call, NotTriedError, OutcomeSink, RefusedError, at_once
from proxy.breaker import Breakers
from proxy.candidates import Candidate, Ranked
from proxy.causes import Cause, Repair
from proxy.client import Transport
from proxy.clock import Clock
from proxy.errors import AttemptError, AttemptsFailedError, OverloadedError
from proxy.hedging import HedgeBudget
from proxy.metrics import Metrics
from proxy.racing import first_of_two
from proxy.resuming import Resuming
from proxy.routing import candidates, explain, no_candidate
from proxy.settings import Settings

_MOST_REPAIRS = 2
"""A request that one upstream refuses again and again is better off elsewhere."""

_LOST = ("disconnected", "connection")
"""Causes of the wire that end with the connection they happened on."""


class _Turn(NamedTuple):
    ranked: Ranked
    repairs: tuple[Repair, ...] = ()
    is_forced: bool = False
    """Its breaker is open, and nothing better is left."""


class _Refusal(NamedTuple):
    attempt: Attempt
    error: RefusedError

    @property
    def blames_caller(self) -> bool:
        return self.error.cause.action == "return"


class Failover:
    """Tries candidates until one answers."""

    def __init__(
        self,
        transport: Transport,
        breakers: Breakers,
        clock: Clock,
        settings: Settings,
        metrics: Metrics,
        outcomes: OutcomeSink,
        admission: Admission | None = None,
        hedges: HedgeBudget | None = None,
        afterwards: Afterwards | None = None,
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._hedges = hedges
        self._attempts = Attempts(
            breakers, clock, metrics, outcomes, admission, afterwards.add if afterwards is not None else at_once
        )
        self._asker = Asker(transport, clock, settings, metrics, afterwards or Afterwards())
        self._asker.go_on = Resuming(self._asker, self._attempts, clock, settings).go_on
        self.blocked = self._attempts.blocked
        """What keeps a candidate from being tried now, in words; None when nothing does."""

    async def answer(self, call: Call) -> Answer:
        """The first answer of the candidates in their order.

        Raises `NoCandidateError` when none may be tried and `AttemptsFailedError` when all that were tried failed.
        """
        again: list[_Turn] = []
        refusals: list[_Refusal] = []
        larger_than = 0
        full: set[str] = set()
        plan, attempts = call.plan, self._attempts
        most_attempts = (plan.routing.max_attempts if plan is not None else None) or self._settings.max_attempts
        for turn in self._order(call, again):
            ranked, candidate = turn.ranked, turn.ranked.candidate
            if len(call.attempts) - call.key_moves >= most_attempts or self._clock.monotonic() >= call.deadline:
                break
            if (candidate.context_tokens or 0) <= larger_than and larger_than:
                continue
            place = attempts.place(candidate)
            if place is not None and not place.take_now():
                upstream = candidate.offer.upstream
                client = plan.key.name if plan is not None and plan.key is not None else ""
                if upstream in full:
                    continue
                if not await place.take(client, call.deadline):
                    full.add(upstream)
                    call.skipped.append((ranked, f"{upstream} is at its limit of {place.places} calls"))
                    continue
            attempt = attempts.begin(call, ranked, place, is_forced=turn.is_forced)
            if attempt is None:
                continue
            try:
                if self._hedges is None or plan is None or plan.routing.hedge is False:
                    return await self._asker.ask(attempt, turn.repairs)
                return await first_of_two(
                    attempt, turn.repairs, self._asker, attempts, self._hedges, self._clock, most_attempts
                )
            except NotTriedError as error:
                attempts.close_books(attempt, error)
            except RefusedError as error:
                cause = error.cause
                attempts.close_books(attempt, error)
                if cause.action == "larger_context":
                    larger_than = max(larger_than, candidate.context_tokens or 0)
                if cause.action == "return" and any(one.blames_caller for one in refusals):
                    break
                refusals.append(_Refusal(attempt, error))
                if cause.repair is not None and len(turn.repairs) < _MOST_REPAIRS:
                    again.append(turn._replace(repairs=(*turn.repairs, cause.repair)))
                elif self._moves_key(attempt, cause):
                    again.append(turn)
                else:
                    call.spent.update(_takes_along(candidate, cause))
            except AttemptError as error:
                attempts.close_books(attempt, error)
                call.spent.add(candidate.endpoint_key)
            except BaseException:
                # Cancelled: the caller hung up, or the proxy is stopping. Nobody's fault.
                attempt.end("caller_gone", "cancelled")
                raise
        for refusal in refusals:
            if refusal.blames_caller:
                return Answer(refusal.attempt, refusal.error.status, refusal.error.body)
        if full and not call.attempts:
            names = ", ".join(sorted(full))
            raise OverloadedError(f"Every place at {names} is taken; try again soon.", headers={"retry-after": "1"})
        raise self._failure(call, refusals)

    def _moves_key(self, attempt: Attempt, cause: Cause) -> bool:
        """Whether the same candidate is asked once more with another key of its upstream."""
        call, key = attempt.call, attempt.key
        if key is None:
            return False
        if cause.opens == "key":
            call.spent.add(key.name)
        elif cause.name in RATE_LIMITS:
            call.spent.add(key.at(attempt.ranked.candidate.endpoint_key))
        else:
            return False
        if not self._attempts.has_other_key(attempt):
            return False
        call.key_moves += 1
        return True

    def _order(self, call: Call, again: list[_Turn]) -> Iterator[_Turn]:
        """Whose turn it is. Breakers are asked late, so that one that opened meanwhile is seen."""
        spent = call.spent

        def is_spent(candidate: Candidate) -> bool:
            return bool(spent) and not spent.isdisjoint((*candidate.breaker_keys, candidate.vendor_key))

        def blocked(candidate: Candidate) -> str | None:
            if is_spent(candidate):
                return "tried before in this call"
            reason = self.blocked(candidate)
            if reason is not None:
                call.resting[candidate.endpoint_key] = reason
            return reason

        for ranked in candidates(call.wanted, blocked):
            yield _Turn(ranked)
            while again:
                yield again.pop()
        # What rests is tried rather than nothing, the soonest back first, unless its upstream asked to be left alone.
        for ranked in self._resting(call):
            if not is_spent(ranked.candidate) and not self._attempts.is_bidden(ranked.candidate):
                yield _Turn(ranked, is_forced=True)
        # A connection that was closed unused says nothing about the next one.
        lost = next((one for one in call.attempts if one.cause in _LOST), None)
        if lost is not None:
            yield _Turn(lost.ranked)

    def _resting(self, call: Call) -> list[Ranked]:
        """Candidates that only their breakers keep back, the soonest back first."""
        if not call.resting:
            return []
        chosen, _ = explain(call.wanted, lambda _: None)
        found = [one for one in chosen if one.candidate.endpoint_key in call.resting]
        return sorted(found, key=lambda one: self._attempts.rests_until(one.candidate))

    def _failure(self, call: Call, refusals: list[_Refusal]) -> Exception:
        """What to tell the client when nothing answered.

        429 says that the caller asks too often: only where that is all that went wrong, at every candidate. Clients
        slow down for that; the others they try again as they do for any server in trouble.
        """
        if not call.attempts:
            if call.skipped:
                reasons = "; ".join(sorted({reason for _, reason in call.skipped})[:3])
                return AttemptsFailedError(f"No candidate understands the request: {reasons}.", 400, [], None)
            resting = self._resting(call)
            if resting:
                rest_s = self._attempts.rests_until(resting[0].candidate) - self._clock.monotonic()
                reasons_why = {one.reason for rested in resting for one in self._attempts.open(rested.candidate)}
                status = 429 if reasons_why and reasons_why <= RATE_LIMITS else 503
                text = f"Every candidate rests, because its upstream asked for it; the first is back in {rest_s:.0f} s."
                return AttemptsFailedError(text, status, [], rest_s)
            return no_candidate(call.wanted)
        attempts = [attempt.summary() for attempt in call.attempts]
        outcomes = {attempt.outcome for attempt in call.attempts}
        rests = [one.error.cause.retry_after_s for one in refusals if one.error.cause.retry_after_s is not None]
        if all(attempt.cause in RATE_LIMITS for attempt in call.attempts):
            status = 429
        elif self._clock.monotonic() >= call.deadline or outcomes == {"stalled"}:
            status = 504
        else:
            # Somebody may have room again soon; otherwise all that is known is that those behind us failed.
            status = 503 if "overloaded" in outcomes else 502
        last = call.attempts[-1]
        text = (
            f"All {len(attempts)} candidates that were tried failed; the last, "
            f"{last.ranked.candidate.offer.offer_id}, with {last.cause or last.outcome}."
        )
        return AttemptsFailedError(text, status, attempts, min(rests, default=None))


def _takes_along(candidate: Candidate, cause: Cause) -> tuple[str, ...]:
    """What else cannot work in this call, now that this failed: keys of breakers, or a vendor."""
    if cause.opens == "key" and candidate.account is not None:
        return (candidate.account.breaker_key,)
    if cause.is_lasting:
        return (candidate.model_key,)
    if cause.action == "return":
        # Perhaps the caller's fault, perhaps this vendor's whim: only another vendor can tell.
        return (candidate.vendor_key,)
    return (candidate.endpoint_key,)
