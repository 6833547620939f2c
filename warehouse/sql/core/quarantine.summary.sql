-- Refused rows by reason, most frequent first.
SELECT source, payload, reason, count(*)
FROM core.quarantine
GROUP BY source, payload, reason
ORDER BY count(*) DESC, source, payload, reason
LIMIT 50;
