"""How long a candidate may take, by what is published of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.candidates import Candidate
from proxy.settings import Settings
from proxy.time_limits import CAP_S, NO_WISH, Tightened, limits
from tests.proxy.policy.offers import offer
from warehouse.published import Configuration


def candidate(first_token_ms: float | None = None, effort: str | None = None, **known: Any) -> Candidate:
    found = offer("up:vendor/model", **known)
    at = Configuration(found.model_id, effort or "default", True, None, None, None, 4_000.0, first_token_ms, 50.0, None)
    return Candidate(found, effort, None, at)


def first_s(one: Candidate, *, is_stream: bool = True, prompt_tokens: int = 0, output: int | None = None) -> float:
    found = limits(
        one,
        is_stream=is_stream,
        output_tokens=output,
        settings=Settings(),
        wish=NO_WISH,
        prompt_tokens=prompt_tokens,
    )
    return found.first_content_s


def test_a_model_that_thinks_for_minutes_is_waited_for_and_a_quick_one_is_not() -> None:
    """150 s of silence at max are normal where 82 s are published, and a failure where one second is."""
    assert first_s(candidate(82_000.0, "max")) > 150
    assert first_s(candidate(1_000.0)) < 150


@pytest.mark.parametrize(
    ("effort", "known", "expected"),
    [
        (None, {}, 60.0),
        (None, {"supports_reasoning": True}, 120.0),
        ("none", {"supports_reasoning": True}, 60.0),
        ("high", {}, 300.0),
        ("max", {}, 600.0),
        ("unheard-of", {}, 60.0),
        (None, {"is_local": True}, 120.0),
    ],
)
def test_where_nothing_is_published_the_effort_speaks(
    effort: str | None, known: dict[str, Any], expected: float
) -> None:
    """And a local server may have to load the model first."""
    assert first_s(candidate(None, effort, **known)) == expected


def test_a_long_prompt_has_to_be_read() -> None:
    """190,000 tokens take more than a minute where reading is slow."""
    assert first_s(candidate(1_000.0), prompt_tokens=190_000) == pytest.approx(15 + 95)


def test_an_answer_that_comes_whole_is_waited_for_as_a_whole() -> None:
    """4,000 tokens at 50 a second, twice over."""
    assert first_s(candidate(1_000.0), is_stream=False) == pytest.approx(15 + 160)


@given(
    st.none() | st.floats(0, 1e6),
    st.sampled_from([None, "low", "high", "max"]),
    st.integers(0, 2_000_000),
    st.booleans(),
    st.none() | st.floats(0.01, 1000),
)
def test_limits_stay_within_their_cap_and_a_caller_only_tightens(
    first_token_ms: float | None, effort: str | None, prompt_tokens: int, is_stream: bool, wished_s: float | None
) -> None:
    """Whatever is published."""
    one = candidate(first_token_ms, effort)
    free = first_s(one, is_stream=is_stream, prompt_tokens=prompt_tokens)
    wished = limits(
        one,
        is_stream=is_stream,
        output_tokens=None,
        settings=Settings(),
        wish=Tightened(first_content_s=wished_s),
        prompt_tokens=prompt_tokens,
    ).first_content_s

    assert 15 <= free <= CAP_S
    assert wished == (free if wished_s is None else min(free, wished_s))


def test_a_fixed_setting_is_the_last_word() -> None:
    """For those who want one number."""
    fixed = Settings(first_byte_timeout_s=7.0)
    found = limits(candidate(82_000.0), is_stream=False, output_tokens=9, settings=fixed, wish=NO_WISH)

    assert found.first_content_s == 7.0
