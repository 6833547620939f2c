-- The newest leaderboards. Key: huggingface_id, benchmark, filename, is_verified.
CREATE OR REPLACE TABLE core.hub_evaluations AS
SELECT
    huggingface_id::VARCHAR AS huggingface_id,
    benchmark::VARCHAR AS benchmark,
    filename::VARCHAR AS filename,
    is_verified::BOOLEAN AS is_verified,
    score::DOUBLE AS score,
    rank::BIGINT AS rank,
    observed_at::TIMESTAMP AS observed_at
FROM incoming
ORDER BY benchmark, rank, huggingface_id, filename, is_verified;

COMMENT ON TABLE core.hub_evaluations IS 'Official benchmarks on the Hub: one row per repository, result file and standing';
COMMENT ON COLUMN core.hub_evaluations.huggingface_id IS 'repository';
COMMENT ON COLUMN core.hub_evaluations.benchmark IS 'data set of the benchmark: cais/hle';
COMMENT ON COLUMN core.hub_evaluations.filename IS 'file of the repository that states it: .eval_results/hle.yaml';
COMMENT ON COLUMN core.hub_evaluations.is_verified IS 'independently verified; false for what the community submitted';
COMMENT ON COLUMN core.hub_evaluations.score IS 'in the benchmark''s own unit';
COMMENT ON COLUMN core.hub_evaluations.rank IS 'position on the leaderboard';
COMMENT ON COLUMN core.hub_evaluations.observed_at IS 'when it was seen';
