"""Answers that are kept: for whom, for what, and within which bounds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.answer_cache import AnswerCache, key_of, refusal

ASKED: dict[str, Any] = {"model": "auto", "temperature": 0, "messages": [{"role": "user", "content": "hi"}]}


def key(body: dict[str, Any], caller: str = "alice", endpoint: str = "chat", keeps_usage: bool = False) -> bytes:
    return key_of(body, caller, endpoint, keeps_usage)


@pytest.mark.parametrize(
    ("changed", "wish", "expected"),
    [
        ({}, None, None),
        ({"temperature": 0.0, "seed": None}, None, None),
        ({"temperature": 1, "seed": 7}, None, None),
        ({"temperature": 0.7}, None, "it is sampled: no temperature of 0 and no seed"),
        ({"temperature": None}, "on", "it is sampled: no temperature of 0 and no seed"),
        ({"temperature": False}, None, "it is sampled: no temperature of 0 and no seed"),
        ({"temperature": 0.7}, "force", None),
        ({}, "off", "the request says off"),
        ({"n": 2}, "force", "several answers are asked for"),
        ({"plugins": [{"id": "web"}]}, "force", "it looks things up"),
        ({"model": "openai/gpt-5:online"}, None, "it looks things up"),
    ],
)
def test_only_what_is_meant_to_repeat_is_kept(changed: dict[str, Any], wish: str | None, expected: str | None) -> None:
    """Unless the caller insists; what is looked up anew is never kept."""
    assert refusal({**ASKED, **changed}, wish) == expected


def test_the_same_request_is_the_same_however_it_is_written() -> None:
    """Order of fields and who the user is do not matter; everything that could change the answer does."""
    same = key(ASKED)

    assert key(dict(reversed(ASKED.items()))) == same
    assert key({**ASKED, "user": "u1", "metadata": {"a": 1}, "session_id": "s"}) == same
    for changed in (
        {"model": "auto:quality"},
        {"temperature": 1},
        {"stream": True},
        {"max_tokens": 5},
        {"provider": {"only": ["ollama"]}},
        {"messages": [{"role": "user", "content": "hi "}]},
    ):
        assert key({**ASKED, **changed}) != same
    assert key(ASKED, keeps_usage=True) != same
    assert key(ASKED, endpoint="completions") != same


def test_nobody_gets_what_another_key_paid_for() -> None:
    """Nor can a caller's name be made to run into what follows it."""
    assert key(ASKED, caller="bob") != key(ASKED, caller="alice")
    assert key_of({}, "a", "bchat", False) != key_of({}, "ab", "chat", False)


def test_an_answer_is_given_again_until_it_is_too_old() -> None:
    """With the headers that say what answered."""
    cache = AnswerCache(100_000, lives_s=60.0)
    headers = ((b"x-orchestrator-model", b"m"),)

    assert cache.get(b"k", 0.0) is None
    assert cache.keep(b"k", b"body", headers, is_stream=False, now_s=0.0, cost_usd=0.01)
    found = cache.get(b"k", 59.9)
    assert found is not None
    assert (found.body, found.headers, found.cost_usd) == (b"body", headers, 0.01)
    assert cache.get(b"k", 60.0) is None
    assert (cache.hits, cache.misses, len(cache), cache.bytes) == (1, 2, 0, 0)


def test_a_huge_answer_does_not_push_out_all_others() -> None:
    """More than an eighth of the room is not kept."""
    cache = AnswerCache(80_000)
    cache.keep(b"small", b"x", (), is_stream=False, now_s=0.0, cost_usd=None)

    assert not cache.keep(b"huge", b"x" * 20_000, (), is_stream=False, now_s=0.0, cost_usd=None)
    assert cache.get(b"small", 1.0) is not None


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3_000), st.booleans()), max_size=60),
    st.integers(0, 20_000),
    st.integers(0, 6),
)
def test_it_never_outgrows_its_bounds(steps: list[tuple[int, int, bool]], most_bytes: int, most_entries: int) -> None:
    """And what it counts is what it holds."""
    cache = AnswerCache(most_bytes, most_entries)
    for number, size, asks in steps:
        name = bytes([number])
        if asks:
            cache.get(name, 0.0)
        else:
            cache.keep(name, b"x" * size, (), is_stream=False, now_s=0.0, cost_usd=None)
        assert cache.bytes <= most_bytes
        assert len(cache) <= most_entries
        assert (cache.bytes == 0) == (len(cache) == 0)
    cache.clear()
    assert (cache.bytes, len(cache)) == (0, 0)
