"""Fixtures that every part of the suite may use: where the full recordings lie, and a mark for tests that need them."""

from __future__ import annotations

import shutil
from pathlib import Path

import hypothesis
import pytest

from tests.deployment import refreshed

RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Full recorded payloads of the sources. They lie beside the repository on development machines only."""

needs_recordings = pytest.mark.skipif(
    not (RECORDINGS / "PROVENANCE.md").exists(), reason=f"the full recordings are not at {RECORDINGS}"
)


# How long an example takes is the machine's affair; `timeout` in pyproject.toml ends what hangs.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


@pytest.fixture
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the proxy does."""
    return "asyncio"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment that was refreshed once from the bundled snapshot. Tests may refresh and call it further."""
    place = tmp_path_factory.mktemp("deployment")
    first = place / "first.duckdb"
    shutil.copyfile(refreshed(place).resolve(), first)
    return place


@pytest.fixture(scope="session")
def bundled_publication(home: Path) -> Path:
    """What the bundled snapshot alone gives, whatever has happened to that deployment since."""
    return home / "first.duckdb"
