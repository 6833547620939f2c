-- Of every ranked offer at an effort, whether another is at least as good, as quick and as cheap and better in one of
-- the three: then it is dominated, and the best ranked of those that are not dominated themselves is named. Quality
-- counts by its lower bound, as cautious as the profile is. What has no known price or time is not compared.
CREATE OR REPLACE TABLE ranking.pareto AS
WITH
placed AS (
    SELECT
        ranked.profile,
        ranked.rank,
        ranked.model_id,
        ranked.offer_id,
        ranked.effort,
        ranked.quality - profiles.caution * ranked.quality_sd AS quality_lower,
        ranked.latency_ms,
        ranked.cost_in_usd_per_call
    FROM ranking.rankings AS ranked
    JOIN ranking.profiles AS profiles USING (profile)
),
compared AS (
    FROM placed
    WHERE quality_lower IS NOT NULL AND latency_ms IS NOT NULL AND cost_in_usd_per_call IS NOT NULL
),
dominated AS (
    SELECT DISTINCT here.profile, here.rank
    FROM compared AS here
    JOIN compared AS there
        ON there.profile = here.profile
        AND there.quality_lower >= here.quality_lower
        AND there.latency_ms <= here.latency_ms
        AND there.cost_in_usd_per_call <= here.cost_in_usd_per_call
    WHERE
        there.quality_lower > here.quality_lower
        OR there.latency_ms < here.latency_ms
        OR there.cost_in_usd_per_call < here.cost_in_usd_per_call
),
front AS (
    FROM compared ANTI JOIN dominated USING (profile, rank)
),
dominators AS (
    -- Whatever is dominated is so by one of the front too: domination is transitive.
    SELECT
        here.profile,
        here.rank,
        arg_min((there.offer_id, there.effort), there.rank) AS best
    FROM (FROM compared SEMI JOIN dominated USING (profile, rank)) AS here
    JOIN front AS there
        ON there.profile = here.profile
        AND there.quality_lower >= here.quality_lower
        AND there.latency_ms <= here.latency_ms
        AND there.cost_in_usd_per_call <= here.cost_in_usd_per_call
    GROUP BY here.profile, here.rank
)
SELECT
    placed.profile,
    placed.rank,
    placed.model_id,
    placed.offer_id,
    placed.effort,
    placed.quality_lower,
    placed.latency_ms,
    placed.cost_in_usd_per_call,
    CASE WHEN compared.rank IS NOT NULL THEN dominators.rank IS NULL END AS is_undominated,
    dominators.best[1] AS dominated_by_offer_id,
    dominators.best[2] AS dominated_by_effort
FROM placed
LEFT JOIN compared USING (profile, rank)
LEFT JOIN dominators USING (profile, rank)
ORDER BY placed.profile, placed.rank
