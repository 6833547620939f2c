"""A small market with known answers: a dozen models, three efforts, a free twin, a local server and what is no chat.

Numbers are invented; shapes are those of the sources.
"""

from __future__ import annotations

from typing import Any

import duckdb

from tests.pipeline.rankings.build_tables import NOW, create, insert

_CHAT_PARAMETERS = ["tools", "response_format", "structured_outputs", "max_tokens"]


def listing(openrouter_id: str, price_in: float | None, price_out: float | None, **more: Any) -> dict[str, Any]:
    """A row of `core.openrouter_listings`."""
    return {
        "openrouter_id": openrouter_id,
        "name": openrouter_id,
        "vendor": openrouter_id.split("/")[0],
        "kind": "chat",
        "variant": openrouter_id.split(":")[1] if ":" in openrouter_id else None,
        "context_tokens": 131_072,
        "input_modalities": ["text"],
        "output_modalities": ["text"],
        "supported_parameters": _CHAT_PARAMETERS,
        "price_in_usd_per_mtok": price_in,
        "price_out_usd_per_mtok": price_out,
        "observed_at": NOW,
        **more,
    }


def thinking(efforts: list[str], default: str, *, mandatory: bool = False) -> dict[str, Any]:
    """What a listing says of a model whose effort can be chosen."""
    return {
        "supported_parameters": [*_CHAT_PARAMETERS, "reasoning"],
        "supported_efforts": efforts,
        "default_effort": default,
        "reasoning_is_mandatory": mandatory,
    }


LISTINGS = [
    listing("acme/grand", 15.0, 75.0, **thinking(["low", "medium", "high"], "medium", mandatory=True)),
    listing("acme/swift", 0.1, 0.4),
    listing("acme/swift:free", 0.0, 0.0),
    listing("acme/swift:batch", 0.05, 0.2, kind="batch"),
    listing("~acme/latest", 15.0, 75.0, kind="alias", alias_target="acme/grand"),
    listing("bolt/mid", 1.0, 3.0, context_tokens=1_048_576, endpoint_context_tokens=262_144),
    listing("bolt/old", 1.0, 3.0, expires_on="2026-08-01"),
    listing("bolt/cheap-contributor", 0.01, 0.02),
    listing("bolt/unpriced", None, None),
    listing("crest/guard", 0.1, 0.1, kind="guard"),
    listing("crest/paint", 0.1, 0.1, kind="image", output_modalities=["image"]),
    listing("openrouter/auto", None, None, kind="router"),
]

MODEL_OF = {
    "acme/swift:free": "acme/swift",
    "acme/swift:batch": "acme/swift",
    "~acme/latest": "acme/grand",
    "bolt/cheap-contributor": "bolt/mid",
}

RATINGS = {"acme/grand": 1480.0, "acme/swift": 1300.0, "bolt/mid": 1400.0, "bolt/old": 1200.0}

RATED_ONLY = {f"dune/number-{n}": 1100.0 + 20 * n for n in range(12)}


def build(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill every input table."""
    create(connection)
    insert(connection, "core.openrouter_listings", LISTINGS)
    models: dict[str, list[tuple[str, str, str | None]]] = {}
    for row in LISTINGS:
        name = row["openrouter_id"]
        models.setdefault(MODEL_OF.get(name, name.lstrip("~")), []).append(("openrouter", name, None))
    for model_id, rating in {**RATINGS, **RATED_ONLY}.items():
        effort = "high" if model_id == "acme/grand" else None
        arena_name = model_id.split("/")[1] + (f"-{effort}" if effort else "")
        models.setdefault(model_id, []).append(("lmsys_arena", arena_name, effort))
        insert(
            connection,
            "core.lmsys_arena_ratings",
            [
                {
                    "model_name": arena_name,
                    "subset": "text",
                    "category": "overall",
                    "rating": rating,
                    "variance": 9.0,
                    "vote_count": 5000,
                    "published_on": NOW.date(),
                    "observed_at": NOW,
                }
            ],
        )
    for number, model_id in enumerate([*RATINGS, *RATED_ONLY]):
        slug = model_id.split("/")[1]
        models[model_id].append(("artificial_analysis", slug, "high" if model_id == "acme/grand" else None))
        insert(
            connection,
            "core.artificial_analysis_models",
            [
                {
                    "slug": slug,
                    "name": slug,
                    "effort": "high" if model_id == "acme/grand" else None,
                    "intelligence_index": ({**RATINGS, **RATED_ONLY}[model_id] - 1000) / 10,
                    "throughput_tokens_per_s": 50.0 + 5 * number,
                    "latency_first_token_ms": 12_000.0 if model_id == "acme/grand" else 600.0,
                    "latency_first_answer_ms": 12_000.0 if model_id == "acme/grand" else 600.0,
                    "observed_at": NOW,
                }
            ],
        )
    insert(
        connection,
        "core.upstream_listings",
        [
            {
                "upstream": "ollama",
                "upstream_model": "swift:7b",
                "kind": "ollama",
                "is_local": True,
                "context_tokens": 4096,
                "observed_at": NOW,
            },
            {
                "upstream": "ollama",
                "upstream_model": "embed",
                "kind": "ollama",
                "is_local": True,
                "observed_at": NOW,
            },
            {"upstream": "cloud", "upstream_model": "mid", "kind": "openai", "is_local": False, "observed_at": NOW},
        ],
    )
    models["acme/swift"].append(("upstream", "ollama:swift:7b", None))
    models["acme/embed"] = [("upstream", "ollama:embed", None)]
    models["bolt/mid"].append(("upstream", "cloud:mid", None))
    kinds = {"acme/embed": "embedding", "crest/guard": "guard", "crest/paint": "image", "openrouter/auto": "router"}
    for model_id, records in models.items():
        vendor, name = model_id.split("/")
        insert(
            connection,
            "entity.models",
            [
                {
                    "model_id": model_id,
                    "name": name,
                    "vendor": vendor,
                    "family": name.split("-")[0],
                    "kind": kinds.get(model_id, "chat"),
                    "size_b": 7.0 if model_id == "acme/swift" else None,
                    "released_on": NOW.date(),
                    "sources": sorted({source for source, _, _ in records}),
                    "record_count": len(records),
                }
            ],
        )
        for source, record_id, effort in records:
            insert(
                connection,
                "entity.model_records",
                [
                    {
                        "source": source,
                        "record_id": record_id,
                        "model_id": model_id,
                        "match_probability": 1.0,
                        "match_reason": "exact",
                        "effort": effort,
                        "observed_at": NOW,
                    }
                ],
            )
            alias = {"alias": record_id.lower(), "model_id": model_id, "kind": "record"}
            if source == "openrouter":
                insert(connection, "entity.model_aliases", [alias])
    insert(
        connection,
        "core.source_loads",
        [
            {
                "source": source,
                "payload": "all",
                "origin": "directory",
                "reference": "file",
                "sha256": "0",
                "observed_at": NOW,
                "loaded_at": NOW,
                "rows_loaded": 1,
                "rows_quarantined": 0,
                "attribution": "nobody",
            }
            for source in ("openrouter", "lmsys_arena")
        ],
    )
