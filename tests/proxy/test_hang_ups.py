"""Clients that hang up, at every moment of a call and in numbers: nothing of them may stay behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
from pathlib import Path

import pytest

from proxy.attempts import Attempt, Call
from tests import fake_upstream as fake
from tests.fake_upstream import FakeUpstream
from tests.proxy.publication import offer
from tests.proxy.serving import serving

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

AT_ONCE = 63
PIECE = "word " * 2_000
PIECES = 2_000
MOST_IN_FLIGHT_BYTES = 15_000_000
"""What buffers between upstream and client, the kernel's above all, may hold of an answer of 20 MB."""

MOMENTS = {
    # moment → what the upstream does meanwhile, and how many bytes the client reads before it goes
    "waiting": (fake.stall_before_headers(), 0),
    "reading": (fake.stall_mid_stream(after=1), 1),
    "slow": (fake.stream([PIECE] * PIECES), 1),
}

ORDER = (*("waiting", "reading") * 4, "slow")


def _request(moment: str) -> bytes:
    body = {"model": f"{moment}/model", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    data = json.dumps(body).encode()
    return b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(data) + data


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0


@pytest.mark.parametrize(
    "count", [189, pytest.param(5_000, marks=[pytest.mark.performance, pytest.mark.timeout(1800)])]
)
async def test_clients_that_hang_up_leave_nothing_behind(tmp_path: Path, count: int) -> None:
    """No task, no connection, no upstream call, no record outlives its client, and nobody is blamed."""
    async with FakeUpstream() as up:
        for moment, (behaviour, _) in MOMENTS.items():
            up.script(moment, behaviour)
        offers = [offer(f"{moment}/model", upstream="up", upstream_model=moment) for moment in MOMENTS]
        async with serving(tmp_path, {"up": up.base_url}, offers, first_byte_timeout_s=300) as proxy:
            port = int(proxy.url.rsplit(":", 1)[1])
            in_flight = proxy.runtime.metrics.in_flight

            async def come(number: int) -> asyncio.StreamWriter:
                moment = ORDER[number % len(ORDER)]
                ours = socket.socket()
                ours.setblocking(False)
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                await asyncio.get_running_loop().sock_connect(ours, ("127.0.0.1", port))
                reader, writer = await asyncio.open_connection(sock=ours, limit=1024)
                writer.write(_request(moment))
                await writer.drain()
                if (most := MOMENTS[moment][1]) > 0:
                    await reader.readexactly(most)
                return writer

            async def all_gone() -> None:
                while in_flight.value or up.open_connections:
                    await asyncio.sleep(0.01)

            before: tuple[int, int] | None = None
            while len(up.calls) < count:
                expected = len(up.calls) + AT_ONCE
                clients = await asyncio.gather(*(come(i) for i in range(AT_ONCE)))
                await up.wait_for_calls(expected)
                for number, client in enumerate(clients):
                    # Half go in good order, half as if their machine had died.
                    client.transport.abort() if number % 2 else client.close()
                await all_gone()
                del clients
                if before is None:
                    # The first wave made what stays: what it left is the measure for all others.
                    before = len(asyncio.all_tasks()), _descriptors()

            assert before is not None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(60):
                    while len(asyncio.all_tasks()) > before[0] or _descriptors() > before[1] + 2:
                        await asyncio.sleep(0.01)
            assert len(asyncio.all_tasks()) <= before[0]
            assert _descriptors() <= before[1] + 2
            assert all(call.is_cancelled for call in up.calls if call.model != "slow")
            slow = [call.bytes_sent for call in up.calls if call.model == "slow"]
            assert max(slow) < MOST_IN_FLIGHT_BYTES
            assert [one for one in proxy.runtime.breakers if one.failures or one.is_open] == []
            outcomes = {one["attempts"][-1]["outcome"] for one in proxy.runtime.decisions.last(2_000)}
            assert outcomes == {"caller_gone"}
            gc.collect()
            left = [one for one in gc.get_objects() if isinstance(one, Call | Attempt)]
            assert len(left) <= AT_ONCE, f"{len(left)} calls are still in memory"
