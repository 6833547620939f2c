"""Profiles: what a caller wants most, one TOML file each. A dropped-in file is a new profile.

Reading and checking them belongs here; what the weights do is `scoring.py`'s.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

SHIPPED = Path(__file__).parent / "profiles"

DIRECTORY_VARIABLE = "ORCHESTRATOR_PROFILES_DIR"
"""Names a directory of the user's own profiles; one with a shipped profile's name replaces it."""

WEIGHTS = ("quality", "latency", "cost", "context")

DEFAULT_CAUTION = 1.28
"""Nine times in ten a model is better than its estimate less so many standard deviations."""

FASTEST_S, SLOWEST_S = 0.7, 300.0
"""Times to a good answer: nobody notices less, nobody waits longer."""

CHEAPEST_USD, DEAREST_USD = 0.0001, 1.0
"""Costs of a good answer: ten thousand to the dollar, and one."""

MOST_PATIENT_S, MOST_GENEROUS_USD = 90.0, 0.3
"""What a profile may call enough for a medium call. A hard one's is three times that, and below the ends above."""

_FIELDS = {
    "description", "is_default", "caution", "wrong_answer_usd", "soon_enough_s", "cheap_enough_usd", "weights",
}  # fmt: skip

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class ProfileError(ValueError):
    """A profile cannot be used. The text names the file, what is wrong and how to mend it."""


@dataclass(frozen=True)
class Profile:
    """Weights that add up to one, and how strict to be about what is uncertain or wrong."""

    name: str
    description: str
    is_default: bool
    caution: float
    """Standard deviations that quality is lowered by before it counts: an uncertain model must be better to win."""
    weights: Mapping[str, float]
    """Of `WEIGHTS`, each 0 to 1."""
    wrong_answer_usd: float = 0.0
    """What a wrong answer costs beside its price: someone reads it, notices and asks again."""
    soon_enough_s: float = FASTEST_S
    """Less time than this to a good answer of medium difficulty is no better."""
    cheap_enough_usd: float = CHEAPEST_USD
    """Less than this for a good answer of medium difficulty is no better."""


def load(directories: Iterable[Path] = (SHIPPED,)) -> tuple[Profile, ...]:
    """All profiles of the directories, by name; a later directory's file replaces an earlier one's.

    Raises `ProfileError` when a file is not understood, there is none, or not exactly one is the default.
    """
    files: dict[str, Path] = {}
    for directory in directories:
        if not directory.is_dir():
            raise ProfileError(f"{DIRECTORY_VARIABLE} names {directory}, which is not a directory.")
        files |= {file.stem: file for file in sorted(directory.glob("*.toml"))}
    profiles = tuple(read(file) for _, file in sorted(files.items()))
    if not profiles:
        raise ProfileError("There are no profiles: each is a .toml file with a [weights] table.")
    defaults = [p.name for p in profiles if p.is_default]
    if len(defaults) != 1:
        found = ", ".join(defaults) if defaults else "none"
        raise ProfileError(f"Exactly one profile must say is_default = true; found {found}.")
    return profiles


def read(file: Path) -> Profile:
    """One profile. Raises `ProfileError`."""
    if not _NAME.fullmatch(file.stem):
        raise ProfileError(f"{file}: a profile's file name is lower-case letters, digits and underscores.")
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"{file} is not valid TOML: {error}.") from error
    unknown = sorted(set(content) - _FIELDS)
    if unknown:
        raise ProfileError(f"{file}: unknown {', '.join(unknown)}; known are {', '.join(sorted(_FIELDS))}.")
    description = content.get("description")
    if not isinstance(description, str) or not description.strip():
        raise ProfileError(f"{file}: description must be one sentence for people.")
    is_default = content.get("is_default", False)
    if not isinstance(is_default, bool):
        raise ProfileError(f"{file}: is_default must be true or false.")
    caution = _number(content.get("caution", DEFAULT_CAUTION))
    if caution is None or not 0 <= caution <= 4:
        raise ProfileError(f"{file}: caution must be a number of standard deviations from 0 to 4.")
    wrong_answer_usd = _number(content.get("wrong_answer_usd", 0.0))
    if wrong_answer_usd is None or wrong_answer_usd < 0:
        raise ProfileError(f"{file}: wrong_answer_usd must be a number of US dollars from 0.")
    soon_enough_s = _number(content.get("soon_enough_s", FASTEST_S))
    if soon_enough_s is None or not FASTEST_S <= soon_enough_s <= MOST_PATIENT_S:
        raise ProfileError(
            f"{file}: soon_enough_s must be a number of seconds from {FASTEST_S:g} to {MOST_PATIENT_S:g}."
        )
    cheap_enough_usd = _number(content.get("cheap_enough_usd", CHEAPEST_USD))
    if cheap_enough_usd is None or not CHEAPEST_USD <= cheap_enough_usd <= MOST_GENEROUS_USD:
        raise ProfileError(
            f"{file}: cheap_enough_usd must be a number of US dollars from {CHEAPEST_USD:g} to {MOST_GENEROUS_USD:g}."
        )
    return Profile(
        file.stem,
        description.strip(),
        is_default,
        caution,
        _weights(file, content.get("weights")),
        wrong_answer_usd,
        soon_enough_s,
        cheap_enough_usd,
    )


def _weights(file: Path, given: object) -> dict[str, float]:
    if not isinstance(given, dict):
        raise ProfileError(f"{file}: add a [weights] table with {', '.join(WEIGHTS)}.")
    unknown = sorted(set(given) - set(WEIGHTS))
    if unknown:
        raise ProfileError(f"{file}: unknown weight {', '.join(unknown)}; known are {', '.join(WEIGHTS)}.")
    weights = {}
    for name in WEIGHTS:
        weight = _number(given.get(name, 0.0))
        if weight is None or not 0 <= weight <= 1:
            raise ProfileError(f"{file}: weight {name} must be a number from 0 to 1.")
        weights[name] = weight
    total = sum(weights.values())
    if abs(total - 1.0) > 1e-6:
        raise ProfileError(f"{file}: weights add up to {total:g}; they must add up to 1.")
    return weights


def _number(value: object) -> float | None:
    # TOML has inf and nan, and Python counts true as 1.
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) == float("inf"):
        return None
    return float(value)
