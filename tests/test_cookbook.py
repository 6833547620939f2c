"""The cookbook is held to the bundled snapshot: every query runs, finds something, and its shown answer still holds.

`python -m tests.test_cookbook --write [PUBLICATION]` remakes the answers, from a refresh of its own where no
publication is named.
"""

from __future__ import annotations

import datetime as dt
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.deployment import ROOT, refreshed
from warehouse.connect import open_reader
from warehouse.published import SCHEMA

PAGE = ROOT / "docs" / "cookbook.md"
RECORDED_OUTCOMES = ROOT / "tests" / "recordings" / "outcomes"

MAY_BE_EMPTY = "<!-- may be empty -->"

# Listings end and figures are re-estimated; beyond that the page has to be remade.
TOLERANCE = 0.02
ROWS_THAT_HOLD = 0.7

_RECIPE = re.compile(
    r"^### (?P<question>.+?)\n(?P<text>(?:(?!^#|^```).*\n)*?)"
    r"```sql\n(?P<query>(?:(?!```).*\n)+)```\n(?:\n(?P<answer>(?:\|.*\n)+))?",
    re.MULTILINE,
)

pytestmark = [pytest.mark.integration]


class Recipe(NamedTuple):
    """A question of the page."""

    question: str
    may_be_empty: bool
    query: str
    answer: list[list[str]]


def recipes(page: str) -> list[Recipe]:
    """Every question with its query and the answer shown, as cells below a header."""
    return [
        Recipe(one["question"], MAY_BE_EMPTY in one["text"], one["query"], cells(one["answer"] or ""))
        for one in _RECIPE.finditer(page)
    ]


def cells(table: str) -> list[list[str]]:
    """A Markdown table's header and rows."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]
    return [row for row in rows if not set("".join(row)) <= set("-:| ")]


def answered(publication: Path, query: str) -> list[list[str]]:
    """Header and rows of a query, as the page writes them."""
    with open_reader(publication) as connection:
        connection.execute(f"SET search_path = '{SCHEMA}'")
        cursor = connection.execute(query.replace("warehouse/data/outcomes", str(RECORDED_OUTCOMES)))
        names = [column[0] for column in cursor.description or ()]
        return [names, *([shown(value) for value in row] for row in cursor.fetchall())]


def shown(value: Any) -> str:
    """A cell of the page."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.10f}".rstrip("0").rstrip(".")
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace("|", "\\|").replace("~", "\\~")


def is_close(left: str, right: str) -> bool:
    """Whether two cells say the same; numbers may differ a little."""
    if left == right:
        return True
    try:
        before, now = float(left), float(right)
    except ValueError:
        return False
    return abs(before - now) <= max(TOLERANCE * max(abs(before), abs(now)), 0.011)


def holds(expected: Sequence[str], actual: Sequence[str], header: Sequence[str]) -> bool:
    """Whether two rows say the same. Ages grow, and are left out."""
    cells = zip(header, expected, actual, strict=True)
    return all(is_close(one, other) for name, one, other in cells if not name.startswith("age_"))


@pytest.mark.parametrize("recipe", recipes(PAGE.read_text(encoding="utf-8")), ids=lambda recipe: recipe.question)
def test_the_answer_still_holds(recipe: Recipe, bundled_publication: Path) -> None:
    """A query that finds nothing or something else misleads whoever reads the page."""
    header, *rows = answered(bundled_publication, recipe.query)
    expected = recipe.answer[1:]
    kept = [row for row in expected if any(holds(row, now, header) for now in rows)]
    lost = [row for row in expected if row not in kept]

    assert rows or recipe.may_be_empty
    assert recipe.answer[:1] == [header]
    assert len(kept) >= ROWS_THAT_HOLD * max(len(expected), len(rows)), (
        f"no longer so: {lost}; now: {rows}. After a look: python -m tests.test_cookbook --write"
    )


def test_it_answers_twenty_questions_and_more() -> None:
    """No question is lost for a fence that is misplaced."""
    page = PAGE.read_text(encoding="utf-8")

    assert len(recipes(page)) == len(re.findall(r"^### ", page, flags=re.MULTILINE)) >= 20


def written(page: str, publication: Path) -> str:
    """The page with fresh answers."""

    def again(one: re.Match[str]) -> str:
        rows = answered(publication, one["query"])
        head, rule = f"| {' | '.join(rows[0])} |\n", f"|{'---|' * len(rows[0])}\n"
        body = "".join(f"| {' | '.join(row)} |\n" for row in rows[1:])
        return f"### {one['question']}\n{one['text']}```sql\n{one['query']}```\n\n{head}{rule}{body}"

    return _RECIPE.sub(again, page)


def main(arguments: Sequence[str]) -> int:
    """Remake the page's answers."""
    if not arguments or arguments[0] != "--write":
        print(__doc__, file=sys.stderr)
        return 2
    began = dt.datetime.now(dt.UTC)
    with tempfile.TemporaryDirectory() as place:
        publication = Path(arguments[1]) if len(arguments) > 1 else refreshed(Path(place))
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), publication), encoding="utf-8")
    print(f"Remade {PAGE.relative_to(ROOT)} in {(dt.datetime.now(dt.UTC) - began).total_seconds():.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
