"""What keys may still spend, across all workers of a host: reserved before a call, settled after it.

Every limited call holds a lease while it runs. Taking one checks and counts everything a key is limited in (money by
day and month, requests and tokens a minute, calls at a time) in one transaction of one SQLite file, so that no number
of workers or calls can slip past between the check and the count. Why SQLite: docs/decisions/0009. Keys without limits
never come here.

A lease of a crashed worker is void when its time is over, or as soon as another worker starts. Without the ledger a
limited key is refused: a full disk must not mean an unlimited budget.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import random
import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from proxy.clock import Clock
from proxy.costs import at_length
from proxy.keys import Key
from proxy.rates import give_back, take
from warehouse.published import Offer

T = TypeVar("T")

_SCHEMA = Path(__file__).with_suffix(".sql")
_NANO = 1_000_000_000
_BUSY_S = 5.0
_BUSY_PAUSE_S = 0.0005
_FOLD_EVERY_S = 10.0
_MOST_AT_ONCE = 16
_KEPT_DAYS = 400
_PROMPT_MARGIN = 1.4
"""Prompt tokens are estimated at 3.5 bytes each; hardly any text has fewer than 2.5."""
_UNKNOWN_OUTPUT_TOKENS = 32_768
_UNKNOWN_SPEED_TOKENS_PER_S = 100.0
_RETRY_RESERVED_S = 2.0


class Lease(NamedTuple):
    """A call's share of its key's limits while it runs."""

    id: str
    key: Key
    day: str
    month: str
    reserved: int
    """Nano-dollars."""
    tokens: int
    """As taken from the tokens per minute."""


class Refused(NamedTuple):
    """Why a key may not make this call now."""

    limit: str
    """Field of the key's row that says no."""
    message: str
    retry_after_s: float
    is_spent: bool = False
    """The money is gone until the period ends; waiting a little does not help."""


class LedgerError(Exception):
    """The ledger cannot be used. The text says why."""


def worst_case_usd(offer: Offer, prompt_tokens: int, output_tokens: int | None) -> float | None:
    """The most a call may cost; None where a price is not known. `output_tokens` is the caller's own limit."""
    if offer.is_local or offer.is_free:
        return 0.0
    # A long prompt may reach a dearer tier; one tier dearer than the estimate says is still within the worst case.
    offer = at_length(offer, prompt_tokens * _PROMPT_MARGIN)
    price_in, price_out = offer.price_in_usd_per_mtok, offer.price_out_usd_per_mtok
    if offer.kind == "embedding":
        price_out = price_out or 0.0  # it answers with numbers, not tokens
    if price_in is None or price_out is None:
        return None
    most_out = output_tokens or offer.max_output_tokens or _UNKNOWN_OUTPUT_TOKENS
    if output_tokens and offer.max_output_tokens:
        most_out = min(output_tokens, offer.max_output_tokens)
    price_in = max(price_in, offer.price_cache_write_usd_per_mtok or 0.0)
    price_out = max(price_out, offer.price_reasoning_usd_per_mtok or 0.0)
    tokens_usd = (prompt_tokens * _PROMPT_MARGIN * price_in + most_out * price_out) / 1e6
    return tokens_usd + (offer.price_request_usd or 0.0)


def unseen_usd(offer: Offer, prompt_tokens: int, generated_s: float, most_usd: float) -> float:
    """Estimate for a call that ended without saying what it cost, after generating for some seconds.

    A caller that hangs up before the usage arrives has been served all the same: free of charge, a budget would mean
    nothing to whoever always hangs up.
    """
    if offer.is_local or offer.is_free:
        return 0.0
    offer = at_length(offer, prompt_tokens)
    speed = offer.throughput_tokens_per_s or _UNKNOWN_SPEED_TOKENS_PER_S
    spent = prompt_tokens * (offer.price_in_usd_per_mtok or 0.0)
    spent += max(0.0, generated_s) * speed * (offer.price_out_usd_per_mtok or 0.0)
    return min(spent / 1e6, most_usd)


def periods(now: dt.datetime) -> tuple[str, str]:
    """Day and month, UTC."""
    return f"{now:%Y-%m-%d}", f"{now:%Y-%m}"


class Store:
    """The ledger's file. Every method is one step of a transaction that `batch` opens."""

    def __init__(self, path: Path, worker: str | None = None) -> None:
        self.worker = worker or process_name(os.getpid()) or f"{os.getpid()}:0"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        self._execute = self._connection.execute
        self._execute("PRAGMA journal_mode=WAL")
        # A power cut may lose the last moments; a crash of the process loses nothing.
        self._execute("PRAGMA synchronous=NORMAL")
        # Only `fold` does that: it waits for the disk.
        self._execute("PRAGMA wal_autocheckpoint=0")
        self._connection.executescript(_SCHEMA.read_text(encoding="utf-8"))
        os.chmod(path, 0o600)  # noqa: PTH101

    def never_wait(self) -> None:
        """From now on raise SQLITE_BUSY at once when another worker writes."""
        self._execute("PRAGMA busy_timeout=0")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def batch(self, steps: list[Callable[[Store], Any]]) -> list[Any]:
        """Run steps in one transaction and return what each gave. One that raises undoes all and raises here."""
        self._execute("BEGIN IMMEDIATE")
        try:
            results = [step(self) for step in steps]
            self._execute("COMMIT")
        except BaseException:
            self._connection.rollback()
            raise
        return results

    def tidy(self, now: dt.datetime) -> int:
        """Void what crashed workers left and forget old periods; returns how many leases were voided."""
        dead = [
            worker
            for (worker,) in self._execute("SELECT DISTINCT worker FROM leases").fetchall()
            if worker != self.worker and not is_running(worker)
        ]
        voided = 0
        for worker in dead:
            voided += self._void(self._execute("DELETE FROM leases WHERE worker = ? RETURNING *", (worker,)).fetchall())
        self._execute("DELETE FROM counters WHERE period < ?", (periods(now - dt.timedelta(_KEPT_DAYS))[1],))
        return voided + self._void_ended(now)

    def take(
        self,
        key: Key,
        now: dt.datetime,
        worst_usd: float,
        tokens: int,
        most_s: float,
        *,
        may_overshoot: bool = True,
    ) -> Lease | Refused:
        """A lease for a call of at most `worst_usd` and `most_s`, or which limit says no; then nothing is counted.

        `may_overshoot` lets a call that runs alone cost more than what is left.
        """
        self._void_ended(now)
        now_s = _unix(now)
        if key.concurrency is not None:
            (running,) = self._execute("SELECT count(*) FROM leases WHERE key = ?", (key.name,)).fetchone()
            if running >= key.concurrency:
                text = f"The key {key.name} may have {key.concurrency} calls running at a time."
                return Refused("concurrency", text, 1.0)
        rates: list[tuple[str, float]] = []
        for field, kind, amount, per_minute in (
            ("requests_per_minute", "requests", 1, key.requests_per_minute),
            ("tokens_per_minute", "tokens", tokens, key.tokens_per_minute),
        ):
            if per_minute is not None:
                taken = take(self._due(key.name, kind), now_s, amount, per_minute)
                if taken.wait_s:
                    text = f"The key {key.name} may use {per_minute:,} {kind} a minute."
                    return Refused(field, text, taken.wait_s)
                rates.append((kind, taken.due_s))
        day, month = periods(now)
        amount = round(worst_usd * _NANO) if key.has_budget else 0
        for field, period, limit, ends in (
            ("budget_usd_per_day", day, key.budget_usd_per_day, _next_day(now)),
            ("budget_usd_per_month", month, key.budget_usd_per_month, _next_month(now)),
        ):
            if limit is not None:
                ends_s = (ends - now).total_seconds()
                refused = self._over(key, field, period, limit, amount, ends_s, may_overshoot=may_overshoot)
                if refused is not None:
                    return refused
        for kind, due in rates:
            self._execute("REPLACE INTO rates VALUES (?, ?, ?)", (key.name, kind, due))
        if key.has_budget:
            for period in (day, month):
                self._execute(
                    "INSERT INTO counters VALUES (?, ?, 0, ?) "
                    "ON CONFLICT DO UPDATE SET reserved = reserved + excluded.reserved",
                    (key.name, period, amount),
                )
        lease = Lease(secrets.token_hex(8), key, day, month, amount, tokens)
        self._execute(
            "INSERT INTO leases VALUES (?, ?, ?, ?, ?, ?, ?)",
            (lease.id, key.name, day, month, amount, self.worker, now_s + most_s),
        )
        return lease

    def settle(self, lease: Lease, spent_usd: float, tokens: int | None) -> None:
        """End a lease: what was reserved is free, what was spent is spent, even if the lease was void by then."""
        key = lease.key
        self._void(self._execute("DELETE FROM leases WHERE id = ? RETURNING *", (lease.id,)).fetchall())
        spent = round(spent_usd * _NANO)
        if spent and key.has_budget:
            for period in (lease.day, lease.month):
                self._execute(
                    "INSERT INTO counters VALUES (?, ?, ?, 0) ON CONFLICT DO UPDATE SET spent = spent + excluded.spent",
                    (key.name, period, spent),
                )
        if key.tokens_per_minute is not None and tokens is not None and tokens != lease.tokens:
            due = give_back(self._due(key.name, "tokens"), lease.tokens - tokens, key.tokens_per_minute)
            self._execute("REPLACE INTO rates VALUES (?, 'tokens', ?)", (key.name, due))

    def usage(self, key: Key, now: dt.datetime) -> dict[str, Any]:
        """What the key has used: spent and reserved by day and month, and its running calls."""
        self._void_ended(now)
        day, month = periods(now)
        found: dict[str, Any] = {}
        for name, period in (("day", day), ("month", month)):
            spent, reserved = self._counted(key.name, period)
            found[f"spent_usd_this_{name}"] = spent / _NANO
            found[f"reserved_usd_this_{name}"] = reserved / _NANO
        (found["running"],) = self._execute("SELECT count(*) FROM leases WHERE key = ?", (key.name,)).fetchone()
        return found

    def _over(
        self,
        key: Key,
        field: str,
        period: str,
        limit_usd: float,
        amount: int,
        ends_s: float,
        *,
        may_overshoot: bool,
    ) -> Refused | None:
        """A budget must cover the worst case of every running call; only a call that runs alone may overshoot it."""
        limit = round(limit_usd * _NANO)
        spent, reserved = self._counted(key.name, period)
        if not amount:
            return None
        if spent >= limit:
            text = f"The key {key.name} has spent ${spent / _NANO:.2f} of ${limit_usd:g} in {period}."
            return Refused(field, text, ends_s, is_spent=True)
        # Alone, a call may be dearer than what is left: one that asks for no limit would otherwise never be made.
        if spent + reserved + amount > limit and (reserved or not may_overshoot):
            text = (
                f"The key {key.name} has ${(limit - spent) / _NANO:.4f} of ${limit_usd:g} left in {period}, "
                "and running calls may need it. A smaller max_tokens reserves less."
            )
            return Refused(field, text, _RETRY_RESERVED_S)
        return None

    def _counted(self, key: str, period: str) -> tuple[int, int]:
        found = self._execute("SELECT spent, reserved FROM counters WHERE key = ? AND period = ?", (key, period))
        return found.fetchone() or (0, 0)

    def _due(self, key: str, kind: str) -> float:
        found = self._execute("SELECT due FROM rates WHERE key = ? AND kind = ?", (key, kind)).fetchone()
        return float(found[0]) if found else 0.0

    def _void_ended(self, now: dt.datetime) -> int:
        return self._void(self._execute("DELETE FROM leases WHERE ends <= ? RETURNING *", (_unix(now),)).fetchall())

    def _void(self, leases: list[tuple[Any, ...]]) -> int:
        for _, key, day, month, reserved, *_ in leases:
            if reserved:
                self._execute(
                    "UPDATE counters SET reserved = reserved - ? WHERE key = ? AND period IN (?, ?)",
                    (reserved, key, day, month),
                )
        return len(leases)


class Ledger:
    """The store on the event loop of this worker.

    A transaction takes some tens of microseconds and waits for no disk, so it runs where the calls run: a thread would
    cost more in handing the interpreter over than it saves. Steps of one turn of the loop share a transaction. When
    another worker holds the file, the steps wait for their turn and the loop goes on; folding the write-ahead log
    back, which does wait for the disk, is a thread's, now and then.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._store: Store | None = None
        self._steps: list[tuple[Callable[[Store], Any], asyncio.Future[Any] | None]] = []
        self._is_due = False
        self._busy_since: float | None = None
        self._folded_at = 0.0
        self._folding: asyncio.Task[None] | None = None
        self.problem: str | None = None
        """Why the last transaction failed; None when it did not."""

    def open(self) -> None:
        """Open the file and void what crashed workers left. Blocks on the disk; a failure is not the last word."""
        try:
            self._opened()
        except (sqlite3.Error, OSError) as error:
            self.problem = f"{self._path}: {error}"

    async def take(
        self, key: Key, worst_usd: float, tokens: int, most_s: float, *, may_overshoot: bool = True
    ) -> Lease | Refused:
        """See `Store.take`. Raises `LedgerError` when the ledger cannot be used."""
        now = self._clock.now()
        future = self._ask(lambda store: store.take(key, now, worst_usd, tokens, most_s, may_overshoot=may_overshoot))
        try:
            return await future
        except asyncio.CancelledError:
            # Counted already, though nobody took it: it is given back. What is not yet counted will not be.
            if future.done() and not future.cancelled() and isinstance(lease := future.result(), Lease):
                self.release(lease)
            raise

    def settle(self, lease: Lease, spent_usd: float, tokens: int | None = None) -> None:
        """End a lease. Does not wait; a lease that cannot be settled ends by its time."""
        self._put(lambda store: store.settle(lease, spent_usd, tokens), None)

    def release(self, lease: Lease) -> None:
        """End a lease of a call that came to nothing."""
        self.settle(lease, 0.0, 0)

    async def usage(self, key: Key) -> dict[str, Any]:
        """See `Store.usage`. Raises `LedgerError`."""
        now = self._clock.now()
        return await self._ask(lambda store: store.usage(key, now))

    async def close(self) -> None:
        """Write what waits and close the file."""
        if self._folding is not None:
            await self._folding
        while self._steps:
            self._write()
            if self._steps:
                await asyncio.sleep(_BUSY_PAUSE_S)
        if self._store is not None:
            self._store.close()
            self._store = None

    def _ask(self, step: Callable[[Store], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._put(step, future)
        return future

    def _put(self, step: Callable[[Store], Any], future: asyncio.Future[Any] | None) -> None:
        self._steps.append((step, future))
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._write)

    def _opened(self) -> Store:
        if self._store is None:
            store = Store(self._path)
            now = self._clock.now()
            store.batch([lambda opened: opened.tidy(now)])
            # From here on another worker is waited for by trying again, not by standing still.
            store.never_wait()
            self._store, self._folded_at = store, self._clock.monotonic()
        return self._store

    def _write(self) -> None:
        self._is_due = False
        steps = [(step, future) for step, future in self._steps[:_MOST_AT_ONCE] if future is None or not future.done()]
        later = self._steps[_MOST_AT_ONCE:]
        results: list[Any] = []
        try:
            if steps:
                results = self._opened().batch([step for step, _ in steps])
            self.problem = self._busy_since = None
        except (sqlite3.Error, OSError) as error:
            if self._may_try_again(error):
                self._try_again(_BUSY_PAUSE_S * (0.5 + random.random()))  # noqa: S311  (spreads retries, no secret)
                return
            self.problem = f"{self._path}: {error}"
            results = [LedgerError(self.problem)] * len(steps)
        self._steps = later
        for (_, future), result in zip(steps, results, strict=True):
            if future is None or future.done():
                continue
            if isinstance(result, LedgerError):
                future.set_exception(result)
            else:
                future.set_result(result)
        if later:
            self._try_again(0.0)
        elif self._clock.monotonic() - self._folded_at > _FOLD_EVERY_S and self._folding is None:
            self._folding = asyncio.get_running_loop().create_task(self._fold(), name="budgets")

    def _may_try_again(self, error: sqlite3.Error | OSError) -> bool:
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY:
            return False
        now = self._clock.monotonic()
        if self._busy_since is None:
            self._busy_since = now
        if now - self._busy_since < _BUSY_S:
            return True
        self._busy_since = None
        return False

    def _try_again(self, pause_s: float) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(pause_s, self._write)

    async def _fold(self) -> None:
        try:
            await asyncio.to_thread(fold, self._path)
        except (sqlite3.Error, OSError) as error:
            self.problem = f"{self._path}: {error}"
        finally:
            self._folded_at, self._folding = self._clock.monotonic(), None


def fold(path: Path) -> None:
    """Fold the write-ahead log back into the file. Blocks on the disk, and no other worker."""
    with contextlib.closing(sqlite3.connect(path, timeout=0.1)) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def process_name(pid: int) -> str | None:
    """Process id and start time, which together name one process for ever; None where the system does not say."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # Fields after the program's name, which may itself hold spaces and brackets; the start is the 22nd of all.
    return f"{pid}:{stat.rpartition(')')[2].split()[19]}"


def is_running(worker: str) -> bool:
    """Whether the process of that name still runs; True where the system does not say."""
    pid, _, started = worker.partition(":")
    if started == "0" or not Path("/proc/self/stat").exists():
        return True
    return process_name(int(pid)) == worker


def _unix(now: dt.datetime) -> float:
    return now.replace(tzinfo=dt.UTC).timestamp()


def _next_day(now: dt.datetime) -> dt.datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + dt.timedelta(1)


def _next_month(now: dt.datetime) -> dt.datetime:
    return (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + dt.timedelta(32)).replace(day=1)
