"""`python -m warehouse.bill_of_materials`: what is installed, under which licences, and whether its files are intact.

Reads what the installer left beside every package; asks nobody. What should be installed is in `.ci/requirements.txt`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from warehouse.locations import PROJECT_ROOT

OURS = "local-ai-orchestrator"
"""Installed from the working copy, and so no part of the bill."""

PINNED = PROJECT_ROOT / ".ci" / "requirements.txt"
"""Every package with its version and the hashes of its files, for every platform."""

_PINNED_LINE = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)


class Package(NamedTuple):
    """An installed package."""

    name: str
    """Normalised name."""
    version: str
    licence: str
    """SPDX expression where the package states one, else its own words; empty where it says nothing."""
    is_spdx: bool
    """Whether the licence is an SPDX expression."""
    homepage: str


def normalised(name: str) -> str:
    """A package's name as registries compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(distributions: Iterable[metadata.Distribution] | None = None) -> list[Package]:
    """Every package of this environment, by name."""
    found = metadata.distributions() if distributions is None else distributions
    packages = {normalised(one.metadata["Name"]): _package(one) for one in found}
    return [packages[name] for name in sorted(packages) if name != OURS]


def _package(distribution: metadata.Distribution) -> Package:
    told = distribution.metadata
    expression = _field(told, "License-Expression")
    links = [line.partition(",") for line in told.get_all("Project-URL") or []]
    named = {label.strip().lower(): url.strip() for label, _, url in links}
    homepage = _field(told, "Home-page") or next(
        (named[label] for label in ("homepage", "home", "repository", "source", "source code") if label in named), ""
    )
    return Package(
        normalised(told["Name"]),
        distribution.version,
        expression or _licence_in_words(told),
        bool(expression),
        homepage,
    )


def _field(told: metadata.PackageMetadata, name: str) -> str:
    return next(iter(told.get_all(name) or []), "").strip()


def _licence_in_words(told: metadata.PackageMetadata) -> str:
    classifiers = [line for line in told.get_all("Classifier") or [] if line.startswith("License ::")]
    named = [line.rsplit("::", 1)[1].strip() for line in classifiers]
    if named := [name for name in named if name != "OSI Approved"]:
        return ", ".join(named)
    stated = _field(told, "License")
    # Some put the whole text there: its first line is its title.
    return stated.splitlines()[0].strip()[:100] if stated else ""


def cyclonedx(packages: Sequence[Package]) -> dict[str, Any]:
    """The bill in CycloneDX 1.6. Without a time or serial number: the same packages give the same bytes."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": OURS, "bom-ref": OURS}},
        "components": [
            {
                "type": "library",
                "bom-ref": f"pkg:pypi/{package.name}@{package.version}",
                "name": package.name,
                "version": package.version,
                "purl": f"pkg:pypi/{package.name}@{package.version}",
                **({"licenses": [_licence(package)]} if package.licence else {}),
                **({"externalReferences": [{"type": "website", "url": package.homepage}]} if package.homepage else {}),
            }
            for package in packages
        ],
    }


def _licence(package: Package) -> dict[str, Any]:
    return {"expression": package.licence} if package.is_spdx else {"license": {"name": package.licence}}


def table(packages: Sequence[Package]) -> str:
    """Names, versions and licences for people."""
    width = max((len(f"{package.name} {package.version}") for package in packages), default=0)
    return "\n".join(
        f"{f'{package.name} {package.version}':<{width}}  {package.licence or 'not stated'}" for package in packages
    )


def unlike_pinned(packages: Sequence[Package], requirements: str) -> list[str]:
    """Packages whose version is not the pinned one, or that nobody pinned. The words say which."""
    pinned = {normalised(one["name"]): one["version"] for one in _PINNED_LINE.finditer(requirements)}
    faults = []
    for package in packages:
        if package.name not in pinned:
            faults.append(f"{package.name} {package.version} is installed and not pinned")
        elif pinned[package.name] != package.version:
            faults.append(f"{package.name} {package.version} is installed, {pinned[package.name]} is pinned")
    return faults


def changed_files(distribution: metadata.Distribution) -> list[str]:
    """Files of a package that are not what its wheel held, by the hashes the installer noted."""
    faults = []
    for file in distribution.files or []:
        if file.hash is None or file.hash.mode != "sha256":
            continue
        path = Path(str(file.locate()))
        if not path.exists():
            faults.append(f"{file} of {distribution.metadata['Name']} is missing")
            continue
        digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
        if digest != file.hash.value:
            faults.append(f"{file} of {distribution.metadata['Name']} was changed")
    return faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the bill, the licences, or what is not as it should be (then 1)."""
    parser = argparse.ArgumentParser(prog="python -m warehouse.bill_of_materials", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--licences", action="store_true", help="a table for people instead of CycloneDX")
    what.add_argument(
        "--verify", action="store_true", help="compare versions with the pins and files with their hashes"
    )
    parser.add_argument("--output", type=Path, help="write to this file instead of the terminal")
    chosen = parser.parse_args(arguments)
    packages = installed()
    faults: list[str] = []
    if chosen.verify:
        faults = unlike_pinned(packages, PINNED.read_text(encoding="utf-8"))
        faults += [fault for one in metadata.distributions() for fault in changed_files(one)]
        text = "\n".join(faults) or f"{len(packages)} packages: versions as pinned, files as their wheels held them."
    elif chosen.licences:
        text = table(packages)
    else:
        text = json.dumps(cyclonedx(packages), indent=1)
    if chosen.output is not None:
        chosen.output.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
