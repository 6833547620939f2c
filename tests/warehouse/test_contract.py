"""The contract describes itself, and its page says the same."""

from __future__ import annotations

import pytest

from warehouse import contract_page
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
