-- Deletes attempts that began before $before.
DELETE FROM core.outcomes
WHERE "at" < $before
RETURNING outcome;
