"""Measure streamed calls: time to the first event with content, events per second.

The event before it only names the role; the proxy holds it back on purpose until there is content.

usage: stream_client.py URL CONCURRENCY CALLS [header=value ...]; the model's name comes from $MODEL
"""

import asyncio
import json
import os
import statistics
import sys
import time
from urllib.parse import urlsplit

URL, CONCURRENCY, CALLS = urlsplit(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
BODY = json.dumps(
    {
        "model": os.environ.get("MODEL", "bench/model"),
        "stream": True,
        "messages": [{"role": "user", "content": "Count slowly, one word at a time."}],
    }
).encode()
EXTRA = "".join(f"{a.split('=', 1)[0]}: {a.split('=', 1)[1]}\r\n" for a in sys.argv[4:])
REQUEST = (
    f"POST {URL.path} HTTP/1.1\r\nhost: {URL.netloc}\r\ncontent-type: application/json\r\n"
    f"authorization: Bearer {os.environ.get('KEY', 'sk-bench')}\r\nconnection: close\r\n{EXTRA}"
    f"content-length: {len(BODY)}\r\n\r\n"
).encode() + BODY


async def call() -> tuple[float, float, int]:
    """One call: seconds to the first content, seconds in all, events received; raises if the stream is not complete."""
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection(URL.hostname, URL.port)
    writer.write(REQUEST)
    first, received = None, b""
    while b"[DONE]" not in received[-64:] and (chunk := await reader.read(65536)):
        received += chunk
        if first is None and b"word" in received:
            first = time.perf_counter() - started
    writer.close()
    if b"[DONE]" not in received:
        raise RuntimeError(received[:300].decode(errors="replace"))
    return first, time.perf_counter() - started, received.count(b"data:") - 1


async def main() -> None:
    gate, results, errors = asyncio.Semaphore(CONCURRENCY), [], []

    async def one() -> None:
        async with gate:
            try:
                results.append(await call())
            except Exception as error:
                errors.append(repr(error))

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(CALLS)))
    wall = time.perf_counter() - started
    if not results:
        sys.exit(f"every call failed: {errors[0]}")
    first = sorted(r[0] for r in results)
    print(
        f"RESULT calls={len(results)} failed={len(errors)} ttft_p50_us={statistics.median(first) * 1e6:.0f} "
        f"ttft_p99_us={first[int(len(first) * 0.99) - 1] * 1e6:.0f} "
        f"events_per_s={sum(r[2] for r in results) / wall:.0f}"
    )
    if errors:
        print("first error:", errors[0])


asyncio.run(main())
