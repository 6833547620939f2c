-- table: profiles
-- severity: error
-- More or fewer than one default profile, or weights that do not add up to one.
SELECT 'defaults' AS fault, CAST(count(*) FILTER (WHERE is_default) AS DOUBLE) AS value
FROM profiles
HAVING count(*) FILTER (WHERE is_default) <> 1
UNION ALL
SELECT profile, weight_quality + weight_latency + weight_cost + weight_context
FROM profiles
WHERE abs(weight_quality + weight_latency + weight_cost + weight_context - 1) > 1e-6
