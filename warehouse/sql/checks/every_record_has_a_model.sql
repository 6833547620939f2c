-- table: model_records
-- severity: error
-- Records or aliases that lead to a model that is not published.
SELECT source || ':' || record_id AS record, model_id FROM model_records ANTI JOIN models USING (model_id)
UNION ALL
SELECT alias, model_id FROM model_aliases ANTI JOIN models USING (model_id)
