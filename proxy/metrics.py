"""Counters and histograms for Prometheus, every label bounded by configuration or publication, never by a client.

What is counted belongs here; when, does not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.02, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600)


POLICIES = (
    "budget_refused",
    "limit_refused",
    "answered_for_habit",
    "session_stayed",
    "session_moved",
    "answered_from_cache",
    "second_asked",
    "shadow_asked",
)
"""What a policy can do to a call."""


class Tally:
    """Adds up in a plain number what a counter is told once a second, or when it is read: a dozen counters are moved by
    every call, and each lock of theirs costs more than the sum. For the event loop's thread only."""

    __slots__ = ("_counter", "_pending")

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._pending = 0.0

    def inc(self, amount: float = 1.0) -> None:
        """Count."""
        self._pending += amount

    def flush(self) -> None:
        """Tell the counter."""
        if self._pending:
            pending, self._pending = self._pending, 0.0
            self._counter.inc(pending)


class Level:
    """Likewise for a gauge that goes up and down."""

    __slots__ = ("_gauge", "value")

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self.value = 0

    def inc(self) -> None:
        """One more."""
        self.value += 1

    def dec(self) -> None:
        """One less."""
        self.value -= 1

    def flush(self) -> None:
        """Tell the gauge."""
        self._gauge.set(self.value)


class OfUpstream(NamedTuple):
    """An upstream's own counters: looking them up by label costs more than counting."""

    first_content_seconds: Histogram
    tokens_in: Tally
    tokens_out: Tally
    cost_usd: Tally


class Metrics:
    """All metrics of one app. `profile` is 'named' where the caller named the model."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        at = self._registry
        self._tallies: list[Tally] = []
        self._calls = Counter(
            "orchestrator_calls",
            "Calls by endpoint, profile and HTTP status",
            ("endpoint", "profile", "status"),
            registry=at,
        )
        self.call_seconds = Histogram(
            "orchestrator_call_seconds", "Whole calls", ("endpoint",), buckets=_SECONDS, registry=at
        )
        self._of_attempts = Counter(
            "orchestrator_attempts",
            "Attempts by upstream, model and outcome",
            ("upstream", "model", "outcome"),
            registry=at,
        )
        self.first_content_seconds = Histogram(
            "orchestrator_first_content_seconds",
            "Attempt to first content",
            ("upstream",),
            buckets=_SECONDS,
            registry=at,
        )
        self.tokens = Counter("orchestrator_tokens", "Tokens as reported", ("upstream", "direction"), registry=at)
        self.cost_usd = Counter("orchestrator_cost_usd", "Cost, reported or computed", ("upstream",), registry=at)
        self.failovers = Counter(
            "orchestrator_failovers", "Attempts at another candidate after one failed", ("endpoint",), registry=at
        )
        self.routed_cost_usd = self._tally(
            Counter("orchestrator_routed_cost_usd", "Cost of the routed calls whose yardstick is known", registry=at)
        )
        self.yardstick_cost_usd = self._tally(
            Counter(
                "orchestrator_yardstick_cost_usd",
                "What their tokens would have cost at the one model one would settle on (savings.py)",
                registry=at,
            )
        )
        self.bad_events = Counter(
            "orchestrator_bad_events", "Events left out of streams: no JSON", ("upstream",), registry=at
        )
        policies = Counter(
            "orchestrator_policies",
            "Calls that a policy changed, by what it did: " + ", ".join(POLICIES),
            ("did",),
            registry=at,
        )
        self.policies = {did: policies.labels(did) for did in POLICIES}
        self.in_flight = Level(
            Gauge("orchestrator_calls_in_flight", "Calls running", multiprocess_mode="livesum", registry=at)
        )
        self.open_breakers = Gauge(
            "orchestrator_open_breakers", "Breakers open or half-open", multiprocess_mode="max", registry=at
        )
        self.snapshot_age_seconds = Gauge(
            "orchestrator_snapshot_age_seconds", "Since the publication was built", multiprocess_mode="max", registry=at
        )
        self.outcomes_dropped = Gauge(
            "orchestrator_outcomes_dropped",
            "Outcome records lost to a full buffer",
            multiprocess_mode="livesum",
            registry=at,
        )

        self._attempts: dict[tuple[str, str, str], Tally] = {}
        self._of_upstream: dict[str, OfUpstream] = {}

    def _tally(self, counter: Counter) -> Tally:
        tally = Tally(counter)
        self._tallies.append(tally)
        return tally

    def call(self, endpoint: str, profile: str, status: int) -> Tally:
        """The counter of such calls."""
        return self._tally(self._calls.labels(endpoint, profile, str(status)))

    def attempt(self, upstream: str, model_id: str, outcome: str) -> Tally:
        """The counter of such attempts."""
        found = self._attempts.get((upstream, model_id, outcome))
        if found is None:
            counter = self._of_attempts.labels(upstream, model_id, outcome)
            found = self._attempts[upstream, model_id, outcome] = self._tally(counter)
        return found

    def of_upstream(self, upstream: str) -> OfUpstream:
        """What is counted for each upstream."""
        found = self._of_upstream.get(upstream)
        if found is None:
            found = self._of_upstream[upstream] = OfUpstream(
                self.first_content_seconds.labels(upstream),
                self._tally(self.tokens.labels(upstream, "in")),
                self._tally(self.tokens.labels(upstream, "out")),
                self._tally(self.cost_usd.labels(upstream)),
            )
        return found

    def render(self) -> bytes:
        """The text Prometheus reads: of all workers when there are several."""
        return generate_latest(self._of_all_workers())

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """Name, labels and value of everything counted, of all workers when there are several."""
        for metric in self._of_all_workers().collect():
            for sample in metric.samples:
                yield sample.name, sample.labels, sample.value

    def flush(self) -> None:
        """Tell the counters what was added up, so that other workers can read it too."""
        for tally in self._tallies:
            tally.flush()
        self.in_flight.flush()

    def _of_all_workers(self) -> CollectorRegistry:
        self.flush()
        if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            return self._registry
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return registry
