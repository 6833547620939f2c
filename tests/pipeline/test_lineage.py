"""What columns are made of: SQL read with known answers, and the file that Dagster is shown."""

from __future__ import annotations

import subprocess
import sys

import dagster as dg
import pytest

from pipeline import lineage
from pipeline.definitions import build_definitions
from pipeline.entities.assets import MEANINGS
from pipeline.lineage import tables
from pipeline.lineage.derive import columns_of, declared_columns
from tests.deployment import ROOT
from warehouse import sql
from warehouse.published import TABLES

KNOWN = {"core.a": ("key", "x", "y", "at"), "core.b": ("key", "z", "w")}

STATEMENTS = {
    "an expression, its alias and a literal": (
        "SELECT a.x + a.y AS total, total * 2 AS twice, 'told' AS basis FROM core.a",
        {"total": {"core.a.x", "core.a.y"}, "twice": {"core.a.x", "core.a.y"}, "basis": set()},
    ),
    "what joins, filters and orders is no source": (
        "SELECT first(x ORDER BY at) AS x, arg_max(y, at) AS y FROM core.a JOIN core.b USING (key) WHERE w > 0 "
        "GROUP BY z",
        {"x": {"core.a.x"}, "y": {"core.a.y"}},
    ),
    "a condition is one": (
        "SELECT CASE WHEN x > 0 THEN y END AS y, count(*) FILTER (at IS NULL) AS n FROM core.a",
        {"y": {"core.a.x", "core.a.y"}, "n": {"core.a.at"}},
    ),
    "stars, without what is excepted and what USING shares": (
        "WITH both AS (SELECT * FROM core.a JOIN core.b USING (key)) SELECT both.* EXCLUDE (x, at, w) FROM both",
        {"key": {"core.a.key"}, "y": {"core.a.y"}, "z": {"core.b.z"}},
    ),
    "a union by name": (
        "CREATE TABLE t AS "
        "WITH u AS (SELECT x, y FROM core.a UNION ALL BY NAME SELECT z AS y, w AS v FROM core.b) FROM u",
        {"x": {"core.a.x"}, "y": {"core.a.y", "core.b.z"}, "v": {"core.b.w"}},
    ),
    "a union by place, past values without a name": (
        "SELECT NULL AS n, x, '' AS s, y FROM core.a UNION ALL SELECT NULL, z, '', w FROM core.b",
        {"n": set(), "x": {"core.a.x", "core.b.z"}, "s": set(), "y": {"core.a.y", "core.b.w"}},
    ),
    "columns turned into rows": (
        "SELECT key, metric, value FROM (UNPIVOT (SELECT key, x, y FROM core.a) ON COLUMNS(* EXCLUDE (key)) "
        "INTO NAME metric VALUE value)",
        {"key": {"core.a.key"}, "metric": set(), "value": {"core.a.x", "core.a.y"}},
    ),
    "rows made of what stands before them": (
        "SELECT it.v FROM core.a CROSS JOIN LATERAL (VALUES ('x', a.x), ('y', a.y)) AS it (k, v)",
        {"v": {"core.a.x", "core.a.y"}},
    ),
    "names that cannot be told add nothing": (
        "SELECT incoming.x, key AS k, nowhere AS n, a.y FROM incoming, core.a, core.b",
        {"x": set(), "k": set(), "n": set(), "y": {"core.a.y"}},
    ),
}


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_sources_of_a_column(name: str) -> None:
    """Known answers, one for each way of writing that the SQL files use."""
    text, expected = STATEMENTS[name]

    assert columns_of(text, KNOWN) == expected
    assert list(columns_of(text, KNOWN)) == list(expected)


def test_columns_of_a_table_by_its_file() -> None:
    """Of a table that is made anew and of one that grows."""
    assert declared_columns(sql.statement("core", "hub_evaluations"))[0] == "huggingface_id"
    assert declared_columns(sql.statement("core", "outcomes"))[:3] == ("attempt_id", "request_id", "attempt")


def test_the_file_is_up_to_date() -> None:
    """It says what the SQL says now. Remade by: python -m pipeline.lineage"""
    assert tables.FILE.read_text(encoding="utf-8") == tables.text()


ANSWERS = {
    ("ranking.offers", "price_image_usd"): {
        "core.openrouter_listings.price_image_usd",
        "core.openrouter_endpoints.price_image_usd",
        "ranking.provider_prices.price_image_usd",
    },
    ("ranking.offers", "host_name"): {"core.openrouter_endpoints.host_name"},
    ("ranking.provider_prices", "price_in_usd_per_mtok"): {
        "core.models_dev_models.price_in_usd_per_mtok",
        "core.genai_prices_models.price_in_usd_per_mtok",
        "core.litellm_prices_models.price_in_usd_per_mtok",
    },
    ("ranking.evidence", "weight"): {"core.lmsys_arena_ratings.vote_count"},
    ("ranking.pareto", "quality_lower"): {
        "ranking.rankings.quality",
        "ranking.rankings.quality_sd",
        "ranking.profiles.caution",
    },
    ("entity.models", "license"): {
        "core.artificial_analysis_models.license",
        "core.huggingface_benchmarks.license",
        "core.huggingface_repositories.license",
        "core.lmsys_arena_names.license",
    },
    ("entity.models", "name"): {"core.openrouter_listings.name", "entity.records.record_id"},
    ("published.models", "name"): {"entity.models.name"},
    ("published.snapshot", "source_origins"): {"core.source_loads.source", "core.source_loads.origin"},
}


def sources(table: str, column: str) -> set[str]:
    """As Dagster is told."""
    (told,) = lineage.of(table).values()
    deps = told.deps_by_column.get(column, ())
    return {f"{'.'.join(dep.asset_key.path)}.{dep.column_name}" for dep in deps}


@pytest.mark.parametrize(("table", "column"), sorted(ANSWERS))
def test_what_dagster_is_told(table: str, column: str) -> None:
    """Columns whose sources a reader of the SQL would name."""
    assert sources(table, column) == ANSWERS[table, column]


def test_a_price_comes_from_the_lists_or_from_what_calls_cost() -> None:
    """Listing, host, price lists; and what own calls cost, which wins."""
    assert sources("ranking.offers", "price_in_usd_per_mtok") >= {
        "core.openrouter_listings.price_in_usd_per_mtok",
        "core.openrouter_endpoints.price_in_usd_per_mtok",
        "ranking.provider_prices.price_in_usd_per_mtok",
        "core.outcomes.cost_usd",
        "core.outcomes.prompt_tokens",
    }


def test_a_table_of_its_own_has_none() -> None:
    """Profiles are files; nothing is said of them."""
    assert lineage.of("ranking.profiles") == {}


def test_it_is_looked_up_and_not_worked_out() -> None:
    """Loading the definitions reads no SQL."""
    program = "import sys, pipeline.definitions; print(*(name for name in sys.modules if 'pipeline.lineage' in name))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["pipeline.lineage"]


def columns() -> dict[str, set[str]]:
    """Columns of every table that an asset shows, by 'schema.table'."""
    contract = {table.name: {column.name for column in table.columns} for table in TABLES}
    found = {f"core.{name}": set(declared_columns(sql.statement("core", name)))
             for name in sql.names("core") if "." not in name}  # fmt: skip
    found |= {f"entity.{name}": set(meanings) for name, meanings in MEANINGS.items()}
    found["entity.models"] -= {"offer_count"}
    found |= {f"published.{name}": columns for name, columns in contract.items()}
    for spec in build_definitions().resolve_all_asset_specs():
        if spec.key.path[0] == "ranking":
            shown = spec.metadata["dagster/column_schema"].columns
            found[".".join(spec.key.path)] = {column.name for column in shown}
    return found


def test_every_lineage_names_columns_that_are_there() -> None:
    """On both ends, in tables that are assets and lie upstream."""
    there = columns()
    graph = build_definitions().resolve_asset_graph()
    wrong = []
    for table, traced in tables.everything().items():
        schema, name = table.split(".")
        upstream = {".".join(key.path) for key in graph.get_ancestor_asset_keys(dg.AssetKey([schema, name]))}
        # One step makes the whole layer.
        upstream |= {f"entity.{other}" for other in MEANINGS} if schema == "entity" else set()
        for column, made_of in traced.items():
            wrong += [f"{table}.{column}"] if column not in there[table] else []
            for source in made_of:
                of, _, source_column = source.rpartition(".")
                if of not in upstream or source_column not in there.get(of, ()):
                    wrong.append(f"{table}.{column} < {source}")

    assert wrong == []
