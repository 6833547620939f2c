"""What a model's name says of where it comes from: the weights it was made of, its line and generation, its date.

Pure. Families of weights are kept in `lineage.toml`. Which vendor a name belongs to, and which names are one model, is
decided in `pipeline/entities`.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FAMILIES_FILE = Path(__file__).parent / "lineage.toml"

_AT_ODDS = dt.timedelta(days=91)
"""How far a date must lie from the one in the name before the name is believed: names carry the snapshot's own."""

_FIRST_YEAR, _LAST_YEAR = 2023, 2039

_MAKERS = frozenset({"amazon", "ibm", "nvidia", "microsoft", "meta", "c", "mai"})
"""Makers that put their own name before the line's."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "june?", "july?", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True)
class Base:
    """A family of weights that others are made of."""

    of: str
    released_on: dt.date


@cache
def _families() -> tuple[tuple[re.Pattern[str], Base], ...]:
    found = tomllib.loads(FAMILIES_FILE.read_text(encoding="utf-8"))["base"]
    return tuple((re.compile(entry["pattern"]), Base(entry["of"], entry["released"])) for entry in found)


def base(names: Iterable[str]) -> Base | None:
    """The weights that a model was made from, as the first telling of its names says.

    >>> base(["vicuna-13b"]).of, base(["llama-3.1-nemotron-70b-instruct"]).of, base(["claude-opus-5"])
    ('llama-1', 'llama-3', None)
    """
    for name in names:
        for pattern, family in _families():
            if pattern.search(name.lower()):
                return family
    return None


def line(model_id: str) -> str | None:
    """The first word of a model's name, which its maker keeps from generation to generation.

    >>> line("qwen/qwen3-next-80b-a3b-instruct"), line("amazon/amazon-nova-pro-v1")
    ('qwen', 'nova')
    """
    words = re.findall(r"[a-z]+", model_id.rsplit("/", 1)[-1].lower())
    return next((word for word in words if word not in _MAKERS), words[0] if words else None)


def generation(model_id: str) -> str | None:
    """Line and version: what a model shares with its siblings of other sizes and tunings.

    >>> generation("qwen/qwen3-next-80b-a3b-instruct"), generation("mistral/mistral-large")
    ('qwen 3', None)
    """
    word, name = line(model_id), model_id.rsplit("/", 1)[-1].lower()
    found = re.search(rf"{word}[-a-z]*?-?v?(\d+(?:\.\d+)?)(?![\db])", name) if word else None
    return f"{word} {found[1]}" if found else None


def released_on(names: Iterable[str], known: dt.date | None, guess: dt.date | None) -> dt.date | None:
    """The day a model came out: as it is known, unless its names carry a date of another season.

    `known` is a stated day, `guess` what first sightings suggest. A date without a year is the first such day after the
    weights it was made from, else the one nearest to `guess`; a name without any leaves those weights' own day.
    """
    spellings = sorted({name.lower() for name in names})
    dated = [day for name in spellings if (day := _whole_date(name)) is not None]
    if dated and (known is None or abs(min(dated) - known) > _AT_ODDS):
        return min(dated)
    if known is not None:
        return known
    made_of = base(spellings)
    for month, day_of_month in filter(None, map(_day_of_year, spellings)):
        years = [dt.date(year, month, day_of_month) for year in range(_FIRST_YEAR, _LAST_YEAR)]
        if made_of is not None:
            return next(d for d in years if d >= made_of.released_on - dt.timedelta(days=14))
        if guess is not None:
            return min(years, key=lambda day: abs(day - guess))
    return made_of.released_on if made_of is not None else guess


def _whole_date(name: str) -> dt.date | None:
    """A date with its year: 2024-04-09, 20240409, 2411, june-2024."""
    if found := re.search(r"(?<!\d)(20[23]\d)[-_]?(0[1-9]|1[0-2])[-_]?(0[1-9]|[12]\d|3[01])(?!\d)", name):
        return _day(int(found[1]), int(found[2]), int(found[3]))
    if found := re.search(r"(?<![\d.])(2[3-9])-?(0[1-9]|1[0-2])(?!\d)", name):
        return _day(2000 + int(found[1]), int(found[2]), 15)
    if found := re.search(r"(?<![\d.])(0[1-9]|1[0-2])-(20[23]\d)(?!\d)", name):
        return _day(int(found[2]), int(found[1]), 15)
    for month, word in enumerate(_MONTHS, start=1):
        if found := re.search(rf"-{word}[a-z]*-(20)?(2[3-9])(?!\d)", name):
            return _day(2000 + int(found[2]), month, 15)
    return None


def _day_of_year(name: str) -> tuple[int, int] | None:
    """Month and day without a year: 0613, 02-24."""
    found = re.search(r"(?<![\d.])(0[1-9]|1[0-2])-?(0[1-9]|1\d|2[0-8])(?![\db])", name)
    return (int(found[1]), int(found[2])) if found else None


def _day(year: int, month: int, day: int) -> dt.date | None:
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None
