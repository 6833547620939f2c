"""The two commands for people who work on a source."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pipeline.sources import __main__ as fill
from pipeline.sources import bundle
from tests.pipeline.sources.conftest import SMALL


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads this machine's outcomes, copies or upstreams."""
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(tmp_path))
    (tmp_path / "upstreams.toml").write_text("")
    monkeypatch.setenv("ORCHESTRATOR_UPSTREAMS", str(tmp_path / "upstreams.toml"))


def test_a_build_database_can_be_filled_from_one_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a parser makes of real files, without Dagster."""
    arguments = ["--from", str(SMALL), "--build", str(tmp_path / "b.duckdb"), "--only", "artificial_analysis"]
    monkeypatch.setattr("sys.argv", ["python -m pipeline.sources", *arguments])
    fill.main()

    assert "core.artificial_analysis_models: 2 rows" in capsys.readouterr().out


def test_the_snapshot_is_made_by_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what went in, a file a line."""
    monkeypatch.setattr("sys.argv", ["python -m pipeline.sources.bundle", str(SMALL), "--to", str(tmp_path / "to")])
    bundle.main()

    assert "openrouter_listings: 13 rows" in capsys.readouterr().out
    assert pl.read_parquet(tmp_path / "to/openrouter_listings.parquet").height == 13
