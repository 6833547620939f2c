"""genai-prices: what each provider asks for each model, with the days and prompt lengths from which a price holds.

A list of providers, each with its models; prices are numbers in USD per million tokens. A price may be an object with
tiers, and a model's prices a list of which the last that holds counts. Prices for hours of the day are not taken: the
first of such a list is the one that holds when none else does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.settings import Settings
from pipeline.sources import price_lists, providers, values
from pipeline.sources.source import Parsed, Payload, Sighting, Source
from pipeline.sources.values import BadValueError

_PRICES = {
    "price_in_usd_per_mtok": "input_mtok",
    "price_out_usd_per_mtok": "output_mtok",
    "price_cache_read_usd_per_mtok": "cache_read_mtok",
    "price_cache_write_usd_per_mtok": "cache_write_mtok",
}


def _in_force(prices: object, today: dt.date) -> Any:
    """The price object that holds on `today`."""
    if not isinstance(prices, list):
        return prices
    held: Any = None
    for conditional in map(values.mapping, prices):
        constraint = values.mapping(conditional.get("constraint"))
        since = values.date(constraint.get("start_date"))
        if not constraint or (since is not None and since <= today):
            held = conditional.get("prices")
    return held


def _prices(held: Any) -> tuple[dict[str, float | None], list[dict[str, Any]]]:
    """Price columns, and tiers by prompt length."""
    if not isinstance(held, dict):
        raise BadValueError(f"prices are a {type(held).__name__}")
    found: dict[str, float | None] = {}
    tiers: dict[int, dict[str, Any]] = {}
    for column, key in _PRICES.items():
        price = held.get(key)
        if isinstance(price, dict):
            for tier in map(values.mapping, price.get("tiers") or ()):
                start = values.count(tier.get("start"))
                if start:
                    dearer = values.price(tier.get("price"), f"{key} tier", per_token=False)
                    tiers.setdefault(start, {"min_prompt_tokens": start})[column] = dearer
            price = price.get("base")
        found[column] = values.price(price, key, per_token=False)
    per_thousand = values.price(held.get("requests_kcount"), "requests", per_token=False)
    found["price_request_usd"] = None if per_thousand is None else per_thousand / 1000
    return found, list(tiers.values())


def _listed(entry: object, today: dt.date) -> dict[str, Any] | None:
    spelling, _, model = entry if isinstance(entry, tuple) else ("", "", entry)
    provider = providers.of_spelling(spelling)
    if provider is None or (isinstance(name := values.mapping(model).get("id"), str) and name.startswith("ft:")):
        return None
    held = values.mapping(model)
    name = values.required_text(name, "id")
    found, tiers = _prices(_in_force(held.get("prices"), today))
    prices = price_lists.settled_prices(found)
    return {
        "listed_id": f"{spelling}/{name}",
        "provider": provider,
        "provider_model": name,
        "name": values.text(held.get("name")),
        "kind": "embedding" if "embed" in name.lower() else None,
        **prices,
        "price_tiers_json": price_lists.settled_tiers(tiers, prices),
        "context_tokens": price_lists.limit(held.get("context_window")),
    }


def _entries(found: Iterable[Any]) -> list[tuple[Any, Any, Any]]:
    entries = []
    for held in map(values.mapping, found):
        models = held.get("models")
        for model in models if isinstance(models, list) else ():
            entries.append((held.get("id"), values.mapping(model).get("id"), model))
    return entries


def parse_data(body: bytes, sighting: Sighting) -> Parsed:
    """`data.json`: the prices that hold on the day it was seen. Raises `PayloadRefusedError`."""
    today = sighting.observed_at.date()
    entries = _entries(values.entries(body, "providers"))
    return price_lists.parsed(
        "genai_prices", "genai_prices_models", entries, lambda entry: _listed(entry, today), sighting
    )


def _payloads(settings: Settings) -> Sequence[Payload]:
    del settings
    return (
        Payload(
            name="data",
            parse=parse_data,
            tables=("genai_prices_models",),
            addresses=("https://raw.githubusercontent.com/pydantic/genai-prices/main/prices/data.json",),
            patterns=("genai_prices/data-*.json", "rivals/genai_prices-*.json"),
            attribution="genai-prices (Pydantic, MIT)",
            cache_for=dt.timedelta(hours=20),
            at_least=100,
        ),
    )


SOURCE = Source(
    name="genai_prices",
    step="genai_prices",
    tables=(
        price_lists.table(
            "genai_prices", "genai_prices_models", "genai-prices: what each provider asks for each model it serves."
        ),
    ),
    payloads=_payloads,
    url="https://github.com/pydantic/genai-prices",
    stale_after=dt.timedelta(days=7),
    is_optional=True,
)
