-- One row a unit: what its records say alike, and where they are listed.
CREATE OR REPLACE TABLE units AS
SELECT *,
  -- how many dated checkpoints share everything but the date: an undated alias of several is none of them
  count(DISTINCT date_m) FILTER (NOT is_priced_only) OVER (PARTITION BY core, version, size, context, stage, vendor) AS dated_siblings,
  -- a family of one size need not state it
  count(DISTINCT nullif(size, '')) FILTER (NOT is_priced_only) OVER (PARTITION BY core, version, vendor) AS sized_siblings,
  -- a catalogue lists the released model, so a name without "preview" means that one
  bool_or(preview = '' AND NOT is_display_only) OVER (PARTITION BY core, version, size, context) AS is_released
FROM (SELECT
  min(concat(source, ':', record_id)) AS unique_id,
  unit_key,
  any_value(words) AS words, any_value(tier) AS tier, any_value(modality) AS modality,
  any_value(training) AS training, any_value(mode) AS mode,
  concat_ws('|', any_value(words), any_value(tier), any_value(modality), any_value(training), any_value(mode)) AS core,
  any_value(version) AS version,
  trim(regexp_replace(concat(' ', any_value(version), ' '), ' 1 ', ' ')) AS later_version,
  any_value(revision) AS revision, any_value(size) AS size,
  any_value(size_b) AS size_b, any_value(active_b) AS active_b, any_value(context) AS context,
  any_value(date) AS date, any_value(date_y) AS date_y, any_value(date_m) AS date_m, any_value(date_d) AS date_d,
  any_value(stage) AS stage, any_value(preview) AS preview,
  CASE WHEN unit_key LIKE 'pinned|%' THEN any_value(vendor) ELSE regexp_extract(unit_key, '[^|]*$') END AS vendor,
  bool_or((source <> 'huggingface' AND NOT is_price_list(source)) OR (is_official AND quantization = '')) AS is_anchor,
  bool_or(is_garbage) AS is_garbage,
  median(params_b) AS params_b,
  -- the day of the listing is nearer to the release than what others note later
  coalesce(
    min(released_on) FILTER (source = 'openrouter'),
    min(released_on) FILTER (source = 'artificial_analysis'),
    min(released_on)) AS released_on,
  bool_or(source = 'openrouter') AS in_openrouter,
  bool_or(source = 'artificial_analysis') AS in_artificial_analysis,
  list_sort(list([first_seen_on, last_seen_on]) FILTER (source = 'lmsys_arena' AND effort = '')) AS arena_spans,
  min(vendor) FILTER (source = 'huggingface' AND is_official) AS hub_author,
  bool_and(source IN ('lmsys_arena', 'upstream') OR is_price_list(source)) AS is_display_only,
  bool_and(is_price_list(source)) AS is_priced_only,
  list_sort(list_distinct(list_concat(list(concat(source, ':', lower(record_id))), flatten(list(refs))))) AS keys,
  coalesce(len(flatten(list(refs))), 0) > 0 AS has_refs,
  bool_or(is_only_author) AS is_only_author,
  bool_and(source = 'huggingface') AS is_hub_only,
  count(*) AS record_count
FROM (SELECT * FROM signed JOIN unit_of_record USING (source, record_id))
GROUP BY unit_key);
