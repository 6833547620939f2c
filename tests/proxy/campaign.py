"""A campaign of faults: many calls at once against upstreams that fail in every way, with one that is well.

usage: python -m tests.proxy.campaign [--calls 10000]; prints a row for each fault. `test_campaign.py` holds a short one
to what is promised. How an upstream fails belongs to `tests/fake_upstream.py`, what vendors say when they refuse to
`edges/vendor_refusals.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests import fake_upstream as fake
from tests.fake_upstream import Behaviour, Call, FakeUpstream, Step
from tests.proxy.edges.vendor_refusals import REFUSALS
from tests.proxy.publication import offer
from tests.proxy.serving import serving

AT_ONCE = 50
SILENCE_S = 0.5
"""Longest wait for a first byte and between two pieces; a machine that is slow or busy needs more for its own part."""
TOTAL_S = 20.0

REFUSED = [one for one in REFUSALS if one.kind == "openai"]


def _refusals() -> Behaviour:
    """What vendors say, one after the other."""
    said = itertools.cycle(REFUSED)

    def steps(call: Call) -> Sequence[Step]:
        one = next(said)
        return fake.status(one.status, one.data, headers=one.headers).steps(call)

    return Behaviour("refusals", steps)


FAULTS = {
    "resetting": fake.reset(),
    "hanging-up": fake.hangup(),
    "silent": fake.stall_before_headers(),
    "silent-after-headers": fake.stall_after_headers(),
    "silent-after-role": fake.stream(stall_after=0),
    "limited": fake.status(429),
    "limited-for-a-while": fake.status(429, retry_after=30),
    "failing": fake.status(500),
    "unavailable": fake.status(503),
    "truncated": fake.truncated_json(),
    "short": fake.short_body(),
    "wrong-type": fake.wrong_content_type(),
    "gzip-garbage": fake.gzip_garbage(),
    "error-in-200": fake.error_in_200(),
    "empty": fake.empty_body(),
    "no-content": fake.no_content(),
    "dripping": fake.drip(gap_s=0.01),
    "keyless": fake.status(401),
    "moderating": fake.status(403, {"error": {"message": "Your input was flagged by moderation"}}),
    "removed": fake.status(404, {"error": {"message": "no such model", "code": "model_not_found"}}),
    "stream-of-error": fake.stream_of_error(role_first=True),
    "empty-stream": fake.empty_stream(role_first=True),
    "silent-amid-answer": fake.stall_mid_stream(after=1),
    "breaking-amid-answer": fake.break_mid_stream(),
    "refusing-as-vendors-do": _refusals(),
}
UNREACHABLE = ("no-tls", "refusing")
STREAMS_ONLY = {"silent-after-role", "stream-of-error", "empty-stream", "silent-amid-answer", "breaking-amid-answer"}
WELL_ENOUGH = {"dripping"}
BROKEN = {"silent-amid-answer", "breaking-amid-answer"}
"""Fail once the client has content: it is told so, and nothing is made again."""
NEVER_RESTS = {"moderating", "dripping", "refusing-as-vendors-do"}
"""What is the prompt's fault, or none, opens nothing; of vendors' refusals only some do."""
MOST_CALLS = 3 + AT_ONCE
"""Of an upstream that fails: those under way when its third failure opens the breaker."""


@dataclass
class Row:
    """One fault's part."""

    calls: int = 0
    answered: int = 0
    broken: int = 0
    """Ended by an error event amid the answer."""
    lost: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    upstream_calls: int = 0
    is_open: bool = False
    """A breaker of it was open after the campaign."""
    is_closed: bool = True
    """None was, once it was well and the cooldown over."""


@dataclass
class Report:
    """What came of it."""

    rows: dict[str, Row]
    seconds: float
    tasks_left: int

    def __str__(self) -> str:
        lines = [
            f"{'first candidate':<24}{'calls':>7}{'answered':>10}{'told broken':>13}{'lost':>6}{'slowest s':>11}"
            f"{'it was called':>15}  breaker"
        ]
        for name, row in self.rows.items():
            state = ("opened" if row.is_open else "stayed closed") + ("" if row.is_closed else ", still open")
            lines.append(
                f"{name:<24}{row.calls:>7}{row.answered:>10}{row.broken:>13}{len(row.lost):>6}{row.slowest_s:>11.2f}"
                f"{row.upstream_calls:>15}  {state}"
            )
        calls, lost = sum(row.calls for row in self.rows.values()), sum(len(row.lost) for row in self.rows.values())
        lines.append(
            f"{calls} calls, {AT_ONCE} at a time, {lost} lost, {self.seconds:.0f} s; {self.tasks_left} tasks left"
        )
        return "\n".join(lines)


def _said(text: str) -> str:
    return "".join(
        event["choices"][0]["delta"].get("content") or ""
        for line in text.splitlines()
        if line.startswith("data: {") and (event := json.loads(line[6:])).get("choices")
    )


async def campaign(directory: Path, calls: int, silence_s: float = SILENCE_S) -> Report:
    """Make the calls, each at a failing candidate first; then let all be well and see whether the breakers close."""
    async with AsyncExitStack() as stack:
        upstreams = {name: await stack.enter_async_context(FakeUpstream()) for name in (*FAULTS, "well")}
        bases = {name: one.base_url for name, one in upstreams.items()}
        bases["no-tls"] = upstreams["well"].tls_base_url
        bases["refusing"] = stack.enter_context(fake.refusing_base_url())
        for name, fault in FAULTS.items():
            upstreams[name].script("*", fault)
        upstreams["well"].script("*", fake.answer("all is well"))
        # The one that is well has the largest window: where a prompt is said to be too long, only that one would do.
        offers = [
            offer(
                f"{name}/model",
                upstream=name,
                upstream_model=name,
                **({"context_tokens": 10**6} if name == "well" else {}),
            )
            for name in bases
        ]
        proxy = await stack.enter_async_context(
            serving(
                directory,
                bases,
                offers,
                first_byte_timeout_s=silence_s,
                between_chunks_timeout_s=silence_s,
                total_timeout_s=TOTAL_S,
            )
        )
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=240))
        )
        names = [name for name in bases if name != "well"]
        rows = {name: Row() for name in names}
        gate = asyncio.Semaphore(AT_ONCE)

        async def call(i: int) -> None:
            name = names[i % len(names)]
            row = rows[name]
            is_stream = name in STREAMS_ONLY or bool(i // len(names) % 2)
            body = {
                "models": [f"{name}/model", "well/model"],
                "messages": [{"role": "user", "content": "hi"}],
                "stream": is_stream,
            }
            async with gate:
                began = time.monotonic()
                async with session.post(f"{proxy.url}/v1/chat/completions", json=body) as answer:
                    text = await answer.text()
                row.slowest_s = max(row.slowest_s, time.monotonic() - began)
            row.calls += 1
            said = _said(text) if is_stream else text
            is_whole = not is_stream or text.count("data: [DONE]") == 1
            is_good = "all is well" in said or (name in WELL_ENOUGH and "slowly" in said)
            if answer.status == 200 and is_whole and is_good:
                row.answered += 1
            elif name in BROKEN and said.startswith("Hel") and '"error"' in text and "[DONE]" not in text:
                row.broken += 1
            else:
                row.lost.append(f"{name}: {answer.status} {text[:300]}")

        async def breakers() -> Counter[str]:
            async with session.get(f"{proxy.url}/v1/status") as answer:
                found = (await answer.json())["breakers"]
            return Counter(one["key"].split(":")[0].removeprefix("upstream ") for one in found)

        began = time.monotonic()
        await asyncio.gather(*(call(i) for i in range(calls)))
        seconds = time.monotonic() - began
        opened = await breakers()
        report = Report({name: Row(**vars(row)) for name, row in rows.items()}, seconds, 0)
        for name, row in report.rows.items():
            row.upstream_calls = len(upstreams[name].calls) if name in upstreams else 0
            row.is_open = opened[name] > 0

        for name in FAULTS:
            upstreams[name].script("*", fake.answer("all is well"))
        proxy.clock.added_s += 1000
        await asyncio.gather(*(call(i) for i in range(2 * len(names))))
        still = await breakers()
        for name, row in report.rows.items():
            row.is_closed = still[name] == 0
        report.tasks_left = len([task for task in asyncio.all_tasks() if "until_gone" in repr(task)])
        return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.proxy.campaign")
    parser.add_argument("--calls", type=int, default=10_000)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="campaign-") as directory:
        report = asyncio.run(campaign(Path(directory), chosen.calls))
    print(report)
    lost = [text for row in report.rows.values() for text in row.lost]
    print("\n".join(lost[:5]), file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
