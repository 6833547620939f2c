"""The only place the pipeline reaches the network: time limits, bounded retries, redirects, a size limit.

What to ask for belongs to the sources, whether to ask at all to `payloads.py`. No error text and no log holds a
header, so keys stay where they are.
"""

from __future__ import annotations

import random as system_random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import urlsplit

import httpx

from pipeline.sources.source import Answer, FetchError

CONCURRENCY = 4
"""Requests to one source at a time."""

RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})

_SECRET_HEADERS = frozenset({"authorization", "x-api-key"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class Limits:
    """How long and how much a fetch may take."""

    attempts: int = 3
    connect_s: float = 5.0
    read_s: float = 30.0
    total_s: float = 120.0
    """One body, from the request to its last byte."""
    max_bytes: int = 64 * 1024 * 1024
    max_redirects: int = 5
    backoff_s: float = 0.5
    """First pause; it doubles with every attempt and is drawn anew between half of it and all of it."""
    longest_pause_s: float = 30.0
    """A server that asks for a longer pause is not waited for."""


class _Transient(Exception):  # noqa: N818 — never leaves this file
    def __init__(self, cause: str, pause_s: float | None = None) -> None:
        super().__init__(cause)
        self.pause_s = pause_s


@dataclass
class Fetcher:
    """Asks live addresses. One instance a source and run: what was found unreachable is not tried again."""

    client: httpx.Client
    limits: Limits = field(default_factory=Limits)
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = system_random.random
    monotonic: Callable[[], float] = time.monotonic
    _unreachable: dict[str, str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """One answer with status 200, after bounded retries.

        Raises `FetchError` with address and cause. A host that could not be connected to is not tried again.
        """
        scheme, host = urlsplit(url)[:2]
        if scheme not in ("http", "https") or not host:
            raise FetchError(f"{_shown(url)}: not an http(s) address")
        with self._lock:
            known = self._unreachable.get(host)
        if known is not None:
            raise FetchError(f"{_shown(url)}: {known}")
        for attempt in range(1, self.limits.attempts + 1):
            try:
                return self._once(url, headers or {})
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                cause, pause = f"no connection ({_cause(error)})", None
                if attempt == self.limits.attempts:
                    with self._lock:
                        self._unreachable[host] = cause
            except httpx.InvalidURL as error:
                raise FetchError(f"{_shown(url)}: {_cause(error)}") from error
            except httpx.HTTPError as error:
                cause, pause = _cause(error), None
            except _Transient as error:
                cause, pause = str(error), error.pause_s
            if attempt == self.limits.attempts:
                raise FetchError(f"{_shown(url)}: {cause} ({attempt} attempts)")
            if pause is not None and pause > self.limits.longest_pause_s:
                raise FetchError(f"{_shown(url)}: {cause}; it asks to wait {pause:.0f} s")
            step = self.limits.backoff_s * 2 ** (attempt - 1)
            self.sleep(pause if pause is not None else step * (0.5 + 0.5 * self.random()))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def get_all(self, urls: Iterable[str], headers: Mapping[str, str] | None = None) -> list[Answer | FetchError]:
        """Answers in the order of `urls`, `CONCURRENCY` requests at a time; failures stand in their places."""

        def one(url: str) -> Answer | FetchError:
            try:
                return self.get(url, headers)
            except FetchError as error:
                return error

        with ThreadPoolExecutor(CONCURRENCY) as pool:
            return list(pool.map(one, urls))

    def post(self, url: str, body: bytes) -> Answer:
        """One answer with status 200 to a JSON body; no second attempt, no redirect. Raises `FetchError`."""
        try:
            with self.client.stream(
                "POST", url, content=body, headers={"Content-Type": "application/json"}
            ) as response:
                if response.status_code != 200:
                    raise FetchError(f"{_shown(url)}: status {response.status_code}")
                return Answer(url, self._body(response, self.monotonic() + self.limits.total_s, url))
        except (httpx.HTTPError, httpx.InvalidURL, _Transient) as error:
            raise FetchError(f"{_shown(url)}: {_cause(error)}") from error

    def _once(self, url: str, headers: Mapping[str, str]) -> Answer:
        deadline = self.monotonic() + self.limits.total_s
        origin = urlsplit(url)
        current = url
        for _ in range(self.limits.max_redirects + 1):
            target = urlsplit(current)
            # A key is for the host it was given to; a redirect to a storage host must not carry it there.
            is_same_origin = (target.scheme, target.netloc) == (origin.scheme, origin.netloc)
            sent = {k: v for k, v in headers.items() if is_same_origin or k.lower() not in _SECRET_HEADERS}
            with self.client.stream("GET", current, headers=sent, follow_redirects=False) as response:
                if response.status_code in _REDIRECTS and "location" in response.headers:
                    following = str(response.url.join(response.headers["location"]))
                    if target.scheme == "https" and urlsplit(following).scheme != "https":
                        raise FetchError(f"{_shown(url)}: it redirects from https to {urlsplit(following).scheme}")
                    current = following
                    continue
                if response.status_code in RETRIED_STATUSES:
                    raise _Transient(f"status {response.status_code}", _retry_after(response))
                if response.status_code != 200:
                    raise FetchError(f"{_shown(url)}: status {response.status_code}")
                body = self._body(response, deadline, url)
                return Answer(url, body, _next_page(response))
        raise FetchError(f"{_shown(url)}: more than {self.limits.max_redirects} redirects")

    def _body(self, response: httpx.Response, deadline: float, url: str) -> bytes:
        chunks, size = [], 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > self.limits.max_bytes:
                raise FetchError(f"{_shown(url)}: larger than {self.limits.max_bytes // 1024 // 1024} MiB")
            if self.monotonic() > deadline:
                raise _Transient(f"not finished within {self.limits.total_s:.0f} s")
            chunks.append(chunk)
        return b"".join(chunks)


@contextmanager
def open_fetcher(transport: httpx.BaseTransport | None = None, limits: Limits | None = None) -> Iterator[Fetcher]:
    """A fetcher over a client of its own, closed on leaving."""
    limits = limits or Limits()
    timeout = httpx.Timeout(connect=limits.connect_s, read=limits.read_s, write=limits.read_s, pool=limits.total_s)
    agent = {"User-Agent": "local-ai-orchestrator (model catalogue refresh)"}
    with httpx.Client(transport=transport, timeout=timeout, headers=agent) as client:
        yield Fetcher(client, limits)


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None


def _next_page(response: httpx.Response) -> str | None:
    """The next page of the `Link` header, on the same host only: headers go with it."""
    following = response.links.get("next", {}).get("url")
    if not following:
        return None
    joined = response.url.join(following)
    return str(joined) if (joined.scheme, joined.netloc) == (response.url.scheme, response.url.netloc) else None


def _shown(url: str) -> str:
    """An address without its query and user: signed addresses carry secrets there."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
