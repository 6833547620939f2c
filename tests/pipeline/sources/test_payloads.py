"""Where a payload comes from, in order, and what happens when it does not come."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.settings import Settings
from pipeline.sources.fetch import Fetcher
from pipeline.sources.openrouter import parse_models
from pipeline.sources.payloads import Held, PayloadStore, Search, dated
from pipeline.sources.source import FetchError, Payload, Web
from tests.pipeline.sources.conftest import NOW, FakeWeb, StoreMaker

URL = "https://source.example/models"
OTHER = "https://other.example/models"
DAY = dt.timedelta(days=1)

PAYLOAD = Payload(
    name="models",
    parse=parse_models,
    tables=("openrouter_listings",),
    addresses=(URL,),
    patterns=("openrouter/models-*.json",),
    at_least=2,
)


def catalogue(count: int, prompt: str = "0.000001") -> bytes:
    pricing = {"prompt": prompt, "completion": "0.000002"}
    return json.dumps({"data": [{"id": f"acme/m{n}", "pricing": pricing} for n in range(count)]}).encode()


def held(rows: int = 10, age: dt.timedelta = DAY) -> Held:
    return Held("live", NOW - age, NOW - age, rows)


Find = Callable[..., Search]


@pytest.fixture
def find(settings: Settings) -> Find:
    """Looks for a payload in a store."""

    def run(
        store: PayloadStore, payload: Payload = PAYLOAD, *, held: Held | None = None, now: dt.datetime = NOW
    ) -> Search:
        with store.web() as web:
            return store.find("openrouter", payload, settings=settings, held=held, wanted=[], web=web, now=now)

    return run


# --- live


def test_a_live_payload_is_used_and_kept(find: Find, store: StoreMaker) -> None:
    """With address, times and hash beside it, and nothing half-written left over."""
    made = store(FakeWeb({URL: catalogue(3)}))
    found = find(made).obtained
    folder = made.cache_path / "openrouter"
    note = json.loads((folder / "models.json").read_text())

    assert found is not None
    assert (found.origin, found.reference, found.parsed.rows) == ("live", URL, 3)
    assert note == {
        "url": URL,
        "fetched_at": NOW.isoformat(),
        "observed_at": NOW.isoformat(),
        "sha256": found.sha256,
    }
    assert sorted(path.name for path in folder.iterdir()) == ["models.json", "models.payload"]


FAILURES: dict[str, httpx.Response | Exception] = {
    "HTML": httpx.Response(200, content=b"<!doctype html><p>Just a moment</p>"),
    "cut off": httpx.Response(200, content=catalogue(9)[:-20]),
    "empty": httpx.Response(200, content=b'{"data":[]}'),
    "'data'": httpx.Response(200, content=b'{"models":[{"id":"a/b"}]}'),
    "0 rows|rows cannot be read": httpx.Response(200, content=b'{"data":[{"slug":"a"},{"slug":"b"}]}'),
    "only 1 rows": httpx.Response(200, content=catalogue(1)),
    "so few are believed": httpx.Response(200, content=catalogue(4)),
    "status 500": httpx.Response(500),
    "status 429": httpx.Response(429),
    "status 403": httpx.Response(403),
    "ReadTimeout": httpx.ReadTimeout("slow"),
    "no connection": httpx.ConnectError("no route"),
}


class TransportStore(PayloadStore):
    """A store whose network is a transport."""

    _transport: Any = None

    @contextmanager
    def web(self) -> Iterator[Web]:
        with httpx.Client(transport=self._transport) as client:
            yield Fetcher(client, sleep=lambda seconds: None, random=lambda: 0.0)


@pytest.mark.parametrize("cause", FAILURES)
def test_whatever_goes_wrong_the_last_good_payload_stays(cause: str, find: Find, tmp_path: Path) -> None:
    """The reason is told, what is held stays in use, and the kept copy is not overwritten."""
    failure = FAILURES[cause]

    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(failure, Exception):
            raise failure
        return httpx.Response(failure.status_code, content=failure.content)

    made = TransportStore(cache=str(tmp_path))
    object.__setattr__(
        made, "_transport", httpx.MockTransport(lambda request: httpx.Response(200, content=catalogue(10)))
    )
    good = find(made, now=NOW - DAY).obtained
    object.__setattr__(made, "_transport", httpx.MockTransport(handle))
    search = find(made, held=held())
    rebuilt = find(made)

    assert good is not None
    assert search.obtained is None
    (problem,) = search.problems
    assert any(part in problem for part in cause.split("|"))
    assert problem.startswith(URL)
    if cause != "so few are believed":  # with nothing held there is nothing to shrink from
        assert rebuilt.obtained is not None
        assert (rebuilt.obtained.origin, rebuilt.obtained.sha256) == ("cache", good.sha256)
        assert rebuilt.obtained.observed_at == NOW - DAY


def test_a_listing_that_stays_small_is_believed_in_the_end(find: Find, store: StoreMaker) -> None:
    """A source may really shrink; two weeks tell."""
    made = store(FakeWeb({URL: catalogue(4)}))

    assert find(made, held=held(rows=10, age=13 * DAY)).obtained is None
    assert find(made, held=held(rows=10, age=15 * DAY)).obtained is not None


def test_a_second_address_is_asked_when_the_first_fails(find: Find, store: StoreMaker) -> None:
    """And the first one's failure is told all the same."""
    search = find(store(FakeWeb({OTHER: catalogue(3)})), replace(PAYLOAD, addresses=(URL, OTHER)))

    assert search.obtained is not None
    assert search.obtained.reference == OTHER
    assert search.problems == (f"{URL}: status 404",)


def test_an_undated_address_is_asked_only_while_nothing_is_held(find: Find, store: StoreMaker) -> None:
    """An old catalogue without a date must not replace newer ratings."""
    payload = replace(PAYLOAD, last_resort=OTHER)
    web = FakeWeb({OTHER: catalogue(3)})

    assert find(store(web), payload, held=held()).obtained is None
    assert OTHER not in web.asked
    assert find(store(web), payload).obtained is not None


def test_a_payload_that_needs_a_key_is_not_asked_for_without(find: Find, store: StoreMaker) -> None:
    """The reason is a note, not a problem."""
    web = FakeWeb({URL: catalogue(3)})
    search = find(store(web), replace(PAYLOAD, needs=lambda settings: "SOME_KEY is not set"))

    assert (search.obtained, search.problems, search.note) == (None, (), "SOME_KEY is not set")
    assert not web.asked


def test_a_parser_that_stumbles_costs_its_payload_only(find: Find, store: StoreMaker) -> None:
    """A shape nobody has seen is a problem of that payload, not of the run."""

    def stumble(body: bytes, sighting: Any) -> Any:
        raise KeyError("surprise")

    search = find(store(FakeWeb({URL: catalogue(3)})), replace(PAYLOAD, parse=stumble))

    assert search.obtained is None
    assert "KeyError" in search.problems[0]


# --- kept copies


def test_offline_asks_nobody_and_uses_the_kept_copy(find: Find, store: StoreMaker) -> None:
    """When it is newer than what is held; else that stays."""
    find(store(FakeWeb({URL: catalogue(3)})), now=NOW - DAY)
    web = FakeWeb({URL: catalogue(3)})
    offline = store(web, offline=True)
    fresh, stale = find(offline), find(offline, held=held(age=DAY / 2))

    assert not web.asked
    assert fresh.obtained is not None
    assert (fresh.obtained.origin, fresh.obtained.reference) == ("cache", URL)
    assert (stale.obtained, stale.problems, stale.note) == (None, (), "offline")


def test_a_copy_of_an_archive_is_not_fetched_again_for_a_while(find: Find, store: StoreMaker) -> None:
    """A board that has ended is asked for once a month."""
    payload = replace(PAYLOAD, cache_for=30 * DAY)
    web = FakeWeb({URL: catalogue(3)})
    find(store(web), payload, now=NOW - 40 * DAY)
    again = [find(store(web), payload, now=NOW - days * DAY).obtained for days in (30, 11, 9)]

    assert [found.origin for found in again if found] == ["cache", "cache", "live"]
    assert len(web.asked) == 2
    # What is held already is not read once more.
    assert find(store(web), payload, held=held(), now=NOW - 8 * DAY).obtained is None
    assert len(web.asked) == 2


@pytest.mark.parametrize("damage", ["body", "note", "half"])
def test_a_damaged_copy_is_told_and_left(damage: str, find: Find, store: StoreMaker) -> None:
    """Killed while writing, or changed by hand: never half a payload."""
    made = store(FakeWeb({URL: catalogue(3)}))
    find(made)
    folder = made.cache_path / "openrouter"
    if damage == "body":
        (folder / "models.payload").write_bytes(catalogue(4))
    elif damage == "note":
        (folder / "models.json").write_text("{")
    else:
        (folder / "models.payload").unlink()
    search = find(store(FakeWeb({}), offline=True))

    assert search.obtained is None
    assert bool(search.problems) is (damage != "half")


# --- a directory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory as `refresh --from` reads it, with catalogues of three days."""
    (tmp_path / "from/openrouter").mkdir(parents=True)
    for day, count in ((1, 3), (2, 4), (3, 5)):
        (tmp_path / f"from/openrouter/models-2026-07-0{day}.json").write_bytes(catalogue(count))
    return tmp_path / "from"


def test_the_newest_file_is_current_and_older_ones_are_history(find: Find, store: StoreMaker, folder: Path) -> None:
    """By the date in the name, without asking the network."""
    web = FakeWeb({URL: catalogue(9)})
    found = find(store(web, directory=str(folder))).obtained

    assert found is not None
    assert not web.asked
    assert (found.origin, found.reference) == ("directory", "openrouter/models-2026-07-03.json")
    assert (found.parsed.rows, found.observed_at) == (5, dt.datetime(2026, 7, 3))
    assert [parsed.rows for parsed in found.older] == [4, 3]


def test_a_bad_newest_file_gives_way_to_the_one_before(find: Find, store: StoreMaker, folder: Path) -> None:
    """And is named."""
    (folder / "openrouter/models-2026-07-03.json").write_bytes(b"<html>")
    search = find(store(directory=str(folder)))

    assert search.obtained is not None
    assert search.obtained.reference == "openrouter/models-2026-07-02.json"
    assert search.problems == ("openrouter/models-2026-07-03.json: an HTML page arrived instead of JSON",)


def test_an_undated_file_is_the_present_one(find: Find, store: StoreMaker, folder: Path) -> None:
    """`models-now.json` beside dated ones is today's."""
    (folder / "openrouter/models-now.json").write_bytes(catalogue(7))
    found = find(store(directory=str(folder))).obtained

    assert found is not None
    assert found.reference == "openrouter/models-now.json"
    assert len(found.older) == 3


def test_a_directory_without_the_file_changes_nothing(find: Find, store: StoreMaker, tmp_path: Path) -> None:
    """Optional sources may be left out."""
    web = FakeWeb({URL: catalogue(9)})
    search = find(store(web, directory=str(tmp_path)), held=held())

    assert (search.obtained, search.problems) == (None, ())
    assert not web.asked


@pytest.mark.parametrize(
    ("path", "start", "until"),
    [
        ("openrouter/models-2026-08-22.json", (2026, 8, 22), None),
        ("openrouter/models-2025-07-29-tools-only.json", (2025, 7, 29), None),
        ("openrouter/models-2026-02.json", (2026, 2, 1), (2026, 2, 28, 23, 59, 59)),
        ("openrouter/events-2026-05-27_2026-08-22.json", (2026, 8, 22), None),
        ("lmsys_arena/leaderboard-dataset-2026-08-22/text/latest-00000-of-00001.parquet", (2026, 8, 22), None),
        ("lmsys_arena/leaderboard-dataset-2026-08-22/text/history-2026-06-25_2026-08-19.parquet", (2026, 8, 19), None),
        ("openrouter/models-2026-02-31.json", None, None),
        ("openrouter/models.json", None, None),
    ],
)
def test_a_files_name_says_its_date(path: str, start: Any, until: Any) -> None:
    """The last date of the name, else of the nearest directory."""
    assert dated(Path(path)) == (start and dt.datetime(*start), until and dt.datetime(*until))


def test_a_local_server_is_asked_whatever_the_origin(find: Find, store: StoreMaker, tmp_path: Path) -> None:
    """Offline and with a directory, and its answer is not kept: only the server itself knows what it serves."""
    payload = replace(PAYLOAD, is_local=True, patterns=())
    for options in ({"offline": True}, {"directory": str(tmp_path)}):
        made = store(FakeWeb({URL: catalogue(3)}), **options)
        search = find(made, payload)
        assert search.obtained is not None
        assert search.obtained.origin == "live"
        assert not made.cache_path.exists()
    silent = find(store(FakeWeb({URL: FetchError("refused")}), offline=True), payload)

    assert (silent.obtained, silent.is_silent) == (None, True)


def test_many_failures_in_a_row_never_lose_the_copy(find: Find, store: StoreMaker) -> None:
    """A week of outage later, the last good payload is still the last good payload."""
    find(store(FakeWeb({URL: catalogue(3)})), now=NOW - 7 * DAY)
    rubbish = itertools.cycle([b"", b"<html>", catalogue(1), b"{}"])
    found = None
    for days, body in zip(range(6, -1, -1), rubbish, strict=False):
        found = find(store(FakeWeb({URL: body})), now=NOW - days * DAY).obtained

    assert found is not None
    assert (found.origin, found.observed_at, found.parsed.rows) == ("cache", NOW - 7 * DAY, 3)
