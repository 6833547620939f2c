"""LMSYS Arena (LMArena): how people rate models, by leaderboard and category, and every name it ever used.

Reads every shape the ratings have been published in: the dataset's Parquet files, the catalogue's JSON, the public
page as JSON, and the older tables as CSV. Who a name belongs to is decided in `entities`, not here.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
from collections.abc import Sequence
from typing import Any

import polars as pl

from pipeline.settings import Settings
from pipeline.sources import values
from pipeline.sources.source import (
    Parsed,
    Payload,
    PayloadRefusedError,
    Refused,
    Schema,
    Sighting,
    Source,
    Table,
    observations,
)

ATTRIBUTION = "LMArena (lmarena.ai), leaderboard dataset, CC-BY-4.0"

SUBSETS = (
    "text",
    "text_style_control",
    "webdev",
    "vision",
    "vision_style_control",
    "search",
    "search_style_control",
    "document",
    "document_style_control",
)

RATING_RANGE = (0.0, 4000.0)
"""Ratings are Elo-like and lie around 800 to 1,600; what is far outside is no rating."""

RATINGS: Schema = {
    "model_name": pl.String,
    "organization": pl.String,
    "license": pl.String,
    "subset": pl.String,
    "category": pl.String,
    "rating": pl.Float64,
    "rating_lower": pl.Float64,
    "rating_upper": pl.Float64,
    "variance": pl.Float64,
    "vote_count": pl.Int64,
    "rank": pl.Int32,
    "published_on": pl.Date,
    "observed_at": pl.Datetime("us"),
}

NAMES: Schema = {
    "model_name": pl.String,
    "organization": pl.String,
    "license": pl.String,
    "first_published_on": pl.Date,
    "last_published_on": pl.Date,
}

CATEGORY_NAMES = {
    "full": "overall",
    "hard_6": "hard_prompts",
    "hard_english_6": "hard_prompts_english",
    "if": "instruction_following",
    "long_user": "longer_query",
    "multiturn": "multi_turn",
    "no_tie": "exclude_ties",
}
"""The catalogue's names of categories → the dataset's. Others are the same in both."""

_CATALOGUE = "https://raw.githubusercontent.com/lmarena/arena-catalog/main/data"
_DATASET = "https://huggingface.co/datasets/lmarena-ai/leaderboard-dataset/resolve/main"


def _blank_to_null(column: str) -> pl.Expr:
    stripped = pl.col(column).cast(pl.String).str.strip_chars()
    return pl.when(stripped != "").then(stripped).alias(column)


def _of_parquet(body: bytes) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(io.BytesIO(body))
    except Exception as error:
        raise PayloadRefusedError(f"not a readable Parquet file, perhaps cut off: {str(error)[:120]}") from error
    missing = {"model_name", "category", "rating", "leaderboard_publish_date"} - set(frame.columns)
    if missing:
        raise PayloadRefusedError(f"columns {sorted(missing)} are missing; there are {frame.columns}")
    absent = [column for column in ("organization", "license") if column not in frame.columns]
    numbers = [
        pl.col(column).cast(pl.Float64, strict=False)
        if column in frame.columns
        else pl.lit(None, pl.Float64).alias(column)
        for column in ("rating", "rating_lower", "rating_upper", "variance", "vote_count", "rank")
    ]
    return frame.with_columns(*(pl.lit(None, pl.String).alias(column) for column in absent)).select(
        _blank_to_null("model_name"),
        _blank_to_null("organization"),
        _blank_to_null("license"),
        pl.col("category").cast(pl.String),
        *numbers,
        pl.col("leaderboard_publish_date")
        .cast(pl.String)
        .str.slice(0, 10)
        .str.to_date(strict=False)
        .alias("published_on"),
    )


_ROW: Schema = {
    "model_name": pl.String,
    "organization": pl.String,
    "license": pl.String,
    "category": pl.String,
    "rating": pl.Float64,
    "rating_lower": pl.Float64,
    "rating_upper": pl.Float64,
    "variance": pl.Float64,
    "vote_count": pl.Float64,
    "rank": pl.Float64,
    "published_on": pl.Date,
}


def _of_catalogue(found: dict[str, Any], published_on: dt.date) -> pl.DataFrame:
    rows = []
    for category, ratings in found.items():
        for place, (name, entry) in enumerate(values.mapping(ratings).items(), start=1):
            rating = values.mapping(entry)
            rows.append(
                {
                    "model_name": name.strip() or None,
                    "category": CATEGORY_NAMES.get(category, category),
                    "rating": values.number(rating.get("rating")),
                    "rating_lower": values.number(rating.get("rating_q025")),
                    "rating_upper": values.number(rating.get("rating_q975")),
                    "rank": place,
                    "published_on": published_on,
                }
            )
    return pl.DataFrame(rows, schema=dict(_ROW))


def _of_page(found: dict[str, Any], published_on: dt.date) -> pl.DataFrame:
    updated = values.text(values.mapping(found.get("meta")).get("last_updated"))
    with contextlib.suppress(ValueError):
        published_on = dt.datetime.strptime(updated or "", "%b %d, %Y").date()
    rows = []
    for entry in map(values.mapping, found["models"]):
        score, half = values.number(entry.get("score")), values.number(entry.get("ci"))
        bounded = score is not None and half is not None
        rows.append(
            {
                "model_name": values.text(entry.get("model")),
                "organization": values.text(entry.get("vendor")),
                "license": values.text(entry.get("license")),
                "category": "overall",
                "rating": score,
                "rating_lower": score - half if bounded else None,  # type: ignore[operator]
                "rating_upper": score + half if bounded else None,  # type: ignore[operator]
                "vote_count": values.number(entry.get("votes")),
                "rank": values.number(entry.get("rank")),
                "published_on": published_on,
            }
        )
    return pl.DataFrame(rows, schema=dict(_ROW))


def _of_table(body: bytes, published_on: dt.date) -> pl.DataFrame:
    try:
        frame = pl.read_csv(io.BytesIO(body), infer_schema=False, truncate_ragged_lines=True)
    except Exception as error:
        raise PayloadRefusedError(f"not a readable CSV table: {str(error)[:120]}") from error
    missing = {"model", "arena_score"} - set(frame.columns)
    if missing:
        raise PayloadRefusedError(f"columns {sorted(missing)} are missing; there are {frame.columns}")
    rating = pl.col("arena_score").cast(pl.Float64, strict=False)
    interval = pl.col("95_pct_ci") if "95_pct_ci" in frame.columns else pl.lit(None, pl.String)
    return frame.select(
        _blank_to_null("model").alias("model_name"),
        *(
            _blank_to_null(c) if c in frame.columns else pl.lit(None, pl.String).alias(c)
            for c in ("organization", "license")
        ),
        pl.lit("overall").alias("category"),
        rating.alias("rating"),
        (rating - interval.str.extract(r"-(\d+(?:\.\d+)?)").cast(pl.Float64)).alias("rating_lower"),
        (rating + interval.str.extract(r"\+(\d+(?:\.\d+)?)").cast(pl.Float64)).alias("rating_upper"),
        pl.lit(None, pl.Float64).alias("variance"),
        *(
            pl.col(old).cast(pl.Float64, strict=False).alias(new)
            if old in frame.columns
            else pl.lit(None, pl.Float64).alias(new)
            for old, new in (("votes", "vote_count"), ("rank", "rank"))
        ),
        pl.lit(published_on, pl.Date).alias("published_on"),
    )


def _rows(body: bytes, published_on: dt.date) -> pl.DataFrame:
    """Rating rows of whichever shape the payload has. Raises `PayloadRefusedError`."""
    if body[:4] == b"PAR1":
        return _of_parquet(body)
    if body.lstrip()[:1] in (b"{", b"<", b"["):
        found = values.document(body)
        if not isinstance(found, dict) or not found:
            raise PayloadRefusedError("expected an object of ratings")
        if isinstance(found.get("models"), list):
            return _of_page(found, published_on)
        if all(isinstance(value, dict) for value in found.values()):
            return _of_catalogue(found, published_on)
        raise PayloadRefusedError(f"an unknown shape with the keys {sorted(found)[:8]}")
    return _of_table(body, published_on)


def parse_ratings(body: bytes, sighting: Sighting) -> Parsed:
    """Ratings of the subset `sighting.scope`, newest publication as rows, all as history.

    Of an older payload only the category 'overall' is kept. Two rows of one name and category: the one with more
    votes stands. Raises `PayloadRefusedError`.
    """
    frame = _rows(body, sighting.observed_at.date())
    if not sighting.is_current:
        frame = frame.filter(pl.col("category") == "overall")
    if frame.is_empty():
        raise PayloadRefusedError("there is no rating in it")
    low, high = RATING_RANGE
    frame = (
        frame.with_row_index("position")
        .sort("vote_count", descending=True, nulls_last=True, maintain_order=True)
        .with_columns(
            pl.when(pl.col("model_name").is_null())
            .then(pl.lit("model_name is missing"))
            .when(pl.col("published_on").is_null())
            .then(pl.lit("publication date is missing"))
            .when(pl.col("rating").is_null() | pl.col("rating").is_nan())
            .then(pl.lit("rating is missing or no number"))
            .when((pl.col("rating") < low) | (pl.col("rating") > high))
            .then(pl.lit("rating is absurd"))
            .when(pl.struct("model_name", "category", "published_on").is_first_distinct().not_())
            .then(pl.lit("a second row of this name and category; the one with more votes is kept"))
            .alias("reason")
        )
        .sort("position")
    )
    bad = frame.filter(pl.col("reason").is_not_null())
    refused = [
        Refused(row["model_name"] or f"row {row['position']}", row["reason"], row)
        for row in bad.drop("position").with_columns(bad["position"]).to_dicts()
    ]
    good = frame.filter(pl.col("reason").is_null())
    if good.height < bad.height:
        raise PayloadRefusedError(
            f"{bad.height} of {frame.height} rows cannot be read; the first says: {refused[0].reason}"
        )
    good = good.with_columns(
        pl.lit(sighting.scope).alias("subset"),
        *(
            pl.col(column).fill_nan(None)
            for column in ("rating_lower", "rating_upper", "variance", "vote_count", "rank")
        ),
        pl.lit(sighting.observed_at, pl.Datetime("us")).alias("observed_at"),
    )
    newest = good["published_on"].max()
    names = good.group_by("model_name", maintain_order=True).agg(
        pl.col("organization").drop_nulls().last(),
        pl.col("license").drop_nulls().last(),
        pl.col("published_on").min().alias("first_published_on"),
        pl.col("published_on").max().alias("last_published_on"),
    )
    ratings = good.cast({"vote_count": pl.Int64, "rank": pl.Int32}).select(list(RATINGS))
    return Parsed(
        {
            "lmsys_arena_ratings": ratings.filter(pl.col("published_on") == newest),
            "lmsys_arena_names": names.select(list(NAMES)),
        },
        observe_ratings(ratings.filter((pl.col("published_on") == newest) | (pl.col("category") == "overall"))),
        refused,
        sighting.observed_at,
    )


def observe_ratings(frame: pl.DataFrame) -> pl.DataFrame:
    """Ratings as history rows at their publication date, scope subset/category.

    Bounds and votes go along for 'overall'; other categories are kept for the plain text leaderboard only.
    """
    dated = frame.with_columns(pl.col("published_on").cast(pl.Datetime("us")).alias("observed_at"))
    scope = pl.concat_str("subset", pl.lit("/"), "category").alias("scope")
    overall = dated.filter(pl.col("category") == "overall")
    others = dated.filter((pl.col("category") != "overall") & (pl.col("subset") == "text"))
    metrics = ("rating", "rating_lower", "rating_upper", "vote_count")
    return pl.concat(
        [
            observations(overall, "lmsys_arena", "model_name", metrics, scope),
            observations(others, "lmsys_arena", "model_name", ("rating",), scope),
        ]
    )


def parse_names(body: bytes, sighting: Sighting) -> Parsed:
    """Names with their organisations from the catalogue's scatterplot data. Raises `PayloadRefusedError`."""
    on = sighting.observed_at.date()
    rows: dict[str, dict[str, Any]] = {}
    refused = []
    for position, entry in enumerate(values.entries(body, "data")):
        names = values.mapping(entry)
        name = values.text(names.get("model_api_name"))
        if name is None:
            refused.append(
                Refused(values.text(names.get("name")) or f"entry {position}", "model_api_name is missing", entry)
            )
            continue
        rows[name] = {
            "model_name": name,
            "organization": values.text(names.get("organization")),
            "license": values.text(names.get("license")),
            "first_published_on": on,
            "last_published_on": on,
        }
    if len(refused) > len(rows):
        raise PayloadRefusedError("most entries have no model_api_name")
    return Parsed({"lmsys_arena_names": pl.DataFrame(list(rows.values()), schema=dict(NAMES))}, refused=refused)


_OTHER_PATTERNS = {
    "text": (
        "lmsys_arena/arena_text-*.json",
        "lmsys_arena/leaderboard-text-2*.json",
        "lmsys_arena/lmarena_text-*.csv",
        "lmsys_arena/leaderboard_table-*.csv",
    ),
    "text_style_control": ("lmsys_arena/leaderboard-text-style-control-*.json",),
    "vision": ("lmsys_arena/leaderboard-vision-2*.json",),
    "vision_style_control": ("lmsys_arena/leaderboard-vision-style-control-*.json",),
}


def _payloads(settings: Settings) -> Sequence[Payload]:
    token = settings.hugging_face_token
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return (
        *(
            Payload(
                name=subset,
                parse=parse_ratings,
                tables=("lmsys_arena_ratings", "lmsys_arena_names"),
                addresses=(f"{_DATASET}/{subset}/latest-00000-of-00001.parquet",),
                last_resort=(
                    f"{_CATALOGUE}/leaderboard-{subset.replace('_', '-')}.json" if subset in _OTHER_PATTERNS else None
                ),
                headers=lambda settings: headers,
                patterns=(f"lmsys_arena/leaderboard-dataset-*/{subset}/*.parquet", *_OTHER_PATTERNS.get(subset, ())),
                attribution=ATTRIBUTION,
                at_least=50 if subset in ("text", "text_style_control") else 1,
            )
            for subset in SUBSETS
        ),
        Payload(
            name="names",
            parse=parse_names,
            tables=("lmsys_arena_names",),
            patterns=("lmsys_arena/scatterplot-data-*.json",),
            is_archive=True,
            attribution=ATTRIBUTION,
        ),
    )


SOURCE = Source(
    name="lmsys_arena",
    step="lmsys_arena",
    tables=(
        Table(
            "lmsys_arena_ratings",
            RATINGS,
            "Arena ratings by people's votes: the newest publication of every leaderboard, by category.",
            payload_column="subset",
            observe=observe_ratings,
        ),
        Table(
            "lmsys_arena_names",
            NAMES,
            "Every name the Arena was seen to use, so that models it has retired or renamed stay linkable.",
            accumulates=True,
        ),
    ),
    payloads=_payloads,
    url="https://huggingface.co/datasets/lmarena-ai/leaderboard-dataset",
    stale_after=dt.timedelta(days=7),
)
