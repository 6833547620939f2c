"""Whole rankings and where their numbers come from, drawn up for the page once for each publication.

`python -m proxy.web.evidence PATH` draws them up, in a process of its own (`proxy/reading.py` says why); `Evidence`
keeps what it wrote, packed, from the first time somebody looks. Everything here follows from the publication alone:
what can be called at this moment is the status route's to say, and nothing here decides or ranks.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from proxy.reading import UNUSABLE, ask_child
from warehouse import published
from warehouse.published import BandRanking, Configuration, Model, ModelRecord, Offer, PublishedRows, Ranking, Signal

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
    "upstream",
    "host",
    "is_local",
    "is_free",
)
"""A row of a chart, in this order. `quality` is on the Arena's scale."""

_TABLES = (published.Snapshot, Ranking, BandRanking, Configuration, Model, Offer, Signal, ModelRecord)


class Drawn(NamedTuple):
    """All of one publication, each part as gzipped JSON."""

    publication_id: str
    charts: dict[str, bytes]
    """By 'profile/band'."""
    models: dict[str, bytes]
    """Evidence of every model that is ranked."""


class Evidence:
    """What is drawn of the publication at `path`, drawn anew when it has been replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = asyncio.Lock()
        self._seen: Path | None = None
        self._drawn: Drawn | None = None

    async def current(self) -> Drawn:
        """Raises `ContractMismatchError` or `ReadingError` when the publication cannot be read."""
        async with self._lock:
            target = self._path.resolve()
            if self._drawn is None or target != self._seen:
                answer = await asyncio.to_thread(ask_child, "proxy.web.evidence", target)
                self._drawn, self._seen = msgspec.msgpack.decode(answer, type=Drawn), target
            return self._drawn


def draw(rows: PublishedRows) -> Drawn:
    """Every chart, and the evidence of every model on one."""
    (about,) = rows[published.Snapshot]
    offers = {one.offer_id: one for one in rows[Offer]}
    models = {one.model_id: one for one in rows[Model]}
    rankings = _by(rows[Ranking], "profile")
    bands = _by(rows[BandRanking], "profile")
    ranked = {one.model_id for one in rows[Ranking]} | {one.model_id for one in rows[BandRanking]}
    charts: dict[str, bytes] = {}
    for profile in sorted(rankings.keys() | bands.keys()):
        judged = {(one.offer_id, one.effort): one for one in rankings.get(profile, ())}
        by_band = {"medium": rankings.get(profile, []), **_by(bands.get(profile, ()), "difficulty_band")}
        for band, listed in by_band.items():
            body = {
                "profile": profile,
                "band": band,
                "publication": about.publication_id,
                "columns": COLUMNS,
                "rows": [_row(one, judged.get((one.offer_id, one.effort)), offers[one.offer_id]) for one in listed],
                "models": {
                    model_id: {"name": models[model_id].name, "vendor": models[model_id].vendor}
                    for model_id in sorted({one.model_id for one in listed})
                },
            }
            charts[f"{profile}/{band}"] = _packed(body)
    of_model: dict[type[Any], Mapping[str, list[Any]]] = {
        table: _by(rows[table], "model_id") for table in (Configuration, Signal, ModelRecord)
    }
    evidence = {
        model_id: _packed(
            {
                "publication": about.publication_id,
                "model": models[model_id]._asdict(),
                "configurations": [one._asdict() for one in of_model[Configuration].get(model_id, ())],
                "signals": [one._asdict() for one in of_model[Signal].get(model_id, ())],
                "records": [one._asdict() for one in of_model[ModelRecord].get(model_id, ())],
            }
        )
        for model_id in sorted(ranked)
    }
    return Drawn(about.publication_id, charts, evidence)


def _row(one: Any, judged: Ranking | None, offer: Offer) -> tuple[Any, ...]:
    numbers = (one.score, one.quality_score, one.latency_score, one.cost_score, one.context_score)
    return (
        one.rank,
        one.model_id,
        one.offer_id,
        one.effort,
        *(_short(number) for number in numbers),
        _short(judged.quality) if judged else None,
        _short(judged.quality_sd) if judged else None,
        judged.quality_basis if judged else None,
        _short(one.latency_ms),
        judged.latency_basis if judged else None,
        _short(one.cost_in_usd_per_call),
        offer.context_tokens,
        offer.upstream,
        offer.host_name,
        offer.is_local,
        offer.is_free,
    )


def _by(rows: Iterable[Any], name: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in rows:
        found.setdefault(getattr(one, name), []).append(one)
    return found


def _packed(body: Any) -> bytes:
    return gzip.compress(msgspec.json.encode(body), 6, mtime=0)


def _short(number: float | None) -> float | None:
    """Six digits are more than a chart can show."""
    return None if number is None else float(f"{number:.6g}")


def main(arguments: Sequence[str]) -> int:
    """The child's part."""
    try:
        rows = published.read(Path(arguments[0]), _TABLES)
    except (published.ContractMismatchError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    sys.stdout.buffer.write(msgspec.msgpack.encode(draw(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
