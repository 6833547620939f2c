"""An invented market of models, big enough to look like one: ranked by a plain formula, with evidence for each number.

Nothing in it exists, so that a picture of the page made from it can mislead nobody about a real model.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

from tests.proxy import publication
from tests.proxy.publication import NOW, row
from warehouse import published
from warehouse.published import Offer

EFFORTS = ("low", "high")
WEIGHTS: dict[str, tuple[float, float, float, float]] = {
    "balanced": (0.4, 0.3, 0.3, 0.0),
    "quality": (0.8, 0.1, 0.1, 0.0),
    "speed": (0.1, 0.7, 0.2, 0.0),
    "budget": (0.1, 0.1, 0.8, 0.0),
    "long_context": (0.3, 0.2, 0.2, 0.3),
}
_VENDORS = ("harbor", "northlight", "quarry", "saltmarsh", "tern", "weald")
_FAMILIES = ("Atlas", "Birch", "Cirrus", "Delta", "Ember", "Fjord", "Garnet", "Heron")
_BASES = ("rated", "rated", "measured", "inferred")


def _models() -> list[tuple[Any, ...]]:
    """Id, name, quality, its deviation, basis, price in and out, latency, context, whether it thinks.

    Better is dearer, more or less.
    """
    made = []
    for i in range(48):
        vendor, family = _VENDORS[i % 6], _FAMILIES[i % 8]
        step = i / 47
        wobble = math.sin(i * 2.399)
        name = f"{family} {1 + i // 8}.{i % 3}" + (" Mini" if wobble < -0.6 else "")
        quality = 1180 + 300 * step**0.8 + 28 * wobble
        basis = _BASES[i % 4]
        deviation = {"rated": 4.0, "measured": 14.0, "inferred": 38.0}[basis] + 3 * abs(wobble)
        price = 0.03 * 10 ** (2.4 * step + 0.35 * math.sin(i * 5.1))
        model_id = f"{vendor}/{name.lower().replace(' ', '-')}"
        latency = 500 + 3500 * step + 600 * math.sin(i * 3.3)
        context = (32_000, 128_000, 200_000, 1_000_000)[(i * 7) % 4]
        made.append((model_id, name, quality, deviation, basis, price, price * 4, latency, context, i % 5 == 0))
    return made


def _score(
    weights: tuple[float, ...], quality: float, latency_ms: float, cost: float, context: int
) -> tuple[float, ...]:
    parts = (
        1 / (1 + math.exp(-(quality - 1340) / 60)),
        1 / (1 + latency_ms / 6000),
        1 / (1 + cost / 0.003),
        min(1.0, math.log2(context / 8000) / 7),
    )
    return (sum(w * part for w, part in zip(weights, parts, strict=True)), *parts)


def rows(now: dt.datetime = NOW) -> list[Any]:
    """The whole publication, as if built a quarter of an hour before `now`."""
    made: list[Any] = [
        publication.snapshot(
            built_at=now - dt.timedelta(minutes=15),
            source_observed_at={
                "openrouter": now - dt.timedelta(minutes=24),
                "lmsys_arena": now - dt.timedelta(hours=9),
                "huggingface": now - dt.timedelta(days=8),
            },
            source_ages_s={"openrouter": 1440.0, "lmsys_arena": 32_400.0, "huggingface": 691_200.0},
            source_origins={"openrouter": "live", "lmsys_arena": "cache", "huggingface": "bundled"},
        )
    ]
    placed: list[tuple[Offer, str | None, float | None, float | None, str, float, float]] = []
    for model_id, name, quality, deviation, basis, price_in, price_out, latency, context, thinks in _models():
        made.append(
            publication.model(model_id, name=name, is_open_weights=price_in < 0.3, record_count=2, offer_count=1)
        )
        offers = [
            publication.offer(
                model_id,
                price_in_usd_per_mtok=price_in,
                price_out_usd_per_mtok=price_out,
                context_tokens=context,
                latency_ms=latency / 4,
                host_tag="first",
                host_name="First Host",
                supports_vision=thinks,
            )
        ]
        if price_in < 0.05:
            offers.append(
                publication.offer(
                    model_id,
                    upstream="workstation",
                    upstream_model=name.lower().replace(" ", "-"),
                    price_in_usd_per_mtok=0.0,
                    price_out_usd_per_mtok=0.0,
                    context_tokens=32_000,
                    is_local=True,
                )
            )
        made += [*offers, *publication.records(offers[:1])]
        made.append(
            row(
                published.ModelRecord,
                source="lmsys_arena",
                record_id=name.lower().replace(" ", "-"),
                model_id=model_id,
                match_probability=0.987,
                match_reason="linked",
                observed_at=NOW,
            )
        )
        for effort in (*EFFORTS, None) if thinks else (None,):
            lift = {"low": -12.0, "high": 22.0, None: 0.0}[effort]
            longer = {"low": 0.7, "high": 2.6, None: 1.0}[effort]
            made.append(
                row(
                    published.Configuration,
                    model_id=model_id,
                    effort=effort or ("medium" if thinks else "default"),
                    is_default=effort is None,
                    quality=quality + lift,
                    quality_sd=deviation,
                    quality_basis=basis,
                    output_tokens=600.0 * longer,
                    latency_ms=latency * longer / 2,
                    throughput_tokens_per_s=70.0,
                    latency_basis="endpoint",
                )
            )
            made.append(
                _signal(model_id, effort, "quality", quality + lift, "arena_rating", basis, "lmsys_arena", name)
            )
            for offer in offers:
                cost = 0.0 if offer.is_local else (700 * price_in + 600 * longer * price_out) / 1e6
                placed.append((offer, effort, quality + lift, deviation, basis, latency * longer, cost))
        made.append(_signal(model_id, None, "cost", price_in, "usd_per_mtok", "listed", "openrouter", model_id))
        made.append(_signal(model_id, None, "latency", latency / 4, "ms", "endpoint", "openrouter", model_id))
    for profile, weights in WEIGHTS.items():
        made.append(
            row(
                published.Profile,
                profile=profile,
                description=f"The {profile} profile.",
                is_default=profile == "balanced",
                **dict(
                    zip(("weight_quality", "weight_latency", "weight_cost", "weight_context"), weights, strict=True)
                ),
            )
        )
        for band, harder in (("easy", 0.6), ("medium", 1.0), ("hard", 2.0)):
            made += _ranked(profile, weights, placed, band, harder)
    return made


def _signal(
    model_id: str, effort: str | None, signal: str, value: float, unit: str, basis: str, source: str, record_id: str
) -> published.Signal:
    return row(  # type: ignore[no-any-return]
        published.Signal,
        model_id=model_id,
        effort=effort,
        signal=signal,
        value=value,
        unit=unit,
        basis=basis,
        source=source,
        record_id=record_id.lower().replace(" ", "-"),
        metric={"quality": "rating", "cost": "price_in_usd_per_mtok", "latency": "latency_p50_ms"}[signal],
        metric_value=value,
        observed_at=NOW - dt.timedelta(hours=9),
    )


def _ranked(profile: str, weights: tuple[float, ...], placed: list[Any], band: str, harder: float) -> list[Any]:
    scored = []
    for offer, effort, quality, deviation, basis, latency, cost in placed:
        cost, latency = cost * harder, latency * harder
        parts = _score(weights, quality, latency, cost, offer.context_tokens)
        scored.append((parts, offer, effort, quality, deviation, basis, latency, cost))
    scored.sort(key=lambda one: (-one[0][0], one[1].offer_id, one[2] or ""))
    rows: list[Any] = []
    for rank, (parts, offer, effort, quality, deviation, basis, latency, cost) in enumerate(scored, 1):
        shared = {
            "profile": profile,
            "rank": rank,
            "model_id": offer.model_id,
            "offer_id": offer.offer_id,
            "effort": effort,
            **dict(zip(("score", "quality_score", "latency_score", "cost_score", "context_score"), parts, strict=True)),
            "latency_ms": latency,
            "cost_in_usd_per_call": cost,
        }
        rows.append(row(published.BandRanking, difficulty_band=band, **shared))
        if band == "medium":
            rows.append(
                row(
                    published.Ranking,
                    quality=quality,
                    quality_sd=deviation,
                    quality_basis=basis,
                    latency_basis="endpoint",
                    context_tokens=offer.context_tokens,
                    **shared,
                )
            )
    return rows
