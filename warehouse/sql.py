"""Finds the SQL of a table: `sql/<layer>/<table>.sql`. Running it belongs to whoever asks."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_ROOT = Path(__file__).parent / "sql"


@cache
def statement(layer: str, table: str) -> str:
    """Text of `warehouse/sql/<layer>/<table>.sql`.

    Raises `FileNotFoundError` naming the file that is missing.
    """
    return (_ROOT / layer / f"{table}.sql").read_text(encoding="utf-8")


def names(layer: str) -> list[str]:
    """Names of the layer's SQL files, sorted: 'feedback' for a table's own, 'feedback.prune' for one that serves it."""
    return sorted(file.name.removesuffix(".sql") for file in (_ROOT / layer).glob("*.sql"))
