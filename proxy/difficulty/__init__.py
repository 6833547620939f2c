"""How hard a request is, and how much a strong model would gain on it, in microseconds and without a network.

`score` and `Scorer` are the surface; serving needs numpy, msgspec and the committed artefact. Training and its
libraries (`training`) are imported only by the command line.
"""

from __future__ import annotations

from functools import cache

from proxy.difficulty.assessment import Assessment, Scorer

__all__ = ["Assessment", "Scorer", "score"]


@cache
def _committed() -> Scorer:
    return Scorer.load()


def score(prompts: list[str]) -> list[float]:
    """How much each prompt needs the strong model; higher is harder. Each prompt is judged on its own."""
    scorer = _committed()
    return [scorer.raw(prompt) for prompt in prompts]
