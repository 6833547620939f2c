"""Arena ratings in every shape they were published in."""

from __future__ import annotations

import datetime as dt
import io
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.lmsys_arena import parse_names, parse_ratings
from pipeline.sources.source import PayloadRefusedError, Sighting
from tests.conftest import RECORDINGS, needs_recordings

AT = Sighting(observed_at=dt.datetime(2026, 8, 22), now=dt.datetime(2026, 8, 22), scope="text")


def rows(**changes: Any) -> dict[str, Any]:
    """A row of the dataset, with changes."""
    return {
        "model_name": "swift-1",
        "organization": "acme",
        "license": "Proprietary",
        "rating": 1400.5,
        "rating_lower": 1390.0,
        "rating_upper": 1411.0,
        "variance": 20.0,
        "vote_count": 5000.0,
        "rank": 1.0,
        "category": "overall",
        "leaderboard_publish_date": "2026-08-19",
        **changes,
    }


def parquet(*found: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(list(found), infer_schema_length=None).write_parquet(buffer)
    return buffer.getvalue()


def test_the_datasets_parquet_is_read_with_its_publication() -> None:
    """Floats of votes and ranks become whole numbers, '' becomes nothing."""
    parsed = parse_ratings(parquet(rows(), rows(model_name="swift-2", organization="", rating=1300.0, rank=2.0)), AT)
    first, second = parsed.frames["lmsys_arena_ratings"].to_dicts()

    assert ("swift-1", "text", "overall", 1400.5, 5000, 1, dt.date(2026, 8, 19)) == tuple(
        first[name] for name in ("model_name", "subset", "category", "rating", "vote_count", "rank", "published_on")
    )
    assert second["organization"] is None
    assert {dt.datetime(2026, 8, 19)} == set(parsed.observations["observed_at"])


def test_of_two_rows_of_a_name_the_one_with_more_votes_stands() -> None:
    """It happens in `webdev`: the other is refused, not averaged in."""
    parsed = parse_ratings(
        parquet(rows(vote_count=10.0, rating=1.0), rows(vote_count=900.0), rows(category="math")), AT
    )

    assert list(parsed.frames["lmsys_arena_ratings"].select("category", "vote_count").iter_rows()) == [
        ("overall", 900),
        ("math", 5000),
    ]
    assert [refused.record_ref for refused in parsed.refused] == ["swift-1"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rating": math.nan}, "rating is missing or no number"),
        ({"rating": None}, "rating is missing or no number"),
        ({"rating": -5.0}, "rating is absurd"),
        ({"rating": 12000.0}, "rating is absurd"),
        ({"model_name": ""}, "model_name is missing"),
        ({"leaderboard_publish_date": "soon"}, "publication date is missing"),
    ],
)
def test_a_row_that_is_no_rating_is_refused(change: dict[str, Any], reason: str) -> None:
    """The rest of its publication stands."""
    parsed = parse_ratings(parquet(rows(), rows(model_name="b"), rows(**{"model_name": "c", **change})), AT)

    assert [reason] == [refused.reason for refused in parsed.refused]
    assert parsed.rows == 2


def test_a_file_of_many_publications_gives_the_newest_as_current() -> None:
    """Older publications become history, of which only the category 'overall' is kept."""
    old = {"leaderboard_publish_date": "2026-08-01", "rating": 1380.0}
    body = parquet(
        rows(), rows(category="math"), rows(**old), rows(category="math", **old), rows(model_name="gone", **old)
    )
    parsed = parse_ratings(body, AT)
    ratings = parsed.observations.filter(pl.col("metric") == "rating")

    assert list(parsed.frames["lmsys_arena_ratings"].select("model_name", "category").iter_rows()) == [
        ("swift-1", "overall"),
        ("swift-1", "math"),
    ]
    assert {
        ("swift-1", "text/overall", 1400.5),
        ("swift-1", "text/math", 1400.5),
        ("swift-1", "text/overall", 1380.0),
        ("gone", "text/overall", 1380.0),
    } == set(ratings.select("record_id", "scope", "value").iter_rows())
    assert {"swift-1", "gone"} == set(parsed.frames["lmsys_arena_names"]["model_name"])


def test_the_catalogue_speaks_of_the_same_categories(small: Callable[[str], bytes]) -> None:
    """'full' and 'hard_6' are the dataset's 'overall' and 'hard_prompts'; quantiles are bounds."""
    parsed = parse_ratings(small("lmsys_arena/leaderboard-text-2026-08.json"), AT)
    found = {(r["model_name"], r["category"]): r for r in parsed.frames["lmsys_arena_ratings"].to_dicts()}

    assert {
        ("swift-1-high", "overall"),
        ("swift-1", "overall"),
        ("oldie", "overall"),
        ("swift-1", "hard_prompts"),
        ("swift-1", "coding"),
    } == set(found)
    assert tuple(found["swift-1-high", "overall"][bound] for bound in ("rating_lower", "rating_upper")) == (
        1400.0,
        1420.5,
    )


def test_the_public_page_says_its_own_date(small: Callable[[str], bytes]) -> None:
    """'last_updated' is the publication; the interval is symmetric."""
    parsed = parse_ratings(small("lmsys_arena/arena_text-2026-07-01.json"), AT)
    swift = parsed.frames["lmsys_arena_ratings"].to_dicts()[0]

    assert (dt.date(2026, 6, 28), 1380.0, 1374.0, 1386.0, 5000) == tuple(
        swift[name] for name in ("published_on", "rating", "rating_lower", "rating_upper", "vote_count")
    )


def test_the_older_tables_have_their_intervals_read(small: Callable[[str], bytes]) -> None:
    """'+4/-5' is four above and five below."""
    parsed = parse_ratings(small("lmsys_arena/leaderboard_table-2026-06-01.csv"), AT)
    swift, oldie = parsed.frames["lmsys_arena_ratings"].to_dicts()

    assert tuple(swift[name] for name in ("rating", "rating_lower", "rating_upper", "organization")) == (
        1371.0,
        1366.0,
        1375.0,
        "Acme",
    )
    assert (oldie["model_name"], oldie["organization"]) == ("Oldie (2024-05)", None)


def test_names_come_with_their_organisations(small: Callable[[str], bytes]) -> None:
    """The api name is the one the ratings use."""
    parsed = parse_names(small("lmsys_arena/scatterplot-data-2026-08.json"), AT)

    assert list(parsed.frames["lmsys_arena_names"].select("model_name", "organization").iter_rows()) == [
        ("oldie-chat", "Acme"),
        ("swift-1", "Acme"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"PAR1 and then nothing",
        parquet(rows())[:-40],
        b"<html>429</html>",
        b"{}",
        b'{"error":"gone"}',
        b"rank,name\n1,swift\n",
        parquet({"model": "swift-1", "score": 1.0}),
        parquet(rows(rating=None), rows(rating=math.nan)),
    ],
)
def test_what_is_no_leaderboard_is_refused(body: bytes) -> None:
    """Nothing replaces the held ratings but ratings."""
    with pytest.raises(PayloadRefusedError):
        parse_ratings(body, AT)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "model_name": st.sampled_from(["a", "b", "c", "", None]),
                "category": st.sampled_from(["overall", "math"]),
                "rating": st.floats(allow_nan=True) | st.none(),
                "vote_count": st.floats(0, 1e6) | st.none(),
            }
        ),
        max_size=12,
    )
)
def test_no_key_stands_twice_and_no_row_is_lost(found: list[dict[str, Any]]) -> None:
    """Every row is either loaded or refused, whatever it holds."""
    good = [rows(model_name=f"good-{n}") for n in range(len(found) + 1)]
    parsed = parse_ratings(parquet(*good, *(rows(**row) for row in found)), AT)
    frame = parsed.frames["lmsys_arena_ratings"]

    assert len(good) + len(found) == frame.height + len(parsed.refused)
    assert frame.select("model_name", "category").is_unique().all()
    assert frame["rating"].is_finite().all()


@needs_recordings
def test_the_recorded_publication_loads() -> None:
    """393 models in 29 categories of `text`; one name twice in `webdev`."""
    folder = RECORDINGS / "lmsys_arena/leaderboard-dataset-2026-08-22"
    counts = {}
    for path in sorted(folder.glob("*/latest-*.parquet")):
        parsed = parse_ratings(path.read_bytes(), replace(AT, scope=path.parent.name))
        frame = parsed.frames["lmsys_arena_ratings"]
        counts[path.parent.name] = (frame.height + len(parsed.refused), frame["model_name"].n_unique())

    assert (10359, 393) == counts["text"] == counts["text_style_control"]
    assert counts["webdev"] == (493, 120)
    assert (958, 145) == counts["vision"] == counts["vision_style_control"]
    assert (counts["document"][0], counts["search"][0]) == (38, 32)


@needs_recordings
@pytest.mark.parametrize(
    ("name", "models"),
    [
        ("arena_text-2026-03-29.json", 71),
        ("leaderboard-text-2025-12.json", 282),
        ("lmarena_text-2025-08.csv", 266),
        ("leaderboard_table-2024-07-07.csv", 115),
        ("leaderboard_table-2024-12-11.csv", 168),
        ("leaderboard_table-2025-06-09.csv", 202),
    ],
)
def test_every_older_recorded_shape_loads(name: str, models: int) -> None:
    """As history: overall only, no row refused but repeated names."""
    parsed = parse_ratings((RECORDINGS / "lmsys_arena" / name).read_bytes(), replace(AT, is_current=False))

    assert models == parsed.rows + len(parsed.refused)
    assert len(parsed.refused) <= 1
