"""What names say of date and descent."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rankings import lineage


@pytest.mark.parametrize(
    ("name", "known", "guess", "expected"),
    [
        # A stated day stands where the name agrees with it or says nothing.
        ("mistral-large-2411", dt.date(2024, 11, 18), None, dt.date(2024, 11, 18)),
        ("claude-3-haiku", dt.date(2024, 3, 4), dt.date(2025, 12, 1), dt.date(2024, 3, 4)),
        # A snapshot's own date is later than the day its alias first came out.
        ("gpt-4-turbo-2024-04-09", dt.date(2023, 11, 6), None, dt.date(2024, 4, 9)),
        ("reka-core-20240904", None, dt.date(2025, 12, 1), dt.date(2024, 9, 4)),
        ("phi-3-mini-4k-instruct-june-2024", None, dt.date(2024, 4, 6), dt.date(2024, 6, 15)),
        ("amazon-nova-experimental-chat-26-02-10", None, None, dt.date(2026, 2, 15)),
        # Without a year: after the weights it was made from, else the one nearest to when it was seen.
        ("gpt-4-0613", None, dt.date(2024, 4, 6), dt.date(2023, 6, 13)),
        ("gpt-3.5-turbo-0125", None, dt.date(2024, 4, 6), dt.date(2024, 1, 25)),
        ("qwen-max-0919", None, dt.date(2024, 9, 24), dt.date(2024, 9, 19)),
        ("glm-4-0520", None, dt.date(2024, 4, 6), dt.date(2024, 5, 20)),
        ("amazon-nova-experimental-chat-10-20", None, dt.date(2025, 10, 1), dt.date(2025, 10, 20)),
        ("ernie-5.0-preview-1203", None, dt.date(2026, 1, 27), dt.date(2025, 12, 3)),
        # No date at all: that of its weights.
        ("vicuna-13b", None, dt.date(2024, 4, 6), dt.date(2023, 3, 30)),
        ("mercury", None, dt.date(2025, 10, 1), dt.date(2025, 10, 1)),
        # Sizes, versions and windows are no dates.
        ("mistral-small-3.2-24b-instruct", None, dt.date(2025, 6, 1), dt.date(2025, 6, 1)),
        ("hunyuan-standard-256k", None, dt.date(2024, 9, 24), dt.date(2024, 9, 24)),
    ],
)
def test_a_release_date(name: str, known: dt.date | None, guess: dt.date | None, expected: dt.date) -> None:
    assert lineage.released_on([name], known, guess) == expected


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("codellama-34b-instruct", "llama-2"),
        ("llama2-70b-steerlm-chat", "llama-2"),
        ("llama-13b", "llama-1"),
        ("nous-hermes-2-mixtral-8x7b-dpo", "mixtral"),
        ("gemma-2b-it", "gemma-1"),
        ("gemma-2-2b-it", "gemma-2"),
        ("dolphin-2.2.1-mistral-7b", "mistral-7b"),
        ("athene-v2-chat", "qwen-2.5"),
        ("gpt-5.6-luna", None),
    ],
)
def test_what_a_model_was_made_of(name: str, of: str | None) -> None:
    found = lineage.base([name])

    assert (found.of if found else None) == of


@given(st.text(max_size=40), st.none() | st.dates(), st.none() | st.dates())
def test_any_name_can_be_read(name: str, known: dt.date | None, guess: dt.date | None) -> None:
    lineage.line(name)
    lineage.generation(name)
    found = lineage.released_on([name], known, guess)

    assert found is not None or (known is None and guess is None)
