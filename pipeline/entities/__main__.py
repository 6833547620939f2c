"""Linkage from the command line: `python -m pipeline.entities evaluate | why | bench | train`.

The `orchestrator` command starts this. Heavy imports are inside the commands: worker processes import this file.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from warehouse import environment

if TYPE_CHECKING:
    import polars as pl

    from pipeline.entities.cases import Case, Evaluation
    from pipeline.entities.linkage import TrainedModel

PRECISION_FLOOR = 0.995
RECALL_FLOOR = 0.97


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code says whether it came out well."""
    parser = argparse.ArgumentParser(
        prog="orchestrator linkage", description="Linkage: measure, explain, bench, train."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    evaluating = commands.add_parser("evaluate", help="precision and recall on the hand-checked pairs, per source pair")
    _reads_records(evaluating)
    evaluating.add_argument("target", nargs="?", default="linkage", choices=["linkage"])
    evaluating.add_argument("--split", choices=["tuning", "check", "all"], default="check")
    why = commands.add_parser("why", help="why two records are, or are not, one model")
    _reads_records(why)
    why.add_argument("left", help="source:record_id, or a record id")
    why.add_argument("right", help="source:record_id, or a record id")
    why.add_argument("--chart", default="", help="write Splink's waterfall chart to this HTML file")
    resolving = commands.add_parser("resolve", help="which models a local server's names stand for")
    resolving.add_argument("--build", default="", help="build database to read; the configured one when not given")
    resolving.add_argument("names", nargs="+", help="as the server lists them: llama3.1:8b-instruct-q4_K_M")
    benching = commands.add_parser("bench", help="link N generated records with known truth and measure it")
    _reads_records(benching)
    benching.add_argument("target", nargs="?", default="linkage", choices=["linkage"])
    benching.add_argument("--records", type=int, default=100_000)
    benching.add_argument("--threads", type=int, default=2)
    training = commands.add_parser("train", help="remake linkage_model.json and show what moved")
    training.add_argument("target", nargs="?", default="linkage", choices=["linkage"])
    training.add_argument("--from", dest="directory", required=True, help="directory of recorded payloads")
    training.add_argument("--until", default="2026-03-31", help="use recordings up to this day")
    training.add_argument("--dry-run", action="store_true", help="show the difference, write nothing")
    chosen = parser.parse_args(arguments)
    run = {"evaluate": _evaluate, "why": _why, "resolve": _resolve, "bench": _bench, "train": _train}[chosen.command]
    return run(chosen)


def _reads_records(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--build", default="", help="build database to read; the configured one when not given")
    parser.add_argument("--from", dest="directory", default="", help="read recorded payload files instead")
    parser.add_argument("--until", default="2099-12-31", help="with --from: recordings up to this day")


def _records(chosen: argparse.Namespace) -> pl.DataFrame:
    """Records of the build database or of recordings, without moving aliases."""
    import datetime as dt
    from pathlib import Path

    import polars as pl

    from pipeline.entities import read, recordings

    if chosen.directory:
        held = recordings.records_until(Path(chosen.directory), dt.date.fromisoformat(chosen.until))
    else:
        with _opened(chosen) as connection:
            held = read.records(connection)
    return held.filter(~pl.col("record_id").str.starts_with("~"))


@contextlib.contextmanager
def _opened(chosen: argparse.Namespace) -> Iterator[Any]:
    """The build database. Says what to do where there is none, or where a refresh is writing it."""
    from pathlib import Path

    from warehouse.connect import DatabaseError, open_writer
    from warehouse.locations import locations

    path = Path(chosen.build) if chosen.build else locations().build
    if not path.exists():
        raise SystemExit(f"There is no build database at {path}. Run: orchestrator refresh")
    try:
        with open_writer(path) as connection:
            yield connection
    except DatabaseError as error:
        raise SystemExit(
            f"{path} cannot be opened now; a refresh may be writing it. Try again later. ({error})"
        ) from error


def _with_local(held: pl.DataFrame, cases: list[Case]) -> pl.DataFrame:
    import polars as pl

    from pipeline.entities import cases as labels
    from pipeline.entities import records

    known = set(held.select("source", "record_id").iter_rows())
    local = [row for row in labels.local_records(cases) if (row["source"], row["record_id"]) not in known]
    return pl.concat([held, records.frame(local)])


def _clusters(held: pl.DataFrame, model: TrainedModel | None = None) -> dict[tuple[str, str], str]:
    from pipeline.entities import linkage, pins

    linked = linkage.link(held, model, pins.load())
    rows = linked.records.select("source", "record_id", "cluster_id").iter_rows()
    return {(source, record_id): cluster for source, record_id, cluster in rows}


def _evaluate(chosen: argparse.Namespace) -> int:
    from pipeline.entities import cases as labels

    every = labels.load()
    asked = [case for case in every if chosen.split in ("all", case.split)]
    held = _with_local(_records(chosen), every)
    model_of = _clusters(held)
    known = set(model_of)
    judged = labels.evaluate(asked, model_of)
    print(f"{len(asked)} pairs ({chosen.split}), {judged.skipped} of them name a record that is not there\n")
    _print_scores("linkage", judged)
    print()
    for name, says_same in labels.BASELINES.items():
        there = [case for case in asked if {case.left, case.right} <= known]
        baseline = labels.judge(there, says_same)
        _print_scores(name, baseline, only_all=True)
    if judged.errors:
        print("\nErrors:")
        for case in judged.errors:
            kind = "missed" if case.same else "wrongly joined"
            left, right = ":".join(case.left), ":".join(case.right)
            print(f"  {case.number:>4} {kind}: {left}  /  {right}  ({case.why})")
    overall = judged.scores.get("all")
    return 0 if overall and overall.precision >= PRECISION_FLOOR and overall.recall >= RECALL_FLOOR else 1


def _print_scores(name: str, judged: Evaluation, *, only_all: bool = False) -> None:
    print(f"{name:<44} {'precision':>9} {'recall':>7} {'F1':>7} {'same':>5} {'different':>9}")
    for pair, score in judged.scores.items():
        if only_all and pair != "all":
            continue
        same = score.true_positives + score.false_negatives
        different = score.false_positives + score.true_negatives
        print(f"  {pair:<42} {score.precision:>9.4f} {score.recall:>7.4f} {score.f1:>7.4f} {same:>5} {different:>9}")


def _why(chosen: argparse.Namespace) -> int:
    from pipeline.entities import explain, pins

    held = _records(chosen)
    try:
        left, right = explain.find(held, chosen.left), explain.find(held, chosen.right)
    except explain.UnknownRecordError as error:
        print(error.args[0], file=sys.stderr)
        return 2
    told = explain.explain(held, left, right, pins=pins.load())
    print(explain.render(told))
    if chosen.chart:
        explain.write_waterfall(held, told, chosen.chart)
        print(f"\nchart: {chosen.chart}")
    return 0


def _resolve(chosen: argparse.Namespace) -> int:
    from pipeline.entities import pins, read, resolve

    with _opened(chosen) as connection:
        known, model_ids = read.records(connection), read.previous_ids(connection)
    known = known.remove(known["record_id"].str.starts_with("~"))
    found = resolve.resolve(chosen.names, known, model_ids, pins=pins.load())
    for name, model_id in found.items():
        print(f"{name}\t{model_id or '(no known model)'}")
    return 0 if all(found.values()) else 1


def _bench(chosen: argparse.Namespace) -> int:
    import time

    from pipeline.entities import bench

    begun = time.perf_counter()
    made = bench.make(_records(chosen), chosen.records)
    print(f"made {made.frame.height:,} records in {time.perf_counter() - begun:.1f} s")
    result = bench.run(made, threads=chosen.threads)
    print(
        f"linked in {result.seconds:.1f} s ({result.cpu_seconds:.1f} s of processor time), peak memory "
        f"{result.peak_memory_mib:,.0f} MiB\n"
        f"units {result.units:,}, pairs compared {result.comparisons:,}\n"
        f"precision {result.precision:.4f}, recall {result.recall:.4f}"
    )
    return 0


def _train(chosen: argparse.Namespace) -> int:
    import datetime as dt
    import json
    from pathlib import Path

    from pipeline.entities import cases as labels
    from pipeline.entities import linkage, train

    every = labels.load()
    tuning = [case for case in every if case.split == "tuning"]
    chosen.until = chosen.until or dt.date.today().isoformat()
    held = _with_local(_records(chosen), every)
    settings = train.train(held, [(case.left, case.right) for case in tuning if case.same])
    curve = train.threshold_curve(held, settings, tuning)
    threshold = train.choose_threshold(curve)
    for point in curve:
        chosen_mark = "  <- chosen" if point["threshold"] == threshold else ""
        print(
            f"  {point['threshold']:.2f}  precision {point['precision']:.4f}  recall {point['recall']:.4f}{chosen_mark}"
        )
    before: dict[str, Any] = {"splink": settings, "threshold_match_probability": threshold}
    if linkage.MODEL_FILE.exists():
        before = json.loads(linkage.MODEL_FILE.read_text(encoding="utf-8"))
    moved = train.difference(before["splink"], settings)
    print(
        f"threshold {before['threshold_match_probability']} -> {threshold}; {len(moved)} parameters moved by over 2 %"
    )
    print("\n".join(moved))
    if not chosen.dry_run:
        train.write(settings, threshold, curve, Path(linkage.MODEL_FILE))
        print(f"wrote {linkage.MODEL_FILE}")
    return 0


if __name__ == "__main__":
    environment.end_with_the_reader()
    raise SystemExit(main())
