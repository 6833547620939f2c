"""The outermost layer: every request gets an id, is let in or not, and goes to its handler.

The handlers of model calls are plain ASGI and are reached from here directly, because a framework's routing would cost
as much as everything else they do; all other routes are the framework's. Authentication and CORS belong here.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Protocol

from proxy.errors import MethodNotAllowedError, NotAllowedError, ProxyError, UnauthorizedError, envelope
from proxy.policies import CALLER
from proxy.runtime import Runtime
from proxy.shapes import of_path
from proxy.web import FILES
from proxy.web import serve as serve_page

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Mapping[bytes, bytes]
Handler = Callable[[str, Headers, Receive, Send], Awaitable[None]]
"""A model call: request id, the request's headers, and ASGI's two ends."""


class Deferred(Protocol):
    """An application that is loaded once calls are served."""

    async def load(self) -> object:
        """Load it, unless that has been done."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""


OPEN_PATHS = frozenset(("/health", "/health/ready"))
OPERATORS_PATHS = frozenset(
    ("/v1/status/breakers/open", "/v1/status/breakers/close", "/v1/traffic", "/v1/decisions", "/metrics")
)
"""What tells of other keys' calls, or changes how they are served."""
_JSON = (b"content-type", b"application/json")
_MOST_ID_BYTES = 128


class Gate:
    """The ASGI application."""

    def __init__(
        self,
        app: Deferred,
        handlers: Mapping[str, Handler],
        runtime: Runtime,
        api_key: str | None,
        cors_origins: tuple[str, ...],
    ) -> None:
        self.runtime = runtime
        self._app = app
        self._handlers = handlers
        self._key = api_key.encode() if api_key else None
        self._any_origin = "*" in cors_origins
        self._origins = frozenset(origin.encode() for origin in cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return  # nothing else is served
        headers: Headers = dict(scope["headers"])
        path: str = scope["path"]
        if path in FILES:
            await serve_page(FILES[path], scope["method"], headers, send)
            return
        request_id = _request_id(headers.get(b"x-request-id"))
        if self._origins:
            send = self._with_cors(headers.get(b"origin"), send)
            if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
                await _respond(send, 204, b"", [(b"x-request-id", request_id.encode())])
                return
        try:
            if (self._key is not None or self.runtime.policies.keyring) and path not in OPEN_PATHS:
                self._check(headers, scope["method"], path)
            handler = self._handlers.get(path)
            if handler is None:
                # Most of these ask about calls.
                self.runtime.afterwards.catch_up()
                is_head = scope["method"] == "HEAD"
                if is_head:
                    # What can be got can be looked at; the server leaves the body out.
                    scope = {**scope, "method": "GET"}
                await self._app(scope, receive, _with_id(send, request_id, is_head=is_head))
            elif scope["method"] != "POST":
                raise MethodNotAllowedError(f"{path} takes POST.", headers={"allow": "POST"})
            else:
                await handler(request_id, headers, receive, send)
        except ProxyError as error:
            await respond_error(send, error, request_id, of_path(path).error)
        except Exception:
            # What went wrong inside is for the log, not for clients.
            log.exception("request %s failed", request_id)
            failure = ProxyError("The proxy failed; its log says why.")
            await respond_error(send, failure, request_id, of_path(path).error)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Run what runs beside the calls, from the server's word to begin until its word to stop."""
        await receive()
        phase = "startup"
        try:
            async with self.runtime.running():
                await send({"type": "lifespan.startup.complete"})
                phase = "shutdown"
                settling = asyncio.create_task(self._settle(), name="settling")
                await receive()
                settling.cancel()
                await asyncio.gather(settling, return_exceptions=True)
        except Exception as error:
            await send({"type": f"lifespan.{phase}.failed", "message": "".join(traceback.format_exception(error))})
        else:
            await send({"type": "lifespan.shutdown.complete"})

    async def _settle(self) -> None:
        """Load what the first calls do without, and put all that stays where it is out of the way."""
        await self._app.load()
        await self.runtime.settle()

    def _check(self, headers: Headers, method: str, path: str) -> None:
        given = headers.get(b"x-api-key")
        if given is None:
            scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
            given = token.strip() if scheme.lower() == b"bearer" else b""
        if self._key is not None and hmac.compare_digest(given, self._key):
            return
        key = self.runtime.policies.keyring.find(given)
        problem = "The key is missing or wrong" if key is None else key.problem(self.runtime.clock.now().date())
        if key is None or problem is not None:
            raise UnauthorizedError(
                f"{problem}; send a good one as `Authorization: Bearer ...` or `x-api-key`.",
                headers={"www-authenticate": "Bearer"},
            )
        if not key.is_operator and path in OPERATORS_PATHS:
            raise NotAllowedError(f"{method} {path} is for operators, and the key {key.name} is none.")
        CALLER.set(key)

    def _with_cors(self, origin: bytes | None, send: Send) -> Send:
        if origin is None or not (self._any_origin or origin in self._origins):
            return send
        added = [
            (b"access-control-allow-origin", b"*" if self._any_origin else origin),
            (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
            (b"access-control-allow-headers", b"*, authorization"),
            (b"access-control-expose-headers", b"*"),
            (b"access-control-max-age", b"86400"),
            (b"vary", b"origin"),
        ]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        return sending


def _with_id(send: Send, request_id: str, *, is_head: bool) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
        elif is_head and message["type"] == "http.response.body":
            message["body"] = b""
        await send(message)

    return sending


def _request_id(given: bytes | None) -> str:
    """The client's own id where it is fit to be logged and sent back, else a new one."""
    if given and len(given) <= _MOST_ID_BYTES:
        text = given.decode("latin-1")
        if text.isascii() and text.replace("-", "").replace("_", "").replace(".", "").isalnum():
            return text
    return secrets.token_hex(12)


async def respond_error(
    send: Send, error: ProxyError, request_id: str, body: Callable[[ProxyError, str], bytes] = envelope
) -> None:
    """Answer with an error, in OpenAI's shape unless another is given."""
    headers = [(name.encode(), value.encode()) for name, value in error.headers.items()]
    headers += [(b"x-request-id", request_id.encode()), _JSON]
    await _respond(send, error.status, body(error, request_id), headers)


async def _respond(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
