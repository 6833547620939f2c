"""How each configured upstream is called: address, headers, and why it cannot be called where it cannot.

A row of the file becomes an `Account`; what kinds of upstream understand in a body is `dialects.py`, and sending is
`client.py`. Keys are read from the environment here, put into headers, and shown nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.dialects import dialect_of
from proxy.guard import ForbiddenAddressError, Guard
from proxy.settings import Settings
from warehouse.upstreams import Upstream

ENDPOINTS: Mapping[str, str] = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "embeddings": "/embeddings",
}
"""What follows an upstream's base address."""


@dataclass(slots=True, eq=False)
class UpstreamKey:
    """One of several keys of an upstream. It has its own breaker, and a place of its own where places are limited."""

    name: str
    """For people, and the key of its breaker: `key openrouter #2`. Never the key itself."""
    headers: Mapping[str, str] = field(repr=False)
    concurrency: int | None = None
    running: int = 0
    """Calls that are under way with it."""

    def at(self, endpoint_key: str) -> str:
        """Key of the breaker that rests when this key has asked an endpoint too often."""
        return f"{endpoint_key} with {self.name}"


@dataclass(frozen=True, slots=True)
class Account:
    """An upstream with the key its calls are made with, or several."""

    name: str
    kind: str
    dialect: str
    """Which dialect of the API it speaks (`dialects.py`)."""
    is_local: bool
    problem: str | None
    """Why no call can be sent there, in words that say what to do; None when calls can be sent."""
    headers: Mapping[str, str] = field(repr=False)
    urls: Mapping[str, str]
    concurrency: int | None = None
    """Most calls at a time, with all keys together; None sets no limit."""
    keys: tuple[UpstreamKey, ...] = ()
    """Where there are several; `headers` are those of the first."""

    @property
    def breaker_key(self) -> str:
        """Key of the breaker that guards everything behind this account."""
        return f"upstream {self.name}"


def account(upstream: Upstream, environment: Mapping[str, str], guard: Guard, settings: Settings) -> Account:
    """Make an account of a row."""
    problem = None
    # With all that the HTTP client would add by itself.
    headers = {
        "content-type": "application/json",
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": "local-ai-orchestrator",
    }
    keys = upstream.api_keys(environment)
    if upstream.api_key_env:
        if not keys:
            problem = f"{upstream.api_key_env} is not set"
        elif not all(key.isascii() and key.isprintable() and " " not in key for key in keys):
            problem = f"{upstream.api_key_env} holds characters that no key has"
        else:
            headers["authorization"] = f"Bearer {keys[0]}"
    if upstream.kind == "openrouter":
        if settings.openrouter_referer:
            headers["http-referer"] = settings.openrouter_referer
        if settings.openrouter_title:
            headers["x-title"] = settings.openrouter_title
    try:
        guard.check_url(upstream.base_url)
    except ForbiddenAddressError as error:
        problem = str(error)
    of_one_key = upstream.concurrency or settings.upstream_concurrency
    return Account(
        name=upstream.name,
        kind=upstream.kind,
        dialect=dialect_of(upstream.kind, upstream.name, upstream.base_url),
        is_local=upstream.is_local,
        problem=problem,
        headers=headers,
        urls={name: upstream.base_url + path for name, path in ENDPOINTS.items()},
        concurrency=of_one_key * max(1, len(keys)) if of_one_key is not None else None,
        keys=tuple(
            UpstreamKey(f"key {upstream.name} #{i}", {**headers, "authorization": f"Bearer {key}"}, of_one_key)
            for i, key in enumerate(keys, 1)
            if problem is None and len(keys) > 1
        ),
    )


def no_upstream(accounts: Mapping[str, Account]) -> str:
    """Why no upstream can be called, and which variable to set."""
    problems = "; ".join(f"{one.name}: {one.problem}" for one in accounts.values() if one.problem)
    why = problems or "the upstreams file has no enabled row"
    return f"No upstream can be called ({why}). Set OPENROUTER_API_KEY, or add an upstream to ORCHESTRATOR_UPSTREAMS."
