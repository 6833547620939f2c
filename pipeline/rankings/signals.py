"""The trail from a score back to source rows: which values of which records stand behind each estimate.

Pure. Each row says what one record's metric alone would put the signal at; the estimates combine them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.rankings import efforts
from pipeline.rankings.calls import CallableOffer, Configured, asked_for
from pipeline.rankings.configurations import ACCURACIES, ARENA_SCOPE, Evidence, Rungs, log_odds
from pipeline.rankings.speed import ANSWERED_SHARE, OwnAttempts, OwnCalls
from pipeline.rankings.typical_calls import MEDIUM
from warehouse.published import TABLE_OF, Signal

_TYPES: dict[str, pl.DataType] = {"VARCHAR": pl.String(), "DOUBLE": pl.Float64(), "TIMESTAMP": pl.Datetime("us")}

SCHEMA: dict[str, pl.DataType] = {column.name: _TYPES[column.sql_type] for column in TABLE_OF[Signal].columns}

_ENOUGH_PAIRS = 10


@dataclass(frozen=True)
class Listing:
    """Where an offer's facts come from: source and record of the listing, of its prices and of its window, and when."""

    record: tuple[str, str]
    observed_at: object
    priced_by: tuple[str, str]
    priced_at: object
    sized_by: tuple[str, str]
    sized_at: object


_SPEED_METRICS = {
    "latency_first_token_ms": ("latency", "ms"),
    "latency_first_answer_ms": ("latency", "ms"),
    "throughput_tokens_per_s": ("throughput", "tokens_per_s"),
}


def build(
    rungs: Rungs,
    evidence: Sequence[Evidence],
    quality_metrics: frozenset[str],
    offers: Iterable[CallableOffer],
    listings: Mapping[str, Listing],
    configurations: Mapping[str, Sequence[Configured]],
    own_calls: Mapping[tuple[str, str | None], OwnCalls],
    own_calls_at: Mapping[tuple[str, str | None], object],
    own_attempts: Mapping[str, OwnAttempts],
    own_attempts_at: Mapping[str, object],
) -> pl.DataFrame:
    """Rows of `published.signals`.

    `quality_metrics` are the columns that quality is estimated from; `listings` gives each offer's records and
    time of observation.
    """
    rows: list[tuple[object, ...]] = []
    lines = _calibrations(rungs, evidence, quality_metrics)
    has: dict[str, set[str]] = defaultdict(set)
    for item in evidence:
        ladder = rungs.ladders.get(item.model_id)
        if ladder is None:
            continue
        effort = ladder.place(efforts.canonical(item.effort))
        if item.metric == "rating" and item.scope == ARENA_SCOPE:
            signal, unit, basis, value = "quality", "arena_rating", "rated", item.value
        elif item.column in lines:
            slope, intercept = lines[item.column]
            value = slope * _transformed(item.column, item.value) + intercept
            signal, unit, basis = "quality", "arena_rating", "measured"
        elif item.metric in _SPEED_METRICS and item.source == "artificial_analysis":
            signal, unit = _SPEED_METRICS[item.metric]
            basis, value = "measured", item.value
        else:
            continue
        has[item.model_id].add(signal)
        metric = f"{item.metric}@{item.scope}" if item.scope else item.metric
        source = (item.source, item.record_id, metric, item.value, item.observed_at)
        rows.append((item.model_id, None, effort, signal, value, unit, basis, *source))
    for offer in offers:
        listing = listings[offer.offer_id]
        record, observed_at, priced_by = listing.record, listing.observed_at, listing.priced_by
        base = (offer.model_id, offer.offer_id)
        for effort, configured in asked_for(offer, configurations.get(offer.model_id, ())):
            thinking = configured.thinking_tokens * MEDIUM.thinking
            rows.extend(
                (*base, effort, "cost", value, "usd_per_call", "listed", *priced_by, metric, price, listing.priced_at)
                for metric, price, value in _costs(offer, thinking)
            )
            rows.extend(
                (*base, effort, signal, estimate, unit, "inferred", *record, "listing", None, observed_at)
                for signal, estimate, unit in (
                    ("quality", configured.quality, "arena_rating"),
                    ("latency", configured.first_token_ms, "ms"),
                    ("throughput", configured.tokens_per_s, "tokens_per_s"),
                )
                if estimate is not None and signal not in has[offer.model_id]
            )
            if (own := own_calls.get((offer.offer_id, effort))) is not None:
                seen_ms = float(np.exp(own.log_first_content_ms))
                own_record = ("outcomes", offer.offer_id, "first_content_ms")
                at = own_calls_at[offer.offer_id, effort]
                rows.append((*base, effort, "latency", seen_ms, "ms", "outcomes", *own_record, seen_ms, at))
        if offer.context_tokens is not None:
            tokens = float(offer.context_tokens)
            stated = (*listing.sized_by, "context_tokens", tokens, listing.sized_at)
            rows.append((*base, None, "context", tokens, "tokens", "listed", *stated))
        for signal, listed, metric, unit in (
            ("latency", offer.latency_ms, "latency_p50_ms", "ms"),
            ("throughput", offer.throughput_tokens_per_s, "throughput_p50_tokens_per_s", "tokens_per_s"),
        ):
            if listed is not None:
                rows.append((*base, None, signal, listed, unit, "endpoint", *record, metric, listed, observed_at))
        rows.extend(
            (*base, None, "reliability", share, "share", basis, *told)
            for share, basis, *told in _reliabilities(offer, record, observed_at, own_attempts, own_attempts_at)
        )
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _reliabilities(
    offer: CallableOffer,
    record: tuple[str, str],
    observed_at: object,
    own_attempts: Mapping[str, OwnAttempts],
    own_attempts_at: Mapping[str, object],
) -> Iterator[tuple[object, ...]]:
    """Share of calls answered, basis, source, record, metric, its value and time: what is assumed, listed and seen."""
    yield ANSWERED_SHARE * offer.let_through, "inferred", *record, "listing", None, observed_at
    if offer.uptime_percent is not None:
        share = min(offer.uptime_percent, 100.0) / 100 * offer.let_through
        yield share, "endpoint", *record, "uptime_percent", offer.uptime_percent, observed_at
    if (own := own_attempts.get(offer.offer_id)) is not None:
        share = own.answered / (own.answered + own.failed)
        yield share, "outcomes", "outcomes", offer.offer_id, "answered_share", share, own_attempts_at[offer.offer_id]


def _costs(offer: CallableOffer, thinking_tokens: float) -> list[tuple[str, float | None, float]]:
    """Metric, its value, and its share of a medium call's cost. The shares add up to the cost in the ranking."""
    price_in, price_out = offer.prices_for(MEDIUM.prompt_tokens)
    if offer.is_local:
        return [("is_local", 1.0, 0.0)]
    if price_in is None or price_out is None:
        return []
    costs: list[tuple[str, float | None, float]] = [
        ("price_in_usd_per_mtok", price_in, MEDIUM.prompt_tokens * price_in / 1e6)
    ]
    if offer.price_reasoning_usd_per_mtok is None:
        costs.append(("price_out_usd_per_mtok", price_out, (MEDIUM.answer_tokens + thinking_tokens) * price_out / 1e6))
    else:
        price_thinking = offer.price_reasoning_usd_per_mtok
        costs.append(("price_out_usd_per_mtok", price_out, MEDIUM.answer_tokens * price_out / 1e6))
        costs.append(("price_reasoning_usd_per_mtok", price_thinking, thinking_tokens * price_thinking / 1e6))
    if offer.price_request_usd:
        costs.append(("price_request_usd", offer.price_request_usd, offer.price_request_usd))
    return costs


def _transformed(column: str, value: float) -> float:
    """A metric on the scale that ratings are straight lines of."""
    if column in ACCURACIES:
        return float(log_odds(np.array([value]))[0])
    return float(np.log(max(value, 1.0))) if column == "intelligence_index" else value


def _calibrations(
    rungs: Rungs, evidence: Iterable[Evidence], metrics: frozenset[str]
) -> dict[str, tuple[float, float]]:
    """Slope and intercept of the Arena rating on each metric, over the configurations that have both."""
    rated: dict[tuple[str, str | None], list[float]] = defaultdict(list)
    for rating in rungs.ratings:
        rated[rating.model_id, rating.effort].append(rating.value)
    pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for item in evidence:
        ladder = rungs.ladders.get(item.model_id)
        if ladder is None or item.column not in metrics:
            continue
        effort = ladder.place(efforts.canonical(item.effort))
        for value in rated.get((item.model_id, effort), rated.get((item.model_id, None), [])):
            pairs[item.column].append((_transformed(item.column, item.value), value))
    lines = {}
    for column, found in pairs.items():
        x, y = np.array(found).T
        if len(found) >= _ENOUGH_PAIRS and x.std() > 0:
            slope, intercept = np.polyfit(x, y, 1)
            lines[column] = (float(slope), float(intercept))
    return lines
