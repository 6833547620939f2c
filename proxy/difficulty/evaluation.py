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
from proxy.difficulty.outcomes import OutcomeSet, gains, pairs
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


def figures(outcomes: OutcomeSet, scores: Scores) -> tuple[float, float, float, float, float]:
    """Means over the set's pairs: APGR, CPT(50 %), CPT(80 %), share of strong calls for 95 % of the strong model's
    quality, and that share at random.
    """
    chosen = pairs(outcomes)
    gain = gains(outcomes, chosen)
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
    apgr, half, most, calls, random_calls = np.mean(rows, axis=0).tolist()
    return apgr, half, most, calls, random_calls


def report(sets: Sequence[OutcomeSet], sample: int | None, *, leave_out: bool) -> str:
    """The whole table as text. With `leave_out`, a model is trained for each set without it."""
    sets = [sampled(outcomes, sample) for outcomes in sets]
    lines = [f"{'':12} {'scorer':22} {'APGR':>6} {'CPT50':>6} {'CPT80':>6} {'calls for 95 %':>15} {'at random':>10}"]
    committed = scored_by(artefact.load())
    total: dict[str, list[tuple[float, ...]]] = {}
    for outcomes in sets:
        scorers: dict[str, Score] = {
            "random": at_random,
            "length": by_length,
            "keywords": by_keywords,
            "artefact (has seen it)": committed,
        }
        others = [other for other in sets if other is not outcomes]
        if leave_out and others:
            from proxy.difficulty import training

            scorers["set left out"] = scored_by(training.train(others))
        for name, scorer in scorers.items():
            found = figures(outcomes, scorer(outcomes.prompts))
            total.setdefault(name, []).append(found)
            lines.append(_line(outcomes.name, name, found))
    lines.append("")
    lines += [_line("mean", name, tuple(np.mean(found, axis=0).tolist())) for name, found in total.items()]
    return "\n".join(lines)


def _line(outcomes: str, name: str, found: tuple[float, ...]) -> str:
    shown = [f"{value:.3f}" if math.isfinite(value) else "-" for value in found]
    return f"{outcomes:12} {name:22} {shown[0]:>6} {shown[1]:>6} {shown[2]:>6} {shown[3]:>15} {shown[4]:>10}"
