"""Host endpoints: percentiles in every shape, tags that name one host, politeness of the collection."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable

import pytest

from pipeline.settings import Settings, load
from pipeline.sources.openrouter_endpoints import collect, parse_endpoints
from pipeline.sources.source import FetchError, PayloadRefusedError, Sighting
from tests.conftest import RECORDINGS, needs_recordings
from tests.pipeline.sources.conftest import FakeWeb

BASE = "https://openrouter.ai/api/v1/models"


def test_endpoints_with_percentiles_numbers_and_nothing(small: Callable[[str], bytes], sighting: Sighting) -> None:
    """Percentile objects, bare numbers and nulls are all read; 'unknown' is no quantisation."""
    parsed = parse_endpoints(small("openrouter/endpoints-2026-08-01.json"), sighting)
    rows = {row["host_tag"]: row for row in parsed.frames["openrouter_endpoints"].to_dicts()}
    north, south = rows["northwind/fp8"], rows["southwind"]

    assert (
        north["latency_p50_ms"],
        north["latency_p90_ms"],
        north["throughput_p50_tokens_per_s"],
        north["throughput_p90_tokens_per_s"],
    ) == (412.0, 911.0, 81.5, 120.0)
    assert (
        north["price_in_usd_per_mtok"],
        north["price_out_usd_per_mtok"],
        north["discount"],
        north["quantization"],
        north["supports_implicit_caching"],
    ) == (0.4, 1.2, 0.2, "fp8", True)
    assert south["quantization"] is None
    assert south["latency_p90_ms"] is None


def test_of_two_endpoints_under_one_tag_the_dearer_stands(small: Callable[[str], bytes], sighting: Sighting) -> None:
    """A call cannot choose between them, so the cost is not underestimated."""
    parsed = parse_endpoints(small("openrouter/endpoints-2026-08-01.json"), sighting)
    rows = {row["host_tag"]: row for row in parsed.frames["openrouter_endpoints"].to_dicts()}

    assert rows["southwind"]["price_in_usd_per_mtok"] == 0.6
    assert sorted((refused.reason for refused in parsed.refused), reverse=True) == [
        "prompt price is negative: '-3'",
        "a second endpoint under the same tag; the dearer one is kept",
    ]


def test_a_single_answer_is_read_too(sighting: Sighting) -> None:
    """The endpoint's own shape, as a directory may hold it."""
    endpoint = {"provider_name": "North", "tag": "north", "pricing": {"prompt": "0.000001", "completion": "0"}}
    body = json.dumps({"data": {"id": "acme/swift-1", "endpoints": [endpoint]}}).encode()

    assert parse_endpoints(body, sighting).rows == 1


@pytest.mark.parametrize("body", [b'{"models":[]}', b"[1]", b"<html>", b'{"models":[{"id":"a/b"}]}'])
def test_what_holds_no_endpoint_is_refused(body: bytes, sighting: Sighting) -> None:
    """Nothing replaces the held endpoints but endpoints."""
    with pytest.raises(PayloadRefusedError):
        parse_endpoints(body, sighting)


def _answer(openrouter_id: str) -> bytes:
    endpoint = {"provider_name": "North", "tag": "north", "pricing": {"prompt": "0.000001", "completion": "0"}}
    return json.dumps({"data": {"id": openrouter_id, "endpoints": [endpoint]}}).encode()


def test_only_the_wanted_models_are_asked_about(sighting: Sighting) -> None:
    """One request a wanted model, and the joined answers read like a recording."""
    settings: Settings = load({"OPENROUTER_API_KEY": "key"})
    wanted = [("acme/a", "acme/a-1"), ("acme/b:free", "acme/b-1")]
    web = FakeWeb({f"{BASE}/{name}/endpoints": _answer(name) for name, _ in wanted})
    parsed = parse_endpoints(collect(web, wanted, settings), sighting)

    assert [f"{BASE}/acme/a/endpoints", f"{BASE}/acme/b:free/endpoints"] == web.asked
    assert list(parsed.frames["openrouter_endpoints"].select("openrouter_id", "canonical_slug").iter_rows()) == [
        ("acme/a", "acme/a-1"),
        ("acme/b:free", "acme/b-1"),
    ]


def test_too_few_answers_replace_nothing() -> None:
    """Half a set of hosts would make the other half look hostless."""
    wanted = [(f"acme/m{n}", None) for n in range(10)]
    web = FakeWeb({f"{BASE}/acme/m{n}/endpoints": _answer(f"acme/m{n}") for n in range(8)})

    with pytest.raises(FetchError, match="only 8 of 10 models answered"):
        collect(web, wanted, load({}))


@needs_recordings
def test_the_recorded_endpoints_load() -> None:
    """1,023 endpoints of 71 hosts, two of them under a tag that is taken."""
    at = dt.datetime(2026, 7, 22)
    parsed = parse_endpoints(
        (RECORDINGS / "openrouter/endpoints-2026-07-22.json").read_bytes(), Sighting(observed_at=at, now=at)
    )
    frame = parsed.frames["openrouter_endpoints"]

    assert (frame.height + len(parsed.refused), len(parsed.refused)) == (1023, 2)
    assert frame["host_name"].n_unique() == 71
    assert frame.select("openrouter_id", "host_tag").is_unique().all()
