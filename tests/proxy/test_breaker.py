"""The whole life of a breaker, and that no sequence of events breaks its promises."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from proxy.breaker import Breaker, BreakerRule, Breakers, Ticket

RULE = BreakerRule(failures=3, cooldown_s=60, cooldown_cap_s=240)


def acquired(breaker: Breaker, now: float) -> Ticket:
    ticket = breaker.acquire(now)
    assert ticket is not None
    return ticket


def test_the_whole_life() -> None:
    """Closed, open after three failures, half-open after the cooldown, twice as long after a failed trial, closed."""
    breaker = Breaker("x", RULE)
    for _ in range(3):
        assert breaker.state(0) == "closed"
        breaker.failed(acquired(breaker, 0), 0, "server_error")

    assert (breaker.state(0), breaker.reason, breaker.until) == ("open", "server_error", 60)
    assert breaker.acquire(59.9) is None
    assert breaker.state(60) == "half_open"
    trial = acquired(breaker, 60)
    assert breaker.acquire(60) is None
    breaker.failed(trial, 61, "server_error")
    assert (breaker.state(61), breaker.until) == ("open", 181)
    breaker.succeeded(acquired(breaker, 181), 182)
    assert breaker.state(182) == "closed"
    for _ in range(3):
        breaker.failed(acquired(breaker, 200), 200, "again")
    assert breaker.until == 260


def test_a_success_ends_the_row() -> None:
    """Two failures, a success, two failures: closed."""
    breaker = Breaker("x", RULE)
    for is_failure in (True, True, False, True, True):
        ticket = acquired(breaker, 0)
        if is_failure:
            breaker.failed(ticket, 0, "x")
        else:
            breaker.succeeded(ticket, 0)

    assert breaker.state(0) == "closed"


def test_an_upstream_that_mostly_fails_opens_without_three_in_a_row() -> None:
    """Half of the last minute's twenty calls."""
    breaker = Breaker("x", RULE)
    for i in range(20):
        ticket = acquired(breaker, i)
        if i % 2:
            breaker.failed(ticket, i, "x")
        else:
            breaker.succeeded(ticket, i)

    assert breaker.state(20) == "open"


def test_a_late_answer_changes_nothing() -> None:
    """A call that began before the breaker opened neither closes it nor counts."""
    breaker = Breaker("x", RULE)
    late = acquired(breaker, 0)
    for _ in range(3):
        breaker.failed(acquired(breaker, 0), 0, "x")

    breaker.succeeded(late, 1)

    assert breaker.state(1) == "open"


def test_an_abandoned_trial_frees_its_place() -> None:
    """Its caller hung up, so the next one may try."""
    breaker = Breaker("x", RULE)
    breaker.open(0, "x")
    breaker.abandoned(acquired(breaker, 60))

    assert breaker.acquire(60) is not None


def test_all_or_none() -> None:
    """Where one breaker refuses, the trial of another is not used up."""
    breakers = Breakers(RULE)
    breakers["key"].open(0, "x", 10)
    breakers["model"].open(0, "x", 100)

    assert breakers.acquire(("key", "model"), 50) is None
    assert breakers.acquire(("key",), 50) is not None


def test_resting_is_as_long_as_the_upstream_asked() -> None:
    """Also when that is shorter than the cooldown."""
    breaker = Breaker("x", RULE)
    breaker.failed(acquired(breaker, 0), 0, "rate_limited", rest_s=5)

    assert breaker.until == 5


class BreakerLife(RuleBasedStateMachine):
    """Calls begin and end in any order while time goes on."""

    tickets: Bundle[Ticket] = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker("x", RULE)
        self.trials: set[Ticket] = set()

    @rule(seconds=st.floats(0, 400))
    def time_goes_on(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=tickets)
    def begin(self) -> Ticket:
        before = self.breaker.state(self.now)
        ticket = self.breaker.acquire(self.now)
        if before == "closed":
            assert ticket is not None
        if before == "open":
            assert ticket is None
        if before == "half_open" and ticket is not None:
            current = {one for one in self.trials if one.generation == self.breaker.generation}
            assert not current, "two trials at once"
            self.trials.add(ticket)
        return ticket or Ticket(self.breaker, -1)

    @rule(ticket=tickets, end=st.sampled_from(["succeeded", "failed", "resting", "abandoned"]))
    def end(self, ticket: Ticket, end: str) -> None:
        generation, state = self.breaker.generation, self.breaker.state(self.now)
        is_late = ticket.generation != generation
        match end:
            case "succeeded":
                self.breaker.succeeded(ticket, self.now)
            case "failed":
                self.breaker.failed(ticket, self.now, "x")
            case "resting":
                self.breaker.failed(ticket, self.now, "x", rest_s=30)
            case _:
                self.breaker.abandoned(ticket)
        self.trials.discard(ticket)
        if is_late:
            assert (generation, state) == (self.breaker.generation, self.breaker.state(self.now))
        elif end == "resting":
            assert self.breaker.state(self.now) == "open"

    @invariant()
    def a_rest_is_never_longer_than_the_cap(self) -> None:
        assert self.breaker.until - self.breaker.since <= RULE.cooldown_cap_s + 1e-6

    @invariant()
    def closed_means_fewer_failures_than_the_threshold(self) -> None:
        if self.breaker.state(self.now) == "closed":
            assert self.breaker.failures < RULE.failures


TestBreakerLife = BreakerLife.TestCase
TestBreakerLife.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
