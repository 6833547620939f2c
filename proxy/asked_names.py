"""Names that clients ask for by habit, and the profile each stands for where no such model can be called.

Rows of `asked_names.toml` and finding the row of a name belong here. Which names are models is the publication's to
say (`snapshot.py`): one that is known and can be called here means that model, unless a row says that it shadows it.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path

SHIPPED = Path(__file__).with_suffix(".toml")
VARIABLE = "ORCHESTRATOR_ASKED_NAMES"

_FIELDS = {"pattern", "profile", "shadows"}
_KEPT = 2_048


class AskedNamesError(ValueError):
    """The file cannot be used. The text names file, row and mend."""


@dataclass(frozen=True, slots=True)
class Row:
    """One pattern."""

    pattern: re.Pattern[str]
    profile: str
    shadows: bool
    """Whether it wins over a model of that name that can be called."""


class AskedNames:
    """The rows in order, and what was found before."""

    def __init__(self, rows: tuple[Row, ...] = ()) -> None:
        self._rows = rows
        self._found: dict[str, Row | None] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def profile(self, name: str, *, is_callable: bool) -> str | None:
        """The profile that answers for a name; None when the name means what it says.

        `is_callable`: a model of that name is published and can be called here.
        """
        if not self._rows:
            return None
        if name in self._found:
            row = self._found[name]
        else:
            row = next((row for row in self._rows if row.pattern.match(name.lower())), None)
            if len(self._found) >= _KEPT:
                self._found.clear()
            self._found[name] = row
        if row is None or (is_callable and not row.shadows):
            return None
        return row.profile

    def unknown_profiles(self, profiles: Mapping[str, object]) -> list[str]:
        """Profiles that rows name and nobody publishes."""
        return sorted({row.profile for row in self._rows} - set(profiles))


def load(environment: Mapping[str, str] | None = None) -> AskedNames:
    """The rows of the file that ORCHESTRATOR_ASKED_NAMES names, else of the shipped one; none when it says `off`.

    Raises `AskedNamesError` when the file is missing or a row is not understood.
    """
    env = os.environ if environment is None else environment
    named = (env.get(VARIABLE) or "").strip()
    if named.lower() == "off":
        return AskedNames()
    return AskedNames(read(Path(named).expanduser() if named else SHIPPED))


def read(path: Path) -> tuple[Row, ...]:
    """The rows of one file. Raises `AskedNamesError`."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AskedNamesError(f"{VARIABLE} names {path}, which cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AskedNamesError(f"{path} is not valid TOML: {error}.") from error
    rows = content.get("names", [])
    if set(content) - {"names"} or not isinstance(rows, list):
        raise AskedNamesError(f"{path}: expected rows under [[names]] and nothing else.")
    return tuple(_row(f"{path}, row {number}", row) for number, row in enumerate(rows, 1))


def _row(where: str, row: object) -> Row:
    if not isinstance(row, dict) or set(row) - _FIELDS:
        raise AskedNamesError(f"{where}: a row has {', '.join(sorted(_FIELDS))} and nothing else.")
    for field in ("pattern", "profile"):
        if not isinstance(row.get(field), str) or not row[field]:
            raise AskedNamesError(f"{where}: {field} must be a string.")
    if not isinstance(row.get("shadows", False), bool):
        raise AskedNamesError(f"{where}: shadows must be true or false.")
    return Row(re.compile(translate(row["pattern"].lower())), row["profile"].lower(), row.get("shadows", False))
