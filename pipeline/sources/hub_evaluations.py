"""Evaluation results on the Hugging Face Hub: what official benchmarks' leaderboards say, verified and community apart.

Repositories keep scores in `.eval_results/`, and the Hub gathers them in a leaderboard a benchmark; this reads the
leaderboards as https://huggingface.co/docs/hub/leaderboard-data-guide describes them. Written from that page and not
yet tried on live answers. The Open LLM Leaderboard, which it follows, is in `huggingface.py`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pipeline.settings import Settings
from pipeline.sources import values
from pipeline.sources.source import (
    FetchError,
    Parsed,
    Payload,
    PayloadRefusedError,
    Refused,
    Schema,
    Sighting,
    Source,
    Table,
    Web,
    observations,
)
from pipeline.sources.values import BadValueError

HUB = "https://huggingface.co/api/datasets"

EVALUATIONS: Schema = {
    "huggingface_id": pl.String,
    "benchmark": pl.String,
    "filename": pl.String,
    "is_verified": pl.Boolean,
    "score": pl.Float64,
    "rank": pl.Int64,
    "observed_at": pl.Datetime("us"),
}

HIGHEST_SCORE = 1e6
"""Scores are shares, percents or points; more is a slip."""


def _evaluation(entry: object, benchmark: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise BadValueError(f"the entry is a {type(entry).__name__}")
    huggingface_id = values.required_text(entry.get("modelId"), "modelId")
    score = None if isinstance(entry.get("value"), str) else values.number(entry.get("value"))
    if score is None or abs(score) > HIGHEST_SCORE:
        raise BadValueError(f"value is {str(entry.get('value'))[:40]!r}")
    return {
        "huggingface_id": huggingface_id,
        "benchmark": benchmark,
        # One repository may be on a board twice: with and without tools, say.
        "filename": values.text(entry.get("filename")) or "",
        # Nobody has checked what does not say that somebody did.
        "is_verified": values.truth(entry.get("verified")) is True,
        "score": score,
        "rank": values.count(entry.get("rank")) or None,
    }


def observe(frame: pl.DataFrame) -> pl.DataFrame:
    """Scores as history rows of the repository; the scope says benchmark, file, and whether it was verified."""
    kind = pl.when("is_verified").then(pl.lit("verified")).otherwise(pl.lit("community"))
    scope = pl.concat_str(["benchmark", "filename", kind], separator=" ")
    renamed = frame.rename({"score": "evaluation_score"})
    return observations(renamed, "huggingface", "huggingface_id", ["evaluation_score"], scope)


def parse_leaderboards(body: bytes, sighting: Sighting) -> Parsed:
    """Leaderboards as `collect` joins them. Raises `PayloadRefusedError`."""
    rows: dict[tuple[object, ...], dict[str, Any]] = {}
    refused: list[Refused] = []
    for board in map(values.mapping, values.entries(body, "leaderboards")):
        benchmark, entries = values.text(board.get("benchmark")), board.get("entries")
        if benchmark is None or not isinstance(entries, list):
            refused.append(Refused(benchmark or "a leaderboard", "it has no name or no entries", board))
            continue
        for position, entry in enumerate(entries):
            reference = f"{benchmark} {values.text(values.mapping(entry).get('modelId')) or f'entry {position}'}"
            try:
                row = _evaluation(entry, benchmark)
            except BadValueError as error:
                refused.append(Refused(reference, str(error), entry))
                continue
            key = tuple(row[name] for name in ("huggingface_id", "benchmark", "filename", "is_verified"))
            if key in rows:
                refused.append(Refused(reference, "a second row under the same key", entry))
                continue
            rows[key] = row
    if not rows:
        raise PayloadRefusedError("no leaderboard holds a score that can be read")
    frame = pl.DataFrame(
        [{**rows[key], "observed_at": sighting.observed_at} for key in sorted(rows, key=str)], schema=dict(EVALUATIONS)
    )
    return Parsed({"hub_evaluations": frame}, observe(frame), refused, sighting.observed_at)


def collect(web: Web, wanted: Sequence[tuple[Any, ...]], settings: Settings) -> bytes:
    """Every official benchmark's leaderboard, joined. One that does not answer (a gated one, say) is left out.

    Raises `FetchError` when there is no list of benchmarks, or none of them answers.
    """
    del wanted
    listed = web.get(f"{HUB}?filter=benchmark:official", headers=_headers(settings))
    found = values.document(listed.body)
    names = [name for entry in found if (name := values.text(values.mapping(entry).get("id")))] if isinstance(
        found, list
    ) else []  # fmt: skip
    boards = []
    answers = web.get_all([f"{HUB}/{name}/leaderboard" for name in names], headers=_headers(settings))
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, FetchError):
            continue
        try:
            boards.append({"benchmark": name, "entries": values.document(answer.body)})
        except PayloadRefusedError:
            continue
    if not boards:
        raise FetchError(f"{HUB}: none of {len(names)} benchmarks has a leaderboard that answers")
    return json.dumps({"leaderboards": boards}, separators=(",", ":")).encode()


def _headers(settings: Settings) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {settings.hugging_face_token}"} if settings.hugging_face_token else {}


def _payloads(settings: Settings) -> Sequence[Payload]:
    del settings
    return (
        Payload(
            name="leaderboards",
            parse=parse_leaderboards,
            tables=("hub_evaluations",),
            collect=collect,
            collected_from=f"{HUB}/*/leaderboard",
            patterns=("huggingface/evaluations-*.json",),
            attribution="Evaluation results on the Hugging Face Hub, by their submitters (huggingface.co)",
            cache_for=dt.timedelta(hours=20),
        ),
    )


SOURCE = Source(
    name="hub_evaluations",
    step="hub_evaluations",
    tables=(
        Table(
            "hub_evaluations",
            EVALUATIONS,
            "Official benchmarks' leaderboards on the Hub: one row a repository, result file and standing.",
            observe=observe,
        ),
    ),
    payloads=_payloads,
    url="https://huggingface.co/docs/hub/eval-results",
    stale_after=dt.timedelta(days=7),
    is_optional=True,
)
