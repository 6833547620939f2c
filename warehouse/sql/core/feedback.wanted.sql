-- Finished segments that are in already; open ones are read again.
SELECT DISTINCT segment
FROM core.feedback
WHERE segment LIKE '%.jsonl';
