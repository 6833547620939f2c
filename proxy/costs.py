"""What a call cost, in US dollars: as reported, else by the offer's prices. Pure."""

from __future__ import annotations

from proxy.answers import Usage
from warehouse.published import Offer


def cost_usd(usage: Usage | None, offer: Offer) -> tuple[float | None, bool]:
    """Cost of one answer and whether the upstream reported it; None where usage or a price is not known.

    Tokens read from a cache cost the cache's price where there is one. Long-prompt tiers are not applied: an
    upstream that has them reports its cost.
    """
    if usage is None:
        return None, False
    if usage.cost_usd is not None:
        return usage.cost_usd, True
    if offer.is_local or offer.is_free:
        return 0.0, False
    price_in, price_out = offer.price_in_usd_per_mtok, offer.price_out_usd_per_mtok
    if price_in is None or price_out is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return None, False
    cached = min(usage.cached_tokens or 0, usage.prompt_tokens)
    price_cached = offer.price_cache_read_usd_per_mtok
    spent = (usage.prompt_tokens - cached) * price_in + usage.completion_tokens * price_out
    spent += cached * (price_in if price_cached is None else price_cached)
    return spent / 1e6 + (offer.price_request_usd or 0.0), False
