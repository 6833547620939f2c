-- table: signals
-- severity: warn
-- Signals whose record is not among the linked ones (own calls are not records).
SELECT DISTINCT source, record_id
FROM signals
ANTI JOIN model_records USING (source, record_id)
WHERE source <> 'outcomes'
