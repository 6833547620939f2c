"""Turns estimates into scores and scores into ranks. Pure: frames in, frames out.

Every part of a score lies in 0..1, on a scale that does not depend on which other offers there are, so a score moves
only when its own inputs do. The formulas are explained in docs/formulas.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipeline.rankings.profile import CHEAPEST_USD, DEAREST_USD, FASTEST_S, SLOWEST_S, WEIGHTS, Profile
from pipeline.rankings.typical_calls import TypicalCall

LEAST_SUCCESS = 0.02
"""Chances below this count as this: nobody asks more than fifty times."""

SMALLEST_TOKENS, LARGEST_TOKENS = 8_192, 1_048_576
"""Windows at which the context part is 0 and 1."""

MISSING_QUANTILE = 0.9
"""What is not known counts as worse than this share of what is known: neither best nor zero."""


def candidates(calls: pl.DataFrame, call: TypicalCall) -> pl.DataFrame:
    """Adds expected time and cost of one typical call to each (offer, effort).

    In: the columns of `calls.SCHEMA`. Out: `latency_ms` and `cost_in_usd_per_call` of an answered call, and
    `lost_ms` and `lost_usd` of the unanswered ones that come before it on average; null where an input is.
    """
    thinking = pl.col("thinking_tokens") * call.thinking
    price_in, price_out = _price("price_in_usd_per_mtok", call), _price("price_out_usd_per_mtok", call)
    price_thinking = pl.coalesce(pl.col("price_reasoning_usd_per_mtok"), price_out)
    # Of n calls that are made until one is answered, n - 1 are not: 1 / reliability - 1 on average. Each is waited for
    # until it fails, and hosts that bill what they have read before they fail are not rare enough to call it free.
    failures = 1.0 / pl.col("reliability").clip(LEAST_SUCCESS, 1.0) - 1.0
    return calls.with_columns(
        lost_ms=failures * pl.col("failed_call_ms"),
        lost_usd=failures * call.prompt_tokens * price_in / 1e6,
        latency_ms=(pl.col("latency_first_token_ms") + thinking / pl.col("throughput_tokens_per_s") * 1000)
        * pl.col("first_content_ratio")
        + call.answer_tokens / pl.col("throughput_tokens_per_s") * 1000,
        cost_in_usd_per_call=(
            call.prompt_tokens * price_in + call.answer_tokens * price_out + thinking * price_thinking
        )
        / 1e6
        + pl.col("price_request_usd").fill_null(0.0),
    )


def _price(column: str, call: TypicalCall) -> pl.Expr:
    """The price in force at the call's prompt length: that of the last tier it reaches, where the tier names it."""
    reached = pl.element().struct.field("min_prompt_tokens") <= call.prompt_tokens
    tier = pl.col("price_tiers").list.eval(pl.element().filter(reached)).list.last()
    return pl.coalesce(tier.struct.field(column), pl.col(column))


def rank(calls: pl.DataFrame, profiles: Sequence[Profile], call: TypicalCall) -> pl.DataFrame:
    """One row per profile and (offer, effort), best first, for one typical call.

    `calls` is what `candidates` returns: one row per candidate, null where unknown. Equal scores are
    ordered by offer and effort.
    """
    if calls.is_empty() or not profiles:
        return pl.DataFrame()
    ranked = []
    for profile in profiles:
        scored = (
            calls.with_columns(quality_score=_success(profile.caution, call))
            .with_columns(
                # A wrong answer is waited and paid for, and asked for again: 1 / P answers on average.
                latency_score=_falling(
                    (pl.col("latency_ms") + pl.col("lost_ms")) / _likely(),
                    _enough(profile.soon_enough_s, FASTEST_S, call) * 1000,
                    SLOWEST_S * 1000,
                ),
                cost_score=_falling(
                    (pl.col("cost_in_usd_per_call") + pl.col("lost_usd") + (1.0 - _likely()) * profile.wrong_answer_usd)
                    / _likely(),
                    _enough(profile.cheap_enough_usd, CHEAPEST_USD, call),
                    DEAREST_USD,
                ),
                context_score=_rising("context_tokens", SMALLEST_TOKENS, LARGEST_TOKENS),
            )
            .with_columns(
                pl.col(f"{part}_score").fill_null(_pessimistic(f"{part}_score")).clip(0.0, 1.0) for part in WEIGHTS
            )
        )
        score = pl.sum_horizontal(pl.col(f"{part}_score") * weight for part, weight in profile.weights.items())
        ranked.append(
            scored.with_columns(score=score, profile=pl.lit(profile.name), difficulty_band=pl.lit(call.band))
            .sort(["score", "offer_id", "effort"], descending=[True, False, False], nulls_last=True)
            .with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
        )
    return pl.concat(ranked)


def _success(caution: float, call: TypicalCall) -> pl.Expr:
    """Chance of success of a cautious estimate: a two-parameter item-response model, in rating points."""
    cautious = pl.col(call.ability) - caution * pl.col("quality_sd").fill_null(0.0)
    return 1.0 / (1.0 + ((call.difficulty - cautious) / call.points_per_logit).exp())


def _enough(of_a_medium_call: float, least: float, call: TypicalCall) -> float:
    """What is soon or cheap enough for this call: as much more than the least as such prompts are thought about."""
    return least + (of_a_medium_call - least) * call.thinking


def _likely() -> pl.Expr:
    return pl.col("quality_score").fill_null(_pessimistic("quality_score")).clip(LEAST_SUCCESS, 1.0)


def _falling(value: pl.Expr, best: float, worst: float) -> pl.Expr:
    """1 at `best` and less, 0 at `worst` and more, even steps for equal ratios between."""
    ratio = pl.lit(worst / best).log()
    return (1.0 - (value.clip(best, worst) / best).log() / ratio).clip(0.0, 1.0)


def _rising(column: str, worst: float, best: float) -> pl.Expr:
    ratio = pl.lit(best / worst).log()
    return ((pl.col(column).cast(pl.Float64).clip(worst, best) / worst).log() / ratio).clip(0.0, 1.0)


def _pessimistic(column: str) -> pl.Expr:
    return pl.col(column).quantile(1.0 - MISSING_QUANTILE, interpolation="linear").fill_null(0.0)
