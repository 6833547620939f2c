"""Everything a worker holds while it runs, put together once; what each part does is its own file's."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import random
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from proxy import memory, tracing
from proxy.afterwards import Afterwards
from proxy.breaker import BreakerRule, Breakers
from proxy.call_log import CallLog
from proxy.client import AiohttpTransport, Transport
from proxy.clock import Clock
from proxy.decisions import Decisions
from proxy.difficulty import Scorer
from proxy.errors import NothingPublishedError
from proxy.failover import Failover
from proxy.guard import Guard
from proxy.metrics import Metrics
from proxy.orders import Orders
from proxy.outcomes import OutcomeLog
from proxy.policies import Policies
from proxy.settings import Settings
from proxy.shadow import Shadow
from proxy.snapshot import LiveSnapshot, Snapshot
from proxy.upstreams import Account, account
from warehouse import upstreams

log = logging.getLogger(__name__)


class Runtime:
    """The parts of one worker."""

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        published: Path,
        outcomes_directory: Path,
        clock: Clock,
        transport: Transport | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.started = clock.monotonic()
        self.guard = Guard(settings.allowed_domains)
        self._environment = dict(environment)
        self.metrics = Metrics()
        self.afterwards = Afterwards()
        self.breakers = Breakers(
            BreakerRule(settings.breaker_failures, settings.breaker_cooldown_s, settings.breaker_cooldown_cap_s)
        )
        self.orders = Orders(outcomes_directory.parent / "orders.json", self.breakers, clock)
        self.outcomes = OutcomeLog(outcomes_directory, f"proxy-{os.getpid()}", clock)
        self.feedback = OutcomeLog(outcomes_directory.parent / "feedback", f"proxy-{os.getpid()}", clock)
        self.decision_files = outcomes_directory.parent / "decisions"
        self.lasting = (
            OutcomeLog(self.decision_files, f"proxy-{os.getpid()}", clock) if settings.keep_decisions else None
        )
        self.call_log = CallLog()
        self.traces = tracing.load(environment, clock)
        self.scorer = Scorer.load()
        self.decisions = Decisions(clock, self.metrics, lasting=self.lasting)
        self.accounts = self._accounts()
        self.upstreams_problem: str | None = None
        """Why the upstreams file as it is now is not used; None when it is."""
        self._upstreams_seen = self._upstreams_stamp()
        self.policies = Policies.load(
            settings, environment, outcomes_directory.parent, clock, self.metrics, self.accounts
        )
        self.published = published
        self.live = LiveSnapshot(published, lambda: self.accounts, clock, settings.reload_poll_s)
        self.transport = transport or AiohttpTransport(self.guard, settings.connect_timeout_s)
        self.failover = Failover(
            self.transport,
            self.breakers,
            clock,
            settings,
            self.metrics,
            self.outcomes,
            self.policies.admission,
            self.policies.hedges,
            self.afterwards,
        )

        self.shadow_log = OutcomeLog(outcomes_directory.parent / "shadow_calls", f"proxy-{os.getpid()}", clock)
        self.shadow = (
            Shadow(
                settings,
                self.transport,
                clock,
                self.policies.ledger,
                self.breakers,
                self.policies.admission,
                self.failover.blocked,
                self.metrics,
                self.shadow_log,
                random.random,
            )
            if settings.shadow_share
            else None
        )

    def _accounts(self) -> dict[str, Account]:
        return {
            row.name: account(row, self._environment, self.guard, self.settings)
            for row in upstreams.load(self._environment)
        }

    def _upstreams_stamp(self) -> tuple[int, int] | None:
        named = (self._environment.get("ORCHESTRATOR_UPSTREAMS") or "").strip()
        try:
            found = (Path(named).expanduser() if named else upstreams.SHIPPED).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size

    def reload_upstreams(self) -> None:
        """Use the upstreams file where it has changed. A bad one changes nothing, and `/v1/status` says why."""
        stamp = self._upstreams_stamp()
        if stamp == self._upstreams_seen:
            return
        self._upstreams_seen = stamp
        try:
            accounts = self._accounts()
        except upstreams.UpstreamsError as error:
            self.upstreams_problem = str(error)
            log.warning("upstreams file not usable: %s", error)
            return
        self.accounts, self.upstreams_problem = accounts, None
        self.policies.use_accounts(accounts)
        self.live.forget()

    async def _watch_upstreams(self) -> None:
        while True:
            await self.clock.sleep(self.settings.reload_poll_s)
            self.reload_upstreams()
            self.orders.look()
            self.metrics.flush()

    def may_have_breaker(self, key: str) -> bool:
        """Whether a breaker of that key guards anything, though none has been needed yet in this worker."""
        guarded = {one.breaker_key for one in self.accounts.values()}
        guarded.update(of.name for one in self.accounts.values() for of in one.keys)
        if key in guarded:
            return True
        current = self.live.current
        if current is None:
            return False
        candidates = (one for of_model in current.candidates_of.values() for one in of_model)
        return any(key in (one.endpoint_key, one.model_key) for one in candidates)

    @property
    def snapshot(self) -> Snapshot:
        """The publication in use. Raises `NothingPublishedError` when there is none."""
        current = self.live.current
        if current is None:
            raise NothingPublishedError(self.live.problem or "Nothing has been published. Run: orchestrator refresh")
        return current

    async def settle(self) -> None:
        """Once everything is loaded: keep it out of the way of the calls."""
        # What lives as long as the worker need not be looked at by every collection.
        gc.collect()
        gc.freeze()
        await asyncio.to_thread(memory.use_large_pages)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read the publication, then run what runs in the background; stop it all on leaving."""
        await self.live.refresh()
        gc.set_threshold(10_000, 20, 20)
        # Threads write outcomes and logs; by default one may keep the event loop waiting for 5 ms at every turn.
        sys.setswitchinterval(0.0002)
        self.orders.skip_past()
        self.policies.open()
        if self.shadow is not None:
            self.policies.ledger.open()
            self.shadow_log.start()
        self.outcomes.start()
        self.feedback.start()
        if self.lasting is not None:
            self.lasting.start()
        watching = asyncio.create_task(self.live.watch(), name="publication")
        looking = asyncio.create_task(self.policies.watch(), name="policies")
        upstreams_watch = asyncio.create_task(self._watch_upstreams(), name="upstreams")
        try:
            yield
        finally:
            for task in (watching, looking, upstreams_watch):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            self.afterwards.catch_up()
            if self.shadow is not None:
                await self.shadow.close()
                await self.shadow_log.close()
            await self.transport.close()
            await self.policies.close()
            await self.outcomes.close()
            await self.feedback.close()
            if self.lasting is not None:
                await self.lasting.close()
            if self.traces is not None:
                await asyncio.to_thread(self.traces.close)
            self.call_log.flush()
