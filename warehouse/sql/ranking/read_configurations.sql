-- Estimates by model, efforts from least to most.
SELECT
    model_id, effort, is_default, quality, quality_when_hard, quality_sd, quality_basis, latency_first_token_ms,
    throughput_tokens_per_s, thinking_tokens, latency_basis
FROM ranking.configurations
ORDER BY model_id, effort_position, effort
