-- The newest payload's models. Keys to other sources and other metadata come from whichever payload last had them.
-- Key: slug.
CREATE OR REPLACE TABLE core.artificial_analysis_models AS
WITH newest AS (
    FROM incoming WHERE observed_at = (SELECT max(observed_at) FROM incoming)
),
seen AS (
    FROM incoming UNION ALL BY NAME FROM previous
),
known AS (
    SELECT
        slug,
        arg_max(is_reasoning, observed_at) AS is_reasoning,
        arg_max(is_open_weights, observed_at) AS is_open_weights,
        arg_max(license, observed_at) AS license,
        arg_max(context_tokens, observed_at) AS context_tokens,
        arg_max(openrouter_id, observed_at) AS openrouter_id,
        arg_max(huggingface_id, observed_at) AS huggingface_id
    FROM seen
    GROUP BY slug
)
SELECT
    newest.slug::VARCHAR AS slug,
    newest.name::VARCHAR AS name,
    newest.creator::VARCHAR AS creator,
    newest.effort::VARCHAR AS effort,
    newest.release_date::DATE AS release_date,
    newest.intelligence_index::DOUBLE AS intelligence_index,
    newest.coding_index::DOUBLE AS coding_index,
    newest.math_index::DOUBLE AS math_index,
    newest.mmlu_pro::DOUBLE AS mmlu_pro,
    newest.gpqa::DOUBLE AS gpqa,
    newest.hle::DOUBLE AS hle,
    newest.livecodebench::DOUBLE AS livecodebench,
    newest.scicode::DOUBLE AS scicode,
    newest.ifbench::DOUBLE AS ifbench,
    newest.lcr::DOUBLE AS lcr,
    newest.terminalbench::DOUBLE AS terminalbench,
    newest.terminalbench_v2_1::DOUBLE AS terminalbench_v2_1,
    newest.tau2::DOUBLE AS tau2,
    newest.tau_banking::DOUBLE AS tau_banking,
    newest.price_in_usd_per_mtok::DOUBLE AS price_in_usd_per_mtok,
    newest.price_out_usd_per_mtok::DOUBLE AS price_out_usd_per_mtok,
    newest.throughput_tokens_per_s::DOUBLE AS throughput_tokens_per_s,
    newest.latency_first_token_ms::DOUBLE AS latency_first_token_ms,
    newest.latency_first_answer_ms::DOUBLE AS latency_first_answer_ms,
    coalesce(newest.is_reasoning, known.is_reasoning)::BOOLEAN AS is_reasoning,
    coalesce(newest.is_open_weights, known.is_open_weights)::BOOLEAN AS is_open_weights,
    coalesce(newest.license, known.license)::VARCHAR AS license,
    coalesce(newest.context_tokens, known.context_tokens)::BIGINT AS context_tokens,
    coalesce(newest.openrouter_id, known.openrouter_id)::VARCHAR AS openrouter_id,
    coalesce(newest.huggingface_id, known.huggingface_id)::VARCHAR AS huggingface_id,
    newest.observed_at::TIMESTAMP AS observed_at
FROM newest
LEFT JOIN known USING (slug)
ORDER BY slug;

COMMENT ON TABLE core.artificial_analysis_models IS 'Artificial Analysis: one row per model at an effort';
COMMENT ON COLUMN core.artificial_analysis_models.slug IS 'key';
COMMENT ON COLUMN core.artificial_analysis_models.name IS 'name for people, effort in parentheses';
COMMENT ON COLUMN core.artificial_analysis_models.creator IS 'who made it';
COMMENT ON COLUMN core.artificial_analysis_models.effort IS 'what the name says of effort, lower case';
COMMENT ON COLUMN core.artificial_analysis_models.release_date IS 'released';
COMMENT ON COLUMN core.artificial_analysis_models.intelligence_index IS 'index, 0 to 100';
COMMENT ON COLUMN core.artificial_analysis_models.coding_index IS 'index, 0 to 100';
COMMENT ON COLUMN core.artificial_analysis_models.math_index IS 'index, 0 to 100';
COMMENT ON COLUMN core.artificial_analysis_models.mmlu_pro IS 'share solved, 0 to 1';
COMMENT ON COLUMN core.artificial_analysis_models.gpqa IS 'share solved, 0 to 1';
COMMENT ON COLUMN core.artificial_analysis_models.hle IS 'share solved, 0 to 1';
COMMENT ON COLUMN core.artificial_analysis_models.livecodebench IS 'share solved, 0 to 1';
COMMENT ON COLUMN core.artificial_analysis_models.scicode IS 'share solved, 0 to 1';
COMMENT ON COLUMN core.artificial_analysis_models.ifbench IS 'share solved, 0 to 1';
COMMENT ON COLUMN core.artificial_analysis_models.lcr IS 'share solved, 0 to 1';
COMMENT ON COLUMN core.artificial_analysis_models.terminalbench IS 'share solved, 0 to 1';
COMMENT ON COLUMN core.artificial_analysis_models.terminalbench_v2_1 IS 'share solved, 0 to 1';
COMMENT ON COLUMN core.artificial_analysis_models.tau2 IS 'share solved, 0 to 1';
COMMENT ON COLUMN core.artificial_analysis_models.tau_banking IS 'share solved, 0 to 1';
COMMENT ON COLUMN core.artificial_analysis_models.price_in_usd_per_mtok IS 'prompt tokens, USD per million';
COMMENT ON COLUMN core.artificial_analysis_models.price_out_usd_per_mtok IS 'completion tokens, USD per million';
COMMENT ON COLUMN core.artificial_analysis_models.throughput_tokens_per_s IS 'completion tokens a second, median';
COMMENT ON COLUMN core.artificial_analysis_models.latency_first_token_ms IS 'time to the first token, median';
COMMENT ON COLUMN core.artificial_analysis_models.latency_first_answer_ms IS 'time to the first answer token after reasoning, median';
COMMENT ON COLUMN core.artificial_analysis_models.is_reasoning IS 'reasons before it answers';
COMMENT ON COLUMN core.artificial_analysis_models.is_open_weights IS 'weights can be downloaded';
COMMENT ON COLUMN core.artificial_analysis_models.license IS 'licence';
COMMENT ON COLUMN core.artificial_analysis_models.context_tokens IS 'window';
COMMENT ON COLUMN core.artificial_analysis_models.openrouter_id IS 'OpenRouter id the source gives';
COMMENT ON COLUMN core.artificial_analysis_models.huggingface_id IS 'Hub repository the source gives';
COMMENT ON COLUMN core.artificial_analysis_models.observed_at IS 'when it was seen';
