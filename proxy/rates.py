"""A rate, kept: so much a minute, saved up to one minute's worth. Pure; time and state are handed in.

The generic cell rate algorithm (ITU-T I.371): the whole state of a bucket is one moment, that at which it would be full
again. Who is limited and where the moment is kept does not belong here (`budgets.py`).
"""

from __future__ import annotations

from typing import NamedTuple


class Taken(NamedTuple):
    """What came of asking for some."""

    due_s: float
    """The state to keep: when the bucket is full again."""
    wait_s: float
    """0 when it was given; else how long until it would be."""


def take(due_s: float, now_s: float, amount: float, per_minute: float) -> Taken:
    """Ask for `amount` of what refills at `per_minute`. A refusal changes nothing.

    More than a minute's worth at once is given when the bucket is full, and then takes as long to be earned back; else
    a single large call could never be made.
    """
    per_second = per_minute / 60
    due_s = max(due_s, now_s)
    owed = (due_s - now_s) * per_second
    lacking = owed + min(amount, per_minute) - per_minute
    if lacking > 1e-9 * per_minute:
        return Taken(due_s, lacking / per_second)
    return Taken(due_s + amount / per_second, 0.0)


def give_back(due_s: float, amount: float, per_minute: float) -> float:
    """The state after `amount` turns out not to have been used; a negative one has been used on top."""
    return due_s - amount * 60 / per_minute
