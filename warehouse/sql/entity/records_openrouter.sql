-- OpenRouter's ids as linkable records. The listing day is its release here; the slug's date is no more exact.
SELECT
  'openrouter' AS source,
  openrouter_id AS record_id,
  openrouter_id AS name,
  vendor AS organization,
  canonical_slug AS canonical_name,
  regexp_replace(regexp_replace(name, '^[^:]{1,40}: ', ''), ' \((free|batch|thinking|extended|exacto)\)$', '') AS display_name,
  alias_target,
  CASE WHEN coalesce(hugging_face_id, '') <> '' THEN [concat('huggingface:', lower(hugging_face_id))] ELSE [] END AS refs,
  created_at::DATE AS released_on,
  created_at::DATE AS first_seen_on,
  observed_at::DATE AS last_seen_on,
  NULL::DOUBLE AS params_b,
  kind = 'base' AS is_pretrained,
  kind,
  NULL::VARCHAR AS license,
  knowledge_cutoff,
  NULL::BOOLEAN AS is_open_weights,
  observed_at
FROM core.openrouter_listings;
