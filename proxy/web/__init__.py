"""The page at `/`: its files, held in memory and served as they are, and what a browser may do with them.

No build step and no third party: what lies in this directory is what the browser gets. Files are public, because a
page must load before it can ask for a key; everything they show comes from routes that check it (`routes/page.py`).
Plain ASGI, because a page is a dozen files and a framework's routing would cost more than all of them.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, NamedTuple

_HERE = Path(__file__).parent
_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""No exception: no inline script or style, nobody else's bytes, no text that becomes markup."""

_ALWAYS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"vary", b"accept-encoding"),
)


class File(NamedTuple):
    """One file of the page, ready to send."""

    etag: bytes
    plain: bytes
    packed: bytes
    headers: tuple[tuple[bytes, bytes], ...]


def _file(name: str, data: bytes, cache_control: bytes) -> File:
    etag = b'"' + hashlib.sha256(data).hexdigest()[:20].encode() + b'"'
    kind = _TYPES[Path(name).suffix]
    headers = (*_ALWAYS, (b"content-type", kind), (b"etag", etag), (b"cache-control", cache_control))
    return File(etag, data, gzip.compress(data, 9, mtime=0), headers)


def _load() -> dict[str, File]:
    """The page by path. Its parts stand under a hash of them all, so a browser may keep them for good."""
    parts = {path.name: path.read_bytes() for path in sorted(_HERE.iterdir()) if path.suffix in _TYPES}
    index = parts.pop("index.html")
    version = hashlib.sha256(b"".join(parts.values())).hexdigest()[:12]
    files = {
        f"/page/{version}/{name}": _file(name, data, b"public, max-age=31536000, immutable")
        for name, data in parts.items()
    }
    # The page itself is asked for anew each time, and answered with 304 while it is the same.
    files["/"] = _file("index.html", index.replace(b"/page/", f"/page/{version}/".encode()), b"no-cache")
    return files


FILES: Mapping[str, File] = _load()


async def serve(
    file: File,
    method: str,
    headers: Mapping[bytes, bytes],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Answer GET or HEAD for one file; 304 where the client has it, 405 for other methods."""
    if method not in ("GET", "HEAD"):
        await _respond(send, 405, [(b"allow", b"GET, HEAD"), (b"content-length", b"0")], b"")
        return
    if file.etag in headers.get(b"if-none-match", b""):
        await _respond(send, 304, list(file.headers), b"")
        return
    is_packed = b"gzip" in headers.get(b"accept-encoding", b"")
    body = file.packed if is_packed else file.plain
    more = [(b"content-length", str(len(body)).encode())]
    if is_packed:
        more.append((b"content-encoding", b"gzip"))
    await _respond(send, 200, [*file.headers, *more], b"" if method == "HEAD" else body)


async def _respond(
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    status: int,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
