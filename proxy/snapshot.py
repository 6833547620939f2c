"""The published rows in memory, indexed for deciding, and kept fresh.

`build` turns rows into a `Snapshot` that never changes; `LiveSnapshot` reads a new one when the publication is
replaced and keeps the last good one when it cannot. Deciding does not belong here (`routing.py`), nor does the
contract (`warehouse/published.py`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from proxy import reading
from proxy.candidates import Candidate, Needs, Ranked
from proxy.clock import Clock
from proxy.upstreams import Account
from warehouse import published

log = logging.getLogger(__name__)

BANDS = ("easy", "medium", "hard")
Rows = published.PublishedRows


_NAMED_LISTS_KEPT = 4096


class Selection(NamedTuple):
    """What a name in a request stands for: a model, perhaps only some offers of it, perhaps at an effort."""

    model_id: str
    offer_ids: frozenset[str] | None = None
    effort: str | None = None


@dataclass(slots=True)
class Snapshot:
    """One publication, ready to decide by."""

    publication_id: str
    built_at: dt.datetime
    source_observed_at: Mapping[str, dt.datetime]
    source_origins: Mapping[str, str]
    models: Mapping[str, published.Model]
    profiles: Mapping[str, published.Profile]
    default_profile: str
    names: Mapping[str, Selection]
    """Every name that is understood, lower case."""
    offers: Mapping[str, published.Offer]
    accounts: Mapping[str, Account]
    rankings: Mapping[str, tuple[Ranked, ...]]
    """By profile, all of it, for showing."""
    ranked: Mapping[tuple[str, str], tuple[Ranked, ...]]
    """By profile and band, all of it, in order of rank."""
    by_category: Mapping[tuple[str, str, str], tuple[Ranked, ...]]
    """By profile, band and kind of task, for the kinds that have an order of their own. What a kind's list does not
    hold follows in the band's order, with the band's ranks."""
    unoffered: array[int]
    """Marks of names of models that are known, and that nobody offers; sorted."""
    candidates_of: Mapping[str, tuple[Candidate, ...]]
    """By model: every offer at its default effort and at each that is ranked or that a name states."""
    worked_out: dict[str, Any] = field(default_factory=dict)
    """What others have worked out of this publication and keep with it, by their own names."""
    _eligible: dict[tuple[str, str, str | None, Needs, bool], tuple[Ranked, ...]] = field(default_factory=dict)
    _named: dict[tuple[Selection, str, str], tuple[Ranked, ...]] = field(default_factory=dict)

    def order(self, profile: str, band: str, category: str | None) -> tuple[Ranked, ...]:
        """The profile's list for the band, and for the kind of task where it has one of its own."""
        return self.ranked[profile, band] if category is None else self.by_category[profile, band, category]

    def eligible(
        self, profile: str, band: str, needs: Needs, denies_training: bool = False, category: str | None = None
    ) -> tuple[Ranked, ...]:
        """That list without what cannot be called, lacks what is needed, or may train on it."""
        found = self._eligible.get((profile, band, category, needs, denies_training))
        if found is None:
            found = tuple(
                one
                for one in self.order(profile, band, category)
                if one.candidate.problem is None
                and not lacking(one.candidate, needs, is_named=False)
                and not (
                    denies_training and one.candidate.offer.may_train_on_prompts and not one.candidate.offer.is_local
                )
            )
            self._eligible[profile, band, category, needs, denies_training] = found
        return found

    def named(self, selection: Selection, profile: str, band: str) -> tuple[Ranked, ...]:
        """Every candidate of a named model: those the profile ranks in its order, then the rest, cheapest first."""
        found = self._named.get((selection, profile, band))
        if found is None:
            if len(self._named) >= _NAMED_LISTS_KEPT:
                self._named.clear()
            found = self._named[selection, profile, band] = tuple(self._list(selection, profile, band))
        return found

    def _list(self, selection: Selection, profile: str, band: str) -> Iterable[Ranked]:
        of_model = {
            one.offer.offer_id: one
            for one in self.candidates_of.get(selection.model_id, ())
            if one.effort == selection.effort
            and (selection.offer_ids is None or one.offer.offer_id in selection.offer_ids)
        }
        if selection.offer_ids is None:
            # A plain name does not mean a marketplace variant (free ones may train on prompts), unless that is all.
            plain = {offer_id: one for offer_id, one in of_model.items() if one.offer.variant is None}
            of_model = plain or of_model
        placed: dict[str, Ranked] = {}
        for one in self.ranked[profile, band]:
            candidate = of_model.get(one.candidate.offer.offer_id)
            if candidate is not None and candidate.offer.offer_id not in placed:
                # The caller chose the model, so its effort is the caller's too: the profile only orders the offers.
                placed[candidate.offer.offer_id] = one._replace(candidate=candidate)
        rest = [one for offer_id, one in of_model.items() if offer_id not in placed]
        rest.sort(key=lambda one: (_price(one.offer), one.offer.offer_id))
        return [*placed.values(), *(Ranked(candidate, None, None) for candidate in rest)]

    def is_unoffered(self, name: str) -> bool:
        """Whether a name that is not understood is that of a model which nobody offers."""
        wanted = reading.mark(name)
        place = bisect_left(self.unoffered, wanted)
        return place < len(self.unoffered) and self.unoffered[place] == wanted

    @property
    def is_servable(self) -> bool:
        """Whether anything in it can be called."""
        return any(account.problem is None for account in self.accounts.values())


def _price(offer: published.Offer) -> float:
    """Sort key: what a call with three prompt tokens to one completion token costs; unknown is last."""
    if offer.is_local:
        return 0.0
    if offer.price_in_usd_per_mtok is None or offer.price_out_usd_per_mtok is None:
        return float("inf")
    return 3 * offer.price_in_usd_per_mtok + offer.price_out_usd_per_mtok


def lacking(candidate: Candidate, needs: Needs, *, is_named: bool) -> Needs:
    """Which of the needs the candidate does not meet.

    Where nobody says whether an offer can do something, it is believed to when the caller named the model or the
    server is the user's own, and not otherwise: the router's own choice must not rest on a guess.
    """
    missing = needs & ~candidate.has
    if missing and (is_named or candidate.offer.is_local):
        missing &= ~candidate.is_unknown
    return missing


def build(rows: Rows, accounts: Mapping[str, Account], unoffered: bytes = b"") -> Snapshot:
    """Index one publication. Takes some tens of milliseconds for some hundreds of offers."""
    (about,) = rows[published.Snapshot]
    offers: dict[str, published.Offer] = {offer.offer_id: offer for offer in rows[published.Offer]}
    configurations = {(one.model_id, one.effort): one for one in rows[published.Configuration]}
    defaults = {one.model_id: one for one in rows[published.Configuration] if one.is_default}
    made: dict[tuple[str, str | None], Candidate] = {}

    def candidate(offer: published.Offer, effort: str | None) -> Candidate:
        found = made.get((offer.offer_id, effort))
        if found is None:
            configuration = configurations.get((offer.model_id, effort)) if effort else defaults.get(offer.model_id)
            found = Candidate(offer, effort, accounts.get(offer.upstream), configuration)
            made[offer.offer_id, effort] = found
        return found

    def ranked(row: Any) -> Ranked:
        return Ranked(
            candidate(offers[row.offer_id], row.effort),
            row.rank,
            row.score,
            row.quality_score,
            row.latency_score,
            row.cost_score,
            row.context_score,
            row.latency_ms,
            row.cost_in_usd_per_call,
        )

    profiles = {profile.profile: profile for profile in rows[published.Profile]}
    by_band: dict[tuple[str, str], list[Ranked]] = {}
    for in_band in rows[published.BandRanking]:
        by_band.setdefault((in_band.profile, in_band.difficulty_band), []).append(ranked(in_band))
    lists = {
        (profile, band): tuple(by_band.get((profile, band)) or by_band.get((profile, "medium")) or ())
        for profile in profiles
        for band in BANDS
    }
    by_category = dict(_by_category(rows[published.CategoryRanking], lists))
    stated_efforts: dict[str, set[str]] = {}
    for record in rows[published.ModelRecord]:
        if record.effort:
            stated_efforts.setdefault(record.model_id, set()).add(record.effort)
    for offer in offers.values():
        for effort in (None, *stated_efforts.get(offer.model_id, ())):
            candidate(offer, effort)
    of_model: dict[str, list[Candidate]] = {}
    for one in made.values():
        of_model.setdefault(one.offer.model_id, []).append(one)
    return Snapshot(
        publication_id=about.publication_id,
        built_at=about.built_at,
        source_observed_at=about.source_observed_at,
        source_origins=about.source_origins,
        models={model.model_id: model for model in rows[published.Model]},
        profiles=profiles,
        default_profile=next((p.profile for p in profiles.values() if p.is_default), next(iter(profiles), "")),
        names=_names(rows, offers),
        offers=offers,
        accounts=accounts,
        # The medium band is the ranking, as the contract says: it is read, and kept, once.
        rankings={name: lists[name, "medium"] for name in profiles},
        ranked=lists,
        by_category=by_category,
        unoffered=array("I", unoffered),
        candidates_of={model_id: tuple(list_) for model_id, list_ in of_model.items()},
    )


def _by_category(
    rows: Iterable[published.CategoryRanking], lists: Mapping[tuple[str, str], tuple[Ranked, ...]]
) -> Iterator[tuple[tuple[str, str, str], tuple[Ranked, ...]]]:
    for (profile, category, band), group in groupby(
        rows, key=lambda row: (row.profile, row.category, row.difficulty_band)
    ):
        rest = {(one.candidate.offer.offer_id, one.candidate.effort): one for one in lists.get((profile, band), ())}
        first = []
        for row in group:
            overall = rest.pop((row.offer_id, row.effort), None)
            if overall is not None:
                first.append(
                    overall._replace(
                        rank=row.rank,
                        score=row.score,
                        quality_score=row.quality_score,
                        latency_score=row.latency_score,
                        cost_score=row.cost_score,
                    )
                )
        yield (profile, band, category), (*first, *rest.values())


def _names(rows: Rows, offers: Mapping[str, published.Offer]) -> dict[str, Selection]:
    """What each name stands for. The more particular wins: an offer, an upstream's name, a model, an alias."""
    names: dict[str, Selection] = {}
    plain: dict[str, Selection] = {}

    def of_model(model_id: str) -> Selection:
        return plain.setdefault(model_id, Selection(model_id))

    for alias in rows[published.ModelAlias]:
        names[alias.alias.lower()] = of_model(alias.model_id)
    for record in rows[published.ModelRecord]:
        # A name that states an effort (an Arena's "-thinking-32k") asks for it.
        names[record.record_id.lower()] = (
            Selection(record.model_id, None, record.effort) if record.effort else of_model(record.model_id)
        )
    for model in rows[published.Model]:
        names[model.model_id.lower()] = of_model(model.model_id)
    by_name: dict[tuple[str, str], set[str]] = {}
    for offer in offers.values():
        by_name.setdefault((offer.upstream_model.lower(), offer.model_id), set()).add(offer.offer_id)
    for (name, model_id), ids in by_name.items():
        # A marketplace variant is meant when it is named; the plain name means the model wherever it is offered.
        if all(offers[offer_id].variant for offer_id in ids):
            names[name] = Selection(model_id, frozenset(ids))
        else:
            names.setdefault(name, of_model(model_id))
    for offer in offers.values():
        names.setdefault(offer.offer_id.lower(), Selection(offer.model_id, frozenset((offer.offer_id,))))
    return names


class LiveSnapshot:
    """The snapshot in use. `current` is None until something has been published."""

    def __init__(self, path: Path, accounts: Callable[[], Mapping[str, Account]], clock: Clock, poll_s: float) -> None:
        self._path = path
        self._accounts = accounts
        self._clock = clock
        self._poll_s = poll_s
        self._target: tuple[Path, int] | None = None
        self.current: Snapshot | None = None
        self.problem: str | None = f"No publication at {path}. Run: orchestrator refresh"
        self.loaded_at: dt.datetime | None = None

    def forget(self) -> None:
        """Read the publication again at the next refresh, though it is the same: what it is read with has changed."""
        self._target = None

    async def refresh(self) -> bool:
        """Read the publication if it is another than the last one looked at; whether a new one is in use now."""
        try:
            target = self._path.resolve()
            seen = (target, target.stat().st_mtime_ns)
        except OSError:
            if self.current is None:
                self.problem = f"No publication at {self._path}. Run: orchestrator refresh"
            else:
                self.problem = f"The publication at {self._path} is gone; the last one read stays in use."
            return False
        if seen == self._target:
            return False
        try:
            snapshot = await asyncio.to_thread(self._load)
        except (published.ContractMismatchError, reading.ReadingError, OSError, KeyError, ValueError) as error:
            # Not looked at again until it is replaced: a bad publication does not get better by itself.
            self._target = seen
            self.problem = str(error) or type(error).__name__
            log.warning("publication not usable: %s", self.problem)
            return False
        self._target, self.current, self.problem, self.loaded_at = seen, snapshot, None, self._clock.now()
        log.info("publication %s is in use", snapshot.publication_id)
        return True

    def _load(self) -> Snapshot:
        found = reading.read(self._path, reading.TABLES)
        return build(found.rows, self._accounts(), found.unoffered)

    async def watch(self) -> None:
        """Refresh for ever."""
        while True:
            await self._clock.sleep(self._poll_s)
            await self.refresh()
