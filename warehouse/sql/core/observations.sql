-- History. Of a stretch of equal values only the first and the last are kept: since when it holds, and when it was last
-- seen to hold. So a value stands from its observed_at until the next row, and the newest row is always the newest seen.
-- Reading the same payload again adds nothing. Key: source, record_id, metric, scope, observed_at.
CREATE TABLE IF NOT EXISTS core.observations (
    source VARCHAR NOT NULL,
    record_id VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    scope VARCHAR NOT NULL,
    value DOUBLE NOT NULL,
    observed_at TIMESTAMP NOT NULL,
    origin VARCHAR NOT NULL
);

CREATE OR REPLACE TEMP TABLE placed AS
WITH fresh AS (
    SELECT
        source,
        record_id,
        metric,
        scope,
        observed_at,
        min(value)::DOUBLE AS value,
        min(origin) AS origin,
        true AS is_fresh
    FROM incoming
    WHERE isfinite(value)
    GROUP BY source, record_id, metric, scope, observed_at
),
unknown AS (
    FROM fresh ANTI JOIN core.observations USING (source, record_id, metric, scope, observed_at)
),
series AS (
    FROM unknown
    UNION ALL BY NAME
    SELECT known.*, false AS is_fresh
    FROM core.observations AS known
    SEMI JOIN unknown USING (source, record_id, metric, scope)
)
SELECT
    *,
    value IS NOT DISTINCT FROM lag(value) OVER in_time AND value IS NOT DISTINCT FROM lead(value) OVER in_time AS is_between
FROM series
WINDOW in_time AS (PARTITION BY source, record_id, metric, scope ORDER BY observed_at);

DELETE FROM core.observations AS known
USING placed
WHERE
    NOT placed.is_fresh
    AND placed.is_between
    AND known.source = placed.source
    AND known.record_id = placed.record_id
    AND known.metric = placed.metric
    AND known.scope = placed.scope
    AND known.observed_at = placed.observed_at;

INSERT INTO core.observations BY NAME
SELECT * EXCLUDE (is_fresh, is_between)
FROM placed
WHERE is_fresh AND NOT is_between;

DROP TABLE placed;

COMMENT ON TABLE core.observations IS 'History: first and last sighting of every stretch of equal values of a metric';
COMMENT ON COLUMN core.observations.source IS 'source';
COMMENT ON COLUMN core.observations.record_id IS 'record of that source';
COMMENT ON COLUMN core.observations.metric IS 'what was measured, unit in the name';
COMMENT ON COLUMN core.observations.scope IS 'empty, or what narrows it: Arena subset/category, host tag, leaderboard/precision';
COMMENT ON COLUMN core.observations.value IS 'value from this time until the next row of its series';
COMMENT ON COLUMN core.observations.observed_at IS 'when the source said so';
COMMENT ON COLUMN core.observations.origin IS 'where the payload came from: live, cache, directory or bundled';
