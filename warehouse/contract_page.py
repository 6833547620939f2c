"""Writes docs/contract.md from the contract: `python -m warehouse.contract_page`. Words about the tables are theirs."""

from __future__ import annotations

from warehouse.locations import PROJECT_ROOT
from warehouse.published import CONTRACT_VERSION, SCHEMA, TABLES, Table

PAGE = PROJECT_ROOT / "docs" / "contract.md"

_HEAD = f"""\
# The published tables, contract version {CONTRACT_VERSION}

Written by `python -m warehouse.contract_page` from `warehouse/published.py`; change it there.

The publication is one DuckDB file, read-only, at `warehouse/data/orchestrator.duckdb` unless `DATABASE_URL` names
another place. Open it with any DuckDB 2 client at any time, or ask `orchestrator sql "SELECT ..."`. Tables are in
schema `{SCHEMA}`. Times are UTC without zone, prices US dollars per million tokens unless the name says otherwise.
A null means "not known"; it never means zero, free or unlimited. The same words are in the file as comments
(`SELECT column_name, comment FROM duckdb_columns()`).

A new column is free; a removed or re-meant one raises the contract version.
"""


def text() -> str:
    """The page."""
    contents = "\n".join(f"- [`{t.name}`](#{t.name}): {_first_sentence(t)}" for t in TABLES)
    return "\n".join([_HEAD, contents, "", *(_section(table) for table in TABLES)]).rstrip() + "\n"


def _first_sentence(table: Table) -> str:
    return table.meaning.split(". ")[0].rstrip(".") + "."


def _section(table: Table) -> str:
    key = ", ".join(f"`{name}`" for name in table.key) or "none: rows may repeat"
    lines = [f"## {table.name}", "", table.meaning, "", f"Key: {key}.", ""]
    lines += ["| column | type | null | meaning |", "|---|---|---|---|"]
    for column in table.columns:
        null = "yes" if column.is_nullable else ""
        lines.append(f"| `{column.name}` | {column.sql_type} | {null} | {column.meaning.replace('|', '/')} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
    print(f"Wrote {PAGE}.")
