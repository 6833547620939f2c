-- Deletes what was before $before.
DELETE FROM core.decisions
WHERE "at" < $before
RETURNING outcome;
