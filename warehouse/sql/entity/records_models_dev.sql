-- What this price list knows of each provider's models. Their names are the providers', so they say nothing of the author.
SELECT
  'models_dev' AS source,
  listed_id AS record_id,
  provider_model AS name,
  '' AS organization,
  NULL::VARCHAR AS canonical_name,
  NULL::VARCHAR AS display_name,
  NULL::VARCHAR AS alias_target,
  CASE WHEN provider = 'openrouter' THEN [concat('openrouter:', lower(provider_model))] ELSE [] END AS refs,
  NULL::DATE AS released_on,
  NULL::DATE AS first_seen_on,
  observed_at::DATE AS last_seen_on,
  NULL::DOUBLE AS params_b,
  coalesce(kind = 'base', false) AS is_pretrained,
  kind,
  NULL::VARCHAR AS license,
  knowledge_cutoff,
  is_open_weights,
  observed_at
FROM core.models_dev_models;
