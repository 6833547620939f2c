"""The Dagster side of the rankings: the assets of schema `ranking`, and what a person sees of each.

When tables are read and written belongs here. How an estimate or a score comes about is in the pure modules beside it.
"""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl

from pipeline import lineage, pictures, plots
from pipeline.rankings import categories, estimates, profile, quality, signals, tables
from pipeline.rankings.profile import Profile
from pipeline.rankings.typical_calls import MEDIUM
from pipeline.resources import BuildDatabase, Clock
from pipeline.settings import SettingError
from warehouse.locations import locations

GROUP = "rankings"

OWNERS = ["team:orchestrator"]

_LINKED = [dg.AssetKey(["entity", "models"]), dg.AssetKey(["entity", "model_records"])]

_SHOWN = 10
_SHOWN_CHANGES = 60


def _key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["ranking", name])


def _core(*names: str) -> list[dg.AssetKey]:
    return [dg.AssetKey(["core", name]) for name in names]


def allows_data_collection(environment: Mapping[str, str] | None = None) -> bool:
    """ORCHESTRATOR_DATA_COLLECTION: deny (default) leaves free tiers and hosts that train on prompts unranked.

    Raises `SettingError` for anything but allow or deny.
    """
    env = os.environ if environment is None else environment
    text = (env.get("ORCHESTRATOR_DATA_COLLECTION") or "deny").strip().lower()
    if text not in ("allow", "deny"):
        raise SettingError(f"ORCHESTRATOR_DATA_COLLECTION is {text!r}; it takes allow or deny.")
    return text == "allow"


def load_profiles(environment: Mapping[str, str] | None = None) -> tuple[Profile, ...]:
    """The shipped profiles and those of ORCHESTRATOR_PROFILES_DIR. Raises `ProfileError`."""
    env = os.environ if environment is None else environment
    own = env.get(profile.DIRECTORY_VARIABLE)
    return profile.load([profile.SHIPPED, *([Path(own).expanduser()] if own else [])])


_MEANINGS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "provider_prices": (
        ("source", "VARCHAR", "the price list"),
        ("record_id", "VARCHAR", "published.model_records"),
        ("model_id", "VARCHAR", "published.models"),
        ("provider", "VARCHAR", "who asks the price, canonical"),
        ("provider_model", "VARCHAR", "what that provider calls it"),
        ("provider_name", "VARCHAR", "the same in lower case and without the provider's path"),
        ("effort", "VARCHAR", "effort that the name states"),
        ("variant", "VARCHAR", "marketplace variant that the name states"),
        ("name", "VARCHAR", "name for people"),
        ("kind", "VARCHAR", "as the list states it"),
        ("price_in_usd_per_mtok", "DOUBLE", "prompt tokens"),
        ("price_out_usd_per_mtok", "DOUBLE", "completion tokens"),
        ("price_cache_read_usd_per_mtok", "DOUBLE", "prompt tokens read from a cache"),
        ("price_cache_write_usd_per_mtok", "DOUBLE", "prompt tokens written to a cache"),
        ("price_reasoning_usd_per_mtok", "DOUBLE", "reasoning tokens, where they cost other than completion"),
        ("price_request_usd", "DOUBLE", "each request"),
        ("price_image_usd", "DOUBLE", "each input image"),
        ("price_tiers_json", "VARCHAR", "as published.offers holds them"),
        ("context_tokens", "BIGINT", "longest prompt, or prompt and completion together: lists differ"),
        ("max_output_tokens", "BIGINT", "longest completion"),
        ("input_modalities", "VARCHAR[]", "text, image, audio, video, file"),
        ("supports_tools", "BOOLEAN", "function calling"),
        ("supports_json_schema", "BOOLEAN", "structured output"),
        ("supports_reasoning", "BOOLEAN", "whether it thinks"),
        ("supported_efforts", "VARCHAR[]", "efforts it takes, where the list says"),
        ("released_on", "DATE", "release date"),
        ("ends_on", "DATE", "announced last day"),
        ("knowledge_cutoff", "VARCHAR", "as stated"),
        ("is_open_weights", "BOOLEAN", "whether the weights can be downloaded"),
        ("observed_at", "TIMESTAMP", "when the list was seen"),
    ),
    "evidence": (
        ("model_id", "VARCHAR", "published.models"),
        ("effort", "VARCHAR", "effort the record's name states, or the table's own"),
        ("metric", "VARCHAR", "what was measured"),
        ("scope", "VARCHAR", "what narrows it: Arena subset and category, leaderboard"),
        ("value", "DOUBLE", "as the source gives it"),
        ("variance", "DOUBLE", "of the value, where the source states an interval"),
        ("weight", "DOUBLE", "how much it counts beside others of its kind"),
        ("source", "VARCHAR", "published.model_records"),
        ("record_id", "VARCHAR", "published.model_records"),
        ("observed_at", "TIMESTAMP", "when the source said so"),
    ),
    "own_calls": (
        ("offer_id", "VARCHAR", "published.offers"),
        ("effort", "VARCHAR", "effort that was asked for"),
        ("calls", "DOUBLE", "answered calls, recent ones counting more"),
        ("log_first_content_ms", "DOUBLE", "mean logarithm of the time to the first content"),
        ("output_calls", "DOUBLE", "calls that were long enough to time their output"),
        ("log_tokens_per_s", "DOUBLE", "mean logarithm of completion tokens a second"),
        ("last_at", "TIMESTAMP", "start of the newest of them"),
    ),
    "own_attempts": (
        ("offer_id", "VARCHAR", "published.offers"),
        ("answered", "DOUBLE", "answered calls, recent ones counting more"),
        ("failed", "DOUBLE", "calls that failed at the offer's end, recent ones counting more"),
        ("failed_ms", "DOUBLE", "mean time until a failed one had failed"),
        ("last_at", "TIMESTAMP", "start of the newest of all"),
    ),
}


def _described(name: str) -> dict[str, Any]:
    described: dict[str, Any] = {"dagster/table_name": f"ranking.{name}"}
    if name in tables.PUBLISHED:
        columns = tables.contract_table(name).columns
        described["dagster/column_schema"] = dg.TableSchema(
            [dg.TableColumn(c.name, c.sql_type, description=c.meaning) for c in columns]
        )
    elif name in _MEANINGS:
        described["dagster/column_schema"] = dg.TableSchema(
            [dg.TableColumn(column, kind, description=meaning) for column, kind, meaning in _MEANINGS[name]]
        )
    return described


def _spec(name: str, description: str, deps: list[dg.AssetKey], kinds: set[str]) -> dg.AssetSpec:
    return dg.AssetSpec(
        _key(name),
        description=description,
        deps=deps,
        group_name=GROUP,
        kinds=kinds,
        owners=OWNERS,
        metadata=_described(name),
        code_version="1",
    )


def _counted(connection: duckdb.DuckDBPyConnection, name: str, by: str | None = None) -> dict[str, Any]:
    """Row count of `ranking.<name>`, what its columns are made of, and counts by the values of one column."""
    metadata: dict[str, Any] = {
        "dagster/row_count": connection.execute(f"SELECT count(*) FROM ranking.{name}").fetchall()[0][0],
        **lineage.of(f"ranking.{name}"),
    }
    if by is not None:
        query = f"SELECT {by}, count(*) FROM ranking.{name} GROUP BY ALL ORDER BY 2 DESC, 1"
        rows = connection.execute(query).fetchall()
        records = [dg.TableRecord({by: str(value), "rows": count}) for value, count in rows]
        if records:
            metadata[f"by_{by}"] = dg.MetadataValue.table(records)
    return metadata


@dg.multi_asset(
    name="offers",
    specs=[
        _spec(
            "provider_prices",
            "What each price list says that a provider asks for a model, with the model it was linked to.",
            [*_LINKED, *_core("models_dev_models", "genai_prices_models", "litellm_prices_models")],
            {"duckdb", "sql"},
        ),
        _spec(
            "offers",
            "Every way to call a model: listings and what local servers hold, with prices, limits and abilities.",
            [
                *_LINKED,
                *_core("openrouter_listings", "openrouter_endpoints", "upstream_listings", "outcomes"),
                _key("provider_prices"),
            ],
            {"duckdb", "sql"},
        ),
        _spec(
            "price_disagreements",
            "Prices of one model at one provider that sources state differently, and what each says.",
            [_key("provider_prices"), _key("offers"), *_core("openrouter_listings")],
            {"duckdb", "sql"},
        ),
    ],
)
def offers(build: BuildDatabase, clock: Clock) -> Iterator[dg.MaterializeResult[Any]]:
    """Fill `ranking.provider_prices`, `ranking.offers` and `ranking.price_disagreements`."""
    with build.writing() as connection:
        tables.make_offers(connection, clock.now())
        for name, by in (("provider_prices", "provider"), ("offers", "kind"), ("price_disagreements", "price")):
            yield dg.MaterializeResult(asset_key=_key(name), metadata=_counted(connection, name, by))


@dg.multi_asset(
    name="evidence",
    specs=[
        _spec(
            "evidence",
            "Every rating, benchmark, speed and price that was linked to a model, as its source gives it.",
            [
                *_LINKED,
                *_core(
                    "lmsys_arena_ratings",
                    "huggingface_benchmarks",
                    "artificial_analysis_models",
                    "openrouter_listings",
                    "lmsys_benchmarks",
                    "alpaca_eval_results",
                ),
            ],
            {"duckdb", "sql"},
        ),
        _spec(
            "own_calls",
            "How soon and how fast offers have answered the proxy's own calls, recent calls counting more.",
            _core("outcomes"),
            {"duckdb", "sql"},
        ),
        _spec(
            "own_attempts",
            "How often offers have answered the proxy's own calls, recent calls counting more.",
            _core("outcomes"),
            {"duckdb", "sql"},
        ),
    ],
)
def evidence(build: BuildDatabase, clock: Clock) -> Iterator[dg.MaterializeResult[Any]]:
    """Fill `ranking.evidence`, `ranking.own_calls` and `ranking.own_attempts`."""
    with build.writing() as connection:
        tables.make_evidence(connection)
        yield dg.MaterializeResult(asset_key=_key("evidence"), metadata=_counted(connection, "evidence", "source"))
        tables.make_own_calls(connection, clock.now())
        yield dg.MaterializeResult(asset_key=_key("own_calls"), metadata=_own_calls(connection))
        tables.make_own_attempts(connection, clock.now())
        yield dg.MaterializeResult(asset_key=_key("own_attempts"), metadata=_counted(connection, "own_attempts"))


def _own_calls(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Row count, and how long the proxy's calls waited for their first content, by upstream."""
    waits: dict[str, list[float]] = {}
    query = (
        "SELECT upstream, first_content_ms FROM core.outcomes WHERE outcome = 'answered' AND first_content_ms > 0 "
        "ORDER BY ALL"
    )
    for upstream, first_content_ms in connection.execute(query).fetchall():
        waits.setdefault(upstream, []).append(first_content_ms)
    title = "Time to the first content of answered calls"
    draw = partial(plots.times, waits, title=title, beside="attempts")
    return {**_counted(connection, "own_calls"), **pictures.shown("first_content", draw, locations().reports)}


@dg.multi_asset(
    name="estimates",
    specs=[
        _spec(
            "configurations",
            "How good, how wordy and how fast every model is at every effort, with the certainty of it.",
            [*_LINKED, *_core("lmsys_arena_names"), _key("offers"), _key("evidence")],
            {"duckdb", "polars"},
        ),
        _spec(
            "category_qualities",
            "How good every configuration is at each kind of prompt: code, mathematics, writing, languages.",
            [*_LINKED, _key("offers"), _key("evidence")],
            {"duckdb", "polars"},
        ),
        _spec(
            "signals",
            "Which value of which record stands behind every estimate.",
            [_key("offers"), _key("evidence"), _key("own_calls"), _key("own_attempts")],
            {"duckdb", "polars"},
        ),
    ],
)
def configurations(build: BuildDatabase) -> Iterator[dg.MaterializeResult[Any]]:
    """Fill `ranking.configurations`, `ranking.category_qualities` and `ranking.signals`."""
    with build.writing() as connection:
        evidence_rows = tables.read_evidence(connection)
        rungs, frame = estimates.configure(tables.read_models(connection), evidence_rows, quality.terms())
        tables.write(connection, "configurations", frame)
        yield dg.MaterializeResult(
            asset_key=_key("configurations"), metadata=_counted(connection, "configurations", "quality_basis")
        )
        tables.write(connection, "category_qualities", categories.build(rungs, frame, evidence_rows))
        yield dg.MaterializeResult(
            asset_key=_key("category_qualities"), metadata=_counted(connection, "category_qualities", "category")
        )
        own_calls, own_calls_at = tables.read_own_calls(connection)
        offered = tables.read_offers(connection)
        trail = signals.build(
            rungs,
            evidence_rows,
            quality.metrics(),
            offered.offers,
            offered.listings,
            tables.read_configurations(connection),
            own_calls,
            own_calls_at,
            *tables.read_own_attempts(connection),
        )
        tables.write(connection, "signals", trail)
        yield dg.MaterializeResult(asset_key=_key("signals"), metadata=_counted(connection, "signals", "signal"))


@dg.multi_asset(
    name="profiles",
    specs=[_spec("profiles", "What a caller may want most: the weights of every profile file.", [], {"toml"})],
)
def profiles(build: BuildDatabase) -> dg.MaterializeResult[Any]:
    """Fill `ranking.profiles`."""
    loaded = load_profiles()
    with build.writing() as connection:
        tables.write_profiles(connection, loaded)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(loaded),
            "weights": dg.MetadataValue.table(
                [
                    dg.TableRecord(
                        {
                            "profile": p.name,
                            **dict(p.weights),
                            "caution": p.caution,
                            "wrong_answer_usd": p.wrong_answer_usd,
                            "soon_enough_s": p.soon_enough_s,
                            "cheap_enough_usd": p.cheap_enough_usd,
                        }
                    )
                    for p in loaded
                ]
            ),
        }
    )


@dg.multi_asset(
    name="rankings",
    specs=[
        _spec(
            "rankings",
            "Every offer at every effort, best first for each profile, for a call of medium difficulty.",
            [_key(name) for name in ("offers", "configurations", "own_calls", "own_attempts", "profiles")],
            {"duckdb", "polars"},
        ),
        _spec(
            "band_rankings",
            "The same for easy, medium and hard prompts.",
            [_key(name) for name in ("offers", "configurations", "own_calls", "own_attempts", "profiles")],
            {"duckdb", "polars"},
        ),
        _spec(
            "category_rankings",
            "The same for prompts about code, mathematics and writing, by how good each is at those.",
            [
                _key(name)
                for name in (
                    "offers",
                    "configurations",
                    "category_qualities",
                    "own_calls",
                    "own_attempts",
                    "profiles",
                )
            ],
            {"duckdb", "polars"},
        ),
    ],
)
def rankings(build: BuildDatabase) -> Iterator[dg.MaterializeResult[Any]]:
    """Fill `ranking.rankings`, `ranking.band_rankings` and `ranking.category_rankings`.

    Raises `dagster.Failure` when no offer can be ranked.
    """
    loaded, allowed = load_profiles(), allows_data_collection()
    with build.writing() as connection:
        offered, configured = tables.read_offers(connection), tables.read_configurations(connection)
        own = tables.read_own_calls(connection)[0], tables.read_own_attempts(connection)[0]
        ranked = estimates.rank(offered.offers, configured, *own, loaded, allow_data_collection=allowed)
        if ranked.is_empty():
            raise dg.Failure(
                "No offer can be ranked: there is no callable one. Look at ranking.offers, and at the sources' loads "
                "in core.source_loads.",
                allow_retries=False,
            )
        medium = ranked.filter(pl.col("difficulty_band") == MEDIUM.band)
        default = next(p.name for p in loaded if p.is_default)
        before = last_ranks(connection, default)
        tables.write(connection, "rankings", medium)
        tables.write(connection, "band_rankings", ranked)
        by_category = estimates.rank_in_categories(
            offered.offers,
            configured,
            tables.read_category_qualities(connection),
            *own,
            loaded,
            allow_data_collection=allowed,
        )
        tables.write(connection, "category_rankings", by_category)
        in_categories = _counted(connection, "category_rankings", "category")
        left_out = sum(offer.gives_prompts_away for offer in offered.offers)
    top = {f"first_ten_{p.name}": dg.MetadataValue.md(first_rows(medium, p.name, _SHOWN)) for p in loaded}
    yield dg.MaterializeResult(
        asset_key=_key("rankings"),
        metadata={
            "dagster/row_count": medium.height,
            **lineage.of("ranking.rankings"),
            "offers_that_collect_prompts": left_out,
            **top,
            **drawn(medium.filter(pl.col("profile") == default), before, locations().reports),
        },
    )
    yield dg.MaterializeResult(
        asset_key=_key("band_rankings"),
        metadata={"dagster/row_count": ranked.height, **lineage.of("ranking.band_rankings")},
    )
    yield dg.MaterializeResult(asset_key=_key("category_rankings"), metadata=in_categories)


@dg.multi_asset(
    name="pareto",
    specs=[
        _spec(
            "pareto",
            "Which offers at which efforts no other beats on quality, speed and price, and what beats the rest.",
            [_key("rankings"), _key("profiles")],
            {"duckdb", "sql"},
        )
    ],
)
def pareto(build: BuildDatabase) -> dg.MaterializeResult[Any]:
    """Fill `ranking.pareto`."""
    with build.writing() as connection:
        tables.make_pareto(connection)
        metadata = _counted(connection, "pareto", "is_undominated")
        places = [
            plots.Place(label(offer_id, effort), *rest)
            for offer_id, effort, *rest in connection.execute(
                "SELECT offer_id, effort, quality_lower, cost_in_usd_per_call, latency_ms, is_undominated "
                "FROM ranking.pareto JOIN ranking.profiles USING (profile) "
                "WHERE profiles.is_default AND is_undominated IS NOT NULL ORDER BY rank"
            ).fetchall()
        ]
    return dg.MaterializeResult(
        metadata={**metadata, **pictures.shown("pareto", partial(plots.pareto, places), locations().reports)}
    )


@dg.multi_asset(
    name="changes",
    specs=[
        _spec(
            "changes",
            "What is otherwise than in the last publication: offers that came and went, prices, leaders, surprises.",
            [_key("offers"), _key("configurations"), _key("rankings")],
            {"duckdb", "sql"},
        )
    ],
)
def changes(context: dg.AssetExecutionContext, build: BuildDatabase, clock: Clock) -> dg.MaterializeResult[Any]:
    """Fill `ranking.changes`."""
    with build.writing() as connection:
        if reason := tables.make_changes(connection, locations().published, clock.now()):
            context.log.info(f"Nothing to compare with: {reason}")
        rows = connection.execute(
            "SELECT kind, coalesce(offer_id, model_id), coalesce(profile, effort, ''), before, after, unit "
            "FROM ranking.changes ORDER BY kind = 'first_rank' DESC, kind, 2, 3"
        ).fetchall()
        metadata = _counted(connection, "changes", "kind")
    lines = ["| change | of | profile or effort | before | after | unit |", "|---|---|---|---:|---:|---|"]
    shown = [["" if value is None else str(value) for value in row] for row in rows[:_SHOWN_CHANGES]]
    metadata["report"] = dg.MetadataValue.md("\n".join([*lines, *(f"| {' | '.join(row)} |" for row in shown)]))
    return dg.MaterializeResult(metadata=metadata)


def last_ranks(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, int]:
    """Ranks of a profile as the run before left them, by label; empty on the first."""
    there = "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'ranking' AND table_name = 'rankings'"
    if not connection.execute(there).fetchall():
        return {}
    query = "SELECT offer_id, effort, rank FROM ranking.rankings WHERE profile = ?"
    return {label(offer, effort): rank for offer, effort, rank in connection.execute(query, [name]).fetchall()}


def label(offer_id: str, effort: str | None) -> str:
    """An offer at an effort, for people."""
    return " ".join(part for part in (offer_id.removeprefix("openrouter:"), effort) if part)


def drawn(ranked: pl.DataFrame, before: Mapping[str, int], reports: Path) -> dict[str, Any]:
    """Plots of a profile: a small one for the asset's page, and the path of a large one below `reports`."""
    rows = list(ranked.iter_rows(named=True))
    choices = [
        plots.Choice(
            label(row["offer_id"], row["effort"]),
            row["quality"],
            row["cost_in_usd_per_call"] or 0.0,
            row["latency_ms"],
            row["latency_basis"],
        )
        for row in rows
        if row["quality"] is not None and row["latency_ms"] is not None
    ]
    now = {label(row["offer_id"], row["effort"]): row["rank"] for row in rows}
    plotted = {
        "quality_and_cost": partial(plots.quality_and_cost, choices),
        "rank_moves": partial(plots.rank_moves, before, now),
        "latencies": partial(plots.latencies, choices),
    }
    return {key: value for name, draw in plotted.items() for key, value in pictures.shown(name, draw, reports).items()}


def first_rows(ranked: pl.DataFrame, name: str, count: int) -> str:
    """The first rows of a profile as a Markdown table."""
    lines = [
        "| rank | offer | effort | score | quality | time | cost of a call |",
        "|---:|---|---|---:|---:|---:|---:|",
    ]
    for row in ranked.filter(pl.col("profile") == name).sort("rank").head(count).iter_rows(named=True):
        cost = row["cost_in_usd_per_call"]
        lines.append(
            f"| {row['rank']} | {row['offer_id'].removeprefix('openrouter:')} | {row['effort'] or ''} "
            f"| {row['score']:.3f} | {row['quality']:.0f} ± {row['quality_sd']:.0f} ({row['quality_basis']}) "
            f"| {row['latency_ms'] / 1000:.1f} s ({row['latency_basis']}) "
            f"| {'unknown' if cost is None else f'${cost:.5f}'} |"
        )
    return "\n".join(lines)


ASSETS: list[dg.AssetsDefinition] = [offers, evidence, configurations, profiles, rankings, pareto, changes]
"""Every asset of the rankings."""
