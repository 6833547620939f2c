-- Evidence in a lasting order.
SELECT model_id, effort, metric, scope, value, variance, weight, source, record_id, observed_at
FROM ranking.evidence
WHERE isfinite(value)
ORDER BY model_id, source, record_id, metric, scope
