"""What happens to a call when candidates fail, on hand-moved time."""

from __future__ import annotations

import asyncio
import json

import pytest

from proxy.errors import (
    AttemptsFailedError,
    BrokenAnswerError,
    MalformedAnswerError,
    NoUpstreamError,
    RequirementsError,
    UnknownModelError,
    UnreachableError,
)
from proxy.time_limits import Tightened
from tests.proxy.hand import (
    DONE,
    STALL,
    Bench,
    event,
    fails,
    indexed,
    raises,
    says,
    settle,
    stalls,
    streams,
    usage_event,
)
from tests.proxy.publication import offer, world

pytestmark = pytest.mark.anyio

A, B, C = (offer(f"{name}/model", upstream=f"up-{name}") for name in "abc")


def bench(*offers: object, **settings: object) -> Bench:
    chosen = offers or (A, B, C)
    upstreams = dict.fromkeys(one.upstream for one in chosen)  # type: ignore[attr-defined]
    made = Bench(indexed(world(chosen), *upstreams), **settings)  # type: ignore[arg-type]
    for one in chosen:
        made.transport.tell(one.upstream_model, says(f"I am {one.model_id}"))  # type: ignore[attr-defined]
    return made


async def test_the_best_candidate_answers_and_is_recorded() -> None:
    """One attempt, its tokens and its cost by the offer's prices."""
    at = bench()

    body = json.loads(await at.answer())

    assert body["choices"][0]["message"]["content"] == "I am a/model"
    (outcome,) = at.outcomes
    assert (
        outcome.outcome,
        outcome.attempt,
        outcome.prompt_tokens,
        outcome.completion_tokens,
        pytest.approx(outcome.cost_usd),
    ) == ("answered", 1, 10, 5, 30e-6)


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (raises(UnreachableError("no connection", "connect")), "unreachable"),
        (fails(408), "stalled"),
        (fails(409), "refused"),
        (fails(425), "refused"),
        (fails(429), "overloaded"),
        (fails(500), "malformed"),
        (fails(502), "malformed"),
        (fails(503), "overloaded"),
        (fails(401), "refused"),
        (fails(402), "refused"),
        (fails(403), "refused"),
        (fails(404), "refused"),
        (fails(301), "refused"),
        (says(""), "answered"),
        (says("", usage=None), "malformed"),
        (says("", choices=[]), "malformed"),
        (streams(b"<html>", content_type="text/html"), "malformed"),
        (streams(b""), "malformed"),
        (streams(b'{"choices": [', BrokenAnswerError("cut", "truncated")), "broken"),
        (streams(b'{"error": {"message": "boom", "code": 500}}'), "malformed"),
    ],
)
async def test_what_follows_the_first_candidates_answer(behaviour: object, outcome: str) -> None:
    """Whatever is not an answer goes on to the next candidate, and is recorded for what it was."""
    at = bench()
    at.transport.tell("a/model", behaviour)  # type: ignore[arg-type]

    await at.answer()

    assert outcome == at.outcomes[0].outcome
    assert (["a/model"] if outcome == "answered" else ["a/model", "b/model"]) == at.transport.models


async def test_a_refusal_that_another_vendor_shares_is_the_callers() -> None:
    """One vendor's unexplained 400 may be its whim; the second one's is not, and the third is never asked."""
    at = bench()
    for name in "abc":
        at.transport.tell(f"{name}/model", fails(400, {"error": {"message": f"odd, says {name}"}}))

    answer = await at.failover.answer(at.call())

    assert (answer.status, at.transport.models) == (400, ["a/model", "b/model"])
    assert b"odd, says a" in answer.body
    assert [one.outcome for one in at.outcomes] == ["caller_error", "caller_error"]
    assert not [one for one in at.breakers if one.failures or one.is_open]


async def test_a_prompt_too_long_moves_to_a_larger_window() -> None:
    """Candidates with no larger window than the one that refused are passed over."""
    small, other, large = (
        offer(f"{name}/model", context_tokens=tokens)
        for name, tokens in (("small", 32_000), ("other", 32_000), ("large", 200_000))
    )
    at = bench(small, other, large)
    error = {"error": {"message": "maximum context length", "code": "context_length_exceeded"}}
    at.transport.tell("small/model", fails(400, error))

    await at.answer()

    assert at.transport.models == ["small/model", "large/model"]


async def test_a_refused_parameter_is_taken_out_and_the_same_candidate_tried_again() -> None:
    """A host that asks for fewer tokens gets fewer."""
    at = bench()
    refusal = {
        "error": {"message": "max_tokens is too large: 9000. This model supports at most 4096 completion tokens"}
    }
    at.transport.tell("a/model", fails(400, refusal), says("repaired"))

    body = await at.answer(max_tokens=9000)

    assert b"repaired" in body
    assert at.transport.models == ["a/model", "a/model"]
    assert json.loads(at.transport.sent[1][1].body)["max_tokens"] == 4096


async def test_attempts_are_bounded() -> None:
    """No more candidates than the setting says, and the error tells of each."""
    at = bench(max_attempts=2)
    for name in "abc":
        at.transport.tell(f"{name}/model", fails(500))

    with pytest.raises(AttemptsFailedError) as caught:
        await at.answer()

    assert caught.value.status == 502
    assert [one["model"] for one in caught.value.attempts] == ["a/model", "b/model"]


async def test_overload_everywhere_is_a_429_with_the_shortest_rest() -> None:
    """A client that waits as told comes back when the first upstream is ready."""
    at = bench()
    for name, rest in (("a", "30"), ("b", "7"), ("c", "90")):
        at.transport.tell(f"{name}/model", fails(429, retry_after=rest))

    with pytest.raises(AttemptsFailedError) as caught:
        await at.answer()

    assert (caught.value.status, caught.value.headers["retry-after"]) == (429, "7")


async def test_retry_after_rests_a_candidate_for_as_long_as_it_asked() -> None:
    """One 429 with Retry-After is enough, and its end is its own."""
    at = bench()
    at.transport.tell("a/model", fails(429, retry_after="20"), says("back"))

    await at.answer()
    await at.answer()
    await at.clock.advance(19)
    await at.answer()
    await at.clock.advance(2)
    await at.answer()

    assert at.transport.models == ["a/model", "b/model", "b/model", "b/model", "a/model"]


async def test_the_fourth_call_skips_a_broken_candidate_until_the_cooldown_ends() -> None:
    """Three failures in a row open the breaker; after 60 s one trial goes through."""
    at = bench()
    at.transport.tell("a/model", fails(500))

    for _ in range(4):
        await at.answer()

    assert at.transport.models == ["a/model", "b/model"] * 3 + ["b/model"]
    at.transport.tell("a/model", says("well again"))
    await at.clock.advance(60)
    assert b"well again" in await at.answer()


async def test_a_failing_key_takes_all_of_its_models_out_of_the_call() -> None:
    """The second model behind a key that is refused is not tried."""
    first, second = offer("a/one", upstream="up-a"), offer("a/two", upstream="up-a")
    at = bench(first, second, B)
    at.transport.tell("a/one", fails(401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}))

    await at.answer()
    await at.answer()

    assert at.transport.models == ["a/one", "b/model", "b/model"]


async def test_a_removed_model_rests_alone() -> None:
    """Its neighbours behind the same key go on."""
    first, second = offer("a/one", upstream="up-a"), offer("a/two", upstream="up-a")
    at = bench(first, second)
    at.transport.tell("a/one", fails(400, {"error": {"message": "gone", "code": "model_not_found"}}))

    await at.answer()
    await at.answer()

    assert at.transport.models == ["a/one", "a/two", "a/two"]


async def test_a_moderated_prompt_counts_against_nobody() -> None:
    """It goes on, and no breaker hears of it however often it happens."""
    at = bench()
    at.transport.tell("a/model", fails(403, {"error": {"message": "Your input was flagged by moderation"}}))

    for _ in range(5):
        await at.answer()

    assert at.transport.models.count("a/model") == 5


async def test_when_everything_rests_the_soonest_back_is_tried() -> None:
    """One candidate that fails is tried rather than dead."""
    at = bench(A)
    at.transport.tell("a/model", fails(500))
    for _ in range(3):
        with pytest.raises(AttemptsFailedError):
            await at.answer()
    at.transport.tell("a/model", says("after all"))

    assert b"after all" in await at.answer()


async def test_what_rests_is_tried_when_what_does_not_has_failed() -> None:
    """A call does not die beside a candidate that may be well again."""
    at = bench(A, B)
    at.transport.tell("a/model", fails(500))
    for _ in range(3):
        await at.answer()
    at.transport.tell("a/model", says("well again"))
    at.transport.tell("b/model", fails(500))

    assert b"well again" in await at.answer()
    assert at.transport.models[-2:] == ["b/model", "a/model"]


async def test_who_asked_to_be_left_alone_is() -> None:
    """When everybody did, nothing is called, and the client is told when the first is back."""
    at = bench(A, B)
    at.transport.tell("a/model", fails(429, retry_after="30"))
    at.transport.tell("b/model", fails(429, retry_after="60"))
    with pytest.raises(AttemptsFailedError):
        await at.answer()
    await at.clock.advance(10)

    with pytest.raises(AttemptsFailedError, match="back in 20 s") as caught:
        await at.answer()

    assert (caught.value.status, caught.value.headers["retry-after"]) == (429, "20")
    assert len(at.transport.models) == 2


async def test_a_connection_closed_unused_is_made_anew_when_nothing_else_is_left() -> None:
    """Servers close idle connections in the very moment a call goes out; the only candidate is asked once more."""
    at = bench(A)
    at.transport.tell("a/model", raises(UnreachableError("closed", "disconnected")), says("here I am"))

    assert b"here I am" in await at.answer()


async def test_a_silent_candidate_is_left_when_its_own_time_is_over() -> None:
    """Known to answer within half a second, it gets the floor of 15 s, not the whole call's time."""
    at = bench(A, B)
    at.transport.tell("a/model", stalls)
    at.transport.tell("b/model", streams(event("hi", "stop"), DONE))

    running = asyncio.create_task(at.answer(stream=True))
    await at.clock.advance(14.9)
    assert at.transport.models == ["a/model"]
    await at.clock.advance(0.2)

    assert b'"hi"' in await running
    assert at.transport.models == ["a/model", "b/model"]
    assert (at.outcomes[0].outcome, at.outcomes[0].cause) == ("stalled", "no_content_in_time")


async def test_a_model_that_thinks_for_minutes_is_given_them() -> None:
    """150 s of silence are within five times a published 80 s."""
    at = bench(offer("a/model", upstream="up-a", latency_ms=80_000.0), B)
    at.transport.tell("a/model", stalls)

    running = asyncio.create_task(at.answer(stream=True))
    await at.clock.advance(150)

    assert at.transport.models == ["a/model"]
    running.cancel()
    await settle()
    assert at.outcomes[0].outcome == "caller_gone"
    assert not [one for one in at.breakers if one.failures]


async def test_the_whole_call_ends_at_its_deadline() -> None:
    """However many candidates are left."""
    at = bench(total_timeout_s=20, first_byte_timeout_s=8)
    for name in "abc":
        at.transport.tell(f"{name}/model", stalls)

    running = asyncio.create_task(at.answer())
    for _ in range(4):
        await at.clock.advance(5.1)

    with pytest.raises(AttemptsFailedError) as caught:
        await running
    assert caught.value.status == 504
    assert 20 < at.clock.monotonic() - 1000 < 21


async def test_a_caller_may_tighten_the_limits() -> None:
    """Never widen them."""
    at = bench(first_byte_timeout_s=30)
    at.transport.tell("a/model", stalls)

    running = asyncio.create_task(at.answer(wish=Tightened(first_content_s=2)))
    await at.clock.advance(2.1)

    assert b"b/model" in await running


# --- streams ---------------------------------------------------------------------------------------------------------


async def test_a_stream_is_relayed_event_by_event_with_one_done() -> None:
    """The usage that was only asked for by the proxy is taken out; the tokens are known all the same."""
    at = bench()
    at.transport.tell(
        "a/model", streams(event(role="assistant"), event("Hel"), event("lo", "stop"), usage_event(), DONE)
    )

    got = await at.answer(stream=True)

    assert event(role="assistant") + event("Hel") + event("lo", "stop") + DONE == got
    assert json.loads(at.transport.sent[0][1].body)["stream_options"] == {"include_usage": True}
    assert (
        at.outcomes[0].prompt_tokens,
        at.outcomes[0].completion_tokens,
        at.outcomes[0].outcome,
    ) == (10, 5, "answered")


async def test_a_client_that_asks_for_usage_gets_it() -> None:
    """With what it cost and who served it, where the upstream does not say."""
    at = bench()
    at.transport.tell("a/model", streams(event("hi", "stop"), usage_event(), DONE))

    got = await at.answer(stream=True, stream_options={"include_usage": True})

    assert got.startswith(event("hi", "stop"))
    assert got.endswith(DONE)
    last = json.loads(got.removeprefix(event("hi", "stop")).removesuffix(DONE).removeprefix(b"data: "))
    assert ({"prompt_tokens": 10, "completion_tokens": 5, "cost": pytest.approx(30e-6)}, "up-a") == (
        last["usage"],
        last["provider"],
    )


@pytest.mark.parametrize(
    "chunks",
    [
        [event(role="assistant", content="")],
        [b": ping\n\n", event(role="assistant"), BrokenAnswerError("gone", "connection_lost")],
        [event(role="assistant"), b'data: {"error": {"message": "boom", "code": 502}}\n\n'],
        [b'data: {"error": {"message": "boom", "code": 502}}\n\n', DONE],
        [event(role="assistant"), event(reasoning="let me think"), MalformedAnswerError("garbage", "content_encoding")],
        [event(role="assistant"), event(finish="stop"), DONE],
        [DONE],
        [b""],
        [b'data: {"cho'],
    ],
)
async def test_a_stream_that_fails_before_it_says_anything_fails_over(chunks: list[object]) -> None:
    """Role, pings, thinking and lifecycle events are held back until there is content."""
    at = bench()
    at.transport.tell("a/model", streams(*chunks))
    at.transport.tell("b/model", streams(event("hi", "stop"), DONE))

    assert event("hi", "stop") + DONE == await at.answer(stream=True)


async def test_a_stream_that_breaks_amid_the_answer_ends_with_an_error_and_is_not_made_again() -> None:
    """No `[DONE]`, no second candidate, and the breaker hears of it."""
    at = bench()
    at.transport.tell("a/model", streams(event("Hel"), BrokenAnswerError("gone", "connection_lost")))

    got = await at.answer(stream=True)

    assert got.startswith(event("Hel"))
    assert DONE not in got
    last = json.loads(got.removeprefix(event("Hel")).removeprefix(b"data: "))
    assert (last["error"]["type"], last["error"]["code"]) == ("upstream_error", "connection_lost")
    assert at.transport.models == ["a/model"]
    assert at.outcomes[0].outcome == "broken"
    assert at.breakers["up-a:a/model"].failures == 1


async def test_a_stall_amid_the_answer_ends_by_its_own_limit() -> None:
    """Not by the whole call's."""
    at = bench(between_chunks_timeout_s=10)
    at.transport.tell("a/model", streams(event("Hel"), STALL))

    running = asyncio.create_task(at.answer(stream=True))
    await at.clock.advance(10.1)

    assert b"silent_amid_answer" in await running


async def test_thinking_is_life_but_not_content() -> None:
    """It puts the limit off, and failing over stays possible."""
    at = bench(first_byte_timeout_s=10, between_chunks_timeout_s=30)
    at.transport.tell("a/model", streams(event(reasoning="hm"), STALL))
    at.transport.tell("b/model", streams(event("hi", "stop"), DONE))

    running = asyncio.create_task(at.answer(stream=True))
    await at.clock.advance(29)
    assert at.transport.models == ["a/model"]
    await at.clock.advance(2)

    assert event("hi", "stop") + DONE == await running


async def test_one_bad_event_amid_good_ones_does_not_end_a_stream() -> None:
    """It is left out, since a client would choke on it."""
    at = bench()
    at.transport.tell("a/model", streams(event("Hel"), b'data: {"broken\n\n', event("lo", "stop"), DONE))

    assert event("Hel") + event("lo", "stop") + DONE == await at.answer(stream=True)


async def test_events_cut_anywhere_arrive_whole() -> None:
    """Also with Windows line ends, and without a last blank line."""
    at = bench()
    whole = (event("Hel") + event("lo", "stop") + DONE).replace(b"\n", b"\r\n")
    at.transport.tell("a/model", streams(*(whole[i : i + 1] for i in range(len(whole) - 4))))

    assert event("Hel") + event("lo", "stop") + DONE == await at.answer(stream=True)


async def test_a_client_that_hangs_up_cancels_the_upstream_and_counts_against_nobody() -> None:
    """The upstream's answer is closed at once."""
    at = bench()
    at.transport.tell("a/model", streams(event("Hel"), STALL))
    answer = await at.failover.answer(at.call(stream=True))
    assert answer.rest is not None
    waiting = asyncio.create_task(anext(answer.rest))  # type: ignore[arg-type]
    await settle()

    waiting.cancel()
    await settle()

    assert at.transport.answers[0].is_closed  # type: ignore[attr-defined]
    assert at.outcomes[0].outcome == "caller_gone"
    assert at.breakers["up-a:a/model"].failures == 0


# --- nothing to try ---------------------------------------------------------------------------------------------------


async def test_without_a_key_the_error_names_the_variable() -> None:
    """503 with what to set."""
    at = Bench(indexed(world([A]), "up-a", keyless=["up-a"]))

    with pytest.raises(NoUpstreamError, match="A_KEY is not set"):
        await at.answer()


async def test_what_nothing_offers_is_said_with_the_numbers() -> None:
    """How many candidates each filter removed."""
    at = bench()

    with pytest.raises(RequirementsError, match="3 lack image input") as caught:
        await at.answer(
            messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example"}}]}]
        )

    assert caught.value.removed == {"needs": 3}


async def test_an_unknown_model_names_the_nearest() -> None:
    """In OpenAI's words."""
    at = bench()

    with pytest.raises(UnknownModelError) as caught:
        await at.answer(model="a/modle")

    assert caught.value.nearest[0] == "a/model"


async def test_a_named_model_never_becomes_another() -> None:
    """Its offers are tried, and nothing else."""
    at = bench()
    at.transport.tell("b/model", fails(500))

    with pytest.raises(AttemptsFailedError):
        await at.answer(model="B/Model")

    assert at.transport.models == ["b/model"]


async def test_an_explicit_list_is_tried_in_its_order() -> None:
    """Whatever the ranking thinks."""
    at = bench()
    at.transport.tell("c/model", fails(500))

    await at.answer(model=None, models=["c/model", "a/model"])

    assert at.transport.models == ["c/model", "a/model"]


@pytest.mark.parametrize(
    ("behaviours", "status"),
    [
        ((429, 429, 429), 429),
        ((503, 503, 503), 503),
        ((500, 500, 500), 502),
        ((503, 429, 500), 503),
        ((429, 429, 503), 503),
        ((429, 500, 500), 503),
        ((408, 504, 408), 504),
        ((529, 500, 502), 503),
    ],
)
async def test_the_status_says_what_would_help(behaviours: tuple[int, ...], status: int) -> None:
    """429 only where asking less would: clients slow down for it. All others they try again by themselves."""
    at = bench()
    for name, code in zip("abc", behaviours, strict=True):
        at.transport.tell(f"{name}/model", fails(code))

    with pytest.raises(AttemptsFailedError) as failed:
        await at.answer()

    assert failed.value.status == status


async def test_resting_for_want_of_capacity_is_503() -> None:
    """The same once every breaker is open: what opened them decides."""
    at = bench(A)
    at.transport.tell("a/model", fails(503, retry_after="40"))
    for _ in range(2):
        with pytest.raises(AttemptsFailedError) as failed:
            await at.answer()

    assert (failed.value.status, failed.value.headers["retry-after"]) == (503, "40")
