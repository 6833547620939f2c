"""GET /health, /health/ready, /metrics, /v1/status: how the proxy is."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from litestar import Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE

from proxy import metrics
from proxy.answer_cache import AnswerCache
from proxy.breaker import Breaker
from proxy.budgets import LedgerError
from proxy.errors import InvalidRequestError, LedgerUnavailableError, UnknownRouteError
from proxy.policies import CALLER
from proxy.runtime import Runtime

log = logging.getLogger(__name__)


def _publication(runtime: Runtime) -> dict[str, Any]:
    current = runtime.live.current
    about: dict[str, Any] = {"problem": runtime.live.problem}
    if current is not None:
        now = runtime.clock.now()
        about |= {
            "id": current.publication_id,
            "built_at": current.built_at,
            "age_s": _seconds(now - current.built_at),
            "loaded_at": runtime.live.loaded_at,
            "models": len(current.models),
            "offers": len(current.offers),
            "callable_candidates": len(current.eligible(current.default_profile, "medium", 0))  # type: ignore[arg-type]
            if current.default_profile
            else 0,
            "source_ages_s": {source: _seconds(now - at) for source, at in current.source_observed_at.items()},
            "source_origins": dict(current.source_origins),
        }
    return about


def _seconds(age: dt.timedelta) -> float:
    return round(age.total_seconds(), 1)


@get("/health", summary="The process lives; says in a word what is wrong with it, if anything")
async def health(state: State) -> dict[str, Any]:
    runtime: Runtime = state.runtime
    current = runtime.live.current
    return {
        "status": "ok" if runtime.live.problem is None else "degraded",
        "publication": current.publication_id if current else None,
        "problem": runtime.live.problem,
    }


@get("/health/ready", summary="200 when calls can be answered, else 503 with the reason")
async def ready(state: State) -> Response[dict[str, Any]]:
    runtime: Runtime = state.runtime
    current = runtime.live.current
    if current is None:
        problem = runtime.live.problem
    elif not current.is_servable:
        problem = "; ".join(f"{one.name}: {one.problem}" for one in current.accounts.values()) or "no upstream"
    else:
        problem = None
    status = HTTP_200_OK if problem is None else HTTP_503_SERVICE_UNAVAILABLE
    return Response({"status": "ready" if problem is None else "not ready", "problem": problem}, status_code=status)


@get("/metrics", summary="For Prometheus")
async def prometheus(state: State) -> Response[bytes]:
    runtime: Runtime = state.runtime
    measured = runtime.metrics
    now = runtime.clock.monotonic()
    measured.open_breakers.set(sum(breaker.state(now) != "closed" for breaker in runtime.breakers))
    measured.outcomes_dropped.set(runtime.outcomes.dropped)
    if runtime.live.current is not None:
        measured.snapshot_age_seconds.set(_seconds(runtime.clock.now() - runtime.live.current.built_at))
    return Response(measured.render(), media_type=metrics.CONTENT_TYPE)


def _breaker(breaker: Breaker, now: float) -> dict[str, Any]:
    state = breaker.state(now)
    return {
        "key": breaker.key,
        "state": state,
        "reason": breaker.reason,
        "failures": breaker.failures,
        "ends_in_s": round(max(0.0, breaker.until - now), 1) if state == "open" else None,
        "since_s": round(now - breaker.since, 1) if breaker.is_open else None,
    }


@get("/v1/status", summary="Publication, upstreams, breakers that are not closed, outcomes")
async def status(state: State) -> dict[str, Any]:
    runtime: Runtime = state.runtime
    now = runtime.clock.monotonic()
    breakers = [_breaker(one, now) for one in runtime.breakers if one.is_open or one.failures]
    return {
        "status": "ok" if runtime.live.problem is None else "degraded",
        "uptime_s": round(now - runtime.started, 1),
        "publication": _publication(runtime),
        "upstreams_problem": runtime.upstreams_problem,
        "upstreams": [
            {
                "name": one.name,
                "kind": one.kind,
                "is_local": one.is_local,
                "keys": len(one.keys) or int("authorization" in one.headers),
                "problem": one.problem,
            }
            for one in runtime.accounts.values()
        ],
        "breakers": breakers,
        "admission": runtime.policies.admission.state(),
        "sessions": len(runtime.policies.sessions),
        "cache": _cache(runtime.policies.cache),
        "policies": {"problem": runtime.policies.problem or runtime.policies.ledger.problem or runtime.orders.problem},
        "outcomes": {
            "written": runtime.outcomes.written,
            "waiting": runtime.outcomes.waiting,
            "dropped": runtime.outcomes.dropped,
            "problem": runtime.outcomes.problem,
        },
    }


def _cache(cache: AnswerCache | None) -> dict[str, int] | None:
    if cache is None:
        return None
    return {"entries": len(cache), "bytes": cache.bytes, "hits": cache.hits, "misses": cache.misses}


@get("/v1/key", summary="The key that this request is made with: what it allows, has spent, and has running")
async def key(state: State) -> dict[str, Any]:
    runtime: Runtime = state.runtime
    caller = CALLER.get()
    if caller is None:
        return {"name": None, "is_operator": True, "limits": {}}
    limits = {
        name: getattr(caller, name)
        for name in (
            "profiles",
            "models",
            "requests_per_minute",
            "tokens_per_minute",
            "concurrency",
            "budget_usd_per_day",
            "budget_usd_per_month",
            "expires_on",
        )
        if getattr(caller, name) is not None
    }
    found: dict[str, Any] = {"name": caller.name, "is_operator": caller.is_operator, "limits": limits}
    if caller.is_limited:
        try:
            found["usage"] = await runtime.policies.ledger.usage(caller)
        except LedgerError as error:
            raise LedgerUnavailableError(f"What the key has used cannot be read now: {error}.") from error
    return found


@post("/v1/status/breakers/{action:str}", status_code=HTTP_200_OK, summary="Open or close a breaker by hand")
async def set_breaker(state: State, action: FromPath[str], data: JSONBody[dict[str, Any]]) -> dict[str, Any]:
    runtime: Runtime = state.runtime
    key = data.get("key")
    if not isinstance(key, str) or not (key in runtime.breakers or runtime.may_have_breaker(key)):
        raise InvalidRequestError(
            "key must be a breaker's: an offer, a model at an upstream, 'upstream <name>', or one of GET /v1/status.",
            param="key",
        )
    seconds = data.get("seconds")
    if action not in ("open", "close"):
        raise UnknownRouteError("A breaker can be opened or closed: POST /v1/status/breakers/open or /close.")
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0):
        raise InvalidRequestError("seconds must be a number above zero.", param="seconds")
    reaches_all = True
    try:
        runtime.orders.give(action, key, seconds if action == "open" else None)
    except OSError as error:
        log.warning("an order reached this worker only: %s", error)
        reaches_all = False
    return {**_breaker(runtime.breakers[key], runtime.clock.monotonic()), "reaches_all_workers": reaches_all}
