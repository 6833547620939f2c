"""What a call cost, in US dollars: as reported, else by the offer's prices. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from proxy.answers import Usage
from warehouse.published import Offer

_PRICES = frozenset(name for name in Offer._fields if name.startswith("price_") and name.endswith("_usd_per_mtok"))


@lru_cache(maxsize=4096)
def _tiers(said: str) -> tuple[tuple[int, dict[str, Any]], ...]:
    """Prices by the length of prompt they begin at, the longest first."""
    found = [
        (int(tier["min_prompt_tokens"]), {name: float(price) for name, price in tier.items() if name in _PRICES})
        for tier in msgspec.json.decode(said)
    ]
    return tuple(sorted(found, key=lambda tier: -tier[0]))


def tier_starts(offer: Offer) -> tuple[int, ...]:
    """Lengths of prompt at which an offer's prices change."""
    return () if offer.price_tiers_json is None else tuple(least for least, _ in _tiers(offer.price_tiers_json))


def at_length(offer: Offer, prompt_tokens: float) -> Offer:
    """The offer at the prices of a call of that length: the last tier that the prompt reaches counts for all of it."""
    if offer.price_tiers_json is not None:
        for least, prices in _tiers(offer.price_tiers_json):
            if prompt_tokens >= least:
                return offer._replace(**prices)
    return offer


def cost_usd(usage: Usage | None, offer: Offer) -> tuple[float | None, bool]:
    """Cost of one answer and whether the upstream reported it; None where usage or a price is not known.

    Tokens read from a cache cost the cache's price where there is one. What was written to a cache is counted at the
    plain price of a prompt: upstreams that ask more for it report their cost.
    """
    if usage is None:
        return None, False
    if usage.cost_usd is not None:
        return usage.cost_usd, True
    if offer.is_local or offer.is_free:
        return 0.0, False
    if offer.price_tiers_json is not None and usage.prompt_tokens is not None:
        offer = at_length(offer, usage.prompt_tokens)
    price_in, price_out = offer.price_in_usd_per_mtok, offer.price_out_usd_per_mtok
    if price_in is None or price_out is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return None, False
    cached = min(usage.cached_tokens or 0, usage.prompt_tokens)
    price_cached = offer.price_cache_read_usd_per_mtok
    spent = (usage.prompt_tokens - cached) * price_in + usage.completion_tokens * price_out
    spent += cached * (price_in if price_cached is None else price_cached)
    return spent / 1e6 + (offer.price_request_usd or 0.0), False
