-- Rows that were refused, of each payload's newest reading.
CREATE OR REPLACE TABLE core.quarantine AS
WITH kept AS (
    FROM previous ANTI JOIN loaded USING (source, payload)
),
refused AS (
    FROM incoming UNION ALL BY NAME FROM kept
)
SELECT
    source::VARCHAR AS source,
    payload::VARCHAR AS payload,
    payload_reference::VARCHAR AS payload_reference,
    record_ref::VARCHAR AS record_ref,
    reason::VARCHAR AS reason,
    row_json::VARCHAR AS row_json,
    observed_at::TIMESTAMP AS observed_at
FROM refused
ORDER BY source, payload, record_ref;

COMMENT ON TABLE core.quarantine IS 'One row per refused row of a payload in use';
COMMENT ON COLUMN core.quarantine.source IS 'source';
COMMENT ON COLUMN core.quarantine.payload IS 'which of its payloads';
COMMENT ON COLUMN core.quarantine.payload_reference IS 'address or file';
COMMENT ON COLUMN core.quarantine.record_ref IS 'id where there is one, else position';
COMMENT ON COLUMN core.quarantine.reason IS 'why it was refused';
COMMENT ON COLUMN core.quarantine.row_json IS 'the row, at most 2,000 characters of it';
COMMENT ON COLUMN core.quarantine.observed_at IS 'when the payload was seen';
