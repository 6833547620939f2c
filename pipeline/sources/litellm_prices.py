"""LiteLLM's map: prices, limits, abilities and last days of what each provider serves, one object a model.

Keys are model names, with the provider before a slash for all but a few providers; prices are numbers in USD per
token. Prices of long prompts are keys of their own (`…_above_200k_tokens`), those of other service tiers
(`_batches`, `_flex`, `_priority`) are not prices of a chat call.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.settings import Settings
from pipeline.sources import price_lists, providers, values
from pipeline.sources.source import Parsed, Payload, PayloadRefusedError, Sighting, Source
from pipeline.sources.values import BadValueError

_PRICES = {
    "price_in_usd_per_mtok": "input_cost_per_token",
    "price_out_usd_per_mtok": "output_cost_per_token",
    "price_cache_read_usd_per_mtok": "cache_read_input_token_cost",
    "price_cache_write_usd_per_mtok": "cache_creation_input_token_cost",
    "price_reasoning_usd_per_mtok": "output_cost_per_reasoning_token",
}
_COLUMN_OF = {key: column for column, key in _PRICES.items()}

_TIER = re.compile(r"^(?P<key>.+)_above_(?P<thousands>\d+)k_tokens$")

_KINDS = {
    "chat": "chat",
    "responses": "chat",
    "completion": "base",
    "embedding": "embedding",
    "rerank": "embedding",
    "image_generation": "image",
    "image_edit": "image",
    "video_generation": "video",
    "audio_transcription": "audio",
    "audio_speech": "audio",
    "realtime": "audio",
    "moderation": "guard",
}

_NO_NAME = re.compile(
    r"^(?:ft:|(?:[a-z-]+/)?"
    r"(?:\d+-x-\d+|max-x-max|hd|standard|low|medium|high|eu|us|global|global-standard)/)"
)
"""A fine-tune's price, a picture's size or quality, or a region: none is a name to call a model by."""

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_EVERYWHERE = frozenset({"low", "medium", "high"})
"""Efforts that every model takes of which the map states any other."""


def _tiers(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    tiers: dict[int, dict[str, Any]] = {}
    for key, value in model.items():
        found = _TIER.match(key)
        if found and found["key"] in _COLUMN_OF:
            start = int(found["thousands"]) * 1000
            tier = tiers.setdefault(start, {"min_prompt_tokens": start})
            tier[_COLUMN_OF[found["key"]]] = values.price(value, key)
    return list(tiers.values())


def _efforts(model: Mapping[str, Any]) -> list[str]:
    stated = {effort: values.truth(model.get(f"supports_{effort}_reasoning_effort")) for effort in _EFFORTS}
    if all(said is None for said in stated.values()) or values.truth(model.get("supports_reasoning")) is not True:
        return []
    return [e for e, said in stated.items() if said or (said is None and e in _EVERYWHERE)]


def _modalities(model: Mapping[str, Any]) -> list[str]:
    listed = set(values.texts(model.get("supported_modalities")))
    for modality, key in (
        ("image", "supports_vision"),
        ("audio", "supports_audio_input"),
        ("video", "supports_video_input"),
        ("file", "supports_pdf_input"),
    ):
        if values.truth(model.get(key)):
            listed.add(modality)
    return sorted({"text", *listed})


def _listed(entry: object) -> dict[str, Any] | None:
    key, _, model = entry if isinstance(entry, tuple) else ("", "", entry)
    if not isinstance(model, dict):
        raise BadValueError(f"the entry is a {type(model).__name__}")
    spelling = model.get("litellm_provider")
    provider = providers.of_spelling(spelling)
    kind = _KINDS.get(str(model.get("mode")))
    if provider is None or kind is None or _NO_NAME.match(key):
        return None
    name = values.required_text(key.removeprefix(f"{spelling}/"), "name")
    prices: dict[str, float | None] = dict.fromkeys(_PRICES)
    tiers: list[dict[str, Any]] = []
    if kind in ("chat", "base"):
        prices = price_lists.settled_prices(
            {column: values.price(model.get(stated), stated) for column, stated in _PRICES.items()}
        )
        tiers = _tiers(model)
    reasons = values.truth(model.get("supports_reasoning"))
    return {
        "listed_id": key,
        "provider": provider,
        "provider_model": name,
        "kind": kind,
        **prices,
        "price_tiers_json": price_lists.settled_tiers(tiers, prices),
        "context_tokens": price_lists.limit(model.get("max_input_tokens")),
        "max_output_tokens": price_lists.limit(model.get("max_output_tokens")),
        "input_modalities": _modalities(model),
        "supports_tools": values.truth(model.get("supports_function_calling")),
        "supports_json_schema": values.truth(model.get("supports_response_schema")),
        "supports_reasoning": reasons,
        "supported_efforts": _efforts(model),
        "ends_on": values.date(model.get("deprecation_date")),
    }


def parse_map(body: bytes, sighting: Sighting) -> Parsed:
    """`model_prices_and_context_window.json`. Raises `PayloadRefusedError`."""
    found = values.document(body)
    if not isinstance(found, dict):
        raise PayloadRefusedError(f"expected an object of models, found {type(found).__name__}")
    entries = [(key, "", model) for key, model in found.items() if key != "sample_spec"]
    return price_lists.parsed("litellm_prices", "litellm_prices_models", entries, _listed, sighting)


def _payloads(settings: Settings) -> Sequence[Payload]:
    del settings
    return (
        Payload(
            name="map",
            parse=parse_map,
            tables=("litellm_prices_models",),
            addresses=("https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json",),
            patterns=("litellm_prices/map-*.json", "rivals/litellm_model_prices-*.json"),
            attribution="LiteLLM's model map (BerriAI, MIT)",
            cache_for=dt.timedelta(hours=20),
            at_least=100,
        ),
    )


SOURCE = Source(
    name="litellm_prices",
    step="litellm_prices",
    tables=(
        price_lists.table(
            "litellm_prices",
            "litellm_prices_models",
            "LiteLLM's map: what each provider asks for each model it serves, and until when it does.",
        ),
    ),
    payloads=_payloads,
    url="https://github.com/BerriAI/litellm",
    stale_after=dt.timedelta(days=7),
    is_optional=True,
)
