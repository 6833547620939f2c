"""Answers kept for requests that are the same to the byte that matters. Off unless ORCHESTRATOR_CACHE_MB says how much.

Which requests may be answered from memory, what makes two the same, and the bounds of what is kept belong here. Sending
an answer does not (`routes/`). Kept by worker, by key: nobody is ever given what another key paid for.

A request may be kept when a repetition is meant to give the same: `temperature` 0 or a `seed`, and one answer. Anything
else is sampled, and a caller that asks twice wants two. `"routing": {"cache": "force"}` keeps it all the same,
`"off"` neither looks nor keeps. Streams are kept as the bytes they were, and given to streams only.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

_LEFT_OUT = frozenset(
    ("stream_options", "user", "metadata", "session_id", "prompt_cache_key", "routing", "store", "safety_identifier")
)
"""Fields that do not change what is answered. `stream_options` does, but only the usage event, which is asked for."""

# What makes an answer depend on more than the request.
_LIVE_FIELDS = ("plugins", "web_search_options")
_encode = msgspec.json.Encoder(order="sorted").encode


class KeptAnswer(NamedTuple):
    """An answer as it went out."""

    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    """Those that say what answered."""
    is_stream: bool
    ends_s: float
    cost_usd: float | None
    """What it cost when it was made; a hit costs nothing."""


def refusal(body: Mapping[str, Any], wish: str | None) -> str | None:
    """Why a request is not answered from memory; None when it may be. `wish` is `routing.cache`."""
    if wish == "off":
        return "the request says off"
    if body.get("n") not in (None, 1):
        return "several answers are asked for"
    if any(body.get(field) for field in _LIVE_FIELDS) or str(body.get("model")).endswith(":online"):
        return "it looks things up"
    if wish == "force":
        return None
    temperature = body.get("temperature")
    is_fixed = isinstance(temperature, int | float) and not isinstance(temperature, bool) and temperature == 0
    if not is_fixed and body.get("seed") is None:
        return "it is sampled: no temperature of 0 and no seed"
    return None


def key_of(fields: Mapping[str, Any], caller: str, endpoint: str, keeps_usage: bool) -> bytes:
    """What two requests have in common when one may have the other's answer."""
    kept = {name: value for name, value in fields.items() if name not in _LEFT_OUT}
    digest = hashlib.blake2b(digest_size=20)
    for part in (caller.encode("utf-8", "replace"), endpoint.encode(), b"usage" if keeps_usage else b"", _encode(kept)):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


class AnswerCache:
    """Answers by key, the longest unused forgotten first; bounded in bytes, entries and age."""

    def __init__(self, most_bytes: int, most_entries: int = 50_000, lives_s: float = 3600.0) -> None:
        self._most_bytes = most_bytes
        self._most_entries = most_entries
        self._lives_s = lives_s
        self._kept: OrderedDict[bytes, KeptAnswer] = OrderedDict()
        self.bytes = 0
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes, now_s: float) -> KeptAnswer | None:
        """The answer kept for a request; None when there is none, or none young enough."""
        found = self._kept.get(key)
        if found is not None and now_s >= found.ends_s:
            self._drop(key)
            found = None
        if found is None:
            self.misses += 1
            return None
        self._kept.move_to_end(key)
        self.hits += 1
        return found

    def keep(
        self,
        key: bytes,
        body: bytes,
        headers: tuple[tuple[bytes, bytes], ...],
        *,
        is_stream: bool,
        now_s: float,
        cost_usd: float | None,
    ) -> bool:
        """Keep a complete, good answer; False when it is too large to be worth it."""
        size = _size(key, body)
        if size > self._most_bytes // 8 or self._most_entries < 1:
            return False
        self._drop(key)
        while self._kept and (self.bytes + size > self._most_bytes or len(self._kept) >= self._most_entries):
            self._drop(next(iter(self._kept)))
        self._kept[key] = KeptAnswer(body, headers, is_stream, now_s + self._lives_s, cost_usd)
        self.bytes += size
        return True

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self.bytes = 0

    def _drop(self, key: bytes) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self.bytes -= _size(key, gone.body)


_OVERHEAD_BYTES = 600
"""Of an entry beside its body: key, headers and the objects that hold them."""


def _size(key: bytes, body: bytes) -> int:
    return len(key) + len(body) + _OVERHEAD_BYTES
