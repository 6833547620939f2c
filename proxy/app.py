"""Assembles the proxy: `create_app` makes the ASGI application. What its parts do is in their own files."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, NotFoundException, ValidationException
from litestar.openapi import OpenAPIConfig

from proxy import settings as settings_module
from proxy.client import Transport
from proxy.clock import Clock, SystemClock
from proxy.errors import (
    BodyTooLargeError,
    InvalidRequestError,
    MethodNotAllowedError,
    ProxyError,
    UnknownRouteError,
    envelope,
)
from proxy.gate import Gate
from proxy.routes import decisions, listing, page, status
from proxy.routes.chat import ChatRoute
from proxy.routes.document import Document
from proxy.runtime import Runtime
from proxy.settings import Settings
from proxy.shapes import SHAPES
from proxy.web.evidence import Evidence
from warehouse import environment as dotenv
from warehouse.locations import locations

log = logging.getLogger(__name__)


def create_app(
    settings: Settings | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    published: Path | None = None,
    outcomes: Path | None = None,
    transport: Transport | None = None,
    clock: Clock | None = None,
) -> Gate:
    """The application. What is not given is read from the environment.

    Raises `SettingsError`, `UpstreamsError` or `LocationError` when the configuration cannot be used.
    """
    if environment is None:
        dotenv.load()
        environment = os.environ
    where = locations(dict(environment))
    settings = settings or settings_module.load(environment)
    runtime = Runtime(
        settings,
        environment,
        published or where.published,
        outcomes or where.outcomes,
        clock or SystemClock(),
        transport,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with runtime.running():
            yield

    framework = Litestar(
        route_handlers=[
            listing.models,
            listing.rankings,
            listing.model,
            listing.routing_profiles,
            status.health,
            status.ready,
            status.prometheus,
            status.status,
            status.set_breaker,
            status.key,
            decisions.route_prompt,
            decisions.route_body,
            decisions.decision,
            decisions.feedback,
            decisions.count_tokens,
            page.chart,
            page.evidence,
            page.traffic,
            page.decisions,
        ],
        state=State({"runtime": runtime, "evidence": Evidence(runtime.published)}),
        lifespan=[lifespan],
        exception_handlers={Exception: _error},
        logging_config=None,
        request_max_body_size=settings.max_body_bytes,
        openapi_config=OpenAPIConfig(
            title="Local AI orchestrator", version="1", path="/schema", render_plugins=[Document()]
        ),
    )
    handlers = {path: ChatRoute(runtime, shape) for path, shape in SHAPES.items()}
    return Gate(framework, handlers, runtime, settings.api_key, settings.cors_origins)  # type: ignore[arg-type]


def _error(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Whatever a framework's route raises, in OpenAI's shape."""
    known = error if isinstance(error, ProxyError) else _translated(error)
    headers = {name: value for name, value in known.headers.items() if name.lower() != "content-length"}
    return Response(envelope(known), status_code=known.status, headers=headers, media_type="application/json")


def _translated(error: Exception) -> ProxyError:
    match error:
        case ValidationException():
            extra = error.extra if isinstance(error.extra, list) else []
            texts = [f"{one.get('key')}: {one.get('message')}" for one in extra if isinstance(one, dict)]
            return InvalidRequestError("; ".join(texts) or error.detail)
        case NotFoundException():
            return UnknownRouteError("There is no such path. GET /schema/openapi.json lists those there are.")
        case HTTPException(status_code=405):
            return MethodNotAllowedError("This path does not take that method.", headers=error.headers or {})
        case HTTPException(status_code=413):
            return BodyTooLargeError("The body is too long.")
        case HTTPException(status_code=code) if 400 <= code < 500:
            return InvalidRequestError(error.detail)
        case _:
            # What went wrong inside is for the log, not for clients.
            log.error("a request failed", exc_info=error)
            return ProxyError("The proxy failed; its log says why.")
