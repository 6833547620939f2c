"""The price lists: models.dev, genai-prices and LiteLLM's map, brought to one scale."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources import genai_prices, litellm_prices, models_dev, providers
from pipeline.sources.price_lists import LISTED
from pipeline.sources.source import Parsed, PayloadRefusedError, Sighting
from tests.conftest import RECORDINGS, needs_recordings

AT = Sighting(observed_at=dt.datetime(2026, 8, 1), now=dt.datetime(2026, 8, 1))

PARSERS: dict[str, Callable[[bytes, Sighting], Parsed]] = {
    "models_dev": models_dev.parse_api,
    "genai_prices": genai_prices.parse_data,
    "litellm_prices": litellm_prices.parse_map,
}


def rows(parsed: Parsed) -> dict[str, dict[str, Any]]:
    """Rows of the one table, by key."""
    (frame,) = parsed.frames.values()
    assert dict(frame.schema) == dict(LISTED)
    return {row["listed_id"]: row for row in frame.to_dicts()}


def tiers(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The tiers of a row."""
    found: list[dict[str, Any]] = json.loads(row["price_tiers_json"] or "[]")
    return found


def test_models_dev_is_read_per_provider(small: Callable[[str], bytes]) -> None:
    """Prices per million, a dearer tier for long prompts, limits and abilities; a subscription is no price."""
    found = rows(models_dev.parse_api(small("models_dev/api-2026-08-01.json"), AT))
    swift = found["openai/acme-swift"]

    assert (swift["provider"], swift["provider_model"], swift["kind"]) == ("openai", "acme-swift", "chat")
    assert (swift["price_in_usd_per_mtok"], swift["price_out_usd_per_mtok"]) == (2.5, 15.0)
    assert tiers(swift) == [
        {
            "min_prompt_tokens": 200_000,
            "price_in_usd_per_mtok": 5.0,
            "price_out_usd_per_mtok": 22.5,
            "price_cache_read_usd_per_mtok": 0.25,
        }
    ]
    assert (swift["context_tokens"], swift["max_output_tokens"]) == (131_072, 8_192)
    assert (swift["input_modalities"], swift["supports_json_schema"]) == (["text", "image", "file"], True)
    assert [tier["min_prompt_tokens"] for tier in tiers(found["openai/acme-tiered"])] == [32_000, 128_000]
    assert {key: row["kind"] for key, row in found.items() if row["kind"] != "chat"} == {
        "openai/acme-embed": "embedding",
        "openai/acme-paint": "image",
    }
    assert not any(key.startswith("acme-coding-plan") for key in found)


def test_zero_on_both_sides_is_no_price(small: Callable[[str], bytes]) -> None:
    """These lists write zero for what is free, flat or unknown: nothing is known to cost nothing."""
    found = rows(models_dev.parse_api(small("models_dev/api-2026-08-01.json"), AT))

    assert found["openai/acme-free"]["price_in_usd_per_mtok"] is None
    assert found["openai/acme-unpriced"]["price_out_usd_per_mtok"] is None


def test_genai_prices_takes_the_price_that_holds_on_the_day(small: Callable[[str], bytes]) -> None:
    """The last whose day has come; hours of the day and days to come are not today's price."""
    parsed = genai_prices.parse_data(small("genai_prices/data-2026-08-01.json"), AT)
    found = rows(parsed)

    assert found["openai/acme-soon"]["price_in_usd_per_mtok"] == 3.0
    assert found["openai/acme-by-the-hour"]["price_in_usd_per_mtok"] == 1.0
    assert found["openai/acme-searcher"]["price_request_usd"] == 0.012
    assert tiers(found["openai/acme-swift"]) == [
        {"min_prompt_tokens": 200_000, "price_in_usd_per_mtok": 5.0, "price_out_usd_per_mtok": 22.5}
    ]
    assert "openai/ft:acme-swift" not in found
    assert found["openai/acme-nothing"]["price_in_usd_per_mtok"] is None
    later = Sighting(observed_at=dt.datetime(2026, 9, 2), now=dt.datetime(2026, 9, 2))
    assert (
        rows(genai_prices.parse_data(small("genai_prices/data-2026-08-01.json"), later))["openai/acme-soon"][
            "price_in_usd_per_mtok"
        ]
        == 9.0
    )


def test_litellm_is_read_per_token_and_without_other_service_tiers(small: Callable[[str], bytes]) -> None:
    """Per token becomes per million; batch and priority prices are not those of a chat call."""
    found = rows(litellm_prices.parse_map(small("litellm_prices/map-2026-08-01.json"), AT))
    swift = found["acme-swift"]

    assert (swift["price_in_usd_per_mtok"], swift["price_cache_read_usd_per_mtok"]) == (3.0, 0.3)
    assert tiers(swift) == [
        {"min_prompt_tokens": 200_000, "price_in_usd_per_mtok": 6.0, "price_out_usd_per_mtok": 22.5}
    ]
    assert swift["supported_efforts"] == ["none", "low", "medium", "high"]
    assert swift["ends_on"] == dt.date(2026, 10, 1)
    assert (found["groq/acme-swift-8b"]["provider_model"], found["groq/acme-swift-8b"]["supported_efforts"]) == (
        "acme-swift-8b",
        [],
    )
    assert found["openai/acme-deep"]["kind"] == "chat"
    assert (found["acme-listen"]["kind"], found["acme-listen"]["price_in_usd_per_mtok"]) == ("audio", None)
    assert not {"sample_spec", "ft:acme-swift", "1024-x-1024/acme-paint", "acme_cloud/acme-swift"} & set(found)


@pytest.mark.parametrize(
    ("source", "recording", "reasons"),
    [
        (
            "models_dev",
            "models_dev/api-2026-08-01.json",
            {
                "openai/acme-debt": "input price is negative: -1",
                "openai/acme-renamed": "it stands under 'acme-renamed' and calls itself 'acme-other'",
            },
        ),
        ("genai_prices", "genai_prices/data-2026-08-01.json", {"openai/acme-odd": "input_mtok price is 'much'"}),
        (
            "litellm_prices",
            "litellm_prices/map-2026-08-01.json",
            {"groq/acme-per-million": "input_cost_per_token price is absurd: 0.05 USD per token"},
        ),
    ],
)
def test_what_cannot_be_believed_is_refused_with_its_reason(
    small: Callable[[str], bytes], source: str, recording: str, reasons: dict[str, str]
) -> None:
    """A price below zero, no number, or a thousand times too high costs its row, and only that."""
    refused = PARSERS[source](small(recording), AT).refused

    assert {row.record_ref: row.reason for row in refused} == reasons


@pytest.mark.parametrize("source", PARSERS)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b"7", b'{"openai":7}', b'[{"id":"openai"}]', b'{"a":['])
def test_what_is_no_price_list_is_refused(source: str, body: bytes) -> None:
    """Nothing replaces the held prices but prices."""
    with pytest.raises(PayloadRefusedError):
        PARSERS[source](body, AT)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = [
    "id",
    "name",
    "cost",
    "limit",
    "modalities",
    "input",
    "output",
    "prices",
    "input_mtok",
    "output_mtok",
    "cache_read_mtok",
    "base",
    "tiers",
    "start",
    "price",
    "constraint",
    "start_date",
    "context_window",
    "litellm_provider",
    "mode",
    "input_cost_per_token",
    "output_cost_per_token",
    "max_input_tokens",
    "deprecation_date",
    "context_over_200k",
    "supports_reasoning",
    "supports_low_reasoning_effort",
]
_ENTRY = st.recursive(
    _JSON | st.sampled_from(["openai", "chat", "groq", 0.000002, 2.5]),
    lambda inner: st.dictionaries(st.sampled_from(_FIELDS), inner, max_size=6) | st.lists(inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(entry=_ENTRY, name=st.text(min_size=1, max_size=12))
@pytest.mark.parametrize("source", PARSERS)
def test_no_entry_breaks_a_parser_or_brings_an_impossible_price(source: str, entry: Any, name: str) -> None:
    """Whatever stands beside a good entry, the good one is read, and prices are finite and not below zero."""
    good = {
        "models_dev": {"id": "good", "cost": {"input": 1, "output": 2}},
        "genai_prices": {"id": "good", "prices": {"input_mtok": 1, "output_mtok": 2}},
        "litellm_prices": {
            "litellm_provider": "openai",
            "mode": "chat",
            "input_cost_per_token": 1e-6,
            "output_cost_per_token": 2e-6,
        },
    }[source]
    payload: Any = {
        "models_dev": {"openai": {"models": {name: entry, "good": good}}, "": entry},
        "genai_prices": [{"id": "openai", "models": [entry, good]}, entry],
        "litellm_prices": {name: entry, "good": good},
    }[source]

    found = rows(PARSERS[source](json.dumps(payload).encode(), AT))

    assert any(row["provider_model"] == "good" for row in found.values())
    for row in found.values():
        for price in (row["price_in_usd_per_mtok"], row["price_out_usd_per_mtok"], row["price_request_usd"]):
            assert price is None or 0 <= price <= 10_000
        assert all(tier["min_prompt_tokens"] > 0 for tier in tiers(row))


def test_a_price_in_another_unit_is_refused(small: Callable[[str], bytes]) -> None:
    """A price per token where one per million is meant would make a model look free."""
    held = json.loads(small("models_dev/api-2026-08-01.json"))
    held["openai"]["models"]["acme-swift"]["cost"] = {"input": 2e-07, "output": 1.25e-06}

    parsed = models_dev.parse_api(json.dumps(held).encode(), AT)

    assert ("openai/acme-swift", "a price of 2e-07 USD per million tokens is in another unit") in {
        (row.record_ref, row.reason) for row in parsed.refused
    }


def test_a_provider_is_known_by_spelling_and_by_address() -> None:
    """Each list's spelling and each API's host lead to one name; a lookalike host to none."""
    assert {providers.of_spelling(spelling) for spelling in ("together_ai", "togetherai", "together")} == {"together"}
    assert providers.of_address("https://api.groq.com/openai/v1") == "groq"
    assert providers.of_address("https://mine.openai.azure.com/openai/v1") == "azure"
    assert providers.of_address("https://api.openai.com.example.org/v1") is None
    assert providers.of_spelling("acme-coding-plan") is None


@needs_recordings
def test_the_recorded_price_lists_load() -> None:
    """1,112, 1,128 and 1,527 rows of known providers; fifteen prices are in the wrong unit."""
    rivals = RECORDINGS / "rivals"
    read = {
        "models_dev": models_dev.parse_api((rivals / "models_dev_api-2026-04-04.json").read_bytes(), AT),
        "genai_prices": genai_prices.parse_data((rivals / "genai_prices-2026-08-21.json").read_bytes(), AT),
        "litellm_prices": litellm_prices.parse_map((rivals / "litellm_model_prices-2026-08-22.json").read_bytes(), AT),
    }

    assert {source: (parsed.rows, len(parsed.refused)) for source, parsed in read.items()} == {
        "models_dev": (1_112, 2),
        "genai_prices": (1_128, 0),
        "litellm_prices": (1_527, 13),
    }
    opus = rows(read["litellm_prices"])["claude-opus-4-5"]
    assert (opus["price_in_usd_per_mtok"], opus["price_out_usd_per_mtok"], opus["max_output_tokens"]) == (5, 25, 64_000)
    sonnet = rows(read["genai_prices"])["anthropic/claude-sonnet-4-6"]
    assert (sonnet["price_in_usd_per_mtok"], sonnet["price_tiers_json"]) == (3.0, None)
