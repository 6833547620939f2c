"""Generated records with known truth: right at size, and cost in step with the number of records."""

from __future__ import annotations

import pytest

from pipeline.entities import bench, records

NAMES = [
    f"{author}/{family}-{version}-{size}B-{stage}"
    for author, family in (("qwen", "Qwen"), ("meta-llama", "Llama"), ("ann", "Quokka"), ("bob", "Numbat"))
    for version in ("2", "2.5", "3")
    for size in ("1", "7", "70")
    for stage in ("Instruct", "Base")
]
SEEDS = records.frame([{"source": "huggingface", "record_id": name, "name": name} for name in NAMES])


def test_generated_records_are_the_same_every_time() -> None:
    """The same seed, the same names and truth."""
    one, other = bench.make(SEEDS, 500), bench.make(SEEDS, 500)

    assert one.frame.equals(other.frame)
    assert one.truth == other.truth
    assert one.frame.height == 500


def test_generated_records_are_linked_right() -> None:
    """Conversions and catalogue names join their model, fine-tunes do not."""
    result = bench.run(bench.make(SEEDS, 5_000))

    assert result.precision >= 0.99
    assert result.recall >= 0.97


@pytest.mark.performance
def test_cost_grows_in_step_with_the_records() -> None:
    """Four times the records, at most six times the processor time and eight times the pairs."""
    small = bench.run(bench.make(SEEDS, 20_000))

    large = bench.run(bench.make(SEEDS, 80_000))

    assert large.cpu_seconds <= 6 * small.cpu_seconds
    assert large.comparisons <= 8 * max(small.comparisons, 100)
