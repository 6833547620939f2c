"""Artificial Analysis in its own keys and with renamed ones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from pipeline.sources.artificial_analysis import effort_of, parse_models
from pipeline.sources.source import PayloadRefusedError, Sighting
from tests.conftest import RECORDINGS, needs_recordings

AT = Sighting(observed_at=dt.datetime(2026, 8, 22), now=dt.datetime(2026, 8, 22))


def test_zero_means_unknown_and_seconds_become_milliseconds(small: Callable[[str], bytes]) -> None:
    """A price or speed of 0 is no price and no speed."""
    parsed = parse_models(small("artificial_analysis/llms-2026-08-01.json"), AT)
    high, plain = parsed.frames["artificial_analysis_models"].to_dicts()

    assert (high["price_in_usd_per_mtok"], high["throughput_tokens_per_s"]) == (0.5, 88.5)
    assert (high["latency_first_token_ms"], high["latency_first_answer_ms"]) == (410.0, 12500.0)
    assert (plain["price_in_usd_per_mtok"], plain["throughput_tokens_per_s"], plain["latency_first_token_ms"]) == (
        None,
        None,
        None,
    )
    assert [refused.reason for refused in parsed.refused] == ["slug is missing"]


def test_native_keys_bring_the_ids_of_other_sources(small: Callable[[str], bytes]) -> None:
    """OpenRouter's id and the Hub repository stand in the page metadata."""
    (row,) = (
        parse_models(small("artificial_analysis/llms-2026-07-01.json"), AT)
        .frames["artificial_analysis_models"]
        .to_dicts()
    )

    assert (row["creator"], row["openrouter_id"], row["huggingface_id"]) == (
        "acme",
        "acme/swift-1",
        "acme/Swift-1-Instruct",
    )
    assert (row["throughput_tokens_per_s"], row["is_open_weights"], row["context_tokens"]) == (90.0, True, 131072)


@pytest.mark.parametrize(
    ("name", "effort"),
    [
        ("gpt-oss-120b (low)", "low"),
        ("GPT-5.5 Pro (xhigh)", "xhigh"),
        ("Gemma 4 31B (Non-reasoning)", "non-reasoning"),
        ("Claude Opus 4.8 (Adaptive Reasoning, Max Effort)", "adaptive reasoning, max effort"),
        ("DeepSeek V3.1 (Reasoning)", "reasoning"),
        ("GPT-4o (Nov '24)", None),
        ("GPT-4o (March 2025, chatgpt-4o-latest)", None),
        ("Grok 4 Fast (Reasoning) (Preview)", "reasoning"),
        ("Qwen3.8 Max", None),
    ],
)
def test_a_name_says_its_effort(name: str, effort: str | None) -> None:
    """A month, a size or 'Preview' in parentheses is no effort."""
    assert effort_of(name) == effort


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"data":[]}', b'{"data":[{"name":"x"}]}', b'{"data":['])
def test_what_is_no_listing_is_refused(body: bytes) -> None:
    """Nothing replaces the held models but models."""
    with pytest.raises(PayloadRefusedError):
        parse_models(body, AT)


@needs_recordings
def test_the_recorded_payloads_load() -> None:
    """610 and 579 records; 597 with an index, 170 with a speed, 313 with an OpenRouter id."""
    new, old = (
        parse_models((RECORDINGS / f"artificial_analysis/llms-2026-{month}-22.json").read_bytes(), AT)
        for month in ("08", "07")
    )
    frame = new.frames["artificial_analysis_models"]

    assert (new.rows, len(new.refused), old.rows, len(old.refused)) == (610, 0, 579, 0)
    assert frame["intelligence_index"].count() == 597
    assert frame["throughput_tokens_per_s"].count() == 170
    assert frame["price_in_usd_per_mtok"].count() == 610 - 222
    assert old.frames["artificial_analysis_models"]["openrouter_id"].count() == 313
    # Two of the 330 addresses lead elsewhere.
    assert old.frames["artificial_analysis_models"]["huggingface_id"].count() == 328
