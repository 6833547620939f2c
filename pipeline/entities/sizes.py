"""How many parameters a model has where its name does not tell, or tells another number.

A mixture of experts is named after an expert, after what is active, or after nothing; the Hub counts what is stored,
packed weights included. What makers state is in `sizes.toml`; what a name states is read in `names.py`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SIZES_FILE = Path(__file__).parent / "sizes.toml"


@dataclass(frozen=True)
class Size:
    """Parameters in billions."""

    total_b: float
    active_b: float


@cache
def _sizes() -> tuple[tuple[re.Pattern[str], re.Pattern[str] | None, Size], ...]:
    found = tomllib.loads(SIZES_FILE.read_text(encoding="utf-8"))["size"]
    return tuple(
        (
            re.compile(entry["pattern"]),
            re.compile(entry["unless"]) if "unless" in entry else None,
            Size(float(entry["total"]), float(entry["active"])),
        )
        for entry in found
    )


def stated(names: Iterable[str]) -> Size | None:
    """What the makers state for the first of a model's names that the file knows; None where it knows none.

    >>> stated(["meta/llama-4-scout-17b-16e-instruct"]), stated(["deepseek-r1-distill-llama-70b"])
    (Size(total_b=109.0, active_b=17.0), None)
    """
    for name in names:
        plain = name.rsplit("/", 1)[-1].lower()
        for pattern, exception, size in _sizes():
            if pattern.search(plain) and not (exception and exception.search(plain)):
                return size
    return None
