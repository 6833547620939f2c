-- Repositories that benchmarks on the Hub name and no other table does: records of the Hub like the rest.
SELECT
  'huggingface' AS source,
  huggingface_id AS record_id,
  huggingface_id AS name,
  '' AS organization,
  NULL::VARCHAR AS canonical_name,
  NULL::VARCHAR AS display_name,
  NULL::VARCHAR AS alias_target,
  []::VARCHAR[] AS refs,
  NULL::DATE AS released_on,
  NULL::DATE AS first_seen_on,
  max(observed_at)::DATE AS last_seen_on,
  NULL::DOUBLE AS params_b,
  false AS is_pretrained,
  NULL::VARCHAR AS kind,
  NULL::VARCHAR AS license,
  NULL::VARCHAR AS knowledge_cutoff,
  true AS is_open_weights,
  max(observed_at) AS observed_at
FROM core.hub_evaluations
GROUP BY huggingface_id;
