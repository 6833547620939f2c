-- What each price list says that a provider asks for a model, with the model it was linked to: one row per row of a list.
CREATE OR REPLACE TABLE ranking.provider_prices AS
WITH listed AS (
    SELECT 'models_dev' AS source, * FROM core.models_dev_models
    UNION ALL BY NAME
    SELECT 'genai_prices' AS source, * FROM core.genai_prices_models
    UNION ALL BY NAME
    SELECT 'litellm_prices' AS source, * FROM core.litellm_prices_models
)
SELECT
    listed.source,
    listed.listed_id AS record_id,
    record.model_id,
    listed.provider,
    listed.provider_model,
    -- Some lists write the path that a provider puts before its names, and some do not.
    regexp_replace(lower(listed.provider_model), '^(accounts/[^/]+/)?models/', '') AS provider_name,
    record.effort,
    record.variant,
    listed.* EXCLUDE (source, listed_id, provider, provider_model)
FROM listed
JOIN entity.model_records AS record ON record.source = listed.source AND record.record_id = listed.listed_id
ORDER BY listed.source, listed.listed_id
