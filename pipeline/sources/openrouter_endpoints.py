"""OpenRouter's host endpoints: who serves a model, at what price, how reliably and how fast.

Asked for model by model, so only for models worth it and only with a key (latencies are null without one).
The catalogue itself is in `openrouter.py`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pipeline.settings import Settings
from pipeline.sources import values
from pipeline.sources.openrouter import ATTRIBUTION, PRICES, is_priced_as_router, prices
from pipeline.sources.source import (
    FetchError,
    Parsed,
    Payload,
    PayloadRefusedError,
    Refused,
    Schema,
    Sighting,
    Source,
    Table,
    Web,
    observations,
)
from pipeline.sources.values import BadValueError

ANSWERED_AT_LEAST = 0.9
"""Share of the models asked about that must answer before the new set replaces the old."""

ENDPOINTS: Schema = {
    "openrouter_id": pl.String,
    "canonical_slug": pl.String,
    "host_name": pl.String,
    "host_tag": pl.String,
    "quantization": pl.String,
    "context_tokens": pl.Int64,
    "max_output_tokens": pl.Int64,
    "max_prompt_tokens": pl.Int64,
    **PRICES,
    "discount": pl.Float64,
    "supported_parameters": pl.List(pl.String),
    "status": pl.Int32,
    "uptime_percent_last_30m": pl.Float64,
    "uptime_percent_last_1d": pl.Float64,
    "latency_p50_ms": pl.Float64,
    "latency_p90_ms": pl.Float64,
    "throughput_p50_tokens_per_s": pl.Float64,
    "throughput_p90_tokens_per_s": pl.Float64,
    "may_train_on_prompts": pl.Boolean,
    "supports_implicit_caching": pl.Boolean,
    "observed_at": pl.Datetime("us"),
}

_HISTORY = (
    "price_in_usd_per_mtok",
    "price_out_usd_per_mtok",
    "uptime_percent_last_30m",
    "latency_p50_ms",
    "latency_p90_ms",
    "throughput_p50_tokens_per_s",
    "throughput_p90_tokens_per_s",
)


def _percentile(value: object, name: str) -> float | None:
    """A percentile of an object of them; older answers give one bare number, which is taken as the median."""
    if isinstance(value, dict):
        return values.positive(value.get(name))
    return values.positive(value) if name == "p50" else None


def _endpoint(model: Mapping[str, Any], entry: object) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise BadValueError(f"the endpoint is a {type(entry).__name__}")
    pricing = entry.get("pricing")
    if not isinstance(pricing, dict):
        raise BadValueError("pricing is missing")
    host_name = values.required_text(entry.get("provider_name"), "provider_name")
    quantization = values.text(entry.get("quantization"))
    latency, throughput = entry.get("latency_last_30m"), entry.get("throughput_last_30m")
    policy = values.mapping(entry.get("data_policy"))
    status = values.number(entry.get("status"))
    uptimes = {name: values.number(entry.get(f"uptime_last_{name}")) for name in ("30m", "1d")}
    return {
        "openrouter_id": model["openrouter_id"],
        "canonical_slug": model["canonical_slug"],
        "host_name": host_name,
        "host_tag": values.text(entry.get("tag")) or host_name.lower(),
        "quantization": None if quantization == "unknown" else quantization,
        "context_tokens": values.context(entry.get("context_length")),
        "max_output_tokens": values.count(entry.get("max_completion_tokens")),
        "max_prompt_tokens": values.count(entry.get("max_prompt_tokens")),
        **(dict.fromkeys(PRICES) if is_priced_as_router(pricing) else prices(pricing)),
        "discount": values.number(pricing.get("discount")),
        "supported_parameters": sorted(values.texts(entry.get("supported_parameters"))),
        # An open enumeration: kept as it comes, read by nobody who has not seen what it means.
        "status": int(status) if status is not None and abs(status) < 2**31 else None,
        **{
            f"uptime_percent_last_{name}": u if u is not None and 0 <= u <= 100 else None for name, u in uptimes.items()
        },
        "latency_p50_ms": _percentile(latency, "p50"),
        "latency_p90_ms": _percentile(latency, "p90"),
        "throughput_p50_tokens_per_s": _percentile(throughput, "p50"),
        "throughput_p90_tokens_per_s": _percentile(throughput, "p90"),
        "may_train_on_prompts": values.truth(policy.get("training")),
        "supports_implicit_caching": values.truth(entry.get("supports_implicit_caching")),
    }


def observe_endpoints(frame: pl.DataFrame) -> pl.DataFrame:
    """Prices, uptimes and speeds of endpoints as history rows; the scope is the host's tag."""
    return observations(frame, "openrouter", "openrouter_id", _HISTORY, pl.col("host_tag").alias("scope"))


def parse_endpoints(body: bytes, sighting: Sighting) -> Parsed:
    """One answer of `GET /models/{id}/endpoints`, or many joined in a list. Raises `PayloadRefusedError`.

    Two endpoints under one tag cannot be told apart in a call: the dearer one stands for both, the other is refused.
    """
    found = values.document(body)
    inner = found.get("data") if isinstance(found, dict) else None
    models = [inner] if isinstance(inner, dict) else values.entries(body, "models", "data")
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    raw: dict[tuple[str, str], object] = {}
    refused: list[Refused] = []
    for position, entry in enumerate(models):
        model = values.mapping(entry)
        openrouter_id, listed = values.text(model.get("id")), model.get("endpoints")
        if openrouter_id is None or not isinstance(listed, list):
            reason = "id is missing" if openrouter_id is None else "endpoints are missing"
            refused.append(Refused(openrouter_id or f"entry {position}", reason, entry))
            continue
        names = {"openrouter_id": openrouter_id, "canonical_slug": values.text(model.get("canonical_slug"))}
        for endpoint in listed:
            tag = values.text(values.mapping(endpoint).get("tag"))
            reference = f"{openrouter_id}@{tag}" if tag else openrouter_id
            try:
                row = _endpoint(names, endpoint)
            except BadValueError as error:
                refused.append(Refused(reference, str(error), endpoint))
                continue
            key = (openrouter_id, row["host_tag"])
            if key in rows:
                cheaper = _cheaper_first(rows[key], row)
                refused.append(
                    Refused(
                        reference,
                        "a second endpoint under the same tag; the dearer one is kept",
                        raw[key] if cheaper is rows[key] else endpoint,
                    )
                )
                if cheaper is row:
                    continue
            rows[key], raw[key] = row, endpoint
    if len(refused) > len(rows):
        raise PayloadRefusedError(f"{len(refused)} endpoints cannot be read; the first says: {refused[0].reason}")
    frame = pl.DataFrame(
        [{**row, "observed_at": sighting.observed_at} for row in rows.values()], schema=dict(ENDPOINTS)
    )
    return Parsed({"openrouter_endpoints": frame}, observe_endpoints(frame), refused, sighting.observed_at)


def _cheaper_first(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    def total(row: dict[str, Any]) -> float:
        return float(row["price_in_usd_per_mtok"] or 0) + float(row["price_out_usd_per_mtok"] or 0)

    return left if total(left) < total(right) else right


def collect(web: Web, wanted: Sequence[tuple[Any, ...]], settings: Settings) -> bytes:
    """Endpoints of the wanted (openrouter_id, canonical_slug) rows, joined as one document.

    Raises `FetchError` when there is nobody to ask about, or too few answered to replace what is held.
    """
    if not wanted:
        raise FetchError("the catalogue lists no chat model to ask about yet")
    urls = [f"{settings.openrouter_base_url}/models/{openrouter_id}/endpoints" for openrouter_id, _ in wanted]
    answers = web.get_all(urls, headers=_headers(settings))
    models = []
    failures = []
    for (openrouter_id, canonical_slug), answer in zip(wanted, answers, strict=True):
        if isinstance(answer, FetchError):
            failures.append(str(answer))
            continue
        try:
            data = values.mapping(values.mapping(values.document(answer.body)).get("data"))
        except PayloadRefusedError as error:
            failures.append(f"{answer.url}: {error}")
            continue
        models.append({"id": openrouter_id, "canonical_slug": canonical_slug, "endpoints": data.get("endpoints")})
    if len(models) < ANSWERED_AT_LEAST * len(wanted):
        raise FetchError(f"only {len(models)} of {len(wanted)} models answered; the first failure: {failures[0]}")
    return json.dumps({"models": models}, separators=(",", ":")).encode()


def _headers(settings: Settings) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {settings.openrouter_api_key}"} if settings.openrouter_api_key else {}


def _payloads(settings: Settings) -> Sequence[Payload]:
    return (
        Payload(
            name="endpoints",
            parse=parse_endpoints,
            tables=("openrouter_endpoints",),
            collect=collect,
            collected_from=f"{settings.openrouter_base_url}/models/*/endpoints",
            wanted="openrouter_endpoints.wanted",
            needs=lambda settings: None if settings.openrouter_api_key else "OPENROUTER_API_KEY is not set",
            patterns=("openrouter/endpoints-*.json",),
            attribution=ATTRIBUTION,
            cache_for=dt.timedelta(minutes=20),
            at_least=20,
        ),
    )


SOURCE = Source(
    name="openrouter",
    step="openrouter_endpoints",
    tables=(
        Table(
            "openrouter_endpoints",
            ENDPOINTS,
            "Host endpoints of OpenRouter's models: price, window, quantisation, uptime, latency, throughput.",
            observe=observe_endpoints,
        ),
    ),
    payloads=_payloads,
    url="https://openrouter.ai/docs/api-reference/list-endpoints-for-a-model",
    stale_after=dt.timedelta(days=2),
    after=("openrouter_listings",),
    is_optional=True,
)
