"""Time as the proxy sees it. Everything that measures, waits or gives up takes a `Clock`, so tests move it by hand."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Limit(Protocol):
    """A running time limit."""

    def reschedule(self, when: float | None) -> None:
        """Move its end to `when`, in seconds of `Clock.monotonic`; None takes the limit away."""


class Clock(Protocol):
    """What the proxy asks of time."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""

    def now(self) -> dt.datetime:
        """The time in UTC, without zone."""

    def timeout_at(self, when: float | None) -> AbstractAsyncContextManager[Limit]:
        """Raises `TimeoutError` out of the block when `monotonic` reaches `when`."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own time."""

    monotonic = staticmethod(time.monotonic)
    timeout_at = staticmethod(asyncio.timeout_at)
    sleep = staticmethod(asyncio.sleep)

    @staticmethod
    def now() -> dt.datetime:
        return dt.datetime.now(dt.UTC).replace(tzinfo=None)
