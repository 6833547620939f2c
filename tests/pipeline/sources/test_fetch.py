"""Fetching: bounded, patient, polite, and silent about keys."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from pipeline.sources.fetch import CONCURRENCY, Fetcher, Limits
from pipeline.sources.source import FetchError

URL = "https://source.example/list?token=signed"
KEY = {"Authorization": "Bearer very-secret-key", "x-api-key": "other-secret-key", "Accept": "application/json"}

Handler = Callable[[httpx.Request], httpx.Response]


class Wired:
    """A fetcher over a handler, its pauses written down instead of slept."""

    def __init__(self, handler: Handler, limits: Limits | None = None, random: float = 1.0) -> None:
        self.pauses: list[float] = []
        self.requests: list[httpx.Request] = []
        self.now = 0.0

        def record(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return handler(request)

        self.fetcher = Fetcher(
            httpx.Client(transport=httpx.MockTransport(record)),
            limits or Limits(),
            sleep=self.pauses.append,
            random=lambda: random,
            monotonic=lambda: self.now,
        )


def answers(*responses: httpx.Response | Exception) -> Handler:
    """A handler that gives these in turn."""
    left = iter(responses)

    def handle(request: httpx.Request) -> httpx.Response:
        response = next(left)
        if isinstance(response, Exception):
            raise response
        return response

    return handle


def status(code: int, **headers: str) -> httpx.Response:
    return httpx.Response(code, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
def test_a_passing_trouble_is_waited_out(code: int) -> None:
    """Two refusals, then the answer; the pauses double."""
    wired = Wired(answers(status(code), status(code), httpx.Response(200, content=b"body")))

    assert wired.fetcher.get(URL).body == b"body"
    assert wired.pauses == [0.5, 1.0]


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("broke off"),
        httpx.ReadError("reset"),
        httpx.ConnectTimeout("no answer"),
    ],
)
def test_attempts_are_bounded(trouble: Exception) -> None:
    """After the third attempt the address has failed, and the error says how."""
    wired = Wired(answers(*itertools.repeat(trouble, 3)))

    with pytest.raises(FetchError, match=rf"https://source\.example/list: .*{trouble}.*3 attempts"):
        wired.fetcher.get(URL)
    assert len(wired.requests) == 3


def test_pauses_are_drawn_anew() -> None:
    """Jitter takes off up to half, so that many deployments do not come back at once."""
    wired = Wired(answers(*itertools.repeat(status(503), 3)), random=0.0)

    with pytest.raises(FetchError):
        wired.fetcher.get(URL)
    assert wired.pauses == [0.25, 0.5]


def test_a_source_says_how_long_to_wait() -> None:
    """`Retry-After` replaces the own pause; an hour is not waited for."""
    wired = Wired(answers(status(429, retry_after="7"), httpx.Response(200, content=b"body")))
    patient = Wired(answers(status(429, retry_after="3600")))

    assert wired.fetcher.get(URL).body == b"body"
    assert wired.pauses == [7.0]
    with pytest.raises(FetchError, match="asks to wait 3600 s"):
        patient.fetcher.get(URL)
    assert patient.pauses == []


@pytest.mark.parametrize("code", [204, 400, 401, 403, 404, 410])
def test_a_plain_refusal_is_final(code: int) -> None:
    """Asking again would not help."""
    wired = Wired(answers(status(code)))

    with pytest.raises(FetchError, match=f"status {code}"):
        wired.fetcher.get(URL)
    assert len(wired.requests) == 1


def test_a_host_that_cannot_be_reached_is_not_tried_again() -> None:
    """A machine without a network learns it once a source, not once a payload."""
    wired = Wired(answers(*itertools.repeat(httpx.ConnectError("no route"), 3)))

    for path in ("a", "b"):
        with pytest.raises(FetchError, match="no connection"):
            wired.fetcher.get(f"https://source.example/{path}")
    assert len(wired.requests) == 3


def test_keys_do_not_follow_a_redirect_to_another_host() -> None:
    """A signed storage address gets the request, never the key."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.host == "source.example":
            return status(302, location="https://storage.example/file?signature=x")
        return httpx.Response(200, content=b"file")

    wired = Wired(handle)

    assert wired.fetcher.get(URL, KEY).body == b"file"
    first, second = wired.requests
    assert first.headers["authorization"] == KEY["Authorization"]
    assert "authorization" not in second.headers
    assert "x-api-key" not in second.headers
    assert second.headers["accept"] == KEY["Accept"]


@pytest.mark.parametrize(
    ("location", "cause"),
    [("http://source.example/list", "from https to http"), ("/list", "more than 5 redirects")],
)
def test_redirects_lead_nowhere_worse_and_not_for_ever(location: str, cause: str) -> None:
    """Neither to an open line nor round in circles."""
    wired = Wired(lambda request: status(301, location=location))

    with pytest.raises(FetchError, match=cause):
        wired.fetcher.get(URL)


def test_no_error_tells_a_secret() -> None:
    """Neither a key nor a signed query is in the text, and so in no log and no table."""
    for trouble in (status(401), httpx.ConnectError("no route"), status(429, retry_after="999")):
        wired = Wired(answers(*itertools.repeat(trouble, 3)))
        with pytest.raises(FetchError) as caught:
            wired.fetcher.get(URL, KEY)
        assert "secret" not in str(caught.value)
        assert "signed" not in str(caught.value)


def chunks(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"x" * 1024


def test_a_body_has_a_largest_size_and_a_longest_time() -> None:
    """An endless body is cut off, and so is one that trickles."""
    large = Wired(lambda request: httpx.Response(200, content=chunks(10_000)), Limits(max_bytes=1024 * 1024))
    with pytest.raises(FetchError, match="larger than 1 MiB"):
        large.fetcher.get(URL)

    def trickle(request: httpx.Request) -> httpx.Response:
        def drops() -> Iterator[bytes]:
            for chunk in chunks(5):
                slow.now += 50
                yield chunk

        return httpx.Response(200, content=drops())

    slow = Wired(trickle)
    with pytest.raises(FetchError, match="not finished within 120 s"):
        slow.fetcher.get(URL)


def test_an_address_that_is_none_fails_at_once() -> None:
    """A mistyped setting is told, not retried."""
    wired = Wired(answers())

    for url in ("ftp://source.example/x", "source.example/x", "https://"):
        with pytest.raises(FetchError):
            wired.fetcher.get(url)
    assert wired.pauses == []


def test_the_next_page_stays_on_the_host() -> None:
    """Headers go with the next page, so it may not lead elsewhere."""
    here = '<https://source.example/list?cursor=2>; rel="next"'
    there = '<https://elsewhere.example/list>; rel="next"'

    assert Wired(lambda r: httpx.Response(200, headers={"Link": here})).fetcher.get(URL).next_url == (
        "https://source.example/list?cursor=2"
    )
    assert Wired(lambda r: httpx.Response(200, headers={"Link": there})).fetcher.get(URL).next_url is None


def test_many_addresses_are_asked_a_few_at_a_time_in_order() -> None:
    """Never more than four requests under way; failures stand in their places."""
    lock, under_way, most = threading.Lock(), 0, 0
    four = threading.Barrier(CONCURRENCY)

    def handle(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        four.wait(timeout=120)  # passes only when four are under way together
        with lock:
            under_way -= 1
        number = int(request.url.path[1:])
        return status(404) if number == 5 else httpx.Response(200, content=str(number).encode())

    wired = Wired(handle)
    found: list[Any] = wired.fetcher.get_all([f"https://source.example/{n}" for n in range(12)])

    assert [int(one.body) for n, one in enumerate(found) if n != 5] == [n for n in range(12) if n != 5]
    assert isinstance(found[5], FetchError)
    assert most == CONCURRENCY
