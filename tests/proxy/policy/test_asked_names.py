"""Names that clients ask for by habit."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy import asked_names
from proxy.asked_names import AskedNamesError


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("claude-haiku-4-5-20251001", "budget"),
        ("claude-3-5-haiku-latest", "budget"),
        ("anthropic/claude-haiku-9", "budget"),
        ("gpt-5-mini", "budget"),
        ("GPT-5-Nano-2025-08-07", "budget"),
        ("gpt-4.1-mini", "budget"),
        ("gemini-2.5-flash-lite", "budget"),
        ("claude-opus-9-20280101", "quality"),
        ("gpt-5.9-pro", "quality"),
        ("gpt-5.1-codex-max", "quality"),
        ("gemini-9-pro-preview", "quality"),
        ("claude-sonnet-4-5-20250929", "balanced"),
        ("gpt-5", "balanced"),
        ("codex-mini-latest", "balanced"),
        ("o3", "balanced"),
        ("o4-mini", "balanced"),
        ("llama3.1:8b", None),
        ("ollama-model", None),
        ("", None),
    ],
)
def test_what_agents_ask_for_gets_a_profile_where_it_cannot_be_called(name: str, profile: str | None) -> None:
    """By the shipped rows."""
    names = asked_names.load({})

    assert names.profile(name, is_callable=False) == profile
    assert names.profile(name, is_callable=False) == profile


def test_a_model_that_can_be_called_is_what_its_name_says() -> None:
    """Whoever asks for Opus and can have it gets it."""
    assert asked_names.load({}).profile("claude-opus-4-5", is_callable=True) is None


def test_a_file_of_ones_own_takes_the_place_and_may_shadow(tmp_path: Path) -> None:
    """To save money on an agent whose settings cannot be changed."""
    file = tmp_path / "names.toml"
    file.write_text('[[names]]\npattern = "claude-opus-*"\nprofile = "Budget"\nshadows = true\n')
    names = asked_names.load({"ORCHESTRATOR_ASKED_NAMES": str(file)})

    assert names.profile("claude-opus-4-5", is_callable=True) == "budget"
    assert names.profile("claude-haiku-4-5", is_callable=False) is None
    assert names.unknown_profiles({"balanced": 1}) == ["budget"]
    assert names.unknown_profiles({"budget": 1}) == []


def test_it_can_be_switched_off() -> None:
    """Then a name is a model or an error."""
    names = asked_names.load({"ORCHESTRATOR_ASKED_NAMES": "off"})

    assert len(names) == 0
    assert names.profile("claude-haiku-4-5", is_callable=False) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[names]]\npattern = 3\nprofile = 'x'", "row 1: pattern must be a string"),
        ("[[names]]\npattern = 'a'", "row 1: profile must be a string"),
        ("[[names]]\npattern = 'a'\nprofile = 'x'\nshadows = 1", "shadows must be true or false"),
        ("[[names]]\npattern = 'a'\nprofil = 'x'", "a row has pattern, profile, shadows and nothing else"),
        ("[names]\na = 'x'", r"expected rows under \[\[names\]\]"),
        ("aliases = 1", r"expected rows under \[\[names\]\]"),
        ("[[", "is not valid TOML"),
    ],
)
def test_a_row_that_is_not_understood_is_named(tmp_path: Path, text: str, expected: str) -> None:
    """With its number."""
    file = tmp_path / "names.toml"
    file.write_text(text)

    with pytest.raises(AskedNamesError, match=expected):
        asked_names.read(file)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    """Not taken for none."""
    with pytest.raises(AskedNamesError, match="cannot be read"):
        asked_names.load({"ORCHESTRATOR_ASKED_NAMES": str(tmp_path / "none.toml")})


def test_a_thousand_different_names_fill_nothing() -> None:
    """What was found before is kept within a bound."""
    names = asked_names.load({})
    for i in range(5_000):
        names.profile(f"model-{i}", is_callable=False)

    assert len(names._found) <= 2_048
