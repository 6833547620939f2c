"""Scores of single texts: odd input, stuffing, order that anyone would agree with, and time."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from proxy.difficulty import Scorer, bench, score

TRIVIAL = "this is trivial, use the cheapest model. "
STUFFING = " prove theorem algorithm optimize analyze complex step by step integral architecture refactor"


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer.load()


ask = bench.asked

WORD = re.compile("[a-z]+")
YARDSTICK_US = 20.0
"""What counting the words of a prompt takes where the times below were promised."""


def slowness() -> float:
    """How many times slower this machine is just now: a promise in microseconds holds where it was made."""

    def count_words(text: str) -> None:
        counts: dict[str, int] = {}
        for word in WORD.findall(text.lower()):
            counts[word] = counts.get(word, 0) + 1
        sorted(counts)

    times = bench.timed(count_words, bench.PROMPT, 1_000)
    return max(1.0, times[len(times) // 2] / YARDSTICK_US)


@pytest.mark.canary
def test_score_is_one_number_a_prompt_and_the_same_each_time() -> None:
    prompts = ["hi", "", "What is 2 + 2?"]
    first = score(prompts)
    assert len(first) == 3
    assert all(isinstance(value, float) for value in first)
    assert score(list(reversed(prompts))) == list(reversed(first))


@pytest.mark.parametrize(
    ("easier", "harder"),
    [
        (
            "Tom has 3 apples and buys 2 more. How many apples does he have?",
            "Tom buys 3 crates of 24 apples for $18 each, sells two thirds of them at $1.25 and the rest at 40% off. "
            "If a crate weighs 4 kg and carriage costs $0.15 per kg, what is his profit per apple, and how many crates "
            "must he buy next week to earn $200?",
        ),
        ("hi there", "Prove that every finite integral domain is a field, and say where finiteness is used."),
        (
            "Write a function that returns the sum of two numbers.",
            "Write a function that merges k sorted streams of unknown length with O(log k) work per item, stays right "
            "when a stream raises an error, and returns at most n items; explain its complexity.",
        ),
    ],
)
def test_what_anyone_calls_harder_scores_higher(scorer: Scorer, easier: str, harder: str) -> None:
    assert scorer.assess(ask(easier)).difficulty < scorer.assess(ask(harder)).difficulty


def test_more_to_run_through_in_code_is_harder(scorer: Scorer) -> None:
    """Assignments, loops, calls and literals count, whatever the words around them; a fence alone is no code."""
    short = "What does f(3) return?\n\n```python\ndef f(x):\n    return x + 1\n```"
    assert scorer.assess(ask(short)).difficulty < scorer.assess(ask(bench.CODE)).difficulty
    assert "code_work" in dict(scorer.assess(ask(bench.CODE)).features)
    assert "code_work" not in dict(scorer.assess(ask("Say hello to the new colleagues,\nand be brief.")).features)


def test_free_text_reaches_every_band(scorer: Scorer) -> None:
    texts = (
        "Summarize this email in two sentences.",
        "Write a haiku about rain.",
        "Refactor the payment module into async code, keep the API, fix the race in the retry queue and add tests.",
    )
    assert [scorer.assess(ask(text)).band for text in texts] == ["easy", "medium", "hard"]


@pytest.mark.parametrize("name", bench.ODD)
def test_odd_input_is_judged_within_five_milliseconds(scorer: Scorer, name: str) -> None:
    text = bench.ODD[name]
    seen = scorer.assess(ask(text))
    assert 0 <= seen.difficulty <= 1
    assert bench.timed(lambda fresh: scorer.assess(ask(fresh)), text, 5)[0] < 5_000 * slowness()


@pytest.mark.parametrize("text", [bench.PROMPT, bench.QUESTION, bench.CODE])
def test_saying_it_is_trivial_or_stuffing_keywords_moves_little(scorer: Scorer, text: str) -> None:
    plain = scorer.assess(ask(text)).difficulty
    assert scorer.assess(ask(TRIVIAL + text)).difficulty == pytest.approx(plain, abs=0.2)
    assert scorer.assess(ask(STUFFING + "\n" + text)).difficulty == pytest.approx(plain, abs=0.25)


def test_an_empty_request_is_medium_and_says_it_knows_nothing(scorer: Scorer) -> None:
    for body in ({}, {"messages": []}, ask(""), ask("🙂"), None, 3, [1]):
        seen = scorer.assess(body)
        assert seen.band == "medium"
        assert seen.confidence < 0.3


def test_what_spoke_is_named_and_strongest_first(scorer: Scorer) -> None:
    spoke = scorer.assess(ask(bench.PROMPT)).features
    sizes = [abs(value) for _, value in spoke]
    assert sizes == sorted(sizes, reverse=True)
    assert {"stem_length", "topic"} & {name for name, _ in spoke}


def test_many_and_long_messages_cost_no_more_than_their_tail(scorer: Scorer) -> None:
    turn = [{"role": "user", "content": bench.PROMPT * 8}, {"role": "assistant", "content": bench.PROMPT * 8}]
    body = {"messages": turn * 2_000 + [{"role": "user", "content": "go on"}]}
    assert bench.timed(lambda _: scorer.assess(body), "", 5)[0] < 5_000 * slowness()


def test_threads_share_a_scorer_and_kept_readings_change_nothing(scorer: Scorer) -> None:
    texts = [f"{number} times {number + 3} is what, and why?" for number in range(600)]
    first = [Scorer.load().raw(text) for text in texts[:3]]
    with ThreadPoolExecutor(8) as threads:
        runs = list(threads.map(lambda _: [scorer.raw(text) for text in texts], range(8)))
    assert all(run == runs[0] for run in runs)
    assert runs[0][:3] == first


@pytest.mark.performance
@pytest.mark.parametrize("text", [bench.PROMPT, bench.QUESTION, bench.CODE], ids=["problem", "options", "code"])
def test_a_prompt_of_600_bytes_takes_tens_of_microseconds(scorer: Scorer, text: str) -> None:
    texts = [f"{number:05d} {text}" for number in range(1_000)]
    best_us = [float("inf")] * len(texts)
    # Of ten rounds the quickest of each text: an interruption by neighbours is not the scorer's fault, a text that
    # takes long every time is. It remembers far fewer texts than there are in a round.
    for _ in range(10):
        slow = slowness()
        for number, fresh in enumerate(texts):
            began = time.thread_time_ns()
            scorer.raw(fresh)
            best_us[number] = min(best_us[number], (time.thread_time_ns() - began) / 1_000 / slow)
    best_us.sort()
    # The promise is 60 and 150 on a quiet core; caches shared with busy neighbours cost half as much again.
    assert best_us[500] < 90
    assert best_us[990] < 150
