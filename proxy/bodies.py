"""The body an upstream gets: the caller's bytes, with the model's name and what the candidate asks for put in. Pure.

What each kind of upstream understands is `dialects.py`'s. Here the fields it left alone go out byte for byte as they
came; only those that changed are written anew.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from proxy.candidates import Candidate
from proxy.causes import Repair
from proxy.dialects import Disqualified, adapt
from proxy.preferences import NONE, Preferences
from proxy.request import OWN_FIELDS, ChatRequest

_encode = msgspec.json.Encoder().encode


class Prepared(NamedTuple):
    """A body, and the names of fields that were left out of it."""

    body: bytes
    dropped: tuple[str, ...]


def prepare(
    request: ChatRequest,
    candidate: Candidate,
    repairs: tuple[Repair, ...] = (),
    preferences: Preferences = NONE,
    session: str | None = None,
) -> Prepared | Disqualified:
    """Write the body for one candidate, or say why the caller's meaning would be lost there.

    `repairs` are what its earlier refusals of this call asked for. `preferences` go on to the marketplace whose
    convention they are, and were applied here for all others. `session` is passed on where a marketplace keeps
    sessions with one host by it.
    """
    came = request.body
    asked: dict[str, Any] = {name: value for name, value in came.items() if name not in OWN_FIELDS}
    if request.is_stream and not request.wants_usage_event:
        # Usage is asked for on every stream, and taken out again for clients that did not ask.
        asked["stream_options"] = {**(came.get("stream_options") or {}), "include_usage": True}
    dialect = candidate.account.dialect if candidate.account else "openai"
    if dialect == "openrouter":
        _go_on(asked, candidate, preferences, session)
        unapplied: tuple[str, ...] = ()
    else:
        asked.pop("provider", None)
        unapplied = () if preferences is NONE else preferences.unapplied(candidate.offer)
    adapted = adapt(asked, dialect, candidate.offer, candidate.effort, repairs)
    if isinstance(adapted, Disqualified):
        return adapted
    fields = request.fields
    written: dict[str, Any] = {
        name: fields[name] if name in fields and value is came[name] else value for name, value in adapted.body.items()
    }
    written["model"] = candidate.offer.upstream_model
    return Prepared(_encode(written), (*adapted.dropped, *unapplied))


def _go_on(asked: dict[str, Any], candidate: Candidate, preferences: Preferences, session: str | None) -> None:
    """Write into a body what the marketplace is to know of the caller's wishes."""
    if preferences is not NONE:
        provider = preferences.provider_for(candidate.offer)
        if provider is not None:
            asked["provider"] = provider
        if preferences.is_online and "plugins" not in asked:
            asked["plugins"] = [{"id": "web"}]
    if session is not None and "session_id" not in asked:
        asked["session_id"] = session
