"""The client's end of a call: whether it is still there, and comments that keep the line open while nothing is said.

What is sent as an answer, and what follows when a client has gone, do not belong here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from proxy.gate import Receive, Send

_LOOK_EVERY_S = 0.05


class Caller:
    """One client. Made in the task that serves it, which is cancelled when the client hangs up."""

    __slots__ = (
        "_keeping",
        "_receive",
        "_stream_headers",
        "_task",
        "_waiting",
        "_watching",
        "has_started",
        "is_gone",
        "send",
    )

    def __init__(self, receive: Receive, send: Send, stream_headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.send = send
        self.is_gone = False
        self.has_started = False
        self._receive = receive
        self._stream_headers = stream_headers
        self._task = asyncio.current_task()
        self._watching: asyncio.Task[None] | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self._keeping: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Cancel the call when the client hangs up."""
        if self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(self._until_gone())

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.is_gone = True
        if self._task is not None:
            self._task.cancel()

    def keep_alive(self, every_s: float, head: Callable[[], list[tuple[bytes, bytes]]], comment: bytes) -> None:
        """Send a comment every so often until `quiet`. The first one sends the head, so status 200 is said then."""
        loop = asyncio.get_running_loop()

        async def keeping() -> None:
            self.has_started = True
            await self.send({"type": "http.response.start", "status": 200, "headers": [*head(), *self._stream_headers]})
            while True:
                await self.send({"type": "http.response.body", "body": comment, "more_body": True})
                await asyncio.sleep(every_s)

        def begin() -> None:
            self._keeping = loop.create_task(keeping())

        self._waiting = loop.call_later(every_s, begin)

    async def quiet(self) -> None:
        """No more comments."""
        if self._waiting is not None:
            self._waiting.cancel()
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait((self._keeping,))
            self._keeping = None

    def stop(self) -> None:
        """Let go."""
        for one in (self._watching, self._waiting, self._keeping):
            if one is not None:
                one.cancel()


class Lookout:
    """Begins to watch the clients of calls that last. Most calls end sooner, and never pay for it.

    One timer for all of them: a timer of each call's own costs as much as routing it.
    """

    def __init__(self) -> None:
        self._new: set[Caller] = set()
        self._old: set[Caller] = set()
        self._is_set = False

    def add(self, caller: Caller) -> None:
        """A call has begun."""
        self._new.add(caller)
        if not self._is_set:
            self._is_set = True
            asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look)

    def remove(self, caller: Caller) -> None:
        """A call has ended."""
        self._new.discard(caller)
        self._old.discard(caller)

    def _look(self) -> None:
        for caller in self._old:
            caller.watch()
        self._old, self._new = self._new, set()
        self._is_set = bool(self._old)
        if self._is_set:
            asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look)
