"""One worker of several that spend from one budget at once: a process that a test starts.

`python -m tests.proxy.policy.spender LEDGER CALLS WORST COST` makes that many calls at the same time and prints how
many were made and how many refused.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from proxy.budgets import Ledger, Refused
from proxy.clock import SystemClock
from proxy.keys import Key

KEY = Key("team", "0" * 64, budget_usd_per_day=1.0)


async def spend(path: Path, calls: int, worst_usd: float, cost_usd: float) -> dict[str, int]:
    ledger = Ledger(path, SystemClock())
    counted = {"made": 0, "refused": 0}

    async def call() -> None:
        while True:
            lease = await ledger.take(KEY, worst_usd, 100, 60.0)
            if not isinstance(lease, Refused):
                break
            if lease.is_spent:
                counted["refused"] += 1
                return
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.002)
        counted["made"] += 1
        ledger.settle(lease, cost_usd)

    await asyncio.gather(*(call() for _ in range(calls)))
    await ledger.close()
    return counted


if __name__ == "__main__":
    arguments = sys.argv[1:]
    done = asyncio.run(spend(Path(arguments[0]), int(arguments[1]), float(arguments[2]), float(arguments[3])))
    print(json.dumps(done))
