-- Functions that levels and steps of the linkage share. Dates are three numbers, null where the name does not say.

CREATE OR REPLACE MACRO dates_agree(y1, m1, d1, y2, m2, d2) AS
  coalesce(y1 = y2, true) AND coalesce(m1 = m2, true) AND coalesce(d1 = d2, true);

-- Days from a release to a date in a name, negative when the date is earlier; the nearest year where none is given.
CREATE OR REPLACE MACRO days_after(y, m, d, released_on) AS
  CASE
    WHEN released_on IS NULL OR (y IS NULL AND m IS NULL) THEN NULL
    WHEN d IS NULL AND m = month(released_on) AND coalesce(y = year(released_on), true) THEN 0
    WHEN m IS NULL THEN 365 * (y - year(released_on))
    WHEN y IS NULL THEN (
      date_diff('day', released_on, make_date(year(released_on), m, least(coalesce(d, 15), 28))) + 182 + 365) % 365 - 182
    ELSE date_diff('day', released_on, make_date(y, m, least(coalesce(d, 15), 28)))
  END;

-- Two listings of one source at one time, so two things to that source.
CREATE OR REPLACE MACRO overlap(from1, to1, from2, to2) AS
  coalesce(from1 <= to2 AND from2 <= to1, false);

-- The same for lists of [from, to]: a renamed listing has a span for each of its names.
CREATE OR REPLACE MACRO spans_overlap(spans1, spans2) AS
  coalesce(list_bool_or(list_transform(spans1,
    lambda a: list_bool_or(list_transform(spans2, lambda b: a[1] <= b[2] AND b[1] <= a[2])))), false);

-- Price lists repeat the names under which providers serve models: they follow the other sources and anchor nothing.
CREATE OR REPLACE MACRO is_price_list(source) AS source IN ('models_dev', 'genai_prices', 'litellm_prices');
