"""The rows that ship with the project: those that are off must work on the day somebody turns them on."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from pipeline.sources.providers import of_address
from proxy.dialects import dialect_of
from warehouse.upstreams import SHIPPED, load

pytestmark = pytest.mark.canary

_ROWS = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
_VENDORS = sorted(name for name, row in _ROWS.items() if row["kind"] == "openai")


def test_only_the_marketplace_is_on_until_somebody_asks_for_more() -> None:
    assert [upstream.name for upstream in load({})] == ["openrouter"]


@pytest.mark.parametrize("name", sorted(_ROWS))
def test_a_shipped_row_is_understood_once_it_is_on(name: str, tmp_path: Path) -> None:
    text = SHIPPED.read_text(encoding="utf-8").replace("enabled = false", "enabled = true")
    copy = tmp_path / "upstreams.toml"
    copy.write_text(text, encoding="utf-8")
    upstream = next(upstream for upstream in load({"ORCHESTRATOR_UPSTREAMS": str(copy)}) if upstream.name == name)
    assert upstream.is_local == upstream.base_url.startswith("http://localhost")
    assert (upstream.api_key_env is None) == upstream.is_local


@pytest.mark.parametrize("name", _VENDORS)
def test_a_vendor_row_finds_its_prices_and_its_dialect_by_its_address(name: str) -> None:
    base_url = _ROWS[name]["base_url"]
    assert of_address(base_url) == name
    assert dialect_of("openai", name, base_url) != "openai", "treated like any compatible server"
