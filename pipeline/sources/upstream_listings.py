"""Models that the configured upstreams list themselves: local servers, and vendors other than OpenRouter.

Reads OpenAI's `/models` in the spellings of vLLM, llama.cpp, LM Studio and the vendors, and Ollama's `/api/tags`.
A local server that does not answer has nothing to offer; that is a note, never an error.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import polars as pl

from pipeline.settings import Settings
from pipeline.sources import providers, values
from pipeline.sources.source import Parsed, Payload, PayloadRefusedError, Schema, Sighting, Source, Table
from pipeline.sources.values import BadValueError
from warehouse import upstreams
from warehouse.upstreams import Upstream

LISTINGS: Schema = {
    "upstream": pl.String,
    "upstream_model": pl.String,
    "kind": pl.String,
    "is_local": pl.Boolean,
    "provider": pl.String,
    "owned_by": pl.String,
    "context_tokens": pl.Int64,
    "size_bytes": pl.Int64,
    "quantization": pl.String,
    "family": pl.String,
    "parameter_size": pl.String,
    "digest": pl.String,
    "modified_at": pl.Datetime("us"),
    "observed_at": pl.Datetime("us"),
}


def _model(entry: object, upstream: str, kind: str, is_local: bool, provider: str | None) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise BadValueError(f"the entry is a {type(entry).__name__}")
    details = values.mapping(entry.get("details"))
    meta = values.mapping(entry.get("meta"))
    windows = (
        entry.get("context_length"),
        entry.get("max_model_len"),
        entry.get("context_window"),
        entry.get("max_context_length"),
        # llama.cpp: what the server was started with, then what the model was trained for.
        meta.get("n_ctx"),
        meta.get("n_ctx_train"),
    )
    return {
        "upstream": upstream,
        "upstream_model": values.required_text(entry.get("id") or entry.get("model") or entry.get("name"), "id"),
        "kind": kind,
        "is_local": is_local,
        "provider": provider,
        "owned_by": values.text(entry.get("owned_by")),
        "context_tokens": next((found for found in map(values.count, windows) if found), None),
        "size_bytes": values.count(entry.get("size") or meta.get("size")) or None,
        "quantization": values.text(details.get("quantization_level") or entry.get("quantization")),
        "family": values.text(details.get("family") or entry.get("arch")),
        "parameter_size": values.text(details.get("parameter_size")),
        "digest": values.text(entry.get("digest")),
        "modified_at": values.moment(entry.get("modified_at") or entry.get("created")),
    }


def parse_listing(body: bytes, sighting: Sighting, *, kind: str, is_local: bool, provider: str | None = None) -> Parsed:
    """Models that the upstream `sighting.scope` lists. A server with no model yet is no error.

    `provider` is whose API it is, as price lists know it.

    Raises `PayloadRefusedError`.
    """
    found = values.document(body)
    name = next((name for name in ("data", "models") if isinstance(found, dict) and name in found), None)
    # A fresh Ollama says null where others say [].
    listed = found if isinstance(found, list) else (found[name] or []) if name else None
    if not isinstance(listed, list):
        raise PayloadRefusedError("expected a list of models under 'data' or 'models'")
    rows, refused = values.rows(
        listed,
        partial(_model, upstream=sighting.scope, kind=kind, is_local=is_local, provider=provider),
        key=lambda row: row["upstream_model"],
    )
    frame = pl.DataFrame([{**row, "observed_at": sighting.observed_at} for row in rows], schema=dict(LISTINGS))
    return Parsed({"upstream_listings": frame}, refused=refused, observed_at=sighting.observed_at)


def address(upstream: Upstream) -> str:
    """Where an upstream lists its models. Ollama's own list says sizes and quantisations that `/v1/models` does not."""
    if upstream.kind == "ollama":
        return upstream.base_url.removesuffix("/v1") + "/api/tags"
    return f"{upstream.base_url}/models"


def _payload(upstream: Upstream) -> Payload:
    def headers(settings: Settings) -> Mapping[str, str]:
        del settings
        key = upstream.api_key(os.environ)
        return {"Authorization": f"Bearer {key}"} if key else {}

    def needs(settings: Settings) -> str | None:
        del settings
        return None if upstream.is_usable(os.environ) else f"{upstream.api_key_env} is not set"

    provider = None if upstream.is_local else providers.of_address(upstream.base_url)
    return Payload(
        name=upstream.name,
        parse=partial(parse_listing, kind=upstream.kind, is_local=upstream.is_local, provider=provider),
        tables=("upstream_listings",),
        addresses=(address(upstream),),
        headers=headers,
        needs=needs,
        patterns=(f"upstreams/{upstream.name}-*.json", f"upstreams/{upstream.name}.json"),
        attribution=f"the upstream {upstream.name} itself",
        is_local=upstream.is_local,
        at_least=0,
    )


def _payloads(settings: Settings) -> Sequence[Payload]:
    del settings
    return [_payload(upstream) for upstream in upstreams.load() if upstream.kind != "openrouter"]


SOURCE = Source(
    name="upstream",
    step="upstream_listings",
    tables=(
        Table(
            "upstream_listings",
            LISTINGS,
            "Models that configured upstreams list themselves: local servers and vendors other than OpenRouter.",
            payload_column="upstream",
        ),
    ),
    payloads=_payloads,
    url=None,
    stale_after=dt.timedelta(days=1),
    is_optional=True,
)
