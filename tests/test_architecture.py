"""Who may import whom, as data, and a check that the code keeps to it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Where: what a module there may never import, at any depth of its import statements.
FORBIDDEN: dict[str, set[str]] = {
    "proxy": {"pipeline", "dagster", "polars", "splink", "duckdb", "pyarrow", "sklearn", "lightgbm"},
    "pipeline": {"proxy", "litestar", "uvicorn", "aiohttp"},
    "warehouse": {"proxy", "pipeline", "dagster", "polars", "splink", "litestar", "httpx", "aiohttp"},
}

# Modules that only decide: nothing in them may wait, read a clock or talk.
WAITING = {"asyncio", "httpx", "aiohttp", "time", "socket", "threading", "dagster", "requests", "random"}
PURE = [
    "proxy/routing.py",
    "proxy/breaker.py",
    "proxy/errors.py",
    "proxy/causes.py",
    "proxy/dialects.py",
    "proxy/preferences.py",
    "proxy/affinity.py",
    "proxy/rates.py",
    "proxy/time_limits.py",
    "proxy/hedging.py",
    "proxy/continuation.py",
    "proxy/asked_names.py",
    "proxy/answer_cache.py",
    "pipeline/entities/names.py",
    "pipeline/entities/comparisons.py",
    "pipeline/rankings/scoring.py",
    "pipeline/rankings/profile.py",
]

# A library that only these files may import.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "httpx": ("pipeline/sources/fetch.py", "proxy/client.py"),
    "splink": ("pipeline/entities/",),
    "numpy": ("proxy/difficulty/", "pipeline/rankings/", "pipeline/entities/"),
    "aiohttp": ("proxy/client.py", "proxy/guard.py"),
    "opentelemetry": ("proxy/tracing.py",),
    "dotenv": ("warehouse/environment.py",),
}


def sources(*places: str) -> list[Path]:
    return [path for place in places for path in sorted((ROOT / place).rglob("*.py"))]


def imports(path: Path) -> set[str]:
    """Dotted names of everything a module imports, nested imports included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively; the whole name says more"
            found.add(node.module or "")
    return found


def packages(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("half", sorted(FORBIDDEN))
def test_a_half_never_imports_what_belongs_to_the_other(half: str) -> None:
    """Training and evaluation of the difficulty scorer run by hand and may use their own libraries."""
    by_hand = ROOT / "proxy" / "difficulty"
    allowed = {"sklearn", "lightgbm"}
    offences = {
        str(path.relative_to(ROOT)): clash
        for path in sources(half)
        if (clash := packages(path) & (FORBIDDEN[half] - (allowed if by_hand in path.parents else set())))
    }

    assert offences == {}


@pytest.mark.parametrize("module", PURE)
def test_a_deciding_module_does_not_wait(module: str) -> None:
    """Decisions take time, chance and answers as arguments."""
    path = ROOT / module

    assert path.exists()
    assert set() == packages(path) & WAITING


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_library_stays_in_its_room(library: str) -> None:
    """A library at an edge is imported at that edge only."""
    offences = [
        str(path.relative_to(ROOT))
        for path in sources("pipeline", "proxy", "warehouse")
        if library in packages(path) and not str(path.relative_to(ROOT)).startswith(ONLY_IN[library])
    ]

    assert offences == []


def test_databases_are_opened_in_one_place() -> None:
    """Only `warehouse/connect.py` calls `duckdb.connect`."""
    opening = [
        str(path.relative_to(ROOT))
        for path in sources("pipeline", "proxy", "warehouse")
        if any(
            isinstance(node, ast.Attribute)
            and node.attr == "connect"
            and isinstance(node.value, ast.Name)
            and node.value.id == "duckdb"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        )
    ]

    assert opening == ["warehouse/connect.py"]


def test_the_proxy_loads_nothing_of_the_pipeline() -> None:
    """The import closure of `python -m proxy` holds neither Dagster nor Splink nor Polars, nor a database."""
    program = (
        "import sys, proxy.__main__, proxy.app; print('\\n'.join(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()

    assert set() == set(loaded) & {"dagster", "splink", "polars", "pyarrow", "pipeline", "duckdb"}


def test_every_module_says_what_it_is_for() -> None:
    """A module opens with a docstring; the next reader should know its room."""
    silent = [
        str(path.relative_to(ROOT))
        for path in sources("pipeline", "proxy", "warehouse")
        if (text := path.read_text(encoding="utf-8")).strip() and not ast.get_docstring(ast.parse(text))
    ]

    assert silent == []


def test_no_room_is_named_for_leftovers() -> None:
    """Names such as utils tell a reader nothing."""
    vague = {"utils", "helpers", "common", "manager", "misc"}

    assert [str(path) for path in sources("pipeline", "proxy", "warehouse") if path.stem in vague] == []
