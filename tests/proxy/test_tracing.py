"""Traces as a collector gets them: what is told of a call and its attempts, and that it costs nothing when off."""

from __future__ import annotations

import asyncio
import gzip
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from proxy import tracing
from proxy.settings import SettingsError
from proxy.tracing import Traces
from tests.fake_upstream import answer, status, stream
from tests.proxy.hand import Bench, HandClock, fails, indexed, says
from tests.proxy.policy.test_through_the_proxy import place
from tests.proxy.publication import offer, world

pytestmark = pytest.mark.anyio

A, B = (offer(f"{name}/model", upstream=f"up-{name}") for name in "ab")
SECRET = "the secret of the sphinx"
PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_a_call_is_a_span_and_each_attempt_one_below_it() -> None:
    """With the conventions' names, exact times, the caller's own span above, and not a word of the prompt."""
    at = Bench(indexed(world((A, B)), "up-a", "up-b"))
    at.transport.tell("a/model", fails(503))
    at.transport.tell("b/model", says("nothing to see"))
    exporter = InMemorySpanExporter()
    traces = Traces(exporter, at.clock)
    call = at.call(messages=[{"role": "user", "content": SECRET}], temperature=0.5, max_tokens=7, stop=[SECRET])
    await at.failover.answer(call)
    await at.clock.advance(2)
    traces.record(call, 200, PARENT)
    traces.close()

    failed, answered, whole = exporter.get_finished_spans()
    assert whole.name == "chat auto:balanced"
    assert whole.kind.name == "SERVER"
    assert f"{whole.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert whole.parent is not None
    assert f"{whole.parent.span_id:016x}" == "b7ad6b7169203331"
    assert whole.end_time - whole.start_time == 2_000_000_000
    assert (whole.attributes["gen_ai.request.model"], whole.attributes["gen_ai.response.model"]) == ("auto", "b/model")
    assert {failed.parent.span_id, answered.parent.span_id} == {whole.context.span_id}
    assert failed.attributes["error.type"] == "overloaded"
    assert failed.status.status_code.name == "ERROR"
    told = dict(answered.attributes or {})
    assert (answered.name, answered.kind.name) == ("chat b/model", "CLIENT")
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.provider.name"] == "up-b"
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (10, 5)
    assert told["gen_ai.response.finish_reasons"] == ("stop",)
    assert (told["gen_ai.request.max_tokens"], told["gen_ai.request.temperature"]) == (7, 0.5)
    assert told["server.address"] == "up-b.example"
    assert "sphinx" not in "".join(span.to_json() for span in exporter.get_finished_spans())
    assert "nothing to see" not in "".join(span.to_json() for span in exporter.get_finished_spans())


def test_nothing_is_loaded_unless_a_collector_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a named one without the library is said at the start, not noticed later."""
    assert tracing.load({}, HandClock()) is None
    named = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    assert tracing.load({**named, "OTEL_SDK_DISABLED": "true"}, HandClock()) is None
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(SettingsError, match="uv sync --extra otel"):
        tracing.load(named, HandClock())


@asynccontextmanager
async def collector() -> AsyncIterator[tuple[str, list[Any]]]:
    """A loopback collector: its address, and the spans it was sent."""
    spans: list[Any] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:

        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        body = await reader.readexactly(length)
        assert head.startswith("post /v1/traces ")
        request = ExportTraceServiceRequest.FromString(
            gzip.decompress(body) if "content-encoding: gzip" in head else body
        )
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                spans.extend((resource.resource, span) for span in scope.spans)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", spans
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.integration
async def test_a_collector_gets_what_the_proxy_did(tmp_path: Path) -> None:
    """Streamed and whole calls, failures and refusals, over the wire; what waits at the end is sent."""
    async with collector() as (url, spans):
        async with place(tmp_path, environment={"OTEL_EXPORTER_OTLP_ENDPOINT": url}) as at:
            at.up["one"].script("*", status(500), stream(("Hel", "lo")), answer("whole"))
            await at.ask()
            await at.ask(stream=True)
            last = await at.ask(headers={"traceparent": PARENT.decode()})
        names = sorted(span.name for _, span in spans)
        assert names == ["chat auto:balanced"] * 3 + ["chat one"] * 3 + ["chat two"]
        assert {pair.value.string_value for resource, _ in spans for pair in resource.attributes} >= {
            "local-ai-orchestrator"
        }
        mine = [span for _, span in spans if span.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"]
        assert len(mine) == 2
        ids = {pair.value.string_value for span in mine for pair in span.attributes}
        assert last.headers["x-orchestrator-decision"] in ids
