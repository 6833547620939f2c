-- Finished segments that are in already; open ones are read again.
SELECT DISTINCT segment
FROM core.shadow_calls
WHERE segment LIKE '%.jsonl';
