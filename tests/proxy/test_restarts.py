"""Workers that are replaced, and a proxy that is told to stop, while calls keep coming: real processes on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from tests import fake_upstream as fake
from tests.deployment import free_port
from tests.fake_upstream import FakeUpstream
from tests.proxy.publication import offer, world, write
from tests.proxy.serving import upstreams_file

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

ROOT = Path(__file__).resolve().parents[2]
CALLERS = 12
ANSWER_S = 0.2
DRAIN_S = 20.0
BODY = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}


@dataclass
class Load:
    """What became of the calls so far."""

    url: str
    answered: int = 0
    refused: int = 0
    failed: list[str] = field(default_factory=list)
    is_over: bool = False
    stops_at: float = float("inf")
    """When it was told to stop: whoever comes later has no claim to an answer."""

    async def keep_calling(self, *, is_stream: bool) -> None:
        """One caller after another on new connections, until it is over."""
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True), timeout=aiohttp.ClientTimeout(total=240)
        ) as session:
            while not self.is_over:
                began = time.monotonic()
                try:
                    async with session.post(self.url, json={**BODY, "stream": is_stream}) as answer:
                        text = await answer.text()
                    if answer.status == 200 and ("[DONE]" in text if is_stream else "well" in text):
                        self.answered += 1
                    else:
                        self.failed.append(f"{answer.status} {text[:200]}")
                except aiohttp.ClientConnectorError:
                    # Nobody listens any more; the call was never begun.
                    self.refused += 1
                    await asyncio.sleep(0.02)
                except aiohttp.ClientError as error:
                    if began > self.stops_at and isinstance(error, aiohttp.ClientOSError):
                        # It had connected at the very moment the socket was closed; nothing was taken of it.
                        self.refused += 1
                        assert time.monotonic() - began < DRAIN_S
                    else:
                        self.failed.append(f"{error!r}, begun {self.stops_at - began:.3f} s before the end")


async def _workers(parent: int) -> set[str]:
    asked = await asyncio.create_subprocess_exec("pgrep", "-P", str(parent), stdout=asyncio.subprocess.PIPE)
    out, _ = await asked.communicate()
    found = set()
    for pid in out.decode().split():
        with contextlib.suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(pid)
    return found


@contextlib.asynccontextmanager
async def two_workers(
    directory: Path, base: str, drain_s: float
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The parent, and where to call."""
    write(directory / "orchestrator.duckdb", world([offer("v/model", upstream="up", upstream_model="m")]))
    port = free_port()
    environment = os.environ | {
        "DATABASE_URL": f"duckdb:///{directory / 'orchestrator.duckdb'}",
        "ORCHESTRATOR_UPSTREAMS": str(upstreams_file(directory / "upstreams.toml", {"up": base})),
        "ORCHESTRATOR_ALLOWED_DOMAINS": "127.0.0.1",
        "ORCHESTRATOR_DRAIN_TIMEOUT_S": str(drain_s),
        "ORCHESTRATOR_API_KEY": "",
        "PYTHONPATH": str(ROOT),
    }
    with (directory / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proxy", "--port", str(port), "--workers", "2"),
            env=environment,
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as session:
            ready = 0
            while ready < 4:
                if process.returncode is not None:
                    raise RuntimeError((directory / "log").read_text()[-2000:])
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{url}/health/ready") as answer:
                        ready += answer.status == 200
                await asyncio.sleep(0.05)
        yield process, f"{url}/v1/chat/completions"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait_for(process.wait(), 120)


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for workers in /proc")
async def test_workers_are_replaced_under_load_without_losing_a_call(tmp_path: Path) -> None:
    """SIGHUP brings a new worker into service before it retires the old one, one after the other."""
    async with FakeUpstream(records=False) as up:
        up.script("m", fake.stream(["all ", "is ", "well"], gap_s=ANSWER_S / 3))
        async with two_workers(tmp_path, up.base_url, drain_s=DRAIN_S) as (process, url):
            load = Load(url)
            callers = [asyncio.create_task(load.keep_calling(is_stream=True)) for _ in range(CALLERS)]
            first = await _workers(process.pid)
            process.send_signal(signal.SIGHUP)
            until = time.monotonic() + 400
            while (now := await _workers(process.pid)) & first or len(now) < 2:
                assert time.monotonic() < until, f"workers {first} became {now}"
                await asyncio.sleep(0.1)
            answered = load.answered
            while load.answered < answered + 2 * CALLERS:
                await asyncio.sleep(0.05)
            load.is_over = True
            await asyncio.gather(*callers)

            assert len(first) == 2
            assert (load.failed, load.refused) == ([], 0)


async def test_told_to_stop_it_finishes_what_it_has_begun(tmp_path: Path) -> None:
    """Calls under way are answered; later ones find nobody, and none is taken and lost."""
    async with FakeUpstream(records=False) as up:
        up.script("m", fake.stream(["all ", "is ", "well"], gap_s=ANSWER_S / 3))
        async with two_workers(tmp_path, up.base_url, drain_s=DRAIN_S) as (process, url):
            load = Load(url)
            callers = [asyncio.create_task(load.keep_calling(is_stream=True)) for _ in range(CALLERS)]
            while load.answered < 2 * CALLERS:
                await asyncio.sleep(0.02)
            load.stops_at = time.monotonic()
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 120)
            load.is_over = True
            await asyncio.gather(*callers)

            assert load.failed == []
            assert load.refused > 0


async def test_what_outlasts_the_drain_is_ended_with_the_deadline(tmp_path: Path) -> None:
    """A call that would never end does not keep the proxy alive."""
    async with FakeUpstream() as up:
        up.script("m", fake.stall_mid_stream(after=1))
        async with two_workers(tmp_path, up.base_url, drain_s=1) as (process, url):
            load = Load(url)
            caller = asyncio.create_task(load.keep_calling(is_stream=True))
            call = await up.wait_for_calls(1)
            await call.stalled.wait()
            load.is_over = True
            process.send_signal(signal.SIGTERM)
            # A fraction of the time that the call has to say the next word.
            await asyncio.wait_for(process.wait(), 45)
            await caller

            assert len(load.failed) == 1
            await call.ended.wait()
