"""Answers a person's SQL from the newest publication: read-only, printed or written to a file."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path

from warehouse.connect import DatabaseError, Relation, open_reader
from warehouse.published import SCHEMA

FORMATS = ("table", "csv", "json", "parquet")

_COPY_OPTIONS = {
    "table": "FORMAT csv, HEADER",
    "csv": "FORMAT csv, HEADER",
    "json": "FORMAT json, ARRAY true",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
}


class QueryError(Exception):
    """The question could not be answered. The text says why and what to do."""


def run(path: Path, query: str, output_format: str, output: Path | None) -> None:
    """Run `query` on the publication at `path` and print it, or write it to `output`.

    Raises `QueryError` when there is no publication, the SQL is wrong, or it gives no rows.
    """
    if output_format == "parquet" and output is None:
        raise QueryError("Parquet is written to a file: add --output FILE.")
    try:
        with open_reader(path) as connection:
            connection.execute(f"SET search_path = '{SCHEMA},main'")
            relation = connection.sql(query)
            # None is what a statement without a result gives, whatever the annotation says.
            if relation is None:
                raise QueryError("That statement gives no rows. The publication is read-only: ask with SELECT.")
            if output is not None:
                target = str(output.absolute()).replace("'", "''")
                relation.query("answer", f"COPY answer TO '{target}' ({_COPY_OPTIONS[output_format]})")
                print(f"Wrote {output}.", file=sys.stderr)
            elif output_format == "table":
                width = shutil.get_terminal_size((200, 40)).columns
                relation.show(max_rows=1000, max_width=width if sys.stdout.isatty() else 10_000)
            else:
                _print(relation, output_format)
    except FileNotFoundError as error:
        raise QueryError(str(error)) from error
    except DatabaseError as error:
        raise QueryError(f'{error}\nTables: orchestrator sql "SHOW TABLES FROM {SCHEMA}"') from error


def _print(relation: Relation, output_format: str) -> None:
    names, rows = relation.columns, relation.fetchall()
    if output_format == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
    else:
        json.dump([dict(zip(names, row, strict=True)) for row in rows], sys.stdout, default=str, indent=1)
        print()
