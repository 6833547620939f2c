"""GET /v1/models, /v1/models/{id}, /v1/models/rankings and /v1/routing_profiles: what can be asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, get
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, QueryParameter

from proxy.candidates import Candidate, Ranked
from proxy.decisions import shown
from proxy.errors import InvalidRequestError, UnknownModelError
from proxy.routing import nearest
from proxy.runtime import Runtime
from proxy.snapshot import Snapshot
from warehouse.published import Offer


def _per_token(price_usd_per_mtok: float | None) -> str | None:
    return None if price_usd_per_mtok is None else f"{price_usd_per_mtok / 1e6:.12f}".rstrip("0").rstrip(".") or "0"


def _created(snapshot: Snapshot, model_id: str | None) -> int:
    model = snapshot.models.get(model_id) if model_id else None
    if model is None or model.released_on is None:
        return int(snapshot.built_at.timestamp())
    day = model.released_on
    return (day.toordinal() - 719_163) * 86_400


def _entry(snapshot: Snapshot, model_id: str, offered: Sequence[Candidate]) -> dict[str, Any]:
    """A model in OpenAI's shape, with OpenRouter's `context_length` and `pricing` of its cheapest callable offer."""
    offers = {one.offer.offer_id: one.offer for one in offered if one.problem is None}
    paid = [offer for offer in offers.values() if offer.variant is None] or list(offers.values())

    def price(offer: Offer) -> float:
        return float("inf") if offer.price_in_usd_per_mtok is None else offer.price_in_usd_per_mtok

    best = min(paid, key=price)
    model = snapshot.models.get(model_id)
    return {
        "id": model_id,
        "object": "model",
        "created": _created(snapshot, model_id),
        "owned_by": model_id.partition("/")[0],
        "name": model.name if model else model_id,
        "context_length": max((offer.context_tokens or 0 for offer in offers.values()), default=0) or None,
        "max_output_tokens": max((offer.max_output_tokens or 0 for offer in offers.values()), default=0) or None,
        "pricing": {
            "prompt": _per_token(best.price_in_usd_per_mtok),
            "completion": _per_token(best.price_out_usd_per_mtok),
        },
        "input_modalities": sorted({word for offer in offers.values() for word in offer.input_modalities}),
        "supports_tools": any(offer.supports_tools for offer in offers.values()),
        "supports_json_schema": any(offer.supports_json_schema for offer in offers.values()),
        "upstreams": sorted({offer.upstream for offer in offers.values()}),
    }


def _auto(snapshot: Snapshot, profile: str | None) -> dict[str, Any]:
    name = profile or snapshot.default_profile
    list_ = snapshot.eligible(name, "medium", 0) if name else ()  # type: ignore[arg-type]
    about = snapshot.profiles.get(name)
    return {
        "id": f"auto:{profile}" if profile else "auto",
        "object": "model",
        "created": _created(snapshot, None),
        "owned_by": "local-ai-orchestrator",
        "name": f"Routed by profile {name}",
        "description": about.description if about else "",
        "context_length": max((one.candidate.context_tokens or 0 for one in list_), default=0) or None,
        "max_output_tokens": max((one.candidate.offer.max_output_tokens or 0 for one in list_), default=0) or None,
    }


def _all(snapshot: Snapshot) -> list[dict[str, Any]]:
    routed = [_auto(snapshot, None), *(_auto(snapshot, name) for name in sorted(snapshot.profiles))]
    callable_ = {
        model_id: offered
        for model_id, offered in snapshot.candidates_of.items()
        if any(one.problem is None for one in offered)
    }
    return routed + [_entry(snapshot, model_id, callable_[model_id]) for model_id in sorted(callable_)]


@get("/v1/models", summary="What can be asked for: auto, auto:<profile>, and every model that can be called")
async def models(state: State, request: Request[Any, Any, Any]) -> dict[str, Any]:
    runtime: Runtime = state.runtime
    snapshot = runtime.snapshot
    entries = snapshot.worked_out.get("models")
    if entries is None:
        entries = snapshot.worked_out["models"] = _all(snapshot)
    if "anthropic-version" in request.headers:
        return _as_anthropic(entries)
    return {"object": "list", "data": entries}


def _as_anthropic(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The list in the shape of Anthropic's API, all on one page."""
    data = [
        {
            "type": "model",
            "id": one["id"],
            "display_name": one["name"],
            "created_at": dt.datetime.fromtimestamp(one["created"], dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "max_input_tokens": one["context_length"],
            "max_tokens": one["max_output_tokens"],
        }
        for one in entries
    ]
    return {"data": data, "has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]}


@get("/v1/models/rankings", summary="A profile's ranking with the parts of every score")
async def rankings(
    state: State,
    profile: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=5000)] = 20,
    band: FromQuery[str | None] = None,
    category: FromQuery[str | None] = None,
) -> dict[str, Any]:
    runtime: Runtime = state.runtime
    snapshot = runtime.snapshot
    name = (profile or snapshot.default_profile).lower()
    if name not in snapshot.profiles:
        known = ", ".join(sorted(snapshot.profiles))
        raise InvalidRequestError(f"There is no profile {name!r}; known are {known}.", param="profile")
    if category is not None:
        list_ = _of_category(snapshot, name, band or "medium", category)
    elif band is None:
        list_ = snapshot.rankings[name]
    elif (name, band) in snapshot.ranked:
        list_ = snapshot.ranked[name, band]
    else:
        raise InvalidRequestError("band must be easy, medium or hard.", param="band")
    return {
        "profile": name,
        "band": band,
        "category": category,
        "publication": snapshot.publication_id,
        "built_at": snapshot.built_at,
        "total": len(list_),
        "rankings": [{**shown(one), "callable": one.candidate.problem is None} for one in list_[:limit]],
    }


def _of_category(snapshot: Snapshot, profile: str, band: str, category: str) -> tuple[Ranked, ...]:
    found = snapshot.by_category.get((profile, band, category))
    if found is None:
        known = sorted({one for _, _, one in snapshot.by_category}) or ["none"]
        raise InvalidRequestError(
            f"There is no ranking of {category!r} in band {band!r}; kinds of task with one: {', '.join(known)}.",
            param="category",
        )
    return found


@get("/v1/models/{model_id:path}", summary="One model")
async def model(state: State, model_id: FromPath[str]) -> dict[str, Any]:
    runtime: Runtime = state.runtime
    snapshot = runtime.snapshot
    asked = model_id.lstrip("/")
    word, _, profile = asked.partition(":")
    if word == "auto" and (not profile or profile in snapshot.profiles):
        return _auto(snapshot, profile or None)
    selection = snapshot.names.get(asked.lower())
    offered = snapshot.candidates_of.get(selection.model_id, ()) if selection else ()
    if selection is None or not any(one.problem is None for one in offered):
        close = nearest(asked, snapshot)
        hint = f" Nearest: {', '.join(close)}." if close else ""
        state_ = "does not exist here" if selection is None else "cannot be called here"
        raise UnknownModelError(f"The model {asked!r} {state_}.{hint}", close)
    return _entry(snapshot, selection.model_id, offered)


@get("/v1/routing_profiles", summary="The profiles and their weights")
async def routing_profiles(state: State) -> dict[str, Any]:
    runtime: Runtime = state.runtime
    snapshot = runtime.snapshot
    return {
        "object": "list",
        "default": snapshot.default_profile,
        "data": [
            {
                "id": profile.profile,
                "model": f"auto:{profile.profile}",
                "description": profile.description,
                "is_default": profile.is_default,
                "weights": {
                    "quality": profile.weight_quality,
                    "latency": profile.weight_latency,
                    "cost": profile.weight_cost,
                    "context": profile.weight_context,
                },
            }
            for profile in snapshot.profiles.values()
        ],
    }
