"""How an answer reaches its client's socket: head and first bytes together, and nothing kept back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, cast

import pytest

from proxy.server import Joining

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"


class Wire:
    """A transport that keeps what is written, one entry for each call of the kernel."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def writelines(self, parts: Iterable[bytes]) -> None:
        self.written.append(b"".join(parts))

    def close(self) -> None:
        self.written.append(b"closed")

    def abort(self) -> None:
        self.written.append(b"aborted")

    def is_closing(self) -> bool:
        return bool({b"closed", b"aborted"}.intersection(self.written))

    def get_extra_info(self, name: str) -> str:
        return f"the {name}"


def joining() -> tuple[Joining, list[bytes]]:
    wire = Wire()
    return Joining(cast(Any, wire)), wire.written


@pytest.mark.anyio
@pytest.mark.parametrize("body", [b"body", b"x" * 1_000_000, b"HTTP/1.1 is what this answer speaks of"])
async def test_a_head_goes_out_with_its_first_bytes(body: bytes) -> None:
    transport, written = joining()
    transport.write(HEAD)
    transport.write(body)
    transport.write(b"more")
    await asyncio.sleep(0)

    assert written == [HEAD + body, b"more"]


@pytest.mark.anyio
async def test_a_head_that_nothing_follows_waits_for_the_loops_next_turn_only() -> None:
    transport, written = joining()
    transport.write(HEAD)
    assert written == []
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert written == [HEAD]


@pytest.mark.anyio
async def test_closing_loses_nothing() -> None:
    transport, written = joining()
    transport.write(HEAD)
    transport.close()
    await asyncio.sleep(0)

    assert written == [HEAD, b"closed"]


@pytest.mark.anyio
async def test_nothing_is_written_to_a_client_that_has_gone() -> None:
    transport, written = joining()
    transport.write(HEAD)
    transport.abort()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert written == [b"aborted"]


@pytest.mark.anyio
async def test_all_else_is_the_transports_own() -> None:
    transport, _ = joining()
    assert transport.get_extra_info("socket") == "the socket"
