"""Reads what estimation needs from the build database, and writes tables of schema `ranking`.

Only moving rows belongs here: what they mean is decided in the pure modules, when they move in `assets.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipeline.rankings.calls import CallableOffer, Configured
from pipeline.rankings.configurations import Evidence, ModelFacts
from pipeline.rankings.kinds import RATED_IN, InCategory
from pipeline.rankings.profile import Profile
from pipeline.rankings.signals import Listing
from pipeline.rankings.speed import OUTCOME_HALF_LIFE_DAYS, OwnAttempts, OwnCalls
from warehouse import sql
from warehouse.connect import DatabaseError, open_reader
from warehouse.published import SCHEMA, TABLE_OF, TABLES, Table
from warehouse.published import Profile as PublishedProfile

OfferKey = tuple[str, str | None]
"""An offer and the effort asked for."""


@dataclass(frozen=True)
class Offers:
    """Callable offers and where each is listed."""

    offers: list[CallableOffer]
    listings: dict[str, Listing]
    """By offer."""


PUBLISHED = frozenset(table.name for table in TABLES)
"""Names of the tables that are published."""


def contract_table(name: str) -> Table:
    """The published table of that name."""
    return next(table for table in TABLES if table.name == name)


def make_offers(connection: duckdb.DuckDBPyConnection, now: dt.datetime) -> None:
    """Fill `ranking.provider_prices`, `ranking.offers` as of `now` (UTC), and `ranking.price_disagreements`."""
    connection.execute(sql.statement("ranking", "provider_prices"))
    connection.execute(sql.statement("ranking", "offers"), {"now": now})
    connection.execute(sql.statement("ranking", "price_disagreements"))


def make_evidence(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill `ranking.evidence`."""
    connection.execute(sql.statement("ranking", "evidence"))


def make_own_calls(connection: duckdb.DuckDBPyConnection, now: dt.datetime) -> None:
    """Fill `ranking.own_calls` as of `now` (UTC)."""
    parameters = {"now": now, "half_life_days": OUTCOME_HALF_LIFE_DAYS}
    connection.execute(sql.statement("ranking", "own_calls"), parameters)


def make_own_attempts(connection: duckdb.DuckDBPyConnection, now: dt.datetime) -> None:
    """Fill `ranking.own_attempts` as of `now` (UTC)."""
    parameters = {"now": now, "half_life_days": OUTCOME_HALF_LIFE_DAYS}
    connection.execute(sql.statement("ranking", "own_attempts"), parameters)


def make_pareto(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill `ranking.pareto` from `ranking.rankings`."""
    connection.execute(sql.statement("ranking", "pareto"))


COMPARED = ("offers", "configurations", "rankings")
"""Published tables whose changes are told."""


def make_changes(connection: duckdb.DuckDBPyConnection, last: Path, now: dt.datetime) -> str | None:
    """Fill `ranking.changes` by comparing with the publication at `last`.

    Leaves it empty, and returns why, when there is none to compare with.
    """
    columns = ", ".join(f"{c.name} {c.sql_type}" for c in contract_table("changes").columns)
    connection.execute(f"CREATE OR REPLACE TABLE ranking.changes ({columns})")
    try:
        # Read rather than attached: another reader in this process would be in the way of an attachment.
        with open_reader(last) as reader:
            before = {name: reader.sql(f"FROM {SCHEMA}.{name}").pl() for name in COMPARED}
    except (FileNotFoundError, DatabaseError) as error:
        return str(error)
    lacking = [
        f"{name}.{column.name}"
        for name, frame in before.items()
        for column in contract_table(name).columns
        if column.name not in frame.columns
    ]
    if lacking:
        return f"the last publication lacks {', '.join(lacking)}"
    for name, frame in before.items():
        connection.register(f"last_{name}", frame)
    try:
        connection.execute(sql.statement("ranking", "changes"), {"now": now})
    finally:
        for name in before:
            connection.unregister(f"last_{name}")
    return None


def read_models(connection: duckdb.DuckDBPyConnection) -> list[ModelFacts]:
    """Every model that could be ranked or that others are compared with."""
    rows = connection.execute(sql.statement("ranking", "read_models")).fetchall()
    return [ModelFacts(*(_frozen(value) for value in row)) for row in rows]


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def read_evidence(connection: duckdb.DuckDBPyConnection) -> list[Evidence]:
    """All evidence, in a lasting order."""
    return [Evidence(*row) for row in connection.execute(sql.statement("ranking", "read_evidence")).fetchall()]


def read_offers(connection: duckdb.DuckDBPyConnection) -> Offers:
    """Every callable offer."""
    rows = connection.execute(sql.statement("ranking", "read_offers")).fetchall()
    width = len(CallableOffer.__dataclass_fields__)
    offers = [CallableOffer(*(_frozen(value) for value in row[:width])) for row in rows]
    listings = {}
    for row in rows:
        (listed, at), (priced, priced_at), (sized, sized_at) = (
            (row[i : i + 2], row[i + 2]) for i in (width, width + 3, width + 6)
        )
        listings[row[0]] = Listing(listed, at, priced, priced_at, sized, sized_at)
    return Offers(offers, listings)


def read_own_calls(
    connection: duckdb.DuckDBPyConnection,
) -> tuple[dict[OfferKey, OwnCalls], dict[OfferKey, dt.datetime]]:
    """What own calls have shown, and when the last one was."""
    rows = connection.execute(sql.statement("ranking", "read_own_calls")).fetchall()
    seen = {(row[0], row[1]): OwnCalls(*row[2:6]) for row in rows}
    return seen, {(row[0], row[1]): row[6] for row in rows}


def read_own_attempts(
    connection: duckdb.DuckDBPyConnection,
) -> tuple[dict[str, OwnAttempts], dict[str, dt.datetime]]:
    """How often own calls to each offer were answered, and when the last one was made."""
    rows = connection.execute(sql.statement("ranking", "read_own_attempts")).fetchall()
    return {row[0]: OwnAttempts(*row[1:4]) for row in rows}, {row[0]: row[4] for row in rows}


def read_configurations(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Configured]]:
    """Estimates by model, efforts in order."""
    found: dict[str, list[Configured]] = {}
    for model_id, *values in connection.execute(sql.statement("ranking", "read_configurations")).fetchall():
        found.setdefault(model_id, []).append(Configured(*values))
    return found


def read_category_qualities(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[tuple[str, str], InCategory]]:
    """Estimates in the categories that kinds of task have, by category, then by model and effort."""
    found: dict[str, dict[tuple[str, str], InCategory]] = {}
    parameters = {"categories": sorted(RATED_IN.values())}
    rows = connection.execute(sql.statement("ranking", "read_category_qualities"), parameters).fetchall()
    for category, model_id, effort, *estimate in rows:
        found.setdefault(category, {})[model_id, effort] = InCategory(*estimate)
    return found


def write(connection: duckdb.DuckDBPyConnection, name: str, frame: pl.DataFrame) -> int:
    """Replace `ranking.<name>` by the frame; the contract's columns first and in its types. Returns the row count."""
    table = contract_table(name)
    wanted = [column.name for column in table.columns]
    extra = [column for column in frame.columns if column not in wanted]
    casts = [f"CAST({column.name} AS {column.sql_type}) AS {column.name}" for column in table.columns]
    order = ", ".join(table.order)
    connection.register("frame_to_write", frame)
    try:
        connection.execute(
            f"CREATE OR REPLACE TABLE ranking.{name} AS "
            f"SELECT {', '.join([*casts, *extra])} FROM frame_to_write ORDER BY {order}"
        )
    finally:
        connection.unregister("frame_to_write")
    return frame.height


def write_profiles(connection: duckdb.DuckDBPyConnection, profiles: Sequence[Profile]) -> int:
    """Replace `ranking.profiles`."""
    rows: list[dict[str, Any]] = [
        {
            "profile": p.name,
            "description": p.description,
            "is_default": p.is_default,
            **{f"weight_{part}": weight for part, weight in p.weights.items()},
            "caution": p.caution,
            "wrong_answer_usd": p.wrong_answer_usd,
            "soon_enough_s": p.soon_enough_s,
            "cheap_enough_usd": p.cheap_enough_usd,
        }
        for p in profiles
    ]
    return write(connection, TABLE_OF[PublishedProfile].name, pl.DataFrame(rows))


def read_first_published(connection: duckdb.DuckDBPyConnection) -> dict[str, dt.date]:
    """Day on which each Arena name was first published."""
    return dict(connection.execute(sql.statement("ranking", "read_first_published")).fetchall())
