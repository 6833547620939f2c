-- Artificial Analysis: a model at an effort is a record. The keys it gives are evidence; some are wrong.
SELECT
  'artificial_analysis' AS source,
  slug AS record_id,
  name,
  coalesce(creator, '') AS organization,
  NULL::VARCHAR AS canonical_name,
  NULL::VARCHAR AS display_name,
  NULL::VARCHAR AS alias_target,
  list_filter([concat('openrouter:', lower(openrouter_id)), concat('huggingface:', lower(huggingface_id))],
    lambda key: key NOT IN ('openrouter:', 'huggingface:')) AS refs,
  release_date AS released_on,
  release_date AS first_seen_on,
  observed_at::DATE AS last_seen_on,
  NULL::DOUBLE AS params_b,
  false AS is_pretrained,
  'chat' AS kind,
  license,
  NULL::VARCHAR AS knowledge_cutoff,
  is_open_weights,
  observed_at
FROM core.artificial_analysis_models;
