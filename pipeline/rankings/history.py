"""Reads the recorded history that `backtest.py` replays: what was listed, priced, rated and called, and when.

Only moving rows belongs here. Listings that are gone are linked by their names, as a refresh would have.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb
import polars as pl

from pipeline.rankings import tables
from pipeline.rankings.backtest import History, Listing, OwnHistory, Series, levelled
from pipeline.rankings.calls import CallableOffer
from pipeline.rankings.configurations import Evidence
from pipeline.rankings.speed import OwnAttempts, OwnCalls
from pipeline.sources import openrouter
from pipeline.sources.load import SNAPSHOT
from warehouse import sql
from warehouse.connect import open_memory

Resolver = Callable[[Sequence[str]], dict[str, str | None]]
"""Names to model ids; None where no known model fits."""

_NOT_CALLED = ("free", "batch")
"""Variants of a name that are left out: free tiers are by default, batches cannot be called."""


class PastCall(NamedTuple):
    """An answered call of one's own."""

    at: dt.datetime
    profile: str | None
    offer_id: str
    effort: str | None
    total_ms: float
    cost_usd: float | None


def with_bundled(connection: duckdb.DuckDBPyConnection, bundled: Path = SNAPSHOT) -> duckdb.DuckDBPyConnection:
    """A copy in memory of what a replay reads, completed by the bundled history: a build forgets old metrics."""
    copy = open_memory()
    for schema in ("core", "entity", "ranking"):
        copy.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for table in (
        "core.observations",
        "core.artificial_analysis_models",
        "core.lmsys_arena_names",
        "core.huggingface_benchmarks",
        "core.outcomes",
        "entity.models",
        "entity.model_records",
        "ranking.evidence",
        "ranking.offers",
    ):
        frame = connection.sql(f"FROM {table}").pl()
        copy.register("frame_to_copy", frame)
        copy.execute(f"CREATE TABLE {table} AS FROM frame_to_copy")
        copy.unregister("frame_to_copy")
    file = bundled / "observations.parquet"
    if file.exists():
        copy.register("bundled_history", pl.read_parquet(file))
        copy.execute(
            "INSERT INTO core.observations BY NAME "
            "SELECT source, record_id, metric, scope, value, observed_at FROM bundled_history "
            "ANTI JOIN core.observations USING (source, record_id, metric, scope, observed_at)"
        )
        copy.unregister("bundled_history")
    return copy


def read(
    connection: duckdb.DuckDBPyConnection, resolve: Resolver, told: Callable[[str], None] = lambda text: None
) -> History:
    """The history in `connection`, which `with_bundled` made. `told` hears of what takes long or is left out."""
    evidence = [Evidence(*row) for row in connection.execute(sql.statement("ranking", "read_past_evidence")).fetchall()]
    series: dict[str, dict[str, Series]] = defaultdict(lambda: defaultdict(Series))
    for record_id, metric, value, at in connection.execute(sql.statement("ranking", "read_past_prices")).fetchall():
        one = series[record_id][metric]
        one.times.append(at)
        one.values.append(value)
    listings = [
        Listing(_offer(offer_id, model_id, *rest), series[record_id])
        for record_id, offer_id, model_id, *rest in connection.execute(
            sql.statement("ranking", "read_past_offers")
        ).fetchall()
        if record_id in series
    ]
    current = set(_column(connection, "SELECT record_id FROM ranking.offers WHERE source = 'openrouter'"))
    gone = sorted(name for name in series if name not in current and _was_chat(name))
    if gone:
        told(f"linking {len(gone)} listings that are gone")
    model_of = resolve(sorted({name.partition(":")[0] for name in gone}))
    linked = [(name, model_id) for name in gone if (model_id := model_of[name.partition(":")[0]]) is not None]
    if len(linked) < len(gone):
        told(f"{len(gone) - len(linked)} of them are no model that anything else is known of: left out")
    listings += [
        Listing(_offer(f"openrouter:{name}", model_id, None, None, (), None, False), series[name])
        for name, model_id in linked
    ]
    return History(tables.read_models(connection), levelled(evidence), listings, _own(connection))


def catalogue_days(history: History) -> list[dt.date]:
    """Days on which prices of fifty listings or more were seen: whole catalogues, not single events."""
    seen: dict[dt.date, int] = defaultdict(int)
    for listing in history.listings:
        for at in listing.metrics.get("price_out_usd_per_mtok", Series()).times:
            seen[at.date()] += 1
    return sorted(day for day, count in seen.items() if count >= 50)


def read_calls(connection: duckdb.DuckDBPyConnection) -> list[PastCall]:
    """Every answered call of one's own, in order of time."""
    return [PastCall(*row) for row in connection.execute(sql.statement("ranking", "read_past_calls")).fetchall()]


def _column(connection: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    return [row[0] for row in connection.execute(query).fetchall()]


def _was_chat(name: str) -> bool:
    if name.partition(":")[2] in _NOT_CALLED:
        return False
    kind = openrouter.kind_of(
        name, name=name, outputs=["text"], is_priced_as_router=False, expires_on=None, today=dt.date.min
    )
    return kind == "chat"


def _offer(
    offer_id: str,
    model_id: str,
    supports_reasoning: bool | None,
    reasoning_is_mandatory: bool | None,
    supported_efforts: Sequence[str],
    active_size_b: float | None,
    may_train_on_prompts: bool,
) -> CallableOffer:
    return CallableOffer(
        offer_id=offer_id,
        model_id=model_id,
        is_local=False,
        is_free=False,
        may_train_on_prompts=may_train_on_prompts,
        supports_reasoning=supports_reasoning,
        reasoning_is_mandatory=reasoning_is_mandatory,
        supported_efforts=tuple(supported_efforts),
        price_in_usd_per_mtok=None,
        price_out_usd_per_mtok=None,
        price_reasoning_usd_per_mtok=None,
        price_request_usd=None,
        context_tokens=None,
        latency_ms=None,
        throughput_tokens_per_s=None,
        active_size_b=active_size_b,
    )


def _own(connection: duckdb.DuckDBPyConnection) -> OwnHistory:
    """Own calls as the pipeline would have seen them at a time."""
    if not connection.execute("SELECT count(*) FROM core.outcomes").fetchall()[0][0]:
        return lambda when: ({}, {})

    def own(when: dt.datetime) -> tuple[dict[tables.OfferKey, OwnCalls], dict[str, OwnAttempts]]:
        tables.make_own_calls(connection, when)
        tables.make_own_attempts(connection, when)
        return tables.read_own_calls(connection)[0], tables.read_own_attempts(connection)[0]

    return own
