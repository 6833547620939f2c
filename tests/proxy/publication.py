"""Small publications for tests, written through the contract: what the pipeline would publish, with known answers."""

from __future__ import annotations

import datetime as dt
import hashlib
import types
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from warehouse import published
from warehouse.connect import open_writer
from warehouse.published import SCHEMA, TABLE_OF, TABLES

NOW = dt.datetime(2026, 8, 22, 12, 0)

_BLANKS: dict[Any, Any] = {
    str: "",
    int: 0,
    float: 0.0,
    bool: False,
    dt.datetime: NOW,
    tuple[str, ...]: (),
}


def row(kind_of_row: type[Any], /, **values: Any) -> Any:
    """A row of the contract: what is not given is null, or blank where null is not allowed."""
    filled: dict[str, Any] = {}
    for name, hint in typing.get_type_hints(kind_of_row).items():
        is_nullable = isinstance(hint, types.UnionType)
        filled[name] = None if is_nullable else _BLANKS.get(hint, {})
    assert not values.keys() - filled.keys()
    return kind_of_row(**{**filled, **values})


def model(model_id: str, **more: Any) -> published.Model:
    """A chat model."""
    vendor = model_id.partition("/")[0]
    values = {"name": model_id, "vendor": vendor, "kind": "chat", "sources": ("openrouter",), **more}
    return row(published.Model, model_id=model_id, **values)


def offer(model_id: str, upstream: str = "openrouter", **more: Any) -> published.Offer:
    """A callable offer with everything a chat model has."""
    name = more.pop("upstream_model", model_id)
    host = more.get("host_tag")
    values: dict[str, Any] = {
        "offer_id": f"{upstream}:{name}" + (f"@{host}" if host else ""),
        "upstream_model": name,
        "kind": "chat",
        "is_callable": True,
        "price_in_usd_per_mtok": 1.0,
        "price_out_usd_per_mtok": 4.0,
        "context_tokens": 128_000,
        "max_output_tokens": 16_000,
        "input_modalities": ("text",),
        "supports_tools": True,
        "supports_json_schema": True,
        "supports_json_mode": True,
        "supports_vision": False,
        "supports_audio": False,
        "latency_ms": 500.0,
        "throughput_tokens_per_s": 50.0,
        "source": "openrouter",
        "record_id": name,
        **more,
    }
    return row(published.Offer, model_id=model_id, upstream=upstream, **values)


def profile(name: str, *, is_default: bool = False) -> published.Profile:
    """A profile."""
    return row(
        published.Profile,
        profile=name,
        description=f"The {name} profile.",
        is_default=is_default,
        weight_quality=0.4,
        weight_latency=0.3,
        weight_cost=0.3,
    )


def ranking(profile_name: str, offers: Sequence[published.Offer | tuple[published.Offer, str]]) -> list[Any]:
    """A profile's ranking in the order given, the same for all bands; an offer may come with an effort."""
    rows: list[Any] = []
    for rank, entry in enumerate(offers, 1):
        one, effort = entry if isinstance(entry, tuple) and not isinstance(entry, published.Offer) else (entry, None)
        shared = {
            "profile": profile_name,
            "rank": rank,
            "model_id": one.model_id,
            "offer_id": one.offer_id,
            "effort": effort,
            "score": 1 - rank / 1000,
            "quality_score": 0.5,
            "latency_score": 0.5,
            "cost_score": 0.5,
            "context_score": 0.5,
            "latency_ms": 2000.0,
        }
        rows.append(row(published.Ranking, context_tokens=one.context_tokens, **shared))
        rows.extend(row(published.BandRanking, difficulty_band=band, **shared) for band in ("easy", "medium", "hard"))
    return rows


def category_ranking(
    profile_name: str,
    category: str,
    offers: Sequence[published.Offer],
    bands: Sequence[str] = ("easy", "medium", "hard"),
) -> list[Any]:
    """A profile's first offers for a kind of task, in the order given."""
    return [
        row(
            published.CategoryRanking,
            profile=profile_name,
            category=category,
            difficulty_band=band,
            rank=rank,
            model_id=one.model_id,
            offer_id=one.offer_id,
            score=0.9 - rank / 1000,
            quality_score=0.6,
            latency_score=0.5,
            cost_score=0.5,
            context_score=0.5,
            rated_in=category,
        )
        for band in bands
        for rank, one in enumerate(offers, 1)
    ]


def snapshot(publication_id: str = "20260822T120000", **more: Any) -> published.Snapshot:
    """The publication's own row."""
    values = {
        "contract_version": published.CONTRACT_VERSION,
        "built_at": NOW,
        "run_id": "test",
        "source_observed_at": {"openrouter": NOW},
        "source_ages_s": {"openrouter": 60.0},
        "source_origins": {"openrouter": "bundled"},
        **more,
    }
    return row(published.Snapshot, publication_id=publication_id, **values)


def records(offers: Iterable[published.Offer]) -> list[published.ModelRecord]:
    """The records of the offers' listings."""
    seen = {one.record_id: one for one in offers}
    return [
        row(
            published.ModelRecord,
            source="openrouter",
            record_id=record_id,
            model_id=one.model_id,
            match_probability=1.0,
            match_reason="alone",
        )
        for record_id, one in seen.items()
    ]


def world(offers: Sequence[published.Offer], *more: Any, publication_id: str = "20260822T120000") -> list[Any]:
    """A whole publication: these offers, ranked in this order by `balanced` (default) and in reverse by `budget`."""
    models = {one.model_id: model(one.model_id) for one in offers}
    rows: list[Any] = [
        snapshot(publication_id),
        profile("balanced", is_default=True),
        profile("budget"),
        *models.values(),
        *offers,
        *records(offers),
        *ranking("balanced", offers),
        *ranking("budget", list(reversed(offers))),
        *more,
    ]
    return rows


def write(path: Path, rows: Iterable[Any]) -> Path:
    """Publish: a new read-only file beside `path`, and the symlink `path` swapped to it, as the contract says."""
    rows = list(rows)
    (about,) = (one for one in rows if isinstance(one, published.Snapshot))
    target = path.parent / "publications" / f"{about.publication_id}.duckdb"
    known = hashlib.sha256(repr(rows).encode()).digest()
    if known in _made:
        target.parent.mkdir(parents=True, exist_ok=True)
        # A file of its own, as a publication is.
        target.unlink(missing_ok=True)
        target.write_bytes(_made[known])
    else:
        _make(target, rows)
        if len(_made) == MOST_MADE:
            del _made[next(iter(_made))]
        _made[known] = target.read_bytes()
    target.chmod(0o444)
    link = path.with_name(f".{path.name}.new")
    link.unlink(missing_ok=True)
    link.symlink_to(target.relative_to(path.parent))
    link.replace(path)
    return path


MOST_MADE = 24
_made: dict[bytes, bytes] = {}
"""Files that were made before, by what is in them: most tests publish what another one published already."""


def _make(target: Path, rows: list[Any]) -> None:
    with open_writer(target) as connection:
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
        for table in TABLES:
            columns = ", ".join(f"{c.name} {c.sql_type}{'' if c.is_nullable else ' NOT NULL'}" for c in table.columns)
            connection.execute(f"CREATE TABLE {SCHEMA}.{table.name} ({columns})")
        by_table: dict[str, list[Any]] = {}
        for one in rows:
            by_table.setdefault(TABLE_OF[type(one)].name, []).append(
                [list(value) if isinstance(value, tuple) else value for value in one]
            )
        for name, values in by_table.items():
            marks = f"({', '.join('?' for _ in values[0])})"
            for start in range(0, len(values), 200):
                some = values[start : start + 200]
                connection.execute(
                    f"INSERT INTO {SCHEMA}.{name} VALUES {', '.join(marks for _ in some)}",
                    [value for one in some for value in one],
                )
