-- When each Arena name was first published, as far as recorded.
SELECT model_name, first_published_on
FROM core.lmsys_arena_names
WHERE first_published_on IS NOT NULL
