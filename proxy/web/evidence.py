"""Rankings whole and where their numbers come from, as the page draws them.

Read from the publication when a page asks, and of that only the finished charts are kept, so that a proxy nobody looks
at holds none of it. What may be called is the live snapshot's to say; nothing here decides or ranks.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from proxy.snapshot import Snapshot
from warehouse import published
from warehouse.published import BandRanking, Configuration, ModelRecord, PublishedRows, Ranking, Signal

COLUMNS = (
    "rank",
    "model",
    "offer",
    "effort",
    "score",
    "quality_score",
    "latency_score",
    "cost_score",
    "context_score",
    "quality",
    "quality_sd",
    "quality_basis",
    "latency_ms",
    "latency_basis",
    "cost_usd",
    "context_tokens",
    "host",
    "is_local",
    "is_free",
    "problem",
)
"""A row of a chart, in this order. `quality` is on the Arena's scale; `problem` says why it cannot be called."""


class Chart(NamedTuple):
    """One ranking as JSON, plain and gzipped."""

    etag: str
    plain: bytes
    packed: bytes


class Evidence:
    """Charts and evidence of the publication at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = asyncio.Lock()
        self._charts: dict[tuple[Any, ...], Chart] = {}
        self._of: tuple[Any, ...] = ()

    async def chart(self, snapshot: Snapshot, profile: str, band: str) -> Chart:
        """A profile's whole ranking for a difficulty band, best first.

        Raises what `published.read` raises when the publication cannot be read.
        """
        # A chart is good as long as publication and upstreams are what they were.
        target = self._path.resolve()
        state = (target, snapshot.publication_id, *(one.problem for one in snapshot.accounts.values()))
        async with self._lock:
            if state != self._of:
                self._of, self._charts = state, {}
            found = self._charts.get((profile, band))
            if found is None:
                found = self._charts[profile, band] = await asyncio.to_thread(_chart, target, snapshot, profile, band)
            return found

    async def of_model(self, snapshot: Snapshot, model_id: str) -> dict[str, Any]:
        """What is known about a model and from which rows.

        Raises what `published.read` raises when the publication cannot be read.
        """
        tables = (published.Snapshot, Configuration, Signal, ModelRecord)
        rows = await asyncio.to_thread(published.read, self._path, tables, ("model_id", model_id))
        model = snapshot.models.get(model_id)
        return {
            "publication": rows[published.Snapshot][0].publication_id,
            "model": model._asdict() if model else None,
            "configurations": [one._asdict() for one in rows[Configuration]],
            "signals": [one._asdict() for one in rows[Signal]],
            "records": [one._asdict() for one in rows[ModelRecord]],
        }


def _chart(path: Path, snapshot: Snapshot, profile: str, band: str) -> Chart:
    read = published.read(path, (published.Snapshot, Ranking, BandRanking), ("profile", profile))
    body = _drawn(read, snapshot, band) | {"profile": profile, "band": band}
    plain = msgspec.json.encode(body)
    return Chart(f'"{hashlib.sha256(plain).hexdigest()[:20]}"', plain, gzip.compress(plain, 6, mtime=0))


def _drawn(read: PublishedRows, snapshot: Snapshot, band: str) -> dict[str, Any]:
    judged = {(one.offer_id, one.effort): one for one in read[Ranking]}
    listed: list[Any] = [one for one in read[BandRanking] if one.difficulty_band == band] or list(read[Ranking])
    problems: list[str] = []
    rows = []
    for one in listed:
        offer = snapshot.offers.get(one.offer_id)
        if offer is None:
            continue
        account = snapshot.accounts.get(offer.upstream)
        problem = f"upstream {offer.upstream} is not configured" if account is None else account.problem
        if problem is not None and problem not in problems:
            problems.append(problem)
        by = judged.get((one.offer_id, one.effort))
        rows.append(
            (
                one.rank,
                one.model_id,
                one.offer_id,
                one.effort,
                _short(one.score),
                _short(one.quality_score),
                _short(one.latency_score),
                _short(one.cost_score),
                _short(one.context_score),
                by and _short(by.quality),
                by and _short(by.quality_sd),
                by and by.quality_basis,
                _short(one.latency_ms),
                by and by.latency_basis,
                _short(one.cost_in_usd_per_call),
                offer.context_tokens,
                offer.host_name,
                offer.is_local,
                offer.is_free,
                None if problem is None else problems.index(problem),
            )
        )
    named = {row[1] for row in rows}
    return {
        "publication": read[published.Snapshot][0].publication_id,
        "columns": COLUMNS,
        "rows": rows,
        "problems": problems,
        "models": {
            model_id: {"name": model.name, "vendor": model.vendor, "is_open_weights": model.is_open_weights}
            for model_id in sorted(named)
            if (model := snapshot.models.get(model_id))
        },
    }


def _short(number: float | None) -> float | None:
    """Six digits are more than a chart can show."""
    return None if number is None else float(f"{number:.6g}")
