"""Why two records are, or are not, one model: how each was read, the match-weight waterfall, and what decided.

Used by the command line and by the asset's review page. Decides nothing.
"""

from __future__ import annotations

import contextlib
import io
import math
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.entities import clustering, linkage
from pipeline.entities.pins import Pins

RecordRef = tuple[str, str]

PARTS = (
    "vendor", "words", "tier", "modality", "training", "mode", "version", "revision", "size", "active_b", "context",
    "date", "stage", "preview", "effort", "variant", "quantization", "released_on",
)  # fmt: skip


class UnknownRecordError(KeyError):
    """No source has the record. The text names it and the nearest ones."""


@dataclass(frozen=True)
class Step:
    """One bar of the waterfall."""

    comparison: str
    level: str
    match_weight: float
    """Bits for (positive) or against (negative) the two being one model."""


@dataclass(frozen=True)
class Explanation:
    """All that speaks for and against."""

    left: dict[str, Any]
    right: dict[str, Any]
    is_same: bool
    verdict: str
    steps: tuple[Step, ...]
    match_probability: float | None


def find(records: pl.DataFrame, text: str) -> RecordRef:
    """The record a user means by 'source:record_id' or by a record id alone.

    Raises `UnknownRecordError` with near names.
    """
    source, _, record_id = text.partition(":")
    for wanted in ((source, record_id), (None, text)):
        found = records.filter(
            (pl.col("record_id").str.to_lowercase() == wanted[1].lower())
            & (pl.lit(wanted[0] is None) | (pl.col("source") == (wanted[0] or "")))
        )
        if found.height:
            row = found.sort("source").row(0, named=True)
            return row["source"], row["record_id"]
    near = records.filter(
        pl.col("record_id").str.to_lowercase().str.contains(record_id.lower() or text.lower(), literal=True)
    )
    shown = ", ".join(f"{s}:{r}" for s, r in near.select("source", "record_id").head(5).iter_rows())
    raise UnknownRecordError(f"No source has {text!r}." + (f" Near it: {shown}" if shown else ""))


def explain(
    records: pl.DataFrame,
    left: RecordRef,
    right: RecordRef,
    model: linkage.TrainedModel | None = None,
    pins: Pins | None = None,
) -> Explanation:
    """Explain a pair among all `records`: conventions are settled and rivals seen as in a refresh."""
    model = model or linkage.TrainedModel.load()
    pins = pins or Pins()
    linked = linkage.link(records, model, pins)
    rows = {(row["source"], row["record_id"]): row for row in _rows(linked, (left, right))}
    a, b = rows[left], rows[right]
    is_same = a["cluster_id"] == b["cluster_id"]
    steps: tuple[Step, ...] = ()
    probability = None
    if a["unit_id"] != b["unit_id"]:
        steps, probability = _waterfall(records, model, pins, a["unit_id"], b["unit_id"])
    return Explanation(a, b, is_same, _verdict(linked, pins, a, b, is_same, probability, model), steps, probability)


def _rows(linked: linkage.Linkage, wanted: tuple[RecordRef, ...]) -> list[dict[str, Any]]:
    ids = [record_id for _, record_id in wanted]
    return linked.records.filter(pl.col("record_id").is_in(ids)).to_dicts()


def _verdict(
    linked: linkage.Linkage,
    pins: Pins,
    a: dict[str, Any],
    b: dict[str, Any],
    is_same: bool,
    probability: float | None,
    model: linkage.TrainedModel,
) -> str:
    ends = {(a["source"], a["record_id"]), (b["source"], b["record_id"])}
    for pin in pins.pins:
        if {pin.left, pin.right} == ends:
            return f"pinned as {'the same' if pin.same else 'different'}: {pin.reason}"
    if a["unit_id"] == b["unit_id"]:
        return "exact: their names say the same in every part that makes a model"
    units = {row["unique_id"]: row for row in linked.units.filter(
        pl.col("unique_id").is_in([a["unit_id"], b["unit_id"]])).to_dicts()}  # fmt: skip
    against = "nothing to compare it with"
    if len(units) == 2:
        against = clustering.contradiction(*(linkage.unit_of_row(unit) for unit in units.values()))
    pair = {a["unit_id"], b["unit_id"]}
    refused = next((reason for link, reason in linked.clusters.refused if {link.left, link.right} == pair), "")
    shown = "unknown" if probability is None else f"{probability:.4f}"
    threshold = model.threshold_match_probability
    if is_same:
        if any({link.left, link.right} == pair for link in linked.clusters.used):
            return f"linked: match probability {shown}, at least {threshold}"
        return f"linked through other records of the model (this pair alone: {shown})"
    if against or refused:
        return f"kept apart by a constraint: {against or refused} (match probability {shown})"
    if probability is not None and probability >= threshold:
        return f"never compared: no blocking rule brings them together (match probability would be {shown})"
    return f"not linked: match probability {shown}, below {threshold}"


def _waterfall(
    records: pl.DataFrame, model: linkage.TrainedModel, pins: Pins, left: str, right: str
) -> tuple[tuple[Step, ...], float | None]:
    bench = linkage.Workbench(records, pins)
    try:
        _, scored = bench.score_pair(model.settings, left, right)
    finally:
        bench.close()
    row = scored[0]
    prior = model.settings["probability_two_random_records_match"]
    steps = [Step("prior", "two records at random", math.log2(prior / (1 - prior)))]
    for comparison in model.settings["comparisons"]:
        name = comparison["output_column_name"]
        weight = row[f"mw_{name}"] + (row.get(f"mw_tf_adj_{name}") or 0.0)
        steps.append(Step(name, _level_of(comparison, row[f"gamma_{name}"]), weight))
    return tuple(steps), float(row["match_probability"])


def _level_of(comparison: dict[str, Any], gamma: int) -> str:
    """Label of a comparison's level: gamma counts its not-null levels from the last, null is -1."""
    if gamma == -1:
        return "says nothing"
    levels = [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]
    return str(levels[len(levels) - 1 - gamma]["label_for_charts"])


def write_waterfall(records: pl.DataFrame, explanation: Explanation, path: str) -> None:
    """Splink's own chart of the pair, as a page that needs no network."""
    bench = linkage.Workbench(records)
    try:
        ends = (explanation.left["unit_id"], explanation.right["unit_id"])
        linker, scored = bench.score_pair(linkage.TrainedModel.load().settings, *ends)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints advice for notebooks
            linker.visualisations.waterfall_chart(scored).save_offline_chart(path)
    finally:
        bench.close()


def render(explanation: Explanation) -> str:
    """Text for a terminal."""
    left, right = explanation.left, explanation.right
    lines = [
        f"{left['source']}:{left['record_id']}",
        f"{right['source']}:{right['record_id']}",
        f"{'the same model' if explanation.is_same else 'two models'} — {explanation.verdict}",
        "",
        f"{'part':<14} {'left':<32} right",
    ]
    for part in PARTS:
        a, b = left[part], right[part]
        if a not in ("", None) or b not in ("", None):
            lines.append(f"{part:<14} {'' if a is None else a!s:<32} {'' if b is None else b}")
    if explanation.steps:
        lines += ["", f"{'comparison':<14} {'bits':>7} {'sum':>7}"]
        total = 0.0
        for step in explanation.steps:
            total += step.match_weight
            bar = ("+" if step.match_weight > 0 else "-") * min(20, round(abs(step.match_weight)))
            lines.append(f"{step.comparison:<14} {step.match_weight:>7.1f} {total:>7.1f}  {bar:<20} {step.level}")
    return "\n".join(lines)
