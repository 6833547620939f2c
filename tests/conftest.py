"""Fixtures that every part of the suite may use: where the full recordings lie, and a mark for tests that need them."""

from __future__ import annotations

from pathlib import Path

import pytest

RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Full recorded payloads of the sources. They lie beside the repository on development machines only."""

needs_recordings = pytest.mark.skipif(
    not (RECORDINGS / "PROVENANCE.md").exists(), reason=f"the full recordings are not at {RECORDINGS}"
)


@pytest.fixture
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the proxy does."""
    return "asyncio"
