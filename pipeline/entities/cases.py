"""Hand-checked pairs of records, and what a linkage makes of them: precision and recall per source pair, baselines.

The pairs are in `tests/linkage_cases.toml`. Training uses the tuning part, checks the other. Pure but for reading it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from warehouse.locations import PROJECT_ROOT

CASES_FILE = PROJECT_ROOT / "tests" / "linkage_cases.toml"

RecordRef = tuple[str, str]


@dataclass(frozen=True)
class Case:
    """A hand-checked pair."""

    number: int
    left: RecordRef
    right: RecordRef
    same: bool
    why: str
    split: str
    """'tuning' or 'check'."""

    @property
    def source_pair(self) -> str:
        """'lmsys_arena + openrouter'."""
        return " + ".join(sorted((self.left[0], self.right[0])))


@dataclass(frozen=True)
class Score:
    """Counts of one source pair, and what follows from them."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def precision(self) -> float:
        """Share of the links made that are right; 1 where none was made."""
        made = self.true_positives + self.false_positives
        return self.true_positives / made if made else 1.0

    @property
    def recall(self) -> float:
        """Share of the links that should be made; 1 where none should."""
        wanted = self.true_positives + self.false_negatives
        return self.true_positives / wanted if wanted else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


@dataclass(frozen=True)
class Evaluation:
    """Scores by source pair ('all' sums them), the errors, and how many pairs could not be judged."""

    scores: dict[str, Score]
    errors: tuple[Case, ...]
    skipped: int
    """Pairs that name a record which is not there."""


def load(path: Path = CASES_FILE) -> list[Case]:
    """All cases, in order."""
    held = tomllib.loads(path.read_text(encoding="utf-8"))
    return [
        Case(row["number"], _ref(row["left"]), _ref(row["right"]), row["same"], row["why"], row["split"])
        for row in held["case"]
    ]


def _ref(text: str) -> RecordRef:
    source, _, record_id = text.partition(":")
    return source, record_id


def evaluate(cases: Iterable[Case], model_of: Mapping[RecordRef, str]) -> Evaluation:
    """Judge a linkage, given as record → model (or cluster) id."""
    return judge(
        cases,
        lambda left, right: model_of[left] == model_of[right] if left in model_of and right in model_of else None,
    )


def judge(cases: Iterable[Case], says_same: Callable[[RecordRef, RecordRef], bool | None]) -> Evaluation:
    """Judge any way to decide about a pair; None from it means that the pair cannot be judged."""
    counts: dict[str, list[int]] = {}
    errors = []
    skipped = 0
    for case in cases:
        verdict = says_same(case.left, case.right)
        if verdict is None:
            skipped += 1
            continue
        cell = (0 if verdict else 2) if case.same else (1 if verdict else 3)
        for pair in (case.source_pair, "all"):
            counts.setdefault(pair, [0, 0, 0, 0])[cell] += 1
        if verdict != case.same:
            errors.append(case)
    return Evaluation({pair: Score(*cells) for pair, cells in sorted(counts.items())}, tuple(errors), skipped)


# -- baselines --------------------------------------------------------------------------------------------------------


def normalised(record: RecordRef) -> str:
    """Name without author, case, variant and signs: what most tables are joined on."""
    name = record[1].partition(":")[2] if record[0] == "upstream" else record[1]
    if record[0] == "openrouter":
        name = name.partition(":")[0]
    return re.sub(r"[^a-z0-9]+", "", name.rpartition("/")[2].lower())


def equal_names(left: RecordRef, right: RecordRef) -> bool:
    """Baseline: equal after normalising."""
    return normalised(left) == normalised(right)


def token_sort_ratio(left: str, right: str) -> float:
    """0 to 100: 2 · longest common subsequence over the summed length of both, words sorted first.

    The ratio of rapidfuzz's `token_sort_ratio` (indel similarity), written out.
    """
    a, b = (" ".join(sorted(re.split(r"[^a-z0-9.]+", text.lower()))).strip() for text in (left, right))
    if not a and not b:
        return 100.0
    row = [0] * (len(b) + 1)
    for x in a:
        before = 0
        for j, y in enumerate(b, start=1):
            before, row[j] = row[j], before + 1 if x == y else max(row[j], row[j - 1])
    return 200.0 * row[-1] / (len(a) + len(b))


def similar_names(left: RecordRef, right: RecordRef) -> bool:
    """Baseline: token-sort ratio of at least 85 on the names without author."""
    a, b = (
        (record[1].partition(":")[2] if record[0] == "upstream" else record[1]).rpartition("/")[2]
        for record in (left, right)
    )
    return token_sort_ratio(a, b) >= 85.0


BASELINES: dict[str, Callable[[RecordRef, RecordRef], bool]] = {
    "normalised equality": equal_names,
    "token-sort ratio >= 85": similar_names,
}


def local_records(cases: Iterable[Case]) -> list[dict[str, str]]:
    """Rows for the local names that cases use, so that they can be linked without a server."""
    ids = sorted({ref[1] for case in cases for ref in (case.left, case.right) if ref[0] == "upstream"})
    return [{"source": "upstream", "record_id": record_id, "name": record_id.partition(":")[2]} for record_id in ids]


__all__ = [
    "BASELINES",
    "Case",
    "Evaluation",
    "Score",
    "evaluate",
    "judge",
    "load",
    "local_records",
]
