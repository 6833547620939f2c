-- Deletes what was before $before.
DELETE FROM core.shadow_calls
WHERE began_at < $before
RETURNING shadow_offer_id;
