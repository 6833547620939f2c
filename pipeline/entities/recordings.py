"""Records from recorded payload files, up to a date: what training and the temporal test start from.

The bundled snapshot is left out, since it knows what came later. The everyday way is `read.py`.
"""

from __future__ import annotations

import datetime as dt
import re
import tempfile
from pathlib import Path

import polars as pl

from pipeline import settings
from pipeline.entities import read
from pipeline.entities import vocabulary as words_of
from pipeline.resources import BuildDatabase
from pipeline.sources.assets import load_sources
from pipeline.sources.load import load
from pipeline.sources.payloads import PayloadStore
from warehouse.connect import open_writer

LINKED_SOURCES = {
    **{source: source for source in ("openrouter", "lmsys_arena", "huggingface", "artificial_analysis")},
    **dict.fromkeys(sorted(words_of.PRICE_LISTS), "rivals"),
}
"""Source → the folder of its recordings."""

_MONTH_IN_NAME = re.compile(r"(20\d\d)-(\d\d)")


def records_until(directory: Path, until: dt.date) -> pl.DataFrame:
    """Records of the payload files below `directory` whose names carry no month after `until`."""
    with tempfile.TemporaryDirectory() as held:
        root = Path(held) / "recordings"
        for folder in sorted(set(LINKED_SOURCES.values())):
            for file in sorted((directory / folder).rglob("*")):
                inside = file.relative_to(directory)
                months = [(int(year), int(month)) for year, month in _MONTH_IN_NAME.findall(str(inside))]
                if file.is_file() and all(month <= (until.year, until.month) for month in months):
                    link = root / inside
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(file.resolve())
        build = Path(held) / "build.duckdb"
        store = PayloadStore(directory=str(root), offline=True, snapshot="-", cache=str(Path(held) / "cache"))
        moment = dt.datetime.combine(until, dt.time())
        for step in load_sources():
            if step.name in LINKED_SOURCES and step.step != "openrouter_endpoints":
                load(step, store, BuildDatabase(path=str(build)), settings.load({}), moment)
        with open_writer(build) as connection:
            return read.records(connection)
