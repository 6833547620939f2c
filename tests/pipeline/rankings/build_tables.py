"""A small build database by hand: the tables that ranking and publishing read, in their real shape.

Column lists follow what `pipeline/sources` and `pipeline/entities` write; what a row leaves out is null.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from warehouse.published import (
    TABLE_OF,
    Decision,
    Feedback,
    Model,
    ModelAlias,
    ModelRecord,
    Observation,
    QuarantinedRow,
    ShadowCall,
    SourceLoad,
)

NOW = dt.datetime(2026, 8, 22, 12, 0)

_PRICES = (
    "price_in_usd_per_mtok DOUBLE, price_out_usd_per_mtok DOUBLE, price_cache_read_usd_per_mtok DOUBLE, "
    "price_cache_write_usd_per_mtok DOUBLE, price_request_usd DOUBLE, price_image_usd DOUBLE"
)

_PRICE_LIST = (
    f"listed_id VARCHAR, provider VARCHAR, provider_model VARCHAR, name VARCHAR, kind VARCHAR, {_PRICES}, "
    "price_reasoning_usd_per_mtok DOUBLE, price_tiers_json VARCHAR, context_tokens BIGINT, max_output_tokens BIGINT, "
    "input_modalities VARCHAR[], supports_tools BOOLEAN, supports_json_schema BOOLEAN, supports_reasoning BOOLEAN, "
    "supported_efforts VARCHAR[], released_on DATE, ends_on DATE, knowledge_cutoff VARCHAR, is_open_weights BOOLEAN, "
    "observed_at TIMESTAMP"
)

COLUMNS: dict[str, str] = {
    **dict.fromkeys(("core.models_dev_models", "core.genai_prices_models", "core.litellm_prices_models"), _PRICE_LIST),
    "core.openrouter_listings": (
        "openrouter_id VARCHAR, canonical_slug VARCHAR, hugging_face_id VARCHAR, name VARCHAR, vendor VARCHAR, "
        "created_at TIMESTAMP, kind VARCHAR, variant VARCHAR, alias_target VARCHAR, context_tokens BIGINT, "
        "endpoint_context_tokens BIGINT, max_output_tokens BIGINT, is_moderated BOOLEAN, input_modalities VARCHAR[], "
        "output_modalities VARCHAR[], tokenizer VARCHAR, supported_parameters VARCHAR[], "
        f"{_PRICES}, price_reasoning_usd_per_mtok DOUBLE, price_web_search_usd DOUBLE, "
        "price_audio_usd_per_mtok DOUBLE, price_tiers_json VARCHAR, supported_efforts VARCHAR[], "
        "default_effort VARCHAR, reasoning_is_mandatory BOOLEAN, knowledge_cutoff VARCHAR, expires_on DATE, "
        "aa_intelligence_index DOUBLE, aa_coding_index DOUBLE, aa_agentic_index DOUBLE, design_arena_json VARCHAR, "
        "observed_at TIMESTAMP"
    ),
    "core.openrouter_endpoints": (
        "openrouter_id VARCHAR, canonical_slug VARCHAR, host_name VARCHAR, host_tag VARCHAR, quantization VARCHAR, "
        f"context_tokens BIGINT, max_output_tokens BIGINT, max_prompt_tokens BIGINT, {_PRICES}, "
        "price_tiers_json VARCHAR, discount DOUBLE, supported_parameters VARCHAR[], status INTEGER, "
        "uptime_percent_last_30m DOUBLE, uptime_percent_last_1d DOUBLE, latency_p50_ms DOUBLE, latency_p90_ms DOUBLE, "
        "throughput_p50_tokens_per_s DOUBLE, throughput_p90_tokens_per_s DOUBLE, may_train_on_prompts BOOLEAN, "
        "supports_implicit_caching BOOLEAN, observed_at TIMESTAMP"
    ),
    "core.lmsys_arena_ratings": (
        "model_name VARCHAR, organization VARCHAR, license VARCHAR, subset VARCHAR, category VARCHAR, rating DOUBLE, "
        "rating_lower DOUBLE, rating_upper DOUBLE, variance DOUBLE, vote_count BIGINT, rank INTEGER, "
        "published_on DATE, observed_at TIMESTAMP"
    ),
    "core.lmsys_arena_names": (
        "model_name VARCHAR, organization VARCHAR, license VARCHAR, first_published_on DATE, last_published_on DATE, "
        "is_current BOOLEAN"
    ),
    "core.lmsys_benchmarks": (
        "model_key VARCHAR, model_name VARCHAR, benchmark VARCHAR, score DOUBLE, published_on DATE, payload VARCHAR, "
        "observed_at TIMESTAMP"
    ),
    "core.alpaca_eval_results": (
        "model_name VARCHAR, win_rate DOUBLE, length_controlled_win_rate DOUBLE, standard_error DOUBLE, "
        "average_length BIGINT, published_on DATE, observed_at TIMESTAMP"
    ),
    "core.huggingface_benchmarks": (
        "huggingface_id VARCHAR, leaderboard VARCHAR, precision VARCHAR, model_sha VARCHAR, average DOUBLE, "
        "ifeval DOUBLE, bbh DOUBLE, math DOUBLE, gpqa DOUBLE, musr DOUBLE, mmlu_pro DOUBLE, arc DOUBLE, "
        "hellaswag DOUBLE, mmlu DOUBLE, truthfulqa DOUBLE, winogrande DOUBLE, gsm8k DOUBLE, params_b DOUBLE, "
        "model_type VARCHAR, architecture VARCHAR, is_merged BOOLEAN, is_moe BOOLEAN, is_flagged BOOLEAN, "
        "is_official BOOLEAN, base_model VARCHAR, license VARCHAR, has_chat_template BOOLEAN, uploaded_on DATE, "
        "submitted_on DATE, observed_at TIMESTAMP"
    ),
    "core.huggingface_repositories": (
        "huggingface_id VARCHAR, author VARCHAR, downloads BIGINT, likes BIGINT, pipeline_tag VARCHAR, "
        "library_name VARCHAR, license VARCHAR, architecture VARCHAR, params_b DOUBLE, context_tokens BIGINT, "
        "base_models VARCHAR[], tags VARCHAR[], gguf_sources VARCHAR[], gated VARCHAR, created_at TIMESTAMP, "
        "modified_at TIMESTAMP, observed_at TIMESTAMP"
    ),
    "core.artificial_analysis_models": (
        "slug VARCHAR, name VARCHAR, creator VARCHAR, effort VARCHAR, release_date DATE, intelligence_index DOUBLE, "
        "coding_index DOUBLE, math_index DOUBLE, mmlu_pro DOUBLE, gpqa DOUBLE, hle DOUBLE, livecodebench DOUBLE, "
        "scicode DOUBLE, ifbench DOUBLE, lcr DOUBLE, terminalbench DOUBLE, tau2 DOUBLE, price_in_usd_per_mtok DOUBLE, "
        "price_out_usd_per_mtok DOUBLE, throughput_tokens_per_s DOUBLE, latency_first_token_ms DOUBLE, "
        "latency_first_answer_ms DOUBLE, is_reasoning BOOLEAN, is_open_weights BOOLEAN, license VARCHAR, "
        "context_tokens BIGINT, openrouter_id VARCHAR, huggingface_id VARCHAR, observed_at TIMESTAMP"
    ),
    "core.upstream_listings": (
        "upstream VARCHAR, upstream_model VARCHAR, kind VARCHAR, is_local BOOLEAN, provider VARCHAR, owned_by VARCHAR, "
        "trained_context_tokens BIGINT, is_loaded BOOLEAN, slots BIGINT, capabilities VARCHAR[], "
        "context_tokens BIGINT, size_bytes BIGINT, quantization VARCHAR, family VARCHAR, parameter_size VARCHAR, "
        "digest VARCHAR, modified_at TIMESTAMP, observed_at TIMESTAMP"
    ),
    "core.outcomes": (
        'attempt_id VARCHAR, request_id VARCHAR, attempt INTEGER, attempts INTEGER, "at" TIMESTAMP, profile VARCHAR, '
        "difficulty DOUBLE, difficulty_band VARCHAR, category VARCHAR, model_id VARCHAR, offer_id VARCHAR, "
        "upstream VARCHAR, effort VARCHAR, endpoint VARCHAR, is_streamed BOOLEAN, outcome VARCHAR, status INTEGER, "
        "cause VARCHAR, first_byte_ms DOUBLE, first_content_ms DOUBLE, total_ms DOUBLE, prompt_tokens BIGINT, "
        "cached_tokens BIGINT, completion_tokens BIGINT, reasoning_tokens BIGINT, cost_usd DOUBLE, "
        "cost_is_reported BOOLEAN, segment VARCHAR"
    ),
}


def _contract_columns(row: type[Any], extra: str = "", without: tuple[str, ...] = ()) -> str:
    columns = [f"{c.name} {c.sql_type}" for c in TABLE_OF[row].columns if c.name not in without]
    return ", ".join([*columns, *([extra] if extra else [])])


COLUMNS |= {
    "core.observations": _contract_columns(Observation, "origin VARCHAR"),
    "core.source_loads": _contract_columns(SourceLoad),
    "core.quarantine": _contract_columns(QuarantinedRow),
    "core.decisions": _contract_columns(Decision, "segment VARCHAR"),
    "core.feedback": _contract_columns(Feedback, "segment VARCHAR"),
    "core.shadow_calls": _contract_columns(ShadowCall, "segment VARCHAR"),
    "entity.models": _contract_columns(Model, without=("offer_count",)),
    "entity.model_records": _contract_columns(ModelRecord),
    "entity.model_aliases": _contract_columns(ModelAlias),
}


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """Every input table, empty."""
    for layer in ("core", "entity", "ranking", "published"):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {layer}")
    for table, columns in COLUMNS.items():
        connection.execute(f"CREATE OR REPLACE TABLE {table} ({columns})")


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append rows given as mappings."""
    for row in rows:
        names = ", ".join(row)
        marks = ", ".join("?" for _ in row)
        connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))
