-- What is known today of the listings of OpenRouter that are or were chat models, whichever may be called now.
SELECT
    offer.record_id,
    offer.offer_id,
    offer.model_id,
    offer.supports_reasoning,
    offer.reasoning_is_mandatory,
    offer.supported_efforts,
    coalesce(model.active_size_b, model.size_b) AS active_size_b,
    coalesce(offer.may_train_on_prompts, false) AS may_train_on_prompts
FROM ranking.offers AS offer
JOIN entity.models AS model USING (model_id)
WHERE offer.source = 'openrouter' AND offer.host_tag IS NULL AND offer.kind IN ('chat', 'expired')
ORDER BY offer.record_id
