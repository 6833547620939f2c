-- table: rankings
-- severity: error
-- Scores that are not the weighted sum of their parts, or parts outside 0 to 1.
SELECT rankings.profile, rankings.rank, rankings.offer_id, rankings.score
FROM rankings
JOIN profiles USING (profile)
WHERE
    abs(
        rankings.quality_score * profiles.weight_quality + rankings.latency_score * profiles.weight_latency
        + rankings.cost_score * profiles.weight_cost + rankings.context_score * profiles.weight_context
        - rankings.score
    ) > 1e-9
    OR least(quality_score, latency_score, cost_score, context_score) < 0
    OR greatest(quality_score, latency_score, cost_score, context_score) > 1
    OR NOT isfinite(rankings.score)
