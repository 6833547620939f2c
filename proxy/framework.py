"""Every route but the model calls: what the framework is told of them, and when it is loaded.

Loading it takes a third of a worker's start, and no model call needs it. So it is loaded by a thread once the worker
serves; who asks for one of its routes before that waits until it is there.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from proxy.errors import (
    BodyTooLargeError,
    InvalidRequestError,
    MethodNotAllowedError,
    ProxyError,
    UnknownRouteError,
    envelope,
)
from proxy.gate import Receive, Scope, Send
from proxy.runtime import Runtime
from proxy.settings import Settings

if TYPE_CHECKING:
    from litestar import Litestar, Request, Response

log = logging.getLogger(__name__)


class Framework:
    """The ASGI application of these routes, made when it is first needed."""

    def __init__(self, runtime: Runtime, settings: Settings) -> None:
        self._runtime = runtime
        self._settings = settings
        self._loading: asyncio.Task[Litestar] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        framework = await self.load()
        await framework(scope, receive, send)  # type: ignore[arg-type]

    async def load(self) -> Litestar:
        """The framework; loads it where that has not been done."""
        if self._loading is None:
            self._loading = asyncio.create_task(asyncio.to_thread(_made, self._runtime, self._settings))
        # Who gives up waiting must not end the wait of others.
        return await asyncio.shield(self._loading)


def _made(runtime: Runtime, settings: Settings) -> Litestar:
    # Imported late: that is what takes long.
    from litestar import Litestar
    from litestar.datastructures import State
    from litestar.openapi import OpenAPIConfig

    from proxy.routes import decisions, listing, page, status
    from proxy.routes.document import Document
    from proxy.web.evidence import Evidence

    return Litestar(
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
        exception_handlers={Exception: _error},
        logging_config=None,
        request_max_body_size=settings.max_body_bytes,
        openapi_config=OpenAPIConfig(
            title="Local AI orchestrator", version="1", path="/schema", render_plugins=[Document()]
        ),
    )


def _error(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Whatever a framework's route raises, in OpenAI's shape."""
    from litestar import Response

    known = error if isinstance(error, ProxyError) else _translated(error)
    headers = {name: value for name, value in known.headers.items() if name.lower() != "content-length"}
    return Response(envelope(known), status_code=known.status, headers=headers, media_type="application/json")


def _translated(error: Exception) -> ProxyError:
    from litestar.exceptions import HTTPException, NotFoundException, ValidationException

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
