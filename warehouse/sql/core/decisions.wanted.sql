-- Finished segments that are in already; open ones are read again.
SELECT DISTINCT segment
FROM core.decisions
WHERE segment LIKE '%.jsonl';
