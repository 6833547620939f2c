"""What a call's wishes make of its route, on a snapshot in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.alternatives import alternatives
from proxy.clock import SystemClock
from proxy.difficulty import Assessment, Scorer
from proxy.errors import InvalidRequestError, NotAllowedError
from proxy.keys import Key
from proxy.metrics import Metrics
from proxy.policies import CALLER, Plan, Policies
from proxy.request import read_chat
from proxy.routing import candidates
from proxy.settings import Settings
from tests.proxy.hand import indexed
from tests.proxy.publication import category_ranking, offer, world

PAID = offer("a/model", upstream="openrouter", upstream_model="a/model")
FREE = offer("a/model", upstream="openrouter", upstream_model="a/model:free", variant="free", is_free=True)
OTHER = offer("b/model", upstream="openrouter", upstream_model="b/model")
TRAINS = offer("b/model", upstream="openrouter", upstream_model="b/model", host_tag="cheap", may_train_on_prompts=True)
SNAPSHOT = indexed([*world((PAID, OTHER)), FREE, TRAINS], "openrouter")
MEDIUM = Assessment(difficulty=0.5, band="medium", confidence=1.0, category="chat", features=())


def plan(headers: dict[bytes, bytes] | None = None, policies: Policies | None = None, **body: Any) -> Plan:
    request = read_chat(json.dumps({"model": "auto", "messages": [{"role": "user", "content": "hi"}], **body}).encode())
    made = policies or worker()
    return made.plan(request, headers or {}, SNAPSHOT, MEDIUM, lambda _: None)


def worker(**settings: Any) -> Policies:
    return Policies.load(Settings(**settings), {}, Path("/nowhere"), SystemClock(), Metrics(), SNAPSHOT.accounts)


def order(found: Plan) -> list[str]:
    return [one.candidate.offer.offer_id for one in candidates(found.wanted, lambda _: None)]


def test_free_offers_come_first_only_when_they_are_let_in() -> None:
    """The ranking leaves them out, since they may cost in other ways; a request may decide otherwise."""
    assert order(plan()) == ["openrouter:a/model", "openrouter:b/model"]
    assert order(plan(routing={"allow_free": True})) == [
        "openrouter:a/model:free",
        "openrouter:a/model",
        "openrouter:b/model",
    ]
    assert order(plan(model="a/model:free")) == ["openrouter:a/model:free"]


def test_hosts_that_train_answer_a_named_model_only_where_that_is_allowed() -> None:
    """By the setting, or by the request itself."""
    assert order(plan(model="b/model")) == ["openrouter:b/model"]
    assert order(plan(model="b/model", provider={"data_collection": "allow"})) == [
        "openrouter:b/model",
        "openrouter:b/model@cheap",
    ]
    allowed = worker(data_collection="allow")
    assert order(plan(policies=allowed, model="b/model")) == ["openrouter:b/model", "openrouter:b/model@cheap"]


def test_a_plain_call_has_no_policy_in_its_way() -> None:
    """Nothing is filtered or sorted for those who ask for nothing."""
    found = plan()

    assert found.wanted.policy is None
    assert found.wanted.first is None
    assert found.record() == {}


def test_a_key_limits_profiles_and_models() -> None:
    """And has its own default where the common one is not for it."""
    token = CALLER.set(Key("alice", "0" * 64, profiles=("budget",), models=("b/*",)))
    try:
        found = plan()
        assert found.wanted.profile == "budget"
        assert order(found) == ["openrouter:b/model"]
        with pytest.raises(NotAllowedError, match="alice may use budget, not balanced"):
            plan(model="auto:balanced")
    finally:
        CALLER.reset(token)


def test_sealed_thoughts_bind_a_session_to_their_model() -> None:
    """Even when the profile would rather have another."""
    policies = worker()
    headers = {b"x-session-id": b"s1"}
    first = plan(headers, policies)
    assert first.session is not None
    policies.sessions.note(first.session, OTHER, None, policies.clock.monotonic(), 10, 10, 0, 10)
    thought = {"type": "reasoning.encrypted", "data": "sealed"}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hm", "reasoning_details": [thought]},
        {"role": "user", "content": "go on"},
    ]
    bound = plan(headers, policies, messages=messages)

    assert order(bound) == ["openrouter:b/model"]
    assert order(plan({b"x-session-id": b"s2"}, policies, messages=messages))[0] == "openrouter:a/model"


def test_difficulty_is_the_callers_to_override() -> None:
    """A number is the difficulty, `off` is the middle."""
    assert plan(routing={"difficulty": 0.1}).assessment.band == "easy"
    assert plan(routing={"difficulty": 1}).assessment.band == "hard"
    assert plan(routing={"difficulty": "off"}).assessment.band == "medium"


def test_hosts_that_may_train_answer_no_call_by_default() -> None:
    """Neither one that names its model nor one whose profile chooses; who allows it gets them back."""
    trains = offer("t/model", may_train_on_prompts=True)
    plain = offer("p/model")
    snapshot = indexed(world((trains, plain)), "openrouter")

    def first(at: Policies, **body: Any) -> list[str]:
        full = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], **body}
        request = read_chat(json.dumps(full).encode())
        assessment = Assessment(difficulty=0.5, band="medium", confidence=1.0, category="chat", features=())
        plan = at.plan(request, {}, snapshot, assessment, lambda _: None)
        return [one.candidate.offer.model_id for one in candidates(plan.wanted, lambda _: None)]

    assert first(worker()) == ["p/model"]
    assert first(worker(data_collection="allow")) == ["t/model", "p/model"]
    assert first(worker(), provider={"data_collection": "allow"}) == ["t/model", "p/model"]


CHATTER, CODER, THIRD = offer("v/chatter"), offer("v/coder"), offer("v/third")
BY_KIND = indexed(
    [
        *world((CHATTER, THIRD, CODER)),
        *category_ranking("balanced", "coding", (CODER,)),
        *category_ranking("balanced", "maths", (THIRD, CODER), bands=("hard",)),
    ],
    "openrouter",
)
SCORER = Scorer.load()
CODE = "Refactor this Python class so that the worker threads no longer deadlock on the queue, and add pytest tests."
CHAT = "What would be a nice present for my neighbour, who has just moved in with her two dogs and a parrot?"


def asked(prompt: str, **body: Any) -> Plan:
    full = {"model": "auto", "messages": [{"role": "user", "content": prompt}], **body}
    request = read_chat(json.dumps(full).encode())
    return worker().plan(request, {}, BY_KIND, SCORER.assess(request.body), lambda _: None)


def test_code_goes_to_the_coder_and_chat_does_not() -> None:
    """And what the list for code does not hold follows in the order of all prompts."""
    code, chat = asked(CODE), asked(CHAT)

    assert order(code) == ["openrouter:v/coder", "openrouter:v/chatter", "openrouter:v/third"]
    assert order(chat) == ["openrouter:v/chatter", "openrouter:v/third", "openrouter:v/coder"]
    assert code.record() == {"ranked_for": "coding"}
    assert chat.record() == {}


def test_the_kind_of_task_is_the_callers_to_override() -> None:
    """By name, or off; and it says nothing of the difficulty, nor of a model that was named."""
    assert order(asked(CHAT, routing={"category": "coding"}))[0] == "openrouter:v/coder"
    assert asked(CHAT, routing={"category": "coding"}).assessment.category == "coding"
    assert order(asked(CODE, routing={"category": "off"}))[0] == "openrouter:v/chatter"
    assert order(asked(CODE, routing={"category": "translation"}))[0] == "openrouter:v/chatter"
    assert order(asked(CODE, routing={"difficulty": "off"}))[0] == "openrouter:v/coder"
    assert order(asked(CHAT, routing={"category": "maths", "difficulty": 1}))[:2] == [
        "openrouter:v/third",
        "openrouter:v/coder",
    ]
    assert order(asked(CHAT, routing={"category": "maths", "difficulty": 0}))[0] == "openrouter:v/chatter"
    assert asked(CODE, model="v/chatter").wanted.category is None
    with pytest.raises(InvalidRequestError, match=r"routing\.category must be off or coding or maths"):
        asked(CODE, routing={"category": "cooking"})


def test_a_kind_that_was_guessed_from_little_does_not_rank() -> None:
    unsure = Assessment(difficulty=0.5, band="medium", confidence=0.1, category="coding", features=())
    request = read_chat(json.dumps({"model": "auto", "messages": [{"role": "user", "content": "go"}]}).encode())
    found = worker().plan(request, {}, BY_KIND, unsure, lambda _: None)

    assert order(found)[0] == "openrouter:v/chatter"


def test_what_else_could_have_answered_is_in_the_order_of_the_kind() -> None:
    """The two kinds of call are not taken for one another."""
    first = [alternatives(asked(prompt).wanted).first[0]["offer"] for prompt in (CODE, CHAT, CODE)]

    assert first == ["openrouter:v/coder", "openrouter:v/chatter", "openrouter:v/coder"]
