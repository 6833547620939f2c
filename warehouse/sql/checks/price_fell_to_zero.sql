-- table: offers
-- severity: warn
-- Listings that cost something before and nothing now, without being a free variant.
SELECT offers.offer_id, max(observations.value) AS dearest_usd_per_mtok
FROM offers
JOIN observations USING (source, record_id)
WHERE
    offers.is_callable AND offers.price_out_usd_per_mtok = 0 AND coalesce(offers.variant, '') <> 'free'
    AND NOT offers.is_local
    AND observations.metric = 'price_out_usd_per_mtok' AND observations.value > 0
GROUP BY offers.offer_id
