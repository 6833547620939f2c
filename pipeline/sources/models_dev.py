"""models.dev: what each provider asks for each model, its window, its longest answer and what it can do.

Nested provider → model; prices are numbers in USD per million tokens. Prices above 200,000 tokens of prompt stand
under `context_over_200k`, or under `tiers` where they begin elsewhere.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from pipeline.settings import Settings
from pipeline.sources import price_lists, providers, values
from pipeline.sources.source import Parsed, Payload, PayloadRefusedError, Sighting, Source
from pipeline.sources.values import BadValueError

_PRICES = {
    "price_in_usd_per_mtok": "input",
    "price_out_usd_per_mtok": "output",
    "price_cache_read_usd_per_mtok": "cache_read",
    "price_cache_write_usd_per_mtok": "cache_write",
    "price_reasoning_usd_per_mtok": "reasoning",
}

_LONG_PROMPT_TOKENS = 200_000


def _prices(cost: object) -> dict[str, float | None]:
    held = values.mapping(cost)
    return {column: values.price(held.get(key), key, per_token=False) for column, key in _PRICES.items()}


def _tiers(cost: object) -> list[dict[str, Any]]:
    held = values.mapping(cost)
    tiers = []
    if isinstance(held.get("context_over_200k"), dict):
        tiers.append({"min_prompt_tokens": _LONG_PROMPT_TOKENS, **_prices(held["context_over_200k"])})
    listed = held.get("tiers")
    for tier in map(values.mapping, listed if isinstance(listed, list) else ()):
        start = values.count(values.mapping(tier.get("tier")).get("size"))
        # What is said in detail stands for the round figure beside it.
        if start:
            tiers = [known for known in tiers if known["min_prompt_tokens"] != start]
            tiers.append({"min_prompt_tokens": start, **_prices(tier)})
    return tiers


def _kind(model: str, family: str, outputs: Sequence[str]) -> str | None:
    if "embed" in f"{model} {family}".lower():
        return "embedding"
    for modality in ("image", "video", "audio"):
        if modality in outputs:
            return modality
    return "chat" if "text" in outputs else None


def _listed(entry: object) -> dict[str, Any] | None:
    spelling, key, model = entry if isinstance(entry, tuple) else ("", "", entry)
    provider = providers.of_spelling(spelling)
    if provider is None:
        return None
    if not isinstance(model, dict):
        raise BadValueError(f"the entry is a {type(model).__name__}")
    name = values.required_text(model.get("id"), "id")
    if name != key:
        raise BadValueError(f"it stands under {key!r} and calls itself {name!r}")
    prices = price_lists.settled_prices(_prices(model.get("cost")))
    modalities = values.mapping(model.get("modalities"))
    limits = values.mapping(model.get("limit"))
    return {
        "listed_id": f"{spelling}/{name}",
        "provider": provider,
        "provider_model": name,
        "name": values.text(model.get("name")),
        "kind": _kind(name, values.text(model.get("family")) or "", values.texts(modalities.get("output"))),
        **prices,
        "price_tiers_json": price_lists.settled_tiers(_tiers(model.get("cost")), prices),
        "context_tokens": price_lists.limit(limits.get("context")),
        "max_output_tokens": price_lists.limit(limits.get("output")),
        "input_modalities": ["file" if one == "pdf" else one for one in values.texts(modalities.get("input"))],
        "supports_tools": values.truth(model.get("tool_call")),
        "supports_json_schema": values.truth(model.get("structured_output")),
        "supports_reasoning": values.truth(model.get("reasoning")),
        "released_on": values.date(model.get("release_date")),
        "knowledge_cutoff": values.text(model.get("knowledge")),
        "is_open_weights": values.truth(model.get("open_weights")),
    }


def parse_api(body: bytes, sighting: Sighting) -> Parsed:
    """`api.json`: the models of every provider that has an API of its own. Raises `PayloadRefusedError`."""
    found = values.document(body)
    if not isinstance(found, dict):
        raise PayloadRefusedError(f"expected an object of providers, found {type(found).__name__}")
    entries = [
        (provider, key, model)
        for provider, held in found.items()
        for key, model in values.mapping(values.mapping(held).get("models")).items()
    ]
    return price_lists.parsed("models_dev", "models_dev_models", entries, _listed, sighting)


def _payloads(settings: Settings) -> Sequence[Payload]:
    del settings
    return (
        Payload(
            name="api",
            parse=parse_api,
            tables=("models_dev_models",),
            addresses=("https://models.dev/api.json",),
            patterns=("models_dev/api-*.json", "rivals/models_dev_api-*.json"),
            attribution="models.dev (MIT)",
            cache_for=dt.timedelta(hours=20),
            at_least=100,
        ),
    )


SOURCE = Source(
    name="models_dev",
    step="models_dev",
    tables=(
        price_lists.table(
            "models_dev", "models_dev_models", "models.dev: what each provider asks for each model it serves."
        ),
    ),
    payloads=_payloads,
    url="https://models.dev",
    stale_after=dt.timedelta(days=7),
    is_optional=True,
)
