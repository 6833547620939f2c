"""The linkage model as a declaration: what is compared, at which levels, and which pairs are looked at at all.

The numbers beside the levels are the m probabilities expected before any label was seen; `train.py` corrects them by
labels and writes `linkage_model.json`. Levels where two names contradict each other are fixed, never trained: the
sources are small, and a regularity such as "one vendor's fine-tunes resemble each other" is not the one wanted.
"""

from __future__ import annotations

from typing import Any

from splink import SettingsCreator, block_on
from splink.blocking_rule_library import CustomRule
from splink.comparison_level_library import CustomLevel
from splink.comparison_library import CustomComparison

CONTRADICTION = 0.0005
"""m of a level that no two records of one model should reach."""
DOUBT = 0.02
"""m of a level that true pairs reach now and then."""


def _level(condition: str, label: str, m: float, *, is_fixed: bool = False, tf: str = "", u: float = 0.0) -> Any:
    level = CustomLevel(condition, label_for_charts=label, base_dialect_str="duckdb")
    settings: dict[str, Any] = {"m_probability": m, "fix_m_probability": is_fixed}
    if u:
        settings |= {"u_probability": u, "fix_u_probability": True}
    if tf:
        settings |= {"tf_adjustment_column": tf, "tf_adjustment_weight": 1.0, "tf_minimum_u_value": 0.0001}
    return level.configure(**settings)


def _null(condition: str, label: str) -> Any:
    return CustomLevel(condition, label_for_charts=label, base_dialect_str="duckdb").configure(is_null_level=True)


_DATES_AGREE = "dates_agree(date_y_l, date_m_l, date_d_l, date_y_r, date_m_r, date_d_r)"
_ONE_DATED = "((date_l = '' and revision_l = '') <> (date_r = '' and revision_r = ''))"
_BOTH_DATED = "(date_l <> '' and date_r <> '')"
_DAYS_AFTER = (
    "coalesce(days_after(date_y_l, date_m_l, date_d_l, released_on_r), "
    "days_after(date_y_r, date_m_r, date_d_r, released_on_l))"
)
_DAYS_APART = f"abs({_DAYS_AFTER})"
_SIDE_BY_SIDE = (
    "((in_openrouter_l and in_openrouter_r) or (in_artificial_analysis_l and in_artificial_analysis_r) "
    "or spans_overlap(arena_spans_l, arena_spans_r) or coalesce(hub_author_l = hub_author_r, false))"
)
_SIZE_KNOWN = "coalesce(size_b_{side}, params_b_{side})"
_SIZE_L, _SIZE_R = _SIZE_KNOWN.format(side="l"), _SIZE_KNOWN.format(side="r")
_NEAR_SIZES = f"abs({_SIZE_L} - {_SIZE_R}) <= 0.1 * greatest({_SIZE_L}, {_SIZE_R})"
_SIZES_AGREE = (
    f"((size_l = size_r and size_l <> '') or ((size_l = '' or size_r = '') and {_NEAR_SIZES})) "
    "and coalesce(active_b_l = active_b_r, true)"
)
_SIZES_CONTRADICT = (
    "((size_l <> '' and size_r <> '' and size_l <> size_r) "
    f"or ((size_l = '') <> (size_r = '') and abs({_SIZE_L} - {_SIZE_R}) > 0.25 * greatest({_SIZE_L}, {_SIZE_R})) "
    "or active_b_l <> active_b_r)"
)

NAME = CustomComparison(
    output_column_name="name",
    comparison_levels=[
        _level("core_l = core_r", "same words", 0.93, tf="core"),
        _level(
            "words_l <> words_r and tier_l = tier_r and modality_l = modality_r and training_l = training_r "
            "and mode_l = mode_r and length(words_l) >= 8 and not regexp_matches(words_l || words_r, '[0-9]') "
            "and damerau_levenshtein(words_l, words_r) = 1",
            "one letter apart",
            0.02,
        ),
        _level(
            "tier_l = tier_r and modality_l = modality_r and training_l = training_r and mode_l = mode_r "
            "and (list_has_all(string_split(words_l, ' '), string_split(words_r, ' ')) "
            "or list_has_all(string_split(words_r, ' '), string_split(words_l, ' ')))",
            "one has more words",
            0.02,
            is_fixed=True,
        ),
        _level("ELSE", "other words", CONTRADICTION, is_fixed=True),
    ],
)

VERSION = CustomComparison(
    output_column_name="version",
    comparison_levels=[
        _null("version_l = '' and version_r = ''", "neither has one"),
        _null(
            f"version_l <> version_r and (version_l = '' or version_r = '') and preview_l = preview_r "
            f"and {_ONE_DATED} and {_DAYS_APART} <= 3",
            "settled by the date",
        ),
        _level("version_l = version_r", "same version", 0.9),
        _level(
            f"(version_l = '' or version_r = '') and {_BOTH_DATED} and {_DATES_AGREE}",
            "one unstated, same date",
            0.03,
        ),
        _level("later_version_l = later_version_r", "version 1 stated or not", 0.03),
        _level(
            "list_has_all(string_split(version_l, ' '), string_split(version_r, ' ')) "
            "or list_has_all(string_split(version_r, ' '), string_split(version_l, ' '))",
            "one states more versions",
            0.005,
            is_fixed=True,
        ),
        _level("version_l = '' or version_r = ''", "one unstated", 0.01, is_fixed=True),
        _level("ELSE", "other version", CONTRADICTION, is_fixed=True),
    ],
)

SIZE = CustomComparison(
    output_column_name="size",
    comparison_levels=[
        _level(_SIZES_CONTRADICT, "other size", CONTRADICTION, is_fixed=True),
        _null(f"{_SIZE_L} is null and {_SIZE_R} is null", "neither has one"),
        _level(_SIZES_AGREE, "same size", 0.8),
        _level(
            f"{_ONE_DATED} and coalesce({_DAYS_APART}, 99) > 3", "one unstated, as is the date", DOUBT, is_fixed=True
        ),
        _level("sized_siblings_l <= 1 and sized_siblings_r <= 1", "one unstated, a family of one size", 0.15),
        _level("ELSE", "one unstated", 0.1),
    ],
)

CHECKPOINT = CustomComparison(
    output_column_name="checkpoint",
    comparison_levels=[
        _null("date_l = '' and date_r = '' and revision_l = '' and revision_r = ''", "neither is dated"),
        _level(
            f"(revision_l <> revision_r and revision_l <> '' and revision_r <> '') or not ({_DATES_AGREE})",
            "other checkpoint",
            CONTRADICTION,
            is_fixed=True,
        ),
        _level("date_l = date_r and revision_l = revision_r", "same date", 0.4),
        _level(f"{_BOTH_DATED}", "dates agree as far as they go", 0.2),
        _level(f"{_ONE_DATED} and {_DAYS_APART} <= 3", "one undated, released on that day", 0.15),
        _level(
            f"{_ONE_DATED} and greatest(dated_siblings_l, dated_siblings_r) > 1",
            "one undated, several dated",
            0.01,
            is_fixed=True,
        ),
        # a listing may follow the checkpoint by weeks; a checkpoint dated after the listing is an update of it
        _level(f"{_ONE_DATED} and {_DAYS_AFTER} between -31 and 3", "one undated, listed in the weeks after", 0.15),
        _level(
            f"{_ONE_DATED} and {_DAYS_AFTER} is not null", "one undated, listed at another time", 0.002, is_fixed=True
        ),
        _level(
            "(date_l = '' and is_display_only_l) or (date_r = '' and is_display_only_r)",
            "one undated, a display name of the only dated",
            0.2,
        ),
        _level("ELSE", "one undated", 0.1),
    ],
)

STAGE = CustomComparison(
    output_column_name="stage",
    comparison_levels=[
        _level("stage_l = stage_r", "same stage", 0.85),
        _level(
            "(stage_l = '' or stage_r = '') and stage_l in ('', 'tuned') and stage_r in ('', 'tuned')",
            "instructed or unstated",
            0.15,
        ),
        _level(
            "(stage_l = '' or stage_r = '') and stage_l in ('', 'base') and stage_r in ('', 'base')",
            "base or unstated",
            DOUBT,
            is_fixed=True,
        ),
        _level("ELSE", "other stage", CONTRADICTION, is_fixed=True),
    ],
)

PREVIEW = CustomComparison(
    output_column_name="preview",
    comparison_levels=[
        _null(
            "preview_l <> preview_r and (preview_l = '' or preview_r = '') "
            f"and ((date_d_l = date_d_r and {_DATES_AGREE}) or ({_ONE_DATED} and {_DAYS_APART} <= 3))",
            "settled by the date",
        ),
        _level("preview_l = preview_r", "same", 0.93),
        _level(
            "(preview_l = '' or preview_r = '') and is_display_only_l <> is_display_only_r "
            "and not is_released_l and not is_released_r",
            "a display name leaves it out",
            0.03,
        ),
        _level("preview_l = '' or preview_r = ''", "released or preview", 0.005, is_fixed=True),
        _level("ELSE", "other preview", CONTRADICTION, is_fixed=True),
    ],
)

CONTEXT = CustomComparison(
    output_column_name="context",
    comparison_levels=[
        _null("context_l = '' and context_r = ''", "neither has one"),
        _level("context_l = context_r", "same context", 0.7),
        _level("context_l = '' or context_r = ''", "one unstated", 0.1, is_fixed=True),
        _level("ELSE", "other context", CONTRADICTION, is_fixed=True),
    ],
)

VENDOR = CustomComparison(
    output_column_name="vendor",
    comparison_levels=[
        _level("vendor_l = '' or vendor_r = ''", "unstated", 0.08),
        _level("vendor_l = vendor_r", "same vendor", 0.9, tf="vendor"),
        _level(
            "length(vendor_l) >= 4 and length(vendor_r) >= 4 "
            "and (starts_with(vendor_l, vendor_r) or starts_with(vendor_r, vendor_l))",
            "spelt alike",
            0.02,
        ),
        _level("is_anchor_l and is_anchor_r", "two vendors", DOUBT),
        _level(
            "(is_only_author_l or is_only_author_r) and is_hub_only_l <> is_hub_only_r",
            "vendor and the only author",
            0.03,
        ),
        _level("ELSE", "vendor and stranger", 0.005, is_fixed=True),
    ],
)

KEY = CustomComparison(
    output_column_name="key",
    comparison_levels=[
        # about one key in ten names a sibling, a base model or a precision: it may not outweigh everything else
        _level("list_has_any(keys_l, keys_r)", "a source names the other", 0.5, is_fixed=True, u=0.0005),
        _level("ELSE", "no source says so", 0.5, is_fixed=True),
    ],
)

RELEASE = CustomComparison(
    output_column_name="release",
    comparison_levels=[
        # where one name is dated, the checkpoint has weighed the days already
        _null(f"released_on_l is null or released_on_r is null or {_ONE_DATED}", "unknown, or weighed as checkpoint"),
        _level("abs(date_diff('day', released_on_l, released_on_r)) <= 3", "the same days", 0.5),
        _level("abs(date_diff('day', released_on_l, released_on_r)) <= 31", "the same weeks", 0.25),
        _level("ELSE", "another time", 0.25),
    ],
)

LISTING = CustomComparison(
    output_column_name="listing",
    comparison_levels=[
        _level(
            f"{_SIDE_BY_SIDE} and not ({_ONE_DATED} and {_DAYS_APART} <= 3 and stage_l = stage_r "
            "and preview_l = preview_r and dated_siblings_l = 1)",
            "one source lists both",
            0.004,
            is_fixed=True,
        ),
        _level("ELSE", "no source lists both", 0.996, is_fixed=True),
    ],
)

COMPARISONS = (NAME, VERSION, SIZE, CHECKPOINT, STAGE, PREVIEW, CONTEXT, VENDOR, RELEASE, KEY, LISTING)

_SQL_NO_CONTRADICTION = (
    "(l.is_anchor or r.is_anchor) "
    "and dates_agree(l.date_y, l.date_m, l.date_d, r.date_y, r.date_m, r.date_d) "
    "and (l.revision = r.revision or l.revision = '' or r.revision = '') "
    "and (l.size = r.size or l.size = '' or r.size = '') "
    "and coalesce(l.active_b = r.active_b, true) "
    "and (l.stage = r.stage or l.stage = '' or r.stage = '')"
)

BLOCKING_RULES: dict[str, Any] = {
    "a_source_names_the_other": block_on("keys", arrays_to_explode=["keys"]),
    "same_words_and_version": CustomRule(
        f"l.core = r.core and l.version = r.version and {_SQL_NO_CONTRADICTION}", sql_dialect="duckdb"
    ),
    "same_words_and_one_version_unstated": CustomRule(
        "l.core = r.core and l.version <> r.version and (l.version = '' or r.version = '') "
        f"and {_SQL_NO_CONTRADICTION}",
        sql_dialect="duckdb",
    ),
    "same_vendor_size_and_version_other_spelling": CustomRule(
        "l.vendor = r.vendor and l.version = r.version and l.size = r.size and l.tier = r.tier "
        "and l.core <> r.core and l.is_anchor and r.is_anchor and length(l.words) >= 8 "
        f"and damerau_levenshtein(l.words, r.words) = 1 and {_SQL_NO_CONTRADICTION}",
        sql_dialect="duckdb",
    ),
}
"""Which pairs are compared, by the reason for it. Pairs that contradict each other are not looked at: neither a
statistic nor a key can make two sizes one model."""


def settings() -> SettingsCreator:
    """The model before training."""
    return SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="unique_id",
        comparisons=list(COMPARISONS),
        blocking_rules_to_generate_predictions=list(BLOCKING_RULES.values()),
        retain_matching_columns=False,
        retain_intermediate_calculation_columns=True,
    )
