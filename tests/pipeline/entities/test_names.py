"""Model names are taken apart the same way however a source spells them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.entities import names
from pipeline.entities.names import parse, vendor_of

IDENTITY = ("words", "tier", "modality", "training", "version", "size", "active_b", "context", "date")


def identity(name: str, source: str = "lmsys_arena", organization: str = "") -> dict[str, object]:
    """What of a name decides which model it is, empty parts left out."""
    parts = parse(name, source, organization)._asdict()
    return {part: parts[part] for part in IDENTITY if parts[part] not in ("", None)}


@pytest.mark.parametrize(
    ("spelling", "vendor"),
    [
        ("meta-llama", "meta"),
        ("Meta", "meta"),
        ("zai-org", "z-ai"),
        ("Zhipu AI", "z-ai"),
        ("x-ai", "xai"),
        ("SpaceXAI", "xai"),
        ("Alibaba", "qwen"),
        ("CohereForAI", "cohere"),
        ("sarvamai", "sarvam"),
        ("New Vendor Labs", "newvendor"),
    ],
)
def test_vendors_have_one_spelling(spelling: str, vendor: str) -> None:
    """Companies are known by all the names they go by, and new ones lose what only says company."""
    assert vendor == vendor_of(spelling)


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("gpt-4o-2024-08-06", "2024-08-06"),
        ("claude-3-5-sonnet-20241022", "2024-10-22"),
        ("Claude 3.5 Sonnet (Oct '24)", "2024-10-??"),
        ("DeepSeek-R1-0528", "????-05-28"),
        ("Qwen3-235B-A22B-Instruct-2507", "2025-07-??"),
        ("gemini-2.5-flash-preview-09-2025", "2025-09-??"),
        ("Gemini-2.5-Pro-Preview-05-06", "????-05-06"),
        ("amazon-nova-experimental-chat-26-01-10", "2026-01-10"),
        ("phi-3-mini-4k-instruct-june-2024", "2024-06-??"),
        ("step-1o-turbo-202506", "2025-06-??"),
        ("claude-opus-4-5", ""),
        ("gemma-2-27b-it", ""),
    ],
)
def test_dates_are_read_in_all_their_forms(name: str, date: str) -> None:
    """A date is a date, and a version is not."""
    assert date == parse(name, "lmsys_arena").date


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("claude-opus-4-5", "Claude 4.5 Opus"),
        ("llama-3.2-vision-11b-instruct", "Llama-3.2-11B-Vision-Instruct"),
        ("Command R+ (08-2024)", "command-r-plus-08-2024"),
        ("qwen2.5-72b-instruct", "Qwen 2.5 72B Instruct"),
        ("llama-3.3-nemotron-49b-super-v1", "Llama-3_3-Nemotron-Super-49B-v1"),
        ("minicpm-v-2_6", "MiniCPM-V 2.6"),
        ("Meta-Llama-3.1-8B-Instruct", "llama-3.1-8b-instruct"),
        ("glm-5v-turbo", "GLM 5V Turbo"),
        ("nvidia-nemotron-3-nano-30b-a3b-bf16", "Nemotron 3 Nano 30B A3B"),
        ("G9v3-39A5B", "g9v3 39b a5b"),
        ("GPT-4o (2024-08-06)", "gpt-4o-2024-08-06"),
        ("l3-lunaris-8b", "Llama-3-8B-Lunaris"),
    ],
)
def test_spellings_of_one_model_read_alike(one: str, other: str) -> None:
    """Order, case, dashes, company names and short forms make no difference."""
    assert identity(one) == identity(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20"),
        ("llama-3.1-70b-instruct", "llama-3.3-70b-instruct"),
        ("qwen3-30b-a3b", "qwen3-32b"),
        ("gpt-5-mini", "gpt-5-nano"),
        ("deepseek-r1", "deepseek-r1-distill-qwen-14b"),
        ("phi-3-mini-4k-instruct", "phi-3-mini-128k-instruct"),
        ("gpt-4o", "gpt-4"),
        ("o3", "gpt-3"),
        ("gemma-3-4b-it", "gemma-3n-e4b-it"),
        ("glm-4.5v", "glm-4.5"),
        ("llama2-7b-chat", "llama2-7b-chat-v2"),
        ("mixtral-8x7b-instruct", "mixtral-8x22b-instruct"),
        ("Llama-3.1-70B-Instruct", "Llama-3.1-70B-Instruct-abliterated"),
        ("Hermes-3-Llama-3.1-70B", "Llama-3.1-70B"),
    ],
)
def test_other_models_read_differently(one: str, other: str) -> None:
    """A date, a size, a tier, a distil or an unknown word make another model."""
    assert identity(one) != identity(other)


@pytest.mark.parametrize(
    ("name", "effort", "mode"),
    [
        ("claude-opus-4-5-20251101-thinking-32k", "32k", "thinking"),
        ("claude-opus-5-high", "high", ""),
        ("muse-spark-1.2 (xHigh)", "xhigh", ""),
        ("glm-5.2-max", "", "max"),
        ("Claude Opus 5 (Adaptive Reasoning, Max Effort)", "max", "thinking"),
        ("GPT-5.4 (Non-reasoning)", "none", ""),
        ("qwen3-235b-a22b-no-thinking", "none", ""),
        ("Qwen3-235B-A22B-Thinking-2507", "", "thinking"),
    ],
)
def test_efforts_are_no_part_of_the_model(name: str, effort: str, mode: str) -> None:
    """Efforts are set aside; what may be a mode or a checkpoint is kept to be settled among records."""
    parts = parse(name, "lmsys_arena")

    assert (effort, mode) == (parts.effort, parts.mode)


def test_marketplace_variants_and_formats_are_set_aside() -> None:
    """`:free` is an offer, Q4_K_M and FP8 are formats."""
    plain = identity("meta-llama/Llama-3.1-8B-Instruct", "huggingface")

    assert plain == identity("meta-llama/llama-3.1-8b-instruct:free", "openrouter")
    assert plain == identity("bartowski/Meta-Llama-3.1-8B-Instruct-GGUF", "huggingface")
    assert plain == identity("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "huggingface")
    assert plain == identity("models/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf", "upstream")
    assert parse("meta-llama/llama-3.1-8b-instruct:free", "openrouter").variant == "free"
    assert parse("llama3.1:8b-instruct-q4_K_M", "upstream").quantization == "q4_k_m"


@pytest.mark.parametrize(
    ("local", "repository"),
    [
        ("llama3.1:8b-instruct-q4_K_M", "meta-llama/Llama-3.1-8B-Instruct"),
        ("deepseek-r1:14b", "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B"),
        ("deepseek-r1:8b", "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B"),
        ("mistral:7b", "mistralai/Mistral-7B-Instruct-v0.3"),
        ("qwen3:30b-a3b", "Qwen/Qwen3-30B-A3B"),
        ("hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M", "meta-llama/Llama-3.2-3B-Instruct"),
        ("lmstudio-community/gemma-3-12b-it-GGUF/gemma-3-12b-it-Q4_K_M.gguf", "google/gemma-3-12b-it"),
    ],
)
def test_local_names_read_as_the_repository_they_were_made_from(local: str, repository: str) -> None:
    """Ollama's tags, GGUF files and LM Studio's paths."""
    assert identity(repository, "huggingface") == identity(local, "upstream")


@pytest.mark.parametrize(
    ("hosted", "repository"),
    [
        ("accounts/fireworks/models/llama-v3p1-8b-instruct", "meta-llama/Llama-3.1-8B-Instruct"),
        ("accounts/fireworks/models/deepseek-v3p1", "deepseek-ai/DeepSeek-V3.1"),
        ("models/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "meta-llama/Llama-3.3-70B-Instruct"),
        ("llama-3.3-70b-versatile", "meta-llama/Llama-3.3-70B-Instruct"),
        ("qwen/qwen3-coder:free", "Qwen/Qwen3-Coder"),
    ],
)
def test_what_a_provider_puts_around_a_name_is_no_part_of_it(hosted: str, repository: str) -> None:
    """Paths, a point written as p, the host's own quantisation and made-up names lead to the weights."""
    assert identity(hosted, "litellm_prices") == identity(repository, "openrouter")


def test_ollamas_text_tag_is_the_base_model() -> None:
    """`-text-` tags are not instructed."""
    assert parse("llama3.1:8b-text-q4_0", "upstream").stage == "base"


GARBAGE = ["", "   ", "💥🔥", "\u200b\u202e", "-_-", "()", "''"]


@pytest.mark.parametrize("name", [*GARBAGE, "x" * 10_000, "x-7b-" * 3_000])
def test_what_is_no_name_is_known_as_such(name: str) -> None:
    """Nothing to read, or far too much."""
    assert parse(name, "lmsys_arena").is_garbage


def test_invisible_characters_do_not_make_another_model() -> None:
    """Zero-width and direction marks are dropped before anything is read."""
    assert identity("gpt-4o-2024-08-06") == identity("gpt\u200b-4o\u202e-2024-08-06")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=400), st.sampled_from(["openrouter", "lmsys_arena", "huggingface", "upstream"]))
def test_any_text_is_read_without_harm(name: str, source: str) -> None:
    """Parsing is total, deterministic, and its parts are short."""
    parts = parse(name, source)

    assert parts == parse(name, source)
    assert len(parts.words) <= 2 * names.LONGEST_NAME


def test_steps_are_listed_in_order() -> None:
    """The list is what runs; a step without a sentence about itself is not done."""
    assert all(step.__doc__ for step in names.STEPS)
    assert names.STEPS[0] is names.fold
