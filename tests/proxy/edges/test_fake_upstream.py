"""The fake upstream does what its behaviours say: without that, no failover test proves anything."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.fake_upstream import (
    FakeUpstream,
    answer,
    break_mid_stream,
    gzip_garbage,
    refusing_base_url,
    reset,
    short_body,
    silent_base_url,
    stall_after_headers,
    stall_before_headers,
    stall_mid_stream,
    status,
    stream,
    tool_call,
)

pytestmark = pytest.mark.anyio


async def test_plain_answer_then_script_order_and_the_last_one_repeats() -> None:
    async with FakeUpstream() as up, aiohttp.ClientSession() as client:
        up.script("a/b", status(429, retry_after=7), answer("one", cost=0.5))
        url = f"{up.base_url}/chat/completions"

        async with client.post(url, json={"model": "a/b"}) as first:
            assert (first.status, first.headers["retry-after"]) == (429, "7")
        for _ in range(2):
            async with client.post(url, json={"model": "a/b"}) as later:
                body = await later.json()
                assert body["choices"][0]["message"]["content"] == "one"
                assert body["usage"]["cost"] == 0.5
        assert [call.model for call in up.calls] == ["a/b"] * 3
        assert up.connection_count == 1


async def test_streams_hold_what_was_asked_for() -> None:
    async with FakeUpstream() as up, aiohttp.ClientSession() as client:
        up.script("m", stream(["a", "b"], comments=["PROCESSING"], tool_calls=[tool_call("f", {"x": 1})]))
        asked = {"model": "m", "stream": True, "stream_options": {"include_usage": True}}

        async with client.post(f"{up.base_url}/chat/completions", json=asked) as response:
            text = await response.text()

        assert text.startswith(": PROCESSING\n\n")
        assert text.endswith("data: [DONE]\n\n")
        assert '"prompt_tokens":11' in text
        assert text.count('"tool_calls"') == 4


async def test_stalls_wait_for_the_gate_and_hanging_up_is_seen() -> None:
    async with FakeUpstream() as up, aiohttp.ClientSession() as client:
        for behaviour in (stall_before_headers(), stall_after_headers(), stall_mid_stream()):
            up.script("m", behaviour)
            seen = len(up.calls) + 1
            body = {"model": "m", "stream": True}
            request = asyncio.create_task(_read(client, f"{up.base_url}/chat/completions", body))
            call = await up.wait_for_calls(seen)
            await call.stalled.wait()
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)
            await call.ended.wait()
            assert call.is_cancelled
        up.release()
        assert b"[DONE]" in await _read(client, f"{up.base_url}/chat/completions", {"model": "m", "stream": True})


async def _read(client: aiohttp.ClientSession, url: str, body: dict[str, object]) -> bytes:
    async with client.post(url, json=body) as response:
        return await response.read()


@pytest.mark.parametrize("behaviour", [reset(), short_body(), break_mid_stream(), break_mid_stream(is_reset=False)])
async def test_broken_connections_are_broken(behaviour: object) -> None:
    async with FakeUpstream() as up, aiohttp.ClientSession() as client:
        up.script("m", behaviour)  # type: ignore[arg-type]
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
            await _read(client, f"{up.base_url}/chat/completions", {"model": "m", "stream": True})
        assert not up.calls[0].is_cancelled


async def test_chunks_sent_before_a_reset_arrive() -> None:
    async with FakeUpstream() as up, aiohttp.ClientSession() as client:
        up.script("m", break_mid_stream(["Hel"]))
        async with client.post(f"{up.base_url}/chat/completions", json={"model": "m", "stream": True}) as response:
            assert b'"Hel"' in await response.content.readuntil(b'"Hel"')
            with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError)):
                await response.content.read()


async def test_gzip_garbage_is_not_gzip() -> None:
    async with FakeUpstream() as up, aiohttp.ClientSession() as client:
        up.script("m", gzip_garbage())
        with pytest.raises(aiohttp.ClientPayloadError):
            await _read(client, f"{up.base_url}/chat/completions", {"model": "m"})


async def test_refusing_silent_and_tls() -> None:
    short = aiohttp.ClientTimeout(sock_connect=0.3)
    async with FakeUpstream() as up, aiohttp.ClientSession() as client, aiohttp.ClientSession(timeout=short) as hasty:
        with refusing_base_url() as refusing, pytest.raises(aiohttp.ClientConnectorError):
            await _read(client, f"{refusing}/chat/completions", {})
        async with silent_base_url() as silent:
            with pytest.raises(aiohttp.ServerTimeoutError):
                await _read(hasty, f"{silent}/chat/completions", {})
        with pytest.raises(aiohttp.ClientConnectorError):
            await _read(client, f"{up.tls_base_url}/chat/completions", {})


async def test_models_and_embeddings() -> None:
    async with FakeUpstream(models=["llama3.1:8b"]) as up, aiohttp.ClientSession() as client:
        async with client.get(f"{up.base_url}/models") as response:
            assert [entry["id"] for entry in (await response.json())["data"]] == ["llama3.1:8b"]
        async with client.post(f"{up.base_url}/embeddings", json={"model": "e", "input": ["a", "b"]}) as response:
            assert len((await response.json())["data"]) == 2
