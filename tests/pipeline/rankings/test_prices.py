"""What offers cost: from price lists, from what an upstream reports, and by the length of the prompt."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import duckdb
import polars as pl
import pytest

from pipeline.rankings import calls, scoring, tables
from pipeline.rankings.typical_calls import MEDIUM, TypicalCall
from tests.pipeline.rankings.build_tables import NOW, insert
from tests.pipeline.rankings.conftest import rank

_TABLE_OF = {
    "models_dev": "core.models_dev_models",
    "genai_prices": "core.genai_prices_models",
    "litellm_prices": "core.litellm_prices_models",
}

DEARER = json.dumps([{"min_prompt_tokens": 2_000, "price_in_usd_per_mtok": 2.0, "price_out_usd_per_mtok": 6.0}])


def upstream(connection: duckdb.DuckDBPyConnection, name: str, model_id: str, **more: Any) -> None:
    """A model that the upstream `vendor` lists; its API is OpenAI's."""
    row: dict[str, Any] = {
        "upstream": "vendor",
        "upstream_model": name,
        "kind": "openai",
        "is_local": False,
        "provider": "openai",
    }
    row |= {"observed_at": NOW, **more}
    insert(connection, "core.upstream_listings", [row])
    _link(connection, "upstream", f"{row['upstream']}:{name}", model_id)


def price(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    name: str,
    model_id: str,
    usd_in: float,
    usd_out: float,
    **more: Any,
) -> None:
    """A row of a price list."""
    record_id = f"openai/{name}"
    row = {"listed_id": record_id, "provider": "openai", "provider_model": name, "kind": "chat", "observed_at": NOW}
    prices = {"price_in_usd_per_mtok": usd_in, "price_out_usd_per_mtok": usd_out}
    insert(connection, _TABLE_OF[source], [{**row, **prices, **more}])
    _link(connection, source, record_id, model_id)


def called(connection: duckdb.DuckDBPyConnection, offer_id: str, usd: float, prompt: int = 1_000, **more: Any) -> None:
    """An answered call that the upstream stated the cost of: `prompt` tokens in, 100 out."""
    row = {
        "attempt_id": f"{offer_id}-{usd}-{prompt}",
        '"at"': NOW - dt.timedelta(days=1),
        "offer_id": offer_id,
        "outcome": "answered",
        "prompt_tokens": prompt,
        "completion_tokens": 100,
        "cost_usd": usd,
        "cost_is_reported": True,
    }
    insert(connection, "core.outcomes", [{**row, **more}])


def _link(connection: duckdb.DuckDBPyConnection, source: str, record_id: str, model_id: str) -> None:
    row = {"source": source, "record_id": record_id, "model_id": model_id, "match_probability": 1.0}
    insert(connection, "entity.model_records", [{**row, "match_reason": "exact", "observed_at": NOW}])


def offer(connection: duckdb.DuckDBPyConnection, offer_id: str) -> dict[str, Any]:
    """The offer as made."""
    tables.make_offers(connection, NOW)
    (row,) = connection.sql(f"FROM ranking.offers WHERE offer_id = '{offer_id}'").pl().to_dicts()
    return row


def test_an_upstream_without_prices_takes_those_two_lists_agree_upon(world: duckdb.DuckDBPyConnection) -> None:
    """The newest list stands alone against two others; window, output and abilities come along, with their source."""
    upstream(world, "mid-1", "bolt/mid")
    limits = {"context_tokens": 200_000, "max_output_tokens": 32_000, "supports_tools": True}
    price(world, "models_dev", "mid-1", "bolt/mid", 1.0, 3.0, **limits, input_modalities=["text", "image"])
    price(world, "genai_prices", "mid-1", "bolt/mid", 1.0, 3.0, observed_at=NOW - dt.timedelta(days=1))
    price(world, "litellm_prices", "mid-1", "bolt/mid", 9.0, 9.0, supported_efforts=["low", "high"])

    made = offer(world, "vendor:mid-1")

    assert (made["price_in_usd_per_mtok"], made["price_out_usd_per_mtok"]) == (1.0, 3.0)
    assert (made["price_source"], made["price_observed_at"]) == ("models_dev:openai/mid-1", NOW)
    assert (made["context_tokens"], made["max_output_tokens"]) == (200_000, 32_000)
    assert made["limits_source"] == "models_dev:openai/mid-1"
    assert (made["supports_tools"], made["supports_vision"], made["supports_reasoning"]) == (True, True, True)
    assert made["supported_efforts"] == ["low", "high"]


def test_a_list_of_long_ago_has_no_say_against_a_new_one(world: duckdb.DuckDBPyConnection) -> None:
    """Two old lists that agree are still old."""
    upstream(world, "mid-1", "bolt/mid")
    old = NOW - dt.timedelta(days=100)
    price(world, "models_dev", "mid-1", "bolt/mid", 1.0, 3.0, observed_at=old)
    price(world, "genai_prices", "mid-1", "bolt/mid", 1.0, 3.0, observed_at=old)
    price(world, "litellm_prices", "mid-1", "bolt/mid", 0.5, 1.5)

    assert offer(world, "vendor:mid-1")["price_source"] == "litellm_prices:openai/mid-1"


def test_where_every_list_says_another_price_the_marketplace_decides(world: duckdb.DuckDBPyConnection) -> None:
    """The model is listed at 0.4 USD: a list that says 0.5 is nearer than one that says 30, though that is newer."""
    upstream(world, "swift-1", "acme/swift")
    price(world, "models_dev", "swift-1", "acme/swift", 0.2, 0.5, observed_at=NOW - dt.timedelta(days=1))
    price(world, "litellm_prices", "swift-1", "acme/swift", 9.0, 30.0)

    assert offer(world, "vendor:swift-1")["price_source"] == "models_dev:openai/swift-1"


def test_a_list_knows_that_a_model_does_not_chat(world: duckdb.DuckDBPyConnection) -> None:
    """Nothing in a name says that it draws; the list that has it by that name does."""
    upstream(world, "mid-brush", "bolt/mid")
    price(world, "litellm_prices", "mid-brush", "bolt/mid", 1.0, 3.0, kind="image")

    made = offer(world, "vendor:mid-brush")

    assert (made["is_callable"], made["not_callable_reason"]) == (False, "not a chat model: image")


def test_another_name_of_the_same_model_is_found_through_linkage(world: duckdb.DuckDBPyConnection) -> None:
    """A dated twin costs what the plain name does, but only at the same provider and the same effort."""
    upstream(world, "mid-1-2026-05-02", "bolt/mid")
    upstream(world, "mid-1-2026-05-02", "bolt/mid", upstream="elsewhere", provider="groq")
    price(world, "models_dev", "mid-1", "bolt/mid", 1.0, 3.0)

    assert offer(world, "vendor:mid-1-2026-05-02")["price_in_usd_per_mtok"] == 1.0
    assert offer(world, "elsewhere:mid-1-2026-05-02")["price_in_usd_per_mtok"] is None


def test_what_the_upstream_reports_wins_once_seen(world: duckdb.DuckDBPyConnection) -> None:
    """Both prices move by the share that reported costs differ by; long prompts and failures say nothing."""
    upstream(world, "mid-1", "bolt/mid")
    price(world, "models_dev", "mid-1", "bolt/mid", 1.0, 3.0, price_tiers_json=DEARER)
    listed = (1_000 * 1.0 + 100 * 3.0) / 1e6
    called(world, "vendor:mid-1", usd=listed * 1.5)
    called(world, "vendor:mid-1", usd=1.0, prompt=2_000)
    called(world, "vendor:mid-1", usd=1.0, prompt=999, cost_is_reported=False)

    made = offer(world, "vendor:mid-1")

    assert made["price_in_usd_per_mtok"] == pytest.approx(1.5)
    assert made["price_out_usd_per_mtok"] == pytest.approx(4.5)
    assert (made["price_source"], made["price_observed_at"]) == ("outcomes:vendor:mid-1", NOW - dt.timedelta(days=1))


def test_reported_costs_price_a_model_that_no_list_has(world: duckdb.DuckDBPyConnection) -> None:
    """One sum for two prices: they are taken to stand to each other as at the marketplace."""
    upstream(world, "unlisted", "acme/swift", provider=None)
    called(world, "vendor:unlisted", usd=2 * (1_000 * 0.1 + 100 * 0.4) / 1e6)

    made = offer(world, "vendor:unlisted")

    assert (made["price_in_usd_per_mtok"], made["price_out_usd_per_mtok"]) == pytest.approx((0.2, 0.8))


def test_a_report_that_agrees_with_the_list_leaves_the_list_its_word(world: duckdb.DuckDBPyConnection) -> None:
    """Rounding is no disagreement."""
    upstream(world, "mid-1", "bolt/mid")
    price(world, "models_dev", "mid-1", "bolt/mid", 1.0, 3.0)
    called(world, "vendor:mid-1", usd=0.00131)

    assert offer(world, "vendor:mid-1")["price_source"] == "models_dev:openai/mid-1"


def test_disagreements_name_every_value_with_its_source_and_day(world: duckdb.DuckDBPyConnection) -> None:
    """One row per price that differs, none for those that do not; what the offer uses stands beside."""
    upstream(world, "mid-1", "bolt/mid")
    earlier = NOW - dt.timedelta(days=2)
    price(world, "models_dev", "mid-1", "bolt/mid", 1.0, 3.0, observed_at=earlier)
    price(world, "litellm_prices", "mid-1", "bolt/mid", 4.0, 3.0)
    tables.make_offers(world, NOW)

    (row,) = world.sql("FROM ranking.price_disagreements").pl().to_dicts()

    assert (row["provider"], row["provider_name"], row["offer_id"]) == ("openai", "mid-1", "vendor:mid-1")
    assert (row["price"], row["lowest_usd_per_mtok"], row["highest_usd_per_mtok"], row["ratio"]) == (
        "price_in_usd_per_mtok",
        1.0,
        4.0,
        4.0,
    )
    assert row["usd_per_mtok_by_source"] == {
        "litellm_prices": 4.0,
        "models_dev": 1.0,
    }
    assert row["observed_at_by_source"] == {
        "litellm_prices": NOW,
        "models_dev": earlier,
    }
    assert (row["used_usd_per_mtok"], row["used_source"]) == (4.0, "litellm_prices:openai/mid-1")


def test_the_marketplace_is_compared_with_what_lists_say_of_it(world: duckdb.DuckDBPyConnection) -> None:
    """A list's row of OpenRouter is held against the catalogue's own."""
    row = {"listed_id": "openrouter/bolt/mid", "provider": "openrouter", "provider_model": "bolt/mid"}
    prices = {"price_in_usd_per_mtok": 0.5, "price_out_usd_per_mtok": 3.0}
    insert(world, "core.models_dev_models", [{**row, **prices, "observed_at": NOW}])
    _link(world, "models_dev", "openrouter/bolt/mid", "bolt/mid")
    tables.make_offers(world, NOW)

    found = world.execute("SELECT offer_id, price, ratio FROM ranking.price_disagreements").fetchall()

    assert found == [("openrouter:bolt/mid", "price_in_usd_per_mtok", 2.0)]


def test_cost_signals_lead_to_the_price_list(world: duckdb.DuckDBPyConnection) -> None:
    """Price and window of an upstream's model are traced to the list's record, and add up to the ranked cost."""
    upstream(world, "mid-1", "bolt/mid")
    price(world, "models_dev", "mid-1", "bolt/mid", 1.0, 3.0, context_tokens=200_000)
    rank(world)

    rows = world.execute(
        "SELECT signal, source, record_id, metric, metric_value, value FROM ranking.signals "
        "WHERE offer_id = 'vendor:mid-1' AND signal IN ('cost', 'context') ORDER BY signal, metric"
    ).fetchall()
    cost = world.execute(
        "SELECT any_value(cost_in_usd_per_call) FROM ranking.rankings WHERE offer_id = 'vendor:mid-1'"
    ).fetchall()[0][0]

    assert [row[:5] for row in rows] == [
        ("context", "models_dev", "openai/mid-1", "context_tokens", 200_000.0),
        ("cost", "models_dev", "openai/mid-1", "price_in_usd_per_mtok", 1.0),
        ("cost", "models_dev", "openai/mid-1", "price_out_usd_per_mtok", 3.0),
    ]
    assert sum(row[5] for row in rows if row[0] == "cost") == pytest.approx(cost)


def test_a_longer_prompt_is_priced_by_the_tier_it_reaches(world: duckdb.DuckDBPyConnection) -> None:
    """The whole call at the tier's price, from its length on; a price the tier does not name stays."""
    tiers = [
        {"min_prompt_tokens": 2_000, "price_in_usd_per_mtok": 2.0, "price_out_usd_per_mtok": 6.0},
        {"min_prompt_tokens": 4_000, "price_in_usd_per_mtok": 4.0},
    ]
    upstream(world, "mid-1", "bolt/mid")
    price(world, "models_dev", "mid-1", "bolt/mid", 1.0, 3.0, price_tiers_json=json.dumps(tiers))
    rank(world)
    (made,) = [one for one in tables.read_offers(world).offers if one.offer_id == "vendor:mid-1"]

    def cost(prompt_tokens: int) -> float:
        rows = calls.build([made], tables.read_configurations(world), {}, {}, allow_data_collection=False)
        call = TypicalCall("medium", prompt_tokens, 1_000, 0.0, MEDIUM.difficulty, MEDIUM.points_per_logit)
        return float(scoring.candidates(rows, call).select(pl.col("cost_in_usd_per_call").first()).item())

    assert [made.prices_for(tokens) for tokens in (1_999, 2_000, 4_000)] == [(1.0, 3.0), (2.0, 6.0), (4.0, 3.0)]
    assert cost(1_999) == pytest.approx((1_999 * 1.0 + 1_000 * 3.0) / 1e6)
    assert cost(2_000) == pytest.approx((2_000 * 2.0 + 1_000 * 6.0) / 1e6)
    assert cost(5_000) == pytest.approx((5_000 * 4.0 + 1_000 * 3.0) / 1e6)


def test_a_cold_local_model_is_waited_for(world: duckdb.DuckDBPyConnection) -> None:
    """What is not in memory is loaded before it answers."""
    for name, is_loaded in (("warm", True), ("cold", False)):
        upstream(world, name, "acme/swift", upstream="home", provider=None, is_local=True, is_loaded=is_loaded)
    rank(world)

    waits = dict(
        world.execute(
            "SELECT offer_id, latency_ms FROM ranking.rankings WHERE profile = 'speed' AND offer_id LIKE 'home:%'"
        ).fetchall()
    )

    assert waits["home:cold"] - waits["home:warm"] == pytest.approx(calls.COLD_START_MS)
