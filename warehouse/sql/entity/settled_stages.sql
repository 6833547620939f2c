-- What does a name without "instruct" or "base" mean? On the Hub the base model, where its author also publishes an
-- instructed one; elsewhere the instructed one. Where one source lists both side by side they are two models.
CREATE OR REPLACE TABLE settled_stages AS
WITH keyed AS (
  SELECT *,
    concat_ws('|', words, tier, modality, training, mode, version, revision, size, active, context, date, preview)
      AS stageless_key
  FROM settled_modes
),
grouped AS (
  SELECT stageless_key,
    bool_or(stage = 'base' AND is_official) AS has_base,
    bool_or(stage IN ('instruct', 'chat')) AS has_tuned,
    bool_or(source = 'huggingface' AND stage = '' AND is_pretrained) AS has_pretrained
  FROM keyed GROUP BY ALL
  HAVING count(DISTINCT stage) > 1
),
by_author AS (
  SELECT DISTINCT stageless_key FROM keyed
  WHERE source = 'huggingface' AND stageless_key IN (SELECT stageless_key FROM grouped WHERE has_tuned)
  GROUP BY stageless_key, CASE WHEN is_official OR is_mirror OR quantization <> '' THEN '' ELSE vendor END
  HAVING bool_or(stage = '') AND bool_or(stage IN ('instruct', 'chat'))
),
chat_and_instruct AS (
  SELECT DISTINCT stageless_key FROM keyed
  WHERE stageless_key IN (SELECT stageless_key FROM grouped WHERE has_tuned)
  GROUP BY stageless_key, source, vendor
  HAVING bool_or(stage = 'chat') AND bool_or(stage = 'instruct')
),
side_by_side AS (
  SELECT DISTINCT stageless_key FROM keyed
  WHERE source IN ('openrouter', 'artificial_analysis', 'lmsys_arena') AND effort = ''
    AND stageless_key IN (SELECT stageless_key FROM grouped WHERE has_tuned)
  GROUP BY stageless_key, source
  HAVING overlap(
    min(first_seen_on) FILTER (stage = ''), max(last_seen_on) FILTER (stage = ''),
    min(first_seen_on) FILTER (stage IN ('instruct', 'chat')), max(last_seen_on) FILTER (stage IN ('instruct', 'chat')))
)
SELECT keyed.* EXCLUDE (stage, stageless_key),
  CASE
    WHEN (side_by_side.stageless_key IS NOT NULL OR chat_and_instruct.stageless_key IS NOT NULL)
      AND stage IN ('instruct', 'chat') THEN 'own ' || stage
    WHEN stage IN ('instruct', 'chat') THEN 'tuned'
    WHEN stage = 'base' THEN 'base'
    WHEN side_by_side.stageless_key IS NOT NULL THEN ''
    WHEN coalesce(has_base, false) THEN 'tuned'
    WHEN by_author.stageless_key IS NOT NULL OR coalesce(has_tuned AND has_pretrained, false)
      THEN CASE WHEN source = 'huggingface' THEN 'base' ELSE 'tuned' END
    ELSE ''
  END AS stage
FROM keyed
LEFT JOIN grouped USING (stageless_key)
LEFT JOIN by_author USING (stageless_key)
LEFT JOIN chat_and_instruct USING (stageless_key)
LEFT JOIN side_by_side USING (stageless_key);
