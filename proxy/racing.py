"""A second candidate beside a slow first one: started, waited for, and whoever is not needed cancelled.

When that is worth it, and how often it may happen, is `hedging.py`'s to say.
"""

from __future__ import annotations

import asyncio

from proxy.asking import Answer, Asker
from proxy.attempts import Attempt, Attempts, NotTriedError, RefusedError
from proxy.causes import Repair
from proxy.clock import Clock
from proxy.errors import AttemptError
from proxy.hedging import HedgeBudget, hedge_after_s, is_worth_it
from proxy.routing import candidates


async def first_of_two(
    attempt: Attempt,
    repairs: tuple[Repair, ...],
    asker: Asker,
    attempts: Attempts,
    hedges: HedgeBudget,
    clock: Clock,
    most_attempts: int,
) -> Answer:
    """The attempt's answer, or that of a second candidate asked beside it when it is slow to speak.

    Raises the attempt's own error when both fail.
    """
    hedges.earn()
    call = attempt.call
    first = asyncio.ensure_future(asker.ask(attempt, repairs))
    waiting = asyncio.ensure_future(clock.sleep(hedge_after_s(attempt.ranked.candidate)))
    running: dict[asyncio.Future[Answer], Attempt] = {first: attempt}
    winner: asyncio.Future[Answer] | None = None
    try:
        await asyncio.wait((first, waiting), return_when=asyncio.FIRST_COMPLETED)
        second = None
        if not first.done() and len(call.attempts) - call.key_moves < most_attempts:
            second = _second(attempt, attempts, hedges)
        if second is not None:
            running[asyncio.ensure_future(asker.ask(second, ()))] = second
        unfinished: set[asyncio.Future[Answer]] = set(running)
        while unfinished and winner is None:
            done, unfinished = await asyncio.wait(unfinished, return_when=asyncio.FIRST_COMPLETED)
            # The first wins when both speak at once: it is the one that was ranked higher.
            for one in (one for one in running if one in done):
                error = one.exception()
                if error is None:
                    winner = winner or one
                elif isinstance(error, NotTriedError | RefusedError | AttemptError):
                    attempts.close_books(running[one], error)
                    if one is not first:
                        call.spent.add(running[one].ranked.candidate.endpoint_key)
                else:
                    raise error
        if second is not None and call.plan is not None:
            spoke = "the second" if winner is not None and winner is not first else "the first"
            call.plan.hedge = f"asked {second.ranked.candidate.name} beside it; {spoke} answered"
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


def _second(first: Attempt, attempts: Attempts, hedges: HedgeBudget) -> Attempt | None:
    """The best candidate that is worth asking beside the first, ready to be asked; None where there is none."""
    spent = first.call.spent
    for ranked in candidates(first.call.wanted, attempts.blocked):
        candidate = ranked.candidate
        is_spent = not spent.isdisjoint((*candidate.breaker_keys, candidate.vendor_key))
        if is_spent or is_worth_it(first.ranked.candidate, candidate) is not None:
            continue
        if not hedges.has_leave:
            return None
        attempt = attempts.begin_now(first.call, ranked)
        if attempt is not None:
            hedges.spend()
            return attempt
    return None
