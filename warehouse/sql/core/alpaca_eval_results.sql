-- The newest copy of the leaderboard. Key: model_name.
CREATE OR REPLACE TABLE core.alpaca_eval_results AS
SELECT
    model_name::VARCHAR AS model_name,
    win_rate::DOUBLE AS win_rate,
    length_controlled_win_rate::DOUBLE AS length_controlled_win_rate,
    standard_error::DOUBLE AS standard_error,
    average_length::BIGINT AS average_length,
    published_on::DATE AS published_on,
    observed_at::TIMESTAMP AS observed_at
FROM incoming
ORDER BY model_name;

COMMENT ON TABLE core.alpaca_eval_results IS 'AlpacaEval 2: one row per model';
COMMENT ON COLUMN core.alpaca_eval_results.model_name IS 'as the leaderboard spells it';
COMMENT ON COLUMN core.alpaca_eval_results.win_rate IS 'share of answers preferred to GPT-4 Turbo''s';
COMMENT ON COLUMN core.alpaca_eval_results.length_controlled_win_rate IS 'the same with the effect of their length taken out';
COMMENT ON COLUMN core.alpaca_eval_results.standard_error IS 'of the length-controlled share, where stated';
COMMENT ON COLUMN core.alpaca_eval_results.average_length IS 'characters of an answer';
COMMENT ON COLUMN core.alpaca_eval_results.published_on IS 'day by which it was published';
COMMENT ON COLUMN core.alpaca_eval_results.observed_at IS 'when it was seen';
