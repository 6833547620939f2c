"""Fills a build database from the sources without Dagster, for a look at the core tables while working on a parser.

`python -m pipeline.sources --from DIR --build FILE [--only STEP]`; the real way is `orchestrator refresh`.
"""

from __future__ import annotations

import argparse
import time

from pipeline import settings
from pipeline.resources import BuildDatabase, Clock
from pipeline.sources.assets import load_sources
from pipeline.sources.load import load
from pipeline.sources.payloads import PayloadStore


def main() -> None:
    """Load every source once and print what became of it."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.sources", description=__doc__)
    parser.add_argument("--from", dest="directory", default="", help="read payload files below this directory")
    parser.add_argument("--offline", action="store_true", help="ask nobody")
    parser.add_argument("--build", required=True, help="database file to fill")
    parser.add_argument("--only", default="", help="one step, such as openrouter")
    chosen = parser.parse_args()
    store = PayloadStore(directory=chosen.directory, offline=chosen.offline)
    for source in load_sources():
        if chosen.only not in ("", source.step):
            continue
        begun = time.perf_counter()
        report = load(source, store, BuildDatabase(path=chosen.build), settings.load(), Clock().now())
        print(f"{source.step}: {time.perf_counter() - begun:.2f} s")
        for table in report.tables.values():
            print(f"  core.{table.table}: {table.rows} rows, {table.rows_changed} changed")
        for name, found in {**report.problems, **report.notes}.items():
            print(f"  {name}: {found if isinstance(found, str) else '; '.join(found)}")


if __name__ == "__main__":
    main()
