"""Circuit breakers: closed, open, half-open. Pure; the time is handed in.

A breaker opens after so many failures in a row, or when most of the calls of the last minute failed; it rests for a
cooldown that doubles with each failed trial up to a cap; then one trial goes through. Every change of state starts a
new generation, and a late answer from an older one changes nothing. What counts as a failure is not decided here
(`causes.py`), nor which candidates a breaker guards (`routing.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

State = Literal["closed", "open", "half_open"]

_WINDOW_S = 60.0
_WINDOW_CALLS = 20
_WINDOW_FAILURE_RATE = 0.5


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """When breakers open and for how long."""

    failures: int = 3
    cooldown_s: float = 60.0
    cooldown_cap_s: float = 900.0


class Ticket(NamedTuple):
    """Leave to make one call through one breaker; handed back with what became of it."""

    breaker: Breaker
    generation: int


class Breaker:
    """One guarded thing. Not thread-safe: it lives on one event loop."""

    __slots__ = (
        "_calls",
        "_cooldown_s",
        "_failed",
        "_rule",
        "_trial_runs",
        "_window_from",
        "failures",
        "generation",
        "is_bidden",
        "is_open",
        "key",
        "reason",
        "since",
        "until",
    )

    def __init__(self, key: str, rule: BreakerRule) -> None:
        self.key = key
        self._rule = rule
        self.is_open = False
        self.is_bidden = False
        """The rest was asked for, by the upstream or by a person: nobody should try meanwhile."""
        self.failures = 0
        self.generation = 0
        self.reason: str | None = None
        self.since = 0.0
        self.until = 0.0
        self._cooldown_s = rule.cooldown_s
        self._trial_runs = False
        self._window_from = 0.0
        self._calls = 0
        self._failed = 0

    def state(self, now: float) -> State:
        """Where it stands."""
        if not self.is_open:
            return "closed"
        return "open" if now < self.until else "half_open"

    def allows(self, now: float) -> bool:
        """Whether a call would be let through; changes nothing."""
        return not self.is_open or (now >= self.until and not self._trial_runs)

    def acquire(self, now: float, *, is_forced: bool = False) -> Ticket | None:
        """Leave to call, or None. Past the cooldown the first to ask gets the trial, and nobody else until it ends.

        `is_forced` asks for a trial before the cooldown has ended: for when nothing better is left.
        """
        if not self.is_open:
            return Ticket(self, self.generation)
        if self._trial_runs or (now < self.until and not is_forced):
            return None
        self._trial_runs = True
        return Ticket(self, self.generation)

    def succeeded(self, ticket: Ticket, now: float) -> None:
        """The call was answered: a trial closes the breaker, anything else ends the row of failures."""
        if ticket.generation != self.generation:
            return
        if self.is_open:
            self.close(now)
            return
        self.failures = 0
        self._count(now)

    def failed(
        self, ticket: Ticket, now: float, reason: str, rest_s: float | None = None, *, is_lasting: bool = False
    ) -> None:
        """The call failed. A rest the upstream asked for, or a failure that time will not mend, opens it at once."""
        if ticket.generation != self.generation:
            return
        if self.is_open:
            self._cooldown_s = min(self._cooldown_s * 2, self._rule.cooldown_cap_s)
            self.open(now, reason, rest_s)
            return
        self.failures += 1
        self._count(now)
        self._failed += 1
        mostly_failing = self._calls >= _WINDOW_CALLS and self._failed >= self._calls * _WINDOW_FAILURE_RATE
        if rest_s is not None or is_lasting or self.failures >= self._rule.failures or mostly_failing:
            self.open(now, reason, rest_s)

    def abandoned(self, ticket: Ticket) -> None:
        """The call ended without telling anything about the upstream: counts as nothing, and frees the trial."""
        if ticket.generation == self.generation:
            self._trial_runs = False

    def open(self, now: float, reason: str, rest_s: float | None = None) -> None:
        """Open it, for the rest the upstream asked for or the cooldown, whichever is known."""
        self._turn(now)
        self.is_open = True
        self.reason = reason
        self.is_bidden = rest_s is not None
        self.until = now + (self._cooldown_s if rest_s is None else rest_s)

    def close(self, now: float) -> None:
        """Close it and forget what was counted."""
        self._turn(now)
        self.is_open = self.is_bidden = False
        self.reason = None
        self.until = 0.0
        self._cooldown_s = self._rule.cooldown_s

    def _turn(self, now: float) -> None:
        self.generation += 1
        self.since = now
        self.failures = 0
        self._trial_runs = False
        self._window_from, self._calls, self._failed = now, 0, 0

    def _count(self, now: float) -> None:
        if now - self._window_from >= _WINDOW_S:
            self._window_from, self._calls, self._failed = now, 0, 0
        self._calls += 1


class Breakers:
    """All breakers of a worker, by key; one is made when its key is first used."""

    def __init__(self, rule: BreakerRule) -> None:
        self._rule = rule
        self._by_key: dict[str, Breaker] = {}

    def __getitem__(self, key: str) -> Breaker:
        found = self._by_key.get(key)
        if found is None:
            found = self._by_key[key] = Breaker(key, self._rule)
        return found

    def __iter__(self) -> Iterator[Breaker]:
        return iter(tuple(self._by_key.values()))

    def __contains__(self, key: str) -> bool:
        return key in self._by_key

    def blocks(self, keys: tuple[str, ...], now: float) -> Breaker | None:
        """The first breaker of these keys that would not let a call through."""
        for key in keys:
            found = self._by_key.get(key)
            if found is not None and found.is_open and not found.allows(now):
                return found
        return None

    def acquire(self, keys: tuple[str, ...], now: float, *, is_forced: bool = False) -> tuple[Ticket, ...] | None:
        """Leave of every one of these breakers, or None and none of them changed."""
        tickets: list[Ticket] = []
        for key in keys:
            ticket = self[key].acquire(now, is_forced=is_forced)
            if ticket is None:
                for given in tickets:
                    given.breaker.abandoned(given)
                return None
            tickets.append(ticket)
        return tuple(tickets)
