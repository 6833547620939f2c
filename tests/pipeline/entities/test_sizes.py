"""How many parameters makers state."""

from __future__ import annotations

import pytest

from pipeline.entities.sizes import Size, stated


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("meta/llama-4-scout", Size(109, 17)),
        ("llama-4-maverick-17b-128e-instruct", Size(400, 17)),
        ("minimax/minimax-m1", Size(456, 45.9)),
        ("snowflake-arctic-instruct", Size(480, 17)),
        ("snowflake/snowflake-arctic-embed-l", None),
        ("mistral-large-2407", Size(123, 123)),
        ("mistral-large-2402", None),
        ("mistral/mistral-large-3", Size(675, 41)),
        ("deepseek-v3.2-exp", Size(671, 37)),
        ("deepseek-r1-0528", Size(671, 37)),
        ("deepseek-r1-0528-qwen3-8b", None),
        ("deepseek-r1-distill-llama-70b", None),
        ("deepseek-coder-v2-lite-instruct", None),
        ("command-r7b-12-2024", None),
        ("command-r-08-2024", Size(32, 32)),
        ("glm-4.6v", Size(106, 12)),
        ("glm-4.6v-flash", None),
        ("jamba-1.5-mini", Size(52, 12)),
        ("jamba-1.5-large", Size(398, 94)),
        ("ai21-jamba-mini-1.5", None),
        ("phi-3-mini-4k-instruct-june-2024", Size(3.8, 3.8)),
        ("phi-4-mini", None),
        ("gpt-5", None),
    ],
)
def test_a_size(name: str, size: Size | None) -> None:
    assert stated([name]) == size


def test_the_first_name_that_is_known_counts() -> None:
    assert stated(["acme/unknown", "LLAMA-4-Scout-17B-16E-Instruct"]) == Size(109, 17)
    assert stated([]) is None
