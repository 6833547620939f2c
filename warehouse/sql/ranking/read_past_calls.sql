-- What own calls were answered with, by whom, and at what cost.
SELECT "at", profile, offer_id, effort, total_ms, cost_usd
FROM core.outcomes
WHERE outcome = 'answered'
ORDER BY "at", attempt_id
