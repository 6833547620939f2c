"""What an operator ordered by hand, for all workers of a host: breakers opened or closed.

Each worker's breakers are its own, since each sees its own calls fail. An operator means all of them, whichever worker
the order reached: it is written to one small file, which every worker looks at as it does at its other files. A worker
that starts later opens what is still ordered open.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import logging
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import msgspec

from proxy.breaker import Breakers
from proxy.clock import Clock

_KEPT = 200
"""Orders in the file: more than anyone gives between two looks at it."""

log = logging.getLogger(__name__)


class Order(msgspec.Struct, frozen=True):
    """One order."""

    id: str
    action: str
    """open or close."""
    key: str
    """Of the breaker."""
    given_at: dt.datetime
    seconds: float | None = None
    """How long it is to rest; None for its own cooldown."""


_decode = msgspec.json.Decoder(list[Order]).decode


class Orders:
    """The orders of one host, as one worker sees them."""

    def __init__(self, path: Path, breakers: Breakers, clock: Clock) -> None:
        self._path = path
        self._breakers = breakers
        self._clock = clock
        self._seen: set[str] = set()
        self._stamp: tuple[int, int] | None = None
        self.problem: str | None = None
        """Why the file could not be read the last time it had changed."""

    def give(self, action: str, key: str, seconds: float | None = None) -> None:
        """Obey an order here, and pass it on to the other workers. Raises `OSError` where it cannot be passed on."""
        order = Order(secrets.token_hex(8), action, key, self._clock.now(), seconds)
        self._seen.add(order.id)
        self._obey(order, seconds)
        with _locked(self._path.with_suffix(".lock")):
            orders: list[Order] = []
            with contextlib.suppress(msgspec.DecodeError):
                orders = self._read()
            orders = [*orders, order][-_KEPT:]
            unseen = self._path.with_name(f".{self._path.name}.{os.getpid()}.new")
            unseen.write_bytes(msgspec.json.encode(orders))
            unseen.replace(self._path)

    def look(self) -> None:
        """Obey what was ordered elsewhere since the last look. Never raises."""
        try:
            found = self._path.stat()
        except OSError:
            return
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            orders = self._read()
            self.problem = None
        except (OSError, msgspec.DecodeError) as error:
            self.problem = f"{self._path}: {error}"
            log.warning("orders cannot be read: %s", self.problem)
            return
        for order in orders:
            if order.id in self._seen:
                continue
            passed_s = (self._clock.now() - order.given_at).total_seconds()
            if order.seconds is None:
                self._obey(order, None)
            elif order.action == "close" or passed_s < order.seconds:
                self._obey(order, order.seconds - passed_s)
        self._seen = {order.id for order in orders}

    def skip_past(self) -> None:
        """At the start: obey only what holds for a stated time that is not over yet."""
        with contextlib.suppress(OSError, msgspec.DecodeError):
            latest = {order.key: order for order in self._read()}
            self._seen |= {order.id for order in self._read() if order.seconds is None or latest[order.key] != order}
        self.look()

    def _read(self) -> list[Order]:
        try:
            return _decode(self._path.read_bytes())
        except FileNotFoundError:
            return []

    def _obey(self, order: Order, seconds: float | None) -> None:
        now = self._clock.monotonic()
        breaker = self._breakers[order.key]
        if order.action == "close":
            breaker.close(now)
        else:
            breaker.open(now, "opened by an operator", seconds)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two operators at once wait for one another, rather than one order being lost."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
