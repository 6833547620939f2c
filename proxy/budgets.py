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
import queue
import secrets
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from proxy.clock import Clock
from proxy.keys import Key
from proxy.rates import give_back, take
from warehouse.published import Offer

T = TypeVar("T")

_SCHEMA = Path(__file__).with_suffix(".sql")
_NANO = 1_000_000_000
_BUSY_S = 5.0
_MOST_AT_ONCE = 256
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
    price_in, price_out = offer.price_in_usd_per_mtok, offer.price_out_usd_per_mtok
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
    speed = offer.throughput_tokens_per_s or _UNKNOWN_SPEED_TOKENS_PER_S
    spent = prompt_tokens * (offer.price_in_usd_per_mtok or 0.0)
    spent += max(0.0, generated_s) * speed * (offer.price_out_usd_per_mtok or 0.0)
    return min(spent / 1e6, most_usd)


def periods(now: dt.datetime) -> tuple[str, str]:
    """Day and month, UTC."""
    return f"{now:%Y-%m-%d}", f"{now:%Y-%m}"


class Store:
    """The ledger's file, opened by one thread. Every method is one step of a transaction that `batch` opens."""

    def __init__(self, path: Path, worker: str | None = None) -> None:
        self.worker = worker or process_name(os.getpid()) or f"{os.getpid()}:0"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        self._execute = self._connection.execute
        self._execute("PRAGMA journal_mode=WAL")
        # A power cut may lose the last moments; a crash of the process loses nothing.
        self._execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_SCHEMA.read_text(encoding="utf-8"))
        os.chmod(path, 0o600)  # noqa: PTH101

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

    def take(self, key: Key, now: dt.datetime, worst_usd: float, tokens: int, most_s: float) -> Lease | Refused:
        """A lease for a call of at most `worst_usd` and `most_s`, or which limit says no; then nothing is counted."""
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
                refused = self._over(key, field, period, limit, amount, (ends - now).total_seconds())
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

    def _over(self, key: Key, field: str, period: str, limit_usd: float, amount: int, ends_s: float) -> Refused | None:
        """A budget must cover the worst case of every running call; only a call that runs alone may overshoot it."""
        limit = round(limit_usd * _NANO)
        spent, reserved = self._counted(key.name, period)
        if not amount:
            return None
        if spent >= limit:
            text = f"The key {key.name} has spent ${spent / _NANO:.2f} of ${limit_usd:g} in {period}."
            return Refused(field, text, ends_s, is_spent=True)
        # Alone, a call may be dearer than what is left: one that asks for no limit would otherwise never be made.
        if spent + reserved + amount > limit and reserved:
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
    """The store behind one thread of this worker, so that the event loop never waits for a disk or another worker.

    The thread is started when it is first needed. Steps that gather while it works share the next transaction.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._steps: queue.SimpleQueue[tuple[Callable[[Store], Any], _Reply[Any] | None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.problem: str | None = None
        """Why the last transaction failed; None when it did not."""

    async def take(self, key: Key, worst_usd: float, tokens: int, most_s: float) -> Lease | Refused:
        """See `Store.take`. Raises `LedgerError` when the ledger cannot be used."""
        now = self._clock.now()
        return await self._ask(lambda store: store.take(key, now, worst_usd, tokens, most_s))

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
        """Write what waits and end the thread."""
        if self._thread is not None:
            self._steps.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    async def _ask(self, step: Callable[[Store], T]) -> T:
        reply: _Reply[T] = _Reply(step)
        self._put(reply.run, reply)
        try:
            return await reply.future
        except asyncio.CancelledError:
            # The thread may have counted it already, or will: what it took is given back, after that.
            self._put(reply.undo, None)
            raise

    def _tidy(self, store: Store) -> int:
        return store.tidy(self._clock.now())

    def _put(self, step: Callable[[Store], Any], reply: _Reply[Any] | None) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="budgets", daemon=True)
            self._thread.start()
        self._steps.put((step, reply))

    def _run(self) -> None:
        store: Store | None = None
        while (first := self._steps.get()) is not None:
            gathered = [first]
            is_last = False
            while len(gathered) < _MOST_AT_ONCE and not self._steps.empty():
                following = self._steps.get()
                if following is None:
                    is_last = True
                    break
                gathered.append(following)
            results: list[Any]
            try:
                if store is None:
                    store = Store(self._path)
                    store.batch([self._tidy])
                results = store.batch([step for step, _ in gathered])
                self.problem = None
            except (sqlite3.Error, OSError) as error:
                self.problem = f"{self._path}: {error}"
                results = [LedgerError(self.problem)] * len(gathered)
            for (_, reply), result in zip(gathered, results, strict=True):
                if reply is not None:
                    reply.send(result)
            if is_last:
                break
        if store is not None:
            store.close()


class _Reply(Generic[T]):
    """A step whose result somebody waits for."""

    def __init__(self, step: Callable[[Store], T]) -> None:
        self._step = step
        self._result: T | None = None
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self._loop.create_future()

    def run(self, store: Store) -> T:
        self._result = self._step(store)
        return self._result

    def undo(self, store: Store) -> None:
        if isinstance(self._result, Lease):
            store.settle(self._result, 0.0, 0)

    def send(self, result: T | LedgerError) -> None:
        # Where the loop has ended nobody waits any more; a lease then ends by its time.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._set, result)

    def _set(self, result: T | LedgerError) -> None:
        if self.future.done():
            return
        if isinstance(result, LedgerError):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


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
