-- The publication itself: one row. Of each source, the newest observation and where it came from.
WITH
newest AS (
    SELECT
        source,
        max(observed_at) AS observed_at,
        arg_max(origin, observed_at) AS origin
    FROM core.source_loads
    GROUP BY source
)
SELECT
    CAST($contract_version AS BIGINT) AS contract_version,
    CAST($publication_id AS VARCHAR) AS publication_id,
    CAST($built_at AS TIMESTAMP) AS built_at,
    CAST($run_id AS VARCHAR) AS run_id,
    coalesce(map_from_entries(list((source, observed_at) ORDER BY source)), MAP {}) AS source_observed_at,
    coalesce(
        map_from_entries(
            list((source, date_diff('second', observed_at, CAST($built_at AS TIMESTAMP))) ORDER BY source)
        ),
        MAP {}
    ) AS source_ages_s,
    coalesce(map_from_entries(list((source, origin) ORDER BY source)), MAP {}) AS source_origins
FROM newest
