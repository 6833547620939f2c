"""Every setting of the proxy, read from the environment once and checked with clear messages.

Names, defaults and limits belong here. Upstreams are not settings but rows of a file (`warehouse/upstreams.py`), and
where the warehouse lies is `warehouse/locations.py`'s to say.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

PREFIX = "ORCHESTRATOR_"


class SettingsError(ValueError):
    """A variable holds something that cannot be meant. The text names the variable and what is expected."""


def _setting(
    default: Any, meaning: str, *, low: float | None = None, high: float | None = None, words: tuple[str, ...] = ()
) -> Any:
    return field(default=default, metadata={"meaning": meaning, "low": low, "high": high, "words": words})


@dataclass(frozen=True, slots=True)
class Settings:
    """One field a variable: `connect_timeout_s` is ORCHESTRATOR_CONNECT_TIMEOUT_S."""

    api_key: str | None = _setting(None, "clients must send it as Bearer or x-api-key; unset means open to all")
    allowed_domains: tuple[str, ...] = _setting(
        (), "comma-separated hosts that may be called though their addresses are private; other hosts stay allowed"
    )
    connect_timeout_s: float = _setting(5.0, "longest wait for a connection to an upstream", low=0.01, high=600)
    first_byte_timeout_s: float | None = _setting(
        None,
        "longest wait for the first content of an answer; unset follows each candidate's own published times",
        low=0.01,
        high=3600,
    )
    between_chunks_timeout_s: float = _setting(
        60.0, "longest silence within an answer that has begun", low=0.01, high=3600
    )
    total_timeout_s: float = _setting(
        600.0, "longest time for a whole call, all attempts together", low=0.01, high=7200
    )
    max_attempts: int = _setting(4, "most candidates that are tried for one call", low=1, high=50)
    breaker_failures: int = _setting(3, "failures in a row that open a breaker", low=1, high=1000)
    breaker_cooldown_s: float = _setting(60.0, "how long an open breaker rests before one trial", low=0.01, high=86400)
    breaker_cooldown_cap_s: float = _setting(
        900.0, "longest rest of a breaker whose trials keep failing; each failed trial doubles it", low=0.01, high=86400
    )
    max_body_bytes: int = _setting(
        32 * 1024 * 1024, "longest request body that is read", low=1024, high=1024 * 1024 * 1024
    )
    max_answer_bytes: int = _setting(
        64 * 1024 * 1024, "longest answer of an upstream that is read whole", low=1024, high=1024 * 1024 * 1024
    )
    keepalive_s: float = _setting(
        15.0,
        "silence after which a streaming client is sent a comment, so that nothing on the way hangs up",
        low=0.01,
        high=3600,
    )
    reload_poll_s: float = _setting(1.0, "how often a new publication is looked for", low=0.01, high=3600)
    drain_timeout_s: float = _setting(30.0, "how long running answers may take after a stop signal", low=0, high=3600)
    cors_origins: tuple[str, ...] = _setting((), "comma-separated origins whose browsers may call; * for all")
    openrouter_referer: str | None = _setting(None, "sent to OpenRouter as HTTP-Referer; unset sends none")
    openrouter_title: str | None = _setting(None, "sent to OpenRouter as X-Title; unset sends none")
    echo_asked_model: bool = _setting(
        False, "answers carry the model name that was asked for, not the one that answered"
    )
    data_collection: str = _setting(
        "deny",
        "allow or deny: whether hosts that may train on prompts may answer; "
        "a request's own provider.data_collection wins",
        words=("allow", "deny"),
    )
    affinity: bool = _setting(
        True, "a session stays with the endpoint whose cache is warm, unless moving is cheaper or better by a margin"
    )
    upstream_concurrency: int | None = _setting(
        None,
        "most calls that an upstream is sent at a time by one worker; a row's own concurrency wins",
        low=1,
        high=1_000_000,
    )
    queue_length: int = _setting(
        64, "most calls that wait for a place at an upstream that has such a limit", low=0, high=100_000
    )
    queue_wait_s: float = _setting(
        2.0, "longest wait for such a place; then the next candidate is asked", low=0, high=600
    )
    cache_mb: int = _setting(
        0, "memory for answers to requests that are meant to repeat; 0 keeps none", low=0, high=65_536
    )
    cache_s: float = _setting(3600.0, "how long such an answer is kept", low=1, high=31_536_000)
    hedge_share: float = _setting(
        0.0,
        "share of calls that may ask a second candidate when the first is slow to speak; 0 never does",
        low=0,
        high=1,
    )
    shadow_share: float = _setting(
        0.0,
        "share of the calls that a profile answers which a second model is sent as well, after the answer, to compare; "
        "0 never does",
        low=0,
        high=1,
    )
    shadow_usd_per_day: float = _setting(
        1.0, "most that such second calls may cost in a day (UTC), all workers together", low=0, high=1_000_000
    )
    keep_decisions: bool = _setting(
        True, "each call's decision is kept for the warehouse, without prompts; false keeps the last 2,000 in memory"
    )
    log_calls: bool = _setting(True, "one JSON line a call on standard error; never holds prompts or answers")


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings. An empty variable counts as unset.

    Raises `SettingsError` for a value of the wrong type or out of its range.
    """
    env = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for one in fields(Settings):
        name = PREFIX + one.name.upper()
        text = env.get(name, "").strip()
        if text:
            known = one.metadata
            if known["words"] and text.lower() not in known["words"]:
                raise SettingsError(f"{name} must be {' or '.join(known['words'])}, not {text!r}.")
            values[one.name] = _parsed(name, text, str(one.type), known["low"], known["high"])
            if known["words"]:
                values[one.name] = text.lower()
    return Settings(**values)


def _parsed(name: str, text: str, kind: str, low: float | None, high: float | None) -> Any:
    if kind.startswith("tuple"):
        return tuple(part for part in (part.strip() for part in text.split(",")) if part)
    if kind.startswith("str"):
        return text
    if kind == "bool":
        words = {
            "true": True,
            "1": True,
            "yes": True,
            "on": True,
            "false": False,
            "0": False,
            "no": False,
            "off": False,
        }
        if text.lower() not in words:
            raise SettingsError(f"{name} must be true or false, not {text!r}.")
        return words[text.lower()]
    is_whole = kind.startswith("int")
    try:
        number = int(text) if is_whole else float(text)
    except ValueError:
        raise SettingsError(f"{name} must be a {'whole ' if is_whole else ''}number, not {text!r}.") from None
    if not math.isfinite(number) or (low is not None and number < low) or (high is not None and number > high):
        raise SettingsError(f"{name} must lie between {low:g} and {high:g}, not {text}.")
    return number
