-- Deletes what was before $before.
DELETE FROM core.decisions
WHERE began_at < $before
RETURNING outcome;
