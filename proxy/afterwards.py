"""What a call leaves to be written down, done while another waits for its upstream rather than before it is read.

Only when such work is done belongs here. It is bounded twice: in number, and by a moment at the latest. Whoever asks
about calls has it done first (`gate.py`), so nobody finds less than there is.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

_MOST_DUE = 64
_AT_LATEST_S = 0.05


class Afterwards:
    """Work that is due, in its order. For the event loop's thread only."""

    def __init__(self) -> None:
        self._due: deque[Callable[[], None]] = deque()
        self._is_timed = False
        self._is_begun = False

    def add(self, work: Callable[[], None]) -> None:
        """Have it done soon. What it raises is logged, and keeps nothing else from being done."""
        self._due.append(work)
        if len(self._due) >= _MOST_DUE:
            self.catch_up()
        elif not self._is_timed:
            self._is_timed = True
            asyncio.get_running_loop().call_later(_AT_LATEST_S, self._on_time)

    def while_waiting(self) -> None:
        """A call is about to be sent to its upstream: there is time once it is."""
        if self._due and not self._is_begun:
            self._is_begun = True
            # The client's library sends a body at the next turn of the loop, so this is for the one after that.
            asyncio.get_running_loop().call_soon(self._once_sent)

    def catch_up(self) -> None:
        """Do all that is due."""
        due = self._due
        while due:
            try:
                due.popleft()()
            except Exception:
                log.exception("what a call left could not be written down")

    def _once_sent(self) -> None:
        asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._is_begun = False
        self.catch_up()

    def _on_time(self) -> None:
        self._is_timed = False
        self.catch_up()
