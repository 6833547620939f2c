"""Keys that clients call with, beyond the one of `ORCHESTRATOR_API_KEY`: who may ask for what, how much, how fast.

Rows of `keys.toml` (its path in ORCHESTRATOR_KEYS), their checks, and finding the row of a key belong here. Counting
against the limits does not (`budgets.py`), nor do HTTP headers (`gate.py`).

    python -m proxy.keys new alice        makes a key, prints it once, and appends its row to the file

Only the SHA-256 of a key is kept. That is enough for a key of 256 random bits: there is nothing to guess, so a slow
hash would only cost time on every call, and the look-up by hash tells an attacker who times it nothing.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import os
import re
import secrets
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from warehouse import environment as dotenv

PREFIX = "sk-orc-"
"""What our keys begin with. `sk-`, because some clients refuse what does not."""

VARIABLE = "ORCHESTRATOR_KEYS"


class KeysError(ValueError):
    """The keys file cannot be used. The text names file, row and mend, and never a key."""


@dataclass(frozen=True, slots=True)
class Key:
    """One row: a name, a hash, and what it allows. None sets no limit."""

    name: str
    sha256: str
    enabled: bool = True
    is_operator: bool = False
    """May change the state of breakers and see every key's decisions."""
    profiles: tuple[str, ...] | None = None
    """Profiles that may be asked for; the first is its default. None allows all."""
    models: tuple[str, ...] | None = None
    """Patterns such as `openai/*` of models that may answer. None allows all."""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    budget_usd_per_day: float | None = None
    budget_usd_per_month: float | None = None
    expires_on: dt.date | None = None
    """Last day it is good for, in UTC."""

    @property
    def is_limited(self) -> bool:
        """Whether anything about it must be counted."""
        return (
            self.budget_usd_per_day is not None
            or self.budget_usd_per_month is not None
            or self.requests_per_minute is not None
            or self.tokens_per_minute is not None
            or self.concurrency is not None
        )

    @property
    def has_budget(self) -> bool:
        """Whether money is counted."""
        return self.budget_usd_per_day is not None or self.budget_usd_per_month is not None

    def problem(self, today: dt.date) -> str | None:
        """Why it opens nothing today; None when it is good."""
        if not self.enabled:
            return "the key has been switched off"
        if self.expires_on is not None and today > self.expires_on:
            return f"the key ended on {self.expires_on:%Y-%m-%d}"
        return None

    def allows_profile(self, profile: str) -> bool:
        """Whether the profile may be asked for."""
        return self.profiles is None or profile in self.profiles

    def allows_model(self, model_id: str) -> bool:
        """Whether the model may answer."""
        return self.models is None or any(fnmatchcase(model_id, pattern) for pattern in self.models)


class Keyring:
    """All keys of a file, found by the key itself."""

    def __init__(self, keys: Sequence[Key] = ()) -> None:
        self._by_hash = {key.sha256: key for key in keys}
        self._by_name = {key.name: key for key in keys}

    def __len__(self) -> int:
        return len(self._by_hash)

    @property
    def is_limited(self) -> bool:
        """Whether anything about any of them must be counted."""
        return any(key.is_limited for key in self._by_name.values())

    def find(self, token: str | bytes) -> Key | None:
        """The row of a key as a client sends it; None when there is none. Switched-off and ended ones are found too."""
        return self._by_hash.get(hash_of(token))

    def named(self, name: str) -> Key | None:
        """The row of that name."""
        return self._by_name.get(name)


def hash_of(token: str | bytes) -> str:
    """What is kept of a key."""
    return hashlib.sha256(token.encode() if isinstance(token, str) else token).hexdigest()


def load(environment: Mapping[str, str] | None = None) -> Keyring:
    """The keys of the file that ORCHESTRATOR_KEYS names; an empty ring when it names none.

    Raises `KeysError` when the file is missing or a row is not understood, so that a mistyped limit never means none.
    """
    env = os.environ if environment is None else environment
    named = (env.get(VARIABLE) or "").strip()
    return Keyring(read(Path(named).expanduser())) if named else Keyring()


def read(path: Path) -> tuple[Key, ...]:
    """The rows of one file. Raises `KeysError`."""
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise KeysError(f"{VARIABLE} names {path}, which does not exist.") from error
    except OSError as error:
        raise KeysError(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KeysError(f"{path} is not valid TOML: {error}.") from error
    keys = [_key(path, name, row) for name, row in rows.items()]
    seen: dict[str, str] = {}
    for key in keys:
        if key.sha256 in seen:
            raise KeysError(f"{path}: [{seen[key.sha256]}] and [{key.name}] have the same key.")
        seen[key.sha256] = key.name
    return tuple(keys)


_KINDS: Mapping[str, tuple[str, str]] = {
    "enabled": ("flag", "true or false"),
    "is_operator": ("flag", "true or false"),
    "profiles": ("names", "a list of at least one name"),
    "models": ("names", "a list of at least one pattern"),
    "requests_per_minute": ("count", "a whole number of at least 1"),
    "tokens_per_minute": ("count", "a whole number of at least 1"),
    "concurrency": ("count", "a whole number of at least 1"),
    "budget_usd_per_day": ("money", "an amount of US dollars, 0 or more"),
    "budget_usd_per_month": ("money", "an amount of US dollars, 0 or more"),
    "expires_on": ("date", "a date such as 2027-01-31, without quotes"),
}


def _key(path: Path, name: str, row: object) -> Key:
    where = f"{path}, [{name}]"
    if not isinstance(row, dict):
        raise KeysError(f"{where}: expected a table such as [{name}] with sha256.")
    known = {one.name for one in fields(Key)} - {"name"}
    unknown = sorted(set(row) - known)
    if unknown:
        raise KeysError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}.")
    digest = row.get("sha256")
    if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise KeysError(f"{where}: sha256 must be 64 hexadecimal digits. `python -m proxy.keys new NAME` makes them.")
    values: dict[str, Any] = {"name": name, "sha256": digest.lower()}
    for field, (kind, expected) in _KINDS.items():
        if field in row:
            if not _fits(row[field], kind):
                raise KeysError(f"{where}: {field} must be {expected}.")
            values[field] = tuple(row[field]) if kind == "names" else row[field]
    return Key(**values)


def _fits(value: object, kind: str) -> bool:
    if kind == "flag":
        return isinstance(value, bool)
    if kind == "names":
        return isinstance(value, list) and bool(value) and all(isinstance(one, str) and one for one in value)
    if kind == "count":
        return isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if kind == "money":
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12
    return isinstance(value, dt.date) and not isinstance(value, dt.datetime)


def make() -> str:
    """A new key: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def row_of(name: str, token: str) -> str:
    """The row to keep of a new key."""
    return f'[{name}]\nsha256 = "{hash_of(token)}"\n'


def append(path: Path, name: str, token: str) -> None:
    """Add the row of a new key to the file, which is made readable for its owner only where it does not exist.

    Raises `KeysError` when the name is taken or the file as it stands cannot be used.
    """
    if path.exists() and any(key.name == name for key in read(path)):
        raise KeysError(f"{path} has a key named {name} already; remove its row first.")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        file.write(("\n" if file.tell() else "") + row_of(name, token))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m proxy.keys", description="Keys that clients call with.")
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser("new", help="make a key, print it once, and keep its hash")
    new.add_argument("name", help="letters, digits, - and _")
    given = parser.parse_args(arguments)
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", given.name):
        print("A key's name has 1 to 64 letters, digits, - and _.", file=sys.stderr)
        return 2
    token = make()
    named = (os.environ.get(VARIABLE) or "").strip()
    if not named:
        print(f"Add this to the file that {VARIABLE} names:\n\n{row_of(given.name, token)}", file=sys.stderr)
    else:
        path = Path(named).expanduser()
        try:
            append(path, given.name, token)
        except (KeysError, OSError) as error:
            print(error, file=sys.stderr)
            return 1
        print(f"Added [{given.name}] to {path}; limits are fields of that row.", file=sys.stderr)
    print("The key, which is not shown again:", file=sys.stderr)
    print(token)
    return 0


if __name__ == "__main__":
    dotenv.load()
    sys.exit(main())
