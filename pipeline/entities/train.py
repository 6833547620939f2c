"""Remakes `linkage_model.json`. Run by hand, and the difference is reviewed: running is not training.

u comes from random pairs, m from labelled pairs blended with what `comparisons.py` declares, the threshold from the
precision-recall curve of the tuning labels. Only tuning labels and the records they were made on are used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.entities import comparisons
from pipeline.entities.cases import Case, evaluate
from pipeline.entities.linkage import MODEL_FILE, Linkage, TrainedModel, Workbench, assemble, link
from pipeline.entities.pins import Pins

SEED = 20260331
PRIOR_PAIRS = 40
"""Weight of the declared m, in pairs: what few labels say may not overrule what is known of the field."""
PAIRS_FOR_U = 2_000_000
PRIOR_MATCH_PROBABILITY = 1e-4
"""Of two random units that judgement could link, about one pair in ten thousand is one model."""

PairOfRecords = tuple[tuple[str, str], tuple[str, str]]


def train(records: pl.DataFrame, positives: Iterable[PairOfRecords]) -> dict[str, Any]:
    """Splink settings with u estimated on `records` and m from `positives` (pairs of records of one model)."""
    bench = Workbench(records)
    try:
        unit_of = {
            (source, record_id): unit
            for source, record_id, unit in bench.connection.sql(
                "SELECT source, record_id, unique_id FROM unit_of_record JOIN units USING (unit_key)"
            ).fetchall()
        }
        candidates = set(bench.table("candidate_units")["unique_id"].to_list())
        labelled = sorted(
            {
                tuple(sorted((unit_of[left], unit_of[right])))
                for left, right in positives
                if left in unit_of and right in unit_of and unit_of[left] != unit_of[right]
            }
        )
        labelled = [pair for pair in labelled if set(pair) <= candidates]
        linker = bench.linker(comparisons.settings().create_settings_dict("duckdb"))
        linker.training.estimate_u_using_random_sampling(max_pairs=PAIRS_FOR_U, seed=SEED)
        if labelled:
            bench.connection.execute("CREATE TABLE labelled_pairs (unique_id_l VARCHAR, unique_id_r VARCHAR)")
            bench.connection.executemany("INSERT INTO labelled_pairs VALUES (?, ?)", labelled)
            linker.training.estimate_m_from_pairwise_labels("labelled_pairs")  # type: ignore[no-untyped-call]
        trained = linker.misc.save_model_to_json()
    finally:
        bench.close()
    return _blended(trained, len(labelled))


def _blended(trained: dict[str, Any], pairs: int) -> dict[str, Any]:
    declared = comparisons.settings().create_settings_dict("duckdb")
    for comparison, prior in zip(trained["comparisons"], declared["comparisons"], strict=True):
        for level, before in zip(comparison["comparison_levels"], prior["comparison_levels"], strict=True):
            expected = before.get("m_probability")
            if expected is None:
                continue
            seen = level.get("m_probability")
            if before.get("fix_m_probability") or seen is None:
                level["m_probability"] = expected
            else:
                level["m_probability"] = round((pairs * seen + PRIOR_PAIRS * expected) / (pairs + PRIOR_PAIRS), 6)
            level["u_probability"] = round(max(level.get("u_probability") or 0.0, 1e-6), 8)
    trained["probability_two_random_records_match"] = PRIOR_MATCH_PROBABILITY
    trained.pop("linker_uid", None)
    return trained


def write(settings: dict[str, Any], threshold: float, curve: list[dict[str, float]], path: Path = MODEL_FILE) -> None:
    """Write the model file, with the curve the threshold was chosen from."""
    held = {"threshold_match_probability": threshold, "threshold_curve": curve, "splink": settings}
    path.write_text(json.dumps(held, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def difference(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Lines that say which m and u moved, for the reviewer."""
    lines = []
    for old, new in zip(before["comparisons"], after["comparisons"], strict=False):
        for a, b in zip(old["comparison_levels"], new["comparison_levels"], strict=False):
            for letter in ("m", "u"):
                was, now = a.get(f"{letter}_probability"), b.get(f"{letter}_probability")
                if was is not None and now is not None and abs(was - now) > 0.02 * max(was, now):
                    lines.append(
                        f"{new['output_column_name']:>11} | {b['label_for_charts']:<36} {letter} {was:.6f} -> {now:.6f}"
                    )
    return lines


THRESHOLDS = (0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)


def threshold_curve(records: pl.DataFrame, settings: dict[str, Any], tuning: list[Case]) -> list[dict[str, float]]:
    """Precision, recall and F1 on the tuning labels at each of `THRESHOLDS`, clustering included."""
    linked = link(records, TrainedModel(settings, THRESHOLDS[0]))
    curve = []
    for threshold in THRESHOLDS:
        rows = at_threshold(linked, threshold).records.select("source", "record_id", "cluster_id").iter_rows()
        score = evaluate(tuning, {(source, record_id): cluster for source, record_id, cluster in rows}).scores["all"]
        curve.append(
            {
                "threshold": threshold,
                "precision": round(score.precision, 4),
                "recall": round(score.recall, 4),
                "f1": round(score.f1, 4),
            }
        )
    return curve


def choose_threshold(curve: list[dict[str, float]]) -> float:
    """The highest threshold with the best F1, one step inside, so as not to stand on the edge."""
    best = max(point["f1"] for point in curve)
    plateau = [point["threshold"] for point in curve if point["f1"] == best]
    return plateau[-2] if len(plateau) > 1 else plateau[-1]


def at_threshold(linked: Linkage, threshold: float) -> Linkage:
    """The same pairs clustered at another threshold."""
    settled = linked.records.drop("cluster_id")
    return assemble(settled, linked.units, linked.pairs, linked.compared, threshold, Pins())
