"""Replays the recorded history against a profile: what would have been chosen, at what cost, and with what regret.

Pure. On each day only what was published by then is used: the ratings, benchmarks and speeds of that day, the listings
and their prices. How good a choice turned out to be is what is known of it at the end. Which record is which model is
taken from today's linkage, and the kernel's few dozen sizes were learnt from all ratings: neither tells who is better.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, NamedTuple

import polars as pl

from pipeline.rankings import estimates
from pipeline.rankings.calls import CallableOffer, Configured
from pipeline.rankings.configurations import ARENA_SCOPE, Evidence, ModelFacts
from pipeline.rankings.profile import Profile
from pipeline.rankings.regression import Term
from pipeline.rankings.speed import OwnAttempts, OwnCalls
from pipeline.rankings.typical_calls import MEDIUM

PROFILE, TOP_RATED, CHEAPEST, FIRST, HINDSIGHT = "profile", "top_rated", "cheapest_above_floor", "first", "hindsight"

STRATEGIES: Mapping[str, str] = {
    PROFILE: "the profile's first rank on that day",
    TOP_RATED: "the best rated of those offered on that day",
    CHEAPEST: "the cheapest whose cautious quality is above the floor",
    FIRST: "the profile's first choice of the first day, for as long as it is offered",
    HINDSIGHT: "the profile's first rank, had it known what is known at the end",
}

Row = dict[str, Any]
"""A ranked candidate, as `estimates.rank` gives it."""


@dataclass(frozen=True)
class Series:
    """Values of one metric in order of time. Each stands from its time until the next."""

    times: list[dt.datetime] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def at(self, when: dt.datetime) -> float | None:
        """The value that stood at `when`; None before the first."""
        place = bisect_right(self.times, when)
        return self.values[place - 1] if place else None


@dataclass(frozen=True)
class Listing:
    """One id of the marketplace through time, and what is known of it as an offer."""

    offer: CallableOffer
    """Its prices and window are those of no particular day."""
    metrics: Mapping[str, Series]

    def on(self, when: dt.datetime) -> CallableOffer | None:
        """The offer as it stood at `when`; None when it was not listed, or had no price."""
        seen = self.metrics.get("price_out_usd_per_mtok")
        # Seen at some hour of a day is listed on that day.
        if seen is None or not seen.times or not seen.times[0] <= when or when.date() > seen.times[-1].date():
            return None
        return self._priced(when)

    def last(self) -> CallableOffer | None:
        """The offer as it was last seen."""
        seen = self.metrics.get("price_out_usd_per_mtok")
        return self._priced(seen.times[-1]) if seen is not None and seen.times else None

    def _priced(self, when: dt.datetime) -> CallableOffer | None:
        price_in, price_out, price_reasoning, context = (
            series.at(when) if (series := self.metrics.get(name)) else None
            for name in (
                "price_in_usd_per_mtok",
                "price_out_usd_per_mtok",
                "price_reasoning_usd_per_mtok",
                "context_tokens",
            )
        )
        if price_in is None or price_out is None:
            return None
        return replace(
            self.offer,
            is_free=price_in == 0 and price_out == 0,
            price_in_usd_per_mtok=price_in,
            price_out_usd_per_mtok=price_out,
            price_reasoning_usd_per_mtok=price_reasoning,
            context_tokens=None if context is None else int(context),
        )


OwnHistory = Callable[[dt.datetime], tuple[Mapping[tuple[str, str | None], OwnCalls], Mapping[str, OwnAttempts]]]
"""What own calls had shown by a time."""


@dataclass(frozen=True)
class History:
    """Everything a replay reads."""

    models: Sequence[ModelFacts]
    evidence: Sequence[Evidence]
    """Of every time; of one metric of one record, in order of time."""
    listings: Sequence[Listing]
    own: OwnHistory = lambda when: ({}, {})


class Choice(NamedTuple):
    """What one strategy would have called on one day: a medium call."""

    day: dt.date
    strategy: str
    """Of `STRATEGIES`."""
    offer_id: str
    effort: str | None
    quality: float | None
    """As estimated on that day."""
    quality_sd: float | None
    latency_ms: float | None
    """As expected on that day."""
    cost_in_usd_per_call: float | None
    """As expected on that day."""
    final_quality: float | None
    """As estimated at the end."""
    final_latency_ms: float | None
    final_cost_in_usd_per_call: float | None
    """At the prices of that day, with the thinking that is known of at the end."""
    score: float | None
    """The profile's, from what is known at the end and the prices of that day."""
    regret: float | None
    """How much lower that is than the best of that day."""
    offers: int
    """Offers at efforts that could be chosen from."""


_ENOUGH_TO_LEVEL = 20
"""Names in common below which two publications cannot be laid on one another."""


def levelled(evidence: Sequence[Evidence]) -> list[Evidence]:
    """Evidence with the ratings of every publication moved to the level of those before it.

    Pages with and without style control differ by some fifteen points for the same models. Each publication is moved by
    the median difference from what stood, over the names it has in common with that: no later one is looked at.
    """
    publications: dict[dt.datetime, list[int]] = defaultdict(list)
    for place, item in enumerate(evidence):
        if item.metric == "rating" and item.scope == ARENA_SCOPE:
            publications[item.observed_at].append(place)
    found = list(evidence)
    standing: dict[str, float] = {}
    for _, places in sorted(publications.items()):
        moves = [
            evidence[p].value - standing[evidence[p].record_id] for p in places if evidence[p].record_id in standing
        ]
        by = median(moves) if len(moves) >= _ENOUGH_TO_LEVEL else 0.0
        for place in places:
            found[place] = replace(evidence[place], value=evidence[place].value - by)
            standing[found[place].record_id] = found[place].value
    return found


def known_by(evidence: Iterable[Evidence], when: dt.datetime) -> list[Evidence]:
    """The newest of each metric of each record at or before `when`."""
    newest: dict[tuple[str, str, str, str], Evidence] = {}
    for item in evidence:
        if item.observed_at <= when:
            newest[item.source, item.record_id, item.metric, item.scope] = item
    return list(newest.values())


def as_known(
    history: History, terms: Sequence[Term], when: dt.datetime, *, gone_too: bool = False
) -> dict[str, list[Configured]]:
    """Estimates by model from what was published by `when`; with `gone_too` of those no longer offered as well.

    Raises `ValueError` when no rating had been.
    """
    evidence = known_by(history.evidence, when)
    stood = [listing.on(when) or (listing.last() if gone_too else None) for listing in history.listings]
    offers = [offer for offer in stood if offer is not None]
    evidence += [
        Evidence(offer.model_id, None, metric, "", value, None, 1.0, "openrouter", offer.offer_id, when)
        for offer in offers
        if not offer.is_free
        for metric, value in (
            ("price_in_usd_per_mtok", offer.price_in_usd_per_mtok),
            ("price_out_usd_per_mtok", offer.price_out_usd_per_mtok),
        )
        if value is not None
    ]
    present = {item.model_id for item in evidence}
    _, frame = estimates.configure([m for m in history.models if m.model_id in present], evidence, terms)
    return _configured(frame)


def _configured(frame: pl.DataFrame) -> dict[str, list[Configured]]:
    found: dict[str, list[Configured]] = defaultdict(list)
    for row in frame.sort("model_id", "effort_position", "effort").iter_rows(named=True):
        found[row["model_id"]].append(
            Configured(
                row["effort"],
                row["is_default"],
                row["quality"],
                row["quality_when_hard"],
                row["quality_sd"],
                row["quality_basis"],
                row["latency_first_token_ms"],
                row["throughput_tokens_per_s"],
                row["thinking_tokens"],
                row["latency_basis"],
            )
        )
    return dict(found)


def replay(
    history: History,
    profile: Profile,
    terms: Sequence[Term],
    days: Sequence[dt.date],
    *,
    floor: float,
    allow_data_collection: bool = False,
    progress: Callable[[dt.date, int], None] = lambda day, done: None,
) -> list[Choice]:
    """What every strategy would have chosen on each of `days`, in order; a day without any offer is left out.

    `floor` is the least cautious quality of `CHEAPEST`, in rating points.
    """
    newest = max((item.observed_at for item in history.evidence), default=dt.datetime.min)
    final = as_known(history, terms, max(newest, _end(days[-1])), gone_too=True)
    found: list[Choice] = []
    first: tuple[str, str | None] | None = None
    for done, day in enumerate(days, 1):
        progress(day, done)
        when = _end(day)
        offers = [offer for listing in history.listings if (offer := listing.on(when)) is not None]
        own_calls, own_attempts = history.own(when)

        def ranked(configured: Mapping[str, Sequence[Configured]], offers: list[CallableOffer] = offers,
                   own_calls: Mapping[tuple[str, str | None], OwnCalls] = own_calls,
                   own_attempts: Mapping[str, OwnAttempts] = own_attempts) -> list[Row]:  # fmt: skip
            frame = estimates.rank(
                offers,
                configured,
                own_calls,
                own_attempts,
                [profile],
                allow_data_collection=allow_data_collection,
                calls_of=[MEDIUM],
            )
            return [] if frame.is_empty() else frame.rows(named=True)

        then, in_the_end = ranked(as_known(history, terms, when)), ranked(final)
        if not then or not in_the_end:
            continue
        by_key = {(row["offer_id"], row["effort"]): row for row in then}
        if first not in by_key:
            first = (then[0]["offer_id"], then[0]["effort"])
        chosen: dict[str, Row | None] = {
            PROFILE: then[0],
            TOP_RATED: _best(then, lambda row: (row["quality_basis"] == "rated", row["quality"])),
            CHEAPEST: _best(
                [row for row in then if _cautious(row, profile) >= floor and row["cost_in_usd_per_call"] is not None],
                lambda row: (-row["cost_in_usd_per_call"], row["score"]),
            ),
            FIRST: by_key[first],
            HINDSIGHT: in_the_end[0],
        }
        truth = {(row["offer_id"], row["effort"]): row for row in in_the_end}
        for strategy, row in chosen.items():
            if row is not None:
                found.append(_choice(day, strategy, row, truth, in_the_end[0]["score"], len(then)))
    return found


def _end(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(23, 59, 59))


def _best(rows: Sequence[Row], key: Callable[[Row], tuple[object, ...]]) -> Row | None:
    """The first of the highest, in the order of the ranking."""
    return max(rows, key=key, default=None)


def _cautious(row: Row, profile: Profile) -> float:
    return -1e9 if row["quality"] is None else float(row["quality"] - profile.caution * (row["quality_sd"] or 0.0))


def _choice(
    day: dt.date,
    strategy: str,
    row: Row,
    truth: Mapping[tuple[str, str | None], Row],
    best_score: float,
    offers: int,
) -> Choice:
    turned_out = truth.get((row["offer_id"], row["effort"]))
    score = None if turned_out is None else float(turned_out["score"])
    return Choice(
        day,
        strategy,
        row["offer_id"],
        row["effort"],
        row["quality"],
        row["quality_sd"],
        row["latency_ms"],
        row["cost_in_usd_per_call"],
        turned_out["quality"] if turned_out else None,
        turned_out["latency_ms"] if turned_out else None,
        turned_out["cost_in_usd_per_call"] if turned_out else None,
        score,
        None if score is None else best_score - score,
        offers,
    )


class Summary(NamedTuple):
    """How one strategy did over all days: means over days, of what is known at the end."""

    strategy: str
    days: int
    choices: int
    """How many different ones it made."""
    quality: float
    latency_ms: float
    cost_in_usd_per_call: float
    score: float
    regret: float
    worst_regret: float


def summarise(choices: Sequence[Choice]) -> list[Summary]:
    """One row per strategy, in the order of `STRATEGIES`. Days without a price or a score are left out of its means."""
    found = []
    for strategy in STRATEGIES:
        rows = [c for c in choices if c.strategy == strategy and c.regret is not None]
        if rows:
            found.append(
                Summary(
                    strategy,
                    len(rows),
                    len({(c.offer_id, c.effort) for c in rows}),
                    _mean(c.final_quality for c in rows),
                    _mean(c.final_latency_ms for c in rows),
                    _mean(c.final_cost_in_usd_per_call for c in rows),
                    _mean(c.score for c in rows),
                    _mean(c.regret for c in rows),
                    max(c.regret or 0.0 for c in rows),
                )
            )
    return found


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("nan")
