-- The newest catalogue replaces the one before. Key: openrouter_id.
CREATE OR REPLACE TABLE core.openrouter_listings AS
SELECT
    openrouter_id::VARCHAR AS openrouter_id,
    canonical_slug::VARCHAR AS canonical_slug,
    hugging_face_id::VARCHAR AS hugging_face_id,
    name::VARCHAR AS name,
    vendor::VARCHAR AS vendor,
    created_at::TIMESTAMP AS created_at,
    kind::VARCHAR AS kind,
    variant::VARCHAR AS variant,
    alias_target::VARCHAR AS alias_target,
    context_tokens::BIGINT AS context_tokens,
    endpoint_context_tokens::BIGINT AS endpoint_context_tokens,
    max_output_tokens::BIGINT AS max_output_tokens,
    is_moderated::BOOLEAN AS is_moderated,
    input_modalities::VARCHAR[] AS input_modalities,
    output_modalities::VARCHAR[] AS output_modalities,
    tokenizer::VARCHAR AS tokenizer,
    supported_parameters::VARCHAR[] AS supported_parameters,
    price_in_usd_per_mtok::DOUBLE AS price_in_usd_per_mtok,
    price_out_usd_per_mtok::DOUBLE AS price_out_usd_per_mtok,
    price_cache_read_usd_per_mtok::DOUBLE AS price_cache_read_usd_per_mtok,
    price_cache_write_usd_per_mtok::DOUBLE AS price_cache_write_usd_per_mtok,
    price_reasoning_usd_per_mtok::DOUBLE AS price_reasoning_usd_per_mtok,
    price_request_usd::DOUBLE AS price_request_usd,
    price_image_usd::DOUBLE AS price_image_usd,
    price_web_search_usd::DOUBLE AS price_web_search_usd,
    price_audio_usd_per_mtok::DOUBLE AS price_audio_usd_per_mtok,
    price_tiers_json::VARCHAR AS price_tiers_json,
    supported_efforts::VARCHAR[] AS supported_efforts,
    default_effort::VARCHAR AS default_effort,
    reasoning_is_mandatory::BOOLEAN AS reasoning_is_mandatory,
    knowledge_cutoff::VARCHAR AS knowledge_cutoff,
    expires_on::DATE AS expires_on,
    aa_intelligence_index::DOUBLE AS aa_intelligence_index,
    aa_coding_index::DOUBLE AS aa_coding_index,
    aa_agentic_index::DOUBLE AS aa_agentic_index,
    design_arena_json::VARCHAR AS design_arena_json,
    observed_at::TIMESTAMP AS observed_at
FROM incoming
ORDER BY openrouter_id;

COMMENT ON TABLE core.openrouter_listings IS 'OpenRouter: one row per id of the newest catalogue';
COMMENT ON COLUMN core.openrouter_listings.openrouter_id IS 'id to call, as OpenRouter spells it';
COMMENT ON COLUMN core.openrouter_listings.canonical_slug IS 'dated id shared by the variants of one model';
COMMENT ON COLUMN core.openrouter_listings.hugging_face_id IS 'Hub repository OpenRouter names';
COMMENT ON COLUMN core.openrouter_listings.name IS 'name for people';
COMMENT ON COLUMN core.openrouter_listings.vendor IS 'part of the id before the slash';
COMMENT ON COLUMN core.openrouter_listings.created_at IS 'when OpenRouter listed it';
COMMENT ON COLUMN core.openrouter_listings.kind IS 'chat, base, batch, alias, router, expired, image, audio, video, embedding, guard or other';
COMMENT ON COLUMN core.openrouter_listings.variant IS 'what follows the colon of the id: free, batch, thinking';
COMMENT ON COLUMN core.openrouter_listings.alias_target IS 'id a moving alias points to';
COMMENT ON COLUMN core.openrouter_listings.context_tokens IS 'window of the model';
COMMENT ON COLUMN core.openrouter_listings.endpoint_context_tokens IS 'window of the host OpenRouter prefers';
COMMENT ON COLUMN core.openrouter_listings.max_output_tokens IS 'most completion tokens of that host';
COMMENT ON COLUMN core.openrouter_listings.is_moderated IS 'prompts are filtered before the model';
COMMENT ON COLUMN core.openrouter_listings.input_modalities IS 'text, image, audio, video, file';
COMMENT ON COLUMN core.openrouter_listings.output_modalities IS 'text, image, audio';
COMMENT ON COLUMN core.openrouter_listings.tokenizer IS 'as OpenRouter groups them';
COMMENT ON COLUMN core.openrouter_listings.supported_parameters IS 'request fields, sorted';
COMMENT ON COLUMN core.openrouter_listings.price_in_usd_per_mtok IS 'prompt tokens, USD per million';
COMMENT ON COLUMN core.openrouter_listings.price_out_usd_per_mtok IS 'completion tokens, USD per million';
COMMENT ON COLUMN core.openrouter_listings.price_cache_read_usd_per_mtok IS 'prompt tokens read from the cache, USD per million';
COMMENT ON COLUMN core.openrouter_listings.price_cache_write_usd_per_mtok IS 'prompt tokens written to the cache, USD per million';
COMMENT ON COLUMN core.openrouter_listings.price_reasoning_usd_per_mtok IS 'reasoning tokens where priced apart, USD per million';
COMMENT ON COLUMN core.openrouter_listings.price_request_usd IS 'each request, USD';
COMMENT ON COLUMN core.openrouter_listings.price_image_usd IS 'each input image, USD; null where images are priced as tokens';
COMMENT ON COLUMN core.openrouter_listings.price_web_search_usd IS 'each web search, USD';
COMMENT ON COLUMN core.openrouter_listings.price_audio_usd_per_mtok IS 'audio input tokens, USD per million';
COMMENT ON COLUMN core.openrouter_listings.price_tiers_json IS 'JSON list of dearer prices above min_prompt_tokens, USD per million';
COMMENT ON COLUMN core.openrouter_listings.supported_efforts IS 'reasoning efforts that can be asked for';
COMMENT ON COLUMN core.openrouter_listings.default_effort IS 'effort when none is asked for';
COMMENT ON COLUMN core.openrouter_listings.reasoning_is_mandatory IS 'cannot be switched off';
COMMENT ON COLUMN core.openrouter_listings.knowledge_cutoff IS 'as stated';
COMMENT ON COLUMN core.openrouter_listings.expires_on IS 'announced last day';
COMMENT ON COLUMN core.openrouter_listings.aa_intelligence_index IS 'Artificial Analysis index printed in the catalogue, mostly at the highest effort';
COMMENT ON COLUMN core.openrouter_listings.aa_coding_index IS 'likewise, coding';
COMMENT ON COLUMN core.openrouter_listings.aa_agentic_index IS 'likewise, agentic work';
COMMENT ON COLUMN core.openrouter_listings.design_arena_json IS 'JSON list of Design Arena ratings';
COMMENT ON COLUMN core.openrouter_listings.observed_at IS 'when the catalogue was seen';
