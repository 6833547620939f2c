-- Which payload is in use. Rows of the payloads of this run replace theirs. Key: source, payload.
CREATE OR REPLACE TABLE core.source_loads AS
WITH kept AS (
    FROM previous ANTI JOIN loaded USING (source, payload)
),
loads AS (
    FROM incoming UNION ALL BY NAME FROM kept
)
SELECT
    source::VARCHAR AS source,
    payload::VARCHAR AS payload,
    origin::VARCHAR AS origin,
    reference::VARCHAR AS reference,
    sha256::VARCHAR AS sha256,
    observed_at::TIMESTAMP AS observed_at,
    loaded_at::TIMESTAMP AS loaded_at,
    rows_loaded::BIGINT AS rows_loaded,
    rows_quarantined::BIGINT AS rows_quarantined,
    problem::VARCHAR AS problem,
    attribution::VARCHAR AS attribution
FROM loads
ORDER BY source, payload;

COMMENT ON TABLE core.source_loads IS 'One row per payload of a source: where it came from and how old it is';
COMMENT ON COLUMN core.source_loads.source IS 'source';
COMMENT ON COLUMN core.source_loads.payload IS 'which of its payloads';
COMMENT ON COLUMN core.source_loads.origin IS 'live, cache, directory or bundled';
COMMENT ON COLUMN core.source_loads.reference IS 'address or file it was read from';
COMMENT ON COLUMN core.source_loads.sha256 IS 'hash of the payload';
COMMENT ON COLUMN core.source_loads.observed_at IS 'when the source said it';
COMMENT ON COLUMN core.source_loads.loaded_at IS 'when it was read';
COMMENT ON COLUMN core.source_loads.rows_loaded IS 'rows that went in';
COMMENT ON COLUMN core.source_loads.rows_quarantined IS 'rows that were refused';
COMMENT ON COLUMN core.source_loads.problem IS 'why something newer could not be used';
COMMENT ON COLUMN core.source_loads.attribution IS 'whom to credit';
