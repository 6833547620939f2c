"""Artificial Analysis: indices, prices and measured speeds of models, one record an effort. Optional, with a key.

Zero stands for unknown in its prices and speeds. The keys it gives to other sources (OpenRouter id, Hub id) come
from its page metadata and are carried over when a newer payload lacks them.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pipeline.settings import Settings
from pipeline.sources import values
from pipeline.sources.source import Parsed, Payload, Schema, Sighting, Source, Table, observations
from pipeline.sources.values import BadValueError

ATTRIBUTION = "Artificial Analysis (artificialanalysis.ai)"

MODELS: Schema = {
    "slug": pl.String,
    "name": pl.String,
    "creator": pl.String,
    "effort": pl.String,
    "release_date": pl.Date,
    "intelligence_index": pl.Float64,
    "coding_index": pl.Float64,
    "math_index": pl.Float64,
    "mmlu_pro": pl.Float64,
    "gpqa": pl.Float64,
    "hle": pl.Float64,
    "livecodebench": pl.Float64,
    "scicode": pl.Float64,
    "ifbench": pl.Float64,
    "lcr": pl.Float64,
    "terminalbench": pl.Float64,
    "terminalbench_v2_1": pl.Float64,
    "tau2": pl.Float64,
    "tau_banking": pl.Float64,
    "price_in_usd_per_mtok": pl.Float64,
    "price_out_usd_per_mtok": pl.Float64,
    "throughput_tokens_per_s": pl.Float64,
    "latency_first_token_ms": pl.Float64,
    "latency_first_answer_ms": pl.Float64,
    "is_reasoning": pl.Boolean,
    "is_open_weights": pl.Boolean,
    "license": pl.String,
    "context_tokens": pl.Int64,
    "openrouter_id": pl.String,
    "huggingface_id": pl.String,
    "observed_at": pl.Datetime("us"),
}

_HISTORY = tuple(column for column, kind in MODELS.items() if kind == pl.Float64)

_EVALUATIONS = {
    "intelligence_index": "artificial_analysis_intelligence_index",
    "coding_index": "artificial_analysis_coding_index",
    "math_index": "artificial_analysis_math_index",
    "mmlu_pro": "mmlu_pro",
    "gpqa": "gpqa",
    "hle": "hle",
    "livecodebench": "livecodebench",
    "scicode": "scicode",
    "ifbench": "ifbench",
    "lcr": "lcr",
    "terminalbench": "terminalbench_hard",
    "terminalbench_v2_1": "terminalbench_v2_1",
    "tau2": "tau2",
    "tau_banking": "tau_banking",
}

_EFFORT = re.compile(r"reasoning|effort|thinking|^(?:none|minimal|low|medium|high|xhigh|max)$", re.IGNORECASE)


def effort_of(name: str) -> str | None:
    """What a name's parentheses say about effort, lower case: 'GPT-5.5 (xhigh)' → 'xhigh'; None for '(May 2025)'."""
    found = [part.strip() for part in re.findall(r"\(([^()]*)\)", name)]
    return next((part.lower() for part in reversed(found) if _EFFORT.search(part)), None)


def _speed(entry: Mapping[str, Any], renamed: str, native: str, factor: float = 1.0) -> float | None:
    value = values.mapping(entry.get("speed")).get(renamed, entry.get(native))
    found = values.positive(value)
    return found * factor if found is not None else None


def _model(entry: object) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise BadValueError(f"the entry is a {type(entry).__name__}")
    name = values.required_text(entry.get("name"), "name")
    evaluations = values.mapping(entry.get("evaluations"))
    pricing = values.mapping(entry.get("pricing"))
    metadata = values.mapping(entry.get("metadata"))
    prices = {
        side: values.price(pricing.get(f"price_1m_{side}_tokens"), side, per_token=False)
        for side in ("input", "output")
    }
    hub = re.search(r"huggingface\.co/([^/?#\s]+/[^/?#\s]+)", values.text(metadata.get("huggingface_url")) or "")
    scores = {column: values.number(evaluations.get(key)) for column, key in _EVALUATIONS.items()}
    for column, score in scores.items():
        if score is not None and not -100 <= score <= 100:
            raise BadValueError(f"{column} of {score} cannot be")
    return {
        "slug": values.required_text(entry.get("slug"), "slug"),
        "name": name,
        "creator": values.text(entry.get("creator_slug"))
        or values.text(values.mapping(entry.get("model_creator")).get("slug")),
        "effort": effort_of(name),
        "release_date": values.date(entry.get("release_date")),
        **scores,
        # Zero means that nothing is known, of a price as of a speed.
        "price_in_usd_per_mtok": prices["input"] or None,
        "price_out_usd_per_mtok": prices["output"] or None,
        "throughput_tokens_per_s": _speed(entry, "output_tokens_per_second", "median_output_tokens_per_second"),
        "latency_first_token_ms": _speed(entry, "ttft_seconds", "median_time_to_first_token_seconds", 1000.0),
        "latency_first_answer_ms": _speed(entry, "ttfat_seconds", "median_time_to_first_answer_token", 1000.0),
        "is_reasoning": values.truth(metadata.get("is_reasoning")),
        "is_open_weights": values.truth(metadata.get("is_open_weights")),
        "license": values.text(metadata.get("license_name")),
        "context_tokens": values.count(metadata.get("context_window_tokens")) or None,
        "openrouter_id": values.text(metadata.get("openrouter_api_id")),
        "huggingface_id": hub.group(1) if hub else None,
    }


def observe_models(frame: pl.DataFrame) -> pl.DataFrame:
    """Indices, benchmark scores, prices and speeds as history rows."""
    return observations(frame, "artificial_analysis", "slug", _HISTORY, pl.lit("").alias("scope"))


def parse_models(body: bytes, sighting: Sighting) -> Parsed:
    """The models endpoint in its own keys or with renamed ones. Raises `PayloadRefusedError`."""
    rows, refused = values.rows(values.entries(body, "data", "models"), _model, key=lambda row: row["slug"])
    frame = pl.DataFrame([{**row, "observed_at": sighting.observed_at} for row in rows], schema=dict(MODELS))
    return Parsed({"artificial_analysis_models": frame}, observe_models(frame), refused, sighting.observed_at)


def _payloads(settings: Settings) -> Sequence[Payload]:
    del settings
    return (
        Payload(
            name="models",
            parse=parse_models,
            tables=("artificial_analysis_models",),
            addresses=(
                "https://artificialanalysis.ai/api/v2/language/models",
                "https://artificialanalysis.ai/api/v2/data/llms/models",
            ),
            headers=lambda settings: {"x-api-key": settings.artificial_analysis_api_key or ""},
            needs=lambda settings: (
                None if settings.artificial_analysis_api_key else "ARTIFICIAL_ANALYSIS_API_KEY is not set"
            ),
            patterns=("artificial_analysis/llms-*.json",),
            attribution=ATTRIBUTION,
            at_least=50,
        ),
    )


SOURCE = Source(
    name="artificial_analysis",
    step="artificial_analysis",
    tables=(
        Table(
            "artificial_analysis_models",
            MODELS,
            "Artificial Analysis' indices, prices and measured speeds: one row a model at an effort.",
            accumulates=True,
            observe=observe_models,
        ),
    ),
    payloads=_payloads,
    url="https://artificialanalysis.ai/models",
    stale_after=dt.timedelta(days=7),
    is_optional=True,
)
