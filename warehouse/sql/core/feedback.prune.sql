-- Deletes what was before $before.
DELETE FROM core.feedback
WHERE "at" < $before
RETURNING profile;
