-- Each payload's newest copy; the one that was not read stays. Key: model_key, benchmark.
CREATE OR REPLACE TABLE core.lmsys_benchmarks AS
WITH kept AS (
    FROM previous WHERE payload NOT IN (SELECT payload FROM loaded)
),
benchmarks AS (
    FROM incoming UNION ALL BY NAME FROM kept
)
SELECT
    model_key::VARCHAR AS model_key,
    model_name::VARCHAR AS model_name,
    benchmark::VARCHAR AS benchmark,
    score::DOUBLE AS score,
    published_on::DATE AS published_on,
    payload::VARCHAR AS payload,
    observed_at::TIMESTAMP AS observed_at
FROM benchmarks
ORDER BY benchmark, model_key;

COMMENT ON TABLE core.lmsys_benchmarks IS 'MT-bench, MMLU and Arena-Hard as LMSYS published them: one row per model and benchmark';
COMMENT ON COLUMN core.lmsys_benchmarks.model_key IS 'the Arena''s own key of the model';
COMMENT ON COLUMN core.lmsys_benchmarks.model_name IS 'name shown beside it; null for Arena-Hard';
COMMENT ON COLUMN core.lmsys_benchmarks.benchmark IS 'mt_bench, mmlu or arena_hard';
COMMENT ON COLUMN core.lmsys_benchmarks.score IS 'MT-bench 0 to 10; MMLU and Arena-Hard as a share, 0 to 1';
COMMENT ON COLUMN core.lmsys_benchmarks.published_on IS 'day of the table it is read from, or of the run';
COMMENT ON COLUMN core.lmsys_benchmarks.payload IS 'leaderboard_table or arena_hard';
COMMENT ON COLUMN core.lmsys_benchmarks.observed_at IS 'when it was seen';
