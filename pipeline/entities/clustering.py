"""Clusters of units, built from the strongest link down, never joining what contradicts itself. Pure.

A chain of good-looking pairs may not join two checkpoints, so each union is checked against every member of both
sides. What two names contradict each other in is decided here for whole clusters, as `comparisons.py` does for pairs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

AMBIGUITY_BITS = 1.5
"""A unit that two contradicting units claim with match weights this near to each other belongs to neither."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What clustering needs to know of a unit: the parts that may contradict, and where it is listed."""

    unit_id: str
    words: str = ""
    tier: str = ""
    modality: str = ""
    training: str = ""
    mode: str = ""
    version: str = ""
    revision: str = ""
    size: str = ""
    active_b: float | None = None
    context: str = ""
    date: str = ""
    stage: str = ""
    preview: str = ""
    released_on: dt.date | None = None
    in_openrouter: bool = False
    in_artificial_analysis: bool = False
    arena_spans: tuple[tuple[dt.date, dt.date], ...] = ()
    hub_author: str | None = None
    dated_siblings: int = 0
    is_anchor: bool = True
    """A catalogue or a vendor's own repository speaks for it; otherwise it is a stranger's work or a conversion."""


@dataclass(frozen=True, slots=True)
class Link:
    """A scored pair of units above the threshold."""

    left: str
    right: str
    match_weight: float
    match_probability: float


@dataclass(frozen=True)
class Clusters:
    """Which units are one model, and by which links."""

    members: dict[str, tuple[str, ...]]
    """Smallest unit id of a cluster → its units, sorted."""
    cluster_of: dict[str, str]
    used: tuple[Link, ...]
    refused: tuple[tuple[Link, str], ...]
    """Links above the threshold that a constraint kept from joining, with its reason."""


def contradiction(a: Unit, b: Unit) -> str:
    """Why two units can never be one model; '' when nothing speaks against it."""
    if (a.tier, a.modality, a.training, a.mode) != (b.tier, b.modality, b.training, b.mode):
        return "tier, modality, training or mode"
    # vendors shorten their names; more words in a stranger's name are the stranger's work
    is_shortened = a.is_anchor and b.is_anchor and _one_holds_the_other(a.words, b.words)
    if a.words != b.words and not is_shortened and not _one_letter_apart(a.words, b.words):
        return "words"
    if a.size and b.size and a.size != b.size:
        return "size"
    if a.active_b is not None and b.active_b is not None and a.active_b != b.active_b:
        return "active size"
    if not _dates_agree(a.date, b.date) or (a.revision and b.revision and a.revision != b.revision):
        return "date"
    if a.stage and b.stage and a.stage != b.stage:
        return "stage"
    if a.preview and b.preview and a.preview != b.preview:
        return "preview"
    # a stranger's longer context is an extension, a vendor's may be left out elsewhere
    if a.context != b.context and ((a.context and b.context) or not (a.is_anchor and b.is_anchor)):
        return "context"
    if a.version and b.version and not _one_holds_the_other(a.version, b.version):
        return "version"
    if _side_by_side(a, b) and not _alias_of_its_day(a, b):
        return "one source lists both"
    return ""


def _dates_agree(a: str, b: str) -> bool:
    if not a or not b or a == b:
        return True
    return all("?" in x or "?" in y or x == y for x, y in ((a[:4], b[:4]), (a[5:7], b[5:7]), (a[8:], b[8:])))


def _one_holds_the_other(a: str, b: str) -> bool:
    if a == b:
        return True
    first, second = set(a.split(" ")), set(b.split(" "))
    return first <= second or second <= first


def _one_letter_apart(a: str, b: str) -> bool:
    """Whether one edit (insert, delete, replace, swap of neighbours) turns `a` into `b`; digits may not differ."""
    if abs(len(a) - len(b)) > 1 or min(len(a), len(b)) < 8 or any(c.isdigit() for c in a + b):
        return False
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    rest_a, rest_b = a[start:], b[start:]
    return (
        rest_a[1:] == rest_b[1:]
        or rest_a == rest_b[1:]
        or rest_a[1:] == rest_b
        or (rest_a[:2] == rest_b[:2][::-1] and rest_a[2:] == rest_b[2:])
    )


def _side_by_side(a: Unit, b: Unit) -> bool:
    return (
        (a.in_openrouter and b.in_openrouter)
        or (a.in_artificial_analysis and b.in_artificial_analysis)
        or any(x[0] <= y[1] and y[0] <= x[1] for x in a.arena_spans for y in b.arena_spans)
        or (a.hub_author is not None and a.hub_author == b.hub_author)
    )


def _alias_of_its_day(a: Unit, b: Unit) -> bool:
    """`gpt-4o-mini` beside `gpt-4o-mini-2024-07-18`: an undated id listed on the very day in the other's name."""
    dated, undated = (a, b) if a.date else (b, a)
    if undated.date or len(dated.date) != 10 or "?" in dated.date or a.dated_siblings > 1:
        return False
    if undated.released_on is None:
        return False
    same = (a.stage, a.preview, a.size) == (b.stage, b.preview, b.size)
    return same and abs((dt.date.fromisoformat(dated.date) - undated.released_on).days) <= 3


def cluster(
    units: Iterable[Unit],
    links: Iterable[Link],
    same: Iterable[tuple[str, str]] = (),
    different: Iterable[tuple[str, str]] = (),
) -> Clusters:
    """Join units by `links`, strongest first. `same` and `different` are pins and win over both.

    The result does not depend on the order of `units` or `links`.
    """
    by_id = {unit.unit_id: unit for unit in units}
    cluster_of = {unit_id: unit_id for unit_id in by_id}
    members: dict[str, list[str]] = {unit_id: [unit_id] for unit_id in by_id}
    apart = {frozenset(pair) for pair in different}

    def join(left: str, right: str) -> None:
        keep, drop = sorted((cluster_of[left], cluster_of[right]))
        for unit_id in members[drop]:
            cluster_of[unit_id] = keep
        members[keep].extend(members.pop(drop))

    for left, right in sorted(same):
        if cluster_of[left] != cluster_of[right]:
            join(left, right)

    ordered = sorted(links, key=lambda link: (-round(link.match_weight, 6), link.left, link.right))
    ambiguous = _ambiguous(by_id, ordered)
    used: list[Link] = []
    refused: list[tuple[Link, str]] = []
    for link in ordered:
        left, right = cluster_of[link.left], cluster_of[link.right]
        if left == right:
            used.append(link)
            continue
        if (link.left, link.right) in ambiguous:
            reason = "two claim it alike"
        else:
            reasons = (
                "pinned" if frozenset((a, b)) in apart else contradiction(by_id[a], by_id[b])
                for a in members[left]
                for b in members[right]
            )
            reason = next(filter(None, reasons), "")
        if reason:
            refused.append((link, reason))
            continue
        join(link.left, link.right)
        used.append(link)
    return Clusters(
        members={key: tuple(sorted(units)) for key, units in members.items()},
        cluster_of=cluster_of,
        used=tuple(used),
        refused=tuple(refused),
    )


def _ambiguous(by_id: dict[str, Unit], ordered: list[Link]) -> set[tuple[str, str]]:
    """Links of a unit whose best claimants contradict each other and are about equally strong."""
    claims: dict[str, list[tuple[Link, str]]] = {}
    for link in ordered:
        claims.setdefault(link.left, []).append((link, link.right))
        claims.setdefault(link.right, []).append((link, link.left))
    found: set[tuple[str, str]] = set()
    for claimed in claims.values():
        if len(claimed) < 2:
            continue
        best, first = claimed[0]
        near = [
            (link, other)
            for link, other in claimed[1:]
            if best.match_weight - link.match_weight < AMBIGUITY_BITS
            and contradiction(by_id[first], by_id[other]) in ("date", "size", "version", "context", "active size")
        ]
        if near:
            found.add((best.left, best.right))
            found.update((link.left, link.right) for link, _ in near)
    return found
