"""What can be called: an offer at a reasoning effort, with everything a decision or a call needs of it at hand.

Facts about one candidate belong here, worked out once when a publication is read. Order, filters and requests do not
(`routing.py`).
"""

from __future__ import annotations

from enum import IntFlag
from typing import NamedTuple

from proxy.upstreams import Account
from warehouse.published import Configuration, Offer


class Needs(IntFlag):
    """What a request asks of a model beyond text in and text out."""

    NOTHING = 0
    TOOLS = 1
    VISION = 2
    AUDIO = 4
    FILES = 8
    JSON_SCHEMA = 16
    JSON_MODE = 32
    VIDEO = 64


WORDS: dict[Needs, str] = {
    Needs.TOOLS: "tools",
    Needs.VISION: "image input",
    Needs.AUDIO: "audio input",
    Needs.FILES: "file input",
    Needs.JSON_SCHEMA: "a JSON schema",
    Needs.JSON_MODE: "JSON mode",
    Needs.VIDEO: "video input",
}


class Candidate:
    """An offer at an effort. One object for all profiles it is ranked in."""

    __slots__ = (
        "account",
        "account_problem",
        "breaker_keys",
        "context_tokens",
        "effort",
        "endpoint_key",
        "first_token_ms",
        "has",
        "headers",
        "is_unknown",
        "model_key",
        "offer",
        "offer_problem",
        "output_tokens",
        "problem",
        "throughput_tokens_per_s",
        "vendor_key",
    )

    def __init__(
        self, offer: Offer, effort: str | None, account: Account | None, configuration: Configuration | None
    ) -> None:
        self.offer = offer
        self.effort = effort
        self.account = account
        self.offer_problem = None if offer.is_callable else offer.not_callable_reason or f"it is listed as {offer.kind}"
        self.account_problem = _problem(account, offer.upstream)
        self.problem = self.offer_problem or self.account_problem
        self.has, self.is_unknown = _capabilities(offer)
        self.context_tokens = offer.context_tokens
        # The model at that upstream, and the host endpoint of it; the same where no host is named.
        self.model_key = f"{offer.upstream}:{offer.upstream_model}"
        self.endpoint_key = offer.offer_id
        # Whose refusal it would be: the model's maker, at that upstream.
        self.vendor_key = f"vendor {offer.upstream}:{offer.model_id.partition('/')[0]}"
        own = (self.model_key,) if self.model_key == self.endpoint_key else (self.model_key, self.endpoint_key)
        self.breaker_keys: tuple[str, ...] = (*own, account.breaker_key) if account else own
        first_token_ms = configuration.latency_ms if configuration else None
        self.first_token_ms = offer.latency_ms if first_token_ms is None else first_token_ms
        self.throughput_tokens_per_s = offer.throughput_tokens_per_s or (
            configuration.throughput_tokens_per_s if configuration else None
        )
        self.output_tokens = configuration.output_tokens if configuration else None
        self.headers: tuple[tuple[bytes, bytes], ...] = (
            (b"x-orchestrator-model", _header(offer.model_id)),
            (b"x-orchestrator-upstream", _header(offer.offer_id)),
        )

    @property
    def name(self) -> str:
        """Offer and effort, for people."""
        return f"{self.offer.offer_id} at {self.effort}" if self.effort else self.offer.offer_id


class Ranked(NamedTuple):
    """A candidate's place in a list."""

    candidate: Candidate
    rank: int | None
    """Null for an offer of a named model that the profile does not rank."""
    score: float | None
    quality_score: float | None = None
    latency_score: float | None = None
    cost_score: float | None = None
    context_score: float | None = None
    latency_ms: float | None = None
    cost_in_usd_per_call: float | None = None


def _header(text: str) -> bytes:
    return text.encode("ascii", "replace").translate(None, b"\r\n\0")


def _problem(account: Account | None, upstream: str) -> str | None:
    return f"upstream {upstream} is not configured" if account is None else account.problem


def _capabilities(offer: Offer) -> tuple[Needs, Needs]:
    """What the offer surely has, and what nobody says anything about."""
    modalities = offer.input_modalities
    stated: tuple[tuple[Needs, bool | None], ...] = (
        (Needs.TOOLS, offer.supports_tools),
        (Needs.VISION, offer.supports_vision),
        (Needs.AUDIO, offer.supports_audio),
        (Needs.FILES, "file" in modalities if modalities else None),
        (Needs.VIDEO, "video" in modalities if modalities else None),
        (Needs.JSON_SCHEMA, offer.supports_json_schema),
        (Needs.JSON_MODE, True if offer.supports_json_schema else offer.supports_json_mode),
    )
    has = unknown = Needs.NOTHING
    for need, is_supported in stated:
        if is_supported is None:
            unknown |= need
        elif is_supported:
            has |= need
    return has, unknown
