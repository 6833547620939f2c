"""Remakes the artefact from a folder of outcomes: targets, linear words, small trees, calibration.

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

from proxy.difficulty import features, vectors
from proxy.difficulty.artefact import Model
from proxy.difficulty.outcomes import OutcomeSet, flagships, gains, pairs
from proxy.difficulty.scoring import CUT, FORMATS, OPEN, TABLE_OF_FORMAT, TextScorer, trusted

Floats = npt.NDArray[np.float64]

MIN_PROMPTS: Final = 2
"""A word enters the vocabulary when at least so many prompts use it."""
MIN_GROUP: Final = 50
"""Fewer prompts of a format do not say where its mean lies."""
MIN_FORMAT: Final = 600
"""A format with fewer prompts has no weights of its own; what carries over is used alone."""
RIDGE: Final = 20.0
MIN_DEVIATION: Final = 1e-3
STEPS: Final = 25
"""Conjugate-gradient steps; stopping early is part of the regularisation."""
MEANING_RIDGE: Final = 1000.0
TREES: Final = 64
FOLDS: Final = 3
LADDER_STEPS: Final = 65

MOST_GROUP: Final = 150
"""A larger group weighs no more than so many prompts: six hundred fillings of one template are not as many votes."""

# Weights of the five components, each scaled to unit deviation: words that predict failure in all sets, words and
# trees that predict the gain within the format, what words mean, and how much there is to work through.
# A wide plateau: halving or doubling any of them moves no protocol by more than 0.01.
Blend = tuple[float, float, float, float, float]
BLEND: Final[dict[str, Blend]] = {
    "few_options": (1.0, 2.0, 4.0, 0.0, 0.5),
    "many_options": (1.0, 2.0, 4.0, 0.0, 0.5),
    "worked": (1.0, 1.0, 0.0, 0.0, 2.8),
    "open": (1.0, 0.0, 0.0, 1.0, 0.0),
    "code": (1.0, 1.0, 0.0, 0.0, 4.0),
}
UNKNOWN_OPTIONS: Final[Blend] = (1.0, 0.0, 0.0, 0.0, 1.0)
"""Options of a kind with too few prompts to learn the gain from: what carries over speaks alone."""
EXTENT: Final[dict[str, tuple[str, ...]]] = {
    "few_options": ("stem_length",),
    "many_options": ("stem_length",),
    "worked": ("stem_length", "stem_numbers", "stem_sentence_length"),
    "open": (),
    "code": ("code_work",),
}
"""How much there is to work through: standardised features that count alike."""
CODE_WORK: Final = (7.0, 1.8)
"""Mean and deviation of `code_work` in a page of code. Set by hand, as few prompts hold any."""
OFFSET: Final = (0.0, 0.0, 0.3, -0.3, 0.3)
"""Where each format's mean lies, in deviations: quantities, formulas and code are harder than talk."""

PRIOR: Final = {
    "reasoning_words": 0.7,
    "mathematics_words": 0.6,
    "code_words": 0.5,
    "condition_words": 0.3,
    "person_words": -0.2,
    "definition_words": -0.3,
    "creative_words": -0.4,
    "simple_words": -0.5,
}
"""Set by hand for free text, not fitted: the outcome sets hold 200 open prompts, too few to learn from what everyone
knows. It moves no set's figure by more than its noise, and puts everyday requests in a sensible order. Problems and
code, which have other parts to go by, get half of it."""


def standardised(values: Floats) -> Floats:
    """Zero mean and unit variance: what is learned is order within a set, not which set it is."""
    result: Floats = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-9)
    return result


def targets(outcomes: OutcomeSet) -> tuple[Floats, Floats]:
    """Per prompt and standardised within the set: the strong model's mean gain, and how many weak models fail.

    The gain is that over the field of pairs and that over the flagships, in equal parts. Each pair's gain is scaled
    to its own mean, so that no pair counts for more.
    """
    field = pairs(outcomes)
    both = np.zeros(len(outcomes.prompts))
    for chosen in (field, flagships(outcomes)):
        gain = gains(outcomes, chosen)
        gain = gain[:, gain.mean(axis=0) > 0]
        if gain.shape[1]:
            both += standardised((gain / gain.mean(axis=0)).mean(axis=1))
    failures = 1 - outcomes.filled()[:, np.unique(field[:, 1])].mean(axis=1)
    return standardised(both), standardised(failures)


def _vocabulary(prompts: Sequence[str]) -> list[bytes]:
    seen: Counter[bytes] = Counter()
    for prompt in prompts:
        seen.update(set(features.tokens(features.folded(features.encode(prompt)))))
    return sorted(word for word, count in seen.items() if count >= MIN_PROMPTS)


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


def _blank(words: list[bytes]) -> Model:
    width = len(features.NAMES)
    return Model(
        words=np.frombuffer(b"\n".join(words), np.uint8),
        word_weight=np.zeros((3, len(words) + 1), np.float16),
        meaning=np.zeros(len(words) + 1, np.float16),
        bigram_weight=np.zeros((3, features.BIGRAM_BUCKETS), np.int16),
        scales=np.ones(3, np.float32),
        dense_centre=np.stack([np.zeros(width, np.float32), np.ones(width, np.float32)]),
        dense_weight=np.zeros((len(FORMATS), width), np.float32),
        unit=np.ones(len(FORMATS), np.float32),
        constant=np.zeros(len(FORMATS), np.float32),
        tree_feature=np.zeros((2, TREES, 8), np.uint8),
        tree_threshold=np.full((2, TREES, 8), np.inf, np.float32),
        tree_outcome=np.zeros((2, TREES, 8), np.float16),
        ladder=np.linspace(-1, 1, LADDER_STEPS, dtype=np.float32),
    )


def _dot(left: Floats, right: Floats) -> float:
    """The inner product without BLAS, whose sums depend on how many threads it has."""
    return float((left * right).sum())


def _ridge(rows: Any, wanted: Floats, weight: Floats) -> Floats:
    """Weighted ridge regression without intercept, by conjugate gradients on the normal equations."""
    root = np.sqrt(weight / weight.mean())
    scaled = sparse.diags(root) @ rows
    across = scaled.T.tocsr()
    residual = across @ (wanted * root)
    solution = np.zeros(rows.shape[1])
    direction = residual.copy()
    size = _dot(residual, residual)
    for _ in range(STEPS):
        image = across @ (scaled @ direction) + RIDGE * direction
        step = size / _dot(direction, image)
        solution += step * direction
        residual -= step * image
        fresh = _dot(residual, residual)
        direction = residual + fresh / size * direction
        size = fresh
    return solution


def _grow(dense: npt.NDArray[np.float32], wanted: Floats, weight: Floats) -> lightgbm.Booster:
    parameters = {
        "objective": "regression",
        "learning_rate": 0.07,
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


@dataclass(slots=True)
class _Data:
    ngrams: Any
    rare: Any
    rarity: Floats
    dense: npt.NDArray[np.float32]
    table: npt.NDArray[np.intp]
    kind: npt.NDArray[np.intp]
    words: Floats
    vectors: Floats
    """(V+1, D): of each word of the vocabulary, zero where there is none."""
    meaning: Floats
    """(n, D): sum of the prompt's vectors over the root of its words."""
    gain: Floats
    failures: Floats
    source: npt.NDArray[np.intp]
    weight: Floats


@dataclass(slots=True)
class _Parts:
    """The fitted components, one a table; None where a format has too few prompts."""

    shared: list[Floats]
    own: list[Floats | None]
    trees: list[lightgbm.Booster | None]
    meaning: Floats


def _meaning(data: _Data, rows: npt.NDArray[np.bool_]) -> Floats:
    """Weight of one occurrence of each word, from its vector: a ridge of failure on what a prompt's words mean.

    Sixteen numbers a word instead of a weight of its own, so a word that no outcome set has used is judged by those
    it is like.
    """
    unit = data.meaning[rows].std()
    values = data.meaning[rows] / unit
    for member in range(int(data.source.max()) + 1):
        of_set = data.source[rows] == member
        if of_set.any():
            values[of_set] -= values[of_set].mean(axis=0)
    weighed = values * data.weight[rows][:, None]
    # Sums without BLAS, as in `_dot`.
    square = np.einsum("ni,nj->ij", weighed, values) + MEANING_RIDGE * np.eye(values.shape[1])
    solved = np.linalg.solve(square, np.einsum("ni,n->i", weighed, data.failures[rows]))
    result: Floats = (data.vectors * solved).sum(axis=1) / unit
    return result


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
    return _Parts([common, common, rare], own, trees, _meaning(data, rows))


def _predict(data: _Data, parts: _Parts, rows: npt.NDArray[np.bool_]) -> Floats:
    """(n, 4) for `rows`: shared words, the format's words, the format's trees, meaning."""
    out = np.zeros((len(rows), 4))
    for table, (shared, own, trees) in enumerate(zip(parts.shared, parts.own, parts.trees, strict=True)):
        members = rows & (data.table == table)
        trust = trusted(data.words[members]) if table == 2 else 1.0
        out[members, 0] = trust * (data.ngrams[members] @ shared)
        if own is not None and members.any():
            out[members, 1] = trust * (data.ngrams[members] @ own)
        if trees is not None and members.any():
            out[members, 2] = trees.predict(data.dense[members], num_threads=1)
        if table == 2:
            out[members, 3] = trust * (data.ngrams[members][:, : len(parts.meaning)] @ parts.meaning)
    return out[rows]


def train(sets: Sequence[OutcomeSet]) -> Model:
    """Fit the whole scorer on `sets`. The same sets give the same model, to the byte."""
    prompts = [prompt for outcomes in sets for prompt in outcomes.prompts]
    meanings = vectors.load()
    words = _vocabulary(prompts)
    blank = _blank(words)
    data = _gather(sets, prompts, words, meanings, blank)
    everyone = np.ones(len(prompts), np.bool_)
    parts = _fit(data, everyone)
    # Deviations are taken on prompts not fitted to: a memorised prompt would make its component look strong.
    unseen = np.zeros((len(prompts), 4))
    fold = np.random.default_rng(0).integers(0, FOLDS, len(prompts))
    for held in range(FOLDS):
        away = fold == held
        unseen[away] = _predict(data, _fit(data, ~away), away)
    centre = np.average(data.dense, axis=0, weights=data.weight)
    spread = 1 / (np.sqrt(np.average((data.dense - centre) ** 2, axis=0, weights=data.weight)) + 1e-6)
    work = features.NAMES.index("code_work")
    centre[work], spread[work] = CODE_WORK[0], 1 / CODE_WORK[1]
    dense = np.clip((data.dense - centre) * spread, -CUT, CUT)
    dense[data.kind != FORMATS.index("code"), work] = 0.0

    word_weight, bigrams, scales = [], [], []
    meaning = np.zeros(len(words) + 1)
    dense_weight, constant, unit = (
        np.zeros((len(FORMATS), dense.shape[1])),
        np.zeros(len(FORMATS)),
        np.ones(len(FORMATS)),
    )
    tree_feature, tree_threshold = blank.tree_feature.copy(), blank.tree_threshold.copy()
    tree_outcome = np.zeros((2, TREES, 8))
    raw = np.zeros(len(prompts))
    for kind, name in enumerate(FORMATS):
        table = TABLE_OF_FORMAT[kind]
        peers, members = data.table == table, data.kind == kind
        if not peers.any():
            peers = everyone
        unknown = table < 2 and parts.own[table] is None
        *shares, long = UNKNOWN_OPTIONS if unknown else BLEND[name]
        typical = members if np.count_nonzero(members) >= MIN_GROUP else peers
        # What words mean differs more in open talk than among problems; the other parts are scaled by all of a table.
        widths = [*unseen[peers, :3].std(axis=0).tolist(), float(unseen[typical, 3].std())]
        # A component with no weights of its own in this format says nothing here.
        by = np.array(
            [share / width if width > MIN_DEVIATION else 0.0 for share, width in zip(shares, widths, strict=True)]
        )
        if table == 2:
            for feature, share in PRIOR.items():
                dense_weight[kind, features.NAMES.index(feature)] += share if kind == OPEN else share / 2
        if EXTENT[name]:
            extent = np.isin(features.NAMES, EXTENT[name]).astype(np.float64)
            # `code_work` is in deviations already.
            width = 1.0 if name == "code" else (dense[peers] * extent).sum(axis=1).std() + 1e-9
            dense_weight[kind] += long / width * extent
        total = (unseen * by).sum(axis=1) + (dense * dense_weight[kind]).sum(axis=1)
        # Every format gets the same spread; otherwise the one with the surest components alone reaches the outer bands.
        unit[kind] = 1 / max(MIN_DEVIATION, total[typical].std())
        dense_weight[kind] *= unit[kind]
        constant[kind] = OFFSET[kind] - unit[kind] * total[typical].mean()
        raw[members] = unit[kind] * total[members] + constant[kind]
        if kind == OPEN:
            meaning = by[3] * parts.meaning
        if kind == table:  # the formats after it share its tables
            mine = parts.own[table]
            weights = by[0] * parts.shared[table] + (0.0 if mine is None else by[1] * mine)
            unigram, pair = np.split(weights, [len(words) + 1])
            rounded, step = _rounded(pair)
            word_weight.append(unigram.astype(np.float16))
            bigrams.append(rounded)
            scales.append(step)
            if (grown := parts.trees[table]) is not None:
                tree_feature[table], tree_threshold[table], outcome = _flat(grown)
                tree_outcome[table] = by[2] * outcome
    by_score = np.argsort(raw, kind="stable")
    mass = np.cumsum(data.weight[by_score]) / data.weight.sum()
    return replace(
        blank,
        word_weight=np.stack(word_weight),
        meaning=meaning.astype(np.float16),
        bigram_weight=np.stack(bigrams),
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


def _gather(
    sets: Sequence[OutcomeSet],
    prompts: Sequence[str],
    words: list[bytes],
    meanings: vectors.Vectors,
    blank: Model,
) -> _Data:
    row_of = {word: row for row, word in enumerate(words, 1)}
    scorer = TextScorer(blank)
    unigrams, bigrams, dense, kind = [], [], [], []
    for prompt in prompts:
        tokens = features.tokens(features.folded(features.encode(prompt)))
        rows = np.fromiter(map(row_of.get, tokens, repeat(0)), np.intp, len(tokens))
        unigrams.append(rows)
        bigrams.append(features.bigram_buckets(rows))
        reading = scorer.read(prompt)
        dense.append(reading.dense)
        kind.append(reading.format)
    blocks = [_sparse(unigrams, len(words) + 1), _sparse(bigrams, features.BIGRAM_BUCKETS)]
    ngrams = sparse.hstack(blocks, format="csr")
    rarity = np.concatenate([_rarity(block) for block in blocks])
    of_word = np.zeros((len(words) + 1, vectors.DIMENSIONS))
    for word, vector in zip(meanings.words, meanings.values, strict=True):
        if row := row_of.get(word):
            of_word[row] = vector
    both = [targets(outcomes) for outcomes in sets]
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
        vectors=of_word,
        meaning=blocks[0] @ of_word,
        gain=np.concatenate([gain for gain, _ in both]),
        failures=np.concatenate([failures for _, failures in both]),
        source=np.repeat(np.arange(len(sets)), [len(outcomes.prompts) for outcomes in sets]),
        weight=weight / weight.mean(),
    )


def _rounded(weights: Floats) -> tuple[npt.NDArray[np.int16], float]:
    unit = float(np.abs(weights).max()) / 32767 or 1.0
    # Eleven bits are enough, and round numbers pack better.
    return (np.round(weights / unit / 16) * 16).astype(np.int16), unit
