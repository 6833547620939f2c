"""Whatever a client sends, the proxy answers in the client's own shape, and never fails itself."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.app import create_app
from proxy.attempts import Attempt, Call
from proxy.gate import Gate
from proxy.settings import Settings
from tests.proxy.hand import DONE, ToldTransport, event, says, streams
from tests.proxy.publication import offer, world, write
from tests.proxy.serving import upstreams_file

PATHS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1/embeddings",
    "/v1/route",
    "/v1/messages/count_tokens",
    "/v1/feedback",
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["user", "assistant", "tool", "system", "auto", "auto:budget", "v/model", "text", "image_url"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["type", "text", "role", "content", "url", "image_url", "id", "name", "effort", "include_usage"]
            )
            | st.text(max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "tool", "developer"]), "content": VALUES},
        optional={"tool_calls": VALUES, "tool_call_id": VALUES, "reasoning_details": VALUES, "name": VALUES},
    ),
    min_size=1,
    max_size=3,
)
NAMES = [
    "model",
    "models",
    "messages",
    "prompt",
    "input",
    "instructions",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "response_format",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "temperature",
    "top_p",
    "n",
    "stop",
    "seed",
    "logprobs",
    "top_logprobs",
    "reasoning",
    "reasoning_effort",
    "thinking",
    "provider",
    "plugins",
    "routing",
    "routing_profile",
    "session_id",
    "user",
    "metadata",
    "usage",
    "store",
    "system",
    "functions",
    "function_call",
    "parallel_tool_calls",
    "text",
    "include",
    "previous_response_id",
    "prompt_cache_key",
    "dimensions",
    "encoding_format",
    "top_k",
    "stop_sequences",
]
BODIES = st.builds(
    lambda some, base: {**base, **some},
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5),
    st.fixed_dictionaries(
        {},
        optional={
            "model": st.sampled_from(["auto", "v/model", "auto:budget", "v/model:nitro", "gpt-5-mini"]),
            "messages": MESSAGES | VALUES,
            "input": MESSAGES | st.text(min_size=1, max_size=10),
            "prompt": st.text(min_size=1, max_size=10),
            "max_tokens": st.integers(1, 100),
        },
    ),
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gate, asyncio.Runner]]:
    """A proxy without a server, whose upstream always answers."""
    directory: Path = tmp_path_factory.mktemp("any")
    write(directory / "orchestrator.duckdb", world([offer("v/model", upstream="up", supports_vision=True)]))
    transport = ToldTransport()
    transport.tell("v/model", says("fine"))
    environment = {
        "ORCHESTRATOR_UPSTREAMS": str(upstreams_file(directory / "up.toml", {"up": "https://up.example/v1"}))
    }
    with asyncio.Runner() as runner:
        gate = create_app(
            Settings(log_calls=False),
            environment=environment,
            published=directory / "orchestrator.duckdb",
            outcomes=directory / "outcomes",
            transport=transport,
        )
        running = gate.runtime.running()
        runner.run(running.__aenter__())
        yield gate, runner
        runner.run(running.__aexit__(None, None, None))


async def post(gate: Gate, path: str, body: bytes) -> tuple[int, bytes]:
    """Status and body of an answer."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"x"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await gate(scope, receive, send)
    return sent[0]["status"], b"".join(one.get("body", b"") for one in sent[1:])


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), body=BODIES)
def test_any_body_gets_an_answer_or_an_error_in_shape(
    app: tuple[Gate, asyncio.Runner], path: str, body: dict[str, Any]
) -> None:
    """Never a failure of the proxy's own."""
    gate, runner = app

    status, answer = runner.run(post(gate, path, json.dumps(body).encode()))

    assert status in (200, 201, 202, 204, 400, 404, 413, 422, 502), (status, answer[:500])
    if status >= 400:
        error = json.loads(answer)["error"]
        assert error["message"]
        assert "its log says why" not in error["message"]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(PATHS),
    body=st.binary(max_size=60) | st.text(max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass")),
)
def test_any_bytes_get_an_error_in_shape(app: tuple[Gate, asyncio.Runner], path: str, body: bytes) -> None:
    """What is no JSON is the caller's mistake."""
    gate, runner = app

    status, answer = runner.run(post(gate, path, body))

    assert status in (400, 404, 413, 415, 422)
    assert json.loads(answer)["error"]["message"]


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_call_leaves_nothing_for_the_collector(app: tuple[Gate, asyncio.Runner], is_stream: bool) -> None:
    """Cycles would keep bodies in memory, and stall every other call when they are collected."""
    gate, runner = app
    gate.runtime.transport.tell("v/model", streams(event("hi", "stop"), DONE) if is_stream else says("fine"))  # type: ignore[attr-defined]
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "hi"}], "stream": is_stream}).encode()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(20):
            assert runner.run(post(gate, "/v1/chat/completions", body))[0] == 200
        gc.collect()
        left = [type(one).__name__ for one in gc.garbage if isinstance(one, Call | Attempt)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()

    assert left == []
