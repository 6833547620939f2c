"""A real proxy on loopback for integration tests: uvicorn in the test's own loop, time that can be moved forward."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from proxy.app import create_app
from proxy.clock import Limit, SystemClock
from proxy.runtime import Runtime
from proxy.settings import Settings
from tests.proxy.publication import offer, world, write
from warehouse.published import Offer


class MovableClock(SystemClock):
    """The machine's time, plus what a test adds; limits are counted on it too."""

    def __init__(self) -> None:
        self.added_s = 0.0

    def monotonic(self) -> float:  # type: ignore[override]
        return time.monotonic() + self.added_s

    def timeout_at(self, when: float | None) -> AbstractAsyncContextManager[Limit]:  # type: ignore[override]
        return _Limit(asyncio.timeout_at(None if when is None else when - self.added_s), self)


class _Limit(AbstractAsyncContextManager[Limit]):
    def __init__(self, timeout: asyncio.Timeout, clock: MovableClock) -> None:
        self._timeout = timeout
        self._clock = clock

    async def __aenter__(self) -> _Limit:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(self, *about: Any) -> bool | None:
        return await self._timeout.__aexit__(*about)

    def reschedule(self, when: float | None) -> None:
        self._timeout.reschedule(None if when is None else when - self._clock.added_s)


@dataclass
class Served:
    """A running proxy."""

    url: str
    """Base address without a path."""
    clock: MovableClock
    runtime: Runtime
    published: Path
    outcomes: Path


def upstreams_file(path: Path, bases: Mapping[str, str], *, kind: str = "openai", key: str | None = None) -> Path:
    """An upstreams.toml with these base addresses."""
    rows = [
        f'[{name}]\nbase_url = "{base}"\nkind = "{kind}"\n' + (f'api_key_env = "{key}"\n' if key else "")
        for name, base in bases.items()
    ]
    path.write_text("\n".join(rows))
    return path


@contextlib.asynccontextmanager
async def serving(
    directory: Path,
    bases: Mapping[str, str],
    offers: Sequence[Offer] | None = None,
    *,
    environment: Mapping[str, str] = {},
    kind: str = "openai",
    key: str | None = None,
    **settings: Any,
) -> AsyncIterator[Served]:
    """A proxy whose upstreams are `bases`; without `offers`, one model an upstream, ranked in that order."""
    if offers is None:
        offers = [offer(f"vendor-{name}/model", upstream=name, upstream_model=name) for name in bases]
    published = directory / "published" / "orchestrator.duckdb"
    if not published.exists():
        published.parent.mkdir(parents=True, exist_ok=True)
        write(published, world(offers))
    environment = {
        "ORCHESTRATOR_UPSTREAMS": str(upstreams_file(directory / "upstreams.toml", bases, kind=kind, key=key)),
        **environment,
    }
    clock = MovableClock()
    outcomes = directory / "outcomes"
    app = create_app(
        Settings(**{"allowed_domains": ("127.0.0.1", "localhost"), "log_calls": False, **settings}),
        environment=environment,
        published=published,
        outcomes=outcomes,
        clock=clock,
    )
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        loop="none",
        http="proxy.server:Protocol",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    # The test's own signal handlers stay; the server is told to stop.
    running = asyncio.create_task(server._serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.005)
        if running.done():
            running.result()
            raise RuntimeError("the proxy did not start")
    try:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        yield Served(url, clock, app.runtime, published, outcomes)
    finally:
        server.should_exit = True
        await running
