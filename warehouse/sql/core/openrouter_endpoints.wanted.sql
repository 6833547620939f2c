-- Models whose hosts are worth asking for: those that can be chatted with now.
SELECT openrouter_id, canonical_slug
FROM core.openrouter_listings
WHERE kind = 'chat'
ORDER BY openrouter_id;
