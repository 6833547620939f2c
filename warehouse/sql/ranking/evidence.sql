-- One row per metric of a record that says how good, how fast or how wordy a model is, with the model it was linked
-- to and the effort its name states. Values are the sources' own; turning them into estimates happens in
-- pipeline/rankings. `weight` is how many observations stand behind a value.
CREATE OR REPLACE TABLE ranking.evidence AS
WITH
linked AS (
    SELECT source, record_id, model_id, effort FROM entity.model_records
),
arena AS (
    SELECT
        linked.model_id,
        linked.effort,
        'rating' AS metric,
        rating.subset || '/' || rating.category AS scope,
        rating.rating AS value,
        coalesce(
            rating.variance, power((rating.rating_upper - rating.rating_lower) / (2 * 1.96), 2)
        ) AS variance,
        CAST(rating.vote_count AS DOUBLE) AS weight,
        linked.source,
        linked.record_id,
        CAST(rating.published_on AS TIMESTAMP) AS observed_at
    FROM core.lmsys_arena_ratings AS rating
    JOIN linked ON linked.source = 'lmsys_arena' AND linked.record_id = rating.model_name
    WHERE isfinite(rating.rating)
),
artificial_analysis AS (
    SELECT
        linked.model_id,
        coalesce(linked.effort, entry.effort) AS effort,
        entry.metric,
        '' AS scope,
        entry.value,
        CAST(NULL AS DOUBLE) AS variance,
        1.0 AS weight,
        linked.source,
        linked.record_id,
        entry.observed_at
    FROM (
        UNPIVOT (
            SELECT
                slug, effort, observed_at,
                intelligence_index, coding_index, math_index, mmlu_pro, gpqa, hle, livecodebench, scicode, ifbench,
                lcr, terminalbench, tau2, throughput_tokens_per_s, latency_first_token_ms, latency_first_answer_ms
            FROM core.artificial_analysis_models
        )
        ON COLUMNS(* EXCLUDE (slug, effort, observed_at))
        INTO NAME metric VALUE value
    ) AS entry
    JOIN linked ON linked.source = 'artificial_analysis' AND linked.record_id = entry.slug
),
openrouter AS (
    -- Mostly the score at the model's highest effort, whatever its default: so the effort stays unknown.
    SELECT
        linked.model_id,
        CAST(NULL AS VARCHAR) AS effort,
        entry.metric,
        '' AS scope,
        entry.value,
        CAST(NULL AS DOUBLE) AS variance,
        1.0 AS weight,
        linked.source,
        linked.record_id,
        entry.observed_at
    FROM (
        UNPIVOT (
            SELECT openrouter_id, observed_at, aa_intelligence_index, aa_coding_index, aa_agentic_index
            FROM core.openrouter_listings
            WHERE kind = 'chat'
        )
        ON COLUMNS(* EXCLUDE (openrouter_id, observed_at))
        INTO NAME metric VALUE value
    ) AS entry
    JOIN linked ON linked.source = 'openrouter' AND linked.record_id = entry.openrouter_id
),
prices AS (
    -- What the model's makers ask for it: the plain listing, not the free or batch one.
    SELECT
        linked.model_id,
        CAST(NULL AS VARCHAR) AS effort,
        entry.metric,
        '' AS scope,
        entry.value,
        CAST(NULL AS DOUBLE) AS variance,
        1.0 AS weight,
        linked.source,
        linked.record_id,
        entry.observed_at
    FROM (
        UNPIVOT (
            SELECT openrouter_id, observed_at, price_in_usd_per_mtok, price_out_usd_per_mtok
            FROM core.openrouter_listings
            WHERE
                kind = 'chat' AND coalesce(variant, '') NOT IN ('free', 'batch')
                AND openrouter_id NOT LIKE '%-contributor' AND price_out_usd_per_mtok > 0
        )
        ON COLUMNS(* EXCLUDE (openrouter_id, observed_at))
        INTO NAME metric VALUE value
    ) AS entry
    JOIN linked ON linked.source = 'openrouter' AND linked.record_id = entry.openrouter_id
    UNION ALL
    SELECT
        linked.model_id, NULL, entry.metric, '', entry.value, NULL, 1.0, linked.source, linked.record_id,
        entry.observed_at
    FROM (
        UNPIVOT (
            SELECT slug, observed_at, price_in_usd_per_mtok, price_out_usd_per_mtok
            FROM core.artificial_analysis_models
            WHERE price_out_usd_per_mtok > 0
        )
        ON COLUMNS(* EXCLUDE (slug, observed_at))
        INTO NAME metric VALUE value
    ) AS entry
    JOIN linked ON linked.source = 'artificial_analysis' AND linked.record_id = entry.slug
),
huggingface AS (
    SELECT
        linked.model_id,
        linked.effort,
        entry.metric,
        entry.leaderboard AS scope,
        entry.value,
        CAST(NULL AS DOUBLE) AS variance,
        1.0 AS weight,
        linked.source,
        linked.record_id,
        entry.observed_at
    FROM (
        UNPIVOT (
            SELECT
                huggingface_id, leaderboard, max(observed_at) AS observed_at,
                -- One repository may have been run at several precisions.
                median(average) AS average, median(ifeval) AS ifeval, median(bbh) AS bbh, median(math) AS math,
                median(gpqa) AS gpqa, median(musr) AS musr, median(mmlu_pro) AS mmlu_pro, median(mmlu) AS mmlu,
                median(arc) AS arc, median(truthfulqa) AS truthfulqa, median(gsm8k) AS gsm8k
            FROM core.huggingface_benchmarks
            -- The flag of the first leaderboard's export cannot be read: it is set for nearly every row.
            WHERE leaderboard <> 'v2' OR NOT coalesce(is_flagged, false)
            GROUP BY huggingface_id, leaderboard
        )
        ON COLUMNS(* EXCLUDE (huggingface_id, leaderboard, observed_at))
        INTO NAME metric VALUE value
    ) AS entry
    JOIN linked ON linked.source = 'huggingface' AND linked.record_id = entry.huggingface_id
)
SELECT * FROM arena
UNION ALL BY NAME SELECT * FROM artificial_analysis
UNION ALL BY NAME SELECT * FROM openrouter
UNION ALL BY NAME SELECT * FROM prices
UNION ALL BY NAME SELECT * FROM huggingface
ORDER BY model_id, source, record_id, metric, scope
