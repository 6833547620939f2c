"""When a second candidate is asked beside a slow first one, and how often that may happen. Pure.

Sending and cancelling is `failover.py`'s. A hedge trades money for the tail of the waiting time ("The tail at scale",
Dean and Barroso 2013): asked after the time in which the first should have spoken, it costs few extra calls and cuts
off the slowest. So it waits for the candidate's own expected time, and all hedges together stay within a share of the
calls, saved up at most to a few: when everything is slow, more calls would make it worse.
"""

from __future__ import annotations

from proxy.candidates import Candidate

FACTOR = 2.0
"""Times the expected time to the first content. About one call in ten is slower than twice its median."""
FLOOR_S = 1.0
_UNKNOWN_S = 10.0
_MOST_DEARER = 3.0
"""A second candidate is not asked when its prices are more than this many times the first one's."""


def hedge_after_s(candidate: Candidate) -> float:
    """Silence after which a second candidate is asked."""
    if candidate.first_token_ms is None:
        return _UNKNOWN_S
    return max(FLOOR_S, FACTOR * candidate.first_token_ms / 1000)


def is_worth_it(first: Candidate, second: Candidate) -> str | None:
    """Why the second is not asked beside the first; None when it may be."""
    if first.endpoint_key == second.endpoint_key:
        return "it is the same endpoint"
    if first.offer.is_local and first.offer.upstream == second.offer.upstream:
        return "a local server has one queue"
    # It starts late: one that takes longer than that again comes too late to help.
    if second.first_token_ms is not None and second.first_token_ms / 1000 > 2 * hedge_after_s(first):
        return "it is expected too late"
    prices = [
        (one.offer.price_in_usd_per_mtok or 0.0) * 3 + (one.offer.price_out_usd_per_mtok or 0.0)
        for one in (first, second)
    ]
    if not second.offer.is_local and prices[1] > prices[0] * _MOST_DEARER:
        return f"it costs more than {_MOST_DEARER:g} times as much"
    return None


class HedgeBudget:
    """Extra calls that may be made: a share of all calls, saved up to `most_saved`."""

    def __init__(self, share: float, most_saved: float = 5.0) -> None:
        self._share = share
        self._most_saved = most_saved
        self._saved = 0.0
        self.spent = 0
        """Hedges that were sent."""

    def earn(self) -> None:
        """A call has begun."""
        self._saved = min(self._most_saved, self._saved + self._share)

    @property
    def has_leave(self) -> bool:
        """Whether an extra call may be made now."""
        return self._saved >= 1.0 - 1e-9

    def spend(self) -> bool:
        """Make an extra call; False, and nothing spent, where there is no leave."""
        if not self.has_leave:
            return False
        self._saved -= 1.0
        self.spent += 1
        return True
