"""What can be ranked: every callable offer at every effort it takes, with the estimates that a score needs.

Pure. An offer that may not be used by default (free tiers, hosts that train on prompts) is left out here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.rankings import efforts, speed
from pipeline.rankings.efforts import DEFAULT
from pipeline.rankings.speed import OUTCOME_HALF_LIFE_DAYS, WORTH_IN_CALLS, OwnAttempts, OwnCalls

SCHEMA: dict[str, Any] = {
    "offer_id": pl.String,
    "model_id": pl.String,
    "effort": pl.String,
    "configuration": pl.String,
    "quality": pl.Float64,
    "quality_when_hard": pl.Float64,
    "quality_sd": pl.Float64,
    "quality_basis": pl.String,
    "latency_first_token_ms": pl.Float64,
    "throughput_tokens_per_s": pl.Float64,
    "thinking_tokens": pl.Float64,
    "first_content_ratio": pl.Float64,
    "latency_basis": pl.String,
    "reliability": pl.Float64,
    "failed_call_ms": pl.Float64,
    "price_in_usd_per_mtok": pl.Float64,
    "price_out_usd_per_mtok": pl.Float64,
    "price_reasoning_usd_per_mtok": pl.Float64,
    "price_request_usd": pl.Float64,
    "price_tiers": pl.List(
        pl.Struct(
            {
                "min_prompt_tokens": pl.Int64,
                "price_in_usd_per_mtok": pl.Float64,
                "price_out_usd_per_mtok": pl.Float64,
            }
        )
    ),
    "context_tokens": pl.Int64,
}


_QUANTIZED_SD = {1: 80.0, 2: 50.0, 3: 25.0, 4: 12.0, 5: 8.0, 6: 5.0, 8: 3.0}
"""Rating points that so many bits a weight make an estimate less certain by."""


COLD_START_MS = 5_000.0
"""What loading weights into memory is taken to add to the first token, until own calls say better: some gigabytes at
the pace of a disk."""


@dataclass(frozen=True)
class CallableOffer:
    """What a score needs to know of an offer."""

    offer_id: str
    model_id: str
    is_local: bool
    is_free: bool
    may_train_on_prompts: bool | None
    supports_reasoning: bool | None
    reasoning_is_mandatory: bool | None
    supported_efforts: tuple[str, ...]
    price_in_usd_per_mtok: float | None
    price_out_usd_per_mtok: float | None
    price_reasoning_usd_per_mtok: float | None
    price_request_usd: float | None
    context_tokens: int | None
    latency_ms: float | None
    throughput_tokens_per_s: float | None
    active_size_b: float | None
    quantization: str | None = None
    uptime_percent: float | None = None
    """Rate-limited calls left out."""
    endpoint_age_days: float = 0.0
    """How much older than the listing the endpoint's latency, throughput and uptime are."""
    is_host: bool = False
    """Asks for one host of a marketplace, by its tag."""
    price_tiers_json: str | None = None
    """As `published.offers` holds it."""
    is_loaded: bool | None = None
    """Of a local server's model: in memory now."""

    @property
    def price_tiers(self) -> list[dict[str, Any]] | None:
        """Prices of whole calls from a prompt length on, shortest first; None where length makes no difference."""
        return json.loads(self.price_tiers_json) if self.price_tiers_json else None

    def prices_for(self, prompt_tokens: int) -> tuple[float | None, float | None]:
        """Prompt and completion price, in USD per million tokens, of a call with so long a prompt."""
        reached = [tier for tier in self.price_tiers or () if tier["min_prompt_tokens"] <= prompt_tokens]
        tier = reached[-1] if reached else {}
        return (
            tier.get("price_in_usd_per_mtok", self.price_in_usd_per_mtok),
            tier.get("price_out_usd_per_mtok", self.price_out_usd_per_mtok),
        )

    @property
    def gives_prompts_away(self) -> bool:
        """Free tiers are paid for with prompts and low limits; some hosts train on prompts or publish them."""
        return self.is_free or bool(self.may_train_on_prompts)

    @property
    def let_through(self) -> float:
        """Share of calls that a free tier's limits let through and that find a host where it was listed."""
        limited = speed.UNLIMITED_SHARE if self.is_free else 1.0
        return float(limited * speed.HOST_STAYS_A_DAY ** (max(self.endpoint_age_days, 0.0) if self.is_host else 0.0))

    @property
    def endpoint_worth(self) -> float:
        """What the endpoint's figures are worth in calls: they age as own calls do."""
        return float(WORTH_IN_CALLS["endpoint"] * 0.5 ** (max(self.endpoint_age_days, 0.0) / OUTCOME_HALF_LIFE_DAYS))


@dataclass(frozen=True)
class Configured:
    """Estimates of a model at an effort."""

    effort: str
    is_default: bool
    quality: float | None
    quality_when_hard: float | None
    quality_sd: float | None
    quality_basis: str | None
    first_token_ms: float
    tokens_per_s: float
    thinking_tokens: float
    speed_basis: str


def build(
    offers: Iterable[CallableOffer],
    configurations: Mapping[str, Sequence[Configured]],
    own_calls: Mapping[tuple[str, str | None], OwnCalls],
    own_attempts: Mapping[str, OwnAttempts],
    *,
    allow_data_collection: bool,
) -> pl.DataFrame:
    """One row per offer and effort to ask for (null: do not ask), columns as `SCHEMA`."""
    rows = []
    for offer in offers:
        if offer.gives_prompts_away and not allow_data_collection:
            continue
        for effort, configured in asked_for(offer, configurations.get(offer.model_id, ())):
            own, attempts = own_calls.get((offer.offer_id, effort)), own_attempts.get(offer.offer_id)
            rows.append(_row(offer, effort, configured, own, attempts))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def asked_for(offer: CallableOffer, configured: Sequence[Configured]) -> list[tuple[str | None, Configured]]:
    """The efforts this offer can be asked for, each with the configuration that answers."""
    if not configured:
        return []
    default = next((c for c in configured if c.is_default), configured[0])
    if not offer.supports_reasoning or default.effort == DEFAULT:
        return [(None, default)]
    listed = {e for raw in offer.supported_efforts if (e := efforts.canonical(raw)) in efforts.POSITION}
    if not listed:
        listed = {"high"}
    if offer.reasoning_is_mandatory is False:
        listed.add("none")
    chosen: list[tuple[str | None, Configured]] = [(c.effort, c) for c in configured if c.effort in listed]
    return chosen or [(None, default)]


def _blurred(quality_sd: float | None, quantization: str | None) -> float | None:
    """What was rated was seldom quantised, and what that costs depends on how it was done."""
    if quality_sd is None:
        return None
    return math.hypot(quality_sd, _QUANTIZED_SD.get(_bits(quantization), 0.0))


def _bits(quantization: str | None) -> int:
    found = re.search(r"\d+", quantization or "")
    return int(found.group()) if found else 16


def _row(
    offer: CallableOffer,
    effort: str | None,
    configured: Configured,
    own: OwnCalls | None,
    attempts: OwnAttempts | None,
) -> tuple[object, ...]:
    first_token_ms, tokens_per_s, basis = configured.first_token_ms, configured.tokens_per_s, configured.speed_basis
    if offer.is_local:
        # A server of one's own has nothing in common with the hosts that others measured.
        first_token_ms, tokens_per_s = speed.local_speed(offer.active_size_b)
        if offer.is_loaded is False:
            first_token_ms += COLD_START_MS
        basis = "inferred"
    worth = WORTH_IN_CALLS[basis]
    if offer.latency_ms:
        first_token_ms = speed.combine([(first_token_ms, worth), (offer.latency_ms, offer.endpoint_worth)])
    if offer.throughput_tokens_per_s:
        tokens_per_s = speed.combine([(tokens_per_s, worth), (offer.throughput_tokens_per_s, offer.endpoint_worth)])
    if offer.latency_ms or offer.throughput_tokens_per_s:
        basis, worth = "endpoint" if offer.endpoint_worth >= worth else basis, worth + offer.endpoint_worth
    reliable = speed.reliability(
        first_token_ms,
        let_through=offer.let_through,
        uptime_percent=offer.uptime_percent,
        uptime_worth=offer.endpoint_worth,
        own=attempts,
    )
    ratio = 1.0
    if own is not None:
        expected_ms = first_token_ms + configured.thinking_tokens / tokens_per_s * 1000
        seen = [(expected_ms, worth), (math.exp(own.log_first_content_ms), own.calls)]
        ratio = speed.combine(seen) / expected_ms
        if own.log_tokens_per_s is not None and own.output_calls > 0:
            tokens_per_s = speed.combine([(tokens_per_s, worth), (math.exp(own.log_tokens_per_s), own.output_calls)])
        if own.calls >= worth:
            basis = "outcomes"
    return (
        offer.offer_id,
        offer.model_id,
        effort,
        configured.effort,
        configured.quality,
        configured.quality_when_hard,
        _blurred(configured.quality_sd, offer.quantization),
        configured.quality_basis or "missing",
        first_token_ms,
        tokens_per_s,
        configured.thinking_tokens,
        ratio,
        basis,
        reliable.answered_share,
        reliable.failed_call_ms,
        offer.price_in_usd_per_mtok,
        offer.price_out_usd_per_mtok,
        offer.price_reasoning_usd_per_mtok,
        offer.price_request_usd,
        offer.price_tiers,
        offer.context_tokens,
    )
