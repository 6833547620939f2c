"""What a caller asks of the route in the request itself: OpenRouter's `provider` object, name suffixes, our `routing`.

Reading and checking these fields, and turning them into a filter and an order over offers, belong here. Pure. Which
candidates there are is `routing.py`'s; what each kind of upstream understands of a body is `dialects.py`'s.

OpenRouter's fields are the convention (openrouter.ai/docs/guides/routing/provider-selection): a field that is not known
is passed on to it and named as unapplied elsewhere. Our own `routing` object answers an unknown field with 400.
Mind the units: the request says seconds and US dollars per million tokens, an offer's latency is in milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from proxy.difficulty.assessment import CATEGORIES
from proxy.errors import InvalidRequestError
from warehouse.published import Offer

R = TypeVar("R")

SORTS = ("price", "throughput", "latency", "exacto")
ROUTING_SUFFIXES: Mapping[str, str | None] = {
    "nitro": "throughput",
    "floor": "price",
    "exacto": "exacto",
    "online": None,
}
"""Suffixes that any model name may carry, and the order they stand for."""
CATALOGUE_SUFFIXES = ("free",)
"""Suffixes that name an offer of their own; understood on any model that has such an offer."""

_MOST_NAMES = 64
_EMPTY: Mapping[str, Any] = MappingProxyType({})
_OPENROUTER = frozenset(("openrouter",))

# Fields of a body that say nothing about what a host must support.
_NO_PARAMETERS = frozenset(
    (
        "model", "models", "messages", "input", "prompt", "stream", "stream_options", "provider", "route", "routing",
        "routing_profile", "session_id", "user", "metadata", "usage", "plugins", "transforms", "prompt_cache_key",
        "store", "safety_identifier", "service_tier",
    )
)  # fmt: skip
_SAME_PARAMETER = {
    "max_completion_tokens": "max_tokens",
    "reasoning_effort": "reasoning",
    "functions": "tools",
    "function_call": "tool_choice",
    "parallel_tool_calls": "tools",
}


class MaxPrice(NamedTuple):
    """Ceilings in US dollars: per million tokens, per request, per image. None sets none."""

    prompt: float | None = None
    completion: float | None = None
    request: float | None = None
    image: float | None = None


_NO_CEILING = MaxPrice()


@dataclass(frozen=True, slots=True)
class Preferences:
    """A filter and an order over offers. The default one admits everything and changes nothing."""

    order_of_hosts: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_fallbacks: bool = True
    required_parameters: frozenset[str] = frozenset()
    data_collection: str | None = None
    """allow, deny, or None where nobody said."""
    zero_data_retention: bool = False
    quantizations: frozenset[str] = frozenset()
    sort: str | None = None
    sorts_across_models: bool = False
    max_price: MaxPrice = _NO_CEILING
    preferred_throughput_tokens_per_s: float | None = None
    preferred_latency_ms: float | None = None
    allow_free: bool | None = None
    """None leaves it to the ranking."""
    is_free_only: bool = False
    is_online: bool = False
    upstreams: frozenset[str] = frozenset()
    """Names of the configured upstreams, so that a name in `only` can mean one."""
    marketplaces: frozenset[str] = _OPENROUTER
    """Names of those whose convention this is: they get the caller's object and apply it to hosts of their choice."""
    provider: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    """The caller's own object, for the upstream whose convention it is."""
    meaningless: tuple[str, ...] = ()
    """Fields that say nothing outside OpenRouter."""

    @property
    def is_default(self) -> bool:
        """Whether nothing was asked for; then neither filter nor order need be applied."""
        return self is NONE or self == NONE

    @property
    def _arranges(self) -> bool:
        is_sorted = self.sort is not None or bool(self.order_of_hosts) or not self.allow_fallbacks
        return is_sorted or self.preferred_latency_ms is not None or self.preferred_throughput_tokens_per_s is not None

    def admits(self, offer: Offer) -> str | None:
        """Why the offer is out of the question; None when it is not."""
        # A host that the upstream chooses is filtered by the upstream: it gets the caller's object.
        is_theirs = offer.host_tag is None and offer.upstream in self.marketplaces
        if self.only and not self._is_among(self.only, offer, is_theirs):
            return f"it is not served by {_listed(self.only)}"
        if self.ignore and any(_serves(name, offer) for name in self.ignore):
            return "the request ignores its host"
        is_last_word = bool(self.order_of_hosts) and not self.allow_fallbacks
        if is_last_word and not self._is_among(self.order_of_hosts, offer, is_theirs):
            return f"no fallback beyond {_listed(self.order_of_hosts)} is allowed"
        if self.allow_free is False and offer.is_free:
            return "it is a free offer, which the request rules out"
        if self.is_free_only and not (offer.is_free or offer.is_local):
            return "it is not free"
        if self.data_collection == "deny" and offer.may_train_on_prompts and not offer.is_local:
            return "its host may train on or publish prompts"
        if self.zero_data_retention and not offer.is_local and offer.upstream not in self.marketplaces:
            return "nobody says that it keeps no data"
        if self.quantizations and not is_theirs and (offer.quantization or "unknown").lower() not in self.quantizations:
            return f"its quantisation is {offer.quantization or 'unknown'}"
        if self.required_parameters:
            missing = self.required_parameters.difference(_parameters(offer.supported_parameters))
            if missing:
                return f"it does not list {_listed(sorted(missing))}"
        return self._price_problem(offer) if self.max_price != _NO_CEILING else None

    def order(
        self,
        ranked: Iterable[R],
        offer_of: Callable[[R], Offer],
        passes: Callable[[R], bool] = lambda _: True,
        *,
        names_models: bool = False,
    ) -> Iterator[R]:
        """Those that pass, best first. Models keep the order of their first mention unless the sort crosses models.

        With `allow_fallbacks` off what may follow a failure is cut away: everything beyond the hosts in `order`, or,
        without such a list, all but the first (of each model, where the caller named several as `models`). Lazy: what
        comes later is not looked at before its turn, since most calls are answered by the first.
        """
        if not self._arranges:
            yield from filter(passes, ranked)
            return
        groups: dict[str, list[R]] = {}
        for one in ranked:
            groups.setdefault("" if self.sorts_across_models else offer_of(one).model_id, []).append(one)
        for group in groups.values():
            kept = [one for one in group if passes(one)]
            kept.sort(key=lambda one: self._sort_key(offer_of(one)))
            if self.allow_fallbacks or self.order_of_hosts:
                yield from kept
            elif kept:
                yield kept[0]
                if not names_models:
                    return

    def provider_for(self, offer: Offer) -> dict[str, Any] | None:
        """The `provider` object to send to OpenRouter with this offer; None when there is nothing to say.

        A ranked host is written in as the only one: what follows a failure is this router's choice, not the
        upstream's. Where no host is ranked, the caller's wishes go out as they came.
        """
        said = dict(self.provider)
        if self.data_collection == "deny":
            said["data_collection"] = "deny"
        if offer.host_tag is not None:
            for name in ("sort", "only", "ignore", "preferred_min_throughput", "preferred_max_latency"):
                said.pop(name, None)
            said["order"] = [offer.host_tag]
            said["allow_fallbacks"] = False
        elif self.sort is not None:
            said.setdefault("sort", self.sort)
        return said or None

    def unapplied(self, offer: Offer) -> tuple[str, ...]:
        """Names of the fields that this offer's upstream gives no meaning to."""
        if offer.upstream in self.marketplaces:
            return ()
        names = list(self.meaningless)
        if self.is_online:
            names.append(":online")
        is_asked_for = self.data_collection == "deny" and "data_collection" in self.provider
        if is_asked_for and offer.may_train_on_prompts is None and not offer.is_local:
            names.append("provider.data_collection")
        if self.preferred_throughput_tokens_per_s is not None and offer.throughput_tokens_per_s is None:
            names.append("provider.preferred_min_throughput")
        if self.preferred_latency_ms is not None and offer.latency_ms is None:
            names.append("provider.preferred_max_latency")
        return tuple(names)

    def _is_among(self, names: Collection[str], offer: Offer, is_theirs: bool) -> bool:
        if any(_serves(name, offer) for name in names):
            return True
        # Some name may be a host of the marketplace, and then it decides. If all are upstreams of ours, none is, and
        # the prompt must not go there.
        return is_theirs and any(name not in self.upstreams for name in names)

    def _price_problem(self, offer: Offer) -> str | None:
        if offer.is_local or offer.is_free:
            return None
        of_offer = (
            ("prompt", offer.price_in_usd_per_mtok, None),
            ("completion", offer.price_out_usd_per_mtok, None),
            ("request", offer.price_request_usd, 0.0),
            ("image", offer.price_image_usd, 0.0),
        )
        for (what, price, assumed), most in zip(of_offer, self.max_price, strict=True):
            if most is None:
                continue
            price = assumed if price is None else price
            if price is None:
                return f"its {what} price is not known, and the request sets a ceiling"
            if price > most:
                return f"its {what} price of ${price:g} is above ${most:g}"
        return None

    def _sort_key(self, offer: Offer) -> tuple[int, int, float]:
        return self._place(offer), self._miss(offer), self._sort_value(offer)

    def _place(self, offer: Offer) -> int:
        for place, name in enumerate(self.order_of_hosts):
            if _serves(name, offer):
                return place
        return len(self.order_of_hosts)

    def _miss(self, offer: Offer) -> int:
        """0 meets what is preferred, more the more is unknown or missed. A preference moves back, it never excludes."""
        missed = 0
        if self.preferred_throughput_tokens_per_s is not None:
            speed = offer.throughput_tokens_per_s
            missed += 1 if speed is None else 3 if speed < self.preferred_throughput_tokens_per_s else 0
        if self.preferred_latency_ms is not None:
            latency = offer.latency_ms
            missed += 1 if latency is None else 3 if latency > self.preferred_latency_ms else 0
        return missed

    def _sort_value(self, offer: Offer) -> float:
        if self.sort is None:
            return 0.0
        if self.sort == "price":
            return blended_price(offer)
        if self.sort == "throughput":
            return math.inf if offer.throughput_tokens_per_s is None else -offer.throughput_tokens_per_s
        if self.sort == "latency":
            return math.inf if offer.latency_ms is None else offer.latency_ms
        return 0.0 if offer.variant == "exacto" else 1.0


NONE: Final = Preferences()
"""Nothing asked for."""


@dataclass(frozen=True, slots=True)
class Routing:
    """Our own `routing` object, checked."""

    profile: str | None = None
    difficulty: float | str | None = None
    """0 to 1, `off`, or None: as scored."""
    on_break: str = "error"
    """What follows when a stream breaks after content: `error`, or `continue` with the next candidate that can."""
    hedge: bool | None = None
    """A second candidate may be asked when the first is slow; None leaves it to the setting."""
    allow_free: bool | None = None
    max_attempts: int | None = None
    affinity: bool | None = None
    """Whether the call stays with its session's endpoint; None leaves it to the setting."""
    cache: str | None = None
    """`off`, `on` or `force` (answers that need not repeat are kept too); None leaves it to the setting."""
    category: str | None = None
    """The kind of task, `off`, or None: as judged."""


DEFAULT_ROUTING: Final = Routing()
ROUTING_FIELDS = tuple(one.name for one in fields(Routing))


def read_routing(body: Mapping[str, Any]) -> Routing:
    """The `routing` object of a body.

    Raises `InvalidRequestError` for an unknown field, naming those that are known, and for a wrong value.
    """
    said = body.get("routing")
    if said is None:
        return DEFAULT_ROUTING
    if not isinstance(said, dict):
        raise InvalidRequestError("routing must be an object.", param="routing")
    unknown = sorted(set(said) - set(ROUTING_FIELDS))
    if unknown:
        raise InvalidRequestError(
            f"routing has no field {_listed(unknown)}; known are {', '.join(ROUTING_FIELDS)}.",
            param=f"routing.{unknown[0]}",
        )
    difficulty = said.get("difficulty")
    if difficulty is not None and difficulty != "off":
        difficulty = _number(difficulty, "routing.difficulty", "off or a number from 0 to 1", high=1.0)
    attempts = said.get("max_attempts")
    if attempts is not None and (type(attempts) is not int or not 1 <= attempts <= 50):
        param = "routing.max_attempts"
        raise InvalidRequestError(f"{param} must be a whole number from 1 to 50.", param=param)
    return Routing(
        profile=_word(said, "routing", "profile"),
        difficulty=difficulty,
        category=_word(said, "routing", "category", ("off", *CATEGORIES)),
        on_break=_word(said, "routing", "on_break", ("error", "continue")) or "error",
        hedge=_flag(said, "routing", "hedge"),
        allow_free=_flag(said, "routing", "allow_free"),
        max_attempts=attempts,
        affinity=_flag(said, "routing", "affinity"),
        cache=_word(said, "routing", "cache", ("off", "on", "force")),
    )


def read_preferences(
    body: Mapping[str, Any],
    routing: Routing = DEFAULT_ROUTING,
    *,
    default: Preferences = NONE,
    upstreams: Collection[str] = (),
    marketplaces: frozenset[str] = _OPENROUTER,
) -> Preferences:
    """The preferences of a body; `default` itself when it holds none.

    `default` may say what to think of hosts that train on prompts; a request that says so itself wins.

    Raises `InvalidRequestError` when a field that is understood has a wrong type or value. Fields of `provider` that
    are not understood are kept for OpenRouter.
    """
    said, route = body.get("provider"), body.get("route")
    if route is not None and route != "fallback":
        raise InvalidRequestError("route must be fallback.", param="route")
    if said is None:
        if routing.allow_free is None:
            return default
        return replace(default, allow_free=routing.allow_free)
    if not isinstance(said, dict):
        raise InvalidRequestError("provider must be an object.", param="provider")
    for name in ("zdr", "enforce_distillable_text", "allow_fallbacks", "require_parameters"):
        _flag(said, "provider", name)
    sort, across = _sort(said.get("sort"))
    required: frozenset[str] = frozenset()
    if said.get("require_parameters"):
        required = frozenset(_parameters(name for name in body if name not in _NO_PARAMETERS))
    return Preferences(
        order_of_hosts=_names(said, "order"),
        only=_names(said, "only"),
        ignore=_names(said, "ignore"),
        allow_fallbacks=said.get("allow_fallbacks") is not False,
        required_parameters=required,
        data_collection=_word(said, "provider", "data_collection", ("allow", "deny")) or default.data_collection,
        zero_data_retention=said.get("zdr") is True,
        quantizations=frozenset(_names(said, "quantizations")),
        sort=sort,
        sorts_across_models=across,
        max_price=_max_price(said.get("max_price")),
        preferred_throughput_tokens_per_s=_threshold(said.get("preferred_min_throughput"), "preferred_min_throughput"),
        preferred_latency_ms=_in_ms(_threshold(said.get("preferred_max_latency"), "preferred_max_latency")),
        allow_free=routing.allow_free,
        upstreams=frozenset(name.lower() for name in upstreams),
        marketplaces=marketplaces,
        provider=MappingProxyType(dict(said)),
        meaningless=tuple(f"provider.{name}" for name in said if name not in _UNDERSTOOD)
        + tuple(
            f"provider.{name}.{part}"
            for name in ("preferred_min_throughput", "preferred_max_latency")
            if isinstance(said.get(name), dict)
            for part in said[name]
            if part != "p50"
        ),
    )


def with_suffix(preferences: Preferences, suffix: str) -> Preferences:
    """The preferences with what a name's suffix asks for. What the request says in so many words wins."""
    if suffix == "free":
        return replace(preferences, is_free_only=True)
    if suffix == "online":
        return replace(preferences, is_online=True)
    return replace(preferences, sort=preferences.sort or ROUTING_SUFFIXES[suffix])


def split_suffix(name: str, is_known: Callable[[str], bool]) -> tuple[str, str | None]:
    """A model's name and its suffix, where it has one that is not part of a known name.

    `meta/llama:free` stays whole where such an offer is known; `llama3.1:8b` always does.
    """
    base, colon, suffix = name.rpartition(":")
    suffix = suffix.lower()
    if not colon or not base or (suffix not in ROUTING_SUFFIXES and suffix not in CATALOGUE_SUFFIXES) or is_known(name):
        return name, None
    return base, suffix


def blended_price(offer: Offer) -> float:
    """Price of three prompt tokens to one completion token, per million; unknown is infinite, local is zero."""
    if offer.is_local or offer.is_free:
        return 0.0
    if offer.price_in_usd_per_mtok is None or offer.price_out_usd_per_mtok is None:
        return math.inf
    return (3 * offer.price_in_usd_per_mtok + offer.price_out_usd_per_mtok) / 4


_UNDERSTOOD = frozenset(
    (
        "order", "only", "ignore", "allow_fallbacks", "require_parameters", "data_collection", "zdr", "quantizations",
        "sort", "max_price", "preferred_min_throughput", "preferred_max_latency",
    )
)  # fmt: skip


def _serves(name: str, offer: Offer) -> bool:
    return name in _names_of(offer.upstream, offer.host_tag, offer.host_name)


@lru_cache(maxsize=4096)
def _names_of(upstream: str, host_tag: str | None, host_name: str | None) -> frozenset[str]:
    """Every name a host is known by: `google-vertex` means each of its regions, as at OpenRouter."""
    names = {upstream.lower()}
    if host_tag:
        parts = host_tag.lower().split("/")
        names.update("/".join(parts[: i + 1]) for i in range(len(parts)))
    if host_name:
        names.update((host_name.lower(), host_name.lower().replace(" ", "-")))
    return frozenset(names)


def _parameters(names: Iterable[str]) -> set[str]:
    return {_SAME_PARAMETER.get(name, name) for name in names}


def _names(said: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = said.get(name)
    if value is None:
        return ()
    is_list = isinstance(value, list) and len(value) <= _MOST_NAMES
    if not is_list or any(not isinstance(one, str) or not one for one in value):
        param = f"provider.{name}"
        raise InvalidRequestError(f"{param} must be a list of at most {_MOST_NAMES} names.", param=param)
    return tuple(one.lower() for one in value)


def _sort(value: Any) -> tuple[str | None, bool]:
    across = False
    if isinstance(value, dict):
        partition = value.get("partition")
        if partition not in (None, "model", "none"):
            raise InvalidRequestError("provider.sort.partition must be model or none.", param="provider.sort.partition")
        across, value = partition == "none", value.get("by")
    if value is not None and value not in SORTS:
        raise InvalidRequestError(f"provider.sort must be one of {', '.join(SORTS)}.", param="provider.sort")
    return value, across


def _max_price(value: Any) -> MaxPrice:
    if value is None:
        return _NO_CEILING
    if not isinstance(value, dict):
        raise InvalidRequestError("provider.max_price must be an object.", param="provider.max_price")
    return MaxPrice(
        *(
            None
            if value.get(name) is None
            else _number(value[name], f"provider.max_price.{name}", "a price in US dollars", text_is_fine=True)
            for name in MaxPrice._fields
        )
    )


def _threshold(value: Any, name: str) -> float | None:
    """The median of what is preferred: offers carry no other percentile."""
    if isinstance(value, dict):
        parts = {
            part: _number(one, f"provider.{name}.{part}", "a number") for part, one in value.items() if one is not None
        }
        return parts.get("p50")
    if value is None:
        return None
    return _number(value, f"provider.{name}", "a number, or an object with p50, p75, p90, p99")


def _in_ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _number(value: Any, param: str, expected: str, *, high: float = math.inf, text_is_fine: bool = False) -> float:
    if text_is_fine and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= high or not value < math.inf:
        raise InvalidRequestError(f"{param} must be {expected}.", param=param)
    return float(value)


def _flag(said: Mapping[str, Any], where: str, name: str) -> bool | None:
    value = said.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidRequestError(f"{where}.{name} must be true or false.", param=f"{where}.{name}")
    return value


def _word(said: Mapping[str, Any], where: str, name: str, words: Sequence[str] | None = None) -> str | None:
    value = said.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or (words is not None and value not in words):
        expected = "a string" if words is None else " or ".join(words)
        raise InvalidRequestError(f"{where}.{name} must be {expected}.", param=f"{where}.{name}")
    return value


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
