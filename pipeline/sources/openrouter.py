"""OpenRouter's catalogue: every listed model with its prices, windows, abilities and what kind of thing it is.

The catalogue and the price events derived from it belong here; the hosts of a model are in
`openrouter_endpoints.py`. Prices arrive as decimal text in USD per token and leave as USD per million.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pipeline.settings import Settings
from pipeline.sources import values
from pipeline.sources.source import (
    OBSERVATIONS,
    Parsed,
    Payload,
    PayloadRefusedError,
    Refused,
    Schema,
    Sighting,
    Source,
    Table,
    observations,
)
from pipeline.sources.values import BadValueError

ATTRIBUTION = "OpenRouter (openrouter.ai)"

NEVER_EXPIRES = dt.date(2098, 12, 31)
"""The date OpenRouter writes for a listing without an end."""

IMAGE_TOKENS_AT_LEAST = 50
"""An image counts as hundreds of tokens: a `pricing.image` nearer to the prompt price is per token, not per image."""

PRICES: Schema = {
    "price_in_usd_per_mtok": pl.Float64,
    "price_out_usd_per_mtok": pl.Float64,
    "price_cache_read_usd_per_mtok": pl.Float64,
    "price_cache_write_usd_per_mtok": pl.Float64,
    "price_reasoning_usd_per_mtok": pl.Float64,
    "price_request_usd": pl.Float64,
    "price_image_usd": pl.Float64,
    "price_web_search_usd": pl.Float64,
    "price_audio_usd_per_mtok": pl.Float64,
    "price_tiers_json": pl.String,
}

LISTINGS: Schema = {
    "openrouter_id": pl.String,
    "canonical_slug": pl.String,
    "hugging_face_id": pl.String,
    "name": pl.String,
    "vendor": pl.String,
    "created_at": pl.Datetime("us"),
    "kind": pl.String,
    "variant": pl.String,
    "alias_target": pl.String,
    "context_tokens": pl.Int64,
    "endpoint_context_tokens": pl.Int64,
    "max_output_tokens": pl.Int64,
    "is_moderated": pl.Boolean,
    "input_modalities": pl.List(pl.String),
    "output_modalities": pl.List(pl.String),
    "tokenizer": pl.String,
    "supported_parameters": pl.List(pl.String),
    **PRICES,
    "supported_efforts": pl.List(pl.String),
    "default_effort": pl.String,
    "reasoning_is_mandatory": pl.Boolean,
    "knowledge_cutoff": pl.String,
    "expires_on": pl.Date,
    "aa_intelligence_index": pl.Float64,
    "aa_coding_index": pl.Float64,
    "aa_agentic_index": pl.Float64,
    "design_arena_json": pl.String,
    "observed_at": pl.Datetime("us"),
}

_HISTORY = (
    "price_in_usd_per_mtok",
    "price_out_usd_per_mtok",
    "price_cache_read_usd_per_mtok",
    "price_cache_write_usd_per_mtok",
    "price_reasoning_usd_per_mtok",
    "price_request_usd",
    "context_tokens",
    "aa_intelligence_index",
    "aa_coding_index",
    "aa_agentic_index",
)

_GUARD_WORDS = frozenset({"guard", "safeguard", "shield", "shieldgemma", "safety", "moderation"})
_OTHER_WORDS = frozenset({"apply", "ocr", "mt", "mt2", "tts"})
"""Names of models that do one task and do not converse: merging code edits, reading scans, translating."""

_OTHER_VENDORS = frozenset({"morph", "relace"})
"""Vendors of steps inside coding tools."""

_EMBEDDING_WORDS = frozenset({"embed", "embedding", "embeddings", "rerank", "reranker"})


def kind_of(
    openrouter_id: str,
    *,
    name: str,
    outputs: Sequence[str],
    is_priced_as_router: bool,
    expires_on: dt.date | None,
    today: dt.date,
) -> str:
    """What a listing is: only 'chat' may ever be ranked as a chat model.

    The first that fits of alias, batch, router, expired, guard, embedding, image, video, audio, other (no text comes
    out, or only that of one task), base and chat. A model that answers in pictures or sound beside text is an image
    or audio model.
    """
    if openrouter_id.startswith("~"):
        return "alias"
    slug, _, variant = openrouter_id.partition(":")
    if variant == "batch":
        return "batch"
    words = set(re.split(r"[-_./ ]", slug.rpartition("/")[2].lower()))
    if is_priced_as_router or slug.startswith("openrouter/") or "router" in words:
        return "router"
    if expires_on is not None and expires_on < today:
        return "expired"
    if words & _GUARD_WORDS:
        return "guard"
    if words & _EMBEDDING_WORDS or "embeddings" in outputs:
        return "embedding"
    for modality in ("image", "video", "audio"):
        if modality in outputs:
            return modality
    if "speech" in outputs:
        return "audio"
    if (outputs and "text" not in outputs) or words & _OTHER_WORDS or slug.partition("/")[0] in _OTHER_VENDORS:
        return "other"
    if "base" in words or "(base)" in name.lower():
        return "base"
    return "chat"


def prices(pricing: Mapping[str, Any]) -> dict[str, Any]:
    """The price columns of a `pricing` object, discount already inside. Raises `BadValueError`.

    Other prices from a prompt length on (`overrides`) become `price_tiers_json`.
    """
    prompt = values.price(pricing.get("prompt"), "prompt")
    completion = values.price(pricing.get("completion"), "completion")
    if prompt is None or completion is None:
        raise BadValueError("prompt or completion price is missing")
    image = values.price(pricing.get("image"), "image", per_token=False)
    if image is not None and image * 1e6 < prompt * IMAGE_TOKENS_AT_LEAST:
        image = None
    tiers = [
        {
            "min_prompt_tokens": values.count(tier.get("min_prompt_tokens")),
            **{
                column: values.price(tier[key], f"tier {key}")
                for key, column in (
                    ("prompt", "price_in_usd_per_mtok"),
                    ("completion", "price_out_usd_per_mtok"),
                    ("input_cache_read", "price_cache_read_usd_per_mtok"),
                    ("input_cache_write", "price_cache_write_usd_per_mtok"),
                )
                if key in tier
            },
        }
        for tier in map(values.mapping, pricing.get("overrides") or ())
        if values.count(tier.get("min_prompt_tokens")) is not None
    ]
    return {
        "price_in_usd_per_mtok": prompt,
        "price_out_usd_per_mtok": completion,
        "price_cache_read_usd_per_mtok": values.price(pricing.get("input_cache_read"), "cache read"),
        "price_cache_write_usd_per_mtok": values.price(pricing.get("input_cache_write"), "cache write"),
        "price_reasoning_usd_per_mtok": values.price(pricing.get("internal_reasoning"), "reasoning"),
        "price_request_usd": values.price(pricing.get("request"), "request", per_token=False),
        "price_image_usd": image,
        "price_web_search_usd": values.price(pricing.get("web_search"), "web search", per_token=False),
        "price_audio_usd_per_mtok": values.price(pricing.get("audio"), "audio"),
        "price_tiers_json": values.tiers_json(tiers),
    }


def is_priced_as_router(pricing: Mapping[str, Any]) -> bool:
    """OpenRouter's own routers pass on what they choose, and say −1."""
    return values.number(pricing.get("prompt")) == -1 and values.number(pricing.get("completion")) == -1


def _listing(entry: object, sighting: Sighting) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise BadValueError(f"the entry is a {type(entry).__name__}")
    openrouter_id = values.required_text(entry.get("id"), "id")
    if "/" not in openrouter_id:
        raise BadValueError("id has no vendor")
    pricing = entry.get("pricing")
    if not isinstance(pricing, dict):
        raise BadValueError("pricing is missing")
    architecture = values.mapping(entry.get("architecture"))
    endpoint = values.mapping(entry.get("top_provider"))
    reasoning = values.mapping(entry.get("reasoning"))
    benchmarks = values.mapping(entry.get("benchmarks"))
    indices = values.mapping(benchmarks.get("artificial_analysis"))
    routes = is_priced_as_router(pricing)
    expires_on = values.date(entry.get("expiration_date"))
    if expires_on is not None and expires_on >= NEVER_EXPIRES:
        expires_on = None
    name = values.text(entry.get("name")) or openrouter_id
    outputs = values.texts(architecture.get("output_modalities"))
    design = benchmarks.get("design_arena") or None
    return {
        "openrouter_id": openrouter_id,
        "canonical_slug": values.text(entry.get("canonical_slug")),
        "hugging_face_id": values.text(entry.get("hugging_face_id")),
        "name": name,
        "vendor": openrouter_id.lstrip("~").partition("/")[0],
        "created_at": values.moment(entry.get("created")),
        "kind": kind_of(
            openrouter_id,
            name=name,
            outputs=outputs,
            is_priced_as_router=routes,
            expires_on=expires_on,
            today=sighting.now.date(),
        ),
        "variant": openrouter_id.partition(":")[2] or None,
        "alias_target": values.text(values.mapping(entry.get("alias_target")).get("slug")),
        "context_tokens": values.context(entry.get("context_length")),
        "endpoint_context_tokens": values.context(endpoint.get("context_length")),
        "max_output_tokens": values.count(endpoint.get("max_completion_tokens")),
        "is_moderated": values.truth(endpoint.get("is_moderated")),
        "input_modalities": values.texts(architecture.get("input_modalities")),
        "output_modalities": outputs,
        "tokenizer": values.text(architecture.get("tokenizer")),
        "supported_parameters": sorted(values.texts(entry.get("supported_parameters"))),
        **(dict.fromkeys(PRICES) if routes else prices(pricing)),
        "supported_efforts": values.texts(reasoning.get("supported_efforts")),
        "default_effort": values.text(reasoning.get("default_effort")),
        "reasoning_is_mandatory": values.truth(reasoning.get("mandatory")),
        "knowledge_cutoff": values.text(entry.get("knowledge_cutoff")),
        "expires_on": expires_on,
        "aa_intelligence_index": values.number(indices.get("intelligence_index")),
        "aa_coding_index": values.number(indices.get("coding_index")),
        "aa_agentic_index": values.number(indices.get("agentic_index")),
        "design_arena_json": json.dumps(design, separators=(",", ":"), sort_keys=True) if design else None,
    }


def expired_as_of(frame: pl.DataFrame, today: dt.date) -> pl.DataFrame:
    """Listings with the kind they have on `today`: what has expired since they were read is 'expired'."""
    is_over = (pl.col("expires_on") < today) & pl.col("kind").is_in(["alias", "batch", "router"]).not_()
    return frame.with_columns(pl.when(is_over).then(pl.lit("expired")).otherwise("kind").alias("kind"))


def observe_listings(frame: pl.DataFrame) -> pl.DataFrame:
    """Prices, windows and indices of listings as history rows."""
    return observations(frame, "openrouter", "openrouter_id", _HISTORY, pl.lit(""))


def parse_models(body: bytes, sighting: Sighting) -> Parsed:
    """The catalogue (`GET /api/v1/models`) of every recorded age. Raises `PayloadRefusedError`.

    A file dated by month only is taken to be as old as its newest entry.
    """
    rows, refused = values.rows(
        values.entries(body, "data"), lambda entry: _listing(entry, sighting), key=lambda row: row["openrouter_id"]
    )
    observed_at = sighting.observed_at
    if sighting.observed_until is not None:
        newest = max((row["created_at"] for row in rows if row["created_at"]), default=observed_at)
        observed_at = max(observed_at, min(newest, sighting.observed_until))
    frame = pl.DataFrame([{**row, "observed_at": observed_at} for row in rows], schema=dict(LISTINGS))
    return Parsed({"openrouter_listings": frame}, observe_listings(frame), refused, observed_at)


def _event_values(event: Mapping[str, Any]) -> dict[str, float | None]:
    """Metric → value that an event of the catalogue's change log tells."""
    kind = event.get("type")
    if kind == "price_changed":
        columns = {"prompt": "price_in_usd_per_mtok", "completion": "price_out_usd_per_mtok"}
        changes = [values.mapping(change) for change in event.get("changes") or ()]
        return {
            columns[change["field"]]: values.price(change.get("next"), change["field"])
            for change in changes
            if change.get("field") in columns
        }
    if kind == "context_changed":
        window = values.context(event.get("next_context"))
        return {"context_tokens": None if window is None else float(window)}
    if kind == "model_added":
        snapshot = values.mapping(event.get("snapshot"))
        pricing = values.mapping(snapshot.get("pricing"))
        if is_priced_as_router(pricing):
            return {}
        window = values.context(snapshot.get("context_length"))
        return {
            "price_in_usd_per_mtok": values.price(pricing.get("prompt"), "prompt"),
            "price_out_usd_per_mtok": values.price(pricing.get("completion"), "completion"),
            "context_tokens": None if window is None else float(window),
        }
    return {}


def parse_events(body: bytes, sighting: Sighting) -> Parsed:
    """A log of the catalogue's changes: prices and windows with their dates, for the history only."""
    del sighting
    rows: list[tuple[Any, ...]] = []
    refused: list[Refused] = []
    newest = dt.datetime.min
    for position, event in enumerate(values.entries(body, "events")):
        names = values.mapping(event)
        try:
            openrouter_id = values.required_text(names.get("id"), "id")
            at = values.moment(names.get("ts"))
            if at is None:
                raise BadValueError("ts is no date")
            told = _event_values(names)
        except BadValueError as error:
            refused.append(Refused(values.text(names.get("id")) or f"entry {position}", str(error), event))
            continue
        newest = max(newest, at)
        rows += [
            ("openrouter", openrouter_id, metric, "", value, at) for metric, value in told.items() if value is not None
        ]
    if not rows:
        raise PayloadRefusedError("no event tells a price or a window")
    frame = pl.DataFrame(rows, schema=dict(OBSERVATIONS), orient="row")
    return Parsed({}, frame, refused, newest)


def _payloads(settings: Settings) -> Sequence[Payload]:
    return (
        Payload(
            name="events",
            parse=parse_events,
            tables=(),
            patterns=("openrouter/events-*.json",),
            is_archive=True,
            attribution=ATTRIBUTION,
        ),
        Payload(
            name="models",
            parse=parse_models,
            tables=("openrouter_listings",),
            addresses=(f"{settings.openrouter_base_url}/models",),
            patterns=("openrouter/models-*.json",),
            attribution=ATTRIBUTION,
            at_least=50,
        ),
    )


SOURCE = Source(
    name="openrouter",
    step="openrouter",
    tables=(
        Table(
            "openrouter_listings",
            LISTINGS,
            "OpenRouter's newest catalogue: one row per id with prices, windows, abilities and kind.",
            observe=observe_listings,
            as_of=expired_as_of,
        ),
    ),
    payloads=_payloads,
    url="https://openrouter.ai/models",
    stale_after=dt.timedelta(days=2),
)
