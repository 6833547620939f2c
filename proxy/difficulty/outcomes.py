"""Reading a folder of routing outcomes: per-prompt grades of many models, as routing benchmarks publish them.

Layout: `DIR/<set>/data.jsonl.gz`, one object a line with `id`, `group`, `prompt` and `scores` = {model: grade}.
Here too: which (strong, weak) pairs of a set are looked at. Not here: the measure (`measure`) or training.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class OutcomesError(ValueError):
    """The folder holds no readable outcomes; the message names file and line."""


class _Row(msgspec.Struct):
    id: str
    prompt: str
    scores: Annotated[dict[str, float], msgspec.Meta(min_length=1)]
    group: str = ""


@dataclass(frozen=True, slots=True)
class OutcomeSet:
    """One folder: `quality[i, m]` is the grade of `models[m]` on `prompts[i]`, scaled to 0..1, NaN if unknown."""

    name: str
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    prompts: tuple[str, ...]
    models: tuple[str, ...]
    quality: Floats

    def filled(self) -> Floats:
        """`quality` with each unknown grade at its model's mean."""
        means = np.nanmean(self.quality, axis=0)
        return np.where(np.isnan(self.quality), means, self.quality)

    def subset(self, rows: npt.NDArray[np.intp]) -> OutcomeSet:
        """The same with only the prompts of `rows`, in that order."""
        chosen = rows.tolist()
        return OutcomeSet(
            self.name,
            tuple(self.ids[row] for row in chosen),
            tuple(self.groups[row] for row in chosen),
            tuple(self.prompts[row] for row in chosen),
            self.models,
            self.quality[rows],
        )


def read_folder(directory: Path) -> list[OutcomeSet]:
    """Every set under `directory`, by name. Raises `OutcomesError` when there is none or one is malformed."""
    files = sorted(directory.glob("*/data.jsonl.gz"))
    if not files:
        raise OutcomesError(f"{directory}: no <set>/data.jsonl.gz in it")
    return [_read(path) for path in files]


def _read(path: Path) -> OutcomeSet:
    decoder = msgspec.json.Decoder(_Row)
    rows: list[_Row] = []
    try:
        with gzip.open(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    rows.append(decoder.decode(line))
                except msgspec.MsgspecError as error:
                    raise OutcomesError(f"{path}: line {number}: {error}") from error
    except (OSError, EOFError) as error:
        raise OutcomesError(f"{path}: {error}") from error
    if not rows:
        raise OutcomesError(f"{path}: empty")
    models = tuple(sorted({model for row in rows for model in row.scores}))
    column = {model: index for index, model in enumerate(models)}
    quality = np.full((len(rows), len(models)), np.nan)
    for index, row in enumerate(rows):
        for model, grade in row.scores.items():
            quality[index, column[model]] = grade
    if np.nanmax(quality) > 1:  # graded 1 to 10
        quality = (quality - 1) / 9
    return OutcomeSet(
        path.parent.name,
        tuple(row.id for row in rows),
        tuple(row.group for row in rows),
        tuple(row.prompt for row in rows),
        models,
        quality,
    )


def pairs(outcomes: OutcomeSet) -> npt.NDArray[np.intp]:
    """(P, 2) columns of strong and weak model: the broad field of pairs someone would route between.

    The strong one is among the best fifth of the set, the weak one a mid-field model (below the best 30 %, above
    the last 15 %), and they lie 0.12 to 0.55 apart. A set of two models has its one pair.
    """
    means = np.nanmean(outcomes.quality, axis=0)
    count = len(means)
    rank = np.argsort(np.argsort(-means, kind="stable"), kind="stable")
    if count == 2:
        return np.array([[int(np.argmin(rank)), int(np.argmax(rank))]], np.intp)
    found = [
        (strong, weak)
        for strong in range(count)
        for weak in range(count)
        if rank[strong] < max(2, 0.2 * count)
        and 0.3 * count <= rank[weak] <= 0.85 * count
        and 0.12 <= means[strong] - means[weak] <= 0.55
    ]
    return np.array(found, np.intp).reshape(-1, 2)


def flagships(outcomes: OutcomeSet) -> npt.NDArray[np.intp]:
    """(P, 2) columns of strong and weak model: the best there is, against what one would try first to save money.

    The strong one is among the best two of the set; the weak one's mean grade is half to nine tenths of the strong
    one's: a model that answers fewer serves nobody, and one that answers more leaves nothing to route for.
    """
    means = np.nanmean(outcomes.quality, axis=0)
    best = np.argsort(-means, kind="stable")
    if len(best) == 2:
        return best[None, :].astype(np.intp)
    found = [
        (strong, weak)
        for strong in best[:2]
        for weak in best
        if weak != strong and 0.5 * means[strong] <= means[weak] <= 0.9 * means[strong]
    ]
    return np.array(found, np.intp).reshape(-1, 2)


def gains(outcomes: OutcomeSet, chosen: npt.NDArray[np.intp]) -> Floats:
    """(prompts, P): grade of the strong minus grade of the weak model of each pair."""
    quality = outcomes.filled()
    difference: Floats = quality[:, chosen[:, 0]] - quality[:, chosen[:, 1]]
    return difference
