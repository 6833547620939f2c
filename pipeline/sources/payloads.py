"""Where a payload comes from: a directory of files, the network, or the copy kept from last time.

Decides the origin, reads with the payload's parser and keeps what was fetched once it has proved readable. What the
tables already hold, which begins as the bundled snapshot, is the last resort and belongs to `load.py`.
"""

from __future__ import annotations

import calendar
import datetime as dt
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg

from pipeline.settings import Settings
from pipeline.sources import fetch
from pipeline.sources.source import Answer, FetchError, Parsed, Payload, PayloadRefusedError, Sighting, Web
from warehouse.locations import locations

SHRUNKEN_BELOW = 0.5
"""A live payload with fewer rows than this share of those held is taken for a mishap of the source."""

SHRUNKEN_FOR = dt.timedelta(days=14)
"""After this long the smaller size is believed."""


@dataclass(frozen=True)
class Held:
    """What the tables hold of a payload already."""

    origin: str
    observed_at: dt.datetime
    loaded_at: dt.datetime
    rows: int


@dataclass(frozen=True)
class Obtained:
    """A payload that was found and read."""

    origin: str
    reference: str
    sha256: str
    parsed: Parsed
    observed_at: dt.datetime
    older: Sequence[Parsed] = ()
    """Readings of older payloads, for the history."""


@dataclass(frozen=True)
class Search:
    """How the search for a payload ended."""

    obtained: Obtained | None
    """None: what is held stays."""
    problems: tuple[str, ...] = ()
    """Why something newer could not be used."""
    note: str | None = None
    """Why nothing newer was looked for: no fault of anyone's."""
    is_silent: bool = False
    """A local server did not answer: nothing is there."""


class PayloadStore(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Finds payloads. Run configuration says whether to stay off the network or to read a directory."""

    offline: bool = False
    """Ask nobody but servers of the user's own."""
    directory: str = ""
    """Read payload files below this directory instead of the network; servers of the user's own are asked still."""
    cache: str = ""
    """Where fetched payloads are kept; the configured location when empty."""
    snapshot: str = ""
    """Bundled snapshot that empty tables begin with: the shipped one when empty, none at all for '-'."""

    @contextmanager
    def web(self) -> Iterator[Web]:
        """The network. Tests override this one method."""
        with fetch.open_fetcher() as fetcher:
            yield fetcher

    @property
    def cache_path(self) -> Path:
        """Directory of kept payloads."""
        return Path(self.cache) if self.cache else locations().payload_cache

    def find(
        self,
        source: str,
        payload: Payload,
        *,
        settings: Settings,
        held: Held | None,
        wanted: Sequence[tuple[Any, ...]],
        web: Web,
        now: dt.datetime,
    ) -> Search:
        """The best there is of `payload`: from the directory, live, or kept from last time.

        Never raises for a payload's faults: they are the search's `problems`.
        """
        problems: list[str] = []
        if self.directory and self._files(payload):
            return Search(self._of_directory(payload, now, problems), tuple(problems))
        if self.directory and not payload.is_local:
            return Search(None, note=f"no such file below {self.directory}")
        note = "offline" if self.offline else None
        if (payload.addresses or payload.collect) and (payload.is_local or not self.offline):
            note = payload.needs(settings)
            if note is None:
                if payload.cache_for and self._age_of_copy(source, payload, now) < payload.cache_for:
                    return Search(self._of_cache(source, payload, held, now, problems), tuple(problems))
                obtained = self._live(source, payload, settings, held, wanted, web, now, problems)
                if obtained is not None:
                    return Search(obtained, tuple(problems))
                if payload.is_local:
                    return Search(None, note=problems[-1], is_silent=True)
        return Search(self._of_cache(source, payload, held, now, problems), tuple(problems), note=note)

    # --- directory

    def _files(self, payload: Payload) -> list[Path]:
        root = Path(self.directory)
        # A file without a date in its name is the present one; dated ones lie beside it for the history.
        return sorted(
            files(payload, root),
            key=lambda path: (dated(path.relative_to(root))[0] or dt.datetime.max, str(path)),
            reverse=True,
        )

    def _of_directory(self, payload: Payload, now: dt.datetime, problems: list[str]) -> Obtained | None:
        root = Path(self.directory)
        current: Obtained | None = None
        older: list[Parsed] = []
        for path in self._files(payload):
            name = str(path.relative_to(root))
            try:
                body, parsed = read_file(payload, path, root, now, is_current=current is None)
            except (PayloadRefusedError, OSError) as error:
                problems.append(f"{name}: {error}")
                continue
            if current is None:
                at = parsed.observed_at or _seen(path, root, now)[0]
                current = Obtained("directory", name, _sha256(body), parsed, at)
            else:
                older.append(parsed)
        if current is None:
            return None
        return replace(current, older=older)

    # --- network

    def _live(
        self,
        source: str,
        payload: Payload,
        settings: Settings,
        held: Held | None,
        wanted: Sequence[tuple[Any, ...]],
        web: Web,
        now: dt.datetime,
        problems: list[str],
    ) -> Obtained | None:
        for ask, reference in _asks(payload, settings, wanted, is_empty=held is None):
            try:
                answer = ask(web)
                sighting = Sighting(observed_at=now, now=now, scope=payload.name)
                parsed = _checked(payload, answer.body, sighting)
                _refuse_shrunken(payload, parsed, held, now)
            except (FetchError, PayloadRefusedError) as error:
                told = str(error)
                problems.append(told if told.startswith(reference) else f"{reference}: {told}")
                continue
            sha256 = _sha256(answer.body)
            observed_at = parsed.observed_at or now
            if not payload.is_local:
                self._keep(source, payload, answer.body, reference, now, observed_at, sha256)
            return Obtained("live", reference, sha256, parsed, observed_at)
        return None

    # --- kept copies

    def _paths(self, source: str, payload: Payload) -> tuple[Path, Path]:
        folder = self.cache_path / source
        return folder / f"{payload.name}.payload", folder / f"{payload.name}.json"

    def _keep(
        self,
        source: str,
        payload: Payload,
        body: bytes,
        url: str,
        now: dt.datetime,
        observed_at: dt.datetime,
        sha256: str,
    ) -> None:
        body_path, note_path = self._paths(source, payload)
        note = {"url": url, "fetched_at": now.isoformat(), "observed_at": observed_at.isoformat(), "sha256": sha256}
        _write(body_path, body)
        _write(note_path, json.dumps(note, indent=1).encode())

    def _age_of_copy(self, source: str, payload: Payload, now: dt.datetime) -> dt.timedelta:
        try:
            note = json.loads(self._paths(source, payload)[1].read_bytes())
            return now - dt.datetime.fromisoformat(note["fetched_at"])
        except (OSError, ValueError, KeyError, TypeError):
            return dt.timedelta.max

    def _of_cache(
        self, source: str, payload: Payload, held: Held | None, now: dt.datetime, problems: list[str]
    ) -> Obtained | None:
        """The kept copy, where it is newer than what the tables hold."""
        body_path, note_path = self._paths(source, payload)
        try:
            note = json.loads(note_path.read_bytes())
            fetched_at, observed_at = (dt.datetime.fromisoformat(note[name]) for name in ("fetched_at", "observed_at"))
            sha256, url = note["sha256"], note["url"]
            if held is not None and observed_at <= held.observed_at:
                return None
            body = body_path.read_bytes()
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            problems.append(f"the kept copy of {payload.name} cannot be read: {error}")
            return None
        if _sha256(body) != sha256:
            # Killed between the two files, or changed by hand.
            problems.append(f"the kept copy of {payload.name} is not the one its note describes")
            return None
        try:
            parsed = _checked(payload, body, Sighting(observed_at=fetched_at, now=now, scope=payload.name))
        except PayloadRefusedError as error:
            problems.append(f"the kept copy of {payload.name}: {error}")
            return None
        return Obtained("cache", url, sha256, parsed, parsed.observed_at or fetched_at)


def _asks(
    payload: Payload, settings: Settings, wanted: Sequence[tuple[Any, ...]], *, is_empty: bool
) -> Iterator[tuple[Callable[[Web], Answer], str]]:
    """What to ask the network for, in order, each with its address for people."""
    if payload.collect is not None:
        collect, reference = payload.collect, payload.collected_from
        yield (lambda web: Answer(reference, collect(web, wanted, settings))), reference
    for url in payload.addresses:
        yield (lambda web, url=url: web.get(url, payload.headers(settings))), url  # type: ignore[misc]
    if payload.last_resort is not None and is_empty:
        url = payload.last_resort
        yield (lambda web: web.get(url)), url


def _checked(payload: Payload, body: bytes, sighting: Sighting) -> Parsed:
    """The payload read, and large enough to be one. Raises `PayloadRefusedError`."""
    try:
        return payload.parse(body, sighting)
    except PayloadRefusedError:
        raise
    except Exception as error:
        # A parser that stumbles met a shape nobody has seen: that costs this payload, not the run.
        raise PayloadRefusedError(f"cannot be read: {type(error).__name__}: {str(error)[:200]}") from error


def _refuse_shrunken(payload: Payload, parsed: Parsed, held: Held | None, now: dt.datetime) -> None:
    if parsed.rows < payload.at_least:
        raise PayloadRefusedError(f"only {parsed.rows} rows; a whole listing has at least {payload.at_least}")
    if held is None or payload.is_local or now - held.observed_at > SHRUNKEN_FOR:
        return
    if parsed.rows < SHRUNKEN_BELOW * held.rows:
        raise PayloadRefusedError(
            f"{parsed.rows} rows where {held.rows} are held from {held.observed_at:%Y-%m-%d}; "
            f"so few are believed {SHRUNKEN_FOR.days} days after that"
        )


def files(payload: Payload, root: Path) -> set[Path]:
    """Files below `root` that hold `payload`, at any date."""
    return {path for pattern in payload.patterns for path in root.glob(pattern) if path.is_file()}


def read_file(payload: Payload, path: Path, root: Path, now: dt.datetime, *, is_current: bool) -> tuple[bytes, Parsed]:
    """A payload file below `root` and what it holds. Raises `PayloadRefusedError` and `OSError`."""
    start, until = _seen(path, root, now)
    sighting = Sighting(observed_at=start, now=now, observed_until=until, is_current=is_current, scope=payload.name)
    body = path.read_bytes()
    return body, _checked(payload, body, sighting)


def _seen(path: Path, root: Path, now: dt.datetime) -> tuple[dt.datetime, dt.datetime | None]:
    """When a file was seen: the date of its name, else its own; and the end of a mere month."""
    start, until = dated(path.relative_to(root))
    modified = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).replace(tzinfo=None)
    return min(start or modified, now), until


def dated(path: Path) -> tuple[dt.datetime | None, dt.datetime | None]:
    """Date of a file from its name, else from the nearest directory that has one; and the end of a mere month."""
    for part in reversed(path.parts):
        for year, month, day in reversed(re.findall(r"(?<!\d)(20\d\d)-(\d\d)(?:-(\d\d))?(?!\d)", part)):
            try:
                if day:
                    return dt.datetime(int(year), int(month), int(day)), None
                last = calendar.monthrange(int(year), int(month))[1]
                return dt.datetime(int(year), int(month), 1), dt.datetime(int(year), int(month), last, 23, 59, 59)
            except ValueError:
                continue
    return None, None


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _write(path: Path, body: bytes) -> None:
    """Write whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    with staging.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    staging.replace(path)
