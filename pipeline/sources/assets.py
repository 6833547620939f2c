"""The Dagster side of the sources: the assets made of each, and their checks.

Every module of this package that has a `SOURCE` is found and turned into assets; nothing is registered. What a
source is belongs to `source.py`, what is written to `load.py`, what goes again to `pruning.py`, what is read of former
days to `backfill.py`, schedules to `pipeline/automation.py`.
"""

import datetime as dt
import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

import pipeline.sources
from pipeline import settings
from pipeline.resources import BuildDatabase, Clock
from pipeline.sources.load import SHARED, Report, TableReport, load, table_report
from pipeline.sources.payloads import PayloadStore
from pipeline.sources.source import Payload, Source
from warehouse import sql

OWNERS = ["team:orchestrator"]

RETRIES = dg.RetryPolicy(max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""For what goes wrong around a fetch, such as a disk that is full; a payload's own faults do not raise."""

QUARANTINED_AT_MOST = 0.05
"""Share of refused rows above which a payload is worth a look."""


def load_sources() -> list[Source]:
    """The `SOURCE` of every module of this package, those first that others come after."""
    found: list[Source] = []
    for module in sorted(info.name for info in pkgutil.iter_modules(pipeline.sources.__path__)):
        if module != "__main__":
            source = getattr(importlib.import_module(f"{pipeline.sources.__name__}.{module}"), "SOURCE", None)
            found += [source] if source is not None else []
    return sorted(found, key=lambda source: bool(source.after))


def load_assets(history: Sequence[dg.AssetsDefinition] = ()) -> list[dg.AssetsDefinition]:
    """Every asset of the sources: their own tables, then the three tables all of them write rows of.

    `history` are assets of others that write observations, too.
    """
    made = [_source_asset(source) for source in load_sources()]
    keys = [key for asset in made for key in asset.keys]
    past = [key for asset in history for key in asset.keys]
    return [*made, *(_shared_asset(table, [*keys, *(past if table == "observations" else [])]) for table in SHARED)]


def table_key(table: str) -> dg.AssetKey:
    """Asset key of `core.<table>`."""
    return dg.AssetKey(["core", table])


def _source_asset(source: Source) -> dg.AssetsDefinition:
    """One step that loads all payloads of `source`, with an asset for every table it fills."""
    links = {"dagster/uri": source.url} if source.url else {}

    @dg.multi_asset(
        name=source.step,
        specs=[
            dg.AssetSpec(
                table_key(table.name),
                description=table.description,
                group_name=source.group,
                kinds=set(source.kinds),
                owners=OWNERS,
                deps=[table_key(name) for name in source.after],
                metadata={"dagster/table_name": f"core.{table.name}", **links},
                code_version="1",
            )
            for table in source.tables
        ],
        check_specs=[
            dg.AssetCheckSpec(name, asset=table_key(table.name), description=description)
            for table in source.tables
            for name, description in CHECKS.items()
        ],
        retry_policy=RETRIES,
    )
    def step(
        context: dg.AssetExecutionContext, build: BuildDatabase, payloads: PayloadStore, clock: Clock
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        configured = settings.load()
        now = clock.now()
        report = load(source, payloads, build, configured, now)
        for name, causes in report.problems.items():
            for cause in causes:
                context.log.warning(f"{source.name} {name}: {cause}")
        fed = {table.name: _feeding(source, configured, table.name) for table in source.tables}
        for table in source.tables:
            yield _materialized(source, report, report.tables[table.name], fed[table.name], now)
        for table in source.tables:
            yield from _checked(source, report, table.name, fed[table.name], now)
        _fail_if_nothing(source, report, configured)

    return step


CHECKS = {
    "newest_payload_used": "The newest payload could be fetched and read; otherwise older data is in use.",
    "is_fresh": "The data is not older than this source's usual rhythm; what has ended does not age.",
    "few_rows_refused": "Hardly any row had to be quarantined.",
}
"""Checks of every source table. None of them stops anything: older data is better than none."""


def _feeding(source: Source, configured: settings.Settings, table: str) -> list[Payload]:
    return [payload for payload in source.payloads(configured) if table in payload.tables]


def _loads(report: Report, payloads: Sequence[Payload]) -> list[Mapping[str, Any]]:
    names = {payload.name for payload in payloads}
    return [load for load in report.loads if load["payload"] in names]


def column_schema(table: TableReport) -> dg.TableSchema:
    """Columns with their meanings, as the database holds them."""
    return dg.TableSchema([dg.TableColumn(name, kind, description=meaning) for name, kind, meaning in table.columns])


def _materialized(
    source: Source, report: Report, table: TableReport, payloads: Sequence[Payload], now: dt.datetime
) -> dg.MaterializeResult[Any]:
    loads = _loads(report, payloads)
    metadata: dict[str, Any] = {
        "dagster/row_count": table.rows,
        "dagster/column_schema": column_schema(table),
        "rows_changed": table.rows_changed,
        "rows_in": sum(load["rows_loaded"] for load in loads),
        "rows_quarantined": sum(load["rows_quarantined"] for load in loads),
        "origin": ", ".join(sorted({load["origin"] for load in loads})) or "none",
        "older_payloads_read": report.older_payloads,
        "payloads": _loads_table(loads),
    }
    if loads:
        newest = max(load["observed_at"] for load in loads)
        metadata["observed_at"] = dg.MetadataValue.timestamp(newest.replace(tzinfo=dt.UTC))
        metadata["age_hours"] = round((now - newest).total_seconds() / 3600, 1)
        metadata["attribution"] = ", ".join(sorted({load["attribution"] for load in loads}))
    if source.url:
        metadata["source"] = dg.MetadataValue.url(source.url)
    names = [payload.name for payload in payloads]
    remarks = {name: "; ".join(report.problems.get(name, ())) or report.notes.get(name, "") for name in names}
    told = [f"- `{name}`: {remark}" for name, remark in remarks.items() if remark]
    if told:
        metadata["remarks"] = dg.MetadataValue.md("\n".join(told))
    return dg.MaterializeResult(
        asset_key=table_key(table.table), metadata=metadata, data_version=dg.DataVersion(table.version)
    )


def _loads_table(loads: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    shown = ("payload", "origin", "reference", "rows_loaded", "rows_quarantined")
    records = [
        dg.TableRecord({**{name: load[name] for name in shown}, "observed_at": f"{load['observed_at']:%Y-%m-%d %H:%M}"})
        for load in loads
    ]
    columns = [dg.TableColumn(name, "int" if name.startswith("rows") else "string") for name in (*shown, "observed_at")]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))


def _checked(
    source: Source, report: Report, table: str, payloads: Sequence[Payload], now: dt.datetime
) -> Iterator[dg.AssetCheckResult]:
    loads = _loads(report, payloads)
    problems = {p.name: "; ".join(report.problems[p.name]) for p in payloads if p.name in report.problems}
    ageing = [payload for payload in payloads if not payload.is_archive]
    newest = max((load["observed_at"] for load in _loads(report, ageing)), default=None)
    rows_in = sum(load["rows_loaded"] for load in loads)
    refused = sum(load["rows_quarantined"] for load in loads)
    age = "nothing of any age is held" if newest is None else f"{(now - newest).total_seconds() / 86400:.1f} days old"
    results: Iterable[tuple[str, bool, str, dict[str, Any]]] = (
        ("newest_payload_used", not problems, "; ".join(problems.values()), problems),
        (
            "is_fresh",
            (source.is_optional or not ageing) if newest is None else now - newest <= source.stale_after,
            f"{age}; older than {source.stale_after.total_seconds() / 86400:g} days is stale",
            {
                "age_hours": round((now - newest).total_seconds() / 3600, 1) if newest else age,
                "stale_after_hours": source.stale_after.total_seconds() / 3600,
            },
        ),
        (
            "few_rows_refused",
            refused <= QUARANTINED_AT_MOST * (rows_in + refused),
            f"{refused} of {rows_in + refused} rows were refused: SELECT * FROM quarantine",
            {"rows_in": rows_in, "rows_quarantined": refused},
        ),
    )
    for name, passed, finding, metadata in results:
        yield dg.AssetCheckResult(
            asset_key=table_key(table),
            check_name=name,
            passed=passed,
            description=None if passed else finding,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=metadata,
        )


def _fail_if_nothing(source: Source, report: Report, configured: settings.Settings) -> None:
    """Fail the run where there is nothing to fall back on, or where falling back is switched off."""
    problems = {name: "; ".join(causes) for name, causes in report.problems.items()}
    empty = [table.table for table in report.tables.values() if table.rows == 0]
    if empty and not source.is_optional:
        raise dg.Failure(
            f"Nothing is known of {', '.join(empty)}: {source.name} could not be read, and neither a kept copy nor the "
            "bundled snapshot has it. Check the network, or run: orchestrator refresh --from DIR",
            metadata=problems,
            allow_retries=False,
        )
    if problems and not configured.offline_mode_enabled:
        raise dg.Failure(
            f"{source.name} could not be refreshed: {'; '.join(problems.values())}. Older data is kept; with "
            "ORCHESTRATOR_OFFLINE_MODE_ENABLED=true the run would have gone on with it.",
            metadata=problems,
            allow_retries=False,
        )


# --- the tables every source writes rows of

_SHARED_DESCRIPTIONS = {
    "source_loads": "Which payload of every source is in use, where it came from and how old it is.",
    "quarantine": "Rows the sources' parsers refused, with payload and reason.",
    "observations": "History of prices, ratings, benchmarks and speeds: first and last sighting of every value.",
}

_SHARED_SUMMARIES = {
    "source_loads": ("source", "payload", "origin", "observed_at", "rows_loaded", "problem"),
    "quarantine": ("source", "payload", "reason", "rows"),
    "observations": ("source", "metric", "series", "rows", "first", "last"),
}


def _shared_asset(table: str, after: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    @dg.asset(
        name=table,
        key_prefix="core",
        description=_SHARED_DESCRIPTIONS[table],
        group_name="sources",
        kinds={"duckdb"},
        owners=OWNERS,
        deps=list(after),
        metadata={"dagster/table_name": f"core.{table}"},
        code_version="1",
    )
    def shared(build: BuildDatabase) -> dg.MaterializeResult[Any]:
        with build.writing() as connection:
            report = table_report(connection, table)
            rows = connection.execute(sql.statement("core", f"{table}.summary")).fetchall()
        names = _SHARED_SUMMARIES[table]
        records = [
            dg.TableRecord({n: v if isinstance(v, int) else str(v or "") for n, v in zip(names, row, strict=True)})
            for row in rows
        ]
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": report.rows,
                "dagster/column_schema": column_schema(report),
                "summary": dg.MetadataValue.table(
                    records, schema=dg.TableSchema([dg.TableColumn(name, "string") for name in names])
                ),
            },
            data_version=dg.DataVersion(report.version),
        )

    return shared
