"""/v1/route explains a decision and calls nothing; /v1/decisions/{id} tells of one that was made."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK

from proxy.candidates import WORDS
from proxy.decisions import find, shown, shown_rejection
from proxy.errors import InvalidRequestError, UnknownRouteError
from proxy.policies import CALLER
from proxy.request import read_chat, read_object
from proxy.routing import explain
from proxy.runtime import Runtime
from proxy.translations import messages
from proxy.upstreams import no_upstream
from warehouse.outcomes import Feedback


def explanation(runtime: Runtime, data: bytes, limit: int, headers: Mapping[bytes, bytes] = {}) -> dict[str, Any]:
    """What a chat call with this body would do, and why; nothing is called."""
    request = read_chat(data)
    snapshot = runtime.snapshot
    plan = runtime.policies.plan(
        request, headers, snapshot, runtime.scorer.assess(request.body), runtime.failover.blocked
    )
    wanted, assessment = plan.wanted, plan.assessment
    # With nothing to call, what a key would bring is worth more than a list of missing keys.
    chosen, rejected = explain(wanted, runtime.failover.blocked, assumes_keys=not snapshot.is_servable)
    removed: dict[str, int] = {}
    for one in rejected:
        removed[one.filter] = removed.get(one.filter, 0) + 1
    return {
        "profile": wanted.profile,
        "named": list(request.names),
        "difficulty": {
            "score": assessment.difficulty,
            "band": assessment.band,
            "confidence": assessment.confidence,
            "category": assessment.category,
            "features": dict(assessment.features),
        },
        "needs": {"features": [WORDS[need] for need in wanted.needs], "tokens": wanted.tokens},
        "publication": snapshot.publication_id,
        "problem": None if snapshot.is_servable else no_upstream(runtime.accounts),
        "considered": len(chosen) + len(rejected),
        "removed": removed,
        "candidates": [shown(one) for one in chosen[:limit]],
        "rejected": [shown_rejection(one) for one in rejected[:limit]],
        **plan.record(),
    }


Limit = Annotated[int, QueryParameter(ge=1, le=1000)]


@get("/v1/route", summary="Explain where a prompt would go; calls nothing")
async def route_prompt(
    state: State,
    prompt: FromQuery[str],
    profile: FromQuery[str | None] = None,
    model: FromQuery[str] = "auto",
    limit: Limit = 10,
) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    if profile:
        body["routing_profile"] = profile
    return explanation(state.runtime, msgspec.json.encode(body), limit)


@post("/v1/route", status_code=HTTP_200_OK, summary="Explain where this chat call would go; calls nothing")
async def route_body(state: State, request: Request[Any, Any, Any], limit: Limit = 10) -> dict[str, Any]:
    return explanation(state.runtime, await request.body(), limit, dict(request.scope["headers"]))


@post("/v1/messages/count_tokens", status_code=HTTP_200_OK, summary="Estimate the tokens of a call; calls nothing")
async def count_tokens(request: Request[Any, Any, Any]) -> dict[str, int]:
    body, _ = read_object(await request.body())
    return messages.count_tokens(body)


@get("/v1/decisions/{decision_id:str}", summary="What became of a call, by the x-orchestrator-decision of its answer")
async def decision(state: State, decision_id: FromPath[str]) -> dict[str, Any]:
    runtime: Runtime = state.runtime
    found = runtime.decisions.explained(decision_id)
    if found is None and len(decision_id) <= 128:
        # Another worker's, or an older one.
        found = await asyncio.to_thread(find, runtime.decision_files, decision_id)
        found = None if found is None else {**found, "key": found.pop("key_name")}
    if found is None or not _is_theirs(found):
        raise UnknownRouteError(f"No decision {decision_id!r} is remembered.")
    return found


def _is_theirs(found: Mapping[str, Any]) -> bool:
    """Whether the caller may see a decision. Others shall not even learn that there is one."""
    caller = CALLER.get()
    return caller is None or caller.is_operator or found.get("key") == caller.name


@post("/v1/feedback", status_code=HTTP_200_OK, summary="Say what an answer was worth: a thumb, or a score from -1 to 1")
async def feedback(state: State, data: JSONBody[dict[str, Any]]) -> dict[str, Any]:
    runtime: Runtime = state.runtime
    unknown = sorted(set(data) - {"decision_id", "score", "thumb"})
    if unknown:
        raise InvalidRequestError(f"feedback has no {unknown[0]}; it has decision_id, and score or thumb.")
    decision_id, score, thumb = data.get("decision_id"), data.get("score"), data.get("thumb")
    if not isinstance(decision_id, str) or not 0 < len(decision_id) <= 128:
        raise InvalidRequestError("decision_id must be the x-orchestrator-decision of an answer.", param="decision_id")
    if thumb is not None:
        if thumb not in ("up", "down") or score is not None:
            raise InvalidRequestError("thumb must be up or down, without a score.", param="thumb")
        score = 1.0 if thumb == "up" else -1.0
    if isinstance(score, bool) or not isinstance(score, int | float) or not -1 <= score <= 1:
        raise InvalidRequestError("score must be a number from -1 to 1.", param="score")
    found = runtime.decisions.get(decision_id)
    if found is not None and not _is_theirs(found):
        raise UnknownRouteError(f"No decision {decision_id!r} of this key is remembered.")
    at = runtime.clock.now().isoformat(timespec="milliseconds") + "Z"
    given = Feedback(secrets.token_hex(8), decision_id, at, float(score), None, None, None, None)
    runtime.feedback.append(runtime.decisions.judge(given))
    return {"decision_id": decision_id, "score": float(score), "is_remembered": found is not None}
