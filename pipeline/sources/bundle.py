"""Makes the bundled snapshot: `python -m pipeline.sources.bundle DIR` reads payload files below DIR and distils them.

Facts only (identifiers, prices, counts, dates, ratings, scores, licences), one small Parquet file a core table, and
ATTRIBUTION.md beside them. The same files give the same bytes. Reading the snapshot is in `load.py`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import tempfile
from collections.abc import Mapping
from pathlib import Path

import duckdb
import polars as pl

from pipeline.resources import BuildDatabase
from pipeline.settings import Settings
from pipeline.settings import load as load_settings
from pipeline.sources.assets import load_sources
from pipeline.sources.load import LOADS, NO_SNAPSHOT, QUARANTINE, SNAPSHOT, load
from pipeline.sources.payloads import PayloadStore, dated
from pipeline.sources.source import OBSERVATIONS, Source

LARGEST_BYTES = 2 * 1024 * 1024
"""The whole snapshot stays below this: it is cloned with the code."""

LEFT_OUT = frozenset({"outcomes", "upstream", "hub_evaluations"})
"""Sources that tell of one deployment only, or of which nothing has been recorded."""

DECIMALS = {"lmsys_arena_ratings": 2, "huggingface_benchmarks": 2}
"""Digits kept of measured scores, well below their error. Prices and the rest keep nine."""

HISTORY = {
    "openrouter": ("price_in_usd_per_mtok", "price_out_usd_per_mtok", "context_tokens", "aa_intelligence_index"),
    "lmsys_arena": ("rating",),
    "artificial_analysis": ("intelligence_index", "price_in_usd_per_mtok", "price_out_usd_per_mtok"),
}
"""Metrics whose history goes along. What the tables' own rows say is not repeated: loading observes them."""

_LICENCES = """\
- **Arena ratings and names**: LMArena, leaderboard dataset, [CC-BY-4.0](https://creativecommons.org/licenses/by/4.0/).
  Changed here: reduced to the columns of the core tables, rounded to two decimals, older publications reduced to the
  rating in the category 'overall'.
- **LMSYS benchmarks**: MT-bench, MMLU and Arena-Hard-Auto scores from the tables of the
  [LMSYS Chatbot Arena leaderboard](https://huggingface.co/spaces/lmarena-ai/chatbot-arena-leaderboard);
  [Arena-Hard-Auto](https://github.com/lmarena/arena-hard-auto) is under Apache-2.0, for the tables no licence of their
  own is stated. Changed here: reduced to model and score.
- **AlpacaEval 2**: results by [tatsu-lab](https://github.com/tatsu-lab/alpaca_eval), Apache-2.0. Changed here: reduced
  to rates of single models, rounded to a hundredth of a percent.
- **Artificial Analysis**: figures by [Artificial Analysis](https://artificialanalysis.ai), which asks for attribution.
- **Open LLM Leaderboard**: results by the Open LLM Leaderboard team at Hugging Face; the data set states no licence.
- **OpenRouter**: catalogue and endpoint facts from [OpenRouter](https://openrouter.ai).
- **Hugging Face Hub**: facts about repositories from [huggingface.co](https://huggingface.co); those on popular ones
  were gathered by llmfit (MIT). Licences named in the tables are the models' own, as the Hub states them.
- **Price lists**: [models.dev](https://models.dev), [genai-prices](https://github.com/pydantic/genai-prices) by
  Pydantic and [LiteLLM's model map](https://github.com/BerriAI/litellm) by BerriAI, each under the MIT licence. Changed
  here: reduced to prices, limits and abilities at the providers in `pipeline/sources/providers.py`, at one scale.
"""


class SnapshotTooLargeError(Exception):
    """The snapshot would be larger than what may be cloned with the code."""


def build(directory: Path, target: Path) -> dict[str, int]:
    """Distil the payload files below `directory` into `target`. Returns rows a file.

    A source of which there is no file below `directory` keeps what the shipped snapshot holds of it.
    Raises `SnapshotTooLargeError` and leaves `target` as it was when the result exceeds `LARGEST_BYTES`.
    """
    settings = load_settings({})
    wanted = [source for source in load_sources() if source.name not in LEFT_OUT]
    sources = [source for source in wanted if _is_recorded(source, directory, settings) or not _is_shipped(source)]
    now = _newest(directory)
    with tempfile.TemporaryDirectory() as scratch:
        database = BuildDatabase(path=str(Path(scratch) / "build.duckdb"))
        store = PayloadStore(directory=str(directory), offline=True, snapshot=NO_SNAPSHOT, cache=scratch)
        for source in sources:
            report = load(source, store, database, settings, now)
            for name, causes in report.problems.items():
                print(f"{source.name} {name}: {'; '.join(causes)}")
        with database.writing() as connection:
            frames = _frames(connection, sources)
    frames |= _shipped([source for source in wanted if source not in sources], frames)
    attribution = _attribution(frames["source_loads"])
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target) as staging:
        for name, frame in frames.items():
            path = Path(staging) / f"{name}.parquet"
            frame.write_parquet(path, compression="zstd", compression_level=19, statistics=False)
        (Path(staging) / "ATTRIBUTION.md").write_text(attribution, encoding="utf-8")
        size = sum(path.stat().st_size for path in Path(staging).iterdir())
        if size > LARGEST_BYTES:
            raise SnapshotTooLargeError(f"The snapshot would take {size:,} bytes; {LARGEST_BYTES:,} are allowed.")
        for path in sorted(Path(staging).iterdir()):
            path.replace(target / path.name)
    return {name: frame.height for name, frame in frames.items()}


def _is_recorded(source: Source, directory: Path, settings: Settings) -> bool:
    patterns = [pattern for payload in source.payloads(settings) for pattern in payload.patterns]
    return any(True for pattern in patterns for _ in directory.glob(pattern))


def _is_shipped(source: Source) -> bool:
    return all((SNAPSHOT / f"{table.name}.parquet").exists() for table in source.tables)


def _shipped(sources: list[Source], frames: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The shipped tables of `sources`, and what all sources share with their shipped rows added."""
    found = {t.name: pl.read_parquet(SNAPSHOT / f"{t.name}.parquet") for source in sources for t in source.tables}
    names = [source.name for source in sources]
    for shared, order in (("source_loads", ["source", "payload"]), ("quarantine", list(QUARANTINE))):
        rows = pl.read_parquet(SNAPSHOT / f"{shared}.parquet").filter(pl.col("source").is_in(names))
        found[shared] = pl.concat([frames[shared], rows]).sort(order) if rows.height else frames[shared]
    return found


def _newest(directory: Path) -> dt.datetime:
    """The newest day a file's name gives: the snapshot's clock, so that it does not depend on the day it is made."""
    days = [dated(path.relative_to(directory))[0] for path in directory.rglob("*") if path.is_file()]
    return max((day for day in days if day is not None), default=dt.datetime.min) + dt.timedelta(days=1)


def _frames(connection: duckdb.DuckDBPyConnection, sources: list[Source]) -> dict[str, pl.DataFrame]:
    frames: dict[str, pl.DataFrame] = {}
    known = []
    for table in (table for source in sources for table in source.tables):
        frame = connection.sql(f"FROM core.{table.name}").pl()
        decimals = DECIMALS.get(table.name, 9)
        frames[table.name] = frame.with_columns(pl.col(pl.Float64).round(decimals))
        if table.observe is not None:
            known.append(table.observe(frame.cast(dict(table.schema))))
    loads = connection.sql("FROM core.source_loads ORDER BY source, payload").pl().cast(dict(LOADS))
    frames["source_loads"] = loads.with_columns(pl.lit(None, pl.String).alias("problem"))
    # The refused rows themselves may hold prose: which they were, and why, is enough.
    refused = connection.sql("FROM core.quarantine ORDER BY ALL").pl().cast(dict(QUARANTINE))
    frames["quarantine"] = refused.with_columns(pl.lit("null").alias("row_json"))
    history = connection.sql(f"SELECT {', '.join(OBSERVATIONS)} FROM core.observations").pl().cast(dict(OBSERVATIONS))
    key = ["source", "record_id", "metric", "scope", "observed_at"]
    frames["observations"] = (
        history.join(pl.concat(known), on=key, how="anti")
        .filter(
            pl.any_horizontal(
                (pl.col("source") == source) & pl.col("metric").is_in(list(metrics))
                for source, metrics in HISTORY.items()
            )
        )
        .with_columns(pl.col("value").round(6))
        .sort(key)
    )
    return frames


def _attribution(loads: pl.DataFrame) -> str:
    columns = ("source", "payload", pl.col("observed_at").dt.to_string("%Y-%m-%d"), "rows_loaded", "attribution")
    rows = loads.select(*columns).rows()
    lines = "\n".join(
        f"| {source} | {payload} | {day} | {count:,} | {credit} |" for source, payload, day, count, credit in rows
    )
    return f"""\
# What the bundled snapshot is made of

Facts and figures only, distilled by `python -m pipeline.sources.bundle` from recorded payloads. A deployment with a
network replaces them at its first refresh.

{_LICENCES}
| source | payload | observed | rows | credit |
|---|---|---|---:|---|
{lines}
"""


def main() -> None:
    """Build the snapshot and print what went in."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.sources.bundle", description=__doc__)
    parser.add_argument("directory", type=Path, help="payload files, laid out as refresh --from reads them")
    parser.add_argument("--to", type=Path, default=SNAPSHOT, help="directory to write (default: the shipped snapshot)")
    chosen = parser.parse_args()
    for name, rows in build(chosen.directory, chosen.to).items():
        print(f"{name}: {rows:,} rows, {(chosen.to / f'{name}.parquet').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
