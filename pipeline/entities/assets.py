"""The entity layer's assets: records, scored pairs, models, their records and aliases, and what changed.

Reads core tables, links in a database of its own, writes entity tables in one transaction. How records are linked
belongs to `linkage.py`, what the rows hold to `tables.py`.
"""

import datetime as dt
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl

from pipeline import lineage, pictures, plots
from pipeline.entities import cases, linkage, pins, read, review, tables
from pipeline.resources import BuildDatabase, Clock
from warehouse.locations import locations
from warehouse.published import TABLE_OF, Model, ModelAlias, ModelRecord

CORE_TABLES = [table for tables_of_source in read.SOURCES.values() for table in tables_of_source]

DESCRIPTIONS = {
    "records": "Every linkable record with its name taken apart and settled, its unit of equal records and cluster.",
    "pairs": "Pairs of units that were compared: match weight, probability, and the weight of each comparison.",
    "model_records": "Which record of which source is which model, how sure that is and why.",
    "models": "One released checkpoint or API version; efforts, hosts, variants and quantisations are the same model.",
    "model_aliases": "Spellings that resolve to a model: records' names, moving aliases, former ids.",
    "changes": "Model ids that merged, split or were retired between two refreshes.",
}
MEANINGS: dict[str, dict[str, str]] = {
    "model_records": {column.name: column.meaning for column in TABLE_OF[ModelRecord].columns},
    "models": {column.name: column.meaning for column in TABLE_OF[Model].columns},
    "model_aliases": {column.name: column.meaning for column in TABLE_OF[ModelAlias].columns},
    "records": {
        "source": "source of the record",
        "record_id": "exactly as the source spells it",
        "vendor": "who made it, canonical spelling, as stated or settled",
        "family_vendor": "vendor whose family the name belongs to, where that is another: a fine-tune's base",
        "words": "words of the name that tell models apart, sorted",
        "modality": "text, vision, audio, ... where the name says so",
        "training": "instruct, base, ... where the name says so",
        "version": "version read from the name",
        "revision": "revision read from the name",
        "size": "size as the name writes it: 70b, 8x7b, 30b-a3b",
        "size_b": "total parameters in billions, read from the name",
        "active_b": "active parameters in billions, read from the name",
        "context": "context length that the name states",
        "date": "date that the name states; ? where a part of it is not said",
        "preview": "preview, beta, exp, ... where the name says so",
        "mode_in_brackets": "whether the mode stands in brackets, as one source writes efforts",
        "variant": "marketplace variant: free, exacto, batch, ...",
        "quantization": "quantisation or file format",
        "is_garbage": "whether nothing that tells models apart is left of the name",
        "is_official": "whether the repository is the vendor's own",
        "is_mirror": "whether it is a known re-upload of another's weights",
        "params_b": "parameters in billions as the source's own field states",
        "released_on": "release date that the source states",
        "first_seen_on": "first observation of the record",
        "last_seen_on": "last observation of the record",
        "is_own": "whether it is what a server of the user's own lists",
        "is_tier": "whether the mode word is part of the model's name here: a tier, not an effort",
        "is_word": "whether the mode word is a word of the name like any other",
        "mode": "reasoning mode that the name states",
        "tier": "mode word that tells models apart",
        "effort": "reasoning effort that the name states",
        "stage": "training stage: base, chat, ... as settled",
        "unit_id": "first record of the equal records it is compared as",
        "cluster_id": "first record of its model",
    },
    "pairs": {
        "match_weight": "log2 of the odds that both are one model",
        "match_probability": "the same as a probability",
        "match_reason": "linked, refused or below threshold",
        "refused_because": "constraint that kept the pair apart",
        "left_source": "source of the pair's first record",
        "left_record_id": "its first record",
        "right_source": "source of the pair's second record",
        "right_record_id": "its second record",
    },
    "changes": {
        "changed_at": "when, UTC",
        "change": "merged, split or retired",
        "old_model_id": "id until then",
        "new_model_id": "id since then",
        "record_count": "records that moved",
    },
}
KINDS = {"records": {"duckdb", "polars"}, "pairs": {"splink", "duckdb"}}

CHECKS = {
    "pins_name_known_records": ("model_records", "Every pin names records that some source has."),
    "no_cluster_contradicts_itself": ("model_records", "No model holds two dates, sizes or stages."),
    "blocking_is_bounded": ("pairs", "The pairs compared stay in step with the units they come from."),
    "hand_checked_pairs_hold": ("model_records", "Precision and recall on the hand-checked pairs are above the floor."),
}


PRECISION_FLOOR = 0.995
RECALL_FLOOR = 0.97
PAIRS_PER_UNIT = 20
"""More pairs a unit than this mean that a blocking rule has lost its grip on names of a new kind."""


def key(table: str) -> dg.AssetKey:
    """Asset key of `entity.<table>`."""
    return dg.AssetKey(["entity", table])


@dg.multi_asset(
    name="entities",
    specs=[
        dg.AssetSpec(
            key(table),
            description=description,
            group_name="entities",
            kinds=KINDS.get(table, {"duckdb"}),
            owners=["team:orchestrator"],
            deps=[dg.AssetKey(["core", table]) for table in CORE_TABLES],
            metadata={"dagster/table_name": f"entity.{table}"},
            code_version="1",
        )
        for table, description in DESCRIPTIONS.items()
    ],
    check_specs=[
        dg.AssetCheckSpec(name, asset=key(table), description=description)
        for name, (table, description) in CHECKS.items()
    ],
)
def entities(build: BuildDatabase, clock: Clock) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Link all records and write the entity layer."""
    held = pins.load()
    with build.writing() as connection:
        records = read.records(connection)
        refreshed = refresh(records, held, read.previous_ids(connection), read.past_changes(connection), clock.now())
        write(connection, refreshed)
    pages = review.write_pages(
        refreshed.linked, refreshed.model, locations().reports, f"{clock.now():%Y-%m-%d %H:%M} UTC"
    )
    for table, frame in refreshed.frames().items():
        yield dg.MaterializeResult(
            asset_key=key(table),
            metadata={
                "dagster/row_count": frame.height,
                "dagster/column_schema": _column_schema(table, frame),
                **lineage.of(f"entity.{table}"),
                **refreshed.metadata(table, pages),
            },
        )
    yield from _checks(refreshed, held)


class Refreshed:
    """A linkage with the tables made of it."""

    def __init__(
        self,
        linked: linkage.Linkage,
        made: tables.EntityTables,
        before: dict[Any, str],
        model: linkage.TrainedModel,
    ) -> None:
        self.linked = linked
        self.model = model
        self.made = made
        self.before = before

    def frames(self) -> dict[str, pl.DataFrame]:
        """Rows of every table of the layer."""
        return {
            "records": record_rows(self.linked),
            "pairs": pair_rows(self.linked),
            "model_records": self.made.model_records,
            "models": self.made.models,
            "model_aliases": self.made.model_aliases,
            "changes": self.made.changes,
        }

    def weights(self) -> dict[str, list[float]]:
        """Match weights of the pairs compared, by what became of them."""
        rows = pair_rows(self.linked).select("match_reason", "match_weight")
        return {reason: part["match_weight"].to_list() for (reason,), part in rows.group_by("match_reason")}

    def metadata(self, table: str, pages: dict[str, Path]) -> dict[str, Any]:
        """What the asset's page shows of a table."""
        if table == "model_records":
            reasons = self.made.model_records.group_by("match_reason").len().sort("match_reason")
            fresh = review.newly_linked(self.made.model_records, self.before) if self.before else []
            return {
                **{f"records_{reason}": count for reason, count in reasons.iter_rows()},
                "alone_by_source": dg.MetadataValue.md(review.alone_by_source(self.made.model_records)),
                "newly_linked": len(fresh),
                "first_newly_linked": dg.MetadataValue.md(
                    "\n".join(f"- {line}" for line in fresh[: review.SHOWN]) or "none"
                ),
            }
        if table == "models":
            several = self.made.models.filter(pl.col("sources").list.len() > 1).height
            ignored = self.made.dates_to_come
            return {
                "models_in_several_sources": several,
                "release_dates_to_come_ignored": len(ignored),
                "first_dates_ignored": dg.MetadataValue.md(
                    "\n".join(f"- {line}" for line in ignored[: review.SHOWN]) or "none"
                ),
            }
        if table == "pairs":
            return {
                "pairs_compared": self.linked.compared,
                "links_used": len(self.linked.clusters.used),
                "links_refused_by_a_constraint": len(self.linked.clusters.refused),
                **pictures.shown("match_weights", partial(plots.match_weights, self.weights()), locations().reports),
                "links_to_review": dg.MetadataValue.md(
                    review.links_to_review(self.linked, self.model.threshold_match_probability)
                ),
                "nearest_to_the_threshold": _near_table(self.linked, self.model),
                # Paths to copy: no browser follows a link from a server to a file.
                "review_page": dg.MetadataValue.path(pages["review"]),
                "weights_of_the_comparisons": dg.MetadataValue.path(pages["match_weights"]),
            }
        return {}


def refresh(
    records: pl.DataFrame,
    held: pins.Pins,
    before: dict[Any, str],
    past: list[Any],
    now: dt.datetime,
    model: linkage.TrainedModel | None = None,
) -> Refreshed:
    """Link `records` and make the entity tables, keeping the ids of `before`."""
    is_moving = pl.col("record_id").str.starts_with("~") & (pl.col("source") == "openrouter")
    model = model or linkage.TrainedModel.load()
    linked = linkage.link(records.filter(~is_moving), model, held)
    made = tables.build(linked, records.filter(is_moving), records, before, past, now)
    return Refreshed(linked, made, before, model)


def _near_table(linked: linkage.Linkage, model: linkage.TrainedModel) -> dg.MetadataValue[Any]:
    rows = review.nearest(linked, model.threshold_match_probability).to_dicts()
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "left": row["left"],
                    "right": row["right"],
                    "probability": round(row["match_probability"], 4),
                    "verdict": "linked" if row["is_linked"] else f"apart: {row['because']}",
                    "strongest": row["strongest"],
                }
            )
            for row in rows
        ],
        schema=dg.TableSchema(
            [dg.TableColumn(name, "string") for name in ("left", "right")]
            + [dg.TableColumn("probability", "float")]
            + [dg.TableColumn(name, "string") for name in ("verdict", "strongest")]
        ),
    )


_NOT_SHOWN = ("date_y", "date_m", "date_d", "active")


def record_rows(linked: linkage.Linkage) -> pl.DataFrame:
    """entity.records: parts, unit and cluster of every linked record."""
    return linked.records.drop(_NOT_SHOWN).sort("source", "record_id")


def pair_rows(linked: linkage.Linkage) -> pl.DataFrame:
    """entity.pairs: the two units by their first record, weights, and what became of the pair."""
    used = {(link.left, link.right) for link in linked.clusters.used}
    refused = {(link.left, link.right): reason for link, reason in linked.clusters.refused}
    weights = [name for name in linked.pairs.columns if name.startswith("mw_")]
    rows = linked.pairs.select(
        left=pl.min_horizontal("unique_id_l", "unique_id_r"),
        right=pl.max_horizontal("unique_id_l", "unique_id_r"),
        match_weight="match_weight",
        match_probability="match_probability",
        **{name.replace("mw_", "weight_"): pl.col(name) for name in weights},
    )
    verdicts = [
        ("linked" if pair in used else "refused" if pair in refused else "below threshold", refused.get(pair))
        for pair in rows.select("left", "right").iter_rows()
    ]
    return (
        rows.with_columns(
            pl.Series("match_reason", [verdict for verdict, _ in verdicts], pl.String),
            pl.Series("refused_because", [reason for _, reason in verdicts], pl.String),
            left_source=pl.col("left").str.split_exact(":", 1).struct.field("field_0"),
            left_record_id=pl.col("left").str.replace("^[^:]*:", ""),
            right_source=pl.col("right").str.split_exact(":", 1).struct.field("field_0"),
            right_record_id=pl.col("right").str.replace("^[^:]*:", ""),
        )
        .drop("left", "right")
        .sort("left_source", "left_record_id", "right_source", "right_record_id")
    )


def write(connection: duckdb.DuckDBPyConnection, refreshed: Refreshed) -> None:
    """Replace the entity tables, all or none."""
    connection.execute("BEGIN")
    try:
        for table, frame in refreshed.frames().items():
            connection.register("incoming", frame)
            connection.execute(f"CREATE OR REPLACE TABLE entity.{table} AS FROM incoming")
            connection.unregister("incoming")
            connection.execute(
                f"COMMENT ON TABLE entity.{table} IS '{DESCRIPTIONS[table].replace(chr(39), chr(39) * 2)}'"
            )
            for column, meaning in MEANINGS.get(table, {}).items():
                if column in frame.columns:
                    quoted = meaning.replace("'", "''")
                    connection.execute(f"COMMENT ON COLUMN entity.{table}.{column} IS '{quoted}'")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _column_schema(table: str, frame: pl.DataFrame) -> dg.TableSchema:
    meanings = MEANINGS.get(table, {})
    return dg.TableSchema(
        [dg.TableColumn(name, str(kind), description=_meaning(name, meanings)) for name, kind in frame.schema.items()]
    )


def _meaning(column: str, meanings: dict[str, str]) -> str | None:
    if column.startswith("weight_tf_adj_"):
        return f"what the rarity of its {column.removeprefix('weight_tf_adj_')} adds to the match weight"
    if column.startswith("weight_"):
        return f"what the comparison of {column.removeprefix('weight_')} adds to the match weight"
    return meanings.get(column)


def contradictions(linked: linkage.Linkage) -> pl.DataFrame:
    """Clusters that hold two sizes, stages or exact dates though no pin says so."""
    stated = linked.records.filter(~pl.col("unit_id").is_in(sorted(linked.pinned_units)))
    exact_date = pl.when(~pl.col("date").str.contains(r"\?")).then(pl.col("date")).otherwise(pl.lit(""))
    return (
        stated.with_columns(exact_date=exact_date)
        .group_by("cluster_id")
        .agg(
            *(
                pl.col(part).filter(pl.col(part) != "").n_unique().alias(part)
                for part in ("size", "stage", "exact_date")
            )
        )
        .filter(pl.max_horizontal("size", "stage", "exact_date") > 1)
        .sort("cluster_id")
    )


def _checks(refreshed: Refreshed, held: pins.Pins) -> Iterator[dg.AssetCheckResult]:
    known = list(refreshed.made.model_records.select("source", "record_id").iter_rows())
    unknown = held.unknown(known)
    yield dg.AssetCheckResult(
        asset_key=key("model_records"),
        check_name="pins_name_known_records",
        passed=not unknown,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"pins": len(held.pins), "unknown": [f"{pin.left} / {pin.right}" for pin in unknown]},
    )
    wrong = contradictions(refreshed.linked)
    yield dg.AssetCheckResult(
        asset_key=key("model_records"),
        check_name="no_cluster_contradicts_itself",
        passed=wrong.is_empty(),
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"clusters": wrong["cluster_id"].to_list()[:50]},
    )
    linked = refreshed.linked
    yield dg.AssetCheckResult(
        asset_key=key("pairs"),
        check_name="blocking_is_bounded",
        passed=linked.compared <= PAIRS_PER_UNIT * max(linked.units.height, 100),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"pairs_compared": linked.compared, "units_compared": linked.units.height},
    )
    yield _hand_checked(refreshed)


def _hand_checked(refreshed: Refreshed) -> dg.AssetCheckResult:
    """The check labels whose records are there. Where there are none, or no labels, nothing is claimed."""
    columns = ("source", "record_id", "model_id")
    model_of = {(s, r): m for s, r, m in refreshed.made.model_records.select(columns).iter_rows()}
    labels = cases.load() if cases.CASES_FILE.exists() else []
    judged = cases.evaluate((case for case in labels if case.split == "check"), model_of)
    overall = judged.scores.get("all", cases.Score(0, 0, 0, 0))
    return dg.AssetCheckResult(
        asset_key=key("model_records"),
        check_name="hand_checked_pairs_hold",
        passed=overall.precision >= PRECISION_FLOOR and overall.recall >= RECALL_FLOOR,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "precision": overall.precision,
            "recall": overall.recall,
            "pairs": overall.true_positives
            + overall.false_negatives
            + overall.false_positives
            + overall.true_negatives,
            "pairs_without_records": judged.skipped,
            "errors": [f"{case.number}: {':'.join(case.left)} / {':'.join(case.right)}" for case in judged.errors][:50],
        },
    )


ASSETS: list[dg.AssetsDefinition] = [entities]
