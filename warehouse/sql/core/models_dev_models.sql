-- models.dev, newest payload. Key: listed_id.
CREATE OR REPLACE TABLE core.models_dev_models AS
SELECT
    listed_id::VARCHAR AS listed_id,
    provider::VARCHAR AS provider,
    provider_model::VARCHAR AS provider_model,
    name::VARCHAR AS name,
    kind::VARCHAR AS kind,
    price_in_usd_per_mtok::DOUBLE AS price_in_usd_per_mtok,
    price_out_usd_per_mtok::DOUBLE AS price_out_usd_per_mtok,
    price_cache_read_usd_per_mtok::DOUBLE AS price_cache_read_usd_per_mtok,
    price_cache_write_usd_per_mtok::DOUBLE AS price_cache_write_usd_per_mtok,
    price_reasoning_usd_per_mtok::DOUBLE AS price_reasoning_usd_per_mtok,
    price_request_usd::DOUBLE AS price_request_usd,
    price_image_usd::DOUBLE AS price_image_usd,
    price_tiers_json::VARCHAR AS price_tiers_json,
    context_tokens::BIGINT AS context_tokens,
    max_output_tokens::BIGINT AS max_output_tokens,
    input_modalities::VARCHAR[] AS input_modalities,
    supports_tools::BOOLEAN AS supports_tools,
    supports_json_schema::BOOLEAN AS supports_json_schema,
    supports_reasoning::BOOLEAN AS supports_reasoning,
    supported_efforts::VARCHAR[] AS supported_efforts,
    released_on::DATE AS released_on,
    ends_on::DATE AS ends_on,
    knowledge_cutoff::VARCHAR AS knowledge_cutoff,
    is_open_weights::BOOLEAN AS is_open_weights,
    observed_at::TIMESTAMP AS observed_at
FROM incoming
ORDER BY listed_id;

COMMENT ON TABLE core.models_dev_models IS 'models.dev: one row per provider and model it serves, newest payload';
COMMENT ON COLUMN core.models_dev_models.listed_id IS 'the list''s own key, or provider/model where it nests them';
COMMENT ON COLUMN core.models_dev_models.provider IS 'who serves it, canonical';
COMMENT ON COLUMN core.models_dev_models.provider_model IS 'what that provider calls it';
COMMENT ON COLUMN core.models_dev_models.name IS 'name for people';
COMMENT ON COLUMN core.models_dev_models.kind IS 'chat, base, embedding, guard, image, audio or video; null where the list does not say';
COMMENT ON COLUMN core.models_dev_models.price_in_usd_per_mtok IS 'prompt tokens';
COMMENT ON COLUMN core.models_dev_models.price_out_usd_per_mtok IS 'completion tokens';
COMMENT ON COLUMN core.models_dev_models.price_cache_read_usd_per_mtok IS 'prompt tokens read from a cache';
COMMENT ON COLUMN core.models_dev_models.price_cache_write_usd_per_mtok IS 'prompt tokens written to a cache';
COMMENT ON COLUMN core.models_dev_models.price_reasoning_usd_per_mtok IS 'reasoning tokens, where they cost other than completion';
COMMENT ON COLUMN core.models_dev_models.price_request_usd IS 'each request';
COMMENT ON COLUMN core.models_dev_models.price_image_usd IS 'each input image';
COMMENT ON COLUMN core.models_dev_models.price_tiers_json IS 'other prices from a prompt length on, as published.offers holds them';
COMMENT ON COLUMN core.models_dev_models.context_tokens IS 'longest prompt, or prompt and completion together: lists differ';
COMMENT ON COLUMN core.models_dev_models.max_output_tokens IS 'longest completion';
COMMENT ON COLUMN core.models_dev_models.input_modalities IS 'text, image, audio, video, file';
COMMENT ON COLUMN core.models_dev_models.supports_tools IS 'function calling';
COMMENT ON COLUMN core.models_dev_models.supports_json_schema IS 'structured output';
COMMENT ON COLUMN core.models_dev_models.supports_reasoning IS 'whether it thinks';
COMMENT ON COLUMN core.models_dev_models.supported_efforts IS 'reasoning efforts it takes, where the list says';
COMMENT ON COLUMN core.models_dev_models.released_on IS 'release date';
COMMENT ON COLUMN core.models_dev_models.ends_on IS 'announced last day';
COMMENT ON COLUMN core.models_dev_models.knowledge_cutoff IS 'as stated';
COMMENT ON COLUMN core.models_dev_models.is_open_weights IS 'whether the weights can be downloaded';
COMMENT ON COLUMN core.models_dev_models.observed_at IS 'when the list was seen';
