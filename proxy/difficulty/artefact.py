"""The committed weights: what is in the file, how it is written byte for byte the same, how it is read.

Here: `Model` and its two directions. Not here: how the weights are found (`training`) or used (`scoring`).
The file holds words seen in at least a few prompts, hashed weights of word pairs and small trees; no prompt is in it.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

VERSION: Final = 6
PATH: Final = Path(__file__).with_name("model.npz")


class ArtefactError(ValueError):
    """The file is no artefact, or one of another version."""


@dataclass(frozen=True, slots=True)
class Model:
    """All that scoring needs: `V` words, `F` dense features, `T` trees of depth 3.

    Rows of `dense_weight`, `unit` and `constant` are the `K` formats of `scoring.FORMATS`; the tables of words have one
    row for all formats without options. All parts are in units of the raw score, so scoring only adds.
    """

    words: npt.NDArray[np.uint8]
    """The vocabulary, joined by newlines; row r+1 of the word tables is word r, row 0 any other word."""
    word_weight: npt.NDArray[np.float16]
    """(3, V+1): weight of one occurrence."""
    meaning: npt.NDArray[np.float16]
    """(V+1,): what the word's vector adds to that in open talk."""
    bigram_weight: npt.NDArray[np.int16]
    """(3, buckets)."""
    scales: npt.NDArray[np.float32]
    """(3,): units of the bigram tables."""
    dense_centre: npt.NDArray[np.float32]
    """(2, F): mean and inverse deviation of each dense feature."""
    dense_weight: npt.NDArray[np.float32]
    """(K, F): weight of each standardised feature, which is cut at ±3."""
    unit: npt.NDArray[np.float32]
    """(K,): what words and trees are multiplied by, so that scores of all formats spread alike."""
    constant: npt.NDArray[np.float32]
    """(K,): what a format starts from."""
    tree_feature: npt.NDArray[np.uint8]
    """(2, T, 8): the feature each test reads, for the formats with options; level by level, the eighth idle."""
    tree_threshold: npt.NDArray[np.float32]
    """(2, T, 8): the test is `value > threshold`."""
    tree_outcome: npt.NDArray[np.float16]
    """(2, T, 8): value of each leaf, left to right."""
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
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            version = int(archive["version"][0])
            if version != VERSION:
                raise ArtefactError(f"{path.name}: version {version}, this code reads {VERSION}; train it anew")
            return Model(**{field.name: archive[field.name] for field in fields(Model)})
    except (KeyError, zipfile.BadZipFile, ValueError) as error:
        if isinstance(error, ArtefactError):
            raise
        raise ArtefactError(f"{path.name}: not a difficulty artefact ({error})") from error
