"""Rankings whole and where their numbers come from, as the page draws them.

Read from the publication when a page first asks and kept until the next publication, so that a proxy nobody looks at
holds none of it. What may be called is the live snapshot's to say; nothing here decides or ranks.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from proxy.snapshot import Snapshot
from warehouse import published
from warehouse.published import BandRanking, Configuration, Model, ModelRecord, Ranking, Signal

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


@dataclass(slots=True)
class _Read:
    """What one publication says."""

    publication_id: str
    rankings: Mapping[str, list[Ranking]]
    bands: Mapping[tuple[str, str], list[BandRanking]]
    configurations: Mapping[str, list[Configuration]]
    models: Mapping[str, Model]
    signals: Mapping[str, list[Signal]]
    records: Mapping[str, list[ModelRecord]]
    charts: dict[tuple[Any, ...], Chart] = field(default_factory=dict)


class Evidence:
    """Charts and evidence of the publication at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = asyncio.Lock()
        self._read: _Read | None = None
        self._seen: Path | None = None

    async def _current(self) -> _Read:
        """Raises what `published.read` raises when nothing can be read and nothing was read before."""
        async with self._lock:
            target = self._path.resolve()
            if self._read is None or target != self._seen:
                self._read, self._seen = await asyncio.to_thread(_read, target), target
            return self._read

    async def chart(self, snapshot: Snapshot, profile: str, band: str) -> Chart:
        """A profile's whole ranking for a difficulty band, best first."""
        read = await self._current()
        problems = tuple(account.problem for account in snapshot.accounts.values())
        key = (profile, band, snapshot.publication_id, problems)
        chart = read.charts.get(key)
        if chart is None:
            async with self._lock:
                chart = read.charts[key] = await asyncio.to_thread(_chart, read, snapshot, profile, band)
        return chart

    async def of_model(self, model_id: str) -> dict[str, Any] | None:
        """What is known about a model and from which rows; None where the publication does not hold it."""
        read = await self._current()
        model = read.models.get(model_id)
        if model is None:
            return None
        return {
            "publication": read.publication_id,
            "model": model._asdict(),
            "configurations": [one._asdict() for one in read.configurations.get(model_id, ())],
            "signals": [one._asdict() for one in read.signals.get(model_id, ())],
            "records": [one._asdict() for one in read.records.get(model_id, ())],
        }


def _read(path: Path) -> _Read:
    rows = published.read(path, (published.Snapshot, Ranking, BandRanking, Configuration, Model, Signal, ModelRecord))
    bands: dict[tuple[str, str], list[BandRanking]] = {}
    for one in rows[BandRanking]:
        bands.setdefault((one.profile, one.difficulty_band), []).append(one)
    return _Read(
        publication_id=rows[published.Snapshot][0].publication_id,
        rankings=_by(rows[Ranking], "profile"),
        bands=bands,
        configurations=_by(rows[Configuration], "model_id"),
        models={model.model_id: model for model in rows[Model]},
        signals=_by(rows[Signal], "model_id"),
        records=_by(rows[ModelRecord], "model_id"),
    )


def _by(rows: Iterable[Any], name: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in rows:
        found.setdefault(getattr(one, name), []).append(one)
    return found


def _chart(read: _Read, snapshot: Snapshot, profile: str, band: str) -> Chart:
    ranking = read.rankings.get(profile, [])
    judged = {(one.offer_id, one.effort): one for one in ranking}
    listed: list[Any] = read.bands.get((profile, band)) or ranking
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
    body = {
        "profile": profile,
        "band": band,
        "publication": read.publication_id,
        "columns": COLUMNS,
        "rows": rows,
        "problems": problems,
        "models": {
            model_id: {"name": model.name, "vendor": model.vendor, "is_open_weights": model.is_open_weights}
            for model_id, model in read.models.items()
            if model_id in named
        },
    }
    plain = msgspec.json.encode(body)
    return Chart(f'"{hashlib.sha256(plain).hexdigest()[:20]}"', plain, gzip.compress(plain, 6, mtime=0))


def _short(number: float | None) -> float | None:
    """Six digits are more than a chart can show."""
    return None if number is None else float(f"{number:.6g}")
