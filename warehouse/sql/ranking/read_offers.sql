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
    offer.source,
    offer.record_id,
    offer.observed_at
FROM ranking.offers AS offer
JOIN entity.models AS model USING (model_id)
WHERE offer.is_callable
ORDER BY offer.offer_id
