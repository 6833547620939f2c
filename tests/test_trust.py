"""Pins and bill of materials: everything is pinned by hash and names no registry, and meddling is noticed."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from tests.deployment import ROOT
from warehouse import bill_of_materials as bill

PINS = [ROOT / ".ci" / "requirements.txt", ROOT / "docs" / "deploy" / "requirements.txt"]


def pinned(file: Path) -> dict[str, str]:
    """Versions by name."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", file.read_text(), flags=re.MULTILINE)
    return {bill.normalised(name): version for name, version in lines}


@pytest.mark.parametrize("file", PINS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_package_has_its_hashes_and_no_address(file: Path) -> None:
    """So that an install takes these bytes, from wherever it is told to fetch."""
    text = file.read_text()
    entries = re.split(r"\n(?=[A-Za-z0-9])", text)[1:]

    assert len(entries) > 50
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text
    assert re.findall(r"^-(?!-hash)", text, flags=re.MULTILINE) == []


def test_pins_are_those_of_the_project() -> None:
    """A version raised in pyproject.toml and not exported would leave the pins behind."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    direct = [
        *project["project"]["dependencies"],
        *(one for extra in project["project"]["optional-dependencies"].values() for one in extra),
        # Not what names an extra of our own.
        *(one for one in project["dependency-groups"]["dev"] if "==" in one),
    ]
    asked = dict(re.fullmatch(r"([\w.-]+)(?:\[[^\]]*\])?==(.+)", one).groups() for one in direct)  # type: ignore[union-attr]
    constraints = dict(one.split("==") for one in project["tool"]["uv"]["constraint-dependencies"])
    everything, run = (pinned(file) for file in PINS)

    assert {name: everything.get(name, version) for name, version in constraints.items()} == constraints
    assert {name: everything[bill.normalised(name)] for name in asked} == asked
    assert run.items() <= everything.items()
    assert not {"pytest", "mypy", "playwright"} & set(run)
    assert {"dagster", "splink", "litestar"} <= set(run)


def distribution(place: Path, told: str, files: dict[str, bytes]) -> metadata.Distribution:
    """An installed package with that metadata and those files."""
    folder = place / "thing-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: Thing_One\nVersion: 1.0\n{told}")
    lines = []
    for name, content in files.items():
        (place / name).write_bytes(content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}\n")
    (folder / "RECORD").write_text("".join([*lines, "thing-1.0.dist-info/RECORD,,\n"]))
    return metadata.Distribution.at(folder)


@pytest.mark.parametrize(
    ("told", "licence"),
    [
        ("License-Expression: MIT OR Apache-2.0\n", "MIT OR Apache-2.0"),
        ("Classifier: License :: OSI Approved :: MIT License\nLicense: whatever\n", "MIT License"),
        ("Classifier: License :: OSI Approved\nLicense: BSD\n", "BSD"),
        ("License: \n", ""),
    ],
)
def test_a_licence_is_read_where_it_is_stated(tmp_path: Path, told: str, licence: str) -> None:
    """Expression first, then classifier, then words; nothing is guessed."""
    (package,) = bill.installed([distribution(tmp_path, told, {})])

    assert (package.name, package.version, package.licence) == ("thing-one", "1.0", licence)
    assert package.is_spdx == told.startswith("License-Expression")


def test_the_bill_is_cyclonedx(tmp_path: Path) -> None:
    """Components with a package address, an expression where it is one, and nothing that changes from run to run."""
    told = "License-Expression: MIT\nProject-URL: Homepage, https://example.org\n"
    (component,) = bill.cyclonedx(bill.installed([distribution(tmp_path, told, {})]))["components"]

    assert component == {
        "type": "library",
        "bom-ref": "pkg:pypi/thing-one@1.0",
        "name": "thing-one",
        "version": "1.0",
        "purl": "pkg:pypi/thing-one@1.0",
        "licenses": [{"expression": "MIT"}],
        "externalReferences": [{"type": "website", "url": "https://example.org"}],
    }


def test_the_bill_of_this_environment_is_whole(tmp_path: Path) -> None:
    """Each package once, each with its licence, ours left out."""
    assert bill.main(["--output", str(tmp_path / "bill.json")]) == 0
    components = json.loads((tmp_path / "bill.json").read_text())["components"]
    names = [component["name"] for component in components]

    assert names == sorted(set(names))
    assert {"duckdb", "litestar", "pytest"} <= set(names)
    assert bill.OURS not in names
    assert [component["name"] for component in components if "licenses" not in component] == []


def test_other_versions_than_the_pinned_are_named(tmp_path: Path) -> None:
    """Drift, and what nobody pinned."""
    packages = bill.installed([distribution(tmp_path, "", {})])

    assert bill.unlike_pinned(packages, "thing.one[extra]==1.0 ; sys_platform == 'linux' \\\n    --hash=x\n") == []
    assert bill.unlike_pinned(packages, "thing-one==1.1 \\\n") == ["thing-one 1.0 is installed, 1.1 is pinned"]
    assert bill.unlike_pinned(packages, "") == ["thing-one 1.0 is installed and not pinned"]


def test_a_changed_or_missing_file_is_named(tmp_path: Path) -> None:
    """One byte is enough."""
    whole = distribution(tmp_path, "", {"kept.py": b"a = 1\n", "changed.py": b"a = 1\n", "gone.py": b""})
    assert bill.changed_files(whole) == []

    (tmp_path / "changed.py").write_bytes(b"a = 2\n")
    (tmp_path / "gone.py").unlink()

    assert bill.changed_files(whole) == ["changed.py of Thing_One was changed", "gone.py of Thing_One is missing"]


@pytest.mark.skipif(sys.platform != "linux", reason="what is installed differs by platform")
def test_licences_are_printed_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """One line a package."""
    assert bill.main(["--licences"]) == 0

    assert re.search(r"^duckdb \S+ +MIT", capsys.readouterr().out, flags=re.MULTILINE)
