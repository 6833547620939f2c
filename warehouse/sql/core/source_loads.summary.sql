-- What a person wants to see of every payload in use.
SELECT source, payload, origin, strftime(observed_at, '%Y-%m-%d %H:%M'), rows_loaded, problem
FROM core.source_loads
ORDER BY source, payload;
