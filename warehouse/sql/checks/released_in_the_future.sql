-- table: models
-- severity: error
-- Models that are said to be released after the day of publication.
SELECT model_id, released_on
FROM models
CROSS JOIN snapshot
WHERE released_on > CAST(snapshot.built_at AS DATE)
