"""Models that the configured upstreams list themselves: local servers, and vendors other than OpenRouter.

Reads OpenAI's `/models` in the spellings of vLLM, llama.cpp, LM Studio and the vendors, and Ollama's `/api/tags`; of
servers of the user's own also what they tell of the window in effect, of memory and of slots (Ollama's `/api/ps` and
`/api/show`, llama.cpp's `/props`, LM Studio's `/api/v0/models`).
A local server that does not answer has nothing to offer; that is a note, never an error.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import polars as pl

from pipeline.settings import Settings
from pipeline.sources import providers, values
from pipeline.sources.source import (
    Answer,
    FetchError,
    Parsed,
    Payload,
    PayloadRefusedError,
    Schema,
    Sighting,
    Source,
    Table,
    Web,
)
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
    "trained_context_tokens": pl.Int64,
    "is_loaded": pl.Boolean,
    "slots": pl.Int64,
    "capabilities": pl.List(pl.String),
    "size_bytes": pl.Int64,
    "quantization": pl.String,
    "family": pl.String,
    "parameter_size": pl.String,
    "digest": pl.String,
    "modified_at": pl.Datetime("us"),
    "observed_at": pl.Datetime("us"),
}


OLLAMA_CONTEXT_TOKENS = 4_096
"""What Ollama serves unless told otherwise, whatever the model was trained for; older versions 2,048. It cuts what is
longer without a word."""

_NUM_CTX = re.compile(r"^num_ctx\s+(\d+)\s*$", re.MULTILINE)

_CAPABILITY_OF_TYPE = {"llm": ["completion"], "vlm": ["completion", "vision"], "embeddings": ["embedding"]}
"""LM Studio's type of a model, in Ollama's words."""


@dataclass(frozen=True)
class _Server:
    """What a server says beside its list of models."""

    loaded: Mapping[str, Mapping[str, Any]] | None = None
    """Ollama's `/api/ps` by model; None where it was not asked."""
    shown: Mapping[str, Any] = field(default_factory=dict)
    """Ollama's `/api/show` by model."""
    properties: Mapping[str, Any] = field(default_factory=dict)
    """llama.cpp's `/props`."""


def _window(entry: Mapping[str, Any], kind: str, name: str, server: _Server) -> tuple[int | None, int | None]:
    """Tokens in effect, and tokens the model was trained for."""
    meta = values.mapping(entry.get("meta"))
    shown = values.mapping(server.shown.get(name))
    trained = next(
        (count for key, found in values.mapping(shown.get("model_info")).items()
         if key.endswith(".context_length") and (count := values.count(found))),
        None,
    ) or values.count(entry.get("max_context_length")) or values.count(meta.get("n_ctx_train")) or None  # fmt: skip
    defaults = values.mapping(server.properties.get("default_generation_settings"))
    set_by_hand = _NUM_CTX.search(values.text(shown.get("parameters")) or "")
    windows = (
        values.mapping((server.loaded or {}).get(name)).get("context_length"),
        entry.get("loaded_context_length"),
        defaults.get("n_ctx"),
        set_by_hand[1] if set_by_hand else None,
        entry.get("context_length"),
        entry.get("max_model_len"),
        entry.get("context_window"),
        # llama.cpp: what the server was started with.
        meta.get("n_ctx"),
        # Nobody has said otherwise, so Ollama's own default holds.
        min(OLLAMA_CONTEXT_TOKENS, trained or OLLAMA_CONTEXT_TOKENS) if kind == "ollama" and server.shown else None,
        trained,
    )
    return next((found for found in map(values.count, windows) if found), None), trained


def _is_loaded(entry: Mapping[str, Any], name: str, server: _Server) -> bool | None:
    """Whether it is in memory now; None where the server does not say."""
    state = values.text(entry.get("state"))
    if state is not None:
        return state == "loaded"
    return None if server.loaded is None else name in server.loaded


def _model(
    entry: object, upstream: str, kind: str, is_local: bool, provider: str | None, server: _Server
) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise BadValueError(f"the entry is a {type(entry).__name__}")
    details = values.mapping(entry.get("details"))
    meta = values.mapping(entry.get("meta"))
    name = values.required_text(entry.get("id") or entry.get("model") or entry.get("name"), "id")
    context_tokens, trained_tokens = _window(entry, kind, name, server)
    capabilities = values.texts(values.mapping(server.shown.get(name)).get("capabilities"))
    return {
        "upstream": upstream,
        "upstream_model": name,
        "kind": kind,
        "is_local": is_local,
        "provider": provider,
        "owned_by": values.text(entry.get("owned_by")),
        "context_tokens": context_tokens,
        "trained_context_tokens": trained_tokens,
        "is_loaded": _is_loaded(entry, name, server),
        "slots": values.count(server.properties.get("total_slots")) or None,
        "capabilities": capabilities or _CAPABILITY_OF_TYPE.get(values.text(entry.get("type")) or ""),
        "size_bytes": values.count(entry.get("size") or meta.get("size")) or None,
        "quantization": values.text(details.get("quantization_level") or entry.get("quantization")),
        "family": values.text(details.get("family") or entry.get("arch")),
        "parameter_size": values.text(details.get("parameter_size")),
        "digest": values.text(entry.get("digest")),
        "modified_at": values.moment(entry.get("modified_at") or entry.get("created")),
    }


def _taken_apart(found: Any) -> tuple[Any, _Server]:
    """The list of models, and what `collect` put beside it."""
    if not isinstance(found, dict) or "listed" not in found:
        return found, _Server()
    loaded = found.get("loaded")
    return found["listed"], _Server(
        None
        if loaded is None
        else {
            name: entry
            for entry in map(values.mapping, values.mapping(loaded).get("models") or ())
            if (name := values.text(entry.get("model") or entry.get("name")))
        },
        values.mapping(found.get("shown")),
        values.mapping(found.get("properties")),
    )


def parse_listing(body: bytes, sighting: Sighting, *, kind: str, is_local: bool, provider: str | None = None) -> Parsed:
    """Models that the upstream `sighting.scope` lists. A server with no model yet is no error.

    `provider` is whose API it is, as price lists know it.

    Raises `PayloadRefusedError`.
    """
    found, server = _taken_apart(values.document(body))
    name = next((name for name in ("data", "models") if isinstance(found, dict) and name in found), None)
    # A fresh Ollama says null where others say [].
    listed = found if isinstance(found, list) else (found[name] or []) if name else None
    if not isinstance(listed, list):
        raise PayloadRefusedError("expected a list of models under 'data' or 'models'")
    rows, refused = values.rows(
        listed,
        partial(_model, upstream=sighting.scope, kind=kind, is_local=is_local, provider=provider, server=server),
        key=lambda row: row["upstream_model"],
    )
    frame = pl.DataFrame([{**row, "observed_at": sighting.observed_at} for row in rows], schema=dict(LISTINGS))
    return Parsed({"upstream_listings": frame}, refused=refused, observed_at=sighting.observed_at)


def collect(web: Web, wanted: Sequence[tuple[Any, ...]], settings: Settings, *, upstream: Upstream) -> bytes:
    """The list of a server of the user's own, and what its other addresses tell of windows, memory and slots.

    Raises `FetchError` when there is no list; that the rest does not answer is an older version.
    """
    del wanted, settings
    root = upstream.base_url.removesuffix("/v1")
    if upstream.kind == "lmstudio":
        listed = _answered(lambda: web.get(f"{root}/api/v0/models"))
        return json.dumps(
            {"listed": values.document(web.get(address(upstream)).body) if listed is None else listed}
        ).encode()
    found: dict[str, Any] = {"listed": values.document(web.get(address(upstream)).body)}
    if upstream.kind == "ollama":
        found["loaded"] = _answered(lambda: web.get(f"{root}/api/ps"))
        names = [
            name
            for entry in map(values.mapping, values.mapping(found["listed"]).get("models") or ())
            if (name := values.text(entry.get("model") or entry.get("name")))
        ]
        shown = {
            name: _answered(partial(web.post, f"{root}/api/show", json.dumps({"model": name}).encode()))
            for name in names
        }
        found["shown"] = {name: told for name, told in shown.items() if told is not None}
    else:
        found["properties"] = _answered(lambda: web.get(f"{root}/props"))
    return json.dumps(found).encode()


def _answered(ask: Callable[[], Answer]) -> Any:
    try:
        return values.document(ask().body)
    except (FetchError, PayloadRefusedError):
        return None


_TELLING = frozenset({"ollama", "llamacpp", "lmstudio"})
"""Kinds of servers that say more than `/models` does."""


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

    tells = upstream.is_local and upstream.kind in _TELLING
    provider = None if upstream.is_local else providers.of_address(upstream.base_url)
    return Payload(
        name=upstream.name,
        parse=partial(parse_listing, kind=upstream.kind, is_local=upstream.is_local, provider=provider),
        tables=("upstream_listings",),
        addresses=(address(upstream),),
        collect=partial(collect, upstream=upstream) if tells else None,
        collected_from=address(upstream) if tells else "",
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
