"""Puts a picture on an asset: a small one into the event, the large one into a file whose path it names.

What is drawn is in `plots.py`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from pipeline import plots

Draw = Callable[[tuple[int, int]], str]


def shown(name: str, draw: Draw, reports: Path) -> dict[str, dg.MetadataValue[Any]]:
    """Metadata `name` (Markdown) and `name_large` (path), the file written below `reports`."""
    reports.mkdir(parents=True, exist_ok=True)
    file = reports / f"{name}.svg"
    file.write_text(draw(plots.FULL), encoding="utf-8")
    return {
        name: dg.MetadataValue.md(plots.inline(draw(plots.PREVIEW), name.replace("_", " "))),
        # A path to copy: no browser follows a link from a server to a file.
        f"{name}_large": dg.MetadataValue.path(file),
    }
