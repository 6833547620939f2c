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


@dataclass(frozen=True, slots=True)
class Account:
    """An upstream with the key its calls are made with."""

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
    """Most calls at a time; None sets no limit."""

    @property
    def breaker_key(self) -> str:
        """Key of the breaker that guards everything behind this account."""
        return f"upstream {self.name}"


def account(upstream: Upstream, environment: Mapping[str, str], guard: Guard, settings: Settings) -> Account:
    """Make an account of a row."""
    problem = None
    headers = {"content-type": "application/json", "accept-encoding": "identity", "user-agent": "local-ai-orchestrator"}
    if upstream.api_key_env:
        key = (upstream.api_key(environment) or "").strip()
        if not key:
            problem = f"{upstream.api_key_env} is not set"
        elif not (key.isascii() and key.isprintable()):
            problem = f"{upstream.api_key_env} holds characters that no key has"
        else:
            headers["authorization"] = f"Bearer {key}"
    if upstream.kind == "openrouter":
        if settings.openrouter_referer:
            headers["http-referer"] = settings.openrouter_referer
        if settings.openrouter_title:
            headers["x-title"] = settings.openrouter_title
    try:
        guard.check_url(upstream.base_url)
    except ForbiddenAddressError as error:
        problem = str(error)
    return Account(
        name=upstream.name,
        kind=upstream.kind,
        dialect=dialect_of(upstream.kind, upstream.name, upstream.base_url),
        is_local=upstream.is_local,
        problem=problem,
        headers=headers,
        urls={name: upstream.base_url + path for name, path in ENDPOINTS.items()},
        concurrency=upstream.concurrency or settings.upstream_concurrency,
    )


def no_upstream(accounts: Mapping[str, Account]) -> str:
    """Why no upstream can be called, and which variable to set."""
    problems = "; ".join(f"{one.name}: {one.problem}" for one in accounts.values() if one.problem)
    why = problems or "the upstreams file has no enabled row"
    return f"No upstream can be called ({why}). Set OPENROUTER_API_KEY, or add an upstream to ORCHESTRATOR_UPSTREAMS."
