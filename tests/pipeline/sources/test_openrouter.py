"""OpenRouter's catalogue: what a listing is, what it costs, what is refused."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources import values
from pipeline.sources.openrouter import expired_as_of, kind_of, parse_events, parse_models, prices
from pipeline.sources.source import PayloadRefusedError, Sighting
from pipeline.sources.values import BadValueError
from tests.conftest import RECORDINGS, needs_recordings

AT = Sighting(observed_at=dt.datetime(2026, 8, 22), now=dt.datetime(2026, 8, 22, 20))


def listing(**changes: Any) -> dict[str, Any]:
    """A listing that is in order, with changes."""
    return {
        "id": "acme/swift-1",
        "name": "Acme: Swift 1",
        "context_length": 1000,
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
        "pricing": {"prompt": "0.000001", "completion": "0.000002"},
        **changes,
    }


def catalogue(*listings: object) -> bytes:
    return json.dumps({"data": listings}).encode()


def test_every_pitfall_of_the_catalogue_has_its_kind(small: Callable[[str], bytes], sighting: Sighting) -> None:
    """Only what converses is 'chat'; the rest is known for what it is."""
    parsed = parse_models(small("openrouter/models-2026-08-02.json"), sighting)
    kinds = dict(parsed.frames["openrouter_listings"].select("openrouter_id", "kind").iter_rows())

    assert kinds == {
        "acme/swift-1": "chat",
        "acme/swift-1:free": "chat",
        "acme/swift-1:batch": "batch",
        "~acme/swift-latest": "alias",
        "acme/swift-1-base": "base",
        "acme/painter-2": "image",
        "acme/voice-1": "audio",
        "acme/guard-8b": "guard",
        "acme/embed-3": "embedding",
        "acme/oldie": "expired",
        "acme/forever": "chat",
        "acme/vision-1": "chat",
        "openrouter/auto": "router",
    }


def test_prices_are_per_million_and_empty_texts_are_nothing(small: Callable[[str], bytes], sighting: Sighting) -> None:
    """Decimal text per token becomes a number per million; '' and 2098 mean that nothing is known."""
    frame = parse_models(small("openrouter/models-2026-08-02.json"), sighting).frames["openrouter_listings"]
    rows = {row["openrouter_id"]: row for row in frame.to_dicts()}
    swift = rows["acme/swift-1"]

    assert (
        swift["price_in_usd_per_mtok"],
        swift["price_out_usd_per_mtok"],
        swift["price_cache_read_usd_per_mtok"],
    ) == (0.5, 1.5, 0.05)
    assert json.loads(swift["price_tiers_json"]) == [
        {"min_prompt_tokens": 128000, "price_in_usd_per_mtok": 1.0, "price_out_usd_per_mtok": 3.0}
    ]
    assert (
        swift["supported_efforts"],
        swift["default_effort"],
        swift["reasoning_is_mandatory"],
    ) == (["high", "medium", "low"], "medium", False)
    assert (swift["aa_intelligence_index"], swift["aa_coding_index"], swift["aa_agentic_index"]) == (41.5, 39.0, None)
    assert rows["acme/swift-1:free"]["hugging_face_id"] is None
    assert rows["acme/swift-1:free"]["variant"] == "free"
    assert rows["acme/forever"]["expires_on"] is None
    assert rows["~acme/swift-latest"]["alias_target"] == "acme/swift-1"
    assert rows["~acme/swift-latest"]["vendor"] == "acme"
    assert rows["openrouter/auto"]["price_in_usd_per_mtok"] is None


def test_an_image_price_per_token_is_no_price_per_image(small: Callable[[str], bytes], sighting: Sighting) -> None:
    """Some listings repeat the token price as 'image'; an image costs hundreds of tokens."""
    frame = parse_models(small("openrouter/models-2026-08-02.json"), sighting).frames["openrouter_listings"]
    shown = dict(frame.select("openrouter_id", "price_image_usd").iter_rows())

    assert (shown["acme/painter-2"], shown["acme/vision-1"]) == (0.0012, None)


def test_bad_rows_are_refused_with_their_reason_and_the_rest_loads(
    small: Callable[[str], bytes], sighting: Sighting
) -> None:
    """Seven bad rows cost seven rows."""
    parsed = parse_models(small("openrouter/models-2026-08-02.json"), sighting)

    assert parsed.rows == 13
    assert {refused.record_ref: refused.reason for refused in parsed.refused} == {
        "acme/absurd": "prompt price is absurd: '0.5' USD per token",
        "acme/free-text": "prompt price is 'cheap'",
        "acme/long": "context length is 'very long'",
        "acme/nan": "prompt price is 'NaN'",
        "acme/negative": "prompt price is negative: '-0.000001'",
        "acme/no-id": "id is missing",
        "acme/swift-1": "a second row under the same key",
    }


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<!DOCTYPE html><html><body>Just a moment...</body></html>", "HTML page"),
        (b'{"data":[{"id":"acme/swift-1","na', "cut off"),
        (b"", "empty"),
        (b'{"data":[]}', "empty"),
        (b'{"error":{"message":"no"}}', "no 'data'"),
        (b'{"data":{"id":"acme/swift-1"}}', "expected a list"),
        (b'{"data":[{"model":"acme/swift-1"},{"model":"acme/swift-2"}]}', "2 of 2 rows cannot be read"),
        (b"\xff\xfe\x00", "not valid JSON"),
    ],
)
def test_what_is_no_catalogue_is_refused_as_a_whole(body: bytes, reason: str, sighting: Sighting) -> None:
    """A page, half a payload, an empty list or another schema never replaces what is held."""
    with pytest.raises(PayloadRefusedError, match=reason):
        parse_models(body, sighting)


def test_expiry_is_decided_by_the_clock() -> None:
    """The same listing is open on its last day and expired the day after, also without being read again."""
    body = catalogue(listing(expiration_date="2026-08-24"))
    last_day = replace(AT, now=dt.datetime(2026, 8, 24, 23))
    day_after = replace(AT, now=dt.datetime(2026, 8, 25))
    frame = parse_models(body, last_day).frames["openrouter_listings"]

    assert frame["kind"].to_list() == ["chat"]
    assert parse_models(body, day_after).frames["openrouter_listings"]["kind"].to_list() == ["expired"]
    assert expired_as_of(frame, dt.date(2026, 8, 24))["kind"].to_list() == ["chat"]
    assert expired_as_of(frame, dt.date(2026, 8, 25))["kind"].to_list() == ["expired"]


@pytest.mark.parametrize(
    ("openrouter_id", "outputs", "kind"),
    [
        ("meta-llama/llama-guard-4-12b", ["text"], "guard"),
        ("openai/gpt-oss-safeguard-20b", ["text"], "guard"),
        ("nvidia/nemotron-3.5-content-safety:free", ["text"], "guard"),
        ("google/gemini-3-pro-image", ["image", "text"], "image"),
        ("google/lyria-3-pro-preview", ["text", "audio"], "audio"),
        ("acme/film-1", ["video"], "video"),
        ("openrouter/free", ["text"], "router"),
        ("switchpoint/router", ["text"], "router"),
        ("morph/morph-v3-large", ["text"], "other"),
        ("baidu/qianfan-ocr-fast:free", ["text"], "other"),
        ("tencent/hy-mt2-30b-a3b", ["text"], "other"),
        ("~anthropic/claude-opus-latest", ["text"], "alias"),
        ("openai/gpt-5.6-sol:batch", ["text"], "batch"),
        ("moonshotai/kimi-k2", ["text"], "chat"),
        ("qwen/qwen3-vl-235b-a22b-thinking", ["text"], "chat"),
    ],
)
def test_known_listings_are_what_they_are(openrouter_id: str, outputs: list[str], kind: str) -> None:
    """Names from the real catalogue."""
    found = kind_of(
        openrouter_id, name="", outputs=outputs, is_priced_as_router=False, expires_on=None, today=dt.date(2026, 8, 22)
    )

    assert kind == found


def test_a_month_in_the_name_is_narrowed_by_the_newest_listing() -> None:
    """A file dated by month is as old as its newest entry, never newer than the month."""
    month = replace(AT, observed_at=dt.datetime(2026, 6, 1), observed_until=dt.datetime(2026, 6, 30, 23, 59, 59))
    mid = int(dt.datetime(2026, 6, 16, tzinfo=dt.UTC).timestamp())
    later = int(dt.datetime(2026, 7, 9, tzinfo=dt.UTC).timestamp())

    assert dt.datetime(2026, 6, 16) == parse_models(catalogue(listing(created=mid)), month).observed_at
    assert month.observed_until == parse_models(catalogue(listing(created=later)), month).observed_at
    assert month.observed_at == parse_models(catalogue(listing(created=None)), month).observed_at


def test_events_tell_prices_and_windows_with_their_dates(small: Callable[[str], bytes], sighting: Sighting) -> None:
    """The change log fills the history between catalogues."""
    parsed = parse_events(small("openrouter/events-2026-05-27_2026-08-02.json"), sighting)
    told = set(parsed.observations.select("record_id", "metric", "value", "observed_at").iter_rows())

    assert {
        ("acme/swift-1", "price_in_usd_per_mtok", 0.9, dt.datetime(2026, 5, 27)),
        ("acme/swift-1", "price_out_usd_per_mtok", 1.8, dt.datetime(2026, 5, 27)),
        ("acme/swift-1", "context_tokens", 65536.0, dt.datetime(2026, 5, 27)),
        ("acme/swift-1", "price_in_usd_per_mtok", 0.8, dt.datetime(2026, 6, 20)),
        ("acme/swift-1", "context_tokens", 131072.0, dt.datetime(2026, 6, 21)),
    } == told
    assert [refused.record_ref for refused in parsed.refused] == ["acme/oldie"]


@given(st.decimals(min_value="0", max_value="0.01", places=12, allow_nan=False))
def test_any_decimal_price_keeps_its_value(price: Any) -> None:
    """Text in USD per token and the number per million say the same."""
    found = prices({"prompt": str(price), "completion": f"{price:f}"})

    assert found["price_in_usd_per_mtok"] == found["price_out_usd_per_mtok"]
    assert math.isclose(float(price) * 1e6, found["price_in_usd_per_mtok"], rel_tol=1e-9, abs_tol=1e-9)


@given(st.one_of(st.floats(max_value=-1e-300), st.just(math.nan), st.just(math.inf), st.floats(min_value=0.02)))
def test_no_impossible_price_gets_in(price: float) -> None:
    """Negative, endless, absurd and not-a-number prices are refused, in whichever spelling."""
    for spelling in (price, str(price)):
        with pytest.raises(BadValueError):
            values.price(spelling, "prompt")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
field_names = st.sampled_from(
    [
        *("id", "name", "created", "context_length", "architecture", "pricing", "top_provider", "reasoning"),
        *("benchmarks", "supported_parameters", "expiration_date", "hugging_face_id", "alias_target"),
    ]
)


@given(st.lists(st.dictionaries(field_names, json_values, max_size=6) | json_values, max_size=4))
def test_whatever_a_row_holds_the_good_ones_load(rows: list[object]) -> None:
    """A catalogue with any rubbish in it loads its good rows, or is refused whole; nothing else happens."""
    good = [listing(id=f"acme/model-{n}") for n in range(len(rows) + 1)]
    parsed = parse_models(catalogue(*good, *rows), AT)

    assert len(good) <= parsed.rows
    assert len(good) + len(rows) == parsed.rows + len(parsed.refused)
    assert parsed.frames["openrouter_listings"]["openrouter_id"].is_unique().all()


@needs_recordings
def test_the_recorded_catalogue_loads_whole() -> None:
    """421 listings of 2026-08-22, each of the right kind, none refused."""
    parsed = parse_models((RECORDINGS / "openrouter/models-2026-08-22.json").read_bytes(), AT)
    frame = parsed.frames["openrouter_listings"]

    assert (frame.height, len(parsed.refused)) == (421, 0)
    kinds = Counter(frame["kind"].to_list())
    assert (kinds["batch"], kinds["alias"], kinds["router"]) == (61, 12, 6)
    chat = frame.filter(pl.col("kind") == "chat")
    assert chat["output_modalities"].list.contains("text").all()
    assert not [i for i in chat["openrouter_id"] if "image" in i or "guard" in i or i.endswith(":batch")]
    assert chat["price_in_usd_per_mtok"].null_count() == 0
    assert frame["hugging_face_id"].count() == 168
    assert frame["price_tiers_json"].count() == 59
    assert frame["aa_intelligence_index"].count() == 150


@needs_recordings
def test_every_recorded_catalogue_of_two_years_loads() -> None:
    """Shapes changed often; no row of any of them is refused."""
    counts = {}
    for path in sorted((RECORDINGS / "openrouter").glob("models-*.json")):
        parsed = parse_models(path.read_bytes(), AT)
        assert not parsed.refused, path.name
        counts[path.stem] = parsed.rows

    assert counts == {
        "models-2025-07-29-tools-only": 151,
        "models-2025-12": 335,
        "models-2026-01-29": 347,
        "models-2026-02-27": 343,
        "models-2026-03-31": 348,
        "models-2026-05-01": 371,
        "models-2026-06": 337,
        "models-2026-07-22": 342,
        "models-2026-08-22": 421,
    }
