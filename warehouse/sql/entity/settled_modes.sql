-- Is `-thinking` (`-instant`, `-max`, `-medium`) a way of running a model or a checkpoint of its own? A catalogue that
-- lists it under its own name makes it a checkpoint, served fast (`turbo`) or not. Otherwise it is an effort of the plain
-- model.
CREATE OR REPLACE TABLE settled_modes AS
WITH keyed AS (
  SELECT *,
    concat_ws('|', words, tier, modality, training, version, revision, size, active, context) AS undated_key,
    concat_ws('|', words, '', modality, training, version, revision, size, active, context) AS tierless_key
  FROM parsed
),
catalogue AS (
  SELECT * FROM keyed
  WHERE source IN ('openrouter', 'artificial_analysis') OR (source = 'huggingface' AND is_official)
),
own AS (
  SELECT DISTINCT undated_key, date, mode FROM catalogue WHERE mode <> '' AND NOT mode_in_brackets
),
own_at_any_date AS (SELECT DISTINCT undated_key, mode FROM own),
plain AS (SELECT DISTINCT undated_key, date FROM catalogue WHERE mode = '')
SELECT
  keyed.* EXCLUDE (mode, effort, tier, undated_key, tierless_key),
  CASE WHEN (is_own AND mode NOT IN ('max', 'medium')) OR is_word THEN mode ELSE '' END AS mode,
  CASE WHEN is_tier THEN array_to_string(list_sort(list_distinct(string_split(trim(concat(tier, ' ', mode)), ' '))), ' ')
       ELSE tier END AS tier,
  CASE WHEN mode <> '' AND NOT is_own AND NOT is_tier AND NOT is_word THEN concat_ws('-', mode, nullif(effort, '')) ELSE effort END AS effort
FROM (
  SELECT keyed.*,
    -- a repository is always a checkpoint
    keyed.mode <> '' AND (keyed.source = 'huggingface' OR own.mode IS NOT NULL OR (own_at_any_date.mode IS NOT NULL AND (plain.undated_key IS NULL OR NOT mode_in_brackets))
      OR (keyed.tier = 'turbo' AND NOT mode_in_brackets AND served.mode IS NOT NULL)) AS is_own,
    keyed.mode IN ('max', 'medium')
      AND (own.mode IS NOT NULL OR own_at_any_date.mode IS NOT NULL OR plain.undated_key IS NULL) AS is_tier,
    keyed.mode = 'instant' AND plain.undated_key IS NULL AS is_word
  FROM keyed
  LEFT JOIN own USING (undated_key, date, mode)
  LEFT JOIN own_at_any_date USING (undated_key, mode)
  LEFT JOIN own_at_any_date AS served ON served.undated_key = keyed.tierless_key AND served.mode = keyed.mode
  LEFT JOIN plain USING (undated_key, date)
) AS keyed;
