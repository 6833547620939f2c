"""Sessions: how they are told, and the arithmetic of staying and moving."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.affinity import (
    MARGIN,
    Pin,
    Placed,
    Session,
    Sessions,
    Turn,
    answers_tool,
    decide,
    is_bound,
    marks_cache,
    rest_of_session,
    session_of,
)
from tests.proxy.policy.offers import offer
from warehouse.published import Profile

COST_ONLY = Profile("p", "", False, 0.0, 0.0, 1.0, 0.0)
BALANCED = Profile("balanced", "", True, 0.4, 0.3, 0.3, 0.0)

# Published prices of 2026-08-22, per million tokens: prompt, completion, cache read, cache write.
OPUS = offer(
    "openrouter:anthropic/claude-opus-5",
    price_in_usd_per_mtok=5.0,
    price_out_usd_per_mtok=25.0,
    price_cache_read_usd_per_mtok=0.5,
    price_cache_write_usd_per_mtok=6.25,
)
HAIKU = offer(
    "openrouter:anthropic/claude-haiku-4.5",
    price_in_usd_per_mtok=1.0,
    price_out_usd_per_mtok=5.0,
    price_cache_read_usd_per_mtok=0.1,
    price_cache_write_usd_per_mtok=1.25,
)
UNCACHED = offer("openrouter:qwen/qwen3", price_in_usd_per_mtok=1.0, price_out_usd_per_mtok=2.0)
LOCAL = offer("ollama:llama", is_local=True)


def pinned(prompt_tokens: int, turns: int = 1, **known: Any) -> Pin:
    return Pin(OPUS.offer_id, OPUS.model_id, None, 0.0, turns, prompt_tokens, prompt_tokens, 500.0, **known)


def turn(prompt_tokens: int, now_s: float = 60.0, answers_tool: bool = False, marks_cache: bool = True) -> Turn:
    return Turn(prompt_tokens, now_s, answers_tool, marks_cache)


def messages(*texts: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": "be brief"}, *({"role": "user", "content": text} for text in texts)]


@pytest.mark.parametrize(
    ("headers", "body", "source"),
    [
        ({b"x-session-id": b"s1"}, {"session_id": "other"}, "x-session-id"),
        ({b"x-claude-code-session-id": b"s1"}, {}, "x-claude-code-session-id"),
        ({b"session_id": b"s1"}, {"prompt_cache_key": "k"}, "session_id"),
        ({b"x-session-affinity": b"s1"}, {}, "x-session-affinity"),
        ({}, {"session_id": "s1", "prompt_cache_key": "k"}, "session_id"),
        ({}, {"prompt_cache_key": "k"}, "prompt_cache_key"),
        (
            {},
            {"metadata": {"user_id": "user_ab12_account__session_1f0c9a3e-8d5b-4c6e-9f00-112233445566"}},
            "metadata.user_id",
        ),
        (
            {},
            {"metadata": {"user_id": '{"device_id":"d","session_id":"1f0c9a3e-8d5b-4c6e-9f00-112233445566"}'}},
            "metadata.user_id",
        ),
        ({}, {"metadata": {"user_id": "someone"}}, "opener"),
        ({}, {"session_id": 7, "prompt_cache_key": ""}, "opener"),
    ],
)
def test_the_plainest_sign_of_a_session_wins(headers: dict[bytes, bytes], body: dict[str, Any], source: str) -> None:
    """A header, a field, an agent's id, and last the conversation's opening."""
    found = session_of({"messages": messages("hello"), **body}, headers, "key", "auto")

    assert found is not None
    assert found.source == source
    assert found.is_stated == (source != "opener")


def test_a_session_is_the_same_on_every_turn_and_nobody_elses() -> None:
    """Later turns change nothing; another caller, another asked name or another opening is another session."""

    def key(body: list[dict[str, Any]], caller: str = "alice", asked: str = "auto") -> str:
        found = session_of({"messages": body}, {}, caller, asked)
        assert found is not None
        return found.key

    first = key(messages("fix the test"))
    later = [*messages("fix the test"), {"role": "assistant", "content": "done"}, {"role": "user", "content": "thanks"}]

    assert key(later) == first
    assert key(messages("fix the other test")) != first
    assert key(messages("fix the test"), caller="bob") != first
    assert key(messages("fix the test"), asked="claude-haiku-4-5") != first
    assert session_of({"messages": [{"role": "assistant", "content": "x"}]}, {}, "a", "b") is None
    assert session_of({"messages": "nonsense"}, {}, "a", "b") is None


def test_no_word_of_the_prompt_is_kept() -> None:
    """The key is a hash."""
    found = session_of({"messages": messages("my secret")}, {}, "alice", "auto")

    assert found is not None
    assert "secret" not in repr(found)
    assert len(found.key) == 32


def test_a_long_warm_prefix_makes_the_cheap_model_dear_and_a_short_one_does_not() -> None:
    """The next call alone: 190,000 warm tokens cost 2.5 times as much at a fifth of the price; 2,000 tokens half."""
    long, short = turn(191_000), turn(2_500)
    here, there = Placed(OPUS, None), Placed(HAIKU, None)

    def ratio(now: Turn, warm: int) -> float:
        stay = rest_of_session(here, now, 0, 1000, 500, pinned(warm))
        move = rest_of_session(there, now, 0, 1000, 500, None)
        assert stay is not None
        assert move is not None
        return move.total_usd / stay.total_usd

    assert 1.9 <= ratio(long, 190_000) <= 3.8
    assert ratio(short, 2_000) < 0.5


def test_the_sum_is_what_a_reader_would_add_up() -> None:
    """190,000 read at 0.50, 1,000 written at 6.25, one more turn like it, two answers of 500 at 25."""
    found = rest_of_session(Placed(OPUS, None), turn(191_000), 1, 1000, 500, pinned(190_000))

    assert found is not None
    assert found.warm_tokens == 190_000
    assert found.first_prompt_usd == pytest.approx(0.095 + 0.00625)
    assert found.later_prompts_usd == pytest.approx(191_000 * 0.5e-6 + 1000 * 6.25e-6)
    assert found.answers_usd == pytest.approx(2 * 0.0125)
    assert found.total_usd == pytest.approx(0.095 + 0.00625 + 0.0955 + 0.00625 + 0.025)


def test_a_session_moves_when_the_rest_of_it_is_cheaper_elsewhere_and_stays_when_it_is_not() -> None:
    """By cost alone: early in a long prefix it stays; with many turns to come the cheap one's warm reads win."""
    here, there = Placed(OPUS, None), Placed(HAIKU, None)
    early = decide(pinned(190_000, turns=1), here, there, turn(191_000), COST_ONLY)
    late = decide(pinned(190_000, turns=20), here, there, turn(191_000), COST_ONLY)
    short = decide(pinned(2_000, turns=1), here, there, turn(2_500), COST_ONLY)

    assert (early.stays, late.stays, short.stays) == (True, False, False)
    assert early.gain is not None
    assert early.gain < MARGIN
    record = late.record()
    assert record["turns_ahead"] == 20
    assert record["stay"]["total_usd"] > record["move"]["total_usd"]


def test_quality_holds_a_session_that_cost_alone_would_move() -> None:
    """And a gain in quality moves one that cost alone would hold."""
    worse = decide(pinned(2_000), Placed(OPUS, None, 0.9, 0.5), Placed(HAIKU, None, 0.5, 0.5), turn(2_500), BALANCED)
    better = decide(pinned(2_000), Placed(HAIKU, None, 0.3, 0.5), Placed(OPUS, None, 0.99, 0.9), turn(2_500), BALANCED)

    assert worse.stays
    assert better.gain == pytest.approx(0.4 * 0.69 + 0.3 * 0.4 - 0.3 * (1 - 1 / 5), abs=0.03)
    assert not better.stays


def test_a_cache_that_has_ended_or_was_rewritten_holds_nobody() -> None:
    """Past its life, and after an agent has compacted its conversation, staying is as cold as moving."""
    here = Placed(OPUS, None)
    ended = rest_of_session(here, turn(191_000, now_s=301), 0, 0, 0, pinned(190_000))
    rewritten = rest_of_session(here, turn(30_000), 0, 0, 0, pinned(190_000))

    assert ended is not None
    assert rewritten is not None
    assert (ended.warm_tokens, rewritten.warm_tokens) == (0, 0)
    assert ended.total_usd == pytest.approx(191_000 * 6.25e-6)


def test_what_the_endpoint_really_kept_is_believed() -> None:
    """Without marks Anthropic caches nothing; and who says he read nothing from the cache is not counted as warm."""
    here = Placed(OPUS, None)
    unmarked = rest_of_session(here, turn(191_000, marks_cache=False), 0, 0, 0, pinned(190_000))
    seen = rest_of_session(here, turn(191_000), 0, 0, 0, pinned(190_000, cached_share=0.0))

    assert unmarked is not None
    assert seen is not None
    assert unmarked.total_usd == seen.total_usd == pytest.approx(191_000 * 5e-6)


def test_an_estimate_is_corrected_by_the_endpoints_own_count() -> None:
    """A conversation of which we estimate 150,000 tokens and the endpoint counted 190,000 does not shrink."""
    pin = Pin(OPUS.offer_id, OPUS.model_id, None, 0.0, 1, 190_000, 150_000, 500.0)
    found = decide(pin, Placed(OPUS, None), Placed(HAIKU, None), turn(151_000), COST_ONLY)

    assert found.stay is not None
    assert found.stay.warm_tokens == 190_000


def test_some_sessions_stay_without_arithmetic() -> None:
    """When both are the same, in the midst of a tool's work, and where a price is not known."""
    here = Placed(OPUS, "high")
    same = decide(pinned(100), here, here, turn(200), COST_ONLY)
    tool = decide(pinned(100), here, Placed(HAIKU, None), turn(200, answers_tool=True), COST_ONLY)
    unknown = decide(pinned(100), here, Placed(offer("x:y"), None), turn(200), COST_ONLY)

    assert [one.stays for one in (same, tool, unknown)] == [True, True, True]
    assert [one.stay for one in (same, tool, unknown)] == [None, None, None]


def test_another_effort_pays_for_its_own_thinking() -> None:
    """At max an answer takes ten times the tokens, and the sum says so."""
    found = decide(
        pinned(2_000),
        Placed(OPUS, "low", output_tokens=500),
        Placed(OPUS, "max", output_tokens=5000),
        turn(2_500),
        BALANCED,
    )

    assert found.stay is not None
    assert found.move is not None
    assert found.move.answers_usd == pytest.approx(10 * found.stay.answers_usd)


def test_a_session_is_followed_over_its_turns() -> None:
    """Turns, prompt, kept share and answers are learnt; another endpoint begins anew but the session's age stays."""
    sessions = Sessions()
    session = Session("k", "x-session-id")
    sessions.note(session, OPUS, None, 0.0, 900, 1_000, 0, 100)
    pin = sessions.note(session, OPUS, None, 60.0, 1_900, 2_000, 800, 300)

    assert (pin.turns, pin.prompt_tokens, pin.cached_share) == (2, 2_000, 0.8)
    assert pin.answer_tokens == pytest.approx(200)
    moved = sessions.note(session, HAIKU, None, 90.0, 1_900, 2_000, 0, 300)
    assert (moved.offer_id, moved.turns, moved.cached_share) == (HAIKU.offer_id, 3, None)
    sessions.forget(session)
    assert sessions.pin(session) is None


def test_a_cold_start_after_the_caches_life_says_nothing_of_what_is_kept() -> None:
    """Reading nothing an hour later is no sign that the endpoint does not cache."""
    sessions = Sessions()
    session = Session("k", "x-session-id")
    sessions.note(session, OPUS, None, 0.0, 1_000, 1_000, 0, 100)

    assert sessions.note(session, OPUS, None, 3600.0, 2_000, 2_000, 0, 100).cached_share is None


def test_the_table_is_bounded() -> None:
    """The longest unused go first."""
    sessions = Sessions(most=3)
    for i in (0, 1, 2, 0, 3):
        sessions.note(Session(str(i), "opener"), OPUS, None, float(i), 1, 1, None, None)

    assert len(sessions) == 3
    assert sessions.pin(Session("1", "opener")) is None
    assert sessions.pin(Session("0", "opener")) is not None


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"role": "assistant", "content": "plain"}, False),
        ({"role": "assistant", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}, False),
        ({"role": "assistant", "reasoning_details": [{"type": "reasoning.text", "signature": "s"}]}, True),
        ({"role": "assistant", "reasoning_details": [{"type": "reasoning.encrypted", "data": "d"}]}, True),
        ({"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": "s"}]}, True),
        ({"role": "assistant", "content": [{"type": "redacted_thinking", "data": "d"}]}, True),
        ({"role": "user", "content": [{"type": "text", "text": "t", "signature": "s"}]}, False),
        ("nonsense", False),
    ],
)
def test_sealed_thoughts_bind(message: Any, expected: bool) -> None:
    """Only the model that had them can read them."""
    assert is_bound([message]) == expected


def test_marks_and_tool_results_are_seen() -> None:
    """In messages and parts, of either convention."""
    part = {"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}}

    assert marks_cache({"messages": [{"role": "user", "content": [part]}]})
    assert not marks_cache({"messages": messages("a")})
    assert answers_tool([{"role": "tool", "content": "42"}])
    assert answers_tool([{"role": "user", "content": [{"type": "tool_result"}]}])
    assert not answers_tool(messages("a"))
    assert not answers_tool([])


@given(
    warm=st.integers(0, 500_000),
    new=st.integers(0, 50_000),
    turns=st.integers(1, 100),
    share=st.none() | st.floats(0, 1),
    now=st.floats(0, 10_000),
    pair=st.permutations([OPUS, HAIKU, UNCACHED, LOCAL]),
)
def test_every_session_gets_a_verdict_that_adds_up(
    warm: int, new: int, turns: int, share: float | None, now: float, pair: list[Any]
) -> None:
    """Sums are finite and never negative, warmth never makes staying dearer, and the gain decides."""
    pin = Pin(pair[0].offer_id, pair[0].model_id, None, 0.0, turns, warm, warm, 400.0, share)
    cold = Pin(pair[0].offer_id, pair[0].model_id, None, -1e9, turns, warm, warm, 400.0, share)
    here, there, now_turn = Placed(pair[0], None), Placed(pair[1], None), turn(warm + new, now)
    found = decide(pin, here, there, now_turn, COST_ONLY)

    assert found.stay is not None
    assert found.move is not None
    assert found.gain is not None
    assert 0 <= found.stay.total_usd < 1e4
    assert 0 <= found.move.total_usd < 1e4
    assert found.stays == (found.gain <= MARGIN)
    as_cold = decide(cold, here, there, now_turn, COST_ONLY)
    assert as_cold.stay is not None
    assert found.stay.total_usd <= as_cold.stay.total_usd + 1e-9


@pytest.mark.performance
def test_telling_a_session_takes_microseconds() -> None:
    """On a prompt of 200 messages and 400 kB."""
    body = {"messages": messages("x" * 2000) + [{"role": "assistant", "content": "y" * 2000}] * 200}
    best = float("inf")
    for _ in range(20):
        started = time.thread_time()
        for _ in range(100):
            session_of(body, {}, "alice", "auto")
            is_bound(body["messages"])
        best = min(best, (time.thread_time() - started) / 100)

    assert best < 200e-6
