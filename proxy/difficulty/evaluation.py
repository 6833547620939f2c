"""The report of `evaluate`: every set's APGR and CPT beside random, length and a keyword baseline.

Here: which scorers are compared and how the figures are laid out. Not here: the measure itself (`measure`).
The committed artefact has seen the sets it was trained on; what carries over is in the left-out lines.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from proxy.difficulty import artefact, measure
from proxy.difficulty.outcomes import OutcomeSet, flagships, gains, pairs
from proxy.difficulty.scoring import TextScorer

Scores = list[float]
Score = Callable[[Sequence[str]], Scores]

_KEYWORDS: Final = re.compile(
    r"(?i)\b(?:prove|theorem|derive|algorithm|optimi[sz]e|architecture|analy[sz]e|explain|design|implement|debug|refactor"
    r"|complex|integral|equation|step by step|compare|evaluate|strategy)\b"
)


def by_keywords(prompts: Sequence[str]) -> Scores:
    """The baseline that shipped routers use: how many telling words, then length in four steps."""
    return [len(_KEYWORDS.findall(p)) + min(3, len(p) // 500) for p in prompts]


def by_length(prompts: Sequence[str]) -> Scores:
    """The other baseline: characters."""
    return [float(len(prompt)) for prompt in prompts]


def at_random(prompts: Sequence[str]) -> Scores:
    """No knowledge at all: the order is drawn from the seed of the ties."""
    return [0.0 for _ in prompts]


def scored_by(model: artefact.Model) -> Score:
    """A scorer of texts from a model."""
    scorer = TextScorer(model)
    return lambda prompts: [scorer.read(prompt).raw for prompt in prompts]


def sampled(outcomes: OutcomeSet, most: int | None) -> OutcomeSet:
    """At most `most` prompts of a set, drawn with a fixed seed."""
    if most is None or len(outcomes.prompts) <= most:
        return outcomes
    rows = np.sort(np.random.default_rng(0).choice(len(outcomes.prompts), most, replace=False))
    return outcomes.subset(rows.astype(np.intp))


REPEATS: Final = 5
"""Orders drawn for ties, averaged."""


Pairs = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
"""The field of pairs and the flagships'."""


def figures(outcomes: OutcomeSet, scores: Scores, among: Pairs | None = None) -> tuple[float, ...]:
    """Means over the set's field of pairs: APGR, CPT(50 %), CPT(80 %), share of strong calls for 95 % of the strong
    model's quality, and that share at random. Last the APGR over the flagships' pairs.

    `among` names the pairs, when `outcomes` is a part of a set; those that gain nothing on the part are passed over.
    """
    field, best = (pairs(outcomes), flagships(outcomes)) if among is None else among
    return (*_over(outcomes, scores, field), _over(outcomes, scores, best)[0])


def _over(outcomes: OutcomeSet, scores: Scores, chosen: npt.NDArray[np.intp]) -> tuple[float, ...]:
    gain = gains(outcomes, chosen)
    gaining = gain.sum(axis=0) > 0
    chosen, gain = chosen[gaining], gain[:, gaining]
    means = outcomes.filled().mean(axis=0)
    weak, strong = means[chosen[:, 1]], means[chosen[:, 0]]
    rows: list[npt.NDArray[np.float64]] = []
    for seed in range(REPEATS):
        ordered = gain[measure.order(scores, seed)]
        rows.append(
            np.stack(
                [
                    measure.apgr(ordered),
                    measure.cpt(ordered, 0.5),
                    measure.cpt(ordered, 0.8),
                    measure.calls_for_quality(ordered, weak, strong, 0.95),
                    np.clip((0.95 * strong - weak) / (strong - weak), 0, 1),
                ]
            ).mean(axis=1)
        )
    return tuple(np.mean(rows, axis=0).tolist())


Folds = list[list[npt.NDArray[np.bool_]]]
"""For each fold, which prompts of each set are held back."""


def whole_sets(sets: Sequence[OutcomeSet]) -> Folds:
    """Each set held back once: a benchmark of a kind not seen."""
    return [[np.full(len(outcomes.prompts), outcomes is held) for outcomes in sets] for held in sets]


def random_thirds(sets: Sequence[OutcomeSet]) -> Folds:
    """Each prompt held back once: other prompts of what is known."""
    third = [
        np.random.default_rng(index).permutation(np.arange(len(outcomes.prompts)) % 3)
        for index, outcomes in enumerate(sets)
    ]
    return [[drawn == fold for drawn in third] for fold in range(3)]


GROUP_FOLDS: Final = 5


def whole_groups(sets: Sequence[OutcomeSet]) -> Folds:
    """Each group of the sets with groups enough held back once: other domains in a known form."""
    fold_of = []
    for index, outcomes in enumerate(sets):
        names = sorted(set(outcomes.groups))
        place = dict(zip(names, np.random.default_rng(index).permutation(len(names)) % GROUP_FOLDS, strict=True))
        several = len(names) >= 2 * GROUP_FOLDS
        fold_of.append(np.array([place[group] if several else -1 for group in outcomes.groups]))
    return [[fold == held for fold in fold_of] for held in range(GROUP_FOLDS)]


PROTOCOLS: Final[dict[str, Callable[[Sequence[OutcomeSet]], Folds]]] = {
    "set left out": whole_sets,
    "third left out": random_thirds,
    "groups left out": whole_groups,
}


def held_back(sets: Sequence[OutcomeSet], folds: Folds, scorer: Score | None = None) -> dict[str, tuple[float, ...]]:
    """Mean figures of each set over the folds that hold a part of it back; without `scorer`, one is trained a fold."""
    found: dict[str, list[tuple[float, ...]]] = {}
    for fold in folds:
        score = scorer
        if score is None:
            from proxy.difficulty import training

            rest = [(outcomes, ~held) for outcomes, held in zip(sets, fold, strict=True)]
            score = scored_by(training.train([o.subset(np.flatnonzero(kept)) for o, kept in rest if kept.any()]))
        for outcomes, held in zip(sets, fold, strict=True):
            if held.any():
                part = outcomes.subset(np.flatnonzero(held))
                found.setdefault(outcomes.name, []).append(
                    figures(part, score(part.prompts), (pairs(outcomes), flagships(outcomes)))
                )
    return {name: tuple(np.mean(several, axis=0).tolist()) for name, several in found.items()}


def report(sets: Sequence[OutcomeSet], sample: int | None, *, leave_out: bool, folds: bool = False) -> str:
    """The whole table as text. With `leave_out`, a model is trained for each set without it; with `folds`, also for
    random thirds and for groups left out, and the mean of the three is printed beside that of the length.
    """
    sets = [sampled(outcomes, sample) for outcomes in sets]
    whole = whole_sets(sets)
    rows: dict[str, dict[str, tuple[float, ...]]] = {
        "random": held_back(sets, whole, at_random),
        "length": held_back(sets, whole, by_length),
        "keywords": held_back(sets, whole, by_keywords),
        "artefact (has seen it)": held_back(sets, whole, scored_by(artefact.load())),
    }
    beside: list[tuple[str, tuple[float, ...], tuple[float, ...]]] = []
    if leave_out and len(sets) > 1:
        for name, protocol in PROTOCOLS.items():
            if name == "set left out" or folds:
                chosen = protocol(sets)
                rows[name] = held_back(sets, chosen)
                beside.append((name, _mean(rows[name]), _mean(held_back(sets, chosen, by_length))))
    lines = [
        f"{'':12} {'scorer':22} {'APGR':>6} {'CPT50':>6} {'CPT80':>6} {'calls for 95 %':>15} {'at random':>10}"
        f" {'APGR of flagships':>18}"
    ]
    for outcomes in sets:
        lines += [_line(outcomes.name, name, row[outcomes.name]) for name, row in rows.items() if outcomes.name in row]
    lines.append("")
    lines += [_line("mean", name, _mean(row)) for name, row in rows.items()]
    if folds and beside:
        lines += ["", f"APGR, mean of {', '.join(name for name, *_ in beside)}:"]
        for label, column in (("the field of pairs", 0), ("flagships", -1)):
            ours, length = (np.mean([means[column] for means in side]) for side in list(zip(*beside, strict=True))[1:])
            lines.append(f"{label}: {ours:.3f} (length {length:.3f})")
    return "\n".join(lines)


def _mean(row: dict[str, tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(np.mean(list(row.values()), axis=0).tolist())


def _line(outcomes: str, name: str, found: tuple[float, ...]) -> str:
    shown = [f"{value:.3f}" if math.isfinite(value) else "-" for value in found]
    columns = " ".join(f"{value:>{width}}" for value, width in zip(shown, (6, 6, 6, 15, 10, 18), strict=True))
    return f"{outcomes:12} {name:22} {columns}"
