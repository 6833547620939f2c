-- History: appends what is new. A value equal to the one before it in its series says nothing new and is left out, so a
-- price stands from its observed_at until the next row. Reading the same payload again adds nothing.
-- Key: source, record_id, metric, scope, observed_at.
CREATE TABLE IF NOT EXISTS core.observations (
    source VARCHAR NOT NULL,
    record_id VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    scope VARCHAR NOT NULL,
    value DOUBLE NOT NULL,
    observed_at TIMESTAMP NOT NULL,
    origin VARCHAR NOT NULL
);

INSERT INTO core.observations BY NAME
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
SELECT * EXCLUDE (is_fresh)
FROM series
QUALIFY
    is_fresh
    AND value IS DISTINCT FROM lag(value) OVER (PARTITION BY source, record_id, metric, scope ORDER BY observed_at);

COMMENT ON TABLE core.observations IS 'History: one row per change of a metric of a record';
COMMENT ON COLUMN core.observations.source IS 'source';
COMMENT ON COLUMN core.observations.record_id IS 'record of that source';
COMMENT ON COLUMN core.observations.metric IS 'what was measured, unit in the name';
COMMENT ON COLUMN core.observations.scope IS 'empty, or what narrows it: Arena subset/category, host tag, leaderboard/precision';
COMMENT ON COLUMN core.observations.value IS 'value from this time on';
COMMENT ON COLUMN core.observations.observed_at IS 'when the source said so';
COMMENT ON COLUMN core.observations.origin IS 'where the payload came from: live, cache, directory or bundled';
