"""Which tables' columns are traced: those of SQL files by reading them, those that Python makes by what is said here.

Said are only columns whose making is plain from the code; the rest of those tables has no lineage. How SQL is read is
in `derive.py`; `python -m pipeline.lineage` writes what comes of both into `columns.json`.
"""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.entities import read
from pipeline.lineage.derive import Columns, columns_of, declared_columns
from warehouse import sql
from warehouse.published import TABLES

READ_IN_ORDER = (
    "ranking.provider_prices",
    "ranking.offers",
    "ranking.price_disagreements",
    "ranking.evidence",
    "ranking.own_calls",
    "ranking.own_attempts",
    "ranking.pareto",
    "ranking.changes",
    "published.models",
    "published.snapshot",
)
"""Tables that one SQL statement makes, each after those it reads."""

_NOT_IN_ENTITY_MODELS = "offer_count"

_READ_FROM_THE_NAME = (
    *("words", "modality", "training", "revision", "context", "date", "preview", "variant", "quantization"),
    *("mode", "tier", "effort"),
)

_ENDS_OF_A_PAIR = {
    f"{end}_{part}": f"entity.records.{part}" for end in ("left", "right") for part in ("source", "record_id")
}

_LATENCY = (
    "entity.models.size_b entity.models.active_size_b ranking.configurations.latency_ms "
    "ranking.configurations.throughput_tokens_per_s ranking.offers.latency_ms ranking.offers.throughput_tokens_per_s "
    "ranking.own_calls.log_first_content_ms ranking.own_calls.log_tokens_per_s"
)
_COST = (
    "ranking.configurations.output_tokens ranking.offers.price_in_usd_per_mtok ranking.offers.price_out_usd_per_mtok "
    "ranking.offers.price_reasoning_usd_per_mtok ranking.offers.price_request_usd ranking.offers.price_tiers_json"
)
_RELIABILITY = "ranking.offers.uptime_percent ranking.own_attempts.answered ranking.own_attempts.failed"
_WEIGHTS = " ".join(
    f"ranking.profiles.{name}"
    for name in ("weight_quality", "weight_latency", "weight_cost", "weight_context", "caution")
)
_RANKED = {
    "profile": "ranking.profiles.profile",
    "model_id": "ranking.offers.model_id",
    "offer_id": "ranking.offers.offer_id",
    "effort": "ranking.configurations.effort",
}
_ESTIMATED = {
    "quality": "ranking.evidence.value ranking.evidence.variance",
    "quality_sd": "ranking.evidence.value ranking.evidence.variance",
}
_QUALITY = {
    "quality": "ranking.configurations.quality",
    "quality_sd": "ranking.configurations.quality_sd ranking.offers.quantization",
    "quality_basis": "ranking.configurations.quality_basis",
}
_WAIT_AND_COST = {"latency_ms": _LATENCY, "cost_in_usd_per_call": _COST}

DECLARED: dict[str, dict[str, str]] = {
    "entity.records": {
        **{column: column for column in ("record_id", "params_b", "released_on", "first_seen_on", "last_seen_on")},
        **dict.fromkeys(_READ_FROM_THE_NAME, "name"),
        **dict.fromkeys(("version", "size", "size_b", "active_b"), "name canonical_name display_name"),
        "vendor": "name organization",
        "stage": "name is_pretrained",
    },
    "entity.pairs": _ENDS_OF_A_PAIR,
    "entity.model_records": {
        **{
            column: f"entity.records.{column}"
            for column in ("source", "record_id", "effort", "variant", "quantization")
        },
        "model_id": "entity.records.cluster_id entity.records.record_id entity.records.vendor",
        "match_probability": "entity.pairs.match_probability",
        "match_reason": "entity.pairs.match_reason",
        "observed_at": "observed_at",
    },
    "entity.models": {
        "model_id": "entity.model_records.model_id",
        "name": "display_name entity.records.record_id",
        "vendor": "entity.records.vendor entity.records.family_vendor",
        "family": "entity.records.words entity.records.tier",
        "version": "entity.records.version",
        "kind": "kind entity.records.modality entity.records.words entity.records.stage",
        "size_b": "entity.records.size_b entity.records.params_b",
        "active_size_b": "entity.records.active_b",
        "released_on": "entity.records.date entity.records.released_on entity.records.first_seen_on",
        "knowledge_cutoff": "knowledge_cutoff",
        "license": "license",
        "is_open_weights": "is_open_weights entity.records.source",
        "sources": "entity.records.source",
    },
    "entity.model_aliases": {
        "alias": "display_name entity.model_records.record_id entity.changes.old_model_id",
        "model_id": "entity.model_records.model_id",
    },
    "ranking.configurations": {
        "model_id": "entity.models.model_id",
        **_ESTIMATED,
        "latency_ms": "ranking.evidence.value",
        "throughput_tokens_per_s": "ranking.evidence.value",
    },
    "ranking.category_qualities": {
        "model_id": "entity.models.model_id",
        "category": "ranking.evidence.scope",
        **_ESTIMATED,
    },
    "ranking.rankings": {
        **_RANKED,
        **_QUALITY,
        **_WAIT_AND_COST,
        "context_tokens": "ranking.offers.context_tokens",
        "reliability": _RELIABILITY,
        "score": f"{_WEIGHTS} {_QUALITY['quality']} {_QUALITY['quality_sd']} {_LATENCY} {_COST} {_RELIABILITY} "
        "ranking.offers.context_tokens",
    },
    "ranking.band_rankings": {**_RANKED, **_WAIT_AND_COST},
    "ranking.category_rankings": {
        **_RANKED,
        "quality": f"ranking.category_qualities.quality {_QUALITY['quality']}",
        "quality_sd": f"ranking.category_qualities.quality_sd {_QUALITY['quality_sd']}",
        "quality_basis": f"ranking.category_qualities.basis {_QUALITY['quality_basis']}",
    },
}
"""Columns of tables that Python makes. A name without a table is a column of the records that linkage reads, and stands
for the core columns that `sql/entity/records_*.sql` make it of."""

FILE = Path(__file__).with_name("columns.json")


def everything() -> dict[str, dict[str, list[str]]]:
    """Sources of every traced column as 'schema.table.column', by table and column, all sorted."""
    contract = {table.name: tuple(column.name for column in table.columns) for table in TABLES}
    # A second dot marks a statement that makes no table.
    own = [name for name in sql.names("core") if "." not in name]
    known = {f"core.{name}": declared_columns(sql.statement("core", name)) for name in own}
    known |= {f"entity.{name}": contract[name] for name in ("model_records", "model_aliases")}
    known["entity.models"] = tuple(name for name in contract["models"] if name != _NOT_IN_ENTITY_MODELS)
    known |= {f"ranking.{name}": contract[name] for name in ("profiles", "configurations", "rankings")}

    records = _records(known)
    traced = {
        table: {
            column: frozenset().union(*(records.get(one, {one}) for one in sources.split()))
            for column, sources in columns.items()
        }
        for table, columns in DECLARED.items()
    }
    for table in READ_IN_ORDER:
        schema, name = table.split(".")
        made = columns_of(sql.statement(schema, name), known)
        shown = contract.get(name, tuple(made))
        traced[table] = {column: sources for column, sources in made.items() if column in shown and sources}
        known[table] = tuple(column for column in made if column in shown)
    return {
        table: {column: sorted(sources) for column, sources in sorted(columns.items())}
        for table, columns in sorted(traced.items())
    }


def text() -> str:
    """What `columns.json` has to hold."""
    return json.dumps(everything(), indent=1) + "\n"


def _records(known: dict[str, tuple[str, ...]]) -> Columns:
    """Columns of the records that linkage reads, whatever their source."""
    found: Columns = {}
    for source in read.SOURCES:
        for column, sources in columns_of(sql.statement("entity", f"records_{source}"), known).items():
            found[column] = found.get(column, frozenset()) | sources
    return found
