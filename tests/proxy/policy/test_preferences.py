"""OpenRouter's request fields and ours, as a filter and an order over offers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidRequestError
from proxy.preferences import (
    NONE,
    Preferences,
    Routing,
    read_preferences,
    read_routing,
    split_suffix,
    with_suffix,
)
from tests.proxy.policy.offers import offer
from warehouse.published import Offer

DEEPINFRA = offer(
    "openrouter:meta/llama@deepinfra/fp4",
    host_name="DeepInfra",
    quantization="fp4",
    price_in_usd_per_mtok=0.1,
    price_out_usd_per_mtok=0.3,
    throughput_tokens_per_s=40.0,
    latency_ms=900.0,
    supported_parameters=("temperature", "tools"),
)
VERTEX = offer(
    "openrouter:meta/llama@google-vertex/us-east5",
    host_name="Google",
    quantization="bf16",
    price_in_usd_per_mtok=0.2,
    price_out_usd_per_mtok=0.6,
    throughput_tokens_per_s=90.0,
    latency_ms=300.0,
    may_train_on_prompts=False,
    supported_parameters=("temperature", "tools", "seed"),
)
CHUTES = offer(
    "openrouter:meta/llama@chutes",
    host_name="Chutes",
    price_in_usd_per_mtok=0.05,
    price_out_usd_per_mtok=0.1,
    may_train_on_prompts=True,
)
ANY_HOST = offer("openrouter:meta/llama", price_in_usd_per_mtok=0.1, price_out_usd_per_mtok=0.3)
LOCAL = offer("ollama:llama", is_local=True, model_id="meta/llama", quantization="q4_k_m")
DIRECT = offer("together:llama", model_id="meta/llama", price_in_usd_per_mtok=0.9, price_out_usd_per_mtok=0.9)
OTHER_MODEL = offer(
    "openrouter:qwen/qwen3@deepinfra/fp8",
    price_in_usd_per_mtok=0.01,
    price_out_usd_per_mtok=0.01,
    throughput_tokens_per_s=200.0,
)
ALL = (DEEPINFRA, VERTEX, CHUTES, ANY_HOST, LOCAL, DIRECT)
UPSTREAMS = ("openrouter", "ollama", "together")


def read(provider: dict[str, Any], **body: Any) -> Preferences:
    return read_preferences({"provider": provider, **body}, upstreams=UPSTREAMS)


def admitted(preferences: Preferences, offers: Iterable[Offer] = ALL) -> list[str]:
    return [one.offer_id for one in offers if preferences.admits(one) is None]


def ordered(preferences: Preferences, offers: Iterable[Offer], **how: Any) -> list[str]:
    return [one.offer_id for one in preferences.order(list(offers), lambda one: one, **how)]


def test_a_body_without_wishes_costs_nothing() -> None:
    """The common call gets the one shared object that changes nothing."""
    assert read_preferences({"model": "auto", "messages": []}) is NONE
    assert NONE.is_default
    assert admitted(NONE) == [one.offer_id for one in ALL]
    assert ordered(NONE, ALL) == [one.offer_id for one in ALL]


def test_only_means_a_host_with_all_its_regions_or_an_upstream() -> None:
    """Google Vertex without a region means each of them; the host that OpenRouter chooses is left to OpenRouter."""
    assert admitted(read({"only": ["google-vertex"]})) == [VERTEX.offer_id, ANY_HOST.offer_id]
    assert admitted(read({"only": ["google-vertex/europe"]})) == [ANY_HOST.offer_id]
    assert admitted(read({"only": ["DeepInfra"]})) == [DEEPINFRA.offer_id, ANY_HOST.offer_id]
    assert admitted(read({"only": ["openrouter"]})) == [one.offer_id for one in (DEEPINFRA, VERTEX, CHUTES, ANY_HOST)]


def test_only_ones_own_server_sends_nothing_elsewhere() -> None:
    """A prompt that may only go to a server of one's own must not reach a marketplace that cannot know the name."""
    assert admitted(read({"only": ["ollama"]})) == [LOCAL.offer_id]
    assert admitted(read({"only": ["ollama", "together"]})) == [LOCAL.offer_id, DIRECT.offer_id]


def test_ignored_hosts_are_out() -> None:
    """One name may be a host's tag, its name for people, or an upstream's."""
    assert admitted(read({"ignore": ["deepinfra", "Google", "together"]})) == [
        CHUTES.offer_id,
        ANY_HOST.offer_id,
        LOCAL.offer_id,
    ]


def test_hosts_that_may_train_on_prompts_are_out_when_denied() -> None:
    """By the request, or by the setting that stands behind it; the request's own word wins."""
    deny = Preferences(data_collection="deny")

    assert CHUTES.offer_id not in admitted(read({"data_collection": "deny"}))
    assert CHUTES.offer_id not in admitted(read_preferences({}, default=deny))
    allowed = read_preferences({"provider": {"data_collection": "allow"}}, default=deny)
    assert CHUTES.offer_id in admitted(allowed)


def test_no_retention_is_believed_only_where_someone_answers_for_it() -> None:
    """A local server keeps nothing elsewhere, OpenRouter enforces it; of others nobody knows."""
    assert DIRECT.offer_id not in admitted(read({"zdr": True}))
    assert LOCAL.offer_id in admitted(read({"zdr": True}))
    assert (read({"zdr": True}).provider_for(ANY_HOST) or {})["zdr"] is True


def test_price_ceilings_hold_and_an_unknown_price_is_above_them() -> None:
    """Numbers come as numbers or, from some clients, as strings."""
    cheap = read({"max_price": {"prompt": "0.15", "completion": 0.5}})

    assert admitted(cheap) == [DEEPINFRA.offer_id, CHUTES.offer_id, ANY_HOST.offer_id, LOCAL.offer_id]
    assert cheap.admits(VERTEX) == "its prompt price of $0.2 is above $0.15"
    assert cheap.admits(offer("x:y")) == "its prompt price is not known, and the request sets a ceiling"


def test_quantisations_that_are_not_named_are_out() -> None:
    """`unknown` is one of the words."""
    assert admitted(read({"quantizations": ["bf16", "unknown"]})) == [
        VERTEX.offer_id,
        CHUTES.offer_id,
        ANY_HOST.offer_id,
        DIRECT.offer_id,
    ]


def test_required_parameters_are_those_of_the_request() -> None:
    """Structure such as messages is no parameter; two spellings of one thing are one."""
    wanted = read({"require_parameters": True}, messages=[], stream=True, seed=7, parallel_tool_calls=True, user="me")

    assert wanted.required_parameters == {"seed", "tools"}
    assert admitted(wanted, (DEEPINFRA, VERTEX)) == [VERTEX.offer_id]
    assert wanted.admits(DEEPINFRA) == "it does not list seed"


def test_an_order_without_fallbacks_is_the_last_word() -> None:
    """Hosts in the order given, and nothing beyond them; with fallbacks the rest follows."""
    with_rest = read({"order": ["google-vertex", "deepinfra"]})
    alone = read({"order": ["google-vertex", "deepinfra"], "allow_fallbacks": False})

    assert ordered(with_rest, (CHUTES, DEEPINFRA, VERTEX)) == [VERTEX.offer_id, DEEPINFRA.offer_id, CHUTES.offer_id]
    assert alone.admits(CHUTES) == "no fallback beyond google-vertex, deepinfra is allowed"


def test_no_fallbacks_means_one_try() -> None:
    """For each model that the caller named itself, since those are fallbacks it asked for."""
    alone = read({"allow_fallbacks": False})

    assert ordered(alone, (DEEPINFRA, VERTEX, OTHER_MODEL)) == [DEEPINFRA.offer_id]
    assert ordered(alone, (DEEPINFRA, VERTEX, OTHER_MODEL), names_models=True) == [
        DEEPINFRA.offer_id,
        OTHER_MODEL.offer_id,
    ]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("price", [CHUTES, DEEPINFRA, VERTEX, OTHER_MODEL]),
        ("throughput", [VERTEX, DEEPINFRA, CHUTES, OTHER_MODEL]),
        ("latency", [VERTEX, DEEPINFRA, CHUTES, OTHER_MODEL]),
        ({"by": "price"}, [CHUTES, DEEPINFRA, VERTEX, OTHER_MODEL]),
        ({"by": "price", "partition": "none"}, [OTHER_MODEL, CHUTES, DEEPINFRA, VERTEX]),
        ({"by": "throughput", "partition": "none"}, [OTHER_MODEL, VERTEX, DEEPINFRA, CHUTES]),
    ],
)
def test_a_sort_stays_within_a_model_unless_told_otherwise(sort: Any, expected: list[Offer]) -> None:
    """The profile chose the model; the sort chooses who serves it. Unknown figures come last."""
    assert ordered(read({"sort": sort}), (DEEPINFRA, VERTEX, CHUTES, OTHER_MODEL)) == [one.offer_id for one in expected]


def test_a_preferred_latency_is_in_seconds_and_only_moves_back() -> None:
    """The offer's own is in milliseconds: half a second is met by 300 ms and missed by 900 ms."""
    quick = read({"preferred_max_latency": 0.5})

    assert ordered(quick, (DEEPINFRA, CHUTES, VERTEX)) == [VERTEX.offer_id, CHUTES.offer_id, DEEPINFRA.offer_id]
    assert admitted(quick) == [one.offer_id for one in ALL]
    assert ordered(read({"preferred_min_throughput": {"p50": 50}}), (DEEPINFRA, VERTEX))[0] == VERTEX.offer_id


def test_what_cannot_be_applied_is_named() -> None:
    """Elsewhere than at OpenRouter; there it is passed on."""
    asked = read(
        {
            "enforce_distillable_text": True,
            "a_field_of_tomorrow": 1,
            "preferred_max_latency": {"p50": 1, "p99": 9},
            "data_collection": "deny",
        }
    )

    assert asked.unapplied(DIRECT) == (
        "provider.enforce_distillable_text",
        "provider.a_field_of_tomorrow",
        "provider.preferred_max_latency.p99",
        "provider.data_collection",
        "provider.preferred_max_latency",
    )
    assert asked.unapplied(DEEPINFRA) == ()
    assert (asked.provider_for(DEEPINFRA) or {})["a_field_of_tomorrow"] == 1


def test_openrouter_gets_the_ranked_host_and_the_callers_other_wishes() -> None:
    """Falling back is this router's business, and a sort would contradict the host."""
    asked = read({"sort": "price", "max_price": {"prompt": 1}, "order": ["chutes", "deepinfra"]})

    assert asked.provider_for(DEEPINFRA) == {
        "max_price": {"prompt": 1},
        "order": ["deepinfra/fp4"],
        "allow_fallbacks": False,
    }
    assert asked.provider_for(ANY_HOST) == {
        "sort": "price",
        "max_price": {"prompt": 1},
        "order": ["chutes", "deepinfra"],
    }
    assert NONE.provider_for(ANY_HOST) is None
    assert NONE.provider_for(VERTEX) == {"order": ["google-vertex/us-east5"], "allow_fallbacks": False}


def test_suffixes_are_wishes_unless_they_belong_to_a_name() -> None:
    """`:free` names an offer where there is one; a size after a colon is part of the name."""
    known = {"meta/llama:free", "llama3.1:8b"}.__contains__

    assert split_suffix("meta/llama:free", known) == ("meta/llama:free", None)
    assert split_suffix("qwen/qwen3:free", known) == ("qwen/qwen3", "free")
    assert split_suffix("openai/gpt-5:Nitro", known) == ("openai/gpt-5", "nitro")
    assert split_suffix("llama3.1:8b", known) == ("llama3.1:8b", None)
    assert split_suffix("mistral:7b", known) == ("mistral:7b", None)
    assert split_suffix(":nitro", known) == (":nitro", None)
    assert with_suffix(NONE, "floor").sort == "price"
    assert with_suffix(read({"sort": "latency"}), "nitro").sort == "latency"
    assert with_suffix(NONE, "free").admits(DIRECT) == "it is not free"
    assert with_suffix(NONE, "exacto").provider_for(ANY_HOST) == {"sort": "exacto"}
    assert with_suffix(NONE, "online").unapplied(DIRECT) == (":online",)


@pytest.mark.parametrize(
    ("provider", "param"),
    [
        ("deepinfra", "provider"),
        ({"only": "deepinfra"}, "provider.only"),
        ({"order": [1]}, "provider.order"),
        ({"ignore": ["x"] * 65}, "provider.ignore"),
        ({"allow_fallbacks": "no"}, "provider.allow_fallbacks"),
        ({"data_collection": "maybe"}, "provider.data_collection"),
        ({"sort": "quality"}, "provider.sort"),
        ({"sort": {"by": "price", "partition": "host"}}, "provider.sort.partition"),
        ({"max_price": 3}, "provider.max_price"),
        ({"max_price": {"prompt": "cheap"}}, "provider.max_price.prompt"),
        ({"max_price": {"prompt": -1}}, "provider.max_price.prompt"),
        ({"max_price": {"prompt": "nan"}}, "provider.max_price.prompt"),
        ({"preferred_max_latency": "fast"}, "provider.preferred_max_latency"),
        ({"zdr": 1}, "provider.zdr"),
    ],
)
def test_a_wrong_wish_is_named(provider: Any, param: str) -> None:
    """A filter that is silently dropped could send a prompt where it must not go."""
    with pytest.raises(InvalidRequestError) as caught:
        read(provider)

    assert caught.value.param == param


def test_our_own_object_knows_its_fields() -> None:
    """An unknown one is answered with those there are."""
    said = {"profile": "speed", "difficulty": 0.7, "on_break": "continue", "hedge": True, "allow_free": False}
    asked = read_routing({"routing": said})

    assert asked == Routing("speed", 0.7, "continue", True, False)
    assert read_routing({"routing": {"difficulty": "off"}}).difficulty == "off"
    assert read_routing({}) == Routing()
    with pytest.raises(InvalidRequestError, match=r"routing has no field profil; known are profile, difficulty"):
        read_routing({"routing": {"profil": "speed"}})


@pytest.mark.parametrize(
    "routing",
    [
        [],
        {"difficulty": 2},
        {"difficulty": "hard"},
        {"difficulty": True},
        {"difficulty": float("nan")},
        {"on_break": "retry"},
        {"hedge": "yes"},
        {"max_attempts": 0},
        {"max_attempts": True},
        {"profile": 3},
        {"cache": "always"},
    ],
)
def test_a_wrong_value_in_our_own_object_is_refused(routing: Any) -> None:
    """With a message that names the field."""
    with pytest.raises(InvalidRequestError, match="routing"):
        read_routing({"routing": routing})


def test_free_offers_can_be_ruled_out() -> None:
    """And nothing else is changed by it."""
    free = offer("openrouter:meta/llama:free", is_free=True)
    asked = read_preferences({}, read_routing({"routing": {"allow_free": False}}))

    assert asked.admits(free) == "it is a free offer, which the request rules out"
    assert asked.admits(LOCAL) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    ["order", "only", "ignore", "allow_fallbacks", "sort", "max_price", "preferred_max_latency", "zdr", "quantizations"]
)


@given(st.dictionaries(FIELDS, JSON))
def test_any_json_is_read_or_refused(provider: dict[str, Any]) -> None:
    """Never another error; and what is read filters and orders without losing or doubling an offer."""
    try:
        preferences = read(provider)
    except InvalidRequestError:
        return
    kept = [one for one in ALL if preferences.admits(one) is None]
    found = list(preferences.order(kept, lambda one: one))

    assert len(found) == len({one.offer_id for one in found})
    assert {one.offer_id for one in found} <= {one.offer_id for one in kept}
    assert not kept or found
