"""The loop that does not let a call die: next candidate, attempt, judge, go on or stop.

What may follow which outcome is data (`causes.py` for what an upstream says, `FAILURES` for what the wire says).
Once content has gone out, a call is never made again: the client would get a mixed answer and pay twice. A caller who
hangs up ends everything and counts against nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from proxy import continuation
from proxy.admission import Admission, Places
from proxy.annotations import annotated
from proxy.answers import StreamScanner, read_completion, usage_of
from proxy.attempts import Attempt, Call, OutcomeSink
from proxy.bodies import prepare
from proxy.breaker import Breakers
from proxy.candidates import Candidate, Ranked
from proxy.causes import Cause, Repair, classify, classify_success
from proxy.client import Transport, UpstreamAnswer, UpstreamRequest
from proxy.clock import Clock, Limit
from proxy.costs import cost_usd
from proxy.dialects import Disqualified
from proxy.errors import (
    AttemptError,
    AttemptsFailedError,
    BrokenAnswerError,
    MalformedAnswerError,
    OverloadedError,
    StalledError,
)
from proxy.hedging import HedgeBudget, hedge_after_s, is_worth_it
from proxy.limits import Limits, limits
from proxy.metrics import Metrics
from proxy.request import ChatRequest
from proxy.routing import candidates, explain, no_candidate
from proxy.settings import Settings

_MOST_ERROR_BYTES = 64 * 1024
_MOST_HELD_BYTES = 1024 * 1024
"""Reasoning that is held back until content comes; past this it goes out, and failing over ends."""

_MOST_REPAIRS = 2
"""A request that one upstream refuses again and again is better off elsewhere."""

_LOST = ("disconnected", "connection")
"""Causes of the wire that end with the connection they happened on."""

FAILURES: dict[str, str] = {
    # outcome of the wire's own failures → whose breakers count it
    "unreachable": "both",
    "stalled": "model",
    "malformed": "model",
    "broken": "model",
}


@dataclass(slots=True)
class Answer:
    """What goes to the client: the first content is there, so it can no longer fail over."""

    attempt: Attempt
    status: int
    body: bytes
    """The whole answer, or of a stream the events up to the first content."""
    rest: AsyncIterator[bytes] | None = None
    """Of a stream, what follows: whole events."""


class RefusedError(Exception):
    """The upstream answered with an error."""

    def __init__(self, cause: Cause, status: int, body: bytes) -> None:
        super().__init__(cause.name)
        self.cause = cause
        self.status = status
        self.body = body


class _NotTriedError(Exception):
    """The candidate would not understand the call; nothing was sent."""


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


def _vendor(candidate: Candidate) -> str:
    """Whose refusal it would be: the model's maker, at that upstream."""
    return f"vendor {candidate.offer.upstream}:{candidate.offer.model_id.partition('/')[0]}"


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
    ) -> None:
        self._transport = transport
        self._breakers = breakers
        self._clock = clock
        self._settings = settings
        self._metrics = metrics
        self._outcomes = outcomes
        self._admission = admission
        self._hedges = hedges

    async def answer(self, call: Call) -> Answer:
        """The first answer of the candidates in their order.

        Raises `NoCandidateError` when none may be tried and `AttemptsFailedError` when all that were tried failed.
        """
        spent: set[str] = set()
        again: list[_Turn] = []
        refusals: list[_Refusal] = []
        larger_than = 0
        full: set[str] = set()
        plan = call.plan
        most_attempts = (plan.routing.max_attempts if plan is not None else None) or self._settings.max_attempts
        for turn in self._order(call, spent, again):
            ranked, candidate = turn.ranked, turn.ranked.candidate
            if len(call.attempts) >= most_attempts or self._clock.monotonic() >= call.deadline:
                break
            if (candidate.context_tokens or 0) <= larger_than and larger_than:
                continue
            place = None if self._admission is None else self._admission.of(candidate.offer.upstream)
            if place is not None and not place.take_now():
                upstream = candidate.offer.upstream
                client = plan.key.name if plan is not None and plan.key is not None else ""
                if upstream in full:
                    continue
                if not await place.take(client, call.deadline):
                    full.add(upstream)
                    call.skipped.append((ranked, f"{upstream} is at its limit of {place.places} calls"))
                    continue
            attempt = self._begin(call, ranked, place, is_forced=turn.is_forced)
            if attempt is None:
                continue
            try:
                if self._hedges is None or plan is None or plan.routing.hedge is False:
                    return await self._attempt(attempt, turn.repairs)
                return await self._first_of_two(attempt, turn, spent, self._hedges, most_attempts)
            except _NotTriedError as error:
                self._close_books(attempt, error)
            except RefusedError as error:
                cause = error.cause
                self._close_books(attempt, error)
                if cause.action == "larger_context":
                    larger_than = max(larger_than, candidate.context_tokens or 0)
                if cause.action == "return" and any(one.blames_caller for one in refusals):
                    break
                refusals.append(_Refusal(attempt, error))
                if cause.repair is not None and len(turn.repairs) < _MOST_REPAIRS:
                    again.append(turn._replace(repairs=(*turn.repairs, cause.repair)))
                else:
                    spent.update(self._takes_along(candidate, cause))
            except AttemptError as error:
                self._close_books(attempt, error)
                spent.add(candidate.endpoint_key)
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

    def blocked(self, candidate: Candidate) -> str | None:
        """The breaker that keeps a candidate from being tried now, in words."""
        breaker = self._breakers.blocks(candidate.breaker_keys, self._clock.monotonic())
        return None if breaker is None else f"breaker {breaker.key} is open: {breaker.reason}"

    async def _first_of_two(
        self, attempt: Attempt, turn: _Turn, spent: set[str], hedges: HedgeBudget, most_attempts: int
    ) -> Answer:
        """The attempt, and beside it a second candidate if it is slow to speak; whichever speaks first answers.

        Raises the attempt's own error when both fail.
        """
        hedges.earn()
        first = asyncio.ensure_future(self._attempt(attempt, turn.repairs))
        waiting = asyncio.ensure_future(self._clock.sleep(hedge_after_s(turn.ranked.candidate)))
        running: dict[asyncio.Future[Answer], Attempt] = {first: attempt}
        winner: asyncio.Future[Answer] | None = None
        try:
            await asyncio.wait((first, waiting), return_when=asyncio.FIRST_COMPLETED)
            second = None
            if not first.done() and len(attempt.call.attempts) < most_attempts:
                second = self._second(attempt, spent, hedges)
            if second is not None:
                running[asyncio.ensure_future(self._attempt(second, ()))] = second
            unfinished: set[asyncio.Future[Answer]] = set(running)
            while unfinished and winner is None:
                done, unfinished = await asyncio.wait(unfinished, return_when=asyncio.FIRST_COMPLETED)
                # The first wins when both speak at once: it is the one that was ranked higher.
                for one in (one for one in running if one in done):
                    error = one.exception()
                    if error is None:
                        winner = winner or one
                    elif isinstance(error, _NotTriedError | RefusedError | AttemptError):
                        self._close_books(running[one], error)
                        if one is not first:
                            spent.add(running[one].ranked.candidate.endpoint_key)
                    else:
                        raise error
            if second is not None and attempt.call.plan is not None:
                spoke = "the second" if winner is not None and winner is not first else "the first"
                attempt.call.plan.hedge = f"asked {second.ranked.candidate.name} beside it; {spoke} answered"
            return (winner or first).result()
        finally:
            waiting.cancel()
            for one in running:
                one.cancel()
            await asyncio.gather(waiting, *running, return_exceptions=True)
            for one, its in running.items():
                if one is not winner and not one.cancelled():
                    one.exception()  # looked at, so that nobody is warned of it
                if one is not winner and (one is not first or winner is not None):
                    its.end("caller_gone", "lost_the_race" if winner is not None else "cancelled")

    def _second(self, first: Attempt, spent: set[str], hedges: HedgeBudget) -> Attempt | None:
        """The best candidate that is worth asking beside the first, ready to be asked; None where there is none."""
        for ranked in candidates(first.call.wanted, self.blocked):
            candidate = ranked.candidate
            is_spent = not spent.isdisjoint((*candidate.breaker_keys, _vendor(candidate)))
            if is_spent or is_worth_it(first.ranked.candidate, candidate) is not None:
                continue
            if not hedges.has_leave:
                return None
            attempt = self._begin_now(first.call, ranked)
            if attempt is not None:
                hedges.spend()
                return attempt
        return None

    def _begin_now(self, call: Call, ranked: Ranked) -> Attempt | None:
        """An attempt at a candidate, unless its upstream has no free place or a breaker is open."""
        place = None if self._admission is None else self._admission.of(ranked.candidate.offer.upstream)
        if place is not None and not place.take_now():
            return None
        return self._begin(call, ranked, place)

    def _begin(self, call: Call, ranked: Ranked, place: Places | None, *, is_forced: bool = False) -> Attempt | None:
        """An attempt that holds the place it was given; None, and the place given back, where a breaker is open."""
        keys = ranked.candidate.breaker_keys
        tickets = self._breakers.acquire(keys, self._clock.monotonic(), is_forced=is_forced)
        if tickets is None:
            if place is not None:
                place.give_back()
            return None
        attempt = Attempt(call, ranked, tickets, self._clock, self._metrics, self._outcomes)
        attempt.place = place
        return attempt

    def _close_books(self, attempt: Attempt, error: _NotTriedError | RefusedError | AttemptError) -> None:
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

    def _takes_along(self, candidate: Candidate, cause: Cause) -> tuple[str, ...]:
        """What else cannot work in this call, now that this failed: keys of breakers, or a vendor."""
        if cause.opens == "key" and candidate.account is not None:
            return (candidate.account.breaker_key,)
        if cause.is_lasting:
            return (candidate.model_key,)
        if cause.action == "return":
            # Perhaps the caller's fault, perhaps this vendor's whim: only another vendor can tell.
            return (_vendor(candidate),)
        return (candidate.endpoint_key,)

    def _order(self, call: Call, spent: set[str], again: list[_Turn]) -> Iterator[_Turn]:
        """Whose turn it is. Breakers are asked late, so that one that opened meanwhile is seen."""

        def is_spent(candidate: Candidate) -> bool:
            return bool(spent) and not spent.isdisjoint((*candidate.breaker_keys, _vendor(candidate)))

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
            if not is_spent(ranked.candidate) and not self._is_bidden(ranked.candidate):
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
        return sorted(found, key=lambda one: self._rests_until(one.candidate))

    def _is_bidden(self, candidate: Candidate) -> bool:
        now = self._clock.monotonic()
        found = [self._breakers[key] for key in candidate.breaker_keys if key in self._breakers]
        return any(one.is_bidden and one.state(now) == "open" for one in found)

    def _rests_until(self, candidate: Candidate) -> float:
        return max((self._breakers[key].until for key in candidate.breaker_keys if key in self._breakers), default=0.0)

    async def _attempt(
        self, attempt: Attempt, repairs: tuple[Repair, ...], request: ChatRequest | None = None
    ) -> Answer:
        """Ask the attempt's candidate; `request` where it is another than the caller's own."""
        call, candidate = attempt.call, attempt.ranked.candidate
        request = request or call.request
        plan = call.plan
        if plan is None:
            prepared = prepare(request, candidate, repairs)
        else:
            session = plan.session.key if plan.session is not None else None
            prepared = prepare(request, candidate, repairs, plan.preferences, session)
        if isinstance(prepared, Disqualified):
            raise _NotTriedError(prepared.reason)
        attempt.dropped = prepared.dropped
        account = candidate.account
        assert account is not None  # noqa: S101  (candidates without an account are never offered)
        limit = limits(
            candidate,
            is_stream=request.is_stream,
            output_tokens=request.output_tokens,
            settings=self._settings,
            wish=call.wish,
            prompt_tokens=request.prompt_tokens,
        )
        answer: UpstreamAnswer | None = None
        is_handed_on = False
        try:
            first_by = min(attempt.started + limit.first_content_s, call.deadline)
            async with self._clock.timeout_at(first_by) as timer:
                answer = await self._transport.send(
                    UpstreamRequest(account.urls[call.upstream_endpoint], account.headers, prepared.body)
                )
                attempt.status = answer.status
                attempt.upstream_answer = answer
                if answer.status != 200:
                    body = await answer.read(_MOST_ERROR_BYTES)
                    cause = classify(account.dialect, answer.status, body, answer.headers)
                    raise RefusedError(cause, answer.status, body)
                if not request.is_stream:
                    return await self._whole(attempt, answer)
                found = await self._stream(attempt, answer, limit, timer)
                is_handed_on = True
                return found
        except TimeoutError as error:
            cause_word = "deadline" if self._clock.monotonic() >= call.deadline else "no_content_in_time"
            raise StalledError("it did not answer in time", cause_word) from error
        finally:
            if answer is not None and not is_handed_on:
                answer.close()

    async def _whole(self, attempt: Attempt, answer: UpstreamAnswer) -> Answer:
        body = await answer.read(self._settings.max_answer_bytes)
        attempt.first_byte = attempt.first_content = self._clock.monotonic()
        found = read_completion(body)
        if found.error:
            self._refuse(attempt, body)
        attempt.usage = usage_of(found.usage)
        attempt.end("answered")
        return Answer(attempt, 200, body)

    def _refuse(self, attempt: Attempt, body: bytes) -> None:
        """An error under status 200 is the error it names."""
        account = attempt.ranked.candidate.account
        assert account is not None  # noqa: S101
        cause = classify_success(account.dialect, msgspec.json.decode(body), {})
        if cause is None:
            raise MalformedAnswerError("its answer is an error without a word", "nameless_error")
        raise RefusedError(cause, 502 if cause.action != "return" else 400, body)

    async def _stream(self, attempt: Attempt, answer: UpstreamAnswer, limit: Limits, timer: Limit) -> Answer:
        """Hold a stream back until it says something, so that whatever goes wrong before can still fail over."""
        content_type = answer.headers.get("content-type", "")
        if content_type.startswith("application/json"):
            await self._not_a_stream(attempt, answer)
        offer = attempt.ranked.candidate.offer
        scanner = StreamScanner(
            keeps_usage=attempt.call.request.wants_usage_event,
            annotate=lambda data, usage: annotated(data, offer, cost_usd(usage, offer)[0]),
        )
        plan = attempt.call.plan
        if (
            plan is not None
            and plan.routing.on_break == "continue"
            and continuation.refusal(attempt.call.request) is None
        ):
            attempt.heard = attempt.heard or continuation.Heard()
        held: list[bytes] = []
        held_bytes = 0
        chunks = answer.chunks()
        while not scanner.has_content and held_bytes < _MOST_HELD_BYTES:
            chunk = await anext(chunks, None)
            now = self._clock.monotonic()
            if attempt.first_byte is None:
                attempt.first_byte = now
            thought = scanner.has_reasoning
            scanner.has_reasoning = False
            out = scanner.feed(chunk) if chunk is not None else scanner.finish()
            if scanner.error is not None:
                self._refuse(attempt, scanner.error)
            if out:
                held.append(out)
                held_bytes += len(out)
            if chunk is None or scanner.is_done:
                break
            if scanner.has_reasoning:
                # Thinking is life, not content: it puts the limit off, and can still fail over.
                timer.reschedule(
                    min(
                        max(attempt.started + limit.first_content_s, now + limit.between_chunks_s),
                        attempt.call.deadline,
                    )
                )
            scanner.has_reasoning = scanner.has_reasoning or thought
        if not scanner.has_content and held_bytes < _MOST_HELD_BYTES:
            if not scanner.is_complete:
                raise BrokenAnswerError("its stream ended before it said anything", "ended_early")
            if not scanner.is_answer:
                raise MalformedAnswerError("its stream holds no content", "no_content")
        attempt.first_content = self._clock.monotonic()
        if attempt.heard is not None:
            attempt.heard.hear(b"".join(held))
        return Answer(attempt, 200, b"".join(held), self._rest(attempt, answer, chunks, scanner, limit))

    async def _not_a_stream(self, attempt: Attempt, answer: UpstreamAnswer) -> None:
        """JSON where a stream was asked for: an error under status 200, or an upstream that cannot stream."""
        body = await answer.read(self._settings.max_answer_bytes)
        if read_completion(body).error:
            self._refuse(attempt, body)
        raise MalformedAnswerError("it does not stream", "not_a_stream")

    async def _rest(
        self,
        attempt: Attempt,
        answer: UpstreamAnswer,
        chunks: AsyncIterator[bytes],
        scanner: StreamScanner,
        limit: Limits,
    ) -> AsyncIterator[bytes]:
        """What follows the first content, event by event; ends with `[DONE]`, or with an error event and without it."""
        clock, deadline = self._clock, attempt.call.deadline
        try:
            try:
                async with clock.timeout_at(None) as timer, aclosing(chunks):  # type: ignore[type-var]
                    while not scanner.is_done:
                        timer.reschedule(min(clock.monotonic() + limit.between_chunks_s, deadline))
                        chunk = await anext(chunks, None)
                        # The client's own slowness must not count as the upstream's silence.
                        timer.reschedule(None)
                        out = scanner.finish() if chunk is None else scanner.feed(chunk)
                        if out:
                            if attempt.heard is not None:
                                attempt.heard.hear(out)
                            yield out
                        if scanner.error is not None or chunk is None:
                            break
            except TimeoutError as error:
                raise StalledError("it fell silent amid the answer", "silent_amid_answer") from error
            if scanner.error is not None or not scanner.is_complete:
                raise BrokenAnswerError("its stream ended amid the answer", "ended_early")
            self._note(attempt, scanner)
            attempt.end("answered")
            yield b"data: [DONE]\n\n"
        except AttemptError as error:
            self._note(attempt, scanner)
            attempt.end("broken", error.cause, against=FAILURES["broken"])
            follow = await self._go_on(attempt) if attempt.heard is not None and attempt.heard.is_text else None
            if follow is None or follow.rest is None:
                yield _error_event(error, attempt)
            else:
                characters = len(attempt.heard.text) if attempt.heard is not None else 0
                try:
                    yield continuation.seam(
                        attempt.ranked.candidate, follow.attempt.ranked.candidate, error.cause, characters
                    )
                    yield follow.body
                    async with aclosing(follow.rest) as rest:  # type: ignore[type-var]
                        async for piece in rest:
                            yield piece
                finally:
                    # The client may be gone before the second half is begun; then its own end never comes.
                    follow.attempt.end("caller_gone", "cancelled")
        finally:
            self._note(attempt, scanner)
            attempt.end("caller_gone", "cancelled")
            answer.close()

    async def _go_on(self, broken: Attempt) -> Answer | None:
        """Have the next candidate that can go on from what was sent; None where there is none."""
        call, heard = broken.call, broken.heard
        if heard is None:
            return None
        most = (call.plan.routing.max_attempts if call.plan is not None else None) or self._settings.max_attempts
        tried = {attempt.ranked.candidate.endpoint_key for attempt in call.attempts}
        for ranked in candidates(call.wanted, self.blocked):
            candidate = ranked.candidate
            if len(call.attempts) >= most or self._clock.monotonic() >= call.deadline:
                return None
            if candidate.endpoint_key in tried or not continuation.accepts_prefill(candidate):
                continue
            attempt = self._begin_now(call, ranked)
            if attempt is None:
                continue
            attempt.heard = continuation.Heard(heard.text)
            try:
                return await self._attempt(attempt, (), continuation.continued(call.request, candidate, heard.text))
            except (_NotTriedError, RefusedError, AttemptError) as error:
                self._close_books(attempt, error)
            except BaseException:
                attempt.end("caller_gone", "cancelled")
                raise
        return None

    def _note(self, attempt: Attempt, scanner: StreamScanner) -> None:
        attempt.usage = scanner.usage
        if scanner.bad_events:
            self._metrics.bad_events.labels(attempt.ranked.candidate.offer.upstream).inc(scanner.bad_events)
            scanner.bad_events = 0

    def _failure(self, call: Call, refusals: list[_Refusal]) -> Exception:
        """What to tell the client when nothing answered."""
        if not call.attempts:
            if call.skipped:
                reasons = "; ".join(sorted({reason for _, reason in call.skipped})[:3])
                return AttemptsFailedError(f"No candidate understands the request: {reasons}.", 400, [], None)
            resting = self._resting(call)
            if resting:
                rest_s = self._rests_until(resting[0].candidate) - self._clock.monotonic()
                text = f"Every candidate rests, because its upstream asked for it; the first is back in {rest_s:.0f} s."
                return AttemptsFailedError(text, 429, [], rest_s)
            return no_candidate(call.wanted)
        attempts = [attempt.summary() for attempt in call.attempts]
        outcomes = {attempt.outcome for attempt in call.attempts}
        rests = [one.error.cause.retry_after_s for one in refusals if one.error.cause.retry_after_s is not None]
        if outcomes == {"overloaded"}:
            status = 429
        elif self._clock.monotonic() >= call.deadline:
            status = 504
        else:
            status = 504 if outcomes == {"stalled"} else 502
        last = call.attempts[-1]
        text = (
            f"All {len(attempts)} candidates that were tried failed; the last, "
            f"{last.ranked.candidate.offer.offer_id}, with {last.cause or last.outcome}."
        )
        return AttemptsFailedError(text, status, attempts, min(rests, default=None))


def _error_event(error: AttemptError, attempt: Attempt) -> bytes:
    offer = attempt.ranked.candidate.offer
    body = {
        "error": {
            "message": f"{offer.offer_id} failed amid the answer: {error.message}. What came before is incomplete.",
            "type": "upstream_error",
            "param": None,
            "code": error.cause,
        }
    }
    return b"data: " + msgspec.json.encode(body) + b"\n\n"
