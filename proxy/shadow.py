"""A sampled share of calls is sent to a second candidate too, and both outcomes are kept side by side. Off by default.

It begins when the caller has its answer, so it can neither delay nor harm it: it takes no place that a caller waits
for, counts against no breaker, no client's budget and no ranking. It is sent where the call itself might have gone, by
the same rules (data policy, the key's models, the request's wishes), never streamed; its answer is thrown away.
A sum a day, shared by all workers, bounds what it costs; a call whose worst case does not fit is not made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from proxy.admission import Admission
from proxy.answers import Usage, read_completion, usage_of
from proxy.attempts import Attempt, Call
from proxy.bodies import prepare
from proxy.breaker import Breakers
from proxy.budgets import Ledger, LedgerError, Refused, unseen_usd, worst_case_usd
from proxy.candidates import Candidate, Ranked
from proxy.causes import classify
from proxy.client import Transport, UpstreamRequest
from proxy.clock import Clock
from proxy.costs import cost_usd
from proxy.dialects import Disqualified
from proxy.errors import AttemptError
from proxy.keys import Key
from proxy.metrics import Metrics
from proxy.outcomes import Record
from proxy.request import ChatRequest
from proxy.routing import Blocked, candidates
from proxy.settings import Settings
from proxy.time_limits import NO_WISH, limits
from warehouse.outcomes import ShadowCall

_MOST_AT_ONCE = 4
_MOST_ERROR_BYTES = 64 * 1024
_STREAM_FIELDS = ("stream", "stream_options")
_NOBODYS_FAULT = ("caller_gone", "caller_error")


class Sink(Protocol):
    """Where records go."""

    def append(self, record: Record) -> None:
        """Take one. Never waits."""


class Shadow:
    """The shadow calls of one worker."""

    def __init__(
        self,
        settings: Settings,
        transport: Transport,
        clock: Clock,
        ledger: Ledger,
        breakers: Breakers,
        admission: Admission,
        blocked: Blocked,
        metrics: Metrics,
        log: Sink,
        chance: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._clock = clock
        self._ledger = ledger
        self._breakers = breakers
        self._admission = admission
        self._blocked = blocked
        self._metrics = metrics
        self._log = log
        self._chance = chance
        # Counted in the same ledger as clients' budgets, under a name that no client's key has.
        self._purse = Key("(shadow calls)", "", budget_usd_per_day=settings.shadow_usd_per_day)
        self._running: set[asyncio.Task[None]] = set()

    def consider(self, call: Call) -> None:
        """Perhaps send a call that has ended to a second candidate as well. Returns at once."""
        if self._chance() >= self._settings.shadow_share or len(self._running) >= _MOST_AT_ONCE:
            return
        plan, primary = call.plan, call.attempts[-1] if call.attempts else None
        if plan is None or primary is None or call.wanted.is_named or call.upstream_endpoint != "chat":
            return  # a caller that names its models is not asking for another
        if plan.is_cached or not plan.preferences.allow_fallbacks or primary.outcome in _NOBODYS_FAULT:
            return
        if call.asked is not None and call.asked.only_native is not None:
            return  # no chat can say it
        second = self._second(call)
        if second is None:
            return
        worst = worst_case_usd(second.candidate.offer, call.request.prompt_tokens, call.request.limit_tokens)
        if worst is None:
            return
        # The call lets go of its attempts when it has ended; what is wanted of them is taken now.
        task = asyncio.get_running_loop().create_task(self._run(call, primary, second, worst), name="shadow")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Give up what runs."""
        running = tuple(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _second(self, call: Call) -> Ranked | None:
        """The best candidate of a model that this call has not tried, where its upstream has a place to spare."""
        tried = {attempt.ranked.candidate.offer.model_id for attempt in call.attempts}
        for one in candidates(call.wanted, self._blocked):
            if one.candidate.offer.model_id not in tried:
                return one
        return None

    async def _run(self, call: Call, primary: Attempt, second: Ranked, worst: float) -> None:
        offer = second.candidate.offer
        place = self._admission.of(offer.upstream)
        if place is not None and not place.take_now():
            return
        try:
            most_s = self._settings.total_timeout_s + 60.0
            lease = await self._ledger.take(self._purse, worst, call.request.tokens, most_s, may_overshoot=False)
            if isinstance(lease, Refused):
                return
            spent = 0.0
            try:
                spent = await self._ask(call, primary, second.candidate, worst)
            except asyncio.CancelledError:
                spent = worst  # it may have been answered; nobody will ever know
                raise
            finally:
                self._ledger.settle(lease, spent)
        except LedgerError:
            return  # what may not be counted is not spent
        finally:
            if place is not None:
                place.give_back()

    async def _ask(self, call: Call, primary: Attempt, candidate: Candidate, worst: float) -> float:
        """Ask the second candidate and keep both outcomes. Returns what it cost, in US dollars."""
        plan, account = call.plan, candidate.account
        assert plan is not None  # noqa: S101
        assert account is not None  # noqa: S101
        request = _unstreamed(call.request)
        prepared = prepare(request, candidate, (), plan.preferences)
        if isinstance(prepared, Disqualified):
            return 0.0
        limit = limits(
            candidate,
            is_stream=False,
            output_tokens=request.output_tokens,
            settings=self._settings,
            wish=NO_WISH,
            prompt_tokens=request.prompt_tokens,
        )
        at, started = self._clock.now(), self._clock.monotonic()
        usage: Usage | None = None
        finish_reason: str | None = None
        cause: str | None = None
        status = 0
        try:
            async with self._clock.timeout_at(started + limit.first_content_s):
                answer = await self._transport.send(
                    UpstreamRequest(account.urls["chat"], self._headers(candidate), prepared.body)
                )
                status = answer.status
                try:
                    if status != 200:
                        body = await answer.read(_MOST_ERROR_BYTES)
                        cause = classify(account.dialect, status, body, answer.headers).name
                    else:
                        found = read_completion(await answer.read(self._settings.max_answer_bytes))
                        usage = usage_of(found.usage)
                        finish_reason = found.finish_reason
                        cause = "error_under_200" if found.error else None
                finally:
                    answer.close()
        except TimeoutError:
            cause = "no_content_in_time"
        except AttemptError as error:
            cause = error.cause
        seconds = self._clock.monotonic() - started
        cost, _ = cost_usd(usage, candidate.offer)
        self._metrics.policies["shadow_asked"].inc()
        self._log.append(
            ShadowCall(
                decision_id=call.request_id,
                began_at=at.isoformat(timespec="milliseconds") + "Z",
                profile=call.profile,
                difficulty_band=call.assessment.band if call.assessment is not None else None,
                category=call.assessment.category if call.assessment is not None else None,
                primary_model_id=primary.ranked.candidate.offer.model_id,
                primary_offer_id=primary.ranked.candidate.offer.offer_id,
                primary_effort=call.request.effort or primary.ranked.candidate.effort,
                primary_is_streamed=call.request.is_stream,
                primary_ok=primary.outcome == "answered",
                primary_first_content_ms=primary.first_content_ms,
                primary_total_ms=primary.total_ms or 0.0,
                primary_prompt_tokens=primary.usage.prompt_tokens if primary.usage is not None else None,
                primary_completion_tokens=primary.usage.completion_tokens if primary.usage is not None else None,
                primary_cost_usd=primary.cost_usd,
                primary_finish_reason=primary.finish_reason,
                shadow_model_id=candidate.offer.model_id,
                shadow_offer_id=candidate.offer.offer_id,
                shadow_effort=call.request.effort or candidate.effort,
                shadow_ok=cause is None,
                shadow_cause=cause,
                shadow_total_ms=seconds * 1000,
                shadow_prompt_tokens=usage.prompt_tokens if usage is not None else None,
                shadow_completion_tokens=usage.completion_tokens if usage is not None else None,
                shadow_cost_usd=cost,
                shadow_finish_reason=finish_reason,
            )
        )
        if cost is not None:
            return cost
        was_refused = status not in (0, 200)
        return 0.0 if was_refused else unseen_usd(candidate.offer, request.prompt_tokens, seconds, worst)

    def _headers(self, candidate: Candidate) -> dict[str, str]:
        account, now = candidate.account, self._clock.monotonic()
        assert account is not None  # noqa: S101
        for key in account.keys:
            if self._breakers.blocks((key.name, key.at(candidate.endpoint_key)), now) is None:
                return dict(key.headers)
        return dict(account.headers)


def _unstreamed(request: ChatRequest) -> ChatRequest:
    if not request.is_stream:
        return request
    return replace(
        request,
        body={name: value for name, value in request.body.items() if name not in _STREAM_FIELDS},
        fields={name: value for name, value in request.fields.items() if name not in _STREAM_FIELDS},
        is_stream=False,
        wants_usage_event=False,
    )
