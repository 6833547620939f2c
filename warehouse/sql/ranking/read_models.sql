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
publications AS (
    SELECT
        first_published_on,
        lag(first_published_on) OVER (ORDER BY first_published_on) AS previous_on
    FROM core.lmsys_arena_names
    WHERE first_published_on IS NOT NULL
    GROUP BY first_published_on
),
first_rated AS (
    -- A name was new some time between two publications: half way is the best guess, and half a year before the first
    -- one on record.
    SELECT
        record.model_id,
        min(name.first_published_on) AS first_published_on,
        arg_min(
            publication.first_published_on
            - CAST(coalesce(least(publication.first_published_on - publication.previous_on, 183) / 2, 183) AS INTEGER),
            name.first_published_on
        ) AS probably_on
    FROM core.lmsys_arena_names AS name
    JOIN publications AS publication USING (first_published_on)
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
),
submitted AS (
    SELECT record.model_id, min(least(entry.uploaded_on, entry.submitted_on)) AS submitted_on
    FROM core.huggingface_benchmarks AS entry
    JOIN entity.model_records AS record
        ON record.source = 'huggingface' AND record.record_id = entry.huggingface_id
    GROUP BY record.model_id
),
named AS (
    SELECT model_id, list(record_id ORDER BY record_id) AS names
    FROM entity.model_records
    WHERE source = 'lmsys_arena'
    GROUP BY model_id
)
SELECT
    model.model_id,
    model.name,
    model.vendor,
    model.family,
    model.kind,
    model.size_b,
    model.active_size_b,
    coalesce(
        released.release_date,
        least(
            -- Linkage falls back on the first rating too, and then it is no release date.
            CASE WHEN model.released_on IS DISTINCT FROM first_rated.first_published_on THEN model.released_on END,
            submitted.submitted_on
        )
    ) AS released_on,
    offered.model_id IS NOT NULL AS is_offered,
    coalesce(offered.supported_efforts, []) AS supported_efforts,
    offered.default_effort,
    offered.can_reason,
    offered.reasoning_is_mandatory,
    coalesce(named.names, []) AS names,
    first_rated.probably_on
FROM entity.models AS model
LEFT JOIN offered USING (model_id)
LEFT JOIN first_rated USING (model_id)
LEFT JOIN released USING (model_id)
LEFT JOIN submitted USING (model_id)
LEFT JOIN named USING (model_id)
WHERE
    offered.model_id IS NOT NULL
    -- Of the rest, those that people or a third party have compared: others neither teach nor can be called.
    OR model.model_id IN (
        SELECT model_id FROM ranking.evidence
        WHERE (source = 'lmsys_arena' AND metric = 'rating') OR source = 'artificial_analysis'
    )
ORDER BY model.model_id
