-- Every name ever seen: incoming ones are added to those known, spans grow, the newest organisation and licence stand.
-- A name is current while the newest publication of some leaderboard holds it. Key: model_name.
CREATE OR REPLACE TABLE core.lmsys_arena_names AS
WITH seen AS (
    FROM incoming UNION ALL BY NAME FROM previous
),
rated AS (
    SELECT DISTINCT model_name FROM core.lmsys_arena_ratings
)
SELECT
    model_name::VARCHAR AS model_name,
    arg_max(organization, last_published_on)::VARCHAR AS organization,
    arg_max(license, last_published_on)::VARCHAR AS license,
    min(first_published_on)::DATE AS first_published_on,
    max(last_published_on)::DATE AS last_published_on,
    model_name IN (SELECT rated.model_name FROM rated) AS is_current
FROM seen
GROUP BY model_name
ORDER BY model_name;

COMMENT ON TABLE core.lmsys_arena_names IS 'Arena: one row per model name of any publication read';
COMMENT ON COLUMN core.lmsys_arena_names.model_name IS 'as the Arena spells it';
COMMENT ON COLUMN core.lmsys_arena_names.organization IS 'as last stated';
COMMENT ON COLUMN core.lmsys_arena_names.license IS 'as last stated';
COMMENT ON COLUMN core.lmsys_arena_names.first_published_on IS 'first publication read that has it';
COMMENT ON COLUMN core.lmsys_arena_names.last_published_on IS 'last publication read that has it';
COMMENT ON COLUMN core.lmsys_arena_names.is_current IS 'on a newest leaderboard';
