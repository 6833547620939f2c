-- Each leaderboard's newest copy; the one that was not read stays. Key: huggingface_id, leaderboard, precision,
-- model_sha.
CREATE OR REPLACE TABLE core.huggingface_benchmarks AS
WITH kept AS (
    FROM previous WHERE leaderboard NOT IN (SELECT payload FROM loaded)
),
benchmarks AS (
    FROM incoming UNION ALL BY NAME FROM kept
)
SELECT
    huggingface_id::VARCHAR AS huggingface_id,
    leaderboard::VARCHAR AS leaderboard,
    precision::VARCHAR AS precision,
    model_sha::VARCHAR AS model_sha,
    average::DOUBLE AS average,
    ifeval::DOUBLE AS ifeval,
    bbh::DOUBLE AS bbh,
    math::DOUBLE AS math,
    gpqa::DOUBLE AS gpqa,
    musr::DOUBLE AS musr,
    mmlu_pro::DOUBLE AS mmlu_pro,
    arc::DOUBLE AS arc,
    hellaswag::DOUBLE AS hellaswag,
    mmlu::DOUBLE AS mmlu,
    truthfulqa::DOUBLE AS truthfulqa,
    winogrande::DOUBLE AS winogrande,
    gsm8k::DOUBLE AS gsm8k,
    params_b::DOUBLE AS params_b,
    model_type::VARCHAR AS model_type,
    architecture::VARCHAR AS architecture,
    is_merged::BOOLEAN AS is_merged,
    is_moe::BOOLEAN AS is_moe,
    is_flagged::BOOLEAN AS is_flagged,
    is_official::BOOLEAN AS is_official,
    base_model::VARCHAR AS base_model,
    license::VARCHAR AS license,
    has_chat_template::BOOLEAN AS has_chat_template,
    uploaded_on::DATE AS uploaded_on,
    submitted_on::DATE AS submitted_on,
    observed_at::TIMESTAMP AS observed_at
FROM benchmarks
ORDER BY leaderboard DESC, huggingface_id, precision, model_sha;

COMMENT ON TABLE core.huggingface_benchmarks IS 'Open LLM Leaderboard: one row per repository, leaderboard, precision and revision';
COMMENT ON COLUMN core.huggingface_benchmarks.huggingface_id IS 'repository';
COMMENT ON COLUMN core.huggingface_benchmarks.leaderboard IS 'v2 or v1';
COMMENT ON COLUMN core.huggingface_benchmarks.precision IS 'weights were loaded in';
COMMENT ON COLUMN core.huggingface_benchmarks.model_sha IS 'revision';
COMMENT ON COLUMN core.huggingface_benchmarks.average IS 'mean of the leaderboard''s scores, 0 to 100';
COMMENT ON COLUMN core.huggingface_benchmarks.ifeval IS 'v2 score, normalised, 0 to 100';
COMMENT ON COLUMN core.huggingface_benchmarks.bbh IS 'v2 score, normalised, 0 to 100';
COMMENT ON COLUMN core.huggingface_benchmarks.math IS 'v2 score, normalised, 0 to 100';
COMMENT ON COLUMN core.huggingface_benchmarks.gpqa IS 'v2 score, normalised, 0 to 100';
COMMENT ON COLUMN core.huggingface_benchmarks.musr IS 'v2 score, normalised, 0 to 100';
COMMENT ON COLUMN core.huggingface_benchmarks.mmlu_pro IS 'v2 score, normalised, 0 to 100';
COMMENT ON COLUMN core.huggingface_benchmarks.arc IS 'v1 score, 0 to 100';
COMMENT ON COLUMN core.huggingface_benchmarks.hellaswag IS 'v1 score, 0 to 100';
COMMENT ON COLUMN core.huggingface_benchmarks.mmlu IS 'v1 score, 0 to 100';
COMMENT ON COLUMN core.huggingface_benchmarks.truthfulqa IS 'v1 score, 0 to 100';
COMMENT ON COLUMN core.huggingface_benchmarks.winogrande IS 'v1 score, 0 to 100';
COMMENT ON COLUMN core.huggingface_benchmarks.gsm8k IS 'v1 score, 0 to 100';
COMMENT ON COLUMN core.huggingface_benchmarks.params_b IS 'parameters, billions';
COMMENT ON COLUMN core.huggingface_benchmarks.model_type IS 'pretrained, chat, fine-tuned, merge, continued, multimodal or other';
COMMENT ON COLUMN core.huggingface_benchmarks.architecture IS 'as stated';
COMMENT ON COLUMN core.huggingface_benchmarks.is_merged IS 'a merge of models';
COMMENT ON COLUMN core.huggingface_benchmarks.is_moe IS 'a mixture of experts';
COMMENT ON COLUMN core.huggingface_benchmarks.is_flagged IS 'flagged by the leaderboard';
COMMENT ON COLUMN core.huggingface_benchmarks.is_official IS 'by an official provider';
COMMENT ON COLUMN core.huggingface_benchmarks.base_model IS 'repository it was made from';
COMMENT ON COLUMN core.huggingface_benchmarks.license IS 'as the Hub states it';
COMMENT ON COLUMN core.huggingface_benchmarks.has_chat_template IS 'evaluated with a chat template';
COMMENT ON COLUMN core.huggingface_benchmarks.uploaded_on IS 'upload to the Hub';
COMMENT ON COLUMN core.huggingface_benchmarks.submitted_on IS 'submission to the leaderboard';
COMMENT ON COLUMN core.huggingface_benchmarks.observed_at IS 'newest submission of the copy read';
