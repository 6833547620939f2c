-- What configured upstreams list, local servers among them.
SELECT
  'upstream' AS source,
  concat(upstream, ':', upstream_model) AS record_id,
  upstream_model AS name,
  '' AS organization,
  NULL::VARCHAR AS canonical_name,
  NULL::VARCHAR AS display_name,
  NULL::VARCHAR AS alias_target,
  []::VARCHAR[] AS refs,
  NULL::DATE AS released_on,
  NULL::DATE AS first_seen_on,
  observed_at::DATE AS last_seen_on,
  NULL::DOUBLE AS params_b,
  false AS is_pretrained,
  -- Nobody says what the model can do; its name and its relatives do.
  NULL::VARCHAR AS kind,
  NULL::VARCHAR AS license,
  NULL::VARCHAR AS knowledge_cutoff,
  NULL::BOOLEAN AS is_open_weights,
  observed_at
FROM core.upstream_listings;
