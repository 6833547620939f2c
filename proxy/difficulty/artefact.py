"""The committed weights: what is in the file, how it is written byte for byte the same, how it is read.

Here: `Model` and its two directions. Not here: how the weights are found (`training`) or used (`scoring`).
The file holds words seen in at least a few prompts, hashed n-gram weights and small trees; no prompt is in it.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

VERSION: Final = 1
PATH: Final = Path(__file__).with_name("model.npz")


class ArtefactError(ValueError):
    """The file is no artefact, or one of another version."""


@dataclass(frozen=True, slots=True)
class Model:
    """All that scoring needs. `V` words, `T` trees of depth 3 (7 tests, 128 outcomes of their bits)."""

    words: npt.NDArray[np.uint8]
    """The vocabulary, joined by newlines; row r+1 of the word tables is word r, row 0 any other word."""
    rarity: npt.NDArray[np.float16]
    """(V+1,) log of how seldom prompts use the word."""
    word_weight: npt.NDArray[np.float16]
    """(V+1,) linear weight of one occurrence."""
    bigram_weight: npt.NDArray[np.int8]
    character_weight: npt.NDArray[np.int8]
    """(2, buckets): runs of four and of five bytes."""
    scales: npt.NDArray[np.float32]
    """Units of the int8 tables: bigrams, runs of four, runs of five."""
    tree_feature: npt.NDArray[np.uint8]
    """(T, 8): the feature each test reads; the eighth is idle."""
    tree_threshold: npt.NDArray[np.float32]
    """(T, 8): the test is `value > threshold`."""
    tree_outcome: npt.NDArray[np.float16]
    """(T, 8): value of each leaf, left to right."""
    blend: npt.NDArray[np.float32]
    """Weights of the linear part and of the trees, and a constant."""
    ladder: npt.NDArray[np.float32]
    """Raw score at each of the evenly spaced steps of difficulty from 0 to 1."""


def dump(model: Model) -> bytes:
    """The file's bytes: a plain npz with fixed times, so that the same weights are the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        arrays = {"version": np.array([VERSION], np.int32)} | {
            field.name: getattr(model, field.name) for field in fields(Model)
        }
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, member.getvalue())
    return buffer.getvalue()


def load(path: Path = PATH) -> Model:
    """Read an artefact. Raises `ArtefactError` when it is none or of another version, `OSError` when absent."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            version = int(archive["version"][0])
            if version != VERSION:
                raise ArtefactError(f"{path.name}: version {version}, this code reads {VERSION}; train it anew")
            return Model(**{field.name: archive[field.name] for field in fields(Model)})
    except (KeyError, zipfile.BadZipFile, ValueError) as error:
        if isinstance(error, ArtefactError):
            raise
        raise ArtefactError(f"{path.name}: not a difficulty artefact ({error})") from error
