-- table: rankings
-- severity: error
-- Ranked offers that are not there or cannot be called for chat.
SELECT DISTINCT band_rankings.offer_id, offers.kind
FROM band_rankings
LEFT JOIN offers USING (offer_id)
WHERE NOT coalesce(offers.is_callable, false) OR offers.model_id <> band_rankings.model_id
