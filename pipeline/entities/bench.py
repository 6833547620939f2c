"""Linkage at size: realistic records made of real ones, with known truth, and what linking them costs and gets right.

Copies of a real name are mirrors and quantisations (the same model), fine-tunes and other sizes or dates (another
one) and slips of the pen (the same). Run by `orchestrator bench linkage`.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.entities import linkage, records

SEED = 7

QUANTS = ("GGUF", "AWQ", "GPTQ-Int4", "bnb-4bit", "FP8", "MLX-4bit", "EXL2", "NVFP4", "w4a16", "Q4_K_M-GGUF", "i1-GGUF")
MIRRORS = ("unsloth", "bartowski", "mradermacher", "TheBloke", "lmstudio-community", "mlx-community", "QuantFactory")
TRAININGS = ("sft", "dpo", "lora", "abliterated", "uncensored", "orpo", "merged", "grpo", "slerp")
CATALOGUED = 0.05
"""Share of originals that a marketplace and a leaderboard list too."""
SYLLABLES = ("ka", "ro", "mi", "ta", "lun", "ve", "sor", "ne", "phi", "zan", "del", "or", "bri", "qua", "tex", "ul")


@dataclass(frozen=True)
class Made:
    """Generated records and the truth about them."""

    frame: pl.DataFrame
    truth: list[str]
    """Model of every record, in the frame's order."""


@dataclass(frozen=True)
class Result:
    """What a run cost and got right."""

    records: int
    seconds: float
    cpu_seconds: float
    """Processor time of this process and its workers."""
    peak_memory_mib: float
    comparisons: int
    units: int
    precision: float
    recall: float


def make(seeds: pl.DataFrame, count: int, seed: int = SEED) -> Made:
    """`count` records grown from the repositories in `seeds`: about a third originals and catalogue names, a third
    conversions, a third fine-tunes."""
    chance = random.Random(seed)  # noqa: S311 (no secret hangs on it)
    originals = _originals(seeds)
    rows: list[tuple[str, str, str, float | None]] = []
    truth: list[str] = []
    seen: set[tuple[str, str]] = set()

    def add(source: str, record_id: str, model: str) -> None:
        if (source, record_id.lower()) not in seen and len(rows) < count:
            seen.add((source, record_id.lower()))
            rows.append((source, record_id, record_id, None))
            truth.append(model)

    round_number = 0
    while len(rows) < count:
        for original in originals:
            if len(rows) >= count:
                break
            author, _, name = original.partition("/")
            if round_number:
                # another family: the real name's shape with a word of its own
                word = "".join(chance.choice(SYLLABLES) for _ in range(chance.randint(3, 4)))
                author, name = f"{word[:4]}{chance.randint(10, 99)}-lab", f"{word.capitalize()}-{name}"
            model = f"{author}/{name}"
            add("huggingface", model, model)
            if chance.random() < CATALOGUED:
                add("openrouter", f"{author}/{name}".lower(), model)
                add("lmsys_arena", _retold(chance, name), model)
            for _ in range(chance.choice((0, 0, 0, 1, 1, 2, 3))):
                add("huggingface", f"{chance.choice(MIRRORS)}/{name}-{chance.choice(QUANTS)}", model)
            for _ in range(chance.choice((0, 0, 1, 1, 2))):
                tuner = "".join(chance.choice(SYLLABLES) for _ in range(3)) + str(chance.randint(1, 999))
                kind = chance.choice(TRAININGS)
                tuned = f"{tuner}/{name}-{kind}-{chance.choice(SYLLABLES)}{chance.choice(SYLLABLES)}"
                add("huggingface", tuned, tuned)
                if chance.random() < 0.3:
                    add(
                        "huggingface",
                        f"{chance.choice(MIRRORS)}/{tuned.partition('/')[2]}-{chance.choice(QUANTS)}",
                        tuned,
                    )
        round_number += 1
    frame = records.frame(
        [{"source": source, "record_id": record_id, "name": name} for source, record_id, name, _ in rows]
    )
    model_of = {(source, record_id): model for (source, record_id, _, _), model in zip(rows, truth, strict=True)}
    ordered = [model_of[key] for key in frame.select("source", "record_id").iter_rows()]
    return Made(frame, ordered)


def _originals(seeds: pl.DataFrame) -> list[str]:
    """Repositories that are nobody's copy: one author a name, no format in it, no known mirror."""
    parsed = records.take_apart(seeds.filter(pl.col("source") == "huggingface"))
    signature = (
        "words",
        "tier",
        "modality",
        "training",
        "mode",
        "version",
        "size",
        "active",
        "context",
        "date",
        "stage",
    )
    plain = parsed.filter(
        (pl.col("quantization") == "") & ~pl.col("is_mirror") & ~pl.col("is_garbage") & (pl.col("words") != "")
    )
    one = plain.unique(signature, keep="none")
    return [name for name in sorted(one["record_id"].to_list()) if name.count("/") == 1 and len(name) < 90]


def _retold(chance: random.Random, name: str) -> str:
    """A name as another source tells it: lower case, dashes for dots, now and then a slip of the pen."""
    told = name.lower()
    if chance.random() < 0.3:
        told = told.replace("_", "-")
    if chance.random() < 0.05 and len(told) > 12:
        at = next((i for i in range(2, len(told) - 1) if told[i].isalpha() and told[i + 1].isalpha()), 0)
        told = told[:at] + told[at + 1] + told[at] + told[at + 2 :] if at else told
    return told


def run(made: Made, model: linkage.TrainedModel | None = None, threads: int = 2) -> Result:
    """Link what was made and measure it: wall and processor time, peak memory, pairwise precision and recall."""
    begun, cpu_begun = time.perf_counter(), _cpu_seconds()
    with _PeakMemory() as peak:
        linked = linkage.link(made.frame, model, threads=threads)
    seconds, cpu_seconds = time.perf_counter() - begun, _cpu_seconds() - cpu_begun
    found = linked.records.select("source", "record_id", "cluster_id").with_columns(truth=pl.Series(made.truth))
    both = _pairs(found.group_by("cluster_id", "truth").len()["len"])
    predicted = _pairs(found.group_by("cluster_id").len()["len"])
    wanted = _pairs(found.group_by("truth").len()["len"])
    return Result(
        records=made.frame.height,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        peak_memory_mib=peak.mib,
        comparisons=linked.compared,
        units=linked.records["unit_id"].n_unique(),
        precision=both / predicted if predicted else 1.0,
        recall=both / wanted if wanted else 1.0,
    )


class _PeakMemory:
    """Highest resident memory of this process and its workers together, looked at twenty times a second.

    The kernel's own high-water mark of a child starts at its parent's size, so it cannot be added up.
    """

    def __init__(self) -> None:
        self.mib = 0.0
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _PeakMemory:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self.mib = max(self.mib, _resident_mib())


def _resident_mib() -> float:
    total = 0.0
    for process in (os.getpid(), *(child.pid for child in multiprocessing.active_children())):
        try:
            pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]
        except (OSError, IndexError):
            continue
        total += int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return total


def _cpu_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _pairs(sizes: pl.Series) -> int:
    return int((sizes.cast(pl.Int64) * (sizes.cast(pl.Int64) - 1) // 2).sum())
