"""Whose fault it was: the bodies of many vendors, the default for unknown ones, and how long to wait."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from proxy.causes import FATES, LONGEST_WAIT_S, RULES, classify, classify_success, duration_s, read_error
from tests.proxy.edges.vendor_refusals import REFUSALS, Refusal, anthropic, openai, openrouter
from warehouse.outcomes import OUTCOMES

NOW = dt.datetime(2026, 8, 22, 12)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.id)
def test_vendors_refusals_have_the_cause_they_mean(refusal: Refusal) -> None:
    cause = classify(refusal.kind, refusal.status, refusal.data, refusal.headers, now=NOW)

    assert cause.name == refusal.cause
    assert cause.repair == refusal.repair
    assert cause.retry_after_s == (pytest.approx(refusal.wait_s) if refusal.wait_s is not None else None)
    fate = FATES[refusal.cause]
    assert (cause.outcome, cause.opens, cause.is_lasting) == (fate.outcome, fate.opens, fate.is_lasting)
    assert cause.action == ("next" if fate.action == "repair" and refusal.repair is None else fate.action)


def test_more_than_ten_vendors_and_every_cause_is_seen() -> None:
    assert len({refusal.vendor for refusal in REFUSALS}) > 15
    unseen = set(FATES) - {refusal.cause for refusal in REFUSALS}
    assert unseen == {"conflict", "unexpected"}
    assert {rule.cause for rule in RULES} <= set(FATES)


def test_fates_use_the_contracts_words() -> None:
    assert {fate.outcome for fate in FATES.values()} <= set(OUTCOMES)
    prompt_caused = {"moderated", "context_exceeded", "max_tokens_too_large", "parameter_unsupported", "bad_request"}
    assert all(FATES[name].opens == "nothing" for name in prompt_caused)


@pytest.mark.parametrize("body", [b"", b"{}", b"nonsense", b'{"error":{"message":"no idea"}}', b"[]", b"[[[["])
@pytest.mark.parametrize(
    ("status", "action", "opens"),
    [
        (400, "return", "nothing"),
        (413, "return", "nothing"),
        (422, "return", "nothing"),
        (401, "next", "key"),
        (402, "next", "key"),
        (403, "next", "model"),
        (404, "next", "model"),
        (408, "next", "model"),
        (409, "next", "nothing"),
        (425, "next", "nothing"),
        (429, "next", "model"),
        (500, "next", "model"),
        (502, "next", "model"),
        (503, "next", "model"),
        (504, "next", "model"),
        (529, "next", "model"),
        (599, "next", "model"),
        (302, "next", "model"),
        (418, "next", "model"),
    ],
)
def test_unknown_bodies_are_judged_by_their_status(status: int, action: str, opens: str, body: bytes) -> None:
    cause = classify("openai", status, body, {})

    assert (cause.action, cause.opens, cause.is_explained) == (action, opens, False)


def test_a_cause_carries_no_text_of_the_upstream() -> None:
    body = openai("maximum context length is exceeded by: my secret prompt", "x", "context_length_exceeded")

    assert "secret" not in repr(classify("openai", 400, body, {}))


def test_too_little_room_for_an_answer_asks_for_a_larger_window_instead_of_a_repair() -> None:
    message = (
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens ({} in the messages)."
    )

    assert classify("vllm", 400, openai(message.format(4000), "x"), {}).action == "larger_context"
    assert classify("vllm", 400, openai(message.format(1000), "x"), {}).action == "repair"


def test_an_unaffordable_call_with_nothing_left_is_an_empty_balance_for_the_key() -> None:
    body = openrouter(402, "This request requires more credits, or fewer max_tokens. You can only afford 12.")

    cause = classify("openrouter", 402, body, {})

    assert (cause.name, cause.action, cause.opens) == ("unaffordable", "next", "key")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"choices": [{"message": {"content": "hi"}}]}, None),
        ({"choices": [], "error": None}, None),
        ({"object": "list", "data": []}, None),
        ({"type": "message_start", "message": {}}, None),
        (openrouter(502, "Provider returned error"), "server_error"),
        (openrouter(429, "Provider returned error"), "rate_limited"),
        (anthropic("overloaded_error", "Overloaded"), "overloaded"),
        (anthropic("api_error", "Internal server error"), "server_error"),
        ({"object": "error", "message": "The model `x` does not exist.", "code": 404}, "model_removed"),
        ({"error": {"message": "something"}}, "server_error"),
        ({"error": "server busy, please try again."}, "overloaded"),
        ([{"error": {"code": 503, "status": "UNAVAILABLE", "message": "The model is overloaded."}}], "overloaded"),
        (
            {"choices": [{"error": {"code": 502, "message": "Upstream error"}, "finish_reason": "error"}]},
            "server_error",
        ),
        (openai("prompt is too long: 9 tokens > 8 maximum", "invalid_request_error"), "context_exceeded"),
        ({"detail": "Internal error"}, "server_error"),
    ],
)
def test_errors_under_status_200_are_found(body: object, expected: str | None) -> None:
    cause = classify_success("openrouter", body, {})

    assert (cause.name if cause else None) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "Sat, 22 Aug 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sat, 22 Aug 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Sat, 22 Aug 2026 11:00:30 GMT", "date": "Sat, 22 Aug 2026 11:00:00 GMT"}, 30.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "99999999999"}, LONGEST_WAIT_S),
        ({"retry-after": "soon", "x-ratelimit-reset-requests": "1s"}, 1.0),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}, 1.0),
        ({"x-ratelimit-reset": "1787400030"}, 30.0),
        ({"x-ratelimit-reset": "59"}, 59.0),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], expected: float | None) -> None:
    cause = classify("openai", 429, b"", headers, now=NOW)

    assert cause.retry_after_s == expected


def test_header_names_in_any_case_are_read_from_a_mapping_that_ignores_case() -> None:
    assert classify("openai", 429, b"", CIMultiDict({"Retry-After": "3"})).retry_after_s == 3.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7.66s", 7.66),
        ("6m0s", 360),
        ("1h2m3s", 3723),
        ("120ms", 0.12),
        ("2d", 172800),
        ("12", 12),
        ("", None),
        ("x", None),
    ],
)
def test_durations(text: str, expected: float | None) -> None:
    assert duration_s(text) == expected


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["error", "message", "code", "type", "status", "detail", "metadata", "raw", "headers", "loc"]
            )
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(
    st.integers(100, 999),
    anything,
    st.dictionaries(st.sampled_from(["retry-after", "date", "x-ratelimit-reset"]), st.text()),
)
def test_any_body_has_a_cause(status: int, body: object, headers: dict[str, str]) -> None:
    cause = classify("openrouter", status, body, headers, now=NOW)

    assert cause.outcome in OUTCOMES
    assert cause.retry_after_s is None or 0 <= cause.retry_after_s <= LONGEST_WAIT_S
    assert (cause.action == "repair") == (cause.repair is not None)
    classify_success("openai", body, headers, now=NOW)


@given(st.binary(max_size=200), st.integers(400, 599))
def test_any_bytes_have_a_cause(body: bytes, status: int) -> None:
    classify("openai", status, body, {})


def test_a_deep_and_a_huge_body_are_read_in_bounded_time() -> None:
    deep = b'{"error":' * 5_000 + b"1" + b"}" * 5_000
    huge = json.dumps({"error": {"message": "model " * 200_000}}).encode()

    assert classify("openai", 400, deep, {}).name == "bad_request"
    assert classify("openai", 400, huge, {}).name == "bad_request"
    assert len(read_error(huge).message) <= 4_000
