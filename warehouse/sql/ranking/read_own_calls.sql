-- What own calls have shown of an offer at an effort.
SELECT offer_id, effort, calls, log_first_content_ms, log_tokens_per_s, output_calls, last_at
FROM ranking.own_calls
WHERE calls > 0.01
ORDER BY offer_id, effort
