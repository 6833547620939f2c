"""Pins say what and why, or are refused with the place of the mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.entities import pins


def test_the_shipped_pins_can_be_read() -> None:
    """Each with a reason."""
    held = pins.load()

    assert held.pins
    assert all(pin.reason and pin.left != pin.right for pin in held.pins)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[same]]\nleft = "openrouter:a"\nright = "lmsys_arena:b"', "[[same]] number 1 has no reason"),
        ('[[different]]\nleft = "a"\nright = "lmsys_arena:b"\nreason = "r"', 'left must be "source:record_id"'),
    ],
)
def test_a_pin_that_cannot_be_used_says_which(tmp_path: Path, text: str, complaint: str) -> None:
    """Before anything is linked."""
    path = tmp_path / "pins.toml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(pins.PinError, match=r"pins\.toml") as raised:
        pins.load(path)

    assert complaint in str(raised.value)


def test_ids_with_colons_are_whole() -> None:
    """`openrouter:openai/o3:batch` names the batch offer."""
    assert pins._end({"left": "openrouter:openai/o3:batch"}, "left", "here") == ("openrouter", "openai/o3:batch")
