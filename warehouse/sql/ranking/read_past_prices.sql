-- Prices of every listing that OpenRouter was ever seen to have, each from its time until the next row of its kind.
SELECT record_id, metric, value, observed_at
FROM core.observations
WHERE
    source = 'openrouter' AND scope = ''
    AND metric IN ('price_in_usd_per_mtok', 'price_out_usd_per_mtok', 'price_reasoning_usd_per_mtok', 'context_tokens')
ORDER BY record_id, metric, observed_at
