"""The Open LLM Leaderboards in every shape, and the Hub's repositories."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.settings import load
from pipeline.sources import huggingface
from pipeline.sources.huggingface import collect_hub, parse_hub, parse_hub_archive, parse_leaderboard
from pipeline.sources.source import Answer, FetchError, PayloadRefusedError, Sighting
from tests.conftest import RECORDINGS, needs_recordings
from tests.pipeline.sources.conftest import FakeWeb

V2 = Sighting(observed_at=dt.datetime(2026, 8, 22), now=dt.datetime(2026, 8, 22), scope="v2")
V1 = replace(V2, scope="v1")
COMPLETE = "huggingface/open_llm_leaderboard_v2-complete.csv"


def test_scores_load_and_bad_rows_do_not(small: Callable[[str], bytes]) -> None:
    """One row a repository, precision and revision; −1 parameters and 'Removed' bases are unknown."""
    parsed = parse_leaderboard(small(COMPLETE), V2)
    frame = parsed.frames["huggingface_benchmarks"]
    swift, half, base, soup = frame.to_dicts()

    assert (swift["average"], swift["ifeval"], swift["mmlu_pro"], swift["params_b"]) == (41.5, 80.25, 66.0, 8.03)
    assert (swift["precision"], half["precision"]) == ("bfloat16", "float16")
    assert (base["params_b"], base["base_model"], base["model_type"]) == (None, None, "pretrained")
    assert (soup["model_type"], soup["is_merged"], soup["is_flagged"], soup["license"]) == ("merge", True, True, None)
    assert [refused.reason for refused in parsed.refused] == [
        "repository id is missing",
        "a score is missing or no number",
        "a score lies outside 0 to 100",
    ]


def test_a_copy_is_as_old_as_its_last_submission(small: Callable[[str], bytes]) -> None:
    """The board has ended: fetching it today does not make it news."""
    assert parse_leaderboard(small(COMPLETE), V2).observed_at == dt.datetime(2025, 1, 15)


def test_native_columns_with_arrows_and_html_say_the_same(small: Callable[[str], bytes]) -> None:
    """'Average ⬆️', '#Params (B)' and a link in `Model` are the dataset's own way."""
    (native,) = (
        parse_leaderboard(small("huggingface/open_llm_leaderboard-2025-01.csv"), V2)
        .frames["huggingface_benchmarks"]
        .to_dicts()
    )

    assert (native["huggingface_id"], native["model_type"], native["params_b"]) == (
        "acme/Swift-1-Instruct",
        "chat",
        8.03,
    )
    assert (native["average"], native["math"], native["is_official"], native["has_chat_template"]) == (
        41.4,
        30.0,
        True,
        True,
    )


def _native(**changes: Any) -> dict[str, Any]:
    return {
        "Precision": "bfloat16",
        "Type": "🟢 pretrained",
        "Model": '<a href="https://huggingface.co/acme/Swift-1" style="x">acme/Swift-1</a>',
        "Model sha": "aaaa",
        "Average ⬆️": 20.0,
        "#Params (B)": 8.0,
        "Merged": False,
        "Submission Date": "2024-12-01",
        **dict.fromkeys(("IFEval", "BBH", "MATH Lvl 5", "GPQA", "MUSR", "MMLU-PRO"), 20.0),
        **changes,
    }


def test_parquet_and_paged_rows_are_read_too() -> None:
    """The dataset's own file, and the pages of the rows service; a repository hidden in a link is found."""
    buffer = io.BytesIO()
    pl.DataFrame([_native()]).write_parquet(buffer)
    paged = json.dumps(
        {"rows": [{"row_idx": 0, "row": _native(), "truncated_cells": []}], "num_rows_total": 1}
    ).encode()

    for body in (buffer.getvalue(), paged):
        (row,) = parse_leaderboard(body, V2).frames["huggingface_benchmarks"].to_dicts()
        assert (row["huggingface_id"], row["is_merged"], row["average"]) == ("acme/Swift-1", False, 20.0)


def test_the_first_leaderboard_has_its_own_scores(small: Callable[[str], bytes]) -> None:
    """v1 fills its six benchmarks and leaves v2's empty."""
    oldie, tiny = (
        parse_leaderboard(small("huggingface/open_llm_leaderboard_v1-2025-06.csv"), V1)
        .frames["huggingface_benchmarks"]
        .to_dicts()
    )

    assert (oldie["leaderboard"], oldie["arc"], oldie["gsm8k"], oldie["ifeval"]) == ("v1", 58.5, 42.83, None)
    assert (oldie["model_type"], oldie["license"], oldie["params_b"]) == ("fine-tuned", None, 7.0)
    assert tiny["params_b"] is None


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"PAR1", b"a,b\n1,2\n", b'{"rows":[]}', b'{"error":"busy"}', b"fullname,average\nacme/a,1\n"],
)
def test_what_is_no_leaderboard_is_refused(body: bytes) -> None:
    """Nothing replaces the held scores but scores."""
    with pytest.raises(PayloadRefusedError):
        parse_leaderboard(body, V2)


def test_hub_repositories_in_the_hubs_own_keys(small: Callable[[str], bytes]) -> None:
    """Licence and base models come from tags, parameters from safetensors; mirrors are tied to their base."""
    parsed = parse_hub(small("huggingface/hub_models-2026-08-01.json"), V2)
    rows = {row["huggingface_id"]: row for row in parsed.frames["huggingface_repositories"].to_dicts()}
    swift, mirror = rows["acme/Swift-1-Instruct"], rows["mirror/Swift-1-Instruct-GGUF"]

    assert (swift["license"], swift["architecture"], swift["params_b"]) == (
        "apache-2.0",
        "LlamaForCausalLM",
        8.030261248,
    )
    assert (swift["base_models"], swift["gguf_sources"], swift["gated"]) == (
        ["acme/Swift-1"],
        ["mirror/Swift-1-Instruct-GGUF"],
        "false",
    )
    assert (mirror["context_tokens"], mirror["gated"]) == (131072, "auto")
    assert set(rows) == {"acme/Swift-1-Instruct", "mirror/Swift-1-Instruct-GGUF"}
    assert [refused.reason for refused in parsed.refused] == ["id is missing", "downloads are negative"]


def test_an_impossible_window_is_unknown(small: Callable[[str], bytes]) -> None:
    """A configuration's placeholder of 167 million tokens is no window."""
    frame = parse_hub(small("huggingface/llmfit_hf_models-2026-05-12.json"), V2).frames["huggingface_repositories"]

    assert dict(frame.select("huggingface_id", "context_tokens").iter_rows()) == {
        "acme/Swift-1-Instruct": 131072,
        "acme/Endless": None,
    }


class PagedWeb(FakeWeb):
    """A network whose first list goes on over a second page."""

    def get(self, url: str, headers: Any = None) -> Answer:
        answer = super().get(url, headers)
        return replace(answer, next_url="page-2") if url == huggingface.HUB_LISTS[0][0] else answer


def test_the_hub_is_paged_and_named_repositories_are_added() -> None:
    """Repositories that another source names are asked for one by one when no list held them."""
    first, second, third = (url for url, _ in huggingface.HUB_LISTS)
    alone = f"https://huggingface.co/api/models/acme/alone?{huggingface._EXPAND}"
    web = PagedWeb(
        {
            first: b'[{"id":"acme/a"}]',
            "page-2": b'[{"id":"acme/b"},{"id":"acme/a","likes":1}]',
            second: b'[{"id":"acme/c"}]',
            third: b'[{"id":"acme/d"}]',
            alone: b'{"id":"acme/alone"}',
        }
    )
    body = collect_hub(web, [("acme/a",), ("acme/alone",), ("acme/gated",)], load({}))

    assert [entry["id"] for entry in json.loads(body)] == ["acme/a", "acme/b", "acme/c", "acme/d", "acme/alone"]
    assert alone in web.asked
    assert not any("acme/a?" in url for url in web.asked)


def test_a_list_that_cannot_be_read_is_the_hubs_failure() -> None:
    """Half a Hub does not replace a whole one."""
    with pytest.raises(FetchError):
        collect_hub(FakeWeb({}), [], load({}))


odd_values = st.none() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=5))
odd_fields = st.sampled_from(["id", "downloads", "tags", "gated", "safetensors"])


@given(st.lists(st.dictionaries(odd_fields, odd_values, max_size=4), max_size=5))
def test_whatever_a_repository_holds_the_good_ones_load(entries: list[dict[str, Any]]) -> None:
    """Rubbish is refused or left out row by row."""
    good = [{"id": f"acme/model-{n}", "pipeline_tag": "text-generation"} for n in range(len(entries) + 1)]
    found = parse_hub(json.dumps([*good, *entries]).encode(), V2).frames["huggingface_repositories"]["huggingface_id"]

    assert {entry["id"] for entry in good} <= set(found)
    assert found.is_unique().all()


@needs_recordings
def test_the_recorded_leaderboards_load_whole() -> None:
    """4,576 rows of 4,497 repositories in v2, 7,169 of 6,811 in v1, none refused."""
    folder = RECORDINGS / "huggingface"
    found = {}
    for name, sighting in (
        ("open_llm_leaderboard_v2-complete", V2),
        ("open_llm_leaderboard-2025-06", V2),
        ("open_llm_leaderboard_v1-2025-06", V1),
    ):
        parsed = parse_leaderboard((folder / f"{name}.csv").read_bytes(), sighting)
        frame = parsed.frames["huggingface_benchmarks"]
        assert not parsed.refused
        assert frame.select("huggingface_id", "leaderboard", "precision", "model_sha").is_unique().all()
        found[name] = (frame.height, frame["huggingface_id"].n_unique(), parsed.observed_at)

    assert found == {
        "open_llm_leaderboard_v2-complete": (4576, 4497, dt.datetime(2025, 3, 13)),
        "open_llm_leaderboard-2025-06": (3827, 3753, dt.datetime(2025, 2, 8)),
        "open_llm_leaderboard_v1-2025-06": (7169, 6811, dt.datetime(2024, 6, 15)),
    }


@needs_recordings
def test_the_recorded_hub_lists_load() -> None:
    """Nothing is refused, and what is left out is not text."""
    folder = RECORDINGS / "huggingface"
    popular = parse_hub((folder / "llmfit_hf_models-2026-05-12.json").read_bytes(), V2)
    trending = parse_hub((folder / "hub_trending-2026-05-04.json").read_bytes(), V2)
    archive = parse_hub_archive((folder / "hub_models-2022-02.parquet").read_bytes(), V2)
    mirrored = popular.frames["huggingface_repositories"].filter(pl.col("gguf_sources").list.len() > 0)

    assert [len(parsed.refused) for parsed in (popular, trending, archive)] == [0, 0, 0]
    assert popular.rows > 1700
    assert trending.rows > 600
    assert archive.rows > 100
    assert mirrored.height > 250
