"""From one text to a raw score: the sum of linear n-gram weights and small trees, read with numpy alone.

Here: `TextScorer`. Not here: conversations (`conversation`), bands and confidence (`assessment`).
"""

from __future__ import annotations

from itertools import repeat
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from proxy.difficulty import features
from proxy.difficulty.artefact import Model

_LEAF_OF_BITS: Final = np.array(
    # Tests are stored level by level: 0, then 1 and 2, then 3 to 6. Bit 7 is test 0 (`packbits` is big-endian).
    [
        (first := bits >> 7 & 1) * 4
        + (second := bits >> (6 - first) & 1) * 2
        + (bits >> (4 - 2 * first - second) & 1)
        for bits in range(256)
    ],
    np.intp,
)


class Reading(NamedTuple):
    """What one text showed."""

    raw: float
    linear: float
    trees: float
    known_words: int
    dense: npt.NDArray[np.float32]


class TextScorer:
    """Holds the tables in the shapes scoring wants. Pure and safe to share between threads."""

    def __init__(self, model: Model) -> None:
        words = model.words.tobytes().split(b"\n") if model.words.size else []
        self._row = {word: row for row, word in enumerate(words, 1)}
        table = np.zeros((len(words) + 1, len(features.LEXICONS) + 2), np.float32)
        for word, columns in features.LEXICON_OF.items():
            if row := self._row.get(word, 0):
                table[row, list(columns)] = 1.0
        table[:, -2] = model.rarity
        table[:, -1] = model.word_weight
        self._words = table
        self._bigrams = model.bigram_weight.astype(np.float32) * model.scales[0]
        self._fours = model.character_weight[0].astype(np.float32) * model.scales[1]
        self._fives = model.character_weight[1].astype(np.float32) * model.scales[2]
        self._feature = model.tree_feature.astype(np.intp)
        self._threshold = model.tree_threshold
        trees = len(model.tree_outcome)
        self._outcome = model.tree_outcome.astype(np.float32)[:, _LEAF_OF_BITS].ravel()
        self._offset = np.arange(trees, dtype=np.intp) * 256
        self._linear_weight, self._tree_weight, self._constant = model.blend.tolist()

    def read(self, text: str) -> Reading:
        """Score one text. Linear in its length up to `features.MAX_TEXT_BYTES`; never raises."""
        raw = features.encode(text)
        words = features.tokens(raw)
        count = len(words)
        rows = np.fromiter(map(self._row.get, words, repeat(0)), np.intp, count)
        known = int(np.count_nonzero(rows))
        sums = np.add.reduce(self._words[rows], 0)
        linear = 0.0
        if count:
            linear += float(sums[-1]) / count**0.5
        if count > 1:
            linear += float(np.add.reduce(self._bigrams[features.bigram_buckets(rows)])) / (count - 1) ** 0.5
        size = len(raw)
        for length, table in ((4, self._fours), (5, self._fives)):
            if size >= length:
                buckets = features.character_buckets(raw, length)
                linear += float(np.add.reduce(table[buckets])) / (size - length + 1) ** 0.5
        dense = features.structure(raw, words, sums[:-1], count - known)
        bits = np.packbits(dense[self._feature] > self._threshold, axis=1).ravel()
        trees = float(np.add.reduce(self._outcome[self._offset + bits]))
        return Reading(
            self._linear_weight * linear + self._tree_weight * trees + self._constant,
            linear,
            trees,
            known,
            dense,
        )
