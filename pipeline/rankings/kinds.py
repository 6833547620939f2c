"""Kinds of task that have a ranking of their own: which Arena category speaks for each, and what it changes.

Pure. How good a configuration is in a category is estimated in `categories.py`; scores and ranks are `scoring.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import polars as pl

from pipeline.rankings.calls import Configured

RATED_IN: Mapping[str, str] = {"coding": "coding", "maths": "math", "writing": "creative_writing"}
"""Arena category of each kind of task. The other kinds have no category that is theirs: see docs/formulas.md."""

DEPTH = 100
"""Offers of each upstream that a list holds: the rest follows in the order of all prompts."""


SCHEMA: Mapping[str, pl.DataType] = {
    **dict.fromkeys(
        (
            "profile", "category", "difficulty_band", "model_id", "offer_id", "effort", "rated_in", "quality_basis",
        ),
        pl.String(),
    ),
    "rank": pl.Int64(),
    **dict.fromkeys(
        (
            "score", "quality_score", "latency_score", "cost_score", "context_score", "quality", "quality_sd",
        ),
        pl.Float64(),
    ),
}  # fmt: skip
"""Columns of a ranking by kind of task; one without rows has these alone."""


class InCategory(NamedTuple):
    """A configuration's quality at one kind of task."""

    quality: float
    quality_sd: float
    basis: str


def configured_for(
    configured: Mapping[str, Sequence[Configured]], qualities: Mapping[tuple[str, str], InCategory]
) -> dict[str, list[Configured]]:
    """The estimates with the quality at one kind of task in place of the overall one; `qualities` by model and effort.

    What hard prompts ask for beyond people's ratings moves by as many points: how hard a prompt is and what it is about
    are two things, and each keeps its effect. A configuration without an estimate there keeps the overall one.
    """
    return {model_id: [_moved(one, qualities.get((model_id, one.effort))) for one in of_model]
            for model_id, of_model in configured.items()}  # fmt: skip


def _moved(one: Configured, at_this: InCategory | None) -> Configured:
    if at_this is None or one.quality is None:
        return one
    when_hard = one.quality_when_hard
    return replace(
        one,
        quality=at_this.quality,
        quality_when_hard=None if when_hard is None else when_hard + at_this.quality - one.quality,
        quality_sd=at_this.quality_sd,
        quality_basis=at_this.basis,
    )


def first_of_each_upstream(ranked: pl.DataFrame) -> pl.DataFrame:
    """The rows among the first `DEPTH` of their upstream, in each profile and band; ranks stay those of the whole."""
    upstream = pl.col("offer_id").str.extract(r"^([^:]+):")
    return ranked.filter(pl.col("rank").rank("ordinal").over("profile", "difficulty_band", upstream) <= DEPTH)
