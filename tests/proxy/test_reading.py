"""A publication read by a child process, begun ahead of need or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy import reading
from tests.proxy.publication import offer, world, write
from warehouse import published

pytestmark = pytest.mark.integration


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A publication with one offer."""
    return write(tmp_path / "orchestrator.duckdb", world([offer("vendor/one", upstream="up")]))


def _models(place: Path) -> list[str]:
    return [one.model_id for one in reading.read(place, reading.TABLES).rows[published.Offer]]


def test_what_was_begun_is_taken_once(place: Path) -> None:
    reading.begin(place, reading.TABLES)
    assert _models(place) == ["vendor/one"]
    assert _models(place) == ["vendor/one"]


def test_a_publication_that_came_in_between_is_the_one_that_is_read(place: Path) -> None:
    reading.begin(place, reading.TABLES)
    write(place, world([offer("vendor/two", upstream="up")], publication_id="20260823T120000"))
    assert _models(place) == ["vendor/two"]


def test_beginning_without_a_publication_harms_nothing(tmp_path: Path) -> None:
    missing = tmp_path / "orchestrator.duckdb"
    reading.begin(missing, reading.TABLES)
    with pytest.raises(published.ContractMismatchError, match="orchestrator refresh"):
        reading.read(missing, reading.TABLES)
