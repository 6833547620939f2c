-- table: category_rankings
-- severity: error
-- Scores that are not the weighted sum of their parts, parts outside 0 to 1, or offers that the band does not rank.
SELECT ranked.profile, ranked.category, ranked.difficulty_band, ranked.rank, ranked.offer_id, ranked.score
FROM category_rankings AS ranked
JOIN profiles USING (profile)
LEFT JOIN band_rankings AS band
    ON band.profile = ranked.profile AND band.difficulty_band = ranked.difficulty_band
    AND band.offer_id = ranked.offer_id AND band.effort IS NOT DISTINCT FROM ranked.effort
WHERE
    abs(
        ranked.quality_score * profiles.weight_quality + ranked.latency_score * profiles.weight_latency
        + ranked.cost_score * profiles.weight_cost + ranked.context_score * profiles.weight_context
        - ranked.score
    ) > 1e-9
    OR least(ranked.quality_score, ranked.latency_score, ranked.cost_score, ranked.context_score) < 0
    OR greatest(ranked.quality_score, ranked.latency_score, ranked.cost_score, ranked.context_score) > 1
    OR NOT isfinite(ranked.score)
    OR band.rank IS NULL
