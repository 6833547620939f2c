-- What a score needs to know of every callable offer, and where its listing comes from.
SELECT
    offer.offer_id,
    offer.model_id,
    offer.is_local,
    offer.is_free,
    offer.may_train_on_prompts,
    offer.supports_reasoning,
    offer.reasoning_is_mandatory,
    offer.supported_efforts,
    offer.price_in_usd_per_mtok,
    offer.price_out_usd_per_mtok,
    offer.price_reasoning_usd_per_mtok,
    offer.price_request_usd,
    offer.context_tokens,
    offer.latency_ms,
    offer.throughput_tokens_per_s,
    coalesce(model.active_size_b, model.size_b) AS active_size_b,
    offer.quantization,
    offer.uptime_percent,
    coalesce(offer.endpoint_age_days, 0) AS endpoint_age_days,
    offer.host_tag IS NOT NULL AS is_host,
    offer.price_tiers_json,
    offer.is_loaded,
    offer.source,
    offer.record_id,
    offer.observed_at,
    -- A source has no colon in its name, a record may.
    split_part(coalesce(offer.price_source, offer.source), ':', 1) AS price_source,
    coalesce(regexp_replace(offer.price_source, '^[^:]*:', ''), offer.record_id) AS price_record_id,
    coalesce(offer.price_observed_at, offer.observed_at) AS price_observed_at,
    coalesce(sized.source, offer.source) AS size_source,
    coalesce(sized.record_id, offer.record_id) AS size_record_id,
    coalesce(sized.observed_at, offer.observed_at) AS size_observed_at
FROM ranking.offers AS offer
JOIN entity.models AS model USING (model_id)
LEFT JOIN core.upstream_listings AS listing
    ON offer.source = 'upstream' AND listing.upstream = offer.upstream AND listing.upstream_model = offer.upstream_model
-- The window is a price list's only where the upstream does not state it.
LEFT JOIN ranking.provider_prices AS sized
    ON listing.context_tokens IS NULL AND offer.limits_source = sized.source || ':' || sized.record_id
WHERE offer.is_callable
ORDER BY offer.offer_id
