-- Models with the number of offers that can be called, or could with a key.
SELECT
    model.*,
    coalesce(counted.offer_count, 0) AS offer_count
FROM entity.models AS model
LEFT JOIN (
    SELECT model_id, count(*) AS offer_count FROM ranking.offers WHERE is_callable GROUP BY model_id
) AS counted USING (model_id)
