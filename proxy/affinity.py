"""Whether a session stays with the endpoint that served it, or moves: by arithmetic. Pure, save for a bounded table.

Which call belongs to which session, what the rest of the session would cost here and there, and the verdict belong
here. Candidates and their order are `routing.py`'s, prices the publication's. Ids are kept only as keyed hashes.

A prompt that an endpoint holds in its cache is read at a tenth of its price or so; anywhere else it is written anew at
the full price or above. With a long warm prefix the dear model that has it can be the cheap choice. So both ways are
added up over the turns that are still to be expected, at each endpoint's own prices:

    turn k:   warm_k · price_cache_read + (prompt_k - warm_k) · price_cache_write + answer · price_out
    warm_0 =  what the endpoint holds now: nothing elsewhere, nothing once the cache's life is over
    warm_k =  prompt_(k-1), where that endpoint caches at all

How many turns are to come nobody knows; a session that has lasted n turns is expected to last n more, as for anything
whose age is all one knows of it. The saving, as a share of the dearer way, is weighed by the profile's weight of cost
against the differences in quality and latency by theirs, and a move must win by `MARGIN`.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from proxy.costs import at_length
from warehouse.published import Offer, Profile

MARGIN = 0.1
"""A move must be better by this much, on the scale of a ranking's score (0 to 1)."""

MOST_TURNS = 20
"""Turns that are looked ahead, at most."""

CACHE_LIFE_S: Mapping[str, float] = {"anthropic": 300.0, "openai": 600.0, "deepseek": 7200.0}
"""How long a vendor's cache keeps a prefix after its last use, where its documentation says so."""
_UNKNOWN_LIFE_S = 300.0

_MOST_ID_CHARACTERS = 1_024
_OPENER_CHARACTERS = 8_192
_REWRITTEN_SHARE = 0.9

# Headers in which clients and coding agents send an id of the conversation, the plainest word first.
_HEADERS = (
    b"x-session-id",
    b"x-claude-code-session-id",
    b"session-id",
    b"session_id",
    b"x-session-affinity",
    b"x-opencode-session",
)
_SESSION_IN_USER_ID = re.compile(r'session_?(?:id)?"?[_:]\s*"?([0-9a-fA-F][0-9a-fA-F-]{7,63})')


class Session(NamedTuple):
    """What a call belongs to."""

    key: str
    """Hash of who calls, what was asked for, and the id."""
    source: str
    """Where the id was found: a header, a field, or `opener`."""

    @property
    def is_stated(self) -> bool:
        """Whether the client said it, rather than the conversation's opening suggesting it."""
        return self.source != "opener"


def session_of(body: Mapping[str, Any], headers: Mapping[bytes, bytes], caller: str, asked: str) -> Session | None:
    """The session of a call; None when nothing tells.

    `caller` and `asked` keep apart those who by chance send the same id, and an agent's background calls to a small
    model from its main thread.
    """
    found = _stated(body, headers)
    if found is None:
        opener = _opener(body.get("messages"))
        if opener is None:
            return None
        found = ("opener", opener)
    source, text = found
    digest = hashlib.blake2b("\0".join((caller, asked, source, text)).encode("utf-8", "replace"), digest_size=16)
    return Session(digest.hexdigest(), source)


def _stated(body: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> tuple[str, str] | None:
    for name in () if headers.keys().isdisjoint(_HEADERS) else _HEADERS:
        value = headers.get(name)
        if value and len(value) <= _MOST_ID_CHARACTERS:
            return name.decode(), value.decode("latin-1")
    metadata = body.get("metadata")
    of_metadata = metadata if isinstance(metadata, dict) else {}
    for source, value in (
        ("session_id", body.get("session_id")),
        ("prompt_cache_key", body.get("prompt_cache_key")),
        ("metadata.session_id", of_metadata.get("session_id")),
    ):
        if isinstance(value, str) and 0 < len(value) <= _MOST_ID_CHARACTERS:
            return source, value
    user_id = of_metadata.get("user_id")
    if isinstance(user_id, str) and len(user_id) <= _MOST_ID_CHARACTERS:
        # Claude Code: user_<hash>_account_<id>_session_<uuid>, or an object with session_id written as a string.
        found = _SESSION_IN_USER_ID.search(user_id)
        if found:
            return "metadata.user_id", found.group(1)
    return None


def _opener(messages: Any) -> str | None:
    """System prompt and first words of the user: what every later turn of a conversation repeats."""
    if not isinstance(messages, list):
        return None
    parts = []
    for message in messages:
        if not isinstance(message, dict):
            return None
        role = message.get("role")
        parts.append(f"{role}:{_text(message.get('content'))}")
        if role == "user":
            return "\0".join(parts)
        if role not in ("system", "developer"):
            return None
    return None


def _text(content: Any) -> str:
    if isinstance(content, str):
        return f"{len(content)}:{content[:_OPENER_CHARACTERS]}"
    if isinstance(content, list):
        return "".join(
            _text(part.get("text")) if isinstance(part, dict) and "text" in part else f"<{type(part).__name__}>"
            for part in content
        )
    return ""


def is_bound(messages: Any) -> bool:
    """Whether a conversation carries signed or encrypted thoughts, which only the model that had them can read."""
    if not isinstance(messages, list):
        return False
    for message in messages:
        if not isinstance(message, dict) or message.get("role") != "assistant":
            continue
        details = message.get("reasoning_details")
        if isinstance(details, list) and any(_is_sealed(one) for one in details):
            return True
        content = message.get("content")
        if isinstance(content, list) and any(_is_sealed(one) for one in content):
            return True
    return False


def _is_sealed(part: Any) -> bool:
    if not isinstance(part, dict):
        return False
    kind = part.get("type")
    return kind in ("reasoning.encrypted", "redacted_thinking") or bool(
        part.get("signature") or part.get("encrypted_content")
    )


def marks_cache(body: Mapping[str, Any]) -> bool:
    """Whether the caller marks what is to be cached, as vendors that do not cache by themselves require."""
    messages = body.get("messages")
    if "cache_control" in body:
        return True
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict):
            continue
        if "cache_control" in message:
            return True
        content = message.get("content")
        if isinstance(content, list) and any(isinstance(part, dict) and "cache_control" in part for part in content):
            return True
    return False


@dataclass(slots=True)
class Pin:
    """The endpoint a session is with, and what it has seen of it."""

    offer_id: str
    model_id: str
    effort: str | None
    last_s: float
    turns: int = 1
    prompt_tokens: int = 0
    """Of the last turn, as the endpoint counted."""
    estimated_tokens: int = 0
    """Of the last turn, as we had estimated."""
    answer_tokens: float = 0.0
    """Of a turn, on average."""
    key: str | None = None
    """Name of the upstream's key it was answered with, where there are several."""
    cached_share: float | None = None
    """Share of the turn before that the endpoint had kept; None before the second turn."""


class Turn(NamedTuple):
    """The call at hand."""

    prompt_tokens: float
    """An estimate."""
    now_s: float
    answers_tool: bool
    """It carries the result of a tool: the model is in the midst of its work."""
    marks_cache: bool


class Sum(NamedTuple):
    """What the rest of a session costs at one endpoint, in US dollars."""

    offer_id: str
    effort: str | None
    warm_tokens: int
    first_prompt_usd: float
    later_prompts_usd: float
    answers_usd: float

    @property
    def total_usd(self) -> float:
        """All of it."""
        return self.first_prompt_usd + self.later_prompts_usd + self.answers_usd


class Verdict(NamedTuple):
    """Stay or move, and the arithmetic."""

    stays: bool
    reason: str
    stay: Sum | None = None
    move: Sum | None = None
    turns_ahead: int = 0
    gain: float | None = None
    """Of moving, on the scale of a ranking's score; compare `MARGIN`."""

    def record(self) -> dict[str, Any]:
        """For the decision record."""
        found: dict[str, Any] = {"stays": self.stays, "reason": self.reason}
        if self.stay is not None and self.move is not None:
            found |= {
                "turns_ahead": self.turns_ahead,
                "stay": {**self.stay._asdict(), "total_usd": self.stay.total_usd},
                "move": {**self.move._asdict(), "total_usd": self.move.total_usd},
                "gain": self.gain,
                "margin": MARGIN,
            }
        return found


class Placed(NamedTuple):
    """One of the two endpoints, with its scores where the ranking has them."""

    offer: Offer
    effort: str | None
    quality_score: float | None = None
    latency_score: float | None = None
    output_tokens: float | None = None
    """Of a typical answer at that effort."""


def decide(pin: Pin, here: Placed, best: Placed, turn: Turn, weights: Profile) -> Verdict:
    """Whether the session stays `here`, where it is pinned, or moves to the `best` of the ranking."""
    if (here.offer.offer_id, here.effort) == (best.offer.offer_id, best.effort):
        return Verdict(True, "it is the best as well")
    if turn.answers_tool:
        return Verdict(True, "the model waits for a tool's result")
    if pin.estimated_tokens and pin.prompt_tokens:
        # Estimate and count differ by a factor that is the conversation's own (its language, its code).
        turn = turn._replace(prompt_tokens=turn.prompt_tokens * pin.prompt_tokens / pin.estimated_tokens)
    ahead = min(pin.turns, MOST_TURNS)
    growth = max(0.0, turn.prompt_tokens - pin.prompt_tokens) if pin.prompt_tokens else 0.0
    stay = rest_of_session(here, turn, ahead, growth, pin.answer_tokens or 500.0, pin)
    # Another effort thinks longer or shorter; its answers cost accordingly.
    scale = best.output_tokens / here.output_tokens if best.output_tokens and here.output_tokens else 1.0
    move = rest_of_session(best, turn, ahead, growth, (pin.answer_tokens or 500.0) * scale, None)
    if stay is None or move is None:
        return Verdict(True, "a price is not known")
    dearer = max(stay.total_usd, move.total_usd)
    saving = (stay.total_usd - move.total_usd) / dearer if dearer > 0 else 0.0
    gain = weights.weight_cost * saving
    for weight, there, here_score in (
        (weights.weight_quality, best.quality_score, here.quality_score),
        (weights.weight_latency, best.latency_score, here.latency_score),
    ):
        if there is not None and here_score is not None:
            gain += weight * (there - here_score)
    if gain > MARGIN:
        return Verdict(False, "the other is better by more than the margin", stay, move, ahead, gain)
    return Verdict(True, "moving would not gain the margin", stay, move, ahead, gain)


def rest_of_session(
    at: Placed, turn: Turn, turns_ahead: int, growth: float, answer_tokens: float, pin: Pin | None
) -> Sum | None:
    """This turn and `turns_ahead` more, added up; None where a price is not known. `pin` says what is warm there."""
    offer = at_length(at.offer, turn.prompt_tokens)
    if offer.is_local or offer.is_free:
        return Sum(offer.offer_id, at.effort, 0, 0.0, 0.0, 0.0)
    price_in, price_out = offer.price_in_usd_per_mtok, offer.price_out_usd_per_mtok
    if price_in is None or price_out is None:
        return None
    share = _share_kept(offer, turn, pin)
    read = offer.price_cache_read_usd_per_mtok
    read = price_in if read is None else read
    write = price_in if share == 0 else max(price_in, offer.price_cache_write_usd_per_mtok or 0.0)
    warm = 0.0
    # A prompt that has become shorter was rewritten (agents compact theirs), and begins otherwise than what is kept.
    is_same = pin is not None and turn.prompt_tokens >= pin.prompt_tokens * _REWRITTEN_SHARE
    if pin is not None and is_same and turn.now_s - pin.last_s <= cache_life_s(offer):
        warm = min(pin.prompt_tokens, turn.prompt_tokens) * share
    first = (warm * read + (turn.prompt_tokens - warm) * write) / 1e6
    later = 0.0
    for k in range(1, turns_ahead + 1):
        before = turn.prompt_tokens + (k - 1) * growth
        later += (before * share * read + (before * (1 - share) + growth) * write) / 1e6
    answers = (turns_ahead + 1) * (answer_tokens * price_out / 1e6 + (offer.price_request_usd or 0.0))
    return Sum(offer.offer_id, at.effort, round(warm), first, later, answers)


def _share_kept(offer: Offer, turn: Turn, pin: Pin | None) -> float:
    """Share of a prompt that the endpoint finds again the next time: as seen, else as its prices tell."""
    if offer.price_cache_read_usd_per_mtok is None:
        return 0.0
    if pin is not None and pin.cached_share is not None:
        return pin.cached_share
    # A price for writing means that writing is asked for, by marks in the prompt.
    is_explicit = bool(offer.price_cache_write_usd_per_mtok)
    return 1.0 if turn.marks_cache or not is_explicit else 0.0


def cache_life_s(offer: Offer) -> float:
    """How long the endpoint keeps a prefix after its last use."""
    return CACHE_LIFE_S.get(offer.model_id.partition("/")[0], _UNKNOWN_LIFE_S)


class Sessions:
    """Pins by session, the longest unused forgotten first. Each worker has its own."""

    def __init__(self, most: int = 20_000) -> None:
        self._most = most
        self._pins: OrderedDict[str, Pin] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pins)

    def pin(self, session: Session) -> Pin | None:
        """Where the session is; None when it is new."""
        return self._pins.get(session.key)

    def note(
        self,
        session: Session,
        offer: Offer,
        effort: str | None,
        now_s: float,
        estimated_tokens: int,
        prompt_tokens: int | None,
        cached_tokens: int | None,
        answer_tokens: int | None,
        key: str | None = None,
    ) -> Pin:
        """Remember who answered, and what it says it had in its cache."""
        pin = self._pins.get(session.key)
        if pin is None or (pin.offer_id, pin.effort) != (offer.offer_id, effort):
            turns = pin.turns + 1 if pin is not None else 1
            pin = Pin(offer.offer_id, offer.model_id, effort, now_s, turns)
            if len(self._pins) >= self._most and session.key not in self._pins:
                self._pins.popitem(last=False)
            self._pins[session.key] = pin
        else:
            if cached_tokens is not None and pin.prompt_tokens and now_s - pin.last_s <= cache_life_s(offer):
                pin.cached_share = min(1.0, cached_tokens / pin.prompt_tokens)
            pin.turns += 1
            pin.last_s = now_s
        pin.key = key
        self._pins.move_to_end(session.key)
        if prompt_tokens is not None:
            pin.prompt_tokens, pin.estimated_tokens = prompt_tokens, estimated_tokens
        if answer_tokens is not None:
            seen = pin.answer_tokens or float(answer_tokens)
            pin.answer_tokens = seen + (answer_tokens - seen) / min(pin.turns, 5)
        return pin

    def forget(self, session: Session) -> None:
        """The endpoint failed: the next call is free to go anywhere."""
        self._pins.pop(session.key, None)


def answers_tool(messages: Sequence[Any]) -> bool:
    """Whether a conversation ends with the result of a tool."""
    last = messages[-1] if messages else None
    if not isinstance(last, dict):
        return False
    if last.get("role") in ("tool", "function"):
        return True
    content = last.get("content")
    return isinstance(content, list) and any(
        isinstance(part, dict) and part.get("type") == "tool_result" for part in content
    )
