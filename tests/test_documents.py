"""Documents are held to the code: files they name exist, variables they list are the ones that are read."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from proxy import settings as proxy_settings

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]

_VARIABLE = re.compile(
    r"\b(ORCHESTRATOR_[A-Z0-9_]+|OPENROUTER_[A-Z_]+|HF_TOKEN|DATABASE_URL|ARTIFICIAL_ANALYSIS_API_KEY|DAGSTER_HOME)\b"
)


def variables_read() -> set[str]:
    """Every field of the proxy's settings, and every variable that a string literal or the upstreams file names."""
    found = {proxy_settings.PREFIX + one.name.upper() for one in dataclasses.fields(proxy_settings.Settings)}
    for place in ("pipeline", "proxy", "warehouse"):
        for path in (ROOT / place).rglob("*.py"):
            found.update(re.findall(rf"[\"']{_VARIABLE.pattern}[\"']", path.read_text(encoding="utf-8")))
    found.update(_VARIABLE.findall((ROOT / "warehouse" / "upstreams.toml").read_text(encoding="utf-8")))
    return found


def variables_offered() -> set[str]:
    """Every variable of `.env.example`, commented out or not."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    return set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", text, flags=re.MULTILINE))


def test_the_example_environment_lists_exactly_what_is_read() -> None:
    """A variable nobody reads misleads; one that is missing cannot be found."""
    assert variables_read() == variables_offered()


def test_the_settings_page_explains_every_variable() -> None:
    """The page of settings is whole, and its defaults are those of the code."""
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| (?:`([^`]*)`)? ?\|", text, flags=re.MULTILINE))
    defaults = {
        proxy_settings.PREFIX + one.name.upper(): one.default for one in dataclasses.fields(proxy_settings.Settings)
    }

    assert set(rows) == variables_read()
    assert {name: rows[name] for name in defaults} == {name: shown(value) for name, value in defaults.items()}


def shown(value: object) -> str:
    """A default as the page writes it."""
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(document: Path) -> None:
    """Every relative link names a file that exists, and every anchor of the same file a heading."""
    text = document.read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r' src(?:set)?="([^"]+)"', text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        if (path and not (document.parent / path).exists()) or (not path and anchor not in headings):
            broken.append(target)

    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_files_exist(document: Path) -> None:
    """A path in backticks below one of our folders is a path that exists, globs and placeholders aside."""
    text = document.read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:pipeline|proxy|warehouse|tests|docs|\.ci)/[\w./\-]+)`", text))
    made_at_run_time = ("warehouse/data",)

    assert set() == {name for name in named if not (ROOT / name).exists() and not name.startswith(made_at_run_time)}


def test_every_picture_is_shown_and_light() -> None:
    """No picture lies about that nobody sees, and none keeps a reader waiting."""
    pictures = sorted((ROOT / "docs" / "screenshots").iterdir())
    text = "".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)

    assert [one.name for one in pictures if f"screenshots/{one.name}" not in text] == []
    assert [one.name for one in pictures if one.stat().st_size > 250_000] == []


def orchestrator_commands() -> list[str]:
    """Every `orchestrator …` line of the README's shell blocks."""
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return sorted({line.removeprefix("uv run ") for line in lines if line.startswith("uv run orchestrator")})


@pytest.mark.parametrize("line", orchestrator_commands())
def test_commands_of_the_readme_are_understood(line: str) -> None:
    """Each command's words are known: its own parser explains itself instead of refusing."""
    words = shlex.split(line)[1:]
    commands = [word for word in words if re.fullmatch(r"[a-z]+", word)][:2]
    for depth in (2, 1):
        answer = subprocess.run(
            [sys.executable, "-m", "warehouse.cli", *commands[:depth], "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "COLUMNS": "200"},
        )
        if answer.returncode == 0:
            break

    assert answer.returncode == 0, answer.stderr
    options = [word for word in words if word.startswith("--")]
    assert [option for option in options if option not in answer.stdout] == []
