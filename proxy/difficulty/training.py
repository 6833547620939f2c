"""Remakes the artefact from a folder of outcomes: targets, linear n-grams, small trees, calibration.

Needs the extra `train` (scikit-learn, SciPy, LightGBM); serving imports none of this. Deterministic: one thread,
fixed seeds, and weights rounded to the artefact's small types.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any, Final

import lightgbm
import numpy as np
import numpy.typing as npt
import scipy.sparse as sparse
from sklearn.linear_model import Ridge

from proxy.difficulty import features
from proxy.difficulty.artefact import Model
from proxy.difficulty.outcomes import OutcomeSet, gains, pairs
from proxy.difficulty.scoring import TextScorer

Floats = npt.NDArray[np.float64]

MIN_PROMPTS: Final = 2
"""A word enters the vocabulary when at least so many prompts use it."""
RIDGE: Final = 20.0
TREES: Final = 200
GAIN_SHARE: Final = 0.5
"""How much of the target is the strong model's gain; the rest is the weak models' failures."""
LADDER_STEPS: Final = 65


def standardised(values: Floats) -> Floats:
    """Zero mean and unit variance: what is learned is order within a set, not which set it is."""
    result: Floats = (values - values.mean()) / (values.std() + 1e-9)
    return result


def target(outcomes: OutcomeSet) -> Floats:
    """What a prompt's score should be, per prompt, standardised within its set.

    Half is the gain of the strong model, each pair scaled to its own gap; half is the failures of the weak ones.
    """
    chosen = pairs(outcomes)
    gain = gains(outcomes, chosen)
    mean_gain = (gain / gain.mean(axis=0)).mean(axis=1)
    failures = 1 - outcomes.filled()[:, np.unique(chosen[:, 1])].mean(axis=1)
    return standardised(
        GAIN_SHARE * standardised(mean_gain) + (1 - GAIN_SHARE) * standardised(failures)
    )


@dataclass(frozen=True, slots=True)
class _Readings:
    dense: npt.NDArray[np.float32]
    linear: Any


def _vocabulary(prompts: Sequence[str]) -> tuple[list[bytes], npt.NDArray[np.float16]]:
    seen: Counter[bytes] = Counter()
    for prompt in prompts:
        seen.update(set(features.tokens(features.encode(prompt))))
    words = sorted(word for word, count in seen.items() if count >= MIN_PROMPTS)
    counts = np.array([0, *(seen[word] for word in words)], np.float64)
    return words, np.log((len(prompts) + 1) / (counts + 1)).astype(np.float16)


def _sparse(rows: list[npt.NDArray[np.intp]], width: int) -> Any:
    indices, values, starts = [], [], [0]
    for row in rows:
        unique, counts = np.unique(row, return_counts=True)
        indices.append(unique)
        values.append(counts / max(1, len(row)) ** 0.5)
        starts.append(starts[-1] + len(unique))
    shape = (len(rows), width)
    return sparse.csr_matrix((np.concatenate(values), np.concatenate(indices), np.array(starts)), shape)


def _read(prompts: Sequence[str], words: list[bytes], rarity: npt.NDArray[np.float16]) -> _Readings:
    row_of = {word: row for row, word in enumerate(words, 1)}
    blank = _blank_model(words, rarity)
    scorer = TextScorer(blank)
    dense, unigrams, bigrams, fours, fives = [], [], [], [], []
    for prompt in prompts:
        raw = features.encode(prompt)
        tokens = features.tokens(raw)
        rows = np.fromiter(map(row_of.get, tokens, repeat(0)), np.intp, len(tokens))
        unigrams.append(rows)
        bigrams.append(features.bigram_buckets(rows))
        fours.append(features.character_buckets(raw, 4).astype(np.intp))
        fives.append(features.character_buckets(raw, 5).astype(np.intp))
        dense.append(scorer.read(prompt).dense)
    return _Readings(
        np.array(dense, np.float32),
        sparse.hstack(
            [
                _sparse(unigrams, len(words) + 1),
                _sparse(bigrams, features.BIGRAM_BUCKETS),
                _sparse(fours, features.CHARACTER_BUCKETS),
                _sparse(fives, features.CHARACTER_BUCKETS),
            ],
            format="csr",
        ),
    )


def _blank_model(words: list[bytes], rarity: npt.NDArray[np.float16]) -> Model:
    return Model(
        words=np.frombuffer(b"\n".join(words), np.uint8),
        rarity=rarity,
        word_weight=np.zeros(len(words) + 1, np.float16),
        bigram_weight=np.zeros(features.BIGRAM_BUCKETS, np.int8),
        character_weight=np.zeros((2, features.CHARACTER_BUCKETS), np.int8),
        scales=np.ones(3, np.float32),
        tree_feature=np.zeros((0, 8), np.uint8),
        tree_threshold=np.zeros((0, 8), np.float32),
        tree_outcome=np.zeros((0, 8), np.float16),
        blend=np.array([1.0, 1.0, 0.0], np.float32),
        ladder=np.linspace(-1, 1, LADDER_STEPS, dtype=np.float32),
    )


def _rounded(weights: Floats) -> tuple[npt.NDArray[np.int8], float]:
    unit = float(np.abs(weights).max()) / 127 or 1.0
    return np.round(weights / unit).astype(np.int8), unit


def _grow(dense: npt.NDArray[np.float32], wanted: Floats, weight: Floats) -> lightgbm.Booster:
    parameters = {
        "objective": "regression",
        "learning_rate": 0.03,
        "num_leaves": 8,
        "max_depth": 3,
        "min_data_in_leaf": max(10, len(wanted) // 100),
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "feature_fraction": 0.4,
        "lambda_l2": 10.0,
        "seed": 7,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    return lightgbm.train(parameters, lightgbm.Dataset(dense, wanted, weight=weight), TREES)


def _flat(booster: lightgbm.Booster) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Each tree completed to depth 3, so that all of them are evaluated at once."""
    roots = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    feature = np.zeros((len(roots), 8), np.uint8)
    threshold = np.full((len(roots), 8), np.inf, np.float32)
    outcome = np.zeros((len(roots), 8), np.float16)

    def place(tree: int, node: dict[str, Any], at: int, first_leaf: int, leaves: int) -> None:
        if "leaf_value" in node:
            outcome[tree, first_leaf : first_leaf + leaves] = node["leaf_value"]
            return
        feature[tree, at] = node["split_feature"]
        threshold[tree, at] = node["threshold"]
        half = leaves // 2
        place(tree, node["left_child"], 2 * at + 1, first_leaf, half)
        place(tree, node["right_child"], 2 * at + 2, first_leaf + half, half)

    for index, root in enumerate(roots):
        place(index, root, 0, 0, 8)
    return feature, threshold, outcome


def train(sets: Sequence[OutcomeSet]) -> Model:
    """Fit the whole scorer on `sets`. The same sets give the same model, to the byte."""
    prompts = [prompt for outcomes in sets for prompt in outcomes.prompts]
    wanted = np.concatenate([target(outcomes) for outcomes in sets])
    weight = np.concatenate([np.full(len(o.prompts), len(o.prompts) ** -0.5) for o in sets])
    weight /= weight.mean()
    words, rarity = _vocabulary(prompts)
    readings = _read(prompts, words, rarity)
    ridge = Ridge(alpha=RIDGE, solver="sparse_cg", fit_intercept=False, tol=1e-6)
    ridge.fit(readings.linear, wanted, sample_weight=weight)
    count = len(words) + 1
    ends = np.cumsum([count, features.BIGRAM_BUCKETS, features.CHARACTER_BUCKETS])
    unigram, bigram, fours, fives = np.split(np.asarray(ridge.coef_), ends)
    (bigram_int, bigram_unit), (four_int, four_unit), (five_int, five_unit) = map(
        _rounded, (bigram, fours, fives)
    )
    feature, threshold, outcome = _flat(_grow(readings.dense, wanted, weight))
    model = replace(
        _blank_model(words, rarity),
        word_weight=unigram.astype(np.float16),
        bigram_weight=bigram_int,
        character_weight=np.stack([four_int, five_int]),
        scales=np.array([bigram_unit, four_unit, five_unit], np.float32),
        tree_feature=feature,
        tree_threshold=threshold,
        tree_outcome=outcome,
    )
    return _calibrated(model, prompts, weight)


def _calibrated(model: Model, prompts: Sequence[str], weight: Floats) -> Model:
    """Bring linear part and trees to one scale, and lay the ladder from raw score to difficulty."""
    scorer = TextScorer(model)
    readings = [scorer.read(prompt) for prompt in prompts]
    linear = np.array([reading.linear for reading in readings])
    trees = np.array([reading.trees for reading in readings])
    blend = np.array(
        [1 / linear.std(), 1 / trees.std(), -linear.mean() / linear.std() - trees.mean() / trees.std()],
        np.float32,
    )
    raw = linear * blend[0] + trees * blend[1] + blend[2]
    by_score = np.argsort(raw, kind="stable")
    mass = np.cumsum(weight[by_score]) / weight.sum()
    ladder = np.interp(np.linspace(0, 1, LADDER_STEPS), mass, raw[by_score]).astype(np.float32)
    return replace(model, blend=blend, ladder=ladder)
