"""One JSON line a call on standard error, gathered for a moment and written off the event loop.

What a line says belongs here: names, numbers and causes, never a word of a prompt or an answer.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TextIO

import msgspec

from proxy.attempts import Call

_GATHER_S = 0.2
_MOST_LINES = 10_000
_encode = msgspec.json.Encoder().encode


class CallLog:
    """Takes a line for each call that has ended. Lines past what a stalled reader leaves room for are dropped."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._lines: list[bytes] = []
        self._is_due = False

    def append(self, call: Call | None, request_id: str, status: int, seconds: float) -> None:
        """Take one. Never waits."""
        last = call.attempts[-1] if call is not None and call.attempts else None
        line = {
            "request_id": request_id,
            "status": status,
            "ms": round(seconds * 1000, 1),
            "endpoint": call.endpoint if call else None,
            "profile": call.profile if call else None,
            "offer": last.ranked.candidate.offer.offer_id if last else None,
            "attempts": len(call.attempts) if call else 0,
            "outcome": last.outcome if last else None,
            "cause": last.cause if last else None,
            "cost_usd": last.cost_usd if last else None,
        }
        if len(self._lines) < _MOST_LINES:
            self._lines.append(_encode(line))
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(_GATHER_S, self._begin)

    def _begin(self) -> None:
        asyncio.get_running_loop().run_in_executor(None, self.flush)

    def flush(self) -> None:
        """Write what was gathered. Blocks as long as the reader of the stream does."""
        self._is_due = False
        lines, self._lines = self._lines, []
        if lines:
            stream = self._stream or sys.stderr
            stream.write(b"\n".join(lines).decode() + "\n")
            stream.flush()
