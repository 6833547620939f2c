"""What a call's wishes, its key, its session and its name of habit make of the route: put together once for each call.

The rules are in their own files (`preferences.py`, `keys.py`, `budgets.py`, `affinity.py`, `asked_names.py`,
`answer_cache.py`, `admission.py`); here they are asked, in order, and what they say is kept in a `Plan`. A call that
wishes nothing, with a key that limits nothing, pays for a few look-ups in dictionaries.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy import affinity, asked_names, keys
from proxy.admission import Admission
from proxy.affinity import Pin, Placed, Session, Sessions, Turn, Verdict
from proxy.answer_cache import AnswerCache, KeptAnswer, key_of, refusal
from proxy.budgets import Lease, Ledger, LedgerError, Refused, unseen_usd, worst_case_usd
from proxy.candidates import Candidate, Ranked
from proxy.clock import Clock
from proxy.difficulty import Assessment
from proxy.difficulty.assessment import EASY_BELOW, HARD_FROM, MIN_CONFIDENCE
from proxy.errors import BudgetSpentError, KeyLimitError, LedgerUnavailableError, NotAllowedError
from proxy.hedging import HedgeBudget
from proxy.keys import Key, Keyring
from proxy.metrics import Metrics
from proxy.preferences import (
    DEFAULT_ROUTING,
    NONE,
    Preferences,
    Routing,
    read_preferences,
    read_routing,
    split_suffix,
    with_suffix,
)
from proxy.request import ChatRequest
from proxy.routing import Blocked, Wanted, candidates, rejection, want
from proxy.settings import Settings
from proxy.snapshot import Snapshot
from proxy.upstreams import Account
from warehouse.published import Offer

if TYPE_CHECKING:
    from proxy.attempts import Call

CALLER: ContextVar[Key | None] = ContextVar("caller", default=None)
"""The key that the request at hand was made with; None for the operator's own and where no key is asked for."""

log = logging.getLogger(__name__)

_FILES = (keys.VARIABLE, asked_names.VARIABLE)
_DENY = Preferences(data_collection="deny")


class Wishes:
    """The filter and the order of one call, as `routing.Policy` asks for them."""

    __slots__ = ("_bound_to", "_key", "_preferences")

    def __init__(self, preferences: Preferences, key: Key | None, bound_to: str | None) -> None:
        self._preferences = preferences
        self._key = key
        self._bound_to = bound_to

    @property
    def sameness(self) -> Hashable | None:
        """See `routing.Policy`."""
        is_plain = self._preferences is _DENY or self._preferences is NONE
        return (self._preferences is _DENY, self._key, self._bound_to) if is_plain else None

    def rejects(self, candidate: Candidate) -> tuple[str, str] | None:
        """Filter and reason, or None."""
        offer, key = candidate.offer, self._key
        if key is not None:
            if not key.allows_model(offer.model_id):
                return "key", f"the key {key.name} does not allow {offer.model_id}"
            if key.has_budget and worst_case_usd(offer, 0, 1) is None:
                return "key", "its price is not known, and the key has a budget"
        if self._bound_to is not None and offer.model_id != self._bound_to:
            return "session", f"the conversation holds thoughts that only {self._bound_to} can read"
        reason = self._preferences.admits(offer)
        return None if reason is None else ("request", reason)

    def widen(self, ranked: Sequence[Ranked], snapshot: Snapshot) -> Sequence[Ranked]:
        """With free offers let in: each ranked model's, before its others."""
        if self._preferences.allow_free is not True:
            return ranked
        wider: list[Ranked] = []
        seen: set[str] = set()
        for one in ranked:
            model_id = one.candidate.offer.model_id
            if model_id not in seen:
                seen.add(model_id)
                known = {
                    (free.offer.offer_id, free.effort): free
                    for free in snapshot.candidates_of.get(model_id, ())
                    if free.offer.is_free and free.offer.is_callable
                }
                for offer_id in dict.fromkeys(offer_id for offer_id, _ in known):
                    free = known.get((offer_id, one.candidate.effort)) or known[offer_id, None]
                    wider.append(one._replace(candidate=free, rank=None))
            wider.append(one)
        return wider

    def arrange(
        self, ranked: Iterable[Ranked], passes: Callable[[Ranked], bool], *, names_models: bool
    ) -> Iterable[Ranked]:
        """Those that pass, in order."""
        return self._preferences.order(ranked, _offer_of, passes, names_models=names_models)


def _offer_of(one: Ranked) -> Offer:
    return one.candidate.offer


@dataclass(slots=True)
class Plan:
    """What the policies made of one call."""

    wanted: Wanted
    assessment: Assessment
    preferences: Preferences = NONE
    routing: Routing = DEFAULT_ROUTING
    key: Key | None = None
    session: Session | None = None
    verdict: Verdict | None = None
    lease: Lease | None = None
    reserved_usd: float = 0.0
    answers_for: str | None = None
    """The name of habit that was asked for, when a profile answers in its place."""
    is_cached: bool = False
    cache_key: bytes | None = None
    hedge: str | None = None
    """What became of hedging, where it was considered."""
    key_of_session: str | None = None
    """Name of the upstream's key that the session was answered with: another account's cache would be cold."""

    def record(self) -> dict[str, Any]:
        """For the decision record: only what was out of the ordinary."""
        found: dict[str, Any] = {}
        if self.key is not None:
            found["key"] = self.key.name
        if self.reserved_usd:
            found["reserved_usd"] = self.reserved_usd
        if self.answers_for is not None:
            found["answers_for"] = self.answers_for
        if self.preferences is not _DENY and not self.preferences.is_default and self.preferences != _DENY:
            found["preferences"] = {
                name: value
                for name in Preferences.__dataclass_fields__
                if name not in ("provider", "upstreams", "marketplaces", "meaningless")
                and (value := getattr(self.preferences, name)) != Preferences.__dataclass_fields__[name].default
            }
        if self.session is not None and self.verdict is not None:
            found["session"] = {"source": self.session.source, **self.verdict.record()}
        if self.wanted.category is not None:
            found["ranked_for"] = self.wanted.category
        if self.is_cached:
            found["cache"] = "hit"
        if self.hedge is not None:
            found["hedge"] = self.hedge
        return found


@dataclass(slots=True)
class Policies:
    """The policies of one worker."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    keyring: Keyring
    names: asked_names.AskedNames
    ledger: Ledger
    admission: Admission
    sessions: Sessions = field(default_factory=Sessions)
    cache: AnswerCache | None = None
    hedges: HedgeBudget | None = None
    upstreams: frozenset[str] = frozenset()
    marketplaces: frozenset[str] = frozenset()
    environment: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None
    """Why a file that has changed is not used; what it held before still is."""
    _seen: dict[str, int | None] = field(default_factory=dict)

    @classmethod
    def load(
        cls,
        settings: Settings,
        environment: Mapping[str, str],
        directory: Path,
        clock: Clock,
        metrics: Metrics,
        accounts: Mapping[str, Account],
    ) -> Policies:
        """Read the files they rest on. Raises `KeysError` or `AskedNamesError`."""
        return cls(
            settings,
            clock,
            metrics,
            keys.load(environment),
            asked_names.load(environment),
            Ledger(directory / "budgets.sqlite3", clock),
            Admission(_places_of(accounts), settings.queue_length, settings.queue_wait_s, clock),
            cache=AnswerCache(settings.cache_mb * 1024 * 1024, lives_s=settings.cache_s) if settings.cache_mb else None,
            hedges=HedgeBudget(settings.hedge_share) if settings.hedge_share else None,
            upstreams=frozenset(accounts),
            marketplaces=_marketplaces(accounts),
            environment=environment,
            _seen={variable: _changed_at(environment, variable) for variable in _FILES},
        )

    def open(self) -> None:
        """Open the ledger, where a key has limits. Blocks on the disk."""
        if self.keyring.is_limited:
            self.ledger.open()

    async def watch(self) -> None:
        """Look every so often whether a file has changed."""
        while True:
            await self.clock.sleep(self.settings.reload_poll_s)
            self.reload()

    def use_accounts(self, accounts: Mapping[str, Account]) -> None:
        """Other upstreams are in use now."""
        self.upstreams, self.marketplaces = frozenset(accounts), _marketplaces(accounts)
        self.admission.limit(_places_of(accounts))

    def reload(self) -> None:
        """Read the files that have changed. One that cannot be used changes nothing, and `problem` says why."""
        for variable in _FILES:
            changed_at = _changed_at(self.environment, variable)
            if changed_at == self._seen[variable]:
                continue
            self._seen[variable] = changed_at
            try:
                if variable == keys.VARIABLE:
                    self.keyring = keys.load(self.environment)
                else:
                    self.names = asked_names.load(self.environment)
            except (keys.KeysError, asked_names.AskedNamesError) as error:
                self.problem = f"{error} What it held before stays in use."
                log.warning("%s", self.problem)
            else:
                self.problem = None
                log.info("%s was read again", variable)

    async def close(self) -> None:
        """Write what waits."""
        await self.ledger.close()

    def plan(
        self,
        request: ChatRequest,
        headers: Mapping[bytes, bytes],
        snapshot: Snapshot,
        assessment: Assessment,
        blocked: Blocked,
    ) -> Plan:
        """Decide what may answer a call.

        Raises what `want`, `read_preferences` and `read_routing` raise, and `NotAllowedError` when the key does not
        allow the profile that was asked for.
        """
        body, key = request.body, CALLER.get()
        routing = read_routing(body)
        default = _DENY if self.settings.data_collection == "deny" else NONE
        preferences = read_preferences(
            body, routing, default=default, upstreams=self.upstreams, marketplaces=self.marketplaces
        )
        category = _category(assessment, routing)
        assessment = _overridden(assessment, routing)
        names, profile = request.names, routing.profile or request.profile
        answers_for = None
        if names:
            names, preferences = self._without_suffixes(names, preferences, snapshot)
            habit = self._profile_of_habit(names, snapshot)
            if habit is not None:
                # A profile that is asked for in so many words is meant more than what a name of habit stands for.
                answers_for, names, profile = names[0], (), profile or habit
        profile = _allowed(profile, names, key, snapshot)
        is_restricted = key is not None and (key.models is not None or key.has_budget)
        denies_training = preferences is _DENY and not names and not is_restricted
        wanted = want(
            snapshot, names, profile, assessment.band, request.needs, request.tokens, category, denies_training
        )
        if is_restricted or not (denies_training or preferences.is_default):
            wanted = replace(wanted, policy=Wishes(preferences, key, None))
        plan = Plan(wanted, assessment, preferences, routing, key, answers_for=answers_for)
        is_sticky = self.settings.affinity if routing.affinity is None else routing.affinity
        if is_sticky:
            self._settle_session(plan, request, headers, blocked)
        return plan

    def _without_suffixes(
        self, names: tuple[str, ...], preferences: Preferences, snapshot: Snapshot
    ) -> tuple[tuple[str, ...], Preferences]:
        plain = []
        for name in names:
            base, suffix = split_suffix(name, lambda whole: whole.lower() in snapshot.names)
            plain.append(base)
            if suffix is not None:
                preferences = with_suffix(preferences, suffix)
        return tuple(plain), preferences

    def _profile_of_habit(self, names: tuple[str, ...], snapshot: Snapshot) -> str | None:
        is_callable = any(_is_callable(name, snapshot) for name in names)
        profile = self.names.profile(names[0], is_callable=is_callable)
        if profile is None or profile in snapshot.profiles:
            return profile
        # A file of profiles of one's own need not have those that the rows name.
        return snapshot.default_profile

    def _settle_session(
        self, plan: Plan, request: ChatRequest, headers: Mapping[bytes, bytes], blocked: Blocked
    ) -> None:
        body, wanted = request.body, plan.wanted
        if "messages" not in body:
            return  # nothing that is continued
        caller = plan.key.name if plan.key is not None else ""
        session = affinity.session_of(body, headers, caller, request.asked_model or "")
        plan.session = session
        pin = None if session is None else self.sessions.pin(session)
        if session is None or pin is None:
            return
        messages = body.get("messages") or ()
        if not session.is_stated and not any(one.get("role") == "assistant" for one in messages):
            return  # an opening that was seen before, but no conversation
        if affinity.is_bound(messages) and pin.model_id in wanted.snapshot.models:
            wanted = replace(wanted, policy=Wishes(plan.preferences, plan.key, pin.model_id))
        home = _home(wanted, pin)
        problem = "its endpoint is not offered any more" if home is None else None
        if home is not None and (found := rejection(home, wanted, blocked)) is not None:
            problem = found.reason
        best = next(iter(candidates(wanted, blocked)), None)
        if home is None or best is None or problem is not None:
            plan.verdict = Verdict(False, problem or "nothing can be called")
            plan.wanted = wanted
            return
        turn = Turn(
            request.prompt_tokens,
            self.clock.monotonic(),
            affinity.answers_tool(messages),
            affinity.marks_cache(body),
        )
        weights = wanted.snapshot.profiles[wanted.profile]
        plan.verdict = affinity.decide(pin, _placed(home), _placed(best), turn, weights)
        plan.key_of_session = pin.key if plan.verdict.stays else None
        plan.wanted = replace(wanted, first=home) if plan.verdict.stays else wanted

    async def reserve(self, plan: Plan, request: ChatRequest, blocked: Blocked, attempts: int) -> None:
        """Take a lease for a call of a limited key, at the worst case of what may answer it.

        Raises `KeyLimitError`, `BudgetSpentError`, or `LedgerUnavailableError` when the ledger cannot be used.
        """
        key = plan.key
        if key is None or not key.is_limited:
            return
        worst = 0.0
        if key.has_budget:
            many = request.body.get("n")
            count = many if isinstance(many, int) and not isinstance(many, bool) and many > 1 else 1
            limit = request.limit_tokens * count if request.limit_tokens else None
            for one in islice(candidates(plan.wanted, blocked), attempts):
                worst = max(worst, worst_case_usd(one.candidate.offer, request.prompt_tokens, limit) or 0.0)
            if self.hedges is not None and plan.routing.hedge is not False:
                worst *= 2  # a second candidate may run beside the first
        most_s = self.settings.total_timeout_s + self.settings.drain_timeout_s + 60.0
        try:
            found = await self.ledger.take(key, worst, request.tokens, most_s)
        except LedgerError as error:
            raise LedgerUnavailableError(f"The limits of the key {key.name} cannot be checked now: {error}.") from error
        if isinstance(found, Refused):
            retry = {"retry-after": str(max(1, round(found.retry_after_s)))}
            self.metrics.policies["budget_refused" if found.limit.startswith("budget") else "limit_refused"].inc()
            if found.is_spent:
                raise BudgetSpentError(found.message, headers=retry)
            raise KeyLimitError(found.message, headers=retry)
        plan.lease, plan.reserved_usd = found, worst

    def settle(self, call: Call, plan: Plan) -> None:
        """End a call: pay for it, and remember where its session is at home. Waits for nothing."""
        if plan.lease is not None:
            spent, tokens = 0.0, 0
            for attempt in call.attempts:
                usage = attempt.usage
                if usage is not None:
                    tokens += (usage.prompt_tokens or 0) + (usage.completion_tokens or 0)
                if attempt.cost_usd is not None:
                    spent += attempt.cost_usd
                elif attempt.first_byte is not None and attempt.status == 200:
                    served_s = (attempt.ended or attempt.first_byte) - attempt.first_byte
                    offer = attempt.ranked.candidate.offer
                    spent += unseen_usd(offer, call.request.prompt_tokens, served_s, plan.reserved_usd)
            self.ledger.settle(plan.lease, spent, tokens or None if call.attempts else 0)
            plan.lease = None
        if plan.answers_for is not None:
            self.metrics.policies["answered_for_habit"].inc()
        if plan.verdict is not None:
            self.metrics.policies["session_stayed" if plan.verdict.stays else "session_moved"].inc()
        if plan.is_cached:
            self.metrics.policies["answered_from_cache"].inc()
        if plan.hedge is not None:
            self.metrics.policies["second_asked"].inc()
        last = call.attempts[-1] if call.attempts else None
        if plan.session is not None and last is not None and last.outcome == "answered":
            usage, candidate = last.usage, last.ranked.candidate
            self.sessions.note(
                plan.session,
                candidate.offer,
                candidate.effort,
                self.clock.monotonic(),
                call.request.prompt_tokens,
                usage.prompt_tokens if usage else None,
                usage.cached_tokens if usage else None,
                usage.completion_tokens if usage else None,
                last.key.name if last.key is not None else None,
            )

    def recall(self, plan: Plan, request: ChatRequest, endpoint: str) -> KeptAnswer | None:
        """The answer kept for such a request, if there is one; else the plan says under which key to keep it."""
        if self.cache is None or refusal(request.body, plan.routing.cache) is not None:
            return None
        caller = plan.key.name if plan.key is not None else ""
        plan.cache_key = key_of(request.body, caller, endpoint, request.wants_usage_event)
        found = self.cache.get(plan.cache_key, self.clock.monotonic())
        plan.is_cached = found is not None
        return found

    def keep(
        self,
        plan: Plan,
        body: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        *,
        is_stream: bool,
        cost_usd: float | None,
    ) -> None:
        """Keep a complete answer, where `recall` said that it may be."""
        if self.cache is not None and plan.cache_key is not None:
            now = self.clock.monotonic()
            self.cache.keep(plan.cache_key, body, tuple(headers), is_stream=is_stream, now_s=now, cost_usd=cost_usd)


def _changed_at(environment: Mapping[str, str], variable: str) -> int | None:
    """When the file that a variable names was last written; None where there is none."""
    named = (environment.get(variable) or "").strip()
    if not named:
        return None  # an empty path would be the working directory
    try:
        return Path(named).expanduser().stat().st_mtime_ns
    except OSError:
        return None


def _places_of(accounts: Mapping[str, Account]) -> dict[str, int]:
    return {name: one.concurrency for name, one in accounts.items() if one.concurrency is not None}


def _marketplaces(accounts: Mapping[str, Account]) -> frozenset[str]:
    return frozenset(name for name, one in accounts.items() if one.dialect == "openrouter")


def _category(assessment: Assessment, routing: Routing) -> str | None:
    """The kind of task to rank for: the caller's word, else what was judged from enough to judge by."""
    if routing.category is not None:
        return None if routing.category == "off" else routing.category
    return assessment.category if assessment.confidence >= MIN_CONFIDENCE else None


def _overridden(assessment: Assessment, routing: Routing) -> Assessment:
    """The caller's own word on the difficulty and the kind of task."""
    if routing.category is not None and routing.category != "off":
        assessment = replace(assessment, category=routing.category)  # type: ignore[arg-type]
    said = routing.difficulty
    if said is None:
        return assessment
    if not isinstance(said, float):
        return replace(assessment, band="medium", confidence=0.0)
    band = "easy" if said < EASY_BELOW else "hard" if said >= HARD_FROM else "medium"
    return replace(assessment, difficulty=said, band=band, confidence=1.0)  # type: ignore[arg-type]


def _is_callable(name: str, snapshot: Snapshot) -> bool:
    selection = snapshot.names.get(name.lower())
    return selection is not None and any(
        one.problem is None for one in snapshot.candidates_of.get(selection.model_id, ())
    )


def _allowed(profile: str | None, names: tuple[str, ...], key: Key | None, snapshot: Snapshot) -> str | None:
    """The profile that is used. Raises `NotAllowedError` when the key does not allow it."""
    if key is None or key.profiles is None:
        return profile
    if profile is None:
        if names or snapshot.default_profile in key.profiles:
            return None
        return key.profiles[0]
    if profile not in key.profiles:
        raise NotAllowedError(f"The key {key.name} may use {', '.join(key.profiles)}, not {profile}.")
    return profile


def _home(wanted: Wanted, pin: Pin) -> Ranked | None:
    """Where a session is at home, with its scores where the profile ranks it."""
    for list_ in wanted.lists:
        for one in list_:
            if one.candidate.offer.offer_id == pin.offer_id and one.candidate.effort == pin.effort:
                return one
    if wanted.is_named:
        return None
    for candidate in wanted.snapshot.candidates_of.get(pin.model_id, ()):
        if candidate.offer.offer_id == pin.offer_id and candidate.effort == pin.effort:
            return Ranked(candidate, None, None)
    return None


def _placed(one: Ranked) -> Placed:
    candidate = one.candidate
    return Placed(candidate.offer, candidate.effort, one.quality_score, one.latency_score, candidate.output_tokens)
