"""The measure, on cases small enough to work out by hand, and the reading of outcome folders."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from proxy.difficulty import artefact, evaluation, measure, outcomes, vectors
from proxy.difficulty.__main__ import main
from tests.conftest import RECORDINGS, needs_recordings


def gains(*values: float) -> np.ndarray:
    return np.array(values, float)[:, None]


def test_all_gains_first_is_the_best_area_and_last_the_worst() -> None:
    best = measure.apgr(gains(1, 1, 1, 1, 1, 0, 0, 0, 0, 0))[0]
    worst = measure.apgr(gains(0, 0, 0, 0, 0, 1, 1, 1, 1, 1))[0]
    assert best == pytest.approx(0.75)
    assert worst == pytest.approx(0.25)
    assert measure.apgr(gains(*[1] * 10))[0] == pytest.approx(0.5)


def test_cpt_is_the_smallest_share_that_wins_back_so_much() -> None:
    ordered = gains(1, 0, 1, 0, 0, 1, 0, 1, 0, 0)
    assert measure.cpt(ordered, 0.5)[0] == pytest.approx(0.3)
    assert measure.cpt(ordered, 0.8)[0] == pytest.approx(0.8)


def test_calls_for_quality_counts_from_the_weak_models_own() -> None:
    share = measure.calls_for_quality(gains(1, 1, 0, 0), np.array([0.5]), np.array([1.0]), 0.75)
    assert share[0] == pytest.approx(0.25)


def test_equal_scores_are_worth_random() -> None:
    rng = np.random.default_rng(3)
    gain = rng.integers(-1, 2, (2_000, 1)) + 0.2
    areas = [measure.apgr(gain[measure.order(np.zeros(2_000), seed)])[0] for seed in range(40)]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.03)


def write(directory: Path, lines: list[bytes]) -> Path:
    (directory / "tiny").mkdir()
    with gzip.open(directory / "tiny" / "data.jsonl.gz", "wb") as file:
        file.write(b"\n".join(lines))
    return directory


def test_a_folder_is_read_with_unknown_grades_left_unknown(tmp_path: Path) -> None:
    rows = [
        {"id": "1", "group": "g", "prompt": "one", "scores": {"big": 10, "small": 1}},
        {"id": "2", "group": "g", "prompt": "two", "scores": {"big": 10}},
    ]
    (found,) = outcomes.read_folder(write(tmp_path, [json.dumps(row).encode() for row in rows]))
    assert found.name == "tiny"
    assert found.models == ("big", "small")
    assert found.quality[0].tolist() == [1.0, 0.0]
    assert np.isnan(found.quality[1, 1])
    assert outcomes.pairs(found).tolist() == [[0, 1]]


@pytest.mark.parametrize("line", [b"{", b'{"id": "1", "prompt": "x", "scores": {}}', b'{"id": 1}'])
def test_a_malformed_line_is_named(tmp_path: Path, line: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, [line])
    with pytest.raises(outcomes.OutcomesError, match="line 1"):
        outcomes.read_folder(folder)
    assert main(["evaluate", "--data", str(folder)]) == 2
    assert "line 1" in capsys.readouterr().err


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(outcomes.OutcomesError, match="no <set>"):
        outcomes.read_folder(tmp_path)


def test_an_artefact_survives_writing_and_another_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = artefact.load()
    content = artefact.dump(model)
    assert content == artefact.PATH.read_bytes()
    assert len(content) <= 5_000_000
    monkeypatch.setattr(artefact, "VERSION", 999)
    with pytest.raises(artefact.ArtefactError, match="version"):
        artefact.load()
    broken = tmp_path / "model.npz"
    broken.write_bytes(content[:1000])
    with pytest.raises(artefact.ArtefactError, match="not a difficulty artefact"):
        artefact.load(broken)


def test_flagships_are_the_best_two_against_what_one_would_try_first() -> None:
    """Half to nine tenths of the strong one's mean grade: neither a twin nor a model that serves nobody."""
    means = {"best": 0.90, "second": 0.80, "twin": 0.78, "cheap": 0.60, "small": 0.42, "tiny": 0.20}
    quality = np.array([list(means.values())] * 4)
    found = outcomes.flagships(
        outcomes.OutcomeSet("s", ("1", "2", "3", "4"), ("g",) * 4, ("p",) * 4, tuple(means), quality)
    )
    names = list(means)
    assert {(names[strong], names[weak]) for strong, weak in found} == {
        ("best", "second"),
        ("best", "twin"),
        ("best", "cheap"),
        ("second", "cheap"),
        ("second", "small"),
    }


def test_the_vectors_hold_words_and_put_like_beside_like() -> None:
    held = vectors.load()
    assert held.values.shape == (vectors.WORDS, vectors.DIMENSIONS) == (len(held.words), vectors.DIMENSIONS)
    row = {word: index for index, word in enumerate(held.words)}

    def likeness(one: bytes, other: bytes) -> float:
        a, b = held.values[row[one]], held.values[row[other]]
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert likeness(b"monday", b"tuesday") > 0.9 > 0.4 > likeness(b"monday", b"enzyme")


@needs_recordings
def test_the_report_beats_its_baselines_on_a_sample(capsys: pytest.CaptureFixture[str]) -> None:
    folder = RECORDINGS / "routing"
    assert main(["evaluate", "--data", str(folder), "--sample", "150", "--no-training"]) == 0
    means = {
        line[13:35].strip(): float(line[36:42])
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("mean")
    }
    assert means["random"] == pytest.approx(0.5, abs=0.03)
    assert means["artefact (has seen it)"] > max(means["length"], means["keywords"], 0.55)


@needs_recordings
@pytest.mark.performance
@pytest.mark.timeout(2700)
def test_training_remakes_the_committed_artefact_and_carries_over() -> None:
    pytest.importorskip("lightgbm", reason="the extra `train` is not installed")
    pytest.importorskip("scipy", reason="the extra `train` is not installed")
    from proxy.difficulty import training

    sets = outcomes.read_folder(RECORDINGS / "routing")
    assert artefact.dump(training.train(sets)) == artefact.PATH.read_bytes()
    left_out = []
    for held in sets:
        scores = evaluation.scored_by(training.train([other for other in sets if other is not held]))(held.prompts)
        left_out.append(evaluation.figures(held, scores)[0])
    assert np.mean(left_out) > 0.535


def test_each_protocol_holds_back_what_it_says() -> None:
    """Thirds hold each prompt back once, groups whole groups of the sets that have enough, sets whole sets."""
    many = outcomes.OutcomeSet(
        "many",
        tuple(map(str, range(60))),
        tuple(f"g{n % 12}" for n in range(60)),
        tuple(map(str, range(60))),
        ("a", "b"),
        np.zeros((60, 2)),
    )
    one = outcomes.OutcomeSet("one", ("x", "y", "z"), ("g", "g", "g"), ("x", "y", "z"), ("a", "b"), np.zeros((3, 2)))
    thirds = evaluation.random_thirds([many, one])
    assert np.sum([fold[0] for fold in thirds], axis=0).tolist() == [1] * 60
    assert np.sum([fold[1] for fold in thirds], axis=0).tolist() == [1, 1, 1]
    groups = evaluation.whole_groups([many, one])
    assert np.sum([fold[0] for fold in groups], axis=0).tolist() == [1] * 60
    assert not any(fold[1].any() for fold in groups)
    for held, _ in groups:
        inside = {group for group, away in zip(many.groups, held, strict=True) if away}
        outside = {group for group, away in zip(many.groups, held, strict=True) if not away}
        assert not inside & outside
    assert [[bool(held.all()) for held in fold] for fold in evaluation.whole_sets([many, one])] == [
        [True, False],
        [False, True],
    ]
