"""Links records into models: names taken apart, conventions settled, equal ones joined exactly, the rest by Splink.

The order is: parse → settle modes and stages among records → units of equal records (exact) → Splink on the units that
judgement could link → clusters under constraints. SQL of each step is in `warehouse/sql/entity`. Splink works in an
in-memory database of its own. Identity across refreshes belongs to `identity.py`.
"""

from __future__ import annotations

import copy
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from splink import DuckDBAPI, Linker

from pipeline.entities import clustering
from pipeline.entities.pins import Pins
from pipeline.entities.records import take_apart
from warehouse.connect import open_memory
from warehouse.sql import statement

logging.getLogger("splink").setLevel(logging.ERROR)

MODEL_FILE = Path(__file__).parent / "linkage_model.json"

# fmt: off
PARSED_COLUMNS = (
    "source", "record_id", "vendor", "family_vendor", "words", "tier", "modality", "training", "version",
    "revision", "size", "size_b", "active_b", "active", "context", "date", "date_y", "date_m", "date_d", "stage",
    "preview", "mode", "mode_in_brackets", "effort", "variant", "quantization", "order", "is_garbage", "is_official",
    "is_mirror", "is_reuploader", "is_pretrained", "params_b", "released_on", "first_seen_on", "last_seen_on", "refs",
)
# fmt: on

UNIT_COLUMNS = tuple(clustering.Unit.__dataclass_fields__)[1:]


@dataclass(frozen=True)
class TrainedModel:
    """The committed model: Splink's settings, and the threshold chosen on labels."""

    settings: dict[str, Any]
    threshold_match_probability: float

    @staticmethod
    def load(path: Path = MODEL_FILE) -> TrainedModel:
        """Read `linkage_model.json`."""
        held = json.loads(path.read_text(encoding="utf-8"))
        return TrainedModel(held["splink"], held["threshold_match_probability"])


@dataclass(frozen=True)
class Linkage:
    """Records with their clusters, and the evidence."""

    records: pl.DataFrame
    """Parsed and settled records with `unit_id` and `cluster_id` (the smallest unit of the cluster)."""
    units: pl.DataFrame
    """Units that were candidates for judgement; see `candidate_units.sql`."""
    pairs: pl.DataFrame
    """Scored pairs of units: unique_id_l, unique_id_r, match_weight, match_probability, mw_* per comparison."""
    compared: int
    """Pairs that blocking brought together, those too unlikely to keep among them."""
    clusters: clustering.Clusters
    pinned_units: frozenset[str]


class Workbench:
    """An in-memory database with settled units, ready for Splink. Close it when done."""

    def __init__(self, records: pl.DataFrame, pins: Pins | None = None, threads: int | None = None) -> None:
        self.pins = pins or Pins()
        self.connection = open_memory()
        if threads:
            self.connection.execute(f"SET threads = {threads}")
        self.connection.execute(statement("entity", "linkage_macros"))
        parsed = take_apart(records).select(PARSED_COLUMNS).rename({"order": "name_order"})
        self.connection.register("parsed_frame", parsed)
        self.connection.execute("CREATE TABLE parsed AS FROM parsed_frame ORDER BY source, record_id")
        self.connection.unregister("parsed_frame")
        del parsed
        for step, done in (
            ("settled_modes", "parsed"),
            ("settled_stages", "settled_modes"),
            ("unit_of_record", "settled_stages"),
        ):
            self.connection.execute(statement("entity", step))
            self.connection.execute(f"DROP TABLE {done}")
        self._split_pinned_apart()
        for step in ("units", "candidate_units"):
            self.connection.execute(statement("entity", step))

    def _split_pinned_apart(self) -> None:
        """A record pinned as different from one that says the same becomes a unit of its own."""
        apart = [(*pin.left, *pin.right) for pin in self.pins.pins if not pin.same]
        if apart:
            self.connection.execute("CREATE TABLE apart (s1 VARCHAR, r1 VARCHAR, s2 VARCHAR, r2 VARCHAR)")
            self.connection.executemany("INSERT INTO apart VALUES (?, ?, ?, ?)", apart)
            self.connection.execute(statement("entity", "pinned_apart"))

    def linker(self, settings: dict[str, Any]) -> Linker:
        """Splink on the candidate units."""
        return self._linker(settings)[0]

    def score_pair(self, settings: dict[str, Any], left: str, right: str) -> tuple[Linker, list[dict[str, Any]]]:
        """The one pair of units, whether a blocking rule finds it or not, and the linker that scored it."""
        linker, api = self._linker({**settings, "retain_matching_columns": True})
        ends = []
        for side, unit_id in (("left_unit", left), ("right_unit", right)):
            self.connection.execute(f"CREATE OR REPLACE TABLE {side} AS FROM units WHERE unique_id = ?", [unit_id])
            ends.append(api.register(self.connection.sql(f"FROM {side}"), dataset_display_name=f"scored_{side}"))
        return linker, linker.inference.score_pairs(ends[0], ends[1]).as_record_list()

    def _linker(self, settings: dict[str, Any]) -> tuple[Linker, DuckDBAPI]:
        units = self.connection.execute("SELECT count(*) FROM candidate_units").fetchall()[0][0]
        if units < UNITS_FOR_TERM_FREQUENCIES:
            settings = _without_term_frequencies(settings)
        api = DuckDBAPI(connection=self.connection)
        frame = api.register(self.connection.sql("FROM candidate_units"), dataset_display_name="compared")
        return Linker(frame, settings, log_level=logging.ERROR), api

    def table(self, name: str) -> pl.DataFrame:
        """A table of the workbench."""
        frame: pl.DataFrame = self.connection.sql(f"FROM {name}").pl()
        return frame

    def score(self, settings: dict[str, Any]) -> pl.DataFrame:
        """Scored pairs of candidate units that blocking brings together, by unique ids."""
        if self.connection.execute("SELECT count(*) FROM candidate_units").fetchall()[0][0] < 2:
            return pl.DataFrame(schema=NO_PAIRS)
        predicted = self.linker(settings).inference.predict()
        pairs: pl.DataFrame = predicted.as_duckdbpyrelation().pl()
        return pairs.sort("unique_id_l", "unique_id_r")

    def close(self) -> None:
        """Let go of the memory."""
        self.connection.close()


UNITS_FOR_TERM_FREQUENCIES = 500
"""Among fewer units, how often a word occurs says nothing about how rare it is in the field."""


def _without_term_frequencies(settings: dict[str, Any]) -> dict[str, Any]:
    plain = copy.deepcopy(settings)
    for comparison in plain["comparisons"]:
        for level in comparison["comparison_levels"]:
            for setting in [name for name in level if name.startswith("tf_")]:
                del level[setting]
    return plain


NO_PAIRS: dict[str, Any] = {
    "match_weight": pl.Float64,
    "match_probability": pl.Float64,
    "unique_id_l": pl.String,
    "unique_id_r": pl.String,
}

KEPT_PROBABILITY = 0.01
"""Pairs below it are not kept as evidence."""


def link(
    records: pl.DataFrame, model: TrainedModel | None = None, pins: Pins | None = None, threads: int | None = None
) -> Linkage:
    """Cluster `records` (see `records.RECORD_SCHEMA`). The order of rows and the number of threads change nothing."""
    model = model or TrainedModel.load()
    bench = Workbench(records, pins, threads)
    try:
        pairs = bench.score(model.settings)
        settled = bench.connection.sql(
            "SELECT signed.* EXCLUDE (signature, name_order, refs, is_pretrained, is_reuploader), "
            "units.unique_id AS unit_id "
            "FROM signed JOIN unit_of_record USING (source, record_id) JOIN units USING (unit_key)"
        ).pl()
        units = bench.table("candidate_units")
    finally:
        bench.close()
    kept = pairs.filter(pl.col("match_probability") >= KEPT_PROBABILITY)
    return assemble(settled, units, kept, pairs.height, model.threshold_match_probability, bench.pins)


def assemble(
    settled: pl.DataFrame, units: pl.DataFrame, pairs: pl.DataFrame, compared: int, threshold: float, pins: Pins
) -> Linkage:
    """Clusters from scored pairs at a threshold."""
    above = pairs.filter(pl.col("match_probability") >= threshold)
    links = [
        clustering.Link(min(left, right), max(left, right), weight, probability)
        for left, right, weight, probability in above.select(
            "unique_id_l", "unique_id_r", "match_weight", "match_probability"
        ).iter_rows()
    ]
    same, different = _pinned_units(settled, pins)
    touched = {end for link in links for end in (link.left, link.right)} | {end for pair in same for end in pair}
    needed = units.filter(pl.col("unique_id").is_in(sorted(touched)))
    clusters = clustering.cluster(
        map(unit_of_row, needed.select("unique_id", *UNIT_COLUMNS).iter_rows(named=True)),
        links,
        same,
        different,
    )
    settled = settled.with_columns(
        cluster_id=pl.col("unit_id").replace(clusters.cluster_of) if clusters.cluster_of else pl.col("unit_id")
    )
    return Linkage(
        records=settled.sort("source", "record_id"),
        units=units,
        pairs=pairs,
        compared=compared,
        clusters=clusters,
        pinned_units=frozenset(end for pair in same for end in pair),
    )


def unit_of_row(row: dict[str, Any]) -> clustering.Unit:
    """What clustering needs of a row of `units`."""
    kept = {column: row[column] for column in UNIT_COLUMNS if column != "arena_spans"}
    spans = tuple((first, last) for first, last in row["arena_spans"] or () if first and last)
    return clustering.Unit(unit_id=row["unique_id"], arena_spans=spans, **kept)


def _pinned_units(settled: pl.DataFrame, pins: Pins) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    if not pins.pins:
        return [], []
    wanted = {end for pin in pins.pins for end in (pin.left, pin.right)}
    found = settled.filter(pl.col("record_id").is_in([record_id for _, record_id in wanted]))
    unit_of = {
        (source, record_id): unit
        for source, record_id, unit in found.select("source", "record_id", "unit_id").iter_rows()
    }
    same: list[tuple[str, str]] = []
    different: list[tuple[str, str]] = []
    for pin in pins.pins:
        if pin.left in unit_of and pin.right in unit_of and unit_of[pin.left] != unit_of[pin.right]:
            (same if pin.same else different).append((unit_of[pin.left], unit_of[pin.right]))
    return same, different
