"""Puts the parts together: evidence to estimates, estimates to rankings. Pure: rows in, frames out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from pipeline.rankings import calls, configurations, kinds, quality, scoring, speed
from pipeline.rankings.calls import CallableOffer, Configured
from pipeline.rankings.configurations import Evidence, ModelFacts, Rungs
from pipeline.rankings.kinds import InCategory
from pipeline.rankings.profile import Profile
from pipeline.rankings.regression import Term
from pipeline.rankings.speed import OwnAttempts, OwnCalls
from pipeline.rankings.typical_calls import MEDIUM, TYPICAL_CALLS, TypicalCall


def configure(
    models: Sequence[ModelFacts], evidence: Sequence[Evidence], trained: Sequence[Term]
) -> tuple[Rungs, pl.DataFrame]:
    """Every model at every effort with its estimates: `published.configurations` and what scoring needs besides."""
    rungs = configurations.build(models, evidence)
    qualities = quality.estimate(rungs, trained)
    speeds = speed.estimate(rungs, evidence)
    ladders = [rungs.ladders[model_id] for model_id, _ in rungs.keys]
    thinking_ms = speeds.thinking_tokens / speeds.tokens_per_s * 1000
    frame = pl.DataFrame(
        {
            "model_id": [model_id for model_id, _ in rungs.keys],
            "effort": [effort for _, effort in rungs.keys],
            "is_default": [ladder.default == effort for ladder, (_, effort) in zip(ladders, rungs.keys, strict=True)],
            "quality": qualities.estimate.mean,
            "quality_when_hard": qualities.when_hard,
            "quality_sd": qualities.estimate.sd,
            "quality_basis": qualities.basis,
            "output_tokens": MEDIUM.answer_tokens + speeds.thinking_tokens,
            "latency_ms": speeds.first_token_ms + thinking_ms,
            "throughput_tokens_per_s": speeds.tokens_per_s,
            "latency_basis": speeds.basis,
            "latency_first_token_ms": speeds.first_token_ms,
            "thinking_tokens": speeds.thinking_tokens,
            "effort_position": rungs.columns["effort"],
        }
    )
    return rungs, frame


def rank(
    offers: Sequence[CallableOffer],
    configured: Mapping[str, Sequence[Configured]],
    own_calls: Mapping[tuple[str, str | None], OwnCalls],
    own_attempts: Mapping[str, OwnAttempts],
    profiles: Sequence[Profile],
    *,
    allow_data_collection: bool,
    calls_of: Sequence[TypicalCall] = TYPICAL_CALLS,
) -> pl.DataFrame:
    """`published.band_rankings` with the columns of `published.rankings` besides, for every band of `calls_of`."""
    ranked = calls.build(offers, configured, own_calls, own_attempts, allow_data_collection=allow_data_collection)
    frames = [scoring.rank(scoring.candidates(ranked, call), profiles, call) for call in calls_of]
    return pl.concat([frame for frame in frames if not frame.is_empty()]) if not ranked.is_empty() else pl.DataFrame()


def rank_in_categories(
    offers: Sequence[CallableOffer],
    configured: Mapping[str, Sequence[Configured]],
    qualities: Mapping[str, Mapping[tuple[str, str], InCategory]],
    own_calls: Mapping[tuple[str, str | None], OwnCalls],
    own_attempts: Mapping[str, OwnAttempts],
    profiles: Sequence[Profile],
    *,
    allow_data_collection: bool,
) -> pl.DataFrame:
    """`published.category_rankings`: every kind of task that `qualities` (by Arena category) speaks for, by band."""
    frames = []
    for kind, arena_category in kinds.RATED_IN.items():
        if arena_category not in qualities:
            continue
        ranked = rank(
            offers,
            kinds.configured_for(configured, qualities[arena_category]),
            own_calls,
            own_attempts,
            profiles,
            allow_data_collection=allow_data_collection,
        )
        if not ranked.is_empty():
            named = {"category": pl.lit(kind), "rated_in": pl.lit(arena_category)}
            frames.append(kinds.first_of_each_upstream(ranked).with_columns(**named).select(*kinds.SCHEMA))
    return pl.concat(frames) if frames else pl.DataFrame(schema=kinds.SCHEMA)
