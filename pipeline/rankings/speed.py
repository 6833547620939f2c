"""Time to the first token, tokens a second, thinking tokens and reliability, for every effort and for every offer.

Pure. Signals in order of trust: own calls, an endpoint's percentiles, a third party's measurements, and what alike
models do. All three quantities are handled as logarithms: errors are ratios.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.rankings import efforts
from pipeline.rankings.configurations import Evidence, Rungs
from pipeline.rankings.regression import Columns, Regression, Term, Vector, linear, same, smooth

WORTH_IN_CALLS = {"inferred": 10.0, "measured": 30.0, "endpoint": 100.0}
"""How many own calls each kind of signal is worth: a few own calls move an estimate a little, hundreds replace it."""

OUTCOME_HALF_LIFE_DAYS = 7.0
"""An own call counts half after this long."""

_ASSUMED_THINKING_TOKENS = 2_000.0
"""Artificial Analysis adds this many tokens' time where it did not measure how long a model thinks."""

_LOCAL_TOKENS_PER_S_PER_B = 400.0
"""A local server reads its weights once a token: about 400 GB/s at a byte a parameter."""

_LOCAL_LATENCY_MS = 500.0


@dataclass(frozen=True)
class Speeds:
    """Estimates in the order of `Rungs.keys`."""

    first_token_ms: Vector
    """Without thinking."""
    tokens_per_s: Vector
    thinking_tokens: Vector
    """Of a medium call."""
    basis: list[str]
    """measured or inferred."""


@dataclass(frozen=True)
class OwnCalls:
    """What the proxy's own calls to an offer at an effort have shown, recent ones counting more."""

    calls: float
    log_first_content_ms: float
    log_tokens_per_s: float | None
    output_calls: float


@dataclass(frozen=True)
class OwnAttempts:
    """How often the proxy's own calls to an offer were answered, whatever the effort, recent ones counting more."""

    answered: float
    failed: float
    failed_ms: float | None
    """Mean time until a failed one had failed."""


@dataclass(frozen=True)
class Reliability:
    """How often a call is answered, and how long one that is not is waited for."""

    answered_share: float
    failed_call_ms: float


ANSWERED_SHARE = 0.99
"""Share of calls that are answered where nothing is known."""

UNLIMITED_SHARE = 0.8
"""Share of calls to a free tier that its limits let through: some 20 a minute and 50 to 1,000 a day. Uptime says
nothing of them, because it leaves rate-limited calls out."""

HOST_STAYS_A_DAY = 0.9945
"""Share of hosts that are a day later what the list says: of those priced as their listing was on 2026-07-22, 17 % had
another price or were gone 31 days later."""

_PHYSICS = ("log_active_size", "log_price", "released")

_TERMS: dict[str, tuple[Term, ...]] = {
    # Prior sizes in units of the logarithm: 0.7 is a factor of two.
    name: (
        Term("vendor", (same("vendor"),), 0.3),
        Term("vendor and date", (same("vendor"), smooth("released", 1.0)), 0.2),
        Term("family", (same("family"),), 0.3),
        Term("model", (same("model"),), 0.3),
        *(Term(column, (smooth(column, 1.0),), 0.3) for column in _PHYSICS),
        Term("effort", (linear("effort"),), by_effort),
        Term("effort curve", (smooth("effort", 0.3),), by_effort / 2),
        Term("effort of the model", (same("model"), smooth("effort", 0.3)), by_effort / 4),
    )
    for name, by_effort in (("first_token_ms", 0.05), ("tokens_per_s", 0.05), ("thinking_tokens", 1.5))
}

_NOISE_SD = {"first_token_ms": 0.35, "tokens_per_s": 0.2, "thinking_tokens": 0.35}

_PRIOR = {"first_token_ms": 900.0, "tokens_per_s": 75.0, "thinking_tokens": 1_200.0}
"""Used alone when nothing at all has been measured."""


def estimate(rungs: Rungs, evidence: Iterable[Evidence]) -> Speeds:
    """Speeds of every row of `rungs`."""
    columns = rungs.select({f.column for terms in _TERMS.values() for t in terms for f in t.factors} | {"thinks"})
    by_record: dict[tuple[str, str | None, str], dict[str, float]] = defaultdict(dict)
    for item in evidence:
        if item.source == "artificial_analysis" and item.model_id in rungs.ladders:
            by_record[item.model_id, item.effort, item.record_id][item.metric] = item.value
    seen: dict[str, list[tuple[int, float]]] = {name: [] for name in _TERMS}
    for (model_id, effort, _), metrics in by_record.items():
        ladder = rungs.ladders[model_id]
        rung = ladder.place(efforts.canonical(effort))
        row = rungs.rows[model_id, rung if rung is not None else ladder.default]
        for name, value in _measured(metrics, thinks=bool(columns["thinks"][row] > 0)).items():
            seen[name].append((row, math.log(value)))
    estimates = {name: np.exp(_regress(name, columns, pairs)) for name, pairs in seen.items()}
    thinks = columns["thinks"] > 0
    measured = {row for row, _ in seen["tokens_per_s"]}
    return Speeds(
        first_token_ms=estimates["first_token_ms"],
        tokens_per_s=estimates["tokens_per_s"],
        thinking_tokens=np.where(thinks, estimates["thinking_tokens"], 0.0),
        basis=["measured" if row in measured else "inferred" for row in range(len(rungs.keys))],
    )


def _measured(metrics: Mapping[str, float], *, thinks: bool) -> dict[str, float]:
    """What one record's figures say, each quantity in its own unit.

    A model whose thinking is hidden sends its first token after it, so its first token tells how long it thought;
    one whose thinking is shown sends it at once, and the first answer token tells.
    """
    tokens_per_s = metrics.get("throughput_tokens_per_s")
    first, answer = metrics.get("latency_first_token_ms"), metrics.get("latency_first_answer_ms")
    found = {}
    if tokens_per_s:
        found["tokens_per_s"] = tokens_per_s
    if not first:
        return found
    shown_thinking_ms = (answer or first) - first
    if not thinks or shown_thinking_ms > 1.0:
        found["first_token_ms"] = first
    if thinks and tokens_per_s:
        thinking_ms = shown_thinking_ms if shown_thinking_ms > 1.0 else first - _PRIOR["first_token_ms"]
        tokens = thinking_ms / 1000 * tokens_per_s
        if tokens > 10 and abs(tokens - _ASSUMED_THINKING_TOKENS) > 20:
            found["thinking_tokens"] = tokens
    return found


def _regress(name: str, columns: Columns, pairs: Sequence[tuple[int, float]]) -> Vector:
    size = len(columns["effort"])
    if len(pairs) < 3:
        return np.full(size, math.log(_PRIOR[name]))
    rows = [row for row, _ in pairs]
    wanted = {f.column for t in _TERMS[name] for f in t.factors}
    used = {column: columns[column] for column in wanted}
    target = np.array([value for _, value in pairs])
    noise = np.full(len(pairs), _NOISE_SD[name] ** 2)
    regression = Regression(_TERMS[name], {c: v[rows] for c, v in used.items()}, target, noise)
    return regression.predict(used).mean


def reliability(
    first_token_ms: float,
    *,
    let_through: float,
    uptime_percent: float | None,
    uptime_worth: float,
    own: OwnAttempts | None,
) -> Reliability:
    """The mean of what is assumed, an endpoint's uptime and own calls, each by what it is worth in calls (beta prior).

    `let_through` is the share of calls that reach the host at all, of which uptime tells nothing. `uptime_worth` is
    what the uptime is worth: `WORTH_IN_CALLS["endpoint"]`, less for an old one. Null uptime is unknown.
    """
    assumed = WORTH_IN_CALLS["inferred"]
    answered, calls = assumed * ANSWERED_SHARE * let_through, assumed
    failed_ms, failures = assumed * first_token_ms, assumed
    if uptime_percent is not None:
        answered += uptime_worth * min(uptime_percent, 100.0) / 100 * let_through
        calls += uptime_worth
    if own is not None:
        answered += own.answered
        calls += own.answered + own.failed
        if own.failed_ms is not None:
            failed_ms += own.failed * own.failed_ms
            failures += own.failed
    return Reliability(answered / calls, failed_ms / failures)


def local_speed(active_size_b: float | None) -> tuple[float, float]:
    """Latency in ms and tokens a second to expect of a server of one's own before it has been called."""
    return _LOCAL_LATENCY_MS, min(max(_LOCAL_TOKENS_PER_S_PER_B / (active_size_b or 14.0), 3.0), 150.0)


def combine(signals: Sequence[tuple[float, float]]) -> float:
    """The mean of (value, worth in calls) pairs as a ratio scale sees it: normal with known variance, in logarithms.

    >>> round(combine([(100.0, 10.0), (400.0, 10.0)]), 6)
    200.0
    """
    worth = sum(weight for _, weight in signals)
    return math.exp(sum(weight * math.log(value) for value, weight in signals) / worth)
