"""Which candidates a request may go to, in which order, and why not to the others. Pure.

The profile's ranking for the prompt's difficulty and kind gives the order; needs, context window and breakers take
candidates out, in that sequence. Reading requests is `request.py`, trying candidates `failover.py`. Nothing here waits,
and the time and the breakers' state are handed in as a question: "is this candidate blocked, and by what?"
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from proxy.candidates import WORDS, Candidate, Needs, Ranked
from proxy.errors import InvalidRequestError, NoUpstreamError, RequirementsError, UnknownModelError
from proxy.snapshot import Selection, Snapshot, lacking

Blocked = Callable[[Candidate], str | None]
"""Says what blocks a candidate at this moment, or None."""

UNKNOWN_CONTEXT_TOKENS = 8_192
"""What an offer of unknown window is trusted with."""


class Rejection(NamedTuple):
    """A candidate that was not taken, and why."""

    ranked: Ranked
    filter: str
    """Short word: unavailable, needs, context, breaker, or a policy's own."""
    reason: str


class Policy(Protocol):
    """What else speaks against a candidate or for another order: the request's wishes, the key's limits."""

    @property
    def sameness(self) -> Hashable | None:
        """Equal for policies that say the same of every candidate; None where that cannot be told cheaply."""

    def rejects(self, candidate: Candidate) -> tuple[str, str] | None:
        """Filter and reason, or None."""

    def widen(self, ranked: Sequence[Ranked], snapshot: Snapshot) -> Sequence[Ranked]:
        """The list with what may be considered beyond it; itself where that is nothing."""

    def arrange(
        self, ranked: Iterable[Ranked], passes: Callable[[Ranked], bool], *, names_models: bool
    ) -> Iterable[Ranked]:
        """Those that pass, in order; lazy where it can be."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks of a route, with every name resolved."""

    snapshot: Snapshot
    profile: str
    band: str
    selections: tuple[Selection, ...]
    """Empty: the profile chooses among all models."""
    needs: Needs
    tokens: int
    """Estimate of prompt and answer together."""
    asks_for: str = "chat"
    """Kind of model: chat or embeddings."""
    denies_training: bool = False
    """Hosts that may train on prompts are out of the question, though no policy says more."""
    policy: Policy | None = None
    first: Ranked | None = None
    """Tried before all others: where the session is at home."""
    category: str | None = None
    """Kind of task whose own list is the order; None for the order of all prompts."""

    @property
    def lists(self) -> tuple[Sequence[Ranked], ...]:
        """The lists to go through, unfiltered, in order."""
        if self.selections:
            return tuple(self.snapshot.named(one, self.profile, self.band) for one in self.selections)
        ranked = self.snapshot.order(self.profile, self.band, self.category)
        return (ranked if self.policy is None else self.policy.widen(ranked, self.snapshot),)

    @property
    def is_named(self) -> bool:
        """Whether the caller named the models."""
        return bool(self.selections)


def want(
    snapshot: Snapshot,
    names: tuple[str, ...],
    profile: str | None,
    band: str,
    needs: Needs,
    tokens: int,
    category: str | None = None,
    denies_training: bool = False,
) -> Wanted:
    """Resolve the names of a request. Unknown names in a list of several are passed over.

    The kind of task counts where the profile chooses among all models and has an order of its own for it.

    Raises `InvalidRequestError` for an unknown profile and `UnknownModelError` when no name is known.
    """
    if profile is not None and profile not in snapshot.profiles:
        known = ", ".join(sorted(snapshot.profiles))
        raise InvalidRequestError(f"There is no profile {profile!r}; known are {known}.", param="routing_profile")
    selections = tuple(one for one in (snapshot.names.get(name.lower()) for name in names) if one is not None)
    if names and not selections:
        close = nearest(names[0], snapshot)
        hint = f" Nearest: {', '.join(close)}." if close else ""
        is_known = snapshot.is_unoffered(names[0])
        problem = "is known, but no upstream offers it" if is_known else "does not exist here"
        raise UnknownModelError(f"The model {names[0]!r} {problem}.{hint}", close)
    profile = profile or snapshot.default_profile
    if selections or (profile, band, category) not in snapshot.by_category:
        category = None
    return Wanted(
        snapshot, profile, band, selections, needs, tokens, denies_training=denies_training, category=category
    )


def candidates(wanted: Wanted, blocked: Blocked) -> Iterator[Ranked]:
    """What may be tried, best first. Lazy: breakers are asked when a candidate's turn comes."""
    first = wanted.first
    if first is not None:
        if rejection(first, wanted, blocked) is None:
            yield first
        for one in candidates(replace(wanted, first=None), blocked):
            if one.candidate is not first.candidate:
                yield one
        return
    policy = wanted.policy
    if policy is not None:
        pool = [one for list_ in wanted.lists for one in list_]
        for one in policy.arrange(
            pool,
            lambda one: rejection(one, wanted, _nothing_blocks) is None,
            names_models=len(wanted.selections) > 1,
        ):
            if blocked(one.candidate) is None:
                yield one
        return
    if not wanted.selections:
        for one in wanted.snapshot.eligible(
            wanted.profile, wanted.band, wanted.needs, wanted.denies_training, wanted.category
        ):
            if fits(one.candidate, wanted.tokens) and blocked(one.candidate) is None:
                yield one
        return
    for selection in wanted.selections:
        for one in wanted.snapshot.named(selection, wanted.profile, wanted.band):
            if rejection(one, wanted, blocked) is None:
                yield one


def _nothing_blocks(_: Candidate) -> str | None:
    return None


def fits(candidate: Candidate, tokens: int) -> bool:
    """Whether the context window is large enough."""
    return tokens <= (candidate.context_tokens or UNKNOWN_CONTEXT_TOKENS)


def rejection(one: Ranked, wanted: Wanted, blocked: Blocked, *, assumes_keys: bool = False) -> Rejection | None:
    """The first reason that speaks against a candidate, or None."""
    candidate = one.candidate
    if wanted.asks_for == "embeddings":
        if candidate.offer.kind != "embedding":
            return Rejection(one, "needs", "it makes no embeddings")
        problem = candidate.account_problem
    else:
        problem = candidate.offer_problem if assumes_keys else candidate.problem
    if problem is not None:
        return Rejection(one, "unavailable", problem)
    missing = lacking(candidate, wanted.needs, is_named=wanted.is_named)
    if missing:
        return Rejection(one, "needs", f"it lacks {', '.join(WORDS[need] for need in missing)}")
    if not fits(candidate, wanted.tokens):
        window = f"{candidate.context_tokens:,}" if candidate.context_tokens else "unknown"
        return Rejection(one, "context", f"its window is {window} tokens, the call needs about {wanted.tokens:,}")
    if wanted.denies_training and candidate.offer.may_train_on_prompts and not candidate.offer.is_local:
        return Rejection(one, "request", "its host may train on or publish prompts")
    if wanted.policy is not None:
        found = wanted.policy.rejects(candidate)
        if found is not None:
            return Rejection(one, *found)
    reason = blocked(candidate)
    return None if reason is None else Rejection(one, "breaker", reason)


def explain(wanted: Wanted, blocked: Blocked, *, assumes_keys: bool = False) -> tuple[list[Ranked], list[Rejection]]:
    """Everything that was considered: what may be tried in order, and what may not with its reason.

    `assumes_keys` tells what would be tried if every upstream could be called.
    """
    chosen: list[Ranked] = []
    rejected: list[Rejection] = []
    seen: set[int] = set()
    for list_ in wanted.lists if wanted.first is None else ((wanted.first,), *wanted.lists):
        for one in list_:
            if id(one.candidate) in seen:
                continue
            seen.add(id(one.candidate))
            found = rejection(one, wanted, blocked, assumes_keys=assumes_keys)
            if found is None:
                chosen.append(one)
            else:
                rejected.append(found)
    if wanted.policy is not None:
        chosen = list(wanted.policy.arrange(chosen, lambda _: True, names_models=len(wanted.selections) > 1))
    if wanted.first is not None:
        home = wanted.first.candidate
        chosen.sort(key=lambda one: one.candidate is not home)
    return chosen, rejected


def no_candidate(wanted: Wanted) -> RequirementsError | NoUpstreamError | UnknownModelError:
    """The error for a request that nothing can serve, breakers aside: says which filter removed what, and a way out."""
    _, rejected = explain(wanted, lambda _: None)
    removed: dict[str, int] = {}
    for one in rejected:
        removed[one.filter] = removed.get(one.filter, 0) + 1
    if not rejected and wanted.selections:
        name = wanted.selections[0].model_id
        close = nearest(name, wanted.snapshot)
        hint = f" Nearest that are: {', '.join(close)}." if close else ""
        return UnknownModelError(f"{name} is known, but no upstream offers it.{hint}", close)
    if set(removed) <= {"unavailable"}:
        reasons: dict[str, int] = {}
        for one in rejected:
            reasons[one.reason] = reasons.get(one.reason, 0) + 1
        problems = [p for a in wanted.snapshot.accounts.values() if (p := a.problem)]
        why = sorted(reasons, key=lambda reason: -reasons[reason])[:3] or problems
        # One that may be called and lists nothing is the first thing to look at: no key would help its owner.
        known = {one.offer.upstream for many in wanted.snapshot.candidates_of.values() for one in many}
        idle = [
            f"{name} may be called, but no model of it is known (load one there, then run: orchestrator refresh)"
            for name, account in wanted.snapshot.accounts.items()
            if account.problem is None and name not in known
        ]
        advice = "; ".join([*idle, *why]) or "no upstream is configured"
        return NoUpstreamError(f"No upstream can be called: {advice}.")
    parts = []
    if removed.get("needs"):
        words = " and ".join(WORDS[need] for need in wanted.needs) or wanted.asks_for
        parts.append(f"{removed['needs']} lack {words}")
    if removed.get("context"):
        widest = max(
            (one.ranked.candidate.context_tokens or 0 for one in rejected if one.filter == "context"), default=0
        )
        parts.append(f"{removed['context']} have a window under {wanted.tokens:,} tokens (widest: {widest:,})")
    if removed.get("unavailable"):
        parts.append(f"{removed['unavailable']} cannot be called here")
    for filter_, count in removed.items():
        if filter_ not in ("needs", "context", "unavailable"):
            example = next(one.reason for one in rejected if one.filter == filter_)
            parts.append(f"{count} are ruled out by the {filter_} (such as: {example})")
    way = "Name no model, or ask for less" if wanted.selections else "Ask for less"
    return RequirementsError(f"No candidate fits the request: {'; '.join(parts)}. {way}.", removed)


def nearest(name: str, snapshot: Snapshot, count: int = 5) -> tuple[str, ...]:
    """Callable models whose names share most with `name`."""
    known: dict[str, set[str]] | None = snapshot.worked_out.get("trigrams")
    if known is None:
        known = snapshot.worked_out["trigrams"] = {
            model_id: _trigrams(model_id)
            for model_id, offered in snapshot.candidates_of.items()
            if any(candidate.offer.is_callable for candidate in offered)
        }
    wanted = _trigrams(name)
    scored = []
    for model_id, found in known.items():
        shared = len(wanted & found)
        if shared:
            scored.append((-shared / len(wanted | found), model_id))
    return tuple(model_id for score, model_id in sorted(scored)[:count] if score <= -0.15)


def _trigrams(text: str) -> set[str]:
    padded = f"  {text.lower()[:100]} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}
