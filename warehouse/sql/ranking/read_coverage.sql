-- One row per model that can be called for chat: whether it is ranked with a quality, a time, a throughput and a cost,
-- and why not. A model of which every offer collects prompts is not to be ranked unless they are let in.
WITH
called AS (
    SELECT
        model_id,
        bool_and(is_free OR coalesce(may_train_on_prompts, false)) AS collects_prompts,
        bool_or(price_in_usd_per_mtok IS NOT NULL AND price_out_usd_per_mtok IS NOT NULL) AS is_priced
    FROM ranking.offers
    WHERE is_callable
    GROUP BY model_id
),
ranked AS (
    SELECT
        model_id,
        bool_or(quality IS NOT NULL AND latency_ms IS NOT NULL AND cost_in_usd_per_call IS NOT NULL) AS is_complete
    FROM ranking.rankings
    GROUP BY model_id
),
timed AS (
    SELECT model_id, bool_or(throughput_tokens_per_s IS NOT NULL) AS has_throughput
    FROM ranking.configurations
    GROUP BY model_id
)
SELECT
    called.model_id,
    coalesce(ranked.is_complete AND timed.has_throughput, false) AS is_complete,
    CASE
        WHEN ranked.is_complete AND timed.has_throughput THEN NULL
        WHEN ranked.model_id IS NULL AND called.collects_prompts
            THEN 'free or on hosts that may train on prompts only: not ranked unless let in'
        WHEN NOT called.is_priced THEN 'no source states a price'
        WHEN timed.model_id IS NULL THEN 'no estimate: it was not among the models estimated'
        ELSE 'a part of its estimate is missing'
    END AS reason
FROM called
LEFT JOIN ranked USING (model_id)
LEFT JOIN timed USING (model_id)
ORDER BY called.model_id
