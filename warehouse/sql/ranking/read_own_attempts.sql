-- How often own calls to an offer were answered.
SELECT offer_id, answered, failed, failed_ms, last_at
FROM ranking.own_attempts
WHERE answered + failed > 0.01
ORDER BY offer_id
