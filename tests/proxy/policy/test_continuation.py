"""An answer that broke off, taken up by another model: only when asked for, and only where two halves make one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.candidates import Candidate
from proxy.continuation import Heard, accepts_prefill, continued, refusal, seam
from proxy.errors import BrokenAnswerError
from proxy.guard import Guard
from proxy.policies import Plan
from proxy.preferences import Routing
from proxy.request import read_chat
from proxy.settings import Settings
from proxy.upstreams import account
from tests.proxy.hand import DONE, STALL, Bench, event, fails, indexed, streams
from tests.proxy.publication import offer, world
from warehouse.published import Offer
from warehouse.upstreams import Upstream

pytestmark = pytest.mark.anyio


def asked(**body: Any) -> Any:
    full = {"model": "auto", "stream": True, "messages": [{"role": "user", "content": "count"}], **body}
    return read_chat(json.dumps(full).encode())


def candidate(kind: str, one: Offer | None = None, effort: str | None = None) -> Candidate:
    upstream = Upstream("up", "https://up.example/v1", kind, None, False)
    return Candidate(
        one or offer("acme/model", upstream="up"), effort, account(upstream, {}, Guard(), Settings()), None
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, None),
        ({"response_format": {"type": "text"}, "n": 1, "tools": []}, None),
        ({"stream": False}, "it is not streamed"),
        ({"tools": [{"type": "function"}]}, "it has tools"),
        ({"response_format": {"type": "json_object"}}, "it asks for structured output"),
        ({"logprobs": True}, "it asks for log-probabilities"),
        ({"n": 2}, "it asks for several answers"),
        ({"modalities": ["text", "audio"]}, "it asks for more than text"),
    ],
)
def test_two_halves_must_make_one_answer(body: dict[str, Any], expected: str | None) -> None:
    """Tool calls, structure, probabilities and several choices are never patched together."""
    assert refusal(asked(**body)) == expected


def test_only_models_that_are_known_to_take_it_up_are_asked() -> None:
    """Servers that do so for any model, vendors whose templates do; never one that would think first."""
    qwen = offer("qwen/qwen3", upstream="up")

    assert accepts_prefill(candidate("vllm"))
    assert accepts_prefill(candidate("llamacpp"))
    assert accepts_prefill(candidate("openrouter", qwen))
    assert not accepts_prefill(candidate("openrouter", offer("openai/gpt-5", upstream="up")))
    assert not accepts_prefill(candidate("openai"))
    assert not accepts_prefill(candidate("vllm", effort="high"))
    assert not accepts_prefill(candidate("openrouter", qwen._replace(reasoning_is_mandatory=True)))


def test_the_next_model_gets_the_text_as_the_beginning_of_its_own_answer() -> None:
    """And what is left of the length that was allowed."""
    request = asked(max_tokens=100, temperature=0.5)
    found = continued(request, candidate("vllm"), "one two three " * 5)

    assert found.body["messages"][-1] == {"role": "assistant", "content": "one two three " * 5}
    assert found.body["max_tokens"] == 80
    assert found.body["continue_final_message"] is True
    assert json.loads(bytes(found.fields["messages"])) == found.body["messages"]
    assert request.body["messages"] == [{"role": "user", "content": "count"}]


def test_what_was_heard_is_the_text_and_nothing_else() -> None:
    """Roles, reasoning, usage and comments are no text; a tool call ends it."""
    heard = Heard("so far: ")
    heard.hear(event(role="assistant") + event("one ") + b": waiting\n\n" + event(reasoning="hm") + event("two"))
    assert (heard.text, heard.is_text) == ("so far: one two", True)
    heard.hear(event(tool_calls=[{"index": 0}]) + DONE)
    assert not heard.is_text


def test_the_seam_is_a_chunk_that_any_client_can_read() -> None:
    """It says who spoke before and who speaks now."""
    first, second = candidate("vllm"), candidate("vllm", offer("qwen/qwen3", upstream="up"))
    chunk = json.loads(seam(first, second, "ended_early", 14).removeprefix(b"data: "))

    assert chunk["choices"] == [{"index": 0, "delta": {}, "finish_reason": None}]
    assert chunk["orchestrator"]["continued"] == {
        "from": "up:acme/model",
        "by": "up:qwen/qwen3",
        "model": "qwen/qwen3",
        "because": "ended_early",
        "after_characters": 14,
    }


ONE, TWO, THREE = (offer(f"{vendor}/model", upstream=f"up-{vendor}") for vendor in ("acme", "qwen", "meta-llama"))
BREAKS = (event("one "), event("two "), BrokenAnswerError("the connection broke off", "connection_lost"))


async def streamed(at: Bench, on_break: str = "continue", **body: Any) -> bytes:
    call = at.call(stream=True, **body)
    assert call.assessment is not None
    call.plan = Plan(call.wanted, call.assessment, routing=Routing(on_break=on_break))
    answer = await at.failover.answer(call)
    assert answer.rest is not None
    return answer.body + b"".join([piece async for piece in answer.rest])


def bench() -> Bench:
    snapshot = indexed(world((ONE, TWO, THREE)), "up-acme", "up-qwen", "up-meta-llama")
    for one in snapshot.accounts.values():
        object.__setattr__(one, "dialect", "openrouter")
    at = Bench(snapshot)
    at.transport.tell("acme/model", streams(*BREAKS))
    at.transport.tell("qwen/model", streams(event("three"), event(finish="stop"), DONE))
    at.transport.tell("meta-llama/model", streams(event("four"), event(finish="stop"), DONE))
    return at


def text_of(stream: bytes) -> str:
    heard = Heard()
    heard.hear(stream)
    return heard.text


async def test_a_broken_stream_is_taken_up_by_the_next_model() -> None:
    """The client gets one answer, one seam, one end; both attempts are recorded."""
    at = bench()
    got = await streamed(at)

    assert text_of(got) == "one two three"
    assert got.count(b'"continued"') == 1
    assert got.count(b"[DONE]") == 1
    assert got.endswith(DONE)
    assert b'"error"' not in got
    assert [(one.model_id, one.outcome) for one in at.outcomes] == [
        ("acme/model", "broken"),
        ("qwen/model", "answered"),
    ]
    sent = json.loads(at.transport.sent[1][1].body)
    assert sent["messages"][-1] == {"role": "assistant", "content": "one two "}


async def test_a_second_break_is_taken_up_again_from_all_that_was_said() -> None:
    """By a third model, and a candidate that refuses is passed over."""
    at = bench()
    at.transport.tell("qwen/model", streams(event("three "), BrokenAnswerError("gone", "connection_lost")))
    got = await streamed(at)

    assert text_of(got) == "one two three four"
    assert json.loads(at.transport.sent[2][1].body)["messages"][-1]["content"] == "one two three "
    refusing = bench()
    refusing.transport.tell("qwen/model", fails(500))
    assert text_of(await streamed(refusing)) == "one two four"


@pytest.mark.parametrize(
    ("on_break", "body"),
    [("error", {}), ("continue", {"tools": [{"type": "function", "function": {"name": "f"}}]}), ("continue", {"n": 2})],
)
async def test_without_leave_a_break_is_an_honest_error(on_break: str, body: dict[str, Any]) -> None:
    """As the default is."""
    at = bench()
    got = await streamed(at, on_break, **body)

    assert b'"error"' in got
    assert b"[DONE]" not in got
    assert at.transport.models == ["acme/model"]


async def test_where_nobody_can_go_on_a_break_is_an_honest_error() -> None:
    """Nor when every other candidate fails."""
    at = bench()
    at.transport.tell("qwen/model", fails(500))
    at.transport.tell("meta-llama/model", fails(500))
    got = await streamed(at)

    assert text_of(got) == "one two "
    assert b'"error"' in got
    assert b"[DONE]" not in got


async def test_a_client_that_hangs_up_during_the_second_half_ends_it() -> None:
    """Every connection is closed and every attempt recorded once."""
    at = bench()
    at.transport.tell("qwen/model", streams(event("three"), STALL))
    call = at.call(stream=True)
    assert call.assessment is not None
    call.plan = Plan(call.wanted, call.assessment, routing=Routing(on_break="continue"))
    answer = await at.failover.answer(call)
    assert answer.rest is not None
    async for piece in answer.rest:
        if b"three" in piece:
            break
    await answer.rest.aclose()  # type: ignore[attr-defined]

    assert [(one.model_id, one.outcome) for one in at.outcomes] == [
        ("acme/model", "broken"),
        ("qwen/model", "caller_gone"),
    ]
    assert all(one.is_closed for one in at.transport.answers)  # type: ignore[attr-defined]
