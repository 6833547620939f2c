"""From one text to a raw score: the sum of linear word weights and small trees, read with numpy alone.

Here: `TextScorer`. Not here: conversations (`conversation`), bands and confidence (`assessment`).
"""

from __future__ import annotations

import hashlib
import math
from itertools import repeat
from typing import Final, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from proxy.difficulty import features
from proxy.difficulty.artefact import Model

_LEAF_OF_BITS: Final = np.array(
    # Tests are stored level by level: 0, then 1 and 2, then 3 to 6. Bit 7 is test 0.
    [
        (first := bits >> 7 & 1) * 4 + (second := bits >> (6 - first) & 1) * 2 + (bits >> (4 - 2 * first - second) & 1)
        for bits in range(256)
    ],
    np.intp,
)
_PACK: Final = np.uint64(0x8040201008040201)
"""Eight truth values read as one little-endian word, times this: the highest byte has their bits, first one first."""
_HIGHEST_BYTE: Final = np.uint64(56)

_MOST_KEPT: Final = 128
_LONGEST_KEPT: Final = 1_000
"""Readings kept, and words of the longest text whose reading is: some 8 MB at the very most."""

FORMATS: Final = ("few_options", "many_options", "worked", "open", "code")
"""Prompt types that have weights of their own: multiple choice with up to `FEW_OPTIONS` options or more, free text with
quantities or formulas, any other free text, and code."""
FEW_OPTIONS: Final = 5
CUT: Final = 3.0
"""Standardised dense features are cut here, so that no odd text drowns the rest."""

TABLE_OF_FORMAT: Final = (0, 1, 2, 2, 2)
OPEN: Final = FORMATS.index("open")
_OPTIONS, _STEM_NUMBERS, _CODE_WORK = (features.NAMES.index(name) for name in ("options", "stem_numbers", "code_work"))
# The first two are log(1 + count).
_LOG_3, _LOG_MANY = math.log(2.5), math.log(FEW_OPTIONS + 1.5)
_BRACES: Final = b"[]{}"
_LATEX: Final = b"\\$"

_HALF_TRUSTED: Final = 8


@overload
def trusted(words: int) -> float: ...
@overload
def trusted(words: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]: ...
def trusted(words: int | npt.NDArray[np.float64]) -> float | npt.NDArray[np.float64]:
    """What the words of a free text count for: half at eight words. A handful of words is no topic."""
    return words / (words + _HALF_TRUSTED)


def format_of(raw: bytes, dense: npt.NDArray[np.float32]) -> int:
    """Index into `FORMATS`, from the bytes of a text and its dense features."""
    options = dense.item(_OPTIONS)
    if options > _LOG_3:
        return 1 if options > _LOG_MANY else 0
    if dense.item(_CODE_WORK) > 0:
        return 4
    worked = (
        dense.item(_STEM_NUMBERS) > _LOG_3 or any(sign in raw for sign in _BRACES) or sum(map(raw.count, _LATEX)) > 1
    )
    return 2 if worked else OPEN


class Reading(NamedTuple):
    """What one text showed. `raw` is the sum of the other scores."""

    raw: float
    """Higher is harder; unbounded."""
    topic: float
    """From words and pairs of words."""
    shape: float
    """From the trees (multiple choice only)."""
    parts: npt.NDArray[np.float32]
    """From each dense feature, in the order of `features.NAMES`."""
    dense: npt.NDArray[np.float32]
    known_words: int
    words: int
    distinct: set[bytes]
    format: int


class TextScorer:
    """Holds the tables in the shapes scoring wants. Pure and safe to share between threads."""

    def __init__(self, model: Model) -> None:
        words = model.words.tobytes().split(b"\n") if model.words.size else []
        self._seen: dict[bytes, Reading] = {}
        self._row = {word: row for row, word in enumerate(words, 1)}
        lexicons = np.zeros((len(words) + 1, len(features.LEXICONS) + 4), np.float32)
        for word, columns in features.LEXICON_OF.items():
            if row := self._row.get(word, 0):
                lexicons[row, list(columns)] = 1.0
        lexicons[:, -4:-1] = model.word_weight.T
        lexicons[:, -1] = model.meaning
        self._words = lexicons
        # The tables stay integers: half the memory to gather from, and the unit is multiplied in after the sum.
        self._bigrams = [(table, float(unit)) for table, unit in zip(model.bigram_weight, model.scales, strict=True)]
        self._centre, self._spread = model.dense_centre
        self._dense_weight = model.dense_weight
        self._unit = [float(value) for value in model.unit]
        self._constant = [float(value) for value in model.constant]
        self._feature = [table.astype(np.intp).ravel() for table in model.tree_feature]
        self._threshold = [table.ravel() for table in model.tree_threshold]
        self._outcome = [table.astype(np.float32)[:, _LEAF_OF_BITS].ravel() for table in model.tree_outcome]
        self._offset = np.arange(model.tree_outcome.shape[1], dtype=np.intp) * 256

    def read(self, text: str) -> Reading:
        """Score one text. Linear in its length up to `features.MAX_TEXT_BYTES`; never raises.

        The last few readings of texts of ordinary length stay in memory: an agent's loop comes with the same words
        after every result of a tool.
        """
        raw = features.encode(text)
        digest = hashlib.blake2b(raw, digest_size=16).digest()
        found = self._seen.get(digest)
        if found is None:
            found = self._read(raw)
            if found.words <= _LONGEST_KEPT:
                if len(self._seen) >= _MOST_KEPT:
                    # All at once: walking the dictionary to find the oldest would raise when a thread adds to it.
                    self._seen.clear()
                self._seen[digest] = found
        return found

    def _read(self, raw: bytes) -> Reading:
        plain = features.folded(raw)
        words = features.tokens(plain)
        count = len(words)
        rows = np.fromiter(map(self._row.get, words, repeat(0)), np.intp, count)
        known = int(np.count_nonzero(rows))
        sums = np.add.reduce(self._words.take(rows, 0), 0).tolist()
        distinct = set(words)
        dense = features.structure(raw, plain, words, len(distinct), sums[:-4])
        kind = format_of(raw, dense)
        table = TABLE_OF_FORMAT[kind]
        topic = 0.0
        if count:
            topic = (sums[table - 4] + sums[-1] if kind == OPEN else sums[table - 4]) / count**0.5
        if count > 1:
            weights, unit = self._bigrams[table]
            topic += unit * int(np.add.reduce(weights.take(features.bigram_buckets(rows)))) / (count - 1) ** 0.5
        topic *= self._unit[kind] * (trusted(count) if table == 2 else 1.0)
        parts = np.minimum(np.maximum((dense - self._centre) * self._spread, -CUT), CUT) * self._dense_weight[kind]
        shape = 0.0
        if kind < len(self._outcome):
            tests = dense.take(self._feature[kind]) > self._threshold[kind]
            bits = (tests.view(np.uint64) * _PACK >> _HIGHEST_BYTE).view(np.intp)
            shape = self._unit[kind] * float(np.add.reduce(self._outcome[kind].take(self._offset + bits)))
        total = topic + shape + float(np.add.reduce(parts)) + self._constant[kind]
        return Reading(total, topic, shape, parts, dense, known, count, distinct, kind)
