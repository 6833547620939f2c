"""How well a score tells which prompts need the strong model: PGR, APGR and CPT.

The definitions are RouteLLM's (arXiv 2406.18665, section 3): the prompts with the highest score go to the strong
model; PGR(f) is the share of the quality gap won back at share f of strong calls, APGR the trapezoid area
under it over f = 0, 0.1, …, 1 (random: 0.5), CPT(x) the smallest share with PGR ≥ x. Pure; no file is read here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

STEPS = 10


def order(scores: Sequence[float] | Floats, seed: int = 0) -> npt.NDArray[np.intp]:
    """Prompts from highest to lowest score; equal scores in an order drawn from `seed`, so that ties help nobody."""
    values = np.asarray(scores, np.float64)
    return np.lexsort((np.random.default_rng(seed).random(len(values)), -values))


def recovered(ordered_gains: Floats) -> Floats:
    """(n+1, P): PGR after the first k prompts went to the strong model. Gains are in score order."""
    total = np.concatenate([np.zeros((1, ordered_gains.shape[1])), np.cumsum(ordered_gains, axis=0)])
    curve: Floats = total / total[-1]
    return curve


def apgr(ordered_gains: Floats) -> Floats:
    """(P,): the area under PGR."""
    curve = recovered(ordered_gains)
    at = np.round(np.linspace(0, 1, STEPS + 1) * len(ordered_gains)).astype(np.intp)
    points = curve[at]
    area: Floats = ((points[1:] + points[:-1]) / 2).mean(axis=0)
    return area


def cpt(ordered_gains: Floats, share: float) -> Floats:
    """(P,): the smallest share of strong calls that wins back `share` of the gap."""
    curve = recovered(ordered_gains)
    first: Floats = np.argmax(curve >= share - 1e-12, axis=0) / len(ordered_gains)
    return first


def calls_for_quality(ordered_gains: Floats, weak_quality: Floats, strong_quality: Floats, share: float) -> Floats:
    """(P,): the smallest share of strong calls whose mean quality is `share` of the strong model's own."""
    count = len(ordered_gains)
    total = np.concatenate([np.zeros((1, ordered_gains.shape[1])), np.cumsum(ordered_gains, axis=0)])
    enough = weak_quality + total / count >= share * strong_quality - 1e-12
    first: Floats = np.argmax(enough, axis=0) / count
    return first
