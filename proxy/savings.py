"""What a routed call would have cost at the model one would have taken without a router. Pure.

The yardstick is the first callable offer, for hard prompts, of the profile that weighs quality most: whoever settles
on one model needs one that does for the hard ones too. A call is compared by its own tokens; that another model would
have used more or fewer words is left out.
"""

from __future__ import annotations

from proxy.attempts import Call
from proxy.candidates import Needs
from proxy.costs import cost_usd
from proxy.snapshot import Snapshot
from warehouse.published import Offer


def yardstick(snapshot: Snapshot) -> Offer | None:
    """The offer that routed calls are compared with; None where nothing can be called."""
    if "yardstick" not in snapshot.worked_out:
        best = max(snapshot.profiles.values(), key=lambda profile: profile.weight_quality, default=None)
        list_ = snapshot.eligible(best.profile, "hard", Needs.NOTHING) if best else ()
        snapshot.worked_out["yardstick"] = list_[0].candidate.offer if list_ else None
    found: Offer | None = snapshot.worked_out["yardstick"]
    return found


def compared_usd(call: Call) -> tuple[float, float] | None:
    """Cost of a call and of its tokens at the yardstick; None where the caller named the model or one is unknown."""
    last = call.attempts[-1] if call.attempts else None
    if call.wanted.is_named or last is None or last.cost_usd is None or last.usage is None:
        return None
    offer = yardstick(call.wanted.snapshot)
    if offer is None:
        return None
    # What the upstream reported is the price of its own model, not of the yardstick.
    usage = last.usage if last.usage.cost_usd is None else last.usage._replace(cost_usd=None)
    yardstick_usd, _ = cost_usd(usage, offer)
    if yardstick_usd is None:
        return None
    return sum(attempt.cost_usd or 0.0 for attempt in call.attempts), yardstick_usd
