-- One row per offer that our own calls have tried: how many were answered and how many failed at the offer's end, recent
-- ones counting more (half after $half_life_days), and how long the failed ones took.
-- What the caller did is no fault of the offer, and a refusal is one of the account or of an old listing.
CREATE OR REPLACE TABLE ranking.own_attempts AS
WITH
tried AS (
    SELECT
        offer_id,
        outcome = 'answered' AS is_answered,
        total_ms,
        "at",
        power(0.5, greatest(date_diff('second', "at", CAST($now AS TIMESTAMP)), 0) / 86400.0 / $half_life_days) AS weight
    FROM core.outcomes
    WHERE "at" <= CAST($now AS TIMESTAMP) AND outcome IN ('answered', 'overloaded', 'unreachable', 'stalled', 'malformed', 'broken')
)
SELECT
    offer_id,
    coalesce(sum(weight) FILTER (WHERE is_answered), 0) AS answered,
    coalesce(sum(weight) FILTER (WHERE NOT is_answered), 0) AS failed,
    sum(weight * total_ms) FILTER (WHERE NOT is_answered) / sum(weight) FILTER (WHERE NOT is_answered) AS failed_ms,
    max("at") AS last_at
FROM tried
GROUP BY offer_id
ORDER BY offer_id
