"""Hugging Face: the two Open LLM Leaderboards (ended, kept) and facts about the Hub's repositories that matter.

A repository matters when many people download it or another source names it. Scores are the leaderboards' own,
0 to 100; the Hub's prose stays out.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

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

LEADERBOARD_ATTRIBUTION = "Open LLM Leaderboard (Hugging Face H4, open-llm-leaderboard)"
HUB_ATTRIBUTION = "Hugging Face Hub (huggingface.co)"

SCORES = {
    "v2": ("average", "ifeval", "bbh", "math", "gpqa", "musr", "mmlu_pro"),
    "v1": ("average", "arc", "hellaswag", "mmlu", "truthfulqa", "winogrande", "gsm8k"),
}
"""Score columns of each leaderboard, 0 to 100 (v2: normalised)."""

BENCHMARKS: Schema = {
    "huggingface_id": pl.String,
    "leaderboard": pl.String,
    "precision": pl.String,
    "model_sha": pl.String,
    **{score: pl.Float64 for scores in SCORES.values() for score in scores},
    "params_b": pl.Float64,
    "model_type": pl.String,
    "architecture": pl.String,
    "is_merged": pl.Boolean,
    "is_moe": pl.Boolean,
    "is_flagged": pl.Boolean,
    "is_official": pl.Boolean,
    "base_model": pl.String,
    "license": pl.String,
    "has_chat_template": pl.Boolean,
    "uploaded_on": pl.Date,
    "submitted_on": pl.Date,
    "observed_at": pl.Datetime("us"),
}

REPOSITORIES: Schema = {
    "huggingface_id": pl.String,
    "author": pl.String,
    "downloads": pl.Int64,
    "likes": pl.Int64,
    "pipeline_tag": pl.String,
    "library_name": pl.String,
    "license": pl.String,
    "architecture": pl.String,
    "params_b": pl.Float64,
    "context_tokens": pl.Int64,
    "base_models": pl.List(pl.String),
    "tags": pl.List(pl.String),
    "gguf_sources": pl.List(pl.String),
    "gated": pl.String,
    "created_at": pl.Datetime("us"),
    "modified_at": pl.Datetime("us"),
    "observed_at": pl.Datetime("us"),
}

HIGHEST_PARAMS_B = 20_000.0
LONGEST_CONTEXT_TOKENS = 10_485_760
"""Longer windows in a repository's configuration are placeholders (16,777,216 and more are seen)."""

TEXT_TASKS = frozenset(
    {
        "text-generation",
        "image-text-to-text",
        "any-to-any",
        "text2text-generation",
        "audio-text-to-text",
        "conversational",
    }
)
"""Tasks of repositories that could answer a chat."""

NAMED_REPOSITORIES_AT_MOST = 200
"""Repositories another source names and no page lists are asked for one by one, up to this many a run."""

ARCHIVE_DOWNLOADS_AT_LEAST = 1_000

_TEST_REPOSITORY = re.compile(r"tiny[-_]?random|internal-testing|^hf-internal|[-_/]dummy|[-_/]testing\b", re.IGNORECASE)

# Where each column is found, by its name without signs and case (values.column_key), in order of preference.
_COLUMNS: dict[str, tuple[str, ...]] = {
    "huggingface_id": ("fullname", "modelname", "model"),
    "precision": ("precision", "modelprecision"),
    "model_sha": ("modelsha",),
    "average": ("average", "modelaveragescore"),
    "ifeval": ("ifeval", "evaluationsifevalnormalizedscore"),
    "bbh": ("bbh", "evaluationsbbhnormalizedscore"),
    "math": ("mathlvl5", "evaluationsmathnormalizedscore"),
    "gpqa": ("gpqa", "evaluationsgpqanormalizedscore"),
    "musr": ("musr", "evaluationsmusrnormalizedscore"),
    "mmlu_pro": ("mmlupro", "evaluationsmmlupronormalizedscore"),
    "arc": ("arc",),
    "hellaswag": ("hellaswag",),
    "mmlu": ("mmlu",),
    "truthfulqa": ("truthfulqa",),
    "winogrande": ("winogrande",),
    "gsm8k": ("gsm8k",),
    "params_b": ("paramsb", "metadataparamsbillions"),
    "model_type": ("type", "modeltype"),
    "architecture": ("architecture", "modelarchitecture"),
    "is_merged": ("merged", "featuresismerged"),
    "is_moe": ("moe", "featuresismoe"),
    "is_flagged": ("flagged", "featuresisflagged"),
    "is_official": ("officialproviders", "featuresisofficialprovider"),
    "base_model": ("basemodel", "metadatabasemodel"),
    "license": ("hublicense", "metadatahublicense"),
    "has_chat_template": ("chattemplate", "modelhaschattemplate"),
    "uploaded_on": ("uploadtohubdate", "metadatauploaddate"),
    "submitted_on": ("submissiondate", "metadatasubmissiondate", "date"),
}

_MODEL_TYPES = (
    ("continuously", "continued"),
    ("pretrained", "pretrained"),
    ("chat", "chat"),
    ("fine-tuned", "fine-tuned"),
    ("merge", "merge"),
    ("multimodal", "multimodal"),
)


def _leaderboard_frame(body: bytes) -> pl.DataFrame:
    """The payload as a frame with its own columns, whichever of CSV, Parquet and paged JSON it is."""
    start = body.lstrip()[:1]
    try:
        if body[:4] == b"PAR1":
            return pl.read_parquet(io.BytesIO(body))
        if start in (b"{", b"[", b"<") or not start:
            rows = [values.mapping(entry).get("row") for entry in values.entries(body, "rows")]
            return pl.DataFrame([row for row in rows if isinstance(row, dict)], infer_schema_length=None)
        return pl.read_csv(io.BytesIO(body), infer_schema=False)
    except PayloadRefusedError:
        raise
    except Exception as error:
        raise PayloadRefusedError(f"not a readable table, perhaps cut off: {str(error)[:120]}") from error


def _clean(column: pl.Expr) -> pl.Expr:
    stripped = column.cast(pl.String).str.strip_chars()
    return pl.when(stripped != "").then(stripped)


def _flag(column: pl.Expr) -> pl.Expr:
    lower = column.cast(pl.String).str.to_lowercase()
    return pl.when(lower.is_in(["true", "1"])).then(True).when(lower.is_in(["false", "0"])).then(False)


def parse_leaderboard(body: bytes, sighting: Sighting) -> Parsed:
    """Scores of leaderboard `sighting.scope` ('v1' or 'v2'), one row a repository, precision and revision.

    Columns are found by their letters alone, so arrows, emoji and spelling do not matter; HTML in `Model` is taken
    off. Raises `PayloadRefusedError`.
    """
    raw = _leaderboard_frame(body)
    by_key = {values.column_key(column): column for column in reversed(raw.columns)}
    found = {column: next((by_key[key] for key in keys if key in by_key), None) for column, keys in _COLUMNS.items()}
    scores = SCORES[sighting.scope]
    missing = [column for column in ("huggingface_id", *scores) if found[column] is None]
    if missing:
        raise PayloadRefusedError(f"no column for {', '.join(missing)}; there are {raw.columns[:12]}")
    if raw.is_empty():
        raise PayloadRefusedError("the table is empty")

    def column(name: str) -> pl.Expr:
        return pl.lit(None, pl.String) if found[name] is None else pl.col(str(found[name]))

    shown = _clean(column("huggingface_id"))
    kind = column("model_type").cast(pl.String).str.to_lowercase()
    model_type = pl.coalesce(
        *(pl.when(kind.str.contains(word, literal=True)).then(pl.lit(name)) for word, name in _MODEL_TYPES)
    )
    params = column("params_b").cast(pl.Float64, strict=False)
    frame = raw.select(
        pl.coalesce(
            shown.str.extract(r"huggingface\.co/([^\"'>\s]+)"), shown.str.replace_all(r"<[^>]*>", "").str.strip_chars()
        ).alias("huggingface_id"),
        pl.lit(sighting.scope).alias("leaderboard"),
        _clean(column("precision")).fill_null("unknown").alias("precision"),
        _clean(column("model_sha")).fill_null("").alias("model_sha"),
        *(column(score).cast(pl.Float64, strict=False).alias(score) for score in scores),
        *(
            pl.lit(None, pl.Float64).alias(score)
            for score in BENCHMARKS
            if score in sum(SCORES.values(), ()) and score not in scores
        ),
        pl.when((params > 0) & (params < HIGHEST_PARAMS_B)).then(params).alias("params_b"),
        model_type.fill_null("other").alias("model_type"),
        *(_clean(column(name)).alias(name) for name in ("architecture", "license")),
        *(
            _flag(column(name)).alias(name)
            for name in ("is_merged", "is_moe", "is_flagged", "is_official", "has_chat_template")
        ),
        _clean(column("base_model")).replace(["Removed", "removed"], None).alias("base_model"),
        *(
            column(name).cast(pl.String).str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).alias(name)
            for name in ("uploaded_on", "submitted_on")
        ),
    ).with_row_index("position")
    key = pl.struct("huggingface_id", "precision", "model_sha")
    wrong = pl.any_horizontal(pl.col(score).is_null() | pl.col(score).is_nan() for score in scores)
    absurd = pl.any_horizontal((pl.col(score) < -0.01) | (pl.col(score) > 100.01) for score in scores)
    frame = frame.with_columns(
        pl.when(pl.col("huggingface_id").is_null())
        .then(pl.lit("repository id is missing"))
        .when(wrong)
        .then(pl.lit("a score is missing or no number"))
        .when(absurd)
        .then(pl.lit("a score lies outside 0 to 100"))
        .when(key.is_first_distinct().not_())
        .then(pl.lit("a second row of this repository, precision and revision"))
        .alias("reason")
    )
    bad = frame.filter(pl.col("reason").is_not_null())
    refused = [
        Refused(identity or f"row {position}", reason, raw.row(position, named=True))
        for identity, position, reason in bad.select("huggingface_id", "position", "reason").iter_rows()
    ]
    good = frame.filter(pl.col("reason").is_null())
    if good.height < bad.height:
        raise PayloadRefusedError(
            f"{bad.height} of {frame.height} rows cannot be read; the first says: {refused[0].reason}"
        )
    # The boards have ended: what they last took in tells the age of a copy better than the day it was fetched.
    last = good["submitted_on"].max()
    observed_at = dt.datetime.combine(last, dt.time()) if isinstance(last, dt.date) else sighting.observed_at
    good = good.with_columns(pl.lit(observed_at, pl.Datetime("us")).alias("observed_at")).select(list(BENCHMARKS))
    return Parsed({"huggingface_benchmarks": good}, observe_benchmarks(good), refused, observed_at)


def observe_benchmarks(frame: pl.DataFrame) -> pl.DataFrame:
    """Scores as history rows at their submission date; scope is leaderboard/precision.

    Of several revisions of one repository and precision submitted on one day, the best average stands.
    """
    dated = (
        frame.with_columns(
            pl.coalesce(pl.col("submitted_on").cast(pl.Datetime("us")), "observed_at").alias("observed_at")
        )
        .sort("average", descending=True, maintain_order=True)
        .unique(["huggingface_id", "leaderboard", "precision", "observed_at"], keep="first", maintain_order=True)
    )
    scope = pl.concat_str("leaderboard", pl.lit("/"), "precision").alias("scope")
    return pl.concat(
        [
            observations(
                dated.filter(pl.col("leaderboard") == leaderboard), "huggingface", "huggingface_id", scores, scope
            )
            for leaderboard, scores in SCORES.items()
        ]
    )


def _tagged(tags: Sequence[str], prefix: str) -> list[str]:
    return [tag[len(prefix) :] for tag in tags if tag.startswith(prefix)]


def _base_models(tags: Sequence[str]) -> list[str]:
    # base_model:org/name, and again as base_model:quantized:org/name.
    return list(dict.fromkeys(name.rpartition(":")[2] for name in _tagged(tags, "base_model:")))


def _first_text(*candidates: object) -> str | None:
    return next((found for found in map(values.text, candidates) if found), None)


def _repository(entry: object) -> dict[str, Any]:
    """One repository in the Hub's own keys, in camel case, or in llmfit's."""
    if not isinstance(entry, dict):
        raise BadValueError(f"the entry is a {type(entry).__name__}")
    identity = values.required_text(entry.get("id") or entry.get("modelId") or entry.get("name"), "id")
    tags = values.texts(entry.get("tags"))
    architectures = values.texts(values.mapping(entry.get("config")).get("architectures"))
    parameters = values.positive(
        values.mapping(entry.get("safetensors")).get("total")
        or values.mapping(entry.get("gguf")).get("total")
        or entry.get("parameters_raw")
    )
    params_b = parameters / 1e9 if parameters is not None else None
    window = values.count(values.mapping(entry.get("gguf")).get("context_length") or entry.get("context_length"))
    downloads = entry.get("downloads", entry.get("hf_downloads"))
    if isinstance(downloads, (int, float)) and downloads < 0:
        raise BadValueError("downloads are negative")
    gated = entry.get("gated")
    task = _first_text(entry.get("pipeline_tag"), entry.get("pipelineTag"))
    architecture = architectures[0] if architectures else values.text(entry.get("architecture"))
    return {
        "huggingface_id": identity,
        "author": _first_text(entry.get("author")) or (identity.partition("/")[0] if "/" in identity else None),
        "downloads": values.count(downloads),
        "likes": values.count(entry.get("likes", entry.get("hf_likes"))),
        "pipeline_tag": None if task == "unknown" else task,
        "library_name": _first_text(entry.get("library_name"), entry.get("libraryName")),
        "license": next(iter(_tagged(tags, "license:")), None),
        "architecture": None if architecture == "unknown" else architecture,
        "params_b": params_b if params_b is not None and params_b < HIGHEST_PARAMS_B else None,
        "context_tokens": window if window and window <= LONGEST_CONTEXT_TOKENS else None,
        "base_models": _base_models(tags),
        "tags": tags,
        "gguf_sources": [
            source
            for source in (values.text(values.mapping(item).get("repo")) for item in entry.get("gguf_sources") or ())
            if source
        ],
        "gated": str(gated).lower() if isinstance(gated, (bool, str)) else None,
        "created_at": values.moment(_first_text(entry.get("createdAt"), entry.get("release_date"))),
        "modified_at": values.moment(_first_text(entry.get("lastModified"))),
    }


def _may_chat(row: Mapping[str, Any]) -> bool:
    if _TEST_REPOSITORY.search(row["huggingface_id"]):
        return False
    return row["pipeline_tag"] is None or row["pipeline_tag"] in TEXT_TASKS


def parse_hub(body: bytes, sighting: Sighting) -> Parsed:
    """Repositories from `GET /api/models`, from its trending list or from llmfit's gathering.

    Test repositories and tasks without text generation are left out, not refused. A quantised copy in GGUF that
    names its base model is also entered as that model's mirror. Raises `PayloadRefusedError`.
    """
    rows, refused = values.rows(
        values.entries(body, "models", "data"), _repository, key=lambda row: row["huggingface_id"]
    )
    kept = [row for row in rows if _may_chat(row)]
    if not kept:
        raise PayloadRefusedError("no repository in it generates text")
    mirrors = defaultdict(list)
    for row in kept:
        if "gguf" in row["tags"]:
            for base in _tagged(row["tags"], "base_model:quantized:"):
                mirrors[base].append(row["huggingface_id"])
    for row in kept:
        row["gguf_sources"] = list(dict.fromkeys([*row["gguf_sources"], *mirrors[row["huggingface_id"]]]))
    return Parsed({"huggingface_repositories": _repositories(kept, sighting)}, refused=refused)


def parse_hub_archive(body: bytes, sighting: Sighting) -> Parsed:
    """Repositories of an old dump in Parquet: those that generate text and were downloaded at least 1,000 times."""
    try:
        frame = pl.read_parquet(io.BytesIO(body))
    except Exception as error:
        raise PayloadRefusedError(f"not a readable Parquet file: {str(error)[:120]}") from error
    missing = {"modelId", "downloads", "pipeline_tag"} - set(frame.columns)
    if missing:
        raise PayloadRefusedError(f"columns {sorted(missing)} are missing; there are {frame.columns}")
    frame = frame.filter(
        pl.col("pipeline_tag").is_in(list(TEXT_TASKS)) & (pl.col("downloads") >= ARCHIVE_DOWNLOADS_AT_LEAST)
    )
    # Downloads and likes of that year would pass for today's.
    rows, refused = values.rows(
        frame.drop("downloads", "likes", strict=False).to_dicts(), _repository, key=lambda row: row["huggingface_id"]
    )
    kept = [row for row in rows if _may_chat(row)]
    return Parsed({"huggingface_repositories": _repositories(kept, sighting)}, refused=refused)


def _repositories(rows: Sequence[Mapping[str, Any]], sighting: Sighting) -> pl.DataFrame:
    return pl.DataFrame([{**row, "observed_at": sighting.observed_at} for row in rows], schema=dict(REPOSITORIES))


_EXPANDED = (
    "author",
    "config",
    "createdAt",
    "downloads",
    "gated",
    "gguf",
    "lastModified",
    "library_name",
    "likes",
    "pipeline_tag",
    "safetensors",
    "tags",
)
_EXPAND = "&".join(f"expand[]={name}" for name in _EXPANDED)

HUB_LISTS = (
    (f"https://huggingface.co/api/models?filter=text-generation&sort=downloads&direction=-1&limit=1000&{_EXPAND}", 2),
    (
        f"https://huggingface.co/api/models?filter=image-text-to-text&sort=downloads&direction=-1&limit=1000&{_EXPAND}",
        1,
    ),
    (f"https://huggingface.co/api/models?filter=gguf&sort=downloads&direction=-1&limit=1000&{_EXPAND}", 1),
)
"""Lists to read and how many pages of each: the most downloaded ones, and the mirrors people run at home."""


def collect_hub(web: Web, wanted: Sequence[tuple[Any, ...]], settings: Settings) -> bytes:
    """Pages of the Hub's lists, then the repositories other sources name (rows of `wanted`) that no page held.

    Raises `FetchError` when a list cannot be read; a repository that cannot be is left out (many are gated or gone).
    """
    headers = _headers(settings)
    entries: dict[str, Any] = {}
    for first, pages in HUB_LISTS:
        url: str | None = first
        for _ in range(pages):
            if url is None:
                break
            answer = web.get(url, headers=headers)
            for entry in values.entries(answer.body):
                entries.setdefault(str(values.mapping(entry).get("id")), entry)
            url = answer.next_url
    named = [str(row[0]) for row in wanted if str(row[0]) not in entries][:NAMED_REPOSITORIES_AT_MOST]
    urls = [f"https://huggingface.co/api/models/{quote(name)}?{_EXPAND}" for name in named]
    for answer_or_error in web.get_all(urls, headers=headers):
        if isinstance(answer_or_error, FetchError):
            continue
        try:
            found = values.document(answer_or_error.body)
        except PayloadRefusedError:
            continue
        entries.setdefault(str(values.mapping(found).get("id")), found)
    return json.dumps(list(entries.values()), separators=(",", ":")).encode()


def _headers(settings: Settings) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {settings.hugging_face_token}"} if settings.hugging_face_token else {}


def _payloads(settings: Settings) -> Sequence[Payload]:
    del settings
    return (
        Payload(
            name="v1",
            parse=parse_leaderboard,
            tables=("huggingface_benchmarks",),
            addresses=(
                "https://huggingface.co/api/datasets/open-llm-leaderboard-old/contents/parquet/default/train/0.parquet",
            ),
            headers=_headers,
            patterns=("huggingface/open_llm_leaderboard_v1*",),
            attribution=LEADERBOARD_ATTRIBUTION,
            cache_for=dt.timedelta(days=30),
            is_archive=True,
            at_least=1000,
        ),
        Payload(
            name="v2",
            parse=parse_leaderboard,
            tables=("huggingface_benchmarks",),
            addresses=(
                "https://huggingface.co/api/datasets/open-llm-leaderboard/contents/parquet/default/train/0.parquet",
            ),
            headers=_headers,
            patterns=("huggingface/open_llm_leaderboard_v2*", "huggingface/open_llm_leaderboard-*"),
            attribution=LEADERBOARD_ATTRIBUTION,
            cache_for=dt.timedelta(days=30),
            is_archive=True,
            at_least=1000,
        ),
        Payload(
            name="hub_archive",
            parse=parse_hub_archive,
            tables=("huggingface_repositories",),
            patterns=("huggingface/hub_models-*.parquet",),
            is_archive=True,
            attribution=HUB_ATTRIBUTION,
        ),
        Payload(
            name="hub_popular",
            parse=parse_hub,
            tables=("huggingface_repositories",),
            patterns=("huggingface/llmfit_hf_models-*.json",),
            is_archive=True,
            attribution=f"{HUB_ATTRIBUTION}, gathered by llmfit (MIT)",
        ),
        Payload(
            name="hub",
            parse=parse_hub,
            tables=("huggingface_repositories",),
            collect=collect_hub,
            collected_from="https://huggingface.co/api/models",
            wanted="huggingface_repositories.wanted",
            patterns=("huggingface/hub_trending-*.json", "huggingface/hub_models-*.json"),
            attribution=HUB_ATTRIBUTION,
            cache_for=dt.timedelta(hours=20),
            at_least=100,
        ),
    )


SOURCE = Source(
    name="huggingface",
    step="huggingface",
    tables=(
        Table(
            "huggingface_benchmarks",
            BENCHMARKS,
            "Open LLM Leaderboard v2 and v1: benchmark scores, one row a repository, precision and revision.",
            payload_column="leaderboard",
            observe=observe_benchmarks,
        ),
        Table(
            "huggingface_repositories",
            REPOSITORIES,
            "Hub facts on repositories that are popular or named elsewhere: size, licence, base models, mirrors.",
            accumulates=True,
        ),
    ),
    payloads=_payloads,
    url="https://huggingface.co/open-llm-leaderboard",
    stale_after=dt.timedelta(days=7),
    after=("openrouter_listings", "artificial_analysis_models"),
)
