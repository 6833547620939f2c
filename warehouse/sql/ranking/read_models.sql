-- What estimation needs to know of every model: facts from linkage, and what its callable offers say of its efforts.
WITH
offered AS (
    SELECT
        model_id,
        list_sort(list_distinct(flatten(list(supported_efforts)))) AS supported_efforts,
        min(default_effort) AS default_effort,
        bool_or(supports_reasoning) AS can_reason,
        bool_and(reasoning_is_mandatory) FILTER (WHERE supports_reasoning) AS reasoning_is_mandatory
    FROM ranking.offers
    WHERE is_callable
    GROUP BY model_id
),
first_rated AS (
    SELECT record.model_id, min(name.first_published_on) AS first_published_on
    FROM core.lmsys_arena_names AS name
    JOIN entity.model_records AS record
        ON record.source = 'lmsys_arena' AND record.record_id = name.model_name
    GROUP BY record.model_id
),
released AS (
    SELECT record.model_id, min(entry.release_date) AS release_date
    FROM core.artificial_analysis_models AS entry
    JOIN entity.model_records AS record
        ON record.source = 'artificial_analysis' AND record.record_id = entry.slug
    GROUP BY record.model_id
)
SELECT
    model.model_id,
    model.name,
    model.vendor,
    model.family,
    model.kind,
    model.size_b,
    model.active_size_b,
    -- The day of a release where one is known, else the first day a source had it.
    coalesce(released.release_date, model.released_on, first_rated.first_published_on) AS released_on,
    offered.model_id IS NOT NULL AS is_offered,
    coalesce(offered.supported_efforts, []) AS supported_efforts,
    offered.default_effort,
    offered.can_reason,
    offered.reasoning_is_mandatory
FROM entity.models AS model
LEFT JOIN offered USING (model_id)
LEFT JOIN first_rated USING (model_id)
LEFT JOIN released USING (model_id)
WHERE model.kind IN ('chat', 'base') OR offered.model_id IS NOT NULL
ORDER BY model.model_id
