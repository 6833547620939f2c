"""One browser for all tests of the page; each test opens a profile of its own in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """As everywhere, for the whole session, so that the browser can outlive a test."""
    return "asyncio"


@pytest.fixture(scope="session")
async def chromium(anyio_backend: str) -> AsyncIterator[Any]:
    """Chromium without a window; skips where there is none, or no library to drive it."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    from tests.proxy.web.browser import CHROMIUM, browser

    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine (CHROMIUM can name one)")
    async with browser() as started:
        yield started
