"""What a text shows about its difficulty, read in one pass and a few dozen microseconds.

Here: bytes to tokens, structure, lexicon and word-pair buckets; the same code serves and trains. Not here:
weights (`artefact`), what a request's text is (`conversation`), or any decision.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]

MAX_TEXT_BYTES: Final = 32 * 1024
"""Longer text is sampled: its head and its tail, where people put the question."""

BIGRAM_BUCKETS: Final = 1 << 16

# One byte each: letters folded to lower case, every digit to `0` (so `1998` and `2024` are one token), the
# rest of ASCII to a space. Bytes above 127 stay, so other scripts keep their words.
_FOLD: Final = bytes(
    byte + 32 if 65 <= byte <= 90 else byte if 97 <= byte <= 122 or byte >= 128 else 48 if 48 <= byte <= 57 else 32
    for byte in range(256)
)

_DIGITS: Final = bytes(byte if 48 <= byte <= 57 else 32 for byte in range(256))

# Answer options, one a line: `A. …`, `(B) …`, `3) …`. Two or more make a multiple-choice question.
_OPTION: Final = re.compile(rb"\n[ \t]*(?:\(?[A-Pa-p][.):]|\(?[1-9][.)])[ \t]+\S")

# Signs of code in a free text of several lines, and what is counted of it.
_CODE_SIGNS: Final = (b"```", b"def ", b";\n", b"{\n")
_LITERAL: Final = re.compile(rb"'[^'\n]*'|\"[^\"\n]*\"")
_CALL: Final = re.compile(rb"\.\w+\(")
_ARITHMETIC: Final = b"+-*/%<>"

_WORDS: Final[dict[str, str]] = {
    "negation": "not no never except cannot without neither nor false incorrect least isnt doesnt dont none "
    "unlikely isn doesn don aren wasn won",
    "quantity": "each every total altogether many much more less than times twice half per percent sum "
    "difference remaining left average ratio rate cost costs price speed hour hours minute minutes day days "
    "week weeks mile miles dollars cents number both double triple another rest sells buys earns spends "
    "profit discount how",
    "mathematics": "equation equations integer integers polynomial function real positive triangle circle square "
    "prime divisor divisible probability matrix vector angle sequence product root roots digit digits "
    "modulo factor graph axis line degree radius area volume perimeter coordinates log sin cos tan frac "
    "sqrt theorem proof converge derivative integral eigenvalue",
    "reasoning": "why how prove explain determine calculate compute derive find evaluate assume therefore "
    "because implies must analyze analyse compare conclude deduce infer solve step steps optimal "
    "efficient complexity concurrent deadlock race",
    "condition": "if suppose assume given when then else unless otherwise let where such exactly only",
    "code": "def return function class import while python javascript java sql string array int print self "
    "var const null none true false html css api async await struct void lambda range len append regex "
    "bug error exception traceback stack test tests refactor implement compile",
    "creative": "write story poem essay letter email article imagine roleplay act blog script song haiku "
    "character style tone slogan tweet joke",
    "definition": "who which what where when following called named defined refers term best known "
    "describes example type",
    "person": "he she his her him i my you your they their we me our us",
    "simple": "hello hi hey thanks thank please ok okay yes list summarize summarise title translate rename "
    "format capital spell convert rewrite paraphrase",
}
LEXICONS: Final = tuple(_WORDS)
LEXICON_OF: Final[dict[bytes, tuple[int, ...]]] = {}
for _column, _text in enumerate(_WORDS.values()):
    for _word in _text.split():
        LEXICON_OF[_word.encode()] = (*LEXICON_OF.get(_word.encode(), ()), _column)

_LOGGED: Final = (
    "length",
    "tokens",
    "stem_length",
    "options",
    "option_length",
    "numbers",
    "stem_numbers",
    "distinct_numbers",
    "longest_number",
    "stem_sentence_length",
    *(f"{name}_words" for name in LEXICONS),
)
NAMES: Final[tuple[str, ...]] = (
    *_LOGGED,
    "option_digits",
    "option_spread",
    "option_repeats",
    "number_share",
    "word_length",
    "word_variety",
    "sentence_length",
    "code_work",
)
"""The dense features. Those of `_LOGGED` are log(1 + count). Of a question with answer options, the stem is what comes
before them; `distinct_numbers` and `longest_number` (its digits) are counted in such stems only, `code_work` without
options only."""

_FEW: Final = 2


def encode(text: str) -> bytes:
    """UTF-8 of `text`, sampled to `MAX_TEXT_BYTES`: three parts of the head to one of the tail."""
    if len(text) > MAX_TEXT_BYTES:
        tail = MAX_TEXT_BYTES // 4
        text = text[: MAX_TEXT_BYTES - tail] + "\n" + text[-tail:]
    raw = text.encode("utf-8", "replace")
    if len(raw) > MAX_TEXT_BYTES:
        tail = MAX_TEXT_BYTES // 4
        raw = raw[: MAX_TEXT_BYTES - tail - 1] + b"\n" + raw[-tail:]
    return raw


def folded(raw: bytes) -> bytes:
    """Lower case, every digit written 0, apostrophes dropped, all other ASCII signs a space."""
    return raw.translate(_FOLD, b"'")


def tokens(plain: bytes) -> list[bytes]:
    """Words and numbers in order, from what `folded` gave."""
    return plain.split()


def bigram_buckets(rows: Indices) -> Indices:
    """A bucket for each pair of neighbouring words, from their vocabulary rows."""
    return (rows[:-1] * 40503 + rows[1:] * 30011) & (BIGRAM_BUCKETS - 1)


def code_work(raw: bytes) -> float:
    """How much there is to run through in code: 0 in a text without code.

    The sum of log(1 + count) over assignments, loops, method calls, bytes of literals, brackets and arithmetic
    signs. No weight is fitted: more of anything is more to keep in mind.
    """
    if not any(sign in raw for sign in _CODE_SIGNS):
        return 0.0
    return math.log(
        (1 + raw.count(b" = "))
        * (1 + raw.count(b"for ") + raw.count(b"while "))
        * (1 + len(_CALL.findall(raw)))
        * (1 + sum(map(len, _LITERAL.findall(raw))))
        * (1 + raw.count(b"["))
        * (1 + len(raw) - len(raw.translate(None, _ARITHMETIC)))
    )


def _spread(sizes: list[int]) -> float:
    """Deviation of `sizes` over their mean: 0 when all are alike."""
    mean = sum(sizes) / len(sizes)
    return math.sqrt(max(0.0, sum(size * size for size in sizes) / len(sizes) - mean * mean)) / mean


def structure(raw: bytes, plain: bytes, words: list[bytes], distinct: int, lexicons: list[float]) -> Floats:
    """The dense features, in the order of `NAMES`.

    `plain` and `words` are what `folded` and `tokens` made of `raw`, `distinct` the number of different words,
    `lexicons` how many of them are in each of `LEXICONS`.
    """
    size, count = max(1, len(raw)), max(1, len(words))
    numbers = plain.count(b" 0") + plain.startswith(b"0")
    letters = len(plain) - plain.count(b" ") - plain.count(b"0")
    stem, options, option_length, option_digits, stem_numbers = size, 0, 0.0, 0.0, numbers
    option_spread, option_repeats, distinct_numbers, longest_number, code = 0.0, 0.0, 0, 0, 0.0
    if b"\n" in raw:
        marks = [match.start() for match in _OPTION.finditer(raw)]
        if len(marks) >= _FEW:
            stem, options = max(1, marks[0]), len(marks)
            option_length = (size - stem) / options
            answers = plain[stem:]
            option_digits = answers.count(b"0") / max(1, size - stem)
            option_spread = _spread([after - before for before, after in pairwise((*marks, size))])
            told = answers.split()
            option_repeats = 1.0 - len(set(told)) / max(1, len(told))
            stem_numbers = plain.count(b" 0", 0, stem) + plain.startswith(b"0")
            if stem_numbers:
                found = set(raw[:stem].translate(_DIGITS).split())
                distinct_numbers, longest_number = len(found), max(map(len, found), default=0)
        else:
            code = code_work(raw)
    sentences = 1 + raw.count(b". ", 0, stem) + raw.count(b"? ", 0, stem)
    dense = np.array(
        (
            size,
            count,
            stem,
            options,
            option_length,
            numbers,
            stem_numbers,
            distinct_numbers,
            longest_number,
            stem / sentences,
            *lexicons,
            option_digits,
            option_spread,
            option_repeats,
            numbers / count,
            letters / count,
            distinct / count,
            count / (1.0 + raw.count(b".") + raw.count(b"!") + raw.count(b"?")),
            code,
        ),
        np.float32,
    )
    counts = dense[: len(_LOGGED)]
    np.log1p(counts, counts)
    return dense
