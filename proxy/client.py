"""One HTTP call to an upstream. Every transport's error becomes one of ours; nothing else leaves this file.

`Transport` is the seam: tests hand in their own. What an answer means is not decided here (`failover.py`), nor which
addresses may be called (`guard.py`). Redirects are never followed: one could lead anywhere.
Why aiohttp: `docs/decisions/0006-the-client-of-the-hot-path.md`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple, Protocol

import aiohttp
from yarl import URL

from proxy.errors import BrokenAnswerError, MalformedAnswerError, StalledError, UnreachableError
from proxy.guard import ForbiddenAddressError, Guard, GuardedResolver

_IDLE_S = {"http": 4.0, "https": 60.0}
"""How long an unused connection is kept. A server that closes it in the very moment a call is sent costs that call;
servers of one's own (uvicorn, Node) close after 5 s, what stands before marketplaces after a minute or more."""


class UpstreamRequest(NamedTuple):
    """What is sent."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class UpstreamAnswer(Protocol):
    """What came back: status and headers, the body still to be read. `close` is always called in the end."""

    status: int
    headers: Mapping[str, str]

    async def read(self, most: int) -> bytes:
        """The whole body. Raises `MalformedAnswerError` past `most` bytes, and what `chunks` raises."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises `BrokenAnswerError`, `MalformedAnswerError` or `StalledError`."""

    def close(self) -> None:
        """Let go of the connection; it is reused only if the body was read to its end."""


class Transport(Protocol):
    """Sends requests."""

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        """Send, and return when status and headers are there. Raises `UnreachableError` or `MalformedAnswerError`."""

    async def close(self) -> None:
        """Close every connection."""


class AiohttpTransport:
    """The transport in use. Made before the loop runs; connects on first use."""

    def __init__(self, guard: Guard, connect_timeout_s: float) -> None:
        self._guard = guard
        self._timeout = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=connect_timeout_s, sock_read=None)
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._urls: dict[str, URL] = {}

    def _open(self, scheme: str) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=GuardedResolver(self._guard, aiohttp.ThreadedResolver()),
            limit=0,
            ttl_dns_cache=60,
            keepalive_timeout=_IDLE_S[scheme],
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            trust_env=False,
            read_bufsize=2**18,
        )

    def _url(self, text: str) -> URL:
        found = self._urls.get(text)
        if found is None:
            # Hosts that are addresses are judged here; names when they are resolved, by what is then connected to.
            self._guard.check_url(text)
            found = self._urls[text] = URL(text)
        return found

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        try:
            url = self._url(request.url)
            session = self._sessions.get(url.scheme)
            if session is None:
                session = self._sessions[url.scheme] = self._open(url.scheme)
            return _Answer(await session.post(url, data=request.body, headers=request.headers, allow_redirects=False))
        except ForbiddenAddressError as error:
            raise UnreachableError(str(error), "forbidden_address") from error
        except aiohttp.ClientConnectorDNSError as error:
            raise UnreachableError("its name could not be resolved", "dns") from error
        except (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError) as error:
            raise UnreachableError("no TLS connection", "tls") from error
        except (aiohttp.ConnectionTimeoutError, TimeoutError) as error:
            raise UnreachableError("no connection in time", "connect_timeout") from error
        except aiohttp.ClientConnectorError as error:
            raise UnreachableError("no connection", "connect") from error
        except aiohttp.ServerDisconnectedError as error:
            raise UnreachableError("it closed the connection without an answer", "disconnected") from error
        except (aiohttp.ClientResponseError, aiohttp.ClientPayloadError) as error:
            raise MalformedAnswerError("its answer is not HTTP", "not_http") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UnreachableError("the connection failed", "connection") from error

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()


class _Answer:
    __slots__ = ("_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read(self, most: int) -> bytes:
        length = self._response.content_length
        if length is not None and length <= most:
            try:
                return await self._response.read()
            except Exception as error:
                raise _body_error(error) from error
        parts: list[bytes] = []
        size = 0
        async for part in self.chunks():
            size += len(part)
            if size > most:
                raise MalformedAnswerError(f"its answer is longer than {most:,} bytes", "too_long")
            parts.append(part)
        return b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        content = self._response.content
        while True:
            try:
                part = await content.readany()
            except Exception as error:
                raise _body_error(error) from error
            if not part:
                return
            yield part

    def close(self) -> None:
        # Returns the connection to the pool when the body was read to its end, else closes it.
        self._response.close() if not self._response.content.at_eof() else self._response.release()


def _body_error(error: Exception) -> Exception:
    match error:
        case TimeoutError() if not isinstance(error, aiohttp.ServerTimeoutError):
            return error
        case aiohttp.ServerTimeoutError():
            return StalledError("it fell silent", "read_timeout")
        case aiohttp.ClientPayloadError() if "encoding" in str(error).lower():
            return MalformedAnswerError("its body cannot be decompressed", "content_encoding")
        case aiohttp.ClientPayloadError():
            return BrokenAnswerError("it broke off amid the answer", "truncated")
        case aiohttp.ClientError() | OSError():
            return BrokenAnswerError("the connection broke off amid the answer", "connection_lost")
        case asyncio.CancelledError():
            return error
        case _:
            return MalformedAnswerError("its body cannot be read", "unreadable")
