"""What accounts can still pay for, as far as their own refusals say. Pure; the time is handed in.

Some upstreams set aside what an answer may cost at most, and refuse (402) what the balance does not cover; for a call
that states no length they set aside the model's longest answer. The first such refusal names what would do, and the
call is repaired; from then on calls of the same account say from the start what it can pay for, for a while.
"""

from __future__ import annotations

from proxy.costs import at_length
from warehouse.published import Offer

KEPT_S = 600.0
"""After this, an account is believed to be in funds again: it may have been paid into."""
_UNKNOWN_OUTPUT_TOKENS = 65_536
"""What an upstream sets aside for where neither the call nor the offer states a length."""


class Balances:
    """The least that each account was said to have, by the name of its breaker."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._known)

    def refused(self, account: str, offer: Offer, prompt_tokens: int, affordable_tokens: int, now_s: float) -> None:
        """An account's balance covers a prompt and `affordable_tokens` of this offer's completion, and no more."""
        price_out = at_length(offer, prompt_tokens).price_out_usd_per_mtok
        if price_out:
            self._known[account] = (affordable_tokens * price_out / 1e6, now_s + KEPT_S)

    def most_tokens(
        self, account: str, offer: Offer, prompt_tokens: int, limit: int | None, now_s: float
    ) -> int | None:
        """The longest completion to ask for; None where the account is not known to be short, or the call asks less.

        `limit` is the caller's own.
        """
        known = self._known.get(account)
        if known is None:
            return None
        usd, until_s = known
        if now_s >= until_s:
            del self._known[account]
            return None
        price_out = at_length(offer, prompt_tokens).price_out_usd_per_mtok
        if not price_out:
            return None
        tokens = int(usd * 1e6 / price_out)
        return tokens if tokens < (limit or offer.max_output_tokens or _UNKNOWN_OUTPUT_TOKENS) else None
