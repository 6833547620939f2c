-- How much history there is of every metric.
SELECT
    source,
    metric,
    count(DISTINCT (record_id, scope)),
    count(*),
    strftime(min(observed_at), '%Y-%m-%d'),
    strftime(max(observed_at), '%Y-%m-%d')
FROM core.observations
GROUP BY source, metric
ORDER BY source, metric;
