-- One row per offer and effort that our own calls have reached: how soon content came and how fast it flowed, as means
-- of logarithms, recent calls counting more (half after $half_life_days).
CREATE OR REPLACE TABLE ranking.own_calls AS
WITH
answered AS (
    SELECT
        offer_id,
        effort,
        "at",
        first_content_ms,
        CASE
            WHEN is_streamed AND completion_tokens >= 20 AND total_ms > first_content_ms + 100
                -- Thinking tokens are counted with the completion, and came before the content.
                THEN greatest(completion_tokens - coalesce(reasoning_tokens, 0), 1)
                    / ((total_ms - first_content_ms) / 1000.0)
        END AS throughput_tokens_per_s,
        power(0.5, greatest(date_diff('second', "at", CAST($now AS TIMESTAMP)), 0) / 86400.0 / $half_life_days) AS weight
    FROM core.outcomes
    WHERE "at" <= CAST($now AS TIMESTAMP) AND outcome = 'answered' AND is_streamed AND first_content_ms > 0
)
SELECT
    offer_id,
    effort,
    sum(weight) AS calls,
    sum(weight * ln(first_content_ms)) / sum(weight) AS log_first_content_ms,
    coalesce(sum(weight) FILTER (WHERE throughput_tokens_per_s > 0), 0) AS output_calls,
    sum(weight * ln(throughput_tokens_per_s)) FILTER (WHERE throughput_tokens_per_s > 0)
        / sum(weight) FILTER (WHERE throughput_tokens_per_s > 0) AS log_tokens_per_s,
    max("at") AS last_at
FROM answered
GROUP BY offer_id, effort
ORDER BY offer_id, effort
