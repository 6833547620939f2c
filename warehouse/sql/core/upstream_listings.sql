-- What each upstream listed when last asked; upstreams that were not asked stay, unconfigured ones go. Key: upstream,
-- upstream_model.
CREATE OR REPLACE TABLE core.upstream_listings AS
WITH kept AS (
    FROM previous
    WHERE upstream NOT IN (SELECT payload FROM loaded) AND upstream IN (SELECT payload FROM payloads)
),
listings AS (
    FROM incoming UNION ALL BY NAME FROM kept
)
SELECT
    upstream::VARCHAR AS upstream,
    upstream_model::VARCHAR AS upstream_model,
    kind::VARCHAR AS kind,
    is_local::BOOLEAN AS is_local,
    provider::VARCHAR AS provider,
    owned_by::VARCHAR AS owned_by,
    context_tokens::BIGINT AS context_tokens,
    trained_context_tokens::BIGINT AS trained_context_tokens,
    is_loaded::BOOLEAN AS is_loaded,
    slots::BIGINT AS slots,
    capabilities::VARCHAR[] AS capabilities,
    size_bytes::BIGINT AS size_bytes,
    quantization::VARCHAR AS quantization,
    family::VARCHAR AS family,
    parameter_size::VARCHAR AS parameter_size,
    digest::VARCHAR AS digest,
    modified_at::TIMESTAMP AS modified_at,
    observed_at::TIMESTAMP AS observed_at
FROM listings
ORDER BY upstream, upstream_model;

COMMENT ON TABLE core.upstream_listings IS 'Configured upstreams: one row per model they list';
COMMENT ON COLUMN core.upstream_listings.upstream IS 'row of upstreams.toml';
COMMENT ON COLUMN core.upstream_listings.upstream_model IS 'name to call it by';
COMMENT ON COLUMN core.upstream_listings.kind IS 'kind of the upstream';
COMMENT ON COLUMN core.upstream_listings.is_local IS 'a server of the user''s own';
COMMENT ON COLUMN core.upstream_listings.provider IS 'whose API it is, as price lists know it; null for others';
COMMENT ON COLUMN core.upstream_listings.owned_by IS 'as listed';
COMMENT ON COLUMN core.upstream_listings.context_tokens IS 'window in effect: what the server serves, not what the model was trained for';
COMMENT ON COLUMN core.upstream_listings.trained_context_tokens IS 'window the model was trained for';
COMMENT ON COLUMN core.upstream_listings.is_loaded IS 'in memory now; null where the server does not say';
COMMENT ON COLUMN core.upstream_listings.slots IS 'calls it answers at once';
COMMENT ON COLUMN core.upstream_listings.capabilities IS 'completion, tools, vision, thinking, embedding, as the server says';
COMMENT ON COLUMN core.upstream_listings.size_bytes IS 'size of the weights';
COMMENT ON COLUMN core.upstream_listings.quantization IS 'as listed: Q4_K_M';
COMMENT ON COLUMN core.upstream_listings.family IS 'as listed: llama';
COMMENT ON COLUMN core.upstream_listings.parameter_size IS 'as listed: 8.0B';
COMMENT ON COLUMN core.upstream_listings.digest IS 'of the weights';
COMMENT ON COLUMN core.upstream_listings.modified_at IS 'as listed';
COMMENT ON COLUMN core.upstream_listings.observed_at IS 'when it was asked';
