"""What the tests of the sources share: hand-made recordings, a database to fill, a network that answers as told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.resources import BuildDatabase
from pipeline.settings import Settings, load
from pipeline.sources.payloads import PayloadStore
from pipeline.sources.source import Answer, FetchError, Sighting, Web

SMALL = Path(__file__).resolve().parents[2] / "recordings"
"""Recordings written by hand, laid out as `refresh --from` reads them."""

NOW = dt.datetime(2026, 8, 3, 12)


class FakeWeb:
    """Answers from a table of address → body, or the failure to raise; remembers what was asked."""

    def __init__(self, answers: Mapping[str, bytes | FetchError]) -> None:
        self.answers = dict(answers)
        self.asked: list[str] = []

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        self.asked.append(url)
        answer = self.answers.get(url, FetchError(f"{url}: status 404"))
        if isinstance(answer, FetchError):
            raise answer
        return Answer(url, answer)

    def get_all(self, urls: Iterable[str], headers: Mapping[str, str] | None = None) -> list[Answer | FetchError]:
        found: list[Answer | FetchError] = []
        for url in urls:
            try:
                found.append(self.get(url))
            except FetchError as error:
                found.append(error)
        return found

    def post(self, url: str, body: bytes) -> Answer:
        del body
        return self.get(url)


class WiredStore(PayloadStore):
    """A payload store whose network is a `FakeWeb`."""

    _web: Any = None

    @contextmanager
    def web(self) -> Iterator[Web]:
        yield self._web


StoreMaker = Callable[..., WiredStore]


@pytest.fixture
def small() -> Callable[[str], bytes]:
    """Bytes of a small recording."""
    return lambda name: (SMALL / name).read_bytes()


@pytest.fixture
def sighting() -> Sighting:
    """A payload seen now."""
    return Sighting(observed_at=NOW, now=NOW)


@pytest.fixture
def settings() -> Settings:
    """Settings of an environment in which nothing is set."""
    return load({})


@pytest.fixture
def build(tmp_path: Path) -> BuildDatabase:
    """An empty build database."""
    return BuildDatabase(path=str(tmp_path / "build.duckdb"))


@pytest.fixture
def store(tmp_path: Path) -> StoreMaker:
    """Makes a store with a cache of its own and no bundled snapshot; `web` says what the network answers."""

    def make(web: FakeWeb | None = None, **settings: Any) -> WiredStore:
        made = WiredStore(**{"cache": str(tmp_path / "cache"), "snapshot": "-", **settings})
        object.__setattr__(made, "_web", web or FakeWeb({}))
        return made

    return make


@pytest.fixture
def query(build: BuildDatabase) -> Callable[..., list[tuple[Any, ...]]]:
    """Rows of a query on the build database."""

    def run(sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with build.writing() as connection:
            return connection.execute(sql, list(parameters)).fetchall()

    return run
