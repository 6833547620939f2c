"""Lasting names of models. Pure: clusters and what they were called before → ids, and what changed.

A cluster's number is no identity. A model keeps the id its records had in the last refresh; when clusters split or
merge, the part with most of the records keeps the id, the change is recorded, and the old id stays an alias.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

RecordRef = tuple[str, str]


class Change(NamedTuple):
    """What became of a model id between two refreshes."""

    changed_at: dt.datetime
    change: str
    """merged, split or retired."""
    old_model_id: str
    new_model_id: str | None
    record_count: int
    """Records that moved."""


@dataclass(frozen=True)
class Identified:
    """Ids of clusters, and what changed since last time."""

    model_ids: dict[str, str]
    """Cluster → model id."""
    changes: tuple[Change, ...]


def slug(text: str) -> str:
    """Readable part of an id: lower case, letters, digits, dots and dashes; at most 80 characters."""
    plain = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")
    return plain[:80].strip("-.")


def assign(
    proposals: Mapping[str, str],
    members: Mapping[str, Sequence[RecordRef]],
    previous: Mapping[RecordRef, str],
    changed_at: dt.datetime,
) -> Identified:
    """An id for every cluster in `members`.

    `proposals` is the name a new model would get; `previous` the id of every record in the last refresh. Two clusters
    that propose one id are told apart by a mark made of their first record, which does not depend on the others.
    """
    votes = {
        cluster: Counter(previous[record] for record in records if record in previous)
        for cluster, records in members.items()
    }
    ids: dict[str, str] = {}
    claims = sorted(
        ((count, old, cluster) for cluster, counted in votes.items() for old, count in counted.items()),
        key=lambda claim: (-claim[0], claim[1], min(members[claim[2]])),
    )
    taken: set[str] = set()
    for _, old, cluster in claims:
        if cluster not in ids and old not in taken:
            ids[cluster] = old
            taken.add(old)
    fresh = sorted((cluster for cluster in members if cluster not in ids), key=lambda cluster: min(members[cluster]))
    wanted = Counter(proposals[cluster] for cluster in fresh)
    first_of: dict[str, str] = {}
    for cluster in sorted(fresh, key=lambda c: (-len({source for source, _ in members[c]}), min(members[c]))):
        first_of.setdefault(proposals[cluster], cluster)
    for cluster in fresh:
        proposal = proposals[cluster]
        if proposal in taken or (wanted[proposal] > 1 and first_of[proposal] != cluster):
            proposal = f"{proposal}-{_mark(min(members[cluster]))}"
        ids[cluster] = proposal
        taken.add(proposal)
    return Identified(ids, tuple(_changes(ids, votes, previous, changed_at)))


def _mark(record: RecordRef) -> str:
    return hashlib.sha256(":".join(record).encode()).hexdigest()[:6]


def _changes(
    ids: Mapping[str, str],
    votes: Mapping[str, Counter[str]],
    previous: Mapping[RecordRef, str],
    changed_at: dt.datetime,
) -> Iterable[Change]:
    kept = set(ids.values())
    seen: set[str] = set()
    moved = sorted(
        (old, ids[cluster], count)
        for cluster, counted in votes.items()
        for old, count in counted.items()
        if ids[cluster] != old
    )
    for old, new, count in moved:
        seen.add(old)
        yield Change(changed_at, "split" if old in kept else "merged", old, new, count)
    for old in sorted(set(previous.values()) - kept - seen):
        yield Change(changed_at, "retired", old, None, 0)


def resolve_former(changes: Iterable[Change], current: set[str]) -> dict[str, str]:
    """Old ids that are no model any more → the model they became. A chain of merges is followed to its end."""
    became: dict[str, str] = {}
    for change in sorted(changes, key=lambda change: (change.changed_at, change.record_count)):
        if change.new_model_id and change.change == "merged":
            became[change.old_model_id] = change.new_model_id
    resolved = {}
    for old in became:
        end, steps = old, 0
        while end in became and end not in current and steps < len(became):
            end, steps = became[end], steps + 1
        if end in current and old not in current:
            resolved[old] = end
    return resolved
