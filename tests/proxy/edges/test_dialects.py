"""What reaches an upstream of a request: nothing is lost unseen, and nothing foreign is sent."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.causes import Repair
from proxy.dialects import DIALECTS, EFFORTS, LOSSES, Adapted, Dialect, Disqualified, adapt, dialect_of, nearest_effort
from warehouse.published import Offer
from warehouse.upstreams import KINDS

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "dialects.md"

HELLO = [{"role": "user", "content": "hello"}]


def offer(**changes: Any) -> Offer:
    values: dict[str, Any] = dict.fromkeys(Offer._fields)
    values |= {
        "offer_id": "somewhere:x/y",
        "model_id": "x/y",
        "upstream": "somewhere",
        "upstream_model": "x/y",
        "kind": "chat",
        "is_callable": True,
        "is_free": False,
        "is_local": False,
        "input_modalities": (),
        "supported_efforts": (),
        "supported_parameters": (),
        "source": "test",
        "record_id": "x/y",
        "observed_at": dt.datetime(2026, 8, 22),
    }
    return Offer(**(values | changes))


def adapted(body: dict[str, Any], kind: str, effort: str | None = None, **changes: Any) -> Adapted:
    repairs = changes.pop("repairs", ())
    found = adapt({"model": "auto", "messages": HELLO, **body}, kind, offer(**changes), effort, repairs)
    assert isinstance(found, Adapted), found
    return found


def sent(body: dict[str, Any], kind: str, effort: str | None = None, **changes: Any) -> dict[str, Any]:
    """What goes out beyond model and the greeting."""
    found = dict(adapted(body, kind, effort, **changes).body)
    del found["model"]
    if found["messages"] is HELLO:
        del found["messages"]
    return found


def test_every_upstream_kind_has_a_dialect() -> None:
    assert set(KINDS) <= set(DIALECTS)


@pytest.mark.parametrize("kind", sorted(DIALECTS))
def test_a_plain_request_passes_through_every_dialect_untouched(kind: str) -> None:
    body = {"model": "auto", "messages": HELLO, "temperature": 0.2, "top_p": 0.9, "stop": ["x"], "stream": True}

    found = adapt(body, kind, offer())

    assert isinstance(found, Adapted)
    assert found.dropped == ()
    assert found.body["messages"] is HELLO
    assert {name: found.body[name] for name in body} == body
    assert set(found.body) - set(body) <= {"max_tokens"}


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("openrouter", {"top_k": 5, "provider": {"sort": "price"}}, {"top_k": 5, "provider": {"sort": "price"}}),
        ("openai_platform", {"max_tokens": 9}, {"max_completion_tokens": 9}),
        ("openai_platform", {"session_id": "s"}, {"prompt_cache_key": "s"}),
        ("openai", {"max_completion_tokens": 9}, {"max_tokens": 9}),
        ("groq", {"max_completion_tokens": 9}, {"max_completion_tokens": 9}),
        ("mistral", {"seed": 4, "stream_options": {"include_usage": True}}, {"random_seed": 4}),
        ("llamacpp", {"repetition_penalty": 1.1, "grammar": "x"}, {"repeat_penalty": 1.1, "grammar": "x"}),
        (
            "lmstudio",
            {"response_format": {"type": "json_object"}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "any_object", "schema": {"type": "object"}},
                }
            },
        ),
        ("anthropic", {"max_tokens": 9, "temperature": 1.7}, {"max_tokens": 9, "temperature": 1.0}),
        ("anthropic", {"max_tokens": 9, "response_format": {"type": "text"}}, {"max_tokens": 9}),
        ("ollama", {"tools": [{}], "tool_choice": "none"}, {}),
        ("ollama", {"tools": [{}], "tool_choice": "auto"}, {"tools": [{}]}),
        ("openai", {"some_new_field": [1]}, {"some_new_field": [1]}),
        ("openai", {"provider": None, "top_k": None, "reasoning": None}, {}),
        ("openrouter", {"usage": {"include": True}}, {}),
    ],
)
def test_translations(kind: str, body: dict[str, Any], expected: dict[str, Any]) -> None:
    assert sent(body, kind) == expected
    assert adapted(body, kind).dropped == ()


@pytest.mark.parametrize(
    ("kind", "body", "dropped"),
    [
        ("openai", {"top_k": 5, "num_ctx": 8192}, ("num_ctx", "top_k")),
        ("vllm", {"top_k": 5, "num_ctx": 8192}, ("num_ctx",)),
        (
            "openai",
            {"provider": {"order": ["x"]}, "plugins": [], "route": "fallback"},
            ("plugins", "provider", "route"),
        ),
        ("openai", {"session_id": "s", "transforms": ["middle-out"]}, ("session_id", "transforms")),
        ("openai", {"plugins": [{"id": "response-healing"}]}, ("plugins",)),
        ("mistral", {"some_new_field": 1}, ("some_new_field",)),
        ("mistral", {"reasoning_effort": "high"}, ("reasoning_effort",)),
        ("anthropic", {"max_tokens": 9, "seed": 1, "frequency_penalty": 0.1}, ("frequency_penalty", "seed")),
        ("ollama", {"n": 1, "parallel_tool_calls": True}, ("n", "parallel_tool_calls")),
        ("groq", {"logprobs": False, "metadata": {}}, ("logprobs", "metadata")),
    ],
)
def test_what_is_harmless_is_left_out_and_named(kind: str, body: dict[str, Any], dropped: tuple[str, ...]) -> None:
    found = adapted(body, kind)

    assert found.dropped == dropped
    assert not set(found.body) & set(dropped)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("groq", {"n": 2}),
        ("groq", {"logprobs": True}),
        ("ollama", {"tool_choice": "required", "tools": [{}]}),
        ("ollama", {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        ("ollama", {"parallel_tool_calls": False}),
        ("anthropic", {"response_format": {"type": "json_schema", "json_schema": {}}}),
        ("deepseek", {"response_format": {"type": "json_schema", "json_schema": {}}}),
        ("openai", {"plugins": [{"id": "web"}]}),
        ("vllm", {"audio": {"voice": "x"}, "modalities": ["text", "audio"]}),
        ("mistral", {"logit_bias": {"5": -100}}),
        (
            "ollama",
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y"}}]}]},
        ),
    ],
)
def test_a_candidate_where_the_meaning_would_be_lost_is_out(kind: str, body: dict[str, Any]) -> None:
    found = adapt({"model": "auto", "messages": HELLO, **body}, kind, offer())

    assert isinstance(found, Disqualified)
    assert kind in found.reason


def test_samplers_are_sent_where_the_offer_says_they_are_understood() -> None:
    assert sent({"top_k": 5}, "openai", supported_parameters=("top_k", "temperature")) == {"top_k": 5}


def test_hints_that_the_offer_does_not_list_are_left_out() -> None:
    found = adapted({"temperature": 0.2, "seed": 1}, "openai_platform", supported_parameters=("tools", "seed"))

    assert found.dropped == ("temperature",)
    assert found.body["seed"] == 1


# --- lengths


@pytest.mark.parametrize(
    ("kind", "body", "cap", "expected"),
    [
        ("openrouter", {"max_tokens": 100_000}, 64_000, {"max_tokens": 64_000}),
        ("openrouter", {"max_tokens": 100}, 64_000, {"max_tokens": 100}),
        ("openrouter", {}, 64_000, {}),
        ("openai_platform", {"max_tokens": 100_000}, 64_000, {"max_completion_tokens": 64_000}),
        ("openai", {"max_tokens": 5, "max_completion_tokens": 7}, None, {"max_tokens": 7}),
        ("anthropic", {}, 64_000, {"max_tokens": 64_000}),
        ("anthropic", {}, None, {"max_tokens": 8_192}),
        ("openai", {"max_tokens": "many"}, 64_000, {"max_tokens": "many"}),
    ],
)
def test_lengths_are_clamped_and_named_as_the_upstream_names_them(
    kind: str, body: dict[str, Any], cap: int | None, expected: dict[str, Any]
) -> None:
    assert sent(body, kind, max_output_tokens=cap) == expected


# --- thinking

HIGH = {"effort": "high"}


@pytest.mark.parametrize(
    ("kind", "body", "effort", "expected"),
    [
        ("openrouter", {}, "high", {"reasoning": HIGH}),
        ("openrouter", {"reasoning": {"exclude": True}}, "high", {"reasoning": {"exclude": True, "effort": "high"}}),
        ("openrouter", {"reasoning": {"effort": "low"}}, "high", {"reasoning": {"effort": "low"}}),
        ("openrouter", {"reasoning_effort": "low"}, "high", {"reasoning_effort": "low"}),
        (
            "openrouter",
            {"thinking": {"type": "enabled", "budget_tokens": 5000}},
            "high",
            {"reasoning": {"max_tokens": 5000}},
        ),
        ("openrouter", {"thinking": {"type": "disabled"}}, None, {"reasoning": {"effort": "none"}}),
        ("openrouter", {}, None, {}),
        ("openrouter", {}, "default", {}),
        ("openai_platform", {"reasoning": HIGH}, None, {"reasoning_effort": "high"}),
        ("openai_platform", {}, "max", {"reasoning_effort": "xhigh"}),
        ("openai", {"thinking": {"type": "enabled", "budget_tokens": 5000}}, None, {"reasoning_effort": "medium"}),
        ("groq", {"reasoning_effort": "high"}, "low", {"reasoning_effort": "high"}),
        ("deepseek", {"reasoning_effort": "none"}, None, {"thinking": {"type": "disabled"}}),
        ("deepseek", {}, "high", {"thinking": {"type": "enabled"}}),
        ("vllm", {}, "none", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("vllm", {"reasoning": {"enabled": False}}, "high", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("vllm", {}, "high", {"reasoning_effort": "high"}),
        (
            "anthropic",
            {"max_tokens": 20_000},
            "medium",
            {"max_tokens": 20_000, "thinking": {"type": "enabled", "budget_tokens": 8_192}},
        ),
        (
            "anthropic",
            {"max_tokens": 4_000, "reasoning_effort": "max"},
            None,
            {"max_tokens": 4_000, "thinking": {"type": "enabled", "budget_tokens": 3_200}},
        ),
        ("anthropic", {"max_tokens": 4_000, "reasoning_effort": "none"}, None, {"max_tokens": 4_000}),
    ],
)
def test_the_effort_is_written_as_the_upstream_reads_it(
    kind: str, body: dict[str, Any], effort: str | None, expected: dict[str, Any]
) -> None:
    assert sent(body, kind, effort) == expected


def test_an_effort_the_offer_does_not_have_becomes_its_nearest() -> None:
    assert sent({"reasoning_effort": "minimal"}, "openai", supported_efforts=("low", "high")) == {
        "reasoning_effort": "low"
    }


def test_thinking_that_cannot_be_asked_for_is_named() -> None:
    assert adapted({"reasoning_effort": "high"}, "openai", supports_reasoning=False).dropped == ("reasoning_effort",)
    assert adapted({"max_tokens": 500, "reasoning_effort": "high"}, "anthropic").dropped == ("reasoning_effort",)
    assert adapted({"reasoning_effort": "none"}, "openai", supported_efforts=("low", "high")).dropped == (
        "reasoning_effort",
    )
    assert adapted({}, "openai", "high", supports_reasoning=False).dropped == ()


@given(st.sampled_from(EFFORTS), st.lists(st.sampled_from(EFFORTS), unique=True))
def test_the_nearest_effort_is_one_of_those_known(effort: str, known: list[str]) -> None:
    found = nearest_effort(effort, known)

    assert found is None or not known or found in known
    assert effort not in known or found == effort


# --- hosts


def test_the_ranked_host_is_the_host_called_unless_the_caller_chose() -> None:
    tag = {"host_tag": "deepinfra/fp8"}

    assert sent({}, "openrouter", **tag) == {"provider": {"only": ["deepinfra/fp8"]}}
    assert sent({"provider": {"zdr": True}}, "openrouter", **tag) == {
        "provider": {"zdr": True, "only": ["deepinfra/fp8"]}
    }
    assert sent({"provider": {"order": ["x"]}}, "openrouter", **tag) == {"provider": {"order": ["x"]}}
    assert sent({"provider": {"sort": "price"}}, "openrouter", **tag) == {"provider": {"sort": "price"}}
    assert sent({"provider": {"only": ["x", "deepinfra"]}}, "openrouter", **tag) == {
        "provider": {"only": ["x", "deepinfra"], "order": ["deepinfra/fp8"]}
    }
    assert sent({}, "openrouter") == {}
    assert sent({}, "vllm", **tag) == {}


# --- messages

MARKED = [
    {"role": "developer", "content": [{"type": "text", "text": "be terse", "cache_control": {"type": "ephemeral"}}]},
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "a", "reasoning": "r", "reasoning_content": "c", "reasoning_details": [{}]},
]


def test_roles_marks_and_old_thoughts_go_where_they_are_understood() -> None:
    assert adapted({"messages": MARKED}, "openrouter").body["messages"] is MARKED

    found = adapted({"messages": MARKED}, "mistral")
    assert found.body["messages"] == [
        {"role": "system", "content": "be terse"},
        MARKED[1],
        {"role": "assistant", "content": "a"},
    ]
    assert found.body["messages"][1] is MARKED[1]
    assert "messages.cache_control" in found.dropped
    assert "messages.reasoning_content" in found.dropped
    assert MARKED[0]["role"] == "developer"

    deepseek = adapted({"messages": MARKED}, "deepseek")
    assert deepseek.body["messages"][2] == {"role": "assistant", "content": "a", "reasoning_content": "c"}
    platform = adapted({"messages": MARKED}, "openai_platform")
    assert platform.body["messages"][0]["role"] == "developer"


def test_later_system_messages_are_the_users_where_a_template_takes_only_one() -> None:
    """Coding agents send several, and some amid the conversation."""
    first = [{"role": "system", "content": "a"}, {"role": "developer", "content": "b"}]
    later = [{"role": "user", "content": "c"}, {"role": "system", "content": "d"}, {"role": "user", "content": "e"}]

    assert adapted({"messages": [*first, *later]}, "vllm").body["messages"] == [
        {"role": "system", "content": "a\n\nb"},
        {"role": "user", "content": "c"},
        {"role": "user", "content": "d"},
        {"role": "user", "content": "e"},
    ]
    mixed = [{"role": "system", "content": [{"type": "text", "text": "a"}]}, first[0], later[0]]
    assert adapted({"messages": mixed}, "mistral").body["messages"][0]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "a"},
    ]
    assert adapted({"messages": later}, "groq").body["messages"] is later
    one = [first[0], later[0]]
    assert adapted({"messages": one}, "vllm").body["messages"] is one


def test_call_ids_are_shortened_alike_in_call_and_result() -> None:
    call = {"id": "toolu_01A09q90qw90lq917835lq9", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call, {**call, "id": "abcDEF123"}]},
        {"role": "tool", "tool_call_id": call["id"], "content": "1"},
    ]

    assistant, tool = adapted({"messages": messages}, "mistral").body["messages"]

    assert assistant["tool_calls"][0]["id"] == tool["tool_call_id"]
    assert len(tool["tool_call_id"]) == 9
    assert tool["tool_call_id"].isalnum()
    assert assistant["tool_calls"][1]["id"] == "abcDEF123"


def test_marks_on_tools_are_taken_off() -> None:
    tool = {"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral"}}

    found = adapted({"tools": [tool]}, "openai")

    assert found.body["tools"] == [{"type": "function", "function": {"name": "f"}}]
    assert found.dropped == ("tools.cache_control",)


# --- repairs


def test_a_refusal_is_repaired_once() -> None:
    limit = Repair("limit_max_tokens", "max_tokens", 500)

    assert sent({"max_tokens": 9_000}, "openrouter", repairs=[limit]) == {"max_tokens": 500}
    assert sent({}, "openrouter", repairs=[limit]) == {"max_tokens": 500}
    assert sent({}, "openai_platform", repairs=[limit]) == {"max_completion_tokens": 500}
    assert isinstance(
        adapt({"messages": HELLO, "max_tokens": 400}, "openrouter", offer(), repairs=[limit]), Disqualified
    )
    assert sent({"max_tokens": 5}, "openai", repairs=[Repair("rename", "max_tokens", "max_completion_tokens")]) == {
        "max_completion_tokens": 5
    }


def test_a_refused_field_is_left_out_if_that_is_harmless() -> None:
    found = adapted({"temperature": 0.2, "reasoning": HIGH}, "openai", repairs=[Repair("drop", "temperature")])
    assert (found.dropped, "temperature" in found.body) == (("temperature",), False)

    found = adapted({}, "openrouter", "high", repairs=[Repair("drop", "reasoning_effort")])
    assert found.dropped == ("reasoning",)

    for body, repair in [
        ({"tools": [{}]}, Repair("drop", "tools")),
        ({}, Repair("drop", "top_k")),
        ({}, Repair("drop", "messages")),
        ({}, Repair("drop", "reasoning")),
    ]:
        assert isinstance(adapt({"messages": HELLO, **body}, "openai", offer(), repairs=[repair]), Disqualified)


# --- which dialect


@pytest.mark.parametrize(
    ("kind", "upstream", "base_url", "expected"),
    [
        ("openai", "mine", "https://api.openai.com/v1", "openai_platform"),
        ("openai", "mine", "https://api.groq.com/openai/v1", "groq"),
        ("openai", "mine", "https://evilapi.groq.com.example/v1", "openai"),
        ("openai", "mine", "https://x.openai.azure.com/openai/v1", "azure"),
        ("openai", "mine", "https://generativelanguage.googleapis.com/v1beta/openai", "google"),
        ("openai", "groq", "http://localhost:9/v1", "openai"),
        ("openai", "groq", "", "groq"),
        ("openai", "openai", "", "openai_platform"),
        ("openai", "vllm", "", "openai"),
        ("openai", "mine", "", "openai"),
        ("vllm", "groq", "https://api.groq.com", "vllm"),
    ],
)
def test_the_dialect_of_an_upstream(kind: str, upstream: str, base_url: str, expected: str) -> None:
    assert dialect_of(kind, upstream, base_url) == expected


# --- any body

values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 200_000) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "effort", "max_tokens", "role", "content", "enabled", "only"]), inner
        )
    ),
    max_leaves=8,
)
field_names = st.sampled_from(
    [
        *LOSSES,
        "provider",
        "reasoning",
        "reasoning_effort",
        "thinking",
        "max_tokens",
        "temperature",
        "top_k",
        "session_id",
    ]
) | st.text(min_size=1, max_size=6)


@given(
    st.sampled_from(sorted(DIALECTS)),
    st.dictionaries(field_names, values, max_size=8),
    st.sampled_from([None, *EFFORTS]),
    st.booleans(),
)
def test_any_body_is_adapted_or_refused_and_never_changed_in_place(
    kind: str, body: dict[str, Any], effort: str | None, has_host: bool
) -> None:
    before = repr(body)

    found = adapt(body, kind, offer(host_tag="h" if has_host else None, max_output_tokens=1_000), effort)

    assert repr(body) == before
    if isinstance(found, Adapted):
        untouched = {name for name in found.body if name in body and found.body[name] is body[name]}
        accounted = untouched | set(found.dropped) | set(found.body)
        renamed = set(DIALECTS[kind].renames)
        translated = {"reasoning", "thinking", "reasoning_effort", "include_reasoning", "enable_thinking", "max_tokens"}
        silent = set(DIALECTS[kind].moot) | {"tool_choice", "response_format", "tools", "max_completion_tokens"}
        nulls = {name for name, value in body.items() if value is None}
        assert set(body) <= accounted | renamed | translated | silent | nulls


# --- the document


def table() -> str:
    """The table of docs/dialects.md, as the rows of `DIALECTS` say it."""
    lines = [
        "| dialect | whose | thinking | length | leaves out or refuses | beyond the standard | unknown fields |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in DIALECTS.values():
        lines.append(
            f"| `{one.name}` | {one.what} | {one.reasoning} | {one.length} | {_fields(one.lacks)} "
            f"| {_fields(one.keeps)} | {'left out' if one.is_strict else 'sent'} |"
        )
    return "\n".join(lines)


def _fields(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "nothing"


def test_the_document_holds_the_table() -> None:
    assert table() in DOCUMENT.read_text(encoding="utf-8")


def test_rows_are_sound() -> None:
    for one in DIALECTS.values():
        assert isinstance(one, Dialect)
        assert not one.keeps & one.lacks, one.name
        assert set(one.efforts) <= set(EFFORTS)
