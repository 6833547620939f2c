"""Entity tables made of a linkage: which record is which model, by what reason, and what a model is called.

Rows only; reading and writing the database is done in `assets.py`, ids in `identity.py`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.entities import identity
from pipeline.entities import vocabulary as words_of
from pipeline.entities.linkage import Linkage
from pipeline.entities.sizes import stated as stated_size
from warehouse.published import TABLE_OF, Model, ModelAlias, ModelRecord

SOURCE_ORDER = (
    "openrouter",
    "huggingface",
    "artificial_analysis",
    "lmsys_arena",
    "upstream",
    *sorted(words_of.PRICE_LISTS),
)
"""Whose name a model takes, first one first."""

POLARS_TYPES: dict[str, Any] = {
    "VARCHAR": pl.String,
    "BIGINT": pl.Int64,
    "DOUBLE": pl.Float64,
    "BOOLEAN": pl.Boolean,
    "DATE": pl.Date,
    "TIMESTAMP": pl.Datetime("us"),
    "VARCHAR[]": pl.List(pl.String),
}


def schema_of(row: type[Any], without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Polars types of a published table's columns."""
    return {
        column.name: POLARS_TYPES[column.sql_type] for column in TABLE_OF[row].columns if column.name not in without
    }


CHANGES_SCHEMA: dict[str, Any] = {
    "changed_at": pl.Datetime("us"),
    "change": pl.String,
    "old_model_id": pl.String,
    "new_model_id": pl.String,
    "record_count": pl.Int64,
}


@dataclass(frozen=True)
class EntityTables:
    """The entity layer's rows."""

    model_records: pl.DataFrame
    models: pl.DataFrame
    model_aliases: pl.DataFrame
    changes: pl.DataFrame
    """All changes ever recorded, this refresh's at the end."""
    dates_to_come: tuple[str, ...] = ()
    """Release dates that were ignored because they have not come yet, as 'source:record_id states 2028-05-24'."""


def build(
    linked: Linkage,
    moving: pl.DataFrame,
    details: pl.DataFrame,
    previous: Mapping[identity.RecordRef, str],
    past_changes: Iterable[identity.Change],
    changed_at: dt.datetime,
) -> EntityTables:
    """Rows from a linkage. `moving` holds alias records with their `alias_target`, `details` all records as read."""
    described = linked.records.join(
        details.select("source", "record_id", "display_name", "kind", "license", "knowledge_cutoff",
                       "is_open_weights", "observed_at"),
        on=["source", "record_id"],
        how="left",
    )  # fmt: skip
    rows = described.with_columns(rank=_preference()).sort("cluster_id", "rank", "record_id").to_dicts()
    clusters: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        clusters.setdefault(row["cluster_id"], []).append(row)
    members = {cluster: [(row["source"], row["record_id"]) for row in held] for cluster, held in clusters.items()}
    proposals = {cluster: _proposed_id(held) for cluster, held in clusters.items()}
    known = {record: model for record, model in previous.items() if not record[1].startswith("~")}
    identified = identity.assign(proposals, members, known, changed_at)
    changes = [*past_changes, *identified.changes]

    record_rows = _record_rows(linked, clusters, identified.model_ids)
    model_of = {(row["source"], row["record_id"].lower()): row["model_id"] for row in record_rows}
    alias_rows: list[dict[str, Any]] = []
    today = changed_at.date()
    model_rows = [_model_row(identified.model_ids[cluster], held, today) for cluster, held in clusters.items()]
    for mover in moving.to_dicts():
        target = model_of.get(("openrouter", (mover["alias_target"] or "").lower()))
        is_resolved = target is not None
        model_id = (
            target
            or previous.get((mover["source"], mover["record_id"]))
            or f"alias/{identity.slug(mover['record_id'])}"
        )
        record_rows.append(
            _record_row(mover, model_id, 1.0, "exact" if is_resolved else "alone",
                        f"openrouter:{mover['alias_target']}" if is_resolved else None)
        )  # fmt: skip
        if is_resolved:
            alias_rows.append({"alias": mover["record_id"].lower(), "model_id": model_id, "kind": "moving_alias"})
            for row in model_rows:
                if row["model_id"] == model_id:
                    row["record_count"] += 1
        elif not any(row["model_id"] == model_id for row in model_rows):
            model_rows.append(_orphan_alias(model_id, mover))
    current = {row["model_id"] for row in model_rows}
    former = identity.resolve_former(changes, current)
    alias_rows += [{"alias": old, "model_id": new, "kind": "former_id"} for old, new in former.items()]
    alias_rows += _names(record_rows, clusters, identified.model_ids)
    return EntityTables(
        model_records=pl.DataFrame(record_rows, schema=schema_of(ModelRecord)).sort("source", "record_id"),
        models=pl.DataFrame(model_rows, schema=schema_of(Model, ("offer_count",))).sort("model_id"),
        model_aliases=_unambiguous(alias_rows),
        changes=pl.DataFrame([change._asdict() for change in changes], schema=CHANGES_SCHEMA),
        dates_to_come=tuple(
            f"{row['source']}:{row['record_id']} states {day}"
            for row in rows
            for day in (_day(row["date"]), row["released_on"])
            if day is not None and day > today
        ),
    )


def _preference() -> pl.Expr:
    order = pl.col("source").replace_strict(
        {source: 10 * i for i, source in enumerate(SOURCE_ORDER)}, default=90, return_dtype=pl.Int64
    )
    plain = (pl.col("variant") != "").cast(pl.Int64) * 4 + (pl.col("effort") != "").cast(pl.Int64) * 2
    conversion = (pl.col("quantization") != "") | ((pl.col("source") == "huggingface") & ~pl.col("is_official"))
    return order + plain + conversion.cast(pl.Int64) * 35


def _proposed_id(held: list[dict[str, Any]]) -> str:
    first = held[0]
    name = first["record_id"]
    if first["source"] == "openrouter":
        name = name.lstrip("~").partition(":")[0]
    author, slash, rest = name.rpartition("/")
    if first["source"] in words_of.HOSTED_SOURCES:
        name = re.sub(r"(^|:)(?:accounts/[^/]+/)?models/", r"\1", name)
    if first["source"] in ("lmsys_arena", "artificial_analysis", "upstream"):
        author = ""
        rest = name.partition(":")[2] if first["source"] == "upstream" else name
    elif first["source"] in words_of.PRICE_LISTS:
        author, rest = "", rest.partition(":")[0]
    vendor = next((row["vendor"] for row in held if row["vendor"]), "") or first["family_vendor"]
    if slash and vendor not in words_of.VENDOR_SPELLINGS:
        vendor = identity.slug(author)
    text = identity.slug(rest)
    for effort in (first["effort"] or "").split("-"):
        if effort:
            text = re.sub(rf"-{re.escape(effort)}(?=-|$)", "", text)
    return f"{identity.slug(vendor) or 'unknown'}/{text or 'unnamed'}"


def _record_row(
    row: dict[str, Any], model_id: str, probability: float, reason: str, matched_with: str | None
) -> dict[str, Any]:
    return {
        "source": row["source"],
        "record_id": row["record_id"],
        "model_id": model_id,
        "match_probability": probability,
        "match_reason": reason,
        "matched_with": matched_with,
        "effort": row.get("effort") or None,
        "variant": row.get("variant") or None,
        "quantization": row.get("quantization") or None,
        "observed_at": row["observed_at"],
    }


def _record_rows(
    linked: Linkage, clusters: dict[str, list[dict[str, Any]]], model_ids: dict[str, str]
) -> list[dict[str, Any]]:
    strongest: dict[str, tuple[float, float, str]] = {}
    for link in linked.clusters.used:
        for unit, other in ((link.left, link.right), (link.right, link.left)):
            claim = (link.match_weight, link.match_probability, other)
            if unit not in strongest or claim > strongest[unit]:
                strongest[unit] = claim
    rows = []
    for cluster, held in clusters.items():
        units: dict[str, list[str]] = {}
        for row in held:
            units.setdefault(row["unit_id"], []).append(f"{row['source']}:{row['record_id']}")
        for row in held:
            own = f"{row['source']}:{row['record_id']}"
            twins = [other for other in units[row["unit_id"]] if other != own]
            best = strongest.get(row["unit_id"])
            found: tuple[float, str, str | None]
            if row["unit_id"] in linked.pinned_units and len(units) > 1:
                other_unit = next(unit for unit in units if unit != row["unit_id"])
                found = (1.0, "pinned", units[other_unit][0])
            elif twins:
                found = (1.0, "exact", twins[0])
            elif best is not None and best[2] in units:
                found = (best[1], "linked", units[best[2]][0])
            else:
                found = (1.0, "alone", None)
            rows.append(_record_row(row, model_ids[cluster], *found))
    return rows


def _model_row(model_id: str, held: list[dict[str, Any]], today: dt.date) -> dict[str, Any]:
    first = held[0]

    def known(column: str) -> Any:
        return next((row[column] for row in held if row[column] not in (None, "")), None)

    sizes = [row["size_b"] for row in held if row["size_b"] is not None]
    params = [row["params_b"] for row in held if row["params_b"] is not None]
    listed = [row["released_on"] for row in held if row["released_on"] and row["quantization"] == ""]
    seen = [row["first_seen_on"] for row in held if row["first_seen_on"]]
    stated = [day for row in held if (day := _day(row["date"]))]
    # What has not come yet is no release: a day written the other way round, or a slip of the source.
    of_age = [[day for day in days if day <= today] for days in (stated[:1], listed, seen)]
    released = next((min(days) for days in of_age if days), None)
    kinds = [row["kind"] for row in held if row["kind"] not in (None, "batch", "alias", "expired")]
    # Strangers' repositories may be of anything that carries the name.
    size = stated_size([model_id, *(row["record_id"] for row in held if row["source"] != "huggingface")])
    return {
        "model_id": model_id,
        "name": _name_for_people(first),
        "vendor": known("vendor") or known("family_vendor"),
        "family": "-".join(part for part in (first["words"].replace(" ", "-"), first["tier"].replace(" ", "-")) if part)
        or None,
        "version": known("version"),
        "kind": _kind(held, kinds),
        "size_b": size.total_b if size else sizes[0] if sizes else (params[0] if params else None),
        "active_size_b": (size.active_b if size.active_b < size.total_b else None) if size else known("active_b"),
        "released_on": released,
        "knowledge_cutoff": known("knowledge_cutoff"),
        "license": known("license"),
        "is_open_weights": True if any(row["source"] == "huggingface" for row in held) else known("is_open_weights"),
        "sources": sorted({row["source"] for row in held}),
        "record_count": len(held),
    }


def _day(text: str | None) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError:
        return None


_KIND_OF_MODALITY = {
    "embedding": "embedding",
    "embed": "embedding",
    "embeddings": "embedding",
    "reranker": "embedding",
    "rerank": "embedding",
    "guard": "guard",
    "safeguard": "guard",
    "image": "image",
    "video": "video",
    "tts": "audio",
    "asr": "audio",
    "transcribe": "audio",
}


def _kind(held: list[dict[str, Any]], kinds: list[str]) -> str:
    listed = [row["kind"] for row in held if row["source"] == "openrouter" and row["kind"] in kinds]
    if listed:
        return str(listed[0])
    stated = [_KIND_OF_MODALITY[word] for word in held[0]["modality"].split(" ") if word in _KIND_OF_MODALITY]
    stated += [words_of.KIND_OF_FAMILY[word] for word in held[0]["words"].split(" ") if word in words_of.KIND_OF_FAMILY]
    if stated:
        return stated[0]
    if held[0]["stage"] == "base":
        return "base"
    chat_sources = any(row["source"] in ("lmsys_arena", "artificial_analysis") for row in held)
    return "chat" if chat_sources or not kinds else str(kinds[0])


def _name_for_people(first: dict[str, Any]) -> str:
    if first["display_name"]:
        return str(first["display_name"])
    name = str(first["record_id"])
    if first["source"] == "upstream":
        name = name.partition(":")[2]
    return name.rpartition("/")[2] or name


def _orphan_alias(model_id: str, mover: dict[str, Any]) -> dict[str, Any]:
    return {
        "model_id": model_id,
        "name": mover["display_name"] or mover["record_id"],
        "vendor": None,
        "family": None,
        "version": None,
        "kind": "other",
        "size_b": None,
        "active_size_b": None,
        "released_on": None,
        "knowledge_cutoff": None,
        "license": None,
        "is_open_weights": None,
        "sources": [mover["source"]],
        "record_count": 1,
    }


def _names(
    record_rows: list[dict[str, Any]], clusters: dict[str, list[dict[str, Any]]], model_ids: dict[str, str]
) -> list[dict[str, Any]]:
    """Spellings of records: the id itself, its part after the author, and the name for people."""
    found = []
    for row in record_rows:
        record_id = row["record_id"].lower()
        # What a price list calls a model is its provider's name for it, and no better than that of the upstream itself.
        if record_id.startswith("~") or row["source"] in words_of.PRICE_LISTS:
            continue
        found.append({"alias": record_id, "model_id": row["model_id"], "kind": "record"})
        if row["source"] == "upstream":
            found.append({"alias": record_id.partition(":")[2], "model_id": row["model_id"], "kind": "record"})
        elif row["source"] == "openrouter" and "/" in record_id:
            found.append({"alias": record_id.partition("/")[2], "model_id": row["model_id"], "kind": "name"})
    for cluster, held in clusters.items():
        for row in held:
            if row["display_name"]:
                found.append({"alias": row["display_name"].lower(), "model_id": model_ids[cluster], "kind": "name"})
            if row["source"] == "huggingface" and row["is_official"]:
                short = row["record_id"].rpartition("/")[2].lower()
                found.append({"alias": short, "model_id": model_ids[cluster], "kind": "name"})
    return found


def _unambiguous(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """One row a spelling. The stronger kind wins; a spelling that two models claim alike resolves to neither."""
    strength = {"record": 0, "moving_alias": 1, "former_id": 2, "name": 3}
    best: dict[str, tuple[int, set[str], str]] = {}
    for row in rows:
        alias, kind = row["alias"], row["kind"]
        if not alias:
            continue
        level = strength[kind]
        if alias not in best or level < best[alias][0]:
            best[alias] = (level, {row["model_id"]}, kind)
        elif level == best[alias][0]:
            best[alias][1].add(row["model_id"])
    kept = [
        {"alias": alias, "model_id": next(iter(models)), "kind": kind}
        for alias, (_, models, kind) in best.items()
        if len(models) == 1
    ]
    return pl.DataFrame(kept, schema=schema_of(ModelAlias)).sort("alias")
