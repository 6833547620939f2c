-- What is known of each repository, gathered over payloads and runs: of every column the newest value that is known.
-- Mirrors add up. Key: huggingface_id.
CREATE OR REPLACE TABLE core.huggingface_repositories AS
WITH seen AS (
    FROM incoming UNION ALL BY NAME FROM previous
)
SELECT
    huggingface_id::VARCHAR AS huggingface_id,
    arg_max(author, observed_at)::VARCHAR AS author,
    arg_max(downloads, observed_at)::BIGINT AS downloads,
    arg_max(likes, observed_at)::BIGINT AS likes,
    arg_max(pipeline_tag, observed_at)::VARCHAR AS pipeline_tag,
    arg_max(library_name, observed_at)::VARCHAR AS library_name,
    arg_max(license, observed_at)::VARCHAR AS license,
    arg_max(architecture, observed_at)::VARCHAR AS architecture,
    arg_max(params_b, observed_at)::DOUBLE AS params_b,
    arg_max(context_tokens, observed_at)::BIGINT AS context_tokens,
    coalesce(arg_max(nullif(base_models, []), observed_at), [])::VARCHAR[] AS base_models,
    coalesce(arg_max(nullif(tags, []), observed_at), [])::VARCHAR[] AS tags,
    list_sort(list_distinct(flatten(list(gguf_sources))))::VARCHAR[] AS gguf_sources,
    arg_max(gated, observed_at)::VARCHAR AS gated,
    arg_max(created_at, observed_at)::TIMESTAMP AS created_at,
    arg_max(modified_at, observed_at)::TIMESTAMP AS modified_at,
    max(observed_at)::TIMESTAMP AS observed_at
FROM seen
GROUP BY huggingface_id
ORDER BY huggingface_id;

COMMENT ON TABLE core.huggingface_repositories IS 'Hugging Face Hub: one row per repository that matters';
COMMENT ON COLUMN core.huggingface_repositories.huggingface_id IS 'repository';
COMMENT ON COLUMN core.huggingface_repositories.author IS 'account';
COMMENT ON COLUMN core.huggingface_repositories.downloads IS 'of the last 30 days';
COMMENT ON COLUMN core.huggingface_repositories.likes IS 'likes';
COMMENT ON COLUMN core.huggingface_repositories.pipeline_tag IS 'task';
COMMENT ON COLUMN core.huggingface_repositories.library_name IS 'library';
COMMENT ON COLUMN core.huggingface_repositories.license IS 'licence tag';
COMMENT ON COLUMN core.huggingface_repositories.architecture IS 'architecture of its configuration';
COMMENT ON COLUMN core.huggingface_repositories.params_b IS 'parameters, billions';
COMMENT ON COLUMN core.huggingface_repositories.context_tokens IS 'window of its configuration';
COMMENT ON COLUMN core.huggingface_repositories.base_models IS 'repositories it was made from';
COMMENT ON COLUMN core.huggingface_repositories.tags IS 'the Hub''s tags';
COMMENT ON COLUMN core.huggingface_repositories.gguf_sources IS 'repositories with its weights in GGUF';
COMMENT ON COLUMN core.huggingface_repositories.gated IS 'false, auto or manual';
COMMENT ON COLUMN core.huggingface_repositories.created_at IS 'created';
COMMENT ON COLUMN core.huggingface_repositories.modified_at IS 'last changed';
COMMENT ON COLUMN core.huggingface_repositories.observed_at IS 'when it was last seen';
