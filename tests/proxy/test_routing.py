"""Which candidates a request may go to, and why not to the others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.candidates import Candidate, Needs
from proxy.errors import InvalidRequestError, NoUpstreamError, RequirementsError, UnknownModelError
from proxy.request import read_chat
from proxy.routing import Wanted, candidates, explain, nearest, no_candidate, want
from proxy.snapshot import Snapshot
from tests.proxy.hand import indexed
from tests.proxy.publication import offer, row, world
from warehouse import published

PLAIN = offer("v/plain", supports_tools=False, supports_json_schema=False, supports_json_mode=False)
TOOLS = offer("v/tools")
EYES = offer("v/eyes", supports_vision=True, input_modalities=("text", "image"))
WIDE = offer("v/wide", context_tokens=1_000_000)
ALL = [PLAIN, TOOLS, EYES, WIDE]


def free(_: Candidate) -> None:
    return None


def asked(snapshot: Snapshot, band: str = "medium", **body: Any) -> Wanted:
    request = read_chat(json.dumps({"model": "auto", "messages": [{"role": "user", "content": "hi"}], **body}).encode())
    return want(snapshot, request.names, request.profile, band, request.needs, request.tokens)


def models(wanted: Wanted) -> list[str]:
    return [one.candidate.offer.model_id.removeprefix("v/") for one in candidates(wanted, free)]


TOOL = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ["plain", "tools", "eyes", "wide"]),
        ({"tools": [TOOL]}, ["tools", "eyes", "wide"]),
        ({"tools": []}, ["plain", "tools", "eyes", "wide"]),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, ["tools", "eyes", "wide"]),
        ({"response_format": {"type": "text"}}, ["plain", "tools", "eyes", "wide"]),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example"}}]}
                ]
            },
            ["eyes"],
        ),
        ({"max_tokens": 127_000}, ["plain", "tools", "eyes", "wide"]),
        ({"max_tokens": 128_000}, ["wide"]),
        ({"max_completion_tokens": 500_000}, ["wide"]),
        ({"messages": [{"role": "user", "content": "word " * 100_000}]}, ["wide"]),
        ({"messages": [{"role": "user", "content": [{"type": "audio_url", "audio_url": {"url": "x"}}]}]}, []),
    ],
)
def test_needs_and_windows_filter_before_the_ranking_counts(body: dict[str, Any], expected: list[str]) -> None:
    """Order stays the ranking's."""
    assert models(asked(indexed(world(ALL), "openrouter"), **body)) == expected


def test_an_image_carried_in_the_body_is_not_counted_as_text() -> None:
    """Two megabytes of base64 are one picture, not half a million tokens."""
    url = "data:image/png;base64," + "A" * 2_000_000
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]

    assert models(asked(indexed(world(ALL), "openrouter"), messages=messages)) == ["eyes"]


def test_what_nobody_says_is_believed_of_ones_own_server_and_of_a_named_model_only() -> None:
    """The router's own choice does not rest on a guess."""
    unknown = offer("v/unknown", supports_tools=None)
    local = offer("v/local", upstream="mine", supports_tools=None, is_local=True, price_in_usd_per_mtok=None)
    snapshot = indexed(world([unknown, local]), "openrouter", "mine")

    assert models(asked(snapshot, tools=[TOOL])) == ["local"]
    assert models(asked(snapshot, tools=[TOOL], model="v/unknown")) == ["unknown"]


def test_every_rejection_has_its_reason() -> None:
    """First reason that speaks against it; what is left keeps its order."""
    gone = offer("v/gone", is_callable=False, not_callable_reason="it expired on 2026-08-01")
    keyless = offer("v/keyless", upstream="other")
    snapshot = indexed(world([*ALL, gone, keyless]), "openrouter", "other", keyless=["other"])
    wanted = asked(snapshot, tools=[TOOL], max_tokens=128_000)

    chosen, rejected = explain(wanted, lambda one: "resting" if one.offer is WIDE else None)

    assert chosen == []
    assert {one.ranked.candidate.offer.model_id: (one.filter, one.reason) for one in rejected} == {
        "v/plain": ("needs", "it lacks tools"),
        "v/tools": ("context", "its window is 128,000 tokens, the call needs about 128,024"),
        "v/eyes": ("context", "its window is 128,000 tokens, the call needs about 128,024"),
        "v/wide": ("breaker", "resting"),
        "v/gone": ("unavailable", "it expired on 2026-08-01"),
        "v/keyless": ("unavailable", "A_KEY is not set"),
    }


def test_names_lead_to_models_however_they_are_spelled() -> None:
    """Records of other sources, aliases and our own id, in any case; a record's effort is asked for."""
    snapshot = indexed(
        world(
            [TOOLS],
            row(published.ModelRecord, source="lmsys_arena", record_id="Tools-High", model_id="v/tools", effort="high"),
            row(published.ModelAlias, alias="tools-latest", model_id="v/tools", kind="moving_alias"),
        ),
        "openrouter",
    )

    for name in ("v/tools", "V/TOOLS", "tools-latest", "openrouter:v/tools"):
        assert models(asked(snapshot, model=name)) == ["tools"]
    (high,) = candidates(asked(snapshot, model="tools-high"), free)
    assert high.candidate.effort == "high"


def test_a_marketplace_variant_is_meant_only_when_it_is_named() -> None:
    """Free offers may train on prompts: a plain name does not mean them."""
    paid = offer("v/model", host_tag="host")
    unpaid = offer("v/model", upstream_model="v/model:free", variant="free", is_free=True)
    snapshot = indexed(world([unpaid, paid]), "openrouter")

    plain = [one.candidate.offer.offer_id for one in candidates(asked(snapshot, model="v/model"), free)]
    named = [one.candidate.offer.offer_id for one in candidates(asked(snapshot, model="v/model:free"), free)]

    assert plain == ["openrouter:v/model@host"]
    assert named == ["openrouter:v/model:free"]


def test_a_named_models_offers_come_in_the_profiles_order_then_by_price() -> None:
    """Unranked offers last, the cheapest of them first."""
    hosts = {
        name: offer("v/model", host_tag=name, price_in_usd_per_mtok=price)
        for name, price in zip("abcd", (4.0, 3.0, 2.0, 1.0), strict=True)
    }
    rows = [one for one in world([*hosts.values()]) if not (hasattr(one, "rank") and one.offer_id[-1] in "cd")]
    snapshot = indexed(rows, "openrouter")

    assert [one.candidate.offer.host_tag for one in candidates(asked(snapshot, model="v/model"), free)] == list("abdc")


def test_a_named_model_keeps_its_own_effort() -> None:
    """A profile's effort is for its own choices; who names a model chooses the effort too."""
    snapshot = indexed(
        [
            one if not isinstance(one, published.Ranking | published.BandRanking) else one._replace(effort="low")
            for one in world([TOOLS])
        ],
        "openrouter",
    )

    (chosen,) = candidates(asked(snapshot), free)
    (named,) = candidates(asked(snapshot, model="v/tools"), free)

    assert (chosen.candidate.effort, named.candidate.effort) == ("low", None)


def test_what_stops_a_request_is_told() -> None:
    """Missing key, a server of one's own that lists nothing, unmet needs, a model nobody offers."""
    keyless = asked(indexed(world(ALL), "openrouter", keyless=["openrouter"]))
    blind = asked(
        indexed(world([PLAIN, TOOLS]), "openrouter"),
        messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example"}}]}],
    )
    only_known = asked(indexed(world(ALL, row(published.Model, model_id="v/weights")), "openrouter"), model="v/weights")

    assert isinstance(no_candidate(keyless), NoUpstreamError)
    assert "A_KEY is not set" in str(no_candidate(keyless))
    assert "may be called" not in str(no_candidate(keyless))
    beside_an_empty_one = no_candidate(asked(indexed(world(ALL), "openrouter", "cellar", keyless=["openrouter"])))
    assert str(beside_an_empty_one).startswith("No upstream can be called: cellar may be called, but no model of it")
    error = no_candidate(blind)
    assert isinstance(error, RequirementsError)
    assert "2 lack image input" in error.message
    assert isinstance(no_candidate(only_known), UnknownModelError)
    assert "no upstream offers it" in str(no_candidate(only_known))


def test_an_unknown_profile_names_those_there_are() -> None:
    """400, not a silent default."""
    with pytest.raises(InvalidRequestError, match="balanced, budget"):
        asked(indexed(world(ALL), "openrouter"), model="auto:nope")


def test_the_nearest_names_are_near() -> None:
    """A slip of the finger, a missing vendor."""
    snapshot = indexed(world([offer("anthropic/claude-opus-4.5"), offer("openai/gpt-5"), *ALL]), "openrouter")

    assert nearest("claude-opus-45", snapshot)[0] == "anthropic/claude-opus-4.5"
    assert nearest("opnai/gpt5", snapshot)[0] == "openai/gpt-5"
    assert nearest("zzzzqqqq", snapshot) == ()


@settings(max_examples=150, deadline=None)
@given(
    tokens=st.lists(st.one_of(st.none(), st.integers(1, 2_000_000)), min_size=1, max_size=8),
    supports=st.lists(st.sampled_from([True, False, None]), min_size=8, max_size=8),
    needed=st.integers(1, 2_000_000),
    wants_tools=st.booleans(),
    resting=st.sets(st.integers(0, 7)),
)
def test_what_is_tried_is_what_the_explanation_says(
    tokens: list[int | None], supports: list[bool | None], needed: int, wants_tools: bool, resting: set[int]
) -> None:
    """The fast way and the telling way agree; nothing is lost; what is chosen fits."""
    offers = [offer(f"v/m{i}", context_tokens=size, supports_tools=supports[i]) for i, size in enumerate(tokens)]
    snapshot = indexed(world(offers), "openrouter")
    needs = Needs.TOOLS if wants_tools else Needs.NOTHING
    wanted = want(snapshot, (), None, "medium", needs, needed)

    def blocked(one: Candidate) -> str | None:
        return "resting" if int(one.offer.model_id.removeprefix("v/m")) in resting else None

    tried = list(candidates(wanted, blocked))
    chosen, rejected = explain(wanted, blocked)

    assert tried == chosen
    assert len(chosen) + len(rejected) == len(offers)
    assert [one.rank for one in tried] == sorted(one.rank or 0 for one in tried)
    assert all((one.candidate.context_tokens or 8_192) >= needed for one in tried)
    assert all(one.candidate.offer.supports_tools for one in tried) or not wants_tools
