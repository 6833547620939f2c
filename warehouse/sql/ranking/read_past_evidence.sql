-- Every rating, benchmark and speed figure that was ever observed, with the model it is linked to: what was known by a
-- day is the newest of each at or before it. Leaderboards that have ended stand at the day they did.
WITH
linked AS (
    SELECT source, record_id, model_id, effort FROM entity.model_records
),
ratings AS (
    SELECT
        value.record_id,
        value.metric,
        value.scope,
        value.value,
        power((upper.value - lower.value) / (2 * 1.96), 2) AS variance,
        votes.value AS weight,
        value.source,
        value.observed_at
    FROM core.observations AS value
    LEFT JOIN core.observations AS lower
        ON lower.source = 'lmsys_arena' AND lower.metric = 'rating_lower' AND lower.record_id = value.record_id
        AND lower.scope = value.scope AND lower.observed_at = value.observed_at
    LEFT JOIN core.observations AS upper
        ON upper.source = 'lmsys_arena' AND upper.metric = 'rating_upper' AND upper.record_id = value.record_id
        AND upper.scope = value.scope AND upper.observed_at = value.observed_at
    LEFT JOIN core.observations AS votes
        ON votes.source = 'lmsys_arena' AND votes.metric = 'vote_count' AND votes.record_id = value.record_id
        AND votes.scope = value.scope AND votes.observed_at = value.observed_at
    WHERE
        value.source = 'lmsys_arena' AND value.metric = 'rating'
        AND value.scope IN ('text/overall', 'vision/overall', 'webdev/overall')
),
measured AS (
    SELECT record_id, metric, scope, value, NULL AS variance, 1.0 AS weight, source, observed_at
    FROM core.observations
    WHERE
        scope = '' AND value > 0
        AND (
            source = 'artificial_analysis'
            OR (source = 'openrouter' AND metric LIKE 'aa\_%' ESCAPE '\')
        )
),
ended AS (
    SELECT
        record_id, metric, scope, value, variance, weight, source,
        CASE scope WHEN 'v1' THEN TIMESTAMP '2024-06-15' ELSE TIMESTAMP '2025-03-13' END AS observed_at
    FROM ranking.evidence
    WHERE source = 'huggingface' AND metric <> 'alpaca_eval'
),
dated AS (
    -- These say themselves when they were published.
    SELECT record_id, metric, scope, value, variance, weight, source, observed_at
    FROM ranking.evidence
    WHERE metric IN ('mt_bench', 'arena_hard', 'alpaca_eval') OR scope = 'lmsys'
),
observed AS (
    FROM ratings UNION ALL BY NAME FROM measured UNION ALL BY NAME FROM ended
    UNION ALL BY NAME FROM dated
)
SELECT
    linked.model_id,
    -- The table knows the effort of some records whose name does not state it.
    coalesce(linked.effort, entry.effort) AS effort,
    observed.metric,
    observed.scope,
    observed.value,
    observed.variance,
    coalesce(observed.weight, 1.0) AS weight,
    observed.source,
    observed.record_id,
    observed.observed_at
FROM observed
JOIN linked USING (source, record_id)
LEFT JOIN core.artificial_analysis_models AS entry
    ON observed.source = 'artificial_analysis' AND entry.slug = observed.record_id
WHERE isfinite(observed.value)
ORDER BY linked.model_id, observed.source, observed.record_id, observed.metric, observed.scope, observed.observed_at
