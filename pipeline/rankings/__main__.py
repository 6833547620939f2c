"""`python -m pipeline.rankings evaluate | coverage | train | page`: how good and how many the estimates are, and pages.

Arguments and printing belong here. All read the build database that the last refresh left.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb

from pipeline.rankings import configurations, evaluate, quality, tables
from pipeline.rankings.assets import first_rows
from pipeline.rankings.configurations import Evidence, Rungs
from pipeline.rankings.evaluate import Measured
from pipeline.rankings.typical_calls import MEDIUM
from warehouse import environment, sql
from warehouse.connect import DatabaseError, open_reader
from warehouse.locations import PROJECT_ROOT, locations

PAGE = PROJECT_ROOT / "docs" / "rankings.md"

_NEW_SINCE = dt.date(2026, 6, 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    environment.load()
    parser = argparse.ArgumentParser(prog="python -m pipeline.rankings", description=__doc__)
    parser.add_argument("command", choices=("evaluate", "coverage", "train", "page"))
    parser.add_argument("--build", type=Path, default=None, help="build database to read (default: the configured one)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random fifths")
    parser.add_argument("--since", type=dt.date.fromisoformat, default=_NEW_SINCE, help="models first rated since")
    parser.add_argument("--steps", type=int, default=80, help="steps of the training")
    parser.add_argument("--retrain", action="store_true", help="hide from the training of the kernel too (a minute)")
    chosen = parser.parse_args(arguments)
    path = chosen.build or locations().build
    try:
        with open_reader(path) as connection:
            if chosen.command == "coverage":
                print(coverage(connection), end="")
                return 0
            evidence = tables.read_evidence(connection)
            rungs = configurations.build(tables.read_models(connection), evidence)
            first_published = tables.read_first_published(connection)
            page = first_tens(connection) if chosen.command == "page" else ""
    except FileNotFoundError:
        print(f"There is no build database at {path}. Run: orchestrator refresh", file=sys.stderr)
        return 1
    except DatabaseError as error:
        print(f"{path} cannot be read: {error}\nIs a refresh running? Then wait for it to finish.", file=sys.stderr)
        return 1
    if chosen.command == "page":
        PAGE.write_text(page, encoding="utf-8")
        print(f"Wrote {PAGE}.")
        return 0
    if chosen.command == "train":
        quality.save(quality.train(rungs, steps=chosen.steps), len(rungs.ratings))
        print(f"Wrote {quality.MODEL_FILE}, trained on {len(rungs.ratings)} ratings.")
        return 0
    _evaluate(rungs, evidence, first_published, chosen.seed, chosen.since)
    if chosen.retrain:
        trained_anew = evaluate.hidden_with_the_kernel_trained_anew(evaluate.rated(rungs), seed=chosen.seed)
        _print("A random fifth hidden from the kernel's training too, once", trained_anew)
    return 0


def coverage(connection: duckdb.DuckDBPyConnection) -> str:
    """How many callable chat models have quality, time, throughput and cost, and the rest with the reason."""
    rows = connection.execute(sql.statement("ranking", "read_coverage")).fetchall()
    newest = connection.execute("SELECT max(observed_at) FROM ranking.offers WHERE host_tag IS NULL").fetchall()[0][0]
    missing = [(model_id, reason) for model_id, is_complete, reason in rows if not is_complete]
    by_policy = [model_id for model_id, reason in missing if reason.endswith("let in")]
    rankable = len(rows) - len(by_policy)
    complete = len(rows) - len(missing)
    share = f"{complete / rankable:.1%}" if rankable else "none"
    lines = [
        f"Listings of {newest:%Y-%m-%d}: {len(rows)} chat models can be called, {rankable} of them without giving",
        f"prompts away; {complete} of those ({share}) have quality, latency, throughput and cost.",
        "",
        *(f"{model_id:<60} {reason}" for model_id, reason in missing),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def first_tens(connection: duckdb.DuckDBPyConnection) -> str:
    """docs/rankings.md: the first ten of every profile, and the first three for easy and hard prompts."""
    ranked = connection.sql(sql.statement("ranking", "read_first_ranks")).pl()
    newest = connection.execute("SELECT max(observed_at) FROM ranking.offers WHERE host_tag IS NULL").fetchall()[0][0]
    parts = [
        "# The first ten of each profile",
        "",
        f"Written by `python -m pipeline.rankings page` from listings of {newest:%Y-%m-%d}; how a rank comes about is "
        "in [formulas](formulas.md). Times and costs are of a typical call of medium difficulty. A rank changes with "
        "every price and rating, so take yours from `orchestrator sql` or `/v1/models/rankings`.",
    ]
    for name in ranked["profile"].unique(maintain_order=True):
        medium = ranked.filter(ranked["difficulty_band"] == MEDIUM.band)
        parts += ["", f"## {name}", "", first_rows(medium, name, 10)]
        for band in ("easy", "hard"):
            rows = ranked.filter((ranked["difficulty_band"] == band) & (ranked["profile"] == name)).head(3)
            named = [
                row["offer_id"].removeprefix("openrouter:") + (f" at {row['effort']}" if row["effort"] else "")
                for row in rows.iter_rows(named=True)
            ]
            parts += ["", f"{band.capitalize()} prompts: {', '.join(named)}."]
    return "\n".join(parts) + "\n"


def _evaluate(
    rungs: Rungs, evidence: Sequence[Evidence], first_published: dict[str, dt.date], seed: int, since: dt.date
) -> None:
    terms = quality.terms()
    data = evaluate.rated(rungs)
    print(f"{len(data.target)} Arena ratings of {len({r.model_id for r in data.ratings})} models, rating points\n")
    _print("A random fifth hidden, three times five", evaluate.hidden_fifths(data, terms, seed=seed))
    alone = evaluate.without(data, evaluate.OTHER_ARENAS)
    _print("The same without the Arena's other leaderboards", evaluate.hidden_fifths(alone, terms, seed=seed)[:1])
    by_time = evaluate.hidden_by_time(data, terms, first_published, since)
    _print(f"Models first rated since {since}, from what was rated before each", by_time)
    by_time = evaluate.hidden_by_time(alone, terms, first_published, since)
    _print("The same without the Arena's other leaderboards", by_time[:1])
    by_category = evaluate.hidden_categories(rungs, evidence, seed=seed)
    _print("A fifth of each category's ratings hidden, overall ratings known", by_category)
    _print("One effort hidden, intelligence index points", evaluate.hidden_efforts(rungs))


def _print(title: str, lines: Sequence[Measured]) -> None:
    print(title)
    if not lines:
        print("  nothing to measure\n")
        return
    print(f"  {'':46s} {'rows':>6s} {'Spearman':>9s} {'error':>7s} {'in 90 %':>8s}")
    for line in lines:
        coverage = "" if line.coverage is None else f"{line.coverage:.1%}"
        name = line.name if len(line.name) <= 46 else f"{line.name[:45]}…"
        print(f"  {name:46s} {line.count:6d} {line.spearman:9.3f} {line.mean_absolute_error:7.1f} {coverage:>8s}")
    print()


if __name__ == "__main__":
    environment.end_with_the_reader()
    sys.exit(main())
