-- Every name the Arena ever used, so that a renamed model keeps its history.
SELECT
  'lmsys_arena' AS source,
  model_name AS record_id,
  model_name AS name,
  coalesce(organization, '') AS organization,
  NULL::VARCHAR AS canonical_name,
  NULL::VARCHAR AS display_name,
  NULL::VARCHAR AS alias_target,
  []::VARCHAR[] AS refs,
  NULL::DATE AS released_on,
  first_published_on AS first_seen_on,
  last_published_on AS last_seen_on,
  NULL::DOUBLE AS params_b,
  false AS is_pretrained,
  'chat' AS kind,
  license,
  NULL::VARCHAR AS knowledge_cutoff,
  NULL::BOOLEAN AS is_open_weights,
  last_published_on::TIMESTAMP AS observed_at
FROM core.lmsys_arena_names;
