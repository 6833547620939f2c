"""What else could have answered a call, and what that would have cost. Pure.

Going through hundreds of candidates for each call that ends would cost more than routing it did. But most calls want
the same of the same publication, so the answer is kept with the snapshot by what it depends on, and a cost is a sum of
tokens by prices: its average needs the average prices only, and its maximum the few offers that no other is dearer
than in every respect.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec

from proxy.answers import Usage
from proxy.candidates import Ranked
from proxy.costs import at_length, tier_starts
from proxy.routing import UNKNOWN_CONTEXT_TOKENS, Rejection, Wanted, explain
from proxy.snapshot import Snapshot
from warehouse.published import Offer

_MOST_KEPT = 256
_SHOWN = 10


class Compared(NamedTuple):
    """Costs of a call's tokens, in US dollars."""

    average_usd: float
    most_expensive_usd: float
    most_expensive: str
    """Its offer id."""
    alternatives: int
    """Offers of known price, which the average is of."""


class _Prices(NamedTuple):
    read: float
    cached: float
    written: float
    request: float
    offer_id: str

    def usd(self, fresh: int, cached: int, written: int) -> float:
        return (fresh * self.read + cached * self.cached + written * self.written) / 1e6 + self.request


class Alternatives:
    """The candidates of a call, in order, and those that a filter removed."""

    def __init__(self, chosen: Sequence[Ranked], rejected: Sequence[Rejection] = ()) -> None:
        self.count = len(chosen)
        self.first = [_shown(one) for one in chosen[:_SHOWN]]
        self.removed: dict[str, int] = {}
        for one in rejected:
            self.removed[one.filter] = self.removed.get(one.filter, 0) + 1
        # Written once: most calls that end share one of these.
        self.first_json = msgspec.json.encode(self.first).decode()
        self.removed_json = msgspec.json.encode(self.removed).decode()
        self._offers = list({one.candidate.offer.offer_id: one.candidate.offer for one in chosen}.values())
        self._tiers = sorted({start for offer in self._offers for start in tier_starts(offer)})
        self._priced: dict[int, tuple[_Prices, list[_Prices], int] | None] = {}

    def compared(self, usage: Usage) -> Compared | None:
        """The tokens at the prices of what could have answered; that others use more or fewer words is left out."""
        prompt, written = usage.prompt_tokens, usage.completion_tokens
        if prompt is None or written is None:
            return None
        tier = bisect_left(self._tiers, prompt + 1)
        if tier not in self._priced:
            self._priced[tier] = self._prices(prompt)
        priced = self._priced[tier]
        if priced is None:
            return None
        average, dear, count = priced
        cached = min(usage.cached_tokens or 0, prompt)
        most, offer_id = max((one.usd(prompt - cached, cached, written), one.offer_id) for one in dear)
        return Compared(average.usd(prompt - cached, cached, written), most, offer_id, count)

    def _prices(self, prompt_tokens: int) -> tuple[_Prices, list[_Prices], int] | None:
        prices = [found for offer in self._offers if (found := _prices_of(at_length(offer, prompt_tokens))) is not None]
        if not prices:
            return None
        columns = list(zip(*(one[:4] for one in prices), strict=True))
        read, cached, written, request = (sum(column) / len(prices) for column in columns)
        average = _Prices(read, cached, written, request, "")
        dear: list[_Prices] = []
        for one in sorted(prices, key=lambda one: one[:4], reverse=True):
            if not any(all(a >= b for a, b in zip(other[:4], one[:4], strict=True)) for other in dear):
                dear.append(one)
        return average, dear, len(prices)


def alternatives(wanted: Wanted) -> Alternatives:
    """What could have answered a call that wants this, breakers and its session's home aside."""
    if wanted.selections:
        # A named model has a handful of offers: nothing is worth keeping.
        return Alternatives(*explain(replace(wanted, first=None), lambda _: None))
    sameness = None if wanted.policy is None else wanted.policy.sameness
    if wanted.policy is not None and sameness is None:
        return Alternatives(*explain(replace(wanted, first=None), lambda _: None))
    kept: dict[Any, Alternatives] = wanted.snapshot.worked_out.setdefault("alternatives", {})
    key = (
        wanted.profile,
        wanted.band,
        wanted.category,
        wanted.needs,
        wanted.denies_training,
        wanted.asks_for,
        bisect_left(_windows(wanted.snapshot), wanted.tokens),
        sameness,
    )
    found = kept.get(key)
    if found is None:
        if len(kept) >= _MOST_KEPT:
            kept.clear()
        found = kept[key] = Alternatives(*explain(replace(wanted, first=None), lambda _: None))
    return found


def _windows(snapshot: Snapshot) -> list[int]:
    """Every context window there is: between two of them, the same candidates fit."""
    found: list[int] | None = snapshot.worked_out.get("windows")
    if found is None:
        found = sorted({one.context_tokens or UNKNOWN_CONTEXT_TOKENS for one in snapshot.offers.values()})
        snapshot.worked_out["windows"] = found
    return found


def _prices_of(offer: Offer) -> _Prices | None:
    if offer.is_local or offer.is_free:
        return _Prices(0.0, 0.0, 0.0, 0.0, offer.offer_id)
    price_in, price_out = offer.price_in_usd_per_mtok, offer.price_out_usd_per_mtok
    if price_in is None or price_out is None:
        return None
    cached = offer.price_cache_read_usd_per_mtok
    return _Prices(
        price_in, price_in if cached is None else cached, price_out, offer.price_request_usd or 0.0, offer.offer_id
    )


def _shown(one: Ranked) -> dict[str, Any]:
    return {
        "offer": one.candidate.offer.offer_id,
        "effort": one.candidate.effort,
        "rank": one.rank,
        "score": one.score,
        "expected_cost_usd": one.cost_in_usd_per_call,
    }
