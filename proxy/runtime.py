"""Everything a worker holds while it runs, put together once; what each part does is its own file's."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

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
from proxy.outcomes import OutcomeLog
from proxy.policies import Policies
from proxy.settings import Settings
from proxy.snapshot import LiveSnapshot, Snapshot
from proxy.upstreams import Account, account
from warehouse import upstreams


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
        self.breakers = Breakers(
            BreakerRule(settings.breaker_failures, settings.breaker_cooldown_s, settings.breaker_cooldown_cap_s)
        )
        self.outcomes = OutcomeLog(outcomes_directory, f"proxy-{os.getpid()}", clock)
        self.feedback = OutcomeLog(outcomes_directory.parent / "feedback", f"proxy-{os.getpid()}", clock)
        self.call_log = CallLog()
        self.scorer = Scorer.load()
        self.decisions = Decisions(clock, self.metrics)
        self.accounts = self._accounts()
        places_of = {name: one.concurrency for name, one in self.accounts.items() if one.concurrency is not None}
        self.policies = Policies.load(
            settings, environment, outcomes_directory.parent, clock, self.metrics, self.accounts, places_of
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
        )

    def _accounts(self) -> dict[str, Account]:
        return {
            row.name: account(row, self._environment, self.guard, self.settings)
            for row in upstreams.load(self._environment)
        }

    @property
    def snapshot(self) -> Snapshot:
        """The publication in use. Raises `NothingPublishedError` when there is none."""
        current = self.live.current
        if current is None:
            raise NothingPublishedError(self.live.problem or "Nothing has been published. Run: orchestrator refresh")
        return current

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read the publication, then run what runs in the background; stop it all on leaving."""
        await self.live.refresh()
        # What lives as long as the worker need not be looked at by every collection.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        self.policies.open()
        self.outcomes.start()
        self.feedback.start()
        watching = asyncio.create_task(self.live.watch(), name="publication")
        looking = asyncio.create_task(self.policies.watch(), name="policies")
        try:
            yield
        finally:
            for task in (watching, looking):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await self.transport.close()
            await self.policies.close()
            await self.outcomes.close()
            await self.feedback.close()
            self.call_log.flush()
