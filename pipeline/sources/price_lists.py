"""What the price lists (models.dev, genai-prices, LiteLLM) have in common: one row per provider and model it serves.

Columns, history and the rules for odd prices. How each list spells them is in its own file, who the providers are in
`providers.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from pipeline.sources import values
from pipeline.sources.source import Parsed, PayloadRefusedError, Refused, Schema, Sighting, Table, observations
from pipeline.sources.values import BadValueError

LISTED: Schema = {
    "listed_id": pl.String,
    "provider": pl.String,
    "provider_model": pl.String,
    "name": pl.String,
    "kind": pl.String,
    "price_in_usd_per_mtok": pl.Float64,
    "price_out_usd_per_mtok": pl.Float64,
    "price_cache_read_usd_per_mtok": pl.Float64,
    "price_cache_write_usd_per_mtok": pl.Float64,
    "price_reasoning_usd_per_mtok": pl.Float64,
    "price_request_usd": pl.Float64,
    "price_image_usd": pl.Float64,
    "price_tiers_json": pl.String,
    "context_tokens": pl.Int64,
    "max_output_tokens": pl.Int64,
    "input_modalities": pl.List(pl.String),
    "supports_tools": pl.Boolean,
    "supports_json_schema": pl.Boolean,
    "supports_reasoning": pl.Boolean,
    "supported_efforts": pl.List(pl.String),
    "released_on": pl.Date,
    "ends_on": pl.Date,
    "knowledge_cutoff": pl.String,
    "is_open_weights": pl.Boolean,
    "observed_at": pl.Datetime("us"),
}
"""`listed_id` is the list's own key, or provider/model where it nests them; `supports_reasoning` says that it thinks,
`supported_efforts` how hard it can be asked to."""

TIER_PRICES = (
    "price_in_usd_per_mtok",
    "price_out_usd_per_mtok",
    "price_cache_read_usd_per_mtok",
    "price_cache_write_usd_per_mtok",
)

_HISTORY = (*TIER_PRICES, "price_reasoning_usd_per_mtok", "context_tokens", "max_output_tokens")


CHEAPEST_USD_PER_MTOK, DEAREST_USD_PER_MTOK = 0.001, 2_000.0
"""Outside of these a price was written in another unit, such as per token: the cheapest model in these lists asks
0.003, the dearest 600."""


def settled_prices(found: Mapping[str, float | None]) -> dict[str, float | None]:
    """Price columns as they may be believed. Both sides zero is how these lists write "free", "flat" and "unknown".

    Raises `BadValueError` for a prompt or completion price that is in another unit.
    """
    price_in, price_out = found.get("price_in_usd_per_mtok"), found.get("price_out_usd_per_mtok")
    for price in (price_in, price_out):
        if price and not CHEAPEST_USD_PER_MTOK <= price <= DEAREST_USD_PER_MTOK:
            raise BadValueError(f"a price of {price:g} USD per million tokens is in another unit")
    if price_in is None or price_out is None or price_in == price_out == 0:
        return dict.fromkeys(found)
    return dict(found)


def settled_tiers(tiers: Sequence[Mapping[str, Any]], found: Mapping[str, float | None]) -> str | None:
    """`price_tiers_json` of the tiers that change a price that is known; None where none does."""
    if found.get("price_in_usd_per_mtok") is None:
        return None
    kept = []
    for tier in tiers:
        prices = {name: tier[name] for name in TIER_PRICES if tier.get(name) is not None}
        if any(price != found.get(name) for name, price in prices.items()):
            kept.append({"min_prompt_tokens": tier["min_prompt_tokens"], **prices})
    return values.tiers_json(kept)


def limit(value: object) -> int | None:
    """A count of tokens. None for zero and for what no window can be: a limit adorns a price, it does not carry it."""
    try:
        return values.context(value)
    except BadValueError:
        return None


def observer(source: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """History rows of a list: prices and limits."""

    def observe(frame: pl.DataFrame) -> pl.DataFrame:
        return observations(frame, source, "listed_id", _HISTORY, pl.lit("").alias("scope"))

    return observe


def table(source: str, name: str, description: str) -> Table:
    """The core table of a price list."""
    return Table(name, LISTED, description, observe=observer(source))


def parsed(
    source: str,
    table_name: str,
    entries: Sequence[object],
    read: Callable[[object], dict[str, Any] | None],
    sighting: Sighting,
) -> Parsed:
    """Rows of the entries that `read` takes; None from it leaves an entry out, as one that this project cannot call.

    Raises `PayloadRefusedError` when nothing is left, or most of it cannot be read.
    """
    rows: dict[str, dict[str, Any]] = {}
    refused: list[Refused] = []
    for position, entry in enumerate(entries):
        try:
            row = read(entry)
        except BadValueError as error:
            refused.append(Refused(_reference(entry, position), str(error), entry))
            continue
        if row is None:
            continue
        if row["listed_id"] in rows:
            refused.append(Refused(row["listed_id"], "a second row under the same key", entry))
            continue
        rows[row["listed_id"]] = row
    if not rows:
        raise PayloadRefusedError("no model of a known provider is in it")
    if len(refused) > len(rows):
        raise PayloadRefusedError(
            f"{len(refused)} of {len(entries)} rows cannot be read; the first says: {refused[0].reason}"
        )
    filled = [{**dict.fromkeys(LISTED), **rows[key], "observed_at": sighting.observed_at} for key in sorted(rows)]
    frame = pl.DataFrame(filled, schema=dict(LISTED))
    return Parsed({table_name: frame}, observer(source)(frame), refused, sighting.observed_at)


def _reference(entry: object, position: int) -> str:
    named = [values.text(part) for part in entry[:2]] if isinstance(entry, tuple) else []
    return "/".join(part for part in named if part) or f"entry {position}"
