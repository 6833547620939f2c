"""The contract describes itself, and its page says the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proxy import publication
from warehouse import contract_page, published
from warehouse.connect import open_writer
from warehouse.published import TABLES, Table


def test_the_page_is_the_contract() -> None:
    assert contract_page.PAGE.read_text(encoding="utf-8") == contract_page.text(), (
        "docs/contract.md is not what warehouse/published.py says. Run: python -m warehouse.contract_page"
    )


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_and_column_has_a_meaning_and_keys_are_columns(table: Table) -> None:
    names = [column.name for column in table.columns]

    assert table.meaning
    assert all(column.meaning for column in table.columns)
    assert set(table.key) | set(table.order) <= set(names)
    assert not any(column.is_nullable for column in table.columns if column.name in table.key)


def test_a_publication_from_before_a_table_came_is_read_as_if_it_were_empty(tmp_path: Path) -> None:
    """One that lacks a table of the first day is refused."""
    path = publication.write(tmp_path / "orchestrator.duckdb", publication.world([publication.offer("v/model")]))
    with open_writer(path.resolve()) as connection:
        connection.execute("DROP TABLE published.category_rankings")
    rows = published.read(path, (published.Offer, published.CategoryRanking))
    with open_writer(path.resolve()) as connection:
        connection.execute("DROP TABLE published.offers")

    assert rows[published.CategoryRanking] == []
    assert [one.model_id for one in rows[published.Offer]] == ["v/model"]
    with pytest.raises(published.ContractMismatchError, match="offers"):
        published.read(path, (published.Offer,))
