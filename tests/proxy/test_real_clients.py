"""The clients that people have, unchanged, against a running proxy; the others are tried by `tests/bench`."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from tests.bench.real_clients import CLIENTS, tried

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


@pytest.mark.parametrize("name", ["openai", "anthropic", "curl"])
async def test_a_client_gets_what_it_expects(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Plain and streamed, tools, structured output, its own helpers; over HTTP/1.0 too where it can."""
    if CLIENTS[name].runs_in == "python":
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    elif shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")

    passed = await tried(name, CLIENTS[name], tmp_path, uses_own=True)

    assert passed, capsys.readouterr().out
