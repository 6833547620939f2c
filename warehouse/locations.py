"""Where the warehouse keeps its files, by `DATABASE_URL` and `ORCHESTRATOR_DATA_DIR`. `connect.py` opens them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class LocationError(ValueError):
    """A setting names a place that cannot be used. The text says which and how to mend it."""


@dataclass(frozen=True)
class Locations:
    """Where the warehouse keeps its files. All paths are absolute."""

    published: Path
    """The one path everyone opens: a symlink to the newest publication."""
    data_dir: Path
    """Build file, payload cache, outcome segments and publications that belong to it."""

    @property
    def build(self) -> Path:
        """The pipeline's own database. Nobody else opens it."""
        return self.data_dir / "build.duckdb"

    @property
    def build_lock(self) -> Path:
        """Lock file held by whoever writes the build file."""
        return self.data_dir / "build.lock"

    @property
    def publications(self) -> Path:
        """Directory of immutable publications. Beside the symlink, so that the link stays relative."""
        return self.published.parent / "publications"

    @property
    def payload_cache(self) -> Path:
        """Last good payload of every source."""
        return self.data_dir / "payloads"

    @property
    def outcomes(self) -> Path:
        """Outcome segments that the proxy appends and the pipeline ingests."""
        return self.records("outcomes")

    def records(self, table: str) -> Path:
        """Directory of segments of one kind of record that the proxy appends (`warehouse.outcomes.RECORDS`)."""
        return self.data_dir / table

    @property
    def reports(self) -> Path:
        """Pictures and pages that assets link to."""
        return self.data_dir / "reports"


def locations(environment: dict[str, str] | None = None) -> Locations:
    """Read `DATABASE_URL` (duckdb:///path) and `ORCHESTRATOR_DATA_DIR`; relative paths start at the project.

    Raises `LocationError` when `DATABASE_URL` is not a `duckdb:///` address.
    """
    env = os.environ if environment is None else environment
    data_dir = _absolute(env.get("ORCHESTRATOR_DATA_DIR") or "warehouse/data")
    url = env.get("DATABASE_URL") or ""
    if not url:
        return Locations(published=data_dir / "orchestrator.duckdb", data_dir=data_dir)
    prefix = "duckdb:///"
    if not url.startswith(prefix) or not url[len(prefix) :]:
        raise LocationError(
            "DATABASE_URL must look like duckdb:///warehouse/data/orchestrator.duckdb (relative to the project) "
            "or duckdb:////var/lib/orchestrator.duckdb (absolute)."
        )
    published = _absolute(url[len(prefix) :])
    if not env.get("ORCHESTRATOR_DATA_DIR"):
        data_dir = published.parent
    return Locations(published=published, data_dir=data_dir)


def _absolute(path: str) -> Path:
    # absolute(), not resolve(): the published path is a symlink and must stay one.
    return (PROJECT_ROOT / Path(path).expanduser()).absolute()
