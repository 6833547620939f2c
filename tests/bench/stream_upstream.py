"""Mock streaming upstream: answers every POST with COUNT server-sent chunks, INTERVAL_MS apart, then [DONE].

usage: stream_upstream.py PORT COUNT INTERVAL_MS
"""

import asyncio
import json
import sys

PORT, COUNT, INTERVAL_MS = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def event(i: int) -> bytes:
    delta = {"content": f" word{i}"} if i else {"role": "assistant", "content": ""}
    body = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1764000000,
        "model": "bench/model",
        "choices": [{"index": 0, "delta": delta, "finish_reason": "stop" if i == COUNT - 1 else None}],
    }
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


def framed(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


EVENTS = [framed(event(i)) for i in range(COUNT)]
TAIL = framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                ),
                0,
            )
            if length:
                await reader.readexactly(length)
            elif b"chunked" in head.lower():
                while (await reader.readuntil(b"\r\n")) != b"0\r\n":
                    await reader.readuntil(b"\r\n")
                await reader.readuntil(b"\r\n")
            writer.write(HEAD)
            for chunk in EVENTS:
                writer.write(chunk)
                await writer.drain()
                if INTERVAL_MS:
                    await asyncio.sleep(INTERVAL_MS / 1000)
            writer.write(TAIL)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", PORT, backlog=1024)
    async with server:
        await server.serve_forever()


asyncio.run(main())
