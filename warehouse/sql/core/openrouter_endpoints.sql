-- The newest set of host endpoints replaces the one before. Key: openrouter_id, host_tag.
CREATE OR REPLACE TABLE core.openrouter_endpoints AS
SELECT
    openrouter_id::VARCHAR AS openrouter_id,
    canonical_slug::VARCHAR AS canonical_slug,
    host_name::VARCHAR AS host_name,
    host_tag::VARCHAR AS host_tag,
    quantization::VARCHAR AS quantization,
    context_tokens::BIGINT AS context_tokens,
    max_output_tokens::BIGINT AS max_output_tokens,
    max_prompt_tokens::BIGINT AS max_prompt_tokens,
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
    discount::DOUBLE AS discount,
    supported_parameters::VARCHAR[] AS supported_parameters,
    status::INTEGER AS status,
    uptime_percent_last_30m::DOUBLE AS uptime_percent_last_30m,
    uptime_percent_last_1d::DOUBLE AS uptime_percent_last_1d,
    latency_p50_ms::DOUBLE AS latency_p50_ms,
    latency_p90_ms::DOUBLE AS latency_p90_ms,
    throughput_p50_tokens_per_s::DOUBLE AS throughput_p50_tokens_per_s,
    throughput_p90_tokens_per_s::DOUBLE AS throughput_p90_tokens_per_s,
    may_train_on_prompts::BOOLEAN AS may_train_on_prompts,
    supports_implicit_caching::BOOLEAN AS supports_implicit_caching,
    observed_at::TIMESTAMP AS observed_at
FROM incoming
ORDER BY openrouter_id, host_tag;

COMMENT ON TABLE core.openrouter_endpoints IS 'OpenRouter: one row per host endpoint of a model';
COMMENT ON COLUMN core.openrouter_endpoints.openrouter_id IS 'model, as core.openrouter_listings';
COMMENT ON COLUMN core.openrouter_endpoints.canonical_slug IS 'dated id';
COMMENT ON COLUMN core.openrouter_endpoints.host_name IS 'host for people';
COMMENT ON COLUMN core.openrouter_endpoints.host_tag IS 'host as a request names it';
COMMENT ON COLUMN core.openrouter_endpoints.quantization IS 'as stated; null where unknown';
COMMENT ON COLUMN core.openrouter_endpoints.context_tokens IS 'window at this host';
COMMENT ON COLUMN core.openrouter_endpoints.max_output_tokens IS 'most completion tokens';
COMMENT ON COLUMN core.openrouter_endpoints.max_prompt_tokens IS 'most prompt tokens';
COMMENT ON COLUMN core.openrouter_endpoints.price_in_usd_per_mtok IS 'prompt tokens, USD per million';
COMMENT ON COLUMN core.openrouter_endpoints.price_out_usd_per_mtok IS 'completion tokens, USD per million';
COMMENT ON COLUMN core.openrouter_endpoints.price_cache_read_usd_per_mtok IS 'prompt tokens read from the cache, USD per million';
COMMENT ON COLUMN core.openrouter_endpoints.price_cache_write_usd_per_mtok IS 'prompt tokens written to the cache, USD per million';
COMMENT ON COLUMN core.openrouter_endpoints.price_reasoning_usd_per_mtok IS 'reasoning tokens where priced apart, USD per million';
COMMENT ON COLUMN core.openrouter_endpoints.price_request_usd IS 'each request, USD';
COMMENT ON COLUMN core.openrouter_endpoints.price_image_usd IS 'each input image, USD; null where images are priced as tokens';
COMMENT ON COLUMN core.openrouter_endpoints.price_web_search_usd IS 'each web search, USD';
COMMENT ON COLUMN core.openrouter_endpoints.price_audio_usd_per_mtok IS 'audio input tokens, USD per million';
COMMENT ON COLUMN core.openrouter_endpoints.price_tiers_json IS 'JSON list of dearer prices above min_prompt_tokens, USD per million';
COMMENT ON COLUMN core.openrouter_endpoints.discount IS 'already inside the prices';
COMMENT ON COLUMN core.openrouter_endpoints.supported_parameters IS 'request fields, sorted';
COMMENT ON COLUMN core.openrouter_endpoints.status IS 'OpenRouter''s own code, meanings not documented';
COMMENT ON COLUMN core.openrouter_endpoints.uptime_percent_last_30m IS 'calls answered, rate-limited ones left out';
COMMENT ON COLUMN core.openrouter_endpoints.uptime_percent_last_1d IS 'likewise over a day';
COMMENT ON COLUMN core.openrouter_endpoints.latency_p50_ms IS 'time to the first token, median of 30 minutes';
COMMENT ON COLUMN core.openrouter_endpoints.latency_p90_ms IS 'likewise, 90th percentile';
COMMENT ON COLUMN core.openrouter_endpoints.throughput_p50_tokens_per_s IS 'completion tokens a second, median of 30 minutes';
COMMENT ON COLUMN core.openrouter_endpoints.throughput_p90_tokens_per_s IS 'likewise, 90th percentile';
COMMENT ON COLUMN core.openrouter_endpoints.may_train_on_prompts IS 'the host may train on prompts';
COMMENT ON COLUMN core.openrouter_endpoints.supports_implicit_caching IS 'caches prompts unasked';
COMMENT ON COLUMN core.openrouter_endpoints.observed_at IS 'when it was seen';
