-- Deletes what was before $before.
DELETE FROM core.feedback
WHERE given_at < $before
RETURNING profile;
