"""What is seen in upstreams' answers, and that scanning a stream changes nothing it should not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.answers import MOST_EVENT_BYTES, StreamScanner, Usage, read_completion, usage_of
from proxy.errors import MalformedAnswerError
from tests.proxy.hand import DONE, event, usage_event


def completion(message: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"choices": [{"message": message, **more.pop("choice", {})}], **more}).encode()


@pytest.mark.parametrize(
    "body",
    [
        completion({"content": "x"}),
        completion({"content": None, "tool_calls": [{"id": "1"}]}),
        completion({"content": None, "refusal": "no"}),
        completion({"content": ""}, usage={"completion_tokens": 3}),
        completion({"content": ""}, choice={"finish_reason": "content_filter"}),
        b'{"choices": [{"text": "legacy"}]}',
        b'{"data": [{"embedding": [0.1]}]}',
        completion({"content": "x"}, usage="odd", model=7),
    ],
)
def test_what_is_an_answer(body: bytes) -> None:
    """Content, calls, refusals, counted tokens, embeddings; oddities beside them do not matter."""
    assert not read_completion(body).error


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"", "empty_body"),
        (b"<html>", "not_json"),
        (b'{"choices": [', "not_json"),
        (b"[]", "not_json"),
        (b"{}", "no_choices"),
        (b'{"choices": []}', "no_choices"),
        (completion({"content": ""}), "no_content"),
        (completion({"content": None, "tool_calls": []}, usage={"completion_tokens": 0}), "no_content"),
    ],
)
def test_what_is_none(body: bytes, cause: str) -> None:
    """Each with its cause."""
    with pytest.raises(MalformedAnswerError) as caught:
        read_completion(body)

    assert caught.value.cause == cause


def test_usage_is_read_with_its_details() -> None:
    """Cached and reasoning tokens, and the cost where it is told; nonsense counts as not known."""
    full = {
        "prompt_tokens": 10,
        "completion_tokens": 7.0,
        "cost": 0.002,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }

    assert usage_of(full) == Usage(10, 4, 7, 5, 0.002)
    assert usage_of({"prompt_tokens": "ten", "cost": -1, "prompt_tokens_details": None}) == Usage()
    assert usage_of([1]) is None


EVENTS = st.sampled_from(
    [
        event(role="assistant"),
        event("Hé"),
        event("\\n\\ndata: [DONE]"),
        event(reasoning="hm"),
        event(tool_calls=[{"index": 0, "function": {"arguments": '{"a":'}}]),
        b": a comment\n\n",
        b'event: x\ndata: {"choices":[{"delta":{"content":"y"}}]}\n\n',
        b'data: {"broken\n\n',
    ]
)


@settings(max_examples=200, deadline=None)
@given(
    events=st.lists(EVENTS, max_size=12), cuts=st.lists(st.integers(1, 40), min_size=1, max_size=40), crlf=st.booleans()
)
def test_a_stream_is_the_same_however_it_is_cut(events: list[bytes], cuts: list[int], crlf: bool) -> None:
    """Whole events only, in order, each once; comments, broken events and the end mark left out."""
    whole = b"".join(events) + usage_event() + DONE
    if crlf:
        whole = whole.replace(b"\n", b"\r\n")
    scanner, out, at, turn = StreamScanner(keeps_usage=False), b"", 0, 0
    while at < len(whole):
        size = cuts[turn % len(cuts)]
        piece = scanner.feed(whole[at : at + size])
        assert piece == b"" or piece.endswith(b"\n\n")
        out += piece
        at, turn = at + size, turn + 1
    out += scanner.finish()

    wanted = [one for one in events if not one.startswith(b": ") and b"broken" not in one]
    assert out == b"".join(wanted)
    assert scanner.is_done
    assert scanner.usage == Usage(10, None, 5, None, None)
    assert scanner.bad_events == sum(b"broken" in one for one in events)
    assert scanner.has_content == any(b"content" in one or b"tool_calls" in one for one in wanted)


def test_usage_beside_the_last_words_is_taken_out_and_the_words_stay() -> None:
    """Some upstreams put usage into the last chunk."""
    last = b'data: {"choices":[{"delta":{"content":"!"},"finish_reason":"stop"}],"usage":{"completion_tokens":5}}\n\n'

    out = StreamScanner(keeps_usage=False).feed(last)

    assert json.loads(out.removeprefix(b"data: ")) == {
        "choices": [{"delta": {"content": "!"}, "finish_reason": "stop"}]
    }
    assert StreamScanner(keeps_usage=True).feed(last) == last


@pytest.mark.parametrize(
    "failing",
    [
        b'data: {"error": {"message": "x"}}\n\n',
        b'data: {"choices": [{"error": {"code": 502}, "delta": {}}]}\n\n',
        b'event: error\ndata: {"error": "x"}\n\n',
    ],
)
def test_an_error_ends_what_counts(failing: bytes) -> None:
    """Nothing after it is relayed."""
    scanner = StreamScanner(keeps_usage=False)

    assert scanner.feed(event("a") + failing + event("b")) == event("a")
    assert scanner.error is not None


def test_an_event_without_end_is_refused_and_costs_no_more_than_its_length() -> None:
    """Each byte is looked at once, however many pieces it comes in; past the limit the upstream is at fault."""
    scanner = StreamScanner(keeps_usage=False)
    piece = b"x" * 65_536
    for _ in range(MOST_EVENT_BYTES // len(piece)):
        assert scanner.feed(piece) == b""

    with pytest.raises(MalformedAnswerError, match="does not end"):
        scanner.feed(piece)


def test_a_byte_order_mark_hides_no_event() -> None:
    scanner = StreamScanner(keeps_usage=False)

    assert scanner.feed(b'\xef\xbb\xbfdata: {"choices":[{"delta":{"content":"a"}}]}\n\n').endswith(b"\n\n")
    assert scanner.has_content
