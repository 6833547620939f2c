-- Repositories of the leaderboards and of the Hub: one record a repository, however many rows name it.
WITH benchmarks AS (
  SELECT huggingface_id,
    max(params_b) AS params_b,
    bool_or(model_type = 'pretrained') AS is_pretrained,
    min(uploaded_on) AS uploaded_on,
    max(license) AS license,
    max(observed_at) AS observed_at
  FROM core.huggingface_benchmarks GROUP BY huggingface_id
),
repositories AS (SELECT * FROM core.huggingface_repositories)
SELECT
  'huggingface' AS source,
  coalesce(benchmarks.huggingface_id, repositories.huggingface_id) AS record_id,
  record_id AS name,
  '' AS organization,
  NULL::VARCHAR AS canonical_name,
  NULL::VARCHAR AS display_name,
  NULL::VARCHAR AS alias_target,
  list_transform(coalesce(gguf_sources, []), lambda id: concat('huggingface:', lower(id))) AS refs,
  coalesce(created_at::DATE, uploaded_on) AS released_on,
  released_on AS first_seen_on,
  coalesce(repositories.observed_at, benchmarks.observed_at)::DATE AS last_seen_on,
  coalesce(repositories.params_b, benchmarks.params_b) AS params_b,
  coalesce(is_pretrained, false) AS is_pretrained,
  CASE
    WHEN pipeline_tag IN ('feature-extraction', 'sentence-similarity', 'text-ranking') THEN 'embedding'
    WHEN pipeline_tag IN ('text-to-image', 'image-to-image') THEN 'image'
    WHEN pipeline_tag IN ('text-to-video', 'image-to-video') THEN 'video'
    WHEN pipeline_tag IN ('text-to-speech', 'automatic-speech-recognition', 'text-to-audio') THEN 'audio'
    WHEN coalesce(pipeline_tag, 'text-generation') IN (
      'text-generation', 'image-text-to-text', 'any-to-any', 'text2text-generation', 'audio-text-to-text', 'conversational'
    ) THEN CASE WHEN is_pretrained THEN 'base' ELSE 'chat' END
    ELSE 'other'
  END AS kind,
  coalesce(repositories.license, benchmarks.license) AS license,
  NULL::VARCHAR AS knowledge_cutoff,
  true AS is_open_weights,
  greatest(coalesce(repositories.observed_at, benchmarks.observed_at), coalesce(benchmarks.observed_at, repositories.observed_at)) AS observed_at
FROM benchmarks FULL JOIN repositories USING (huggingface_id);
