"""The bundled snapshot: small, whole, and the same whoever makes it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipeline.resources import BuildDatabase
from pipeline.settings import load as load_settings
from pipeline.sources import bundle
from pipeline.sources.assets import load_sources
from pipeline.sources.load import SNAPSHOT, load
from tests.conftest import RECORDINGS, needs_recordings
from tests.pipeline.sources.conftest import NOW, SMALL, StoreMaker


def test_the_snapshot_is_small_enough_to_be_cloned_with_the_code() -> None:
    """Two megabytes, attribution included."""
    assert sum(path.stat().st_size for path in SNAPSHOT.iterdir()) <= bundle.LARGEST_BYTES


def test_the_snapshot_credits_every_source_it_holds() -> None:
    """Arena data is CC-BY-4.0 and says so; every payload is in the table."""
    text = (SNAPSHOT / "ATTRIBUTION.md").read_text(encoding="utf-8")
    loads = pl.read_parquet(SNAPSHOT / "source_loads.parquet")

    assert "CC-BY-4.0" in text
    assert "Artificial Analysis" in text
    for source, payload, credit in loads.select("source", "payload", "attribution").iter_rows():
        assert re.search(rf"\| {source} \| {payload} \| .* \| {re.escape(credit)} \|", text)


def test_the_snapshot_holds_facts_and_no_prose() -> None:
    """No text of it is longer than a name, a list of ratings or a tag list of a repository needs."""
    for path in SNAPSHOT.glob("*.parquet"):
        frame = pl.read_parquet(path)
        for name in frame.columns:
            if frame.schema[name] == pl.String and not name.endswith("_json"):
                assert (frame[name].str.len_chars().max() or 0) <= 120, (path.name, name)


def test_loading_the_snapshot_gives_the_counts_it_was_built_with(store: StoreMaker, build: BuildDatabase) -> None:
    """Every row of every table, with the dates it was observed at, in an empty database without a network."""
    for source in load_sources():
        load(source, store(offline=True, snapshot=""), build, load_settings({}), NOW)
    with build.writing() as connection:
        for path in SNAPSHOT.glob("*.parquet"):
            shipped = pl.read_parquet(path)
            loaded = connection.sql(f"FROM core.{path.stem}").pl()
            if path.stem == "observations":
                assert loaded.height >= shipped.height
                continue
            assert loaded.height == shipped.height, path.name
            if "observed_at" in shipped.columns:
                assert loaded["observed_at"].max() == shipped["observed_at"].max()


def test_the_same_files_make_the_same_snapshot(tmp_path: Path) -> None:
    """Byte for byte, on whichever day."""
    first = bundle.build(SMALL, tmp_path / "a")
    second = bundle.build(SMALL, tmp_path / "b")

    assert first == second
    assert first["openrouter_listings"] == 13
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_a_snapshot_that_grew_too_large_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command fails and the shipped files stay."""
    bundle.build(SMALL, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(bundle, "LARGEST_BYTES", 1000)

    with pytest.raises(bundle.SnapshotTooLargeError, match="1,000 are allowed"):
        bundle.build(SMALL, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@needs_recordings
def test_the_shipped_snapshot_is_what_the_recordings_give(tmp_path: Path) -> None:
    """Nobody has edited it, and no parser has changed without it."""
    bundle.build(RECORDINGS, tmp_path)

    for path in sorted(tmp_path.glob("*.parquet")):
        fresh: Any = pl.read_parquet(path)
        assert_frame_equal(fresh, pl.read_parquet(SNAPSHOT / path.name))
    assert (tmp_path / "ATTRIBUTION.md").read_text() == (SNAPSHOT / "ATTRIBUTION.md").read_text()
