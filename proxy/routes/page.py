"""What the page at `/` shows beyond the routes that everybody has: whole rankings, their evidence, counts, decisions.

The page's own files are `proxy/web`'s.
"""

from __future__ import annotations

import gzip
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.params import FromQuery, QueryParameter
from litestar.status_codes import HTTP_304_NOT_MODIFIED

from proxy.errors import InvalidRequestError, NothingPublishedError, UnknownModelError
from proxy.reading import ReadingError
from proxy.routing import nearest
from proxy.runtime import Runtime
from proxy.savings import yardstick
from proxy.snapshot import BANDS
from proxy.web.evidence import Drawn, Evidence
from warehouse.published import ContractMismatchError


@get("/v1/models/chart", summary="A profile's whole ranking for a difficulty band, with quality intervals, compact")
async def chart(
    state: State,
    request: Request[Any, Any, Any],
    profile: FromQuery[str | None] = None,
    band: FromQuery[str] = "medium",
) -> Response[bytes]:
    snapshot = _runtime(state).snapshot
    name = (profile or snapshot.default_profile).lower()
    if name not in snapshot.profiles:
        known = ", ".join(sorted(snapshot.profiles))
        raise InvalidRequestError(f"There is no profile {name!r}; known are {known}.", param="profile")
    if band not in BANDS:
        raise InvalidRequestError("band must be easy, medium or hard.", param="band")
    drawn = await _drawn(state)
    key = f"{name}/{band}" if f"{name}/{band}" in drawn.charts else f"{name}/medium"
    if key not in drawn.charts:
        raise NothingPublishedError(f"This publication ranks nothing for the profile {name!r}.")
    return _packed(request, drawn.publication_id, key, drawn.charts[key])


@get("/v1/models/evidence", summary="The rows of the sources that a ranked model's numbers come from")
async def evidence(state: State, request: Request[Any, Any, Any], model: FromQuery[str]) -> Response[bytes]:
    snapshot = _runtime(state).snapshot
    drawn = await _drawn(state)
    selection = snapshot.names.get(model.lower())
    found = drawn.models.get(selection.model_id) if selection else None
    if selection is None or found is None:
        close = nearest(model, snapshot)
        hint = f" Nearest: {', '.join(close)}." if close else ""
        problem = "does not exist here" if selection is None else "is not ranked"
        raise UnknownModelError(f"The model {model!r} {problem}.{hint}", close)
    return _packed(request, drawn.publication_id, selection.model_id, found)


def _runtime(state: State) -> Runtime:
    return state.runtime  # type: ignore[no-any-return]


async def _drawn(state: State) -> Drawn:
    known: Evidence = state.evidence
    try:
        return await known.current()
    except (ContractMismatchError, ReadingError) as error:
        raise NothingPublishedError(str(error)) from error


def _packed(request: Request[Any, Any, Any], publication_id: str, name: str, packed: bytes) -> Response[bytes]:
    """Gzipped JSON to a client that has no such entity yet."""
    etag = f'"{publication_id}:{name}"'
    headers = {"etag": etag, "cache-control": "no-cache", "vary": "accept-encoding"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=HTTP_304_NOT_MODIFIED, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(gzip.decompress(packed), headers=headers, media_type="application/json")
    return Response(packed, headers={**headers, "content-encoding": "gzip"}, media_type="application/json")


@get("/v1/traffic", summary="Calls, failovers, tokens, money spent and what routing saved, since the proxy started")
async def traffic(state: State) -> dict[str, Any]:
    """`saved_usd` is the yardstick's cost of the routed calls less their own (`savings.py`); it can be negative."""
    runtime: Runtime = state.runtime
    total = dict.fromkeys(("calls", "failovers", "spent", "routed", "yardstick", "in", "out", "running"), 0.0)
    by_status: dict[str, int] = {}
    answers: dict[str, int] = {}
    for name, labels, value in runtime.metrics.samples():
        match name:
            case "orchestrator_calls_total":
                total["calls"] += value
                by_status[labels["status"]] = by_status.get(labels["status"], 0) + int(value)
            case "orchestrator_attempts_total" if labels["outcome"] == "answered":
                answers[labels["model"]] = answers.get(labels["model"], 0) + int(value)
            case "orchestrator_failovers_total":
                total["failovers"] += value
            case "orchestrator_cost_usd_total":
                total["spent"] += value
            case "orchestrator_routed_cost_usd_total":
                total["routed"] += value
            case "orchestrator_yardstick_cost_usd_total":
                total["yardstick"] += value
            case "orchestrator_tokens_total":
                total[labels["direction"]] += value
            case "orchestrator_calls_in_flight":
                total["running"] += value
            case _:
                pass
    current = runtime.live.current
    offer = yardstick(current) if current is not None else None
    return {
        "since_s": round(runtime.clock.monotonic() - runtime.started, 1),
        "calls": int(total["calls"]),
        "running": int(total["running"]),
        "by_status": by_status,
        "answers_by_model": dict(sorted(answers.items(), key=lambda item: -item[1])[:10]),
        "failovers": int(total["failovers"]),
        "tokens_in": int(total["in"]),
        "tokens_out": int(total["out"]),
        "spent_usd": total["spent"],
        "saved_usd": total["yardstick"] - total["routed"],
        "yardstick": offer.model_id if offer else None,
    }


@get("/v1/decisions", summary="The last decisions of this worker, newest first")
async def decisions(state: State, limit: Annotated[int, QueryParameter(ge=1, le=200)] = 20) -> dict[str, Any]:
    runtime: Runtime = state.runtime
    return {"object": "list", "data": runtime.decisions.last(limit)}
