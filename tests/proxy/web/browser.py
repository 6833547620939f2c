"""The page in Debian's own Chromium: a proxy with an invented market behind it, and a browser that keeps a list of
everything that went wrong in it."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from tests.fake_upstream import FakeUpstream
from tests.proxy import publication
from tests.proxy.serving import Served, serving
from tests.proxy.web import market

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
"""Path of the browser; None where there is none."""

TODAY = dt.datetime.now(dt.UTC).replace(tzinfo=None)
"""When the market was published: one moment for all tests, for then it is made once."""

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


# How long the browser takes on this machine is not what these tests are about.
MOST_MS = 120_000
expect.set_options(timeout=MOST_MS)


@dataclass
class Window:
    """An open page and what it complained about."""

    page: Page
    problems: list[str] = field(default_factory=list)
    """Console errors and warnings, breaches of the security policy, exceptions, requests to other hosts."""
    requests: list[str] = field(default_factory=list)
    """Method and path of everything it asked for."""


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Chromium without a window."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(_ARGUMENTS), timeout=MOST_MS)
        try:
            yield chromium
        finally:
            await chromium.close()


@contextlib.asynccontextmanager
async def window(chromium: Browser, url: str, **options: Any) -> AsyncIterator[Window]:
    """A fresh browser profile with the page open; `options` are Playwright's for a context."""
    context = await chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    # Breaches are told as events too; a policy that only reports would pass unseen otherwise.
    await context.add_init_script(
        "addEventListener('securitypolicyviolation', (e) => console.error('policy', e.violatedDirective, e.blockedURI))"
    )
    context.set_default_timeout(MOST_MS)
    opened = Window(await context.new_page())
    page = opened.page

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            opened.problems.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def asked(request: Any) -> None:
        if request.url.startswith(url):
            opened.requests.append(f"{request.method} {request.url.removeprefix(url).partition('?')[0]}")
        else:
            opened.problems.append(f"asked another host: {request.url}")

    page.on("console", said)
    page.on("pageerror", lambda error: opened.problems.append(f"exception: {error}"))
    page.on("request", asked)
    await page.goto(f"{url}/")
    try:
        yield opened
    finally:
        await context.close()


@contextlib.asynccontextmanager
async def market_proxy(
    directory: Path,
    upstream: FakeUpstream,
    *,
    published: Path | None = None,
    environment: Mapping[str, str] = {},
    **settings: Any,
) -> AsyncIterator[Served]:
    """A proxy that ranks the invented market, or the publication given, and calls `upstream` for all of it."""
    path = directory / "published" / "orchestrator.duckdb"
    path.parent.mkdir(parents=True)
    if published is None:
        publication.write(path, market.rows(TODAY))
    else:
        path.symlink_to(published.resolve())
    bases = dict.fromkeys(("openrouter", "workstation"), upstream.base_url)
    async with serving(directory, bases, (), environment=environment, **settings) as served:
        yield served
