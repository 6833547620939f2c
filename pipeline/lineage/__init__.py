"""Which columns of which other tables a column is made of, as Dagster shows it.

Only looks up what `columns.json` holds, so that neither loading the definitions nor a run reads SQL. The file is made
by `python -m pipeline.lineage` from what `tables.py` names.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg


def of(table: str) -> dict[str, dg.TableColumnLineage]:
    """Metadata of a materialisation of 'schema.table': the lineage of its columns. Empty where none is known."""
    columns = _columns().get(table)
    if not columns:
        return {}
    return {
        "dagster/column_lineage": dg.TableColumnLineage(
            {column: [_dep(source) for source in sources] for column, sources in columns.items()}
        )
    }


def _dep(source: str) -> dg.TableColumnDep:
    schema, table, column = source.split(".")
    return dg.TableColumnDep(dg.AssetKey([schema, table]), column)


@cache
def _columns() -> dict[str, dict[str, list[str]]]:
    loaded: Any = json.loads(Path(__file__).with_name("columns.json").read_text(encoding="utf-8"))
    return dict(loaded)
