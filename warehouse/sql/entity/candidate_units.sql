-- Units that judgement could link: all that a catalogue or a vendor speaks for, and strangers' units that share their
-- words or name a key. The rest have nothing to be compared with, which keeps comparisons in step with records.
CREATE OR REPLACE TABLE candidate_units AS
SELECT units.* FROM units
WHERE NOT is_garbage AND (
  is_anchor
  OR core IN (SELECT core FROM units WHERE is_anchor)
  OR has_refs
  OR unit_key IN (
    SELECT unit_key FROM unit_of_record
    WHERE concat(source, ':', lower(record_id)) IN (SELECT unnest(refs) FROM signed WHERE len(refs) > 0))
)
ORDER BY unique_id;
