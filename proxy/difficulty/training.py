"""Remakes the artefact from a folder of outcomes: targets, linear n-grams, small trees, calibration.

Needs the extra `train` (SciPy, LightGBM); serving imports none of this. Deterministic: one thread,
fixed seeds, and weights rounded to the artefact's small types.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any, Final

import lightgbm  # type: ignore[import-not-found,import-untyped,unused-ignore]
import numpy as np
import numpy.typing as npt
import scipy.sparse as sparse  # type: ignore[import-not-found,import-untyped,unused-ignore]

from proxy.difficulty import features
from proxy.difficulty.artefact import Model
from proxy.difficulty.outcomes import OutcomeSet, gains, pairs
from proxy.difficulty.scoring import CUT, FORMATS, TABLE_OF_FORMAT, TextScorer, trusted

Floats = npt.NDArray[np.float64]

MIN_PROMPTS: Final = 2
"""A word enters the vocabulary when at least so many prompts use it."""
MIN_GROUP: Final = 50
"""A group with fewer prompts says nothing about which features carry over."""
MIN_FORMAT: Final = 600
"""A format with fewer prompts has no weights of its own; what carries over is used alone."""
RIDGE: Final = 20.0
MIN_DEVIATION: Final = 1e-3
STEPS: Final = 25
"""Conjugate-gradient steps; stopping early is part of the regularisation."""
TREES: Final = 100
FOLDS: Final = 3
LADDER_STEPS: Final = 65

MOST_GROUP: Final = 150
"""A larger group weighs no more than so many prompts: six hundred fillings of one template are not as many votes."""

# Weights of the five components, each scaled to unit deviation: n-grams that predict failure in all sets, n-grams and
# trees that predict the gain within the format, dense features that point the same way in all groups, and how much
# there is to work through. A wide plateau: halving or doubling any of them moves no protocol by more than 0.01.
Blend = tuple[float, float, float, float, float]
BLEND: Final[dict[str, Blend]] = {
    "few_options": (1.0, 2.0, 4.0, 0.0, 0.5),
    "many_options": (1.0, 2.0, 4.0, 0.0, 0.5),
    "worked": (1.0, 1.0, 0.0, 0.0, 2.8),
    "open": (1.0, 1.0, 0.0, 0.0, 0.0),
}
UNKNOWN_OPTIONS: Final[Blend] = (1.0, 0.0, 0.0, 1.0, 0.5)
"""Options of a kind with too few prompts to learn the gain from: what carries over speaks alone."""
EXTENT: Final[dict[bool, dict[str, float]]] = {
    False: {"stem_length": 1.0, "stem_numbers": 1.0, "stem_sentence_length": 1.0},
    True: {"stem_length": 1.0},
}
"""How much there is to work through, without and with answer options; shares of standardised features."""
OFFSET: Final = (0.0, 0.0, 0.3, -0.3)
"""Where each format's mean lies, in deviations: quantities, formulas and code are harder than talk."""

PRIOR: Final = {
    "reasoning_words": 0.35,
    "mathematics_words": 0.3,
    "code_words": 0.25,
    "condition_words": 0.15,
    "person_words": -0.1,
    "definition_words": -0.15,
    "creative_words": -0.2,
    "simple_words": -0.25,
}
"""Set by hand for free text, not fitted: the outcome sets hold 200 open prompts, too few to learn from what everyone
knows. It moves no set's figure by more than its noise, and puts everyday requests in a sensible order."""


def standardised(values: Floats) -> Floats:
    """Zero mean and unit variance: what is learned is order within a set, not which set it is."""
    result: Floats = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-9)
    return result


def targets(outcomes: OutcomeSet) -> tuple[Floats, Floats]:
    """Per prompt and standardised within the set: the strong model's mean gain, and how many weak models fail.

    Each pair's gain is scaled to its own mean, so that no pair counts for more.
    """
    chosen = pairs(outcomes)
    gain = gains(outcomes, chosen)
    mean_gain = (gain / gain.mean(axis=0)).mean(axis=1)
    failures = 1 - outcomes.filled()[:, np.unique(chosen[:, 1])].mean(axis=1)
    return standardised(mean_gain), standardised(failures)


def _vocabulary(prompts: Sequence[str]) -> tuple[list[bytes], npt.NDArray[np.float16]]:
    seen: Counter[bytes] = Counter()
    for prompt in prompts:
        seen.update(set(features.tokens(features.folded(features.encode(prompt)))))
    words = sorted(word for word, count in seen.items() if count >= MIN_PROMPTS)
    counts = np.array([0, *(seen[word] for word in words)], np.float64)
    return words, np.log((len(prompts) + 1) / (counts + 1)).astype(np.float16)


def _sparse(rows: list[npt.NDArray[np.intp]], width: int) -> Any:
    """Counts over the square root of their number: a long prompt weighs no more than a short one."""
    indices, values, starts = [], [], [0]
    for row in rows:
        unique, counts = np.unique(row, return_counts=True)
        indices.append(unique)
        values.append(counts / max(1, len(row)) ** 0.5)
        starts.append(starts[-1] + len(unique))
    shape = (len(rows), width)
    return sparse.csr_matrix((np.concatenate(values), np.concatenate(indices), np.array(starts)), shape)


def _rarity(block: Any) -> Floats:
    """Log of how seldom each column is used, 1 on average: with it the ridge spends less on what is everywhere.

    It is multiplied into the weights, so serving knows nothing of it.
    """
    used = np.bincount(block.indices, minlength=block.shape[1])
    rarity = np.where(used > 0, np.log((block.shape[0] + 1) / (used + 1)), 0.0)
    result: Floats = rarity / rarity[used > 0].mean()
    return result


def _blank(words: list[bytes], rarity: npt.NDArray[np.float16]) -> Model:
    width = len(features.NAMES)
    return Model(
        words=np.frombuffer(b"\n".join(words), np.uint8),
        rarity=rarity,
        word_weight=np.zeros((3, len(words) + 1), np.float16),
        bigram_weight=np.zeros((3, features.BIGRAM_BUCKETS), np.int16),
        character_weight=np.zeros((3, len(features.RUNS), features.CHARACTER_BUCKETS), np.int16),
        scales=np.ones((3, 1 + len(features.RUNS)), np.float32),
        dense_centre=np.stack([np.zeros(width, np.float32), np.ones(width, np.float32)]),
        dense_weight=np.zeros((4, width), np.float32),
        unit=np.ones(4, np.float32),
        constant=np.zeros(4, np.float32),
        tree_feature=np.zeros((2, TREES, 8), np.uint8),
        tree_threshold=np.full((2, TREES, 8), np.inf, np.float32),
        tree_outcome=np.zeros((2, TREES, 8), np.float16),
        ladder=np.linspace(-1, 1, LADDER_STEPS, dtype=np.float32),
    )


def _ridge(rows: Any, wanted: Floats, weight: Floats) -> Floats:
    """Weighted ridge regression without intercept, by conjugate gradients on the normal equations."""
    root = np.sqrt(weight / weight.mean())
    scaled = sparse.diags(root) @ rows
    across = scaled.T.tocsr()
    residual = across @ (wanted * root)
    solution = np.zeros(rows.shape[1])
    direction = residual.copy()
    size = float(residual @ residual)
    for _ in range(STEPS):
        image = across @ (scaled @ direction) + RIDGE * direction
        step = size / float(direction @ image)
        solution += step * direction
        residual -= step * image
        fresh = float(residual @ residual)
        direction = residual + fresh / size * direction
        size = fresh
    return solution


def _grow(dense: npt.NDArray[np.float32], wanted: Floats, weight: Floats) -> lightgbm.Booster:
    parameters = {
        "objective": "regression",
        "learning_rate": 0.045,
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
    feature = np.zeros((TREES, 8), np.uint8)
    threshold = np.full((TREES, 8), np.inf, np.float32)
    outcome = np.zeros((TREES, 8), np.float64)

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


def _carried_over(dense: Floats, failures: Floats, group: npt.NDArray[np.intp]) -> Floats:
    """Weights of the dense features that point the same way in all groups of all sets.

    A feature's weight is its mean correlation with failure within a group, over the groups; it is dropped unless
    that mean is two standard errors from zero. Fitting jointly did worse on every set left out.
    """
    found = []
    for member in range(int(group.max()) + 1):
        rows = group == member
        if np.count_nonzero(rows) >= MIN_GROUP:
            values = np.clip(standardised(dense[rows]), -CUT, CUT)
            found.append((values * standardised(failures[rows])[:, None]).mean(axis=0))
    correlation = np.array(found)
    error = correlation.std(axis=0) / np.sqrt(len(correlation)) + 0.01
    mean: Floats = correlation.mean(axis=0)
    return np.where(np.abs(mean / error) > 2, mean, 0.0)


@dataclass(slots=True)
class _Data:
    ngrams: Any
    rare: Any
    rarity: Floats
    dense: npt.NDArray[np.float32]
    table: npt.NDArray[np.intp]
    kind: npt.NDArray[np.intp]
    words: Floats
    gain: Floats
    failures: Floats
    group: npt.NDArray[np.intp]
    weight: Floats


@dataclass(slots=True)
class _Parts:
    """The fitted components, one a table; None where a format has too few prompts."""

    shared: list[Floats]
    own: list[Floats | None]
    trees: list[lightgbm.Booster | None]


def _fit(data: _Data, rows: npt.NDArray[np.bool_]) -> _Parts:
    own: list[Floats | None] = []
    trees: list[lightgbm.Booster | None] = []
    for table in range(3):
        members = rows & (data.table == table)
        if np.count_nonzero(members) < MIN_FORMAT:
            own.append(None)
            trees.append(None)
            continue
        own.append(data.rarity * _ridge(data.rare[members], data.gain[members], data.weight[members]))
        trees.append(_grow(data.dense[members], data.gain[members], data.weight[members]) if table < 2 else None)
    common = _ridge(data.ngrams[rows], data.failures[rows], data.weight[rows])
    rare = data.rarity * _ridge(data.rare[rows], data.failures[rows], data.weight[rows])
    return _Parts([common, common, rare], own, trees)


def _predict(data: _Data, parts: _Parts, rows: npt.NDArray[np.bool_]) -> Floats:
    """(n, 3) for `rows`: shared n-grams, the format's n-grams, the format's trees."""
    out = np.zeros((len(rows), 3))
    for table, (shared, own, trees) in enumerate(zip(parts.shared, parts.own, parts.trees, strict=True)):
        members = rows & (data.table == table)
        trust = trusted(data.words[members]) if table == 2 else 1.0
        out[members, 0] = trust * (data.ngrams[members] @ shared)
        if own is not None and members.any():
            out[members, 1] = trust * (data.ngrams[members] @ own)
        if trees is not None and members.any():
            out[members, 2] = trees.predict(data.dense[members], num_threads=1)
    return out[rows]


def train(sets: Sequence[OutcomeSet]) -> Model:
    """Fit the whole scorer on `sets`. The same sets give the same model, to the byte."""
    prompts = [prompt for outcomes in sets for prompt in outcomes.prompts]
    words, rarity = _vocabulary(prompts)
    blank = _blank(words, rarity)
    data = _gather(sets, prompts, words, blank)
    everyone = np.ones(len(prompts), np.bool_)
    parts = _fit(data, everyone)
    # Deviations are taken on prompts not fitted to: a memorised prompt would make its component look strong.
    unseen = np.zeros((len(prompts), 3))
    fold = np.random.default_rng(0).integers(0, FOLDS, len(prompts))
    for held in range(FOLDS):
        away = fold == held
        unseen[away] = _predict(data, _fit(data, ~away), away)
    centre = np.average(data.dense, axis=0, weights=data.weight)
    spread = 1 / (np.sqrt(np.average((data.dense - centre) ** 2, axis=0, weights=data.weight)) + 1e-6)
    dense = np.clip((data.dense - centre) * spread, -CUT, CUT)
    carried = _carried_over(data.dense.astype(np.float64), data.failures, data.group)

    word_weight, bigrams, runs, scales = [], [], [], []
    dense_weight, constant, unit = np.zeros((4, len(carried))), np.zeros(4), np.ones(4)
    tree_feature, tree_threshold = blank.tree_feature.copy(), blank.tree_threshold.copy()
    tree_outcome = np.zeros((2, TREES, 8))
    raw = np.zeros(len(prompts))
    for kind, name in enumerate(FORMATS):
        table = TABLE_OF_FORMAT[kind]
        peers, members = data.table == table, data.kind == kind
        if not peers.any():
            peers = everyone
        unknown = table < 2 and parts.own[table] is None
        shared, own, shape, steady, long = UNKNOWN_OPTIONS if unknown else BLEND[name]
        deviation = unseen[peers].std(axis=0)
        # A component with no weights of its own in this format says nothing here.
        by_shared, by_own, by_trees = (
            share / width if width > MIN_DEVIATION else 0.0
            for share, width in zip((shared, own, shape), deviation.tolist(), strict=True)
        )
        dense_weight[kind] = steady / ((dense[peers] @ carried).std() + 1e-9) * carried
        if table == 2:
            for feature, share in PRIOR.items():
                dense_weight[kind, features.NAMES.index(feature)] += share
        extent = np.zeros(len(carried))
        for feature, share in EXTENT[table < 2].items():
            extent[features.NAMES.index(feature)] = share
        dense_weight[kind] += long / ((dense[peers] @ extent).std() + 1e-9) * extent
        total = unseen @ np.array([by_shared, by_own, by_trees]) + dense @ dense_weight[kind]
        typical = members if np.count_nonzero(members) >= MIN_GROUP else peers
        # Every format gets the same spread; otherwise the one with the surest components alone reaches the outer bands.
        unit[kind] = 1 / max(MIN_DEVIATION, total[typical].std())
        dense_weight[kind] *= unit[kind]
        constant[kind] = OFFSET[kind] - unit[kind] * total[typical].mean()
        raw[members] = unit[kind] * total[members] + constant[kind]
        if kind == table:  # the last format shares the tables of the one before
            mine = parts.own[table]
            weights = by_shared * parts.shared[table] + (0.0 if mine is None else by_own * mine)
            lengths = [len(words) + 1, features.BIGRAM_BUCKETS, *[features.CHARACTER_BUCKETS] * len(features.RUNS)]
            ends = np.cumsum(lengths)[:-1]
            unigram, *hashed = np.split(weights, ends)
            rounded = [_rounded(weight) for weight in hashed]
            word_weight.append(unigram.astype(np.float16))
            bigrams.append(rounded[0][0])
            runs.append(np.stack([table for table, _ in rounded[1:]]))
            scales.append([unit for _, unit in rounded])
            if (grown := parts.trees[table]) is not None:
                tree_feature[table], tree_threshold[table], outcome = _flat(grown)
                tree_outcome[table] = by_trees * outcome
    by_score = np.argsort(raw, kind="stable")
    mass = np.cumsum(data.weight[by_score]) / data.weight.sum()
    return replace(
        blank,
        word_weight=np.stack(word_weight),
        bigram_weight=np.stack(bigrams),
        character_weight=np.stack(runs),
        scales=np.array(scales, np.float32),
        dense_centre=np.stack([centre, spread]).astype(np.float32),
        dense_weight=dense_weight.astype(np.float32),
        unit=unit.astype(np.float32),
        constant=constant.astype(np.float32),
        tree_feature=tree_feature,
        tree_threshold=tree_threshold,
        tree_outcome=tree_outcome.astype(np.float16),
        ladder=np.interp(np.linspace(0, 1, LADDER_STEPS), mass, raw[by_score]).astype(np.float32),
    )


def _weights(outcomes: OutcomeSet) -> Floats:
    """Within the set no group above `MOST_GROUP`; the whole set weighs the root of its size."""
    size = Counter(outcomes.groups)
    weight = np.array([min(1.0, MOST_GROUP / size[group]) for group in outcomes.groups])
    result: Floats = weight * len(weight) ** 0.5 / weight.sum()
    return result


def _gather(sets: Sequence[OutcomeSet], prompts: Sequence[str], words: list[bytes], blank: Model) -> _Data:
    row_of = {word: row for row, word in enumerate(words, 1)}
    scorer = TextScorer(blank)
    unigrams, bigrams, dense, kind = [], [], [], []
    runs: list[list[npt.NDArray[np.intp]]] = [[] for _ in features.RUNS]
    for prompt in prompts:
        raw = features.encode(prompt)
        tokens = features.tokens(features.folded(raw))
        rows = np.fromiter(map(row_of.get, tokens, repeat(0)), np.intp, len(tokens))
        unigrams.append(rows)
        bigrams.append(features.bigram_buckets(rows))
        buckets = features.character_buckets(raw)
        for index, found in enumerate(runs):
            found.append(buckets[index] if index < len(buckets) else np.zeros(0, np.intp))
        reading = scorer.read(prompt)
        dense.append(reading.dense)
        kind.append(reading.format)
    blocks = [
        _sparse(unigrams, len(words) + 1),
        _sparse(bigrams, features.BIGRAM_BUCKETS),
        *(_sparse(found, features.CHARACTER_BUCKETS) for found in runs),
    ]
    ngrams = sparse.hstack(blocks, format="csr")
    rarity = np.concatenate([_rarity(block) for block in blocks])
    both = [targets(outcomes) for outcomes in sets]
    names = [f"{outcomes.name}/{group}" for outcomes in sets for group in outcomes.groups]
    weight = np.concatenate([_weights(outcomes) for outcomes in sets])
    kinds = np.array(kind, np.intp)
    return _Data(
        ngrams=ngrams,
        rare=ngrams @ sparse.diags(rarity),
        rarity=rarity,
        dense=np.array(dense, np.float32),
        table=np.array(TABLE_OF_FORMAT, np.intp)[kinds],
        kind=kinds,
        words=np.array([len(row) for row in unigrams], np.float64),
        gain=np.concatenate([gain for gain, _ in both]),
        failures=np.concatenate([failures for _, failures in both]),
        group=np.unique(names, return_inverse=True)[1],
        weight=weight / weight.mean(),
    )


def _rounded(weights: Floats) -> tuple[npt.NDArray[np.int16], float]:
    unit = float(np.abs(weights).max()) / 32767 or 1.0
    # Eleven bits are enough, and round numbers pack better.
    return (np.round(weights / unit / 16) * 16).astype(np.int16), unit
