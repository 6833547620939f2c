-- Deletes what is older than $before, but never the newest value of a series: it still holds.
DELETE FROM core.observations AS old
WHERE
    observed_at < $before
    AND observed_at < (
        SELECT max(observed_at)
        FROM core.observations AS newer
        WHERE
            newer.source = old.source
            AND newer.record_id = old.record_id
            AND newer.metric = old.metric
            AND newer.scope = old.scope
    )
RETURNING source, metric;
