-- table: source_loads
-- severity: warn
-- Payloads in use that could not be replaced by something newer.
SELECT source, payload, origin, observed_at, problem FROM source_loads WHERE problem IS NOT NULL
