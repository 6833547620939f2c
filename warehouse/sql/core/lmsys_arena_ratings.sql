-- The newest publication of each leaderboard; leaderboards that were not read stay. Key: model_name, subset, category.
CREATE OR REPLACE TABLE core.lmsys_arena_ratings AS
WITH kept AS (
    FROM previous WHERE subset NOT IN (SELECT payload FROM loaded)
),
ratings AS (
    FROM incoming UNION ALL BY NAME FROM kept
)
SELECT
    model_name::VARCHAR AS model_name,
    organization::VARCHAR AS organization,
    license::VARCHAR AS license,
    subset::VARCHAR AS subset,
    category::VARCHAR AS category,
    rating::DOUBLE AS rating,
    rating_lower::DOUBLE AS rating_lower,
    rating_upper::DOUBLE AS rating_upper,
    variance::DOUBLE AS variance,
    vote_count::BIGINT AS vote_count,
    rank::INTEGER AS rank,
    published_on::DATE AS published_on,
    observed_at::TIMESTAMP AS observed_at
FROM ratings
ORDER BY subset, category, rank, model_name;

COMMENT ON TABLE core.lmsys_arena_ratings IS 'Arena: one row per model, leaderboard and category of the newest publication';
COMMENT ON COLUMN core.lmsys_arena_ratings.model_name IS 'as the Arena spells it';
COMMENT ON COLUMN core.lmsys_arena_ratings.organization IS 'as the Arena states it';
COMMENT ON COLUMN core.lmsys_arena_ratings.license IS 'as the Arena states it';
COMMENT ON COLUMN core.lmsys_arena_ratings.subset IS 'leaderboard: text, text_style_control, webdev, vision';
COMMENT ON COLUMN core.lmsys_arena_ratings.category IS 'overall, coding, math';
COMMENT ON COLUMN core.lmsys_arena_ratings.rating IS 'Elo-like, from people''s votes';
COMMENT ON COLUMN core.lmsys_arena_ratings.rating_lower IS '2.5 % bound';
COMMENT ON COLUMN core.lmsys_arena_ratings.rating_upper IS '97.5 % bound';
COMMENT ON COLUMN core.lmsys_arena_ratings.variance IS 'variance of the rating';
COMMENT ON COLUMN core.lmsys_arena_ratings.vote_count IS 'votes it rests on';
COMMENT ON COLUMN core.lmsys_arena_ratings.rank IS 'plain order, not the page''s rank';
COMMENT ON COLUMN core.lmsys_arena_ratings.published_on IS 'publication it is from';
COMMENT ON COLUMN core.lmsys_arena_ratings.observed_at IS 'when that publication was seen';
