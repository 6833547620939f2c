"""`python -m pipeline.rankings evaluate | train`: how good the quality estimates are, and learning them anew.

Arguments and printing belong here. Both read the build database that the last refresh left.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.rankings import configurations, evaluate, quality, tables
from pipeline.rankings.configurations import Rungs
from pipeline.rankings.evaluate import Measured
from warehouse import environment
from warehouse.connect import DatabaseError, locations, open_reader

_NEW_SINCE = dt.date(2026, 6, 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    environment.load()
    parser = argparse.ArgumentParser(prog="python -m pipeline.rankings", description=__doc__)
    parser.add_argument("command", choices=("evaluate", "train"))
    parser.add_argument("--build", type=Path, default=None, help="build database to read (default: the configured one)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random fifths")
    parser.add_argument("--since", type=dt.date.fromisoformat, default=_NEW_SINCE, help="models first rated since")
    parser.add_argument("--steps", type=int, default=80, help="steps of the training")
    chosen = parser.parse_args(arguments)
    path = chosen.build or locations().build
    try:
        with open_reader(path) as connection:
            rungs = configurations.build(tables.read_models(connection), tables.read_evidence(connection))
            first_published = tables.read_first_published(connection)
    except FileNotFoundError:
        print(f"There is no build database at {path}. Run: orchestrator refresh", file=sys.stderr)
        return 1
    except DatabaseError as error:
        print(f"{path} cannot be read: {error}\nIs a refresh running? Then wait for it to finish.", file=sys.stderr)
        return 1
    if chosen.command == "train":
        quality.save(quality.train(rungs, steps=chosen.steps), len(rungs.ratings))
        print(f"Wrote {quality.MODEL_FILE}, trained on {len(rungs.ratings)} ratings.")
        return 0
    _evaluate(rungs, first_published, chosen.seed, chosen.since)
    return 0


def _evaluate(rungs: Rungs, first_published: dict[str, dt.date], seed: int, since: dt.date) -> None:
    terms = quality.terms()
    data = evaluate.rated(rungs)
    print(f"{len(data.target)} Arena ratings of {len({r.model_id for r in data.ratings})} models, rating points\n")
    _print("A random fifth hidden, three times five", evaluate.hidden_fifths(data, terms, seed=seed))
    by_time = evaluate.hidden_by_time(data, terms, first_published, since)
    _print(f"Models first rated since {since}, from what was rated before each", by_time)
    _print("One effort hidden, intelligence index points", evaluate.hidden_efforts(rungs))


def _print(title: str, lines: Sequence[Measured]) -> None:
    print(title)
    if not lines:
        print("  nothing to measure\n")
        return
    print(f"  {'':46s} {'rows':>6s} {'Spearman':>9s} {'error':>7s} {'in 90 %':>8s}")
    for line in lines:
        coverage = "" if line.coverage is None else f"{line.coverage:.1%}"
        print(f"  {line.name:46s} {line.count:6d} {line.spearman:9.3f} {line.mean_absolute_error:7.1f} {coverage:>8s}")
    print()


if __name__ == "__main__":
    sys.exit(main())
