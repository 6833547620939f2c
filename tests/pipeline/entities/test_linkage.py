"""Records of several sources become models: the same whatever the order, threads or number of runs, and harmless on
garbage. Small sets of our own; the full recordings are judged in `test_hand_checked.py`."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.entities import linkage, records
from pipeline.entities.pins import Pin, Pins

JANUARY = dt.date(2025, 1, 20)
MAY = dt.date(2025, 5, 28)
FAR = dt.date(2026, 8, 22)


def openrouter(record_id: str, created: dt.date = JANUARY, **more: Any) -> dict[str, Any]:
    """A row as the marketplace lists it."""
    return {
        "source": "openrouter",
        "record_id": record_id,
        "name": record_id,
        "organization": record_id.partition("/")[0],
        "released_on": created,
        "first_seen_on": created,
        "last_seen_on": FAR,
        **more,
    }


def arena(name: str, organization: str = "", **more: Any) -> dict[str, Any]:
    """A row as the leaderboard names it."""
    return {
        "source": "lmsys_arena",
        "record_id": name,
        "name": name,
        "organization": organization,
        "first_seen_on": dt.date(2025, 12, 1),
        "last_seen_on": FAR,
        **more,
    }


def hub(record_id: str, **more: Any) -> dict[str, Any]:
    """A repository."""
    return {"source": "huggingface", "record_id": record_id, "name": record_id, **more}


def local(name: str) -> dict[str, Any]:
    """A model of a server of the user's own."""
    return {"source": "upstream", "record_id": f"ollama:{name}", "name": name}


SMALL = [
    openrouter("deepseek/deepseek-r1", hugging_face_id=None),
    openrouter("deepseek/deepseek-r1-0528", MAY),
    openrouter("deepseek/deepseek-r1-distill-llama-70b"),
    openrouter("meta-llama/llama-3.1-70b-instruct", dt.date(2024, 7, 23)),
    openrouter("meta-llama/llama-3.1-8b-instruct", dt.date(2024, 7, 23)),
    openrouter("openai/gpt-4o-2024-08-06", dt.date(2024, 8, 6)),
    openrouter("openai/gpt-4o-2024-11-20", dt.date(2024, 11, 20)),
    openrouter("openai/gpt-4o", dt.date(2024, 5, 13)),
    openrouter("anthropic/claude-opus-4.5", dt.date(2025, 11, 24)),
    openrouter("anthropic/claude-opus-4.5:batch", dt.date(2025, 11, 24)),
    arena("deepseek-r1", "DeepSeek"),
    arena("deepseek-r1-0528", "DeepSeek"),
    arena("llama-3.1-70b-instruct", "Meta"),
    arena("gpt-4o-2024-08-06", "OpenAI"),
    arena("claude-opus-4-5-20251101", "Anthropic"),
    arena("claude-opus-4-5-20251101-thinking-32k", "Anthropic"),
    hub("deepseek-ai/DeepSeek-R1"),
    hub("deepseek-ai/DeepSeek-R1-0528"),
    hub("unsloth/DeepSeek-R1-GGUF"),
    hub("deepseek-ai/DeepSeek-R1-Distill-Qwen-14B"),
    hub("meta-llama/Llama-3.1-70B", is_pretrained=True),
    hub("meta-llama/Llama-3.1-70B-Instruct"),
    hub("hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4"),
    hub("someone/Llama-3.1-70B-Instruct-abliterated"),
    hub("NousResearch/Hermes-3-Llama-3.1-70B"),
    local("deepseek-r1:14b"),
    local("llama3.1:70b-instruct-q4_K_M"),
]
SMALL = [{key: value for key, value in row.items() if key in records.RECORD_SCHEMA} for row in SMALL]


def models(rows: list[dict[str, Any]], pins: Pins | None = None, threads: int | None = None) -> set[frozenset[str]]:
    """Clusters as sets of 'source:record_id'."""
    linked = linkage.link(records.frame(rows), pins=pins, threads=threads)
    return {
        frozenset(members)
        for members in linked.records.with_columns(ref=pl.concat_str("source", pl.lit(":"), "record_id"))
        .group_by("cluster_id")
        .agg("ref")["ref"]
        .to_list()
    }


def model_with(found: set[frozenset[str]], member: str) -> frozenset[str]:
    """The model a record is in."""
    return next(members for members in found if member in members)


@pytest.fixture(scope="module")
def small() -> set[frozenset[str]]:
    """The small set, linked once."""
    return models(SMALL)


@pytest.mark.canary
def test_a_model_has_its_records_and_no_others(small: set[frozenset[str]]) -> None:
    """Instruct with its conversion and its local name; not the base model, the fine-tunes or another size."""
    assert {
        "openrouter:meta-llama/llama-3.1-70b-instruct",
        "lmsys_arena:llama-3.1-70b-instruct",
        "huggingface:meta-llama/Llama-3.1-70B-Instruct",
        "huggingface:hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4",
        "upstream:ollama:llama3.1:70b-instruct-q4_K_M",
    } == model_with(small, "openrouter:meta-llama/llama-3.1-70b-instruct")


def test_an_update_is_another_model(small: set[frozenset[str]]) -> None:
    """The original is undated, the update of May is not."""
    assert {
        "openrouter:deepseek/deepseek-r1",
        "lmsys_arena:deepseek-r1",
        "huggingface:deepseek-ai/DeepSeek-R1",
        "huggingface:unsloth/DeepSeek-R1-GGUF",
    } == model_with(small, "openrouter:deepseek/deepseek-r1")
    assert "huggingface:deepseek-ai/DeepSeek-R1-0528" in model_with(small, "openrouter:deepseek/deepseek-r1-0528")


def test_ollamas_small_deepseek_is_the_distilled_one(small: set[frozenset[str]]) -> None:
    """Not DeepSeek R1."""
    expected = {"huggingface:deepseek-ai/DeepSeek-R1-Distill-Qwen-14B", "upstream:ollama:deepseek-r1:14b"}

    assert expected == model_with(small, "upstream:ollama:deepseek-r1:14b")


def test_efforts_and_batches_are_one_model(small: set[frozenset[str]]) -> None:
    """And a listing three weeks after the snapshot's day is still that snapshot."""
    assert {
        "openrouter:anthropic/claude-opus-4.5",
        "openrouter:anthropic/claude-opus-4.5:batch",
        "lmsys_arena:claude-opus-4-5-20251101",
        "lmsys_arena:claude-opus-4-5-20251101-thinking-32k",
    } == model_with(small, "openrouter:anthropic/claude-opus-4.5")


def test_a_moving_alias_of_several_snapshots_is_none_of_them(small: set[frozenset[str]]) -> None:
    """gpt-4o stays alone."""
    assert {"openrouter:openai/gpt-4o"} == model_with(small, "openrouter:openai/gpt-4o")


def test_every_record_is_in_exactly_one_model(small: set[frozenset[str]]) -> None:
    """Nothing is lost or doubled."""
    assert len(SMALL) == sum(len(members) for members in small)


def test_a_checkpoint_of_its_own_is_no_mode() -> None:
    """A catalogue that lists -thinking by that name makes it a model; otherwise it is an effort."""
    rows = [
        openrouter("v/alpha-7b"),
        openrouter("v/alpha-7b-thinking"),
        openrouter("v/beta-7b"),
        arena("alpha-7b-thinking", "v"),
        arena("beta-7b-thinking", "v"),
    ]

    found = models(rows)

    assert {"openrouter:v/alpha-7b-thinking", "lmsys_arena:alpha-7b-thinking"} in found
    assert {"openrouter:v/beta-7b", "lmsys_arena:beta-7b-thinking"} in found


def test_max_is_an_effort_only_beside_the_plain_model() -> None:
    """qwen2.5-max is a name, kimi-k3-max an effort."""
    rows = [
        openrouter("v/kappa-3"),
        arena("kappa-3-max", "v"),
        openrouter("w/lambda-2-max"),
        arena("lambda-2-max", "w"),
    ]

    found = models(rows)

    assert {"openrouter:v/kappa-3", "lmsys_arena:kappa-3-max"} in found
    assert {"openrouter:w/lambda-2-max", "lmsys_arena:lambda-2-max"} in found


def analysed(slug: str, name: str, creator: str, released: dt.date = FAR) -> dict[str, Any]:
    """A row as the benchmark site names it: a model at an effort."""
    return {
        "source": "artificial_analysis",
        "record_id": slug,
        "name": name,
        "organization": creator,
        "released_on": released,
        "first_seen_on": released,
        "last_seen_on": FAR,
    }


def test_vendors_and_habits_nobody_has_seen_yet() -> None:
    """New families, new vendors, sizes in trillions, an update by month and day: no list has to know them."""
    autumn = dt.date(2026, 11, 4)
    wanted = [
        {
            "openrouter:nova-labs/zephyrus-2.5-pro",
            "openrouter:nova-labs/zephyrus-2.5-pro:free",
            "lmsys_arena:zephyrus-2.5-pro-high",
            "artificial_analysis:z1",
            "huggingface:NovaLabsAI/Zephyrus-2.5-Pro",
            "huggingface:unsloth/Zephyrus-2.5-Pro-GGUF",
        },
        {
            "openrouter:nova-labs/zephyrus-2.5-flash",
            "lmsys_arena:zephyrus-2-5-flash (thinking-minimal)",
            "artificial_analysis:z2",
        },
        {"huggingface:NovaLabsAI/Zephyrus-2.5-Pro-Base"},
        {"huggingface:x/Zephyrus-2.5-Pro-heretic"},
        {
            "openrouter:kite/kestrel-4-1.2t-a40b",
            "lmsys_arena:kestrel-4",
            "artificial_analysis:k1",
            "huggingface:kite-research/Kestrel-4-1.2T-A40B",
        },
        {
            "openrouter:deepseek/deepseek-v5",
            "lmsys_arena:deepseek-v5-thinking",
            "artificial_analysis:d1",
            "huggingface:deepseek-ai/DeepSeek-V5",
        },
        {
            "openrouter:deepseek/deepseek-v5-1104",
            "lmsys_arena:deepseek-v5-1104-thinking",
            "artificial_analysis:d2",
            "huggingface:deepseek-ai/DeepSeek-V5-1104",
        },
    ]

    found = models(
        [
            openrouter("nova-labs/zephyrus-2.5-pro", FAR),
            openrouter("nova-labs/zephyrus-2.5-pro:free", FAR),
            openrouter("nova-labs/zephyrus-2.5-flash", FAR),
            openrouter("kite/kestrel-4-1.2t-a40b", FAR),
            openrouter("deepseek/deepseek-v5", FAR),
            openrouter("deepseek/deepseek-v5-1104", autumn),
            arena("zephyrus-2.5-pro-high", "novalabs"),
            arena("zephyrus-2-5-flash (thinking-minimal)", "NovaLabs"),
            arena("kestrel-4", "kite"),
            arena("deepseek-v5-thinking", "deepseek"),
            arena("deepseek-v5-1104-thinking", "deepseek"),
            analysed("z1", "Zephyrus 2.5 Pro (Reasoning, High Effort)", "nova-labs"),
            analysed("z2", "Zephyrus 2.5 Flash (Non-reasoning)", "nova-labs"),
            analysed("k1", "Kestrel 4 (max)", "kite"),
            analysed("d1", "DeepSeek V5 (Reasoning)", "deepseek"),
            analysed("d2", "DeepSeek V5 (Nov '26) (Reasoning)", "deepseek", autumn),
            hub("NovaLabsAI/Zephyrus-2.5-Pro"),
            hub("unsloth/Zephyrus-2.5-Pro-GGUF"),
            hub("NovaLabsAI/Zephyrus-2.5-Pro-Base"),
            hub("x/Zephyrus-2.5-Pro-heretic"),
            hub("kite-research/Kestrel-4-1.2T-A40B"),
            hub("deepseek-ai/DeepSeek-V5"),
            hub("deepseek-ai/DeepSeek-V5-1104"),
        ]
    )

    assert found == {frozenset(members) for members in wanted}


def test_a_wrong_key_joins_nothing_that_contradicts_it() -> None:
    """A source that names another size is not believed; one that names the right repository is."""
    rows = [
        {**arena("unused"), "source": "artificial_analysis", "record_id": "a", "name": "Alpha 3 Instruct 70B",
         "organization": "v", "refs": ["huggingface:v/alpha-3-8b-instruct"]},
        hub("v/Alpha-3-8B-Instruct"),
        openrouter("v/alpha-3-70b-instruct"),
    ]  # fmt: skip

    found = models(rows)

    assert {"huggingface:v/Alpha-3-8B-Instruct"} in found
    assert {"artificial_analysis:a", "openrouter:v/alpha-3-70b-instruct"} in found


def test_strangers_with_equal_names_stay_apart() -> None:
    """Two people's fine-tunes called alike are two models; a known mirror's conversion joins the one original."""
    rows = [
        hub("ann/zephyr-7b-sft"),
        hub("bob/zephyr-7b-sft"),
        hub("eve/quokka-7b-dpo"),
        hub("TheBloke/quokka-7b-dpo-GGUF"),
    ]

    found = models(rows)

    assert {"huggingface:ann/zephyr-7b-sft"} in found
    assert {"huggingface:eve/quokka-7b-dpo", "huggingface:TheBloke/quokka-7b-dpo-GGUF"} in found


def test_pins_join_and_part() -> None:
    """`same` joins what names do not; `different` parts what they do."""
    rows = [openrouter("v/alpha-7b"), arena("alpha-7b", "v"), arena("omega", "v")]
    one, two, odd = ("openrouter", "v/alpha-7b"), ("lmsys_arena", "alpha-7b"), ("lmsys_arena", "omega")

    parted = models(rows, Pins((Pin(one, two, False, "by hand"),)))
    joined = models(rows, Pins((Pin(one, odd, True, "by hand"),)))

    assert {"openrouter:v/alpha-7b"} in parted
    assert {"openrouter:v/alpha-7b", "lmsys_arena:alpha-7b", "lmsys_arena:omega"} in joined


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_nothing(small: set[frozenset[str]], threads: int) -> None:
    """Nor does a second run."""
    assert small == models(SMALL, threads=threads)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_order_changes_nothing(small: set[frozenset[str]], chance: random.Random) -> None:
    """Rows in any order."""
    rows = list(SMALL)
    chance.shuffle(rows)

    assert small == models(rows)


GARBAGE = [
    "",
    "🦙🔥",
    "\u200b",
    "x" * 10_000,
    "'; DROP TABLE units; --",
    "نموذج لغوي",
    "\u202egpt",
    "NULL",
    "||||",
    "a\x00b",
]


def test_garbage_ends_up_alone_and_harms_nothing(small: set[frozenset[str]]) -> None:
    """Empty, emoji, endless, SQL, right-to-left and zero-width names beside good ones."""
    found = models([*SMALL, *(arena(name) for name in GARBAGE)])

    assert small <= found
    assert len(GARBAGE) == len(found - small)


def test_nothing_to_link_is_no_error() -> None:
    """An empty build."""
    assert linkage.link(records.frame([])).records.is_empty()
