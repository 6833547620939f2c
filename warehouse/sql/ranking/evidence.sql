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
design_arena AS (
    -- Votes on what models design, by kind of work; which effort was voted on is not said.
    SELECT
        linked.model_id,
        CAST(NULL AS VARCHAR) AS effort,
        'design_arena' AS metric,
        '' AS scope,
        median(vote.elo) AS value,
        CAST(NULL AS DOUBLE) AS variance,
        1.0 AS weight,
        linked.source,
        linked.record_id,
        max(vote.observed_at) AS observed_at
    FROM (
        SELECT
            openrouter_id,
            observed_at,
            unnest(from_json(design_arena_json, '[{"arena": "VARCHAR", "elo": "DOUBLE"}]'), recursive := true)
        FROM core.openrouter_listings
        WHERE kind = 'chat'
    ) AS vote
    JOIN linked ON linked.source = 'openrouter' AND linked.record_id = vote.openrouter_id
    WHERE vote.arena = 'models' AND isfinite(vote.elo)
    GROUP BY linked.model_id, linked.source, linked.record_id
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
),
lmsys AS (
    -- Told under the Arena's own key; older publications have the name that was shown instead.
    SELECT
        linked.model_id,
        linked.effort,
        entry.benchmark AS metric,
        CASE entry.benchmark WHEN 'mmlu' THEN 'lmsys' ELSE '' END AS scope,
        entry.score AS value,
        CAST(NULL AS DOUBLE) AS variance,
        1.0 AS weight,
        linked.source,
        linked.record_id,
        CAST(entry.published_on AS TIMESTAMP) AS observed_at
    FROM (
        SELECT
            model_key, benchmark, score, published_on,
            max(model_name) OVER (PARTITION BY model_key) AS model_name
        FROM core.lmsys_benchmarks
    ) AS entry
    JOIN linked
        ON linked.source = 'lmsys_arena'
        AND lower(linked.record_id) IN (lower(entry.model_key), lower(entry.model_name))
    QUALIFY
        row_number() OVER (
            PARTITION BY entry.model_key, entry.benchmark
            ORDER BY lower(linked.record_id) = lower(entry.model_key) DESC, linked.record_id DESC
        ) = 1
),
spelt AS (
    -- Names of people's favourites and of their makers' repositories, without what spellings differ in.
    SELECT
        model_id, effort, source, record_id,
        regexp_replace(lower(regexp_extract(record_id, '[^/]*$')), '[^a-z0-9]', '', 'g') AS plain
    FROM linked
    WHERE source IN ('lmsys_arena', 'huggingface')
),
alpaca_eval AS (
    SELECT
        spelt.model_id,
        spelt.effort,
        'alpaca_eval' AS metric,
        '' AS scope,
        entry.length_controlled_win_rate AS value,
        CAST(NULL AS DOUBLE) AS variance,
        1.0 AS weight,
        spelt.source,
        spelt.record_id,
        CAST(entry.published_on AS TIMESTAMP) AS observed_at
    FROM core.alpaca_eval_results AS entry
    JOIN spelt ON spelt.plain = regexp_replace(lower(entry.model_name), '[^a-z0-9]', '', 'g')
    -- A name beside its own versions (vicuna-13b, vicuna-13b-v1.5) may be any of them.
    WHERE NOT EXISTS (
        FROM core.alpaca_eval_results AS version
        WHERE regexp_matches(version.model_name, '^' || regexp_escape(entry.model_name) || '-v[0-9]')
    )
    QUALIFY
        row_number() OVER (
            PARTITION BY entry.model_name ORDER BY spelt.source = 'lmsys_arena' DESC, spelt.record_id DESC
        ) = 1
        AND count(DISTINCT spelt.model_id) FILTER (WHERE spelt.source = 'lmsys_arena')
            OVER (PARTITION BY entry.model_name) <= 1
)
SELECT * FROM arena
UNION ALL BY NAME SELECT * FROM artificial_analysis
UNION ALL BY NAME SELECT * FROM openrouter
UNION ALL BY NAME SELECT * FROM design_arena
UNION ALL BY NAME SELECT * FROM prices
UNION ALL BY NAME SELECT * FROM huggingface
UNION ALL BY NAME SELECT * FROM lmsys
UNION ALL BY NAME SELECT * FROM alpaca_eval
ORDER BY model_id, source, record_id, metric, scope
