"""What a request asks, under what agents and documents wrap around it."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.difficulty import Scorer, conversation
from tests.difficulty.agents import (
    CASES,
    DUMP,
    FAILED,
    HARD_ASK,
    PASSED,
    Case,
    claude,
    edit_and_test,
    gave,
    said,
    sessions,
    used,
)


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer.load()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_persons_last_ask_is_found(case: Case) -> None:
    found = conversation.read(case.body)
    assert found.asks[0] == case.asked
    assert found.in_tool_loop is case.in_tool_loop


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_agents_request_is_as_hard_as_what_was_asked(scorer: Scorer, case: Case) -> None:
    seen = scorer.assess(case.body)
    assert seen.in_tool_loop is case.in_tool_loop
    assert seen.continuation == case.continuation
    if case.easy:
        assert seen.band == "easy"
    if case.as_hard_as is not None:
        alone = scorer.assess({"messages": [{"role": "user", "content": case.as_hard_as}]})
        assert seen.difficulty == pytest.approx(alone.difficulty, abs=0.2)


def test_yes_to_a_hard_plan_is_hard_and_thanks_is_easy(scorer: Scorer) -> None:
    plan = [said(HARD_ASK), {"role": "assistant", "content": "I would fence each commit. Shall I?"}]
    assert scorer.assess(claude(*plan, said("yes, do it"))).band == "hard"
    assert scorer.assess(claude(*plan, said("ok thanks"))).band == "easy"


def test_failing_edits_push_up_and_passing_ones_do_not(scorer: Scorer) -> None:
    failing = scorer.assess(claude(said(HARD_ASK), *edit_and_test(3)))
    turns = [turn if FAILED not in str(turn) else gave(0, PASSED) for turn in edit_and_test(1)]
    passing = scorer.assess(claude(said(HARD_ASK), *turns))
    assert failing.difficulty > passing.difficulty + 0.1
    assert {"failing_calls", "edit_test_loop"} <= {name for name, _ in failing.features}


def test_repeating_a_call_pushes_up_and_reading_pushes_down(scorer: Scorer) -> None:
    ask = said("Rename the helper in src/module_3/handlers.py and update its callers in the other modules.")
    start = scorer.assess(claude(ask))
    reading = scorer.assess(
        claude(ask, used(1, "Read", file_path="a.py"), gave(1, DUMP), used(2, "Grep", pattern="x"), gave(2, DUMP))
    )
    again = [turn for n in range(4) for turn in (used(n, "Bash", command="./run"), gave(n, "Error: command not found"))]
    stuck = scorer.assess(claude(ask, *again))
    assert reading.difficulty < start.difficulty < stuck.difficulty


def test_a_pasted_document_does_not_make_an_easy_ask_hard(scorer: Scorer) -> None:
    ask = "What colour is the door in this text?"
    proof = "Let the operator T be compact. Prove that its spectrum is countable. "
    paste = f"{ask}\n\n<document>\n{proof * 200}</document>"
    alone, with_paste = (scorer.assess({"messages": [{"role": "user", "content": text}]}) for text in (ask, paste))
    assert with_paste.difficulty == pytest.approx(alone.difficulty, abs=0.02)


def test_a_system_prompt_does_not_change_the_difficulty(scorer: Scorer) -> None:
    ask = {"role": "user", "content": "Name three rivers in France."}
    system = {"role": "system", "content": "You prove theorems. " * 500}
    assert scorer.assess({"messages": [system, ask]}).difficulty == scorer.assess({"messages": [ask]}).difficulty


def test_text_parts_plain_prompts_and_strings_are_one(scorer: Scorer) -> None:
    text = "A train leaves at 9:40 and covers 210 km in 2.5 hours; when does it pass the bridge at km 84?"
    bodies: list[Any] = [
        {"messages": [{"role": "user", "content": text}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]},
        {"input": text},
        {"prompt": text},
    ]
    assert len({scorer.assess(body).difficulty for body in bodies}) == 1


def test_a_theorem_of_one_line_is_not_a_sum(scorer: Scorer) -> None:
    """Quantities in it must not make a proof as easy as arithmetic of that length."""

    def difficulty(text: str) -> float:
        return scorer.assess({"messages": [{"role": "user", "content": text}]}).difficulty

    assert difficulty("Prove that there are infinitely many primes of the form 4k + 3.") >= 0.6
    assert difficulty("Solve 4x + 3 = 15 for the positive integer x.") < 0.3
    assert difficulty("The proof of my address is at page 4 of 3 files, please find it") < 0.5


def test_an_image_alone_is_medium_with_no_confidence(scorer: Scorer) -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    seen = scorer.assess({"messages": [{"role": "user", "content": [part]}]})
    assert seen.band == "medium"
    assert seen.confidence == 0.0


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("Translate this sentence into French: the cat sleeps.", "translation"),
        ("Write a short poem about autumn rain.", "writing"),
        ("Why does this Python function raise a KeyError?\ndef f(x):\n    return x['a']", "coding"),
        ("Solve for x: 3x^2 - 12x + 9 = 0", "maths"),
        ("Prove that the square root of two is irrational.", "maths"),
        ("Extract all names and dates from the text below as JSON.", "extraction"),
        ("Who painted the ceiling of the Sistine Chapel?", "chat"),
    ],
)
def test_the_category_is_read_from_the_ask(scorer: Scorer, text: str, category: str) -> None:
    assert scorer.assess({"messages": [{"role": "user", "content": text}]}).category == category


@pytest.mark.parametrize("agent", ["claude", "codex", "opencode", "aider"])
def test_a_session_switches_its_model_once_and_between_asks(scorer: Scorer, agent: str) -> None:
    """Replaying all requests of a session: the hard ask, its loops and its assents keep a band, the thanks is easy."""
    shape, steps = sessions()[agent]
    turns: list[Any] = []
    bands: list[str] = []
    for step in steps:
        turns += step
        seen = scorer.assess(shape(*turns))
        # A tool loop keeps the model that began it, whatever the band says.
        bands.append(bands[-1] if seen.in_tool_loop else seen.band)
    switches = sum(before != after for before, after in pairwise(bands))
    assert bands[0] == "hard"
    assert bands[-1] == "easy"
    assert switches == 1


KEYS = [
    "messages",
    "role",
    "content",
    "type",
    "text",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "input",
    "prompt",
    "tools",
    "output",
    "system",
    "is_error",
]
WORDS = [
    "user",
    "assistant",
    "tool",
    "system",
    "text",
    "tool_use",
    "tool_result",
    "function_call",
    "function_call_output",
    "image_url",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner | st.sampled_from(WORDS), max_size=6)
    ),
    max_leaves=30,
)


@settings(max_examples=150, deadline=None)
@given(body=JSON)
def test_any_json_is_assessed(body: Any) -> None:
    seen = _LOADED.assess(body)
    assert 0 <= seen.difficulty <= 1
    assert 0 <= seen.confidence <= 1
    assert _LOADED.assess(body, explain=False) == dataclasses.replace(seen, features=())


_LOADED = Scorer.load()
