"""Human decisions about pairs of records. They win over the exact join and over the model.

The decisions themselves are in `pins.toml`, each with its reason.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PINS_FILE = Path(__file__).parent / "pins.toml"

RecordRef = tuple[str, str]
"""Source and record id, as the source spells it."""


class PinError(ValueError):
    """`pins.toml` cannot be used. The text says which pin and what is missing."""


@dataclass(frozen=True)
class Pin:
    """Two records that are, or are not, one model."""

    left: RecordRef
    right: RecordRef
    same: bool
    reason: str


@dataclass(frozen=True)
class Pins:
    """All pins."""

    pins: tuple[Pin, ...] = ()

    def unknown(self, records: Iterable[RecordRef]) -> list[Pin]:
        """Pins that name a record no source has, of sources that have any."""
        known = set(records)
        sources = {source for source, _ in known}
        return [
            pin for pin in self.pins if any(end not in known and end[0] in sources for end in (pin.left, pin.right))
        ]


def load(path: Path = PINS_FILE) -> Pins:
    """Read pins: `[[same]]` and `[[different]]` tables with left, right ("source:record_id") and reason.

    Raises `PinError` for a pin without a reason or an end that names no source.
    """
    held = tomllib.loads(path.read_text(encoding="utf-8"))
    pins = []
    for verdict in ("same", "different"):
        for number, row in enumerate(held.get(verdict, ()), start=1):
            where = f"{path.name}: [[{verdict}]] number {number}"
            if not row.get("reason"):
                raise PinError(f"{where} has no reason.")
            pins.append(Pin(_end(row, "left", where), _end(row, "right", where), verdict == "same", row["reason"]))
    return Pins(tuple(pins))


def _end(row: dict[str, str], side: str, where: str) -> RecordRef:
    source, colon, record_id = row.get(side, "").partition(":")
    if not colon or not record_id:
        raise PinError(f'{where}: {side} must be "source:record_id", it is {row.get(side)!r}.')
    return source, record_id
