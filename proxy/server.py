"""How the HTTP server writes: an answer's head goes out together with its first bytes.

The server is uvicorn's; only this seam to the socket belongs here. It hands over head and body of an answer one after
the other, and the loop writes each at once: two calls of the kernel, and a client that is woken twice, the first time
for nothing. Streams gain most, whose clients have gone to sleep by the time their first content comes.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MOST_COPIED_BYTES = 64 * 1024
_HEADS = b"HTTP/1."


class Joining:
    """A transport that keeps an answer's head until the next write, at most until the loop's next turn."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """Write, or keep what looks like a head."""
        head = self._head
        if head is not None:
            self._head = None
            if len(data) <= _MOST_COPIED_BYTES:
                self._transport.write(head + data)
            else:
                self._transport.writelines((head, data))
        elif data.startswith(_HEADS):
            self._head = data
            # Where nothing follows: an answer to HEAD, or one that has no body.
            asyncio.get_running_loop().call_soon(self.flush)
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Write what is kept, while there is anybody to read it."""
        head, self._head = self._head, None
        if head is not None and not self._transport.is_closing():
            self._transport.write(head)

    def close(self) -> None:
        """Close, once everything is written."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Protocol(HttpToolsProtocol):
    """uvicorn's own, with a transport that joins."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a connection."""
        super().connection_made(cast(asyncio.Transport, Joining(transport)))
