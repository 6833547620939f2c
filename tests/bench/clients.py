"""What one call to an upstream costs with each HTTP client, alone: CPU time a call and calls a second on one core.

usage: clients.py URL [--calls 4000] [--concurrency 32]; URL is any server that answers POSTs quickly (upstream.conf).
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable

import aiohttp
import httpx
import uvloop

from proxy.client import AiohttpTransport, UpstreamRequest
from proxy.guard import Guard

BODY = b'{"model":"bench/model","messages":[{"role":"user","content":"' + b"word " * 40 + b'"}]}'
HEADERS = {"content-type": "application/json", "authorization": "Bearer sk-bench", "accept-encoding": "identity"}

Call = Callable[[], Awaitable[None]]


async def measured(name: str, call: Call, calls: int, concurrency: int) -> None:
    async def some(count: int) -> None:
        for _ in range(count):
            await call()

    await some(200)
    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(some(calls // concurrency) for _ in range(concurrency)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    done = calls // concurrency * concurrency
    print(f"{name:<28}{cpu / done * 1e6:>8.0f} us CPU a call{done / wall:>10.0f} calls/s", flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--concurrency", type=int, default=32)
    chosen = parser.parse_args()

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout()
    ) as session:

        async def by_aiohttp() -> None:
            async with session.post(chosen.url, data=BODY, headers=HEADERS) as answer:
                await answer.read()

        await measured("aiohttp", by_aiohttp, chosen.calls, chosen.concurrency)

    transport = AiohttpTransport(Guard(("127.0.0.1",)), 5.0)

    async def by_transport() -> None:
        answer = await transport.send(UpstreamRequest(chosen.url, HEADERS, BODY))
        await answer.read(10**7)
        answer.close()

    await measured("the proxy's transport", by_transport, chosen.calls, chosen.concurrency)
    await transport.close()

    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=None)) as client:

        async def by_httpx() -> None:
            await client.post(chosen.url, content=BODY, headers=HEADERS)

        await measured("httpx", by_httpx, chosen.calls, chosen.concurrency)


if __name__ == "__main__":
    uvloop.run(main())
