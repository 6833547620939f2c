"""A profile is a file a user writes by hand, so every way to get it wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.rankings.profile import SHIPPED, ProfileError, load, read

GOOD = 'description = "Mine."\n[weights]\nquality = 0.5\nlatency = 0.25\ncost = 0.25\n'


def test_shipped_weights_are_the_documented_ones() -> None:
    weights = {p.name: tuple(p.weights.values()) for p in load()}

    assert weights == {
        "quality": (0.8, 0.1, 0.1, 0.0),
        "balanced": (0.4, 0.3, 0.3, 0.0),
        "speed": (0.1, 0.7, 0.2, 0.0),
        "budget": (0.1, 0.1, 0.8, 0.0),
        "long_context": (0.3, 0.2, 0.2, 0.3),
    }
    assert [p.name for p in load() if p.is_default] == ["balanced"]


def test_a_dropped_in_file_is_a_profile(tmp_path: Path) -> None:
    (tmp_path / "sixth.toml").write_text(GOOD)

    assert "sixth" in {p.name for p in load([SHIPPED, tmp_path])}


def test_a_file_of_a_shipped_name_replaces_it(tmp_path: Path) -> None:
    (tmp_path / "speed.toml").write_text(GOOD)

    assert {p.name: p for p in load([SHIPPED, tmp_path])}["speed"].weights["quality"] == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("0.5", "0.6"), "add up to 1.1"),
        (GOOD.replace("quality = 0.5", "quality = -0.5"), "weight quality must be a number from 0 to 1"),
        (GOOD.replace("quality = 0.5", "quality = nan"), "weight quality must be a number from 0 to 1"),
        (GOOD.replace("quality = 0.5", "quality = true"), "weight quality must be a number from 0 to 1"),
        (GOOD.replace("latency", "latncy"), "unknown weight latncy"),
        (GOOD.replace("description", "descripton"), "unknown descripton"),
        ("[weights]\nquality = 1.0\n", "description must be one sentence"),
        ('description = "x"\n', r"add a \[weights\] table"),
        (f"caution = 9\n{GOOD}", "caution must be"),
        (f"wrong_answer_usd = -1\n{GOOD}", "wrong_answer_usd must be"),
        (f"soon_enough_s = 0.1\n{GOOD}", "soon_enough_s must be"),
        (f"cheap_enough_usd = 2\n{GOOD}", "cheap_enough_usd must be"),
        ("weights = [", "not valid TOML"),
    ],
)
def test_a_faulty_file_is_named_with_its_fault(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)

    with pytest.raises(ProfileError, match=said) as caught:
        read(file)

    assert str(file) in str(caught.value)


def test_a_name_that_could_not_stand_in_auto_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "My Profile.toml"
    file.write_text(GOOD)

    with pytest.raises(ProfileError, match="lower-case"):
        read(file)


def test_two_defaults_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(f"is_default = true\n{GOOD}")

    with pytest.raises(ProfileError, match="found balanced, mine"):
        load([SHIPPED, tmp_path])


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="not a directory"):
        load([tmp_path / "none"])
