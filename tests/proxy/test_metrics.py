"""What Prometheus reads is what was counted, once."""

from __future__ import annotations

from proxy.metrics import Metrics


def test_what_was_added_up_is_told_when_it_is_read() -> None:
    """However often it is read, and also between two readings."""
    metrics = Metrics()
    calls = metrics.call("chat", "balanced", 200)
    calls.inc()
    calls.inc()
    metrics.in_flight.inc()
    metrics.of_upstream("up").cost_usd.inc(0.25)

    first, again = metrics.render().decode(), metrics.render().decode()
    calls.inc()
    metrics.in_flight.dec()
    later = metrics.render().decode()

    told = 'orchestrator_calls_total{endpoint="chat",profile="balanced",status="200"} '
    assert f"{told}2.0" in first
    assert f"{told}2.0" in again
    assert f"{told}3.0" in later
    assert "orchestrator_calls_in_flight 1.0" in first
    assert "orchestrator_calls_in_flight 0.0" in later
    assert 'orchestrator_cost_usd_total{upstream="up"} 0.25' in later
