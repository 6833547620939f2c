-- table: pareto
-- severity: error
-- Undominated rows that another row beats, dominated rows without a dominator that is no worse, and ranked rows that
-- are missing.
SELECT here.profile, here.rank, there.rank AS other_rank
FROM pareto AS here
JOIN pareto AS there
    ON there.profile = here.profile AND here.is_undominated
    AND there.quality_lower >= here.quality_lower AND there.latency_ms <= here.latency_ms
    AND there.cost_in_usd_per_call <= here.cost_in_usd_per_call
WHERE
    there.quality_lower > here.quality_lower OR there.latency_ms < here.latency_ms
    OR there.cost_in_usd_per_call < here.cost_in_usd_per_call
UNION ALL
SELECT here.profile, here.rank, there.rank
FROM pareto AS here
LEFT JOIN pareto AS there
    ON there.profile = here.profile AND there.offer_id = here.dominated_by_offer_id
    AND there.effort IS NOT DISTINCT FROM here.dominated_by_effort AND there.is_undominated
    AND there.quality_lower >= here.quality_lower AND there.latency_ms <= here.latency_ms
    AND there.cost_in_usd_per_call <= here.cost_in_usd_per_call
WHERE NOT here.is_undominated AND there.rank IS NULL
UNION ALL
SELECT rankings.profile, rankings.rank, NULL
FROM rankings
ANTI JOIN pareto
    ON pareto.profile = rankings.profile AND pareto.rank = rankings.rank AND pareto.offer_id = rankings.offer_id
