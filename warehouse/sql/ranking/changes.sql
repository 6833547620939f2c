-- What is otherwise than in the last publication, registered as `last_offers` and so on: one row per change.
CREATE OR REPLACE TABLE ranking.changes AS
WITH
now_offers AS (
    SELECT * FROM ranking.offers WHERE is_callable
),
then_offers AS (
    SELECT * FROM last_offers WHERE is_callable
),
appeared AS (
    SELECT 'offer_appeared' AS kind, model_id, offer_id, NULL AS before, price_out_usd_per_mtok AS after,
        'usd_per_mtok' AS unit
    FROM now_offers
    ANTI JOIN then_offers USING (offer_id)
),
vanished AS (
    SELECT 'offer_vanished' AS kind, model_id, offer_id, price_out_usd_per_mtok AS before, NULL AS after,
        'usd_per_mtok' AS unit
    FROM then_offers
    ANTI JOIN now_offers USING (offer_id)
),
expires AS (
    SELECT 'offer_expires' AS kind, model_id, offer_id, NULL AS before,
        CAST(expires_on - CAST($now AS DATE) AS DOUBLE) AS after, 'days' AS unit
    FROM now_offers
    WHERE expires_on <= CAST($now AS DATE) + 30
),
prices AS (
    SELECT
        move.kind,
        here.model_id,
        offer_id,
        move.before,
        move.after,
        'usd_per_mtok' AS unit
    FROM now_offers AS here
    JOIN then_offers AS there USING (offer_id)
    CROSS JOIN LATERAL (
        VALUES
        ('price_in', there.price_in_usd_per_mtok, here.price_in_usd_per_mtok),
        ('price_out', there.price_out_usd_per_mtok, here.price_out_usd_per_mtok)
    ) AS move (kind, before, after)
    WHERE move.before IS DISTINCT FROM move.after
),
qualities AS (
    -- Two independent estimates of one thing seldom differ by more than two standard deviations of their difference.
    SELECT
        'quality' AS kind,
        model_id,
        effort,
        there.quality AS before,
        here.quality AS after,
        'arena_rating' AS unit
    FROM ranking.configurations AS here
    JOIN last_configurations AS there USING (model_id, effort)
    WHERE abs(here.quality - there.quality) > 2 * sqrt(pow(here.quality_sd, 2) + pow(there.quality_sd, 2))
),
leaders AS (
    SELECT
        'first_rank' AS kind,
        here.model_id,
        here.offer_id,
        here.effort,
        here.profile,
        CAST(it.rank AS DOUBLE) AS before,
        1.0 AS after,
        'rank' AS unit,
        -- The leader's own inputs moved, or the former one's did, or one of them came or went.
        it.rank IS NULL OR former.rank IS NULL
        OR (here.quality, here.quality_sd, here.latency_ms, here.cost_in_usd_per_call, here.context_tokens)
            IS DISTINCT FROM (it.quality, it.quality_sd, it.latency_ms, it.cost_in_usd_per_call, it.context_tokens)
        OR (former.quality, former.quality_sd, former.latency_ms, former.cost_in_usd_per_call, former.context_tokens)
            IS DISTINCT FROM (
                leader.quality, leader.quality_sd, leader.latency_ms, leader.cost_in_usd_per_call,
                leader.context_tokens
            ) AS is_explained
    FROM ranking.rankings AS here
    JOIN last_rankings AS leader ON leader.profile = here.profile AND leader.rank = 1
    LEFT JOIN last_rankings AS it
        ON it.profile = here.profile AND it.offer_id = here.offer_id AND it.effort IS NOT DISTINCT FROM here.effort
    LEFT JOIN ranking.rankings AS former
        ON former.profile = here.profile AND former.offer_id = leader.offer_id
        AND former.effort IS NOT DISTINCT FROM leader.effort
    WHERE
        here.rank = 1
        AND (here.offer_id <> leader.offer_id OR here.effort IS DISTINCT FROM leader.effort)
),
changed AS (
    SELECT * FROM appeared
    UNION ALL BY NAME SELECT * FROM vanished
    UNION ALL BY NAME SELECT * FROM expires
    UNION ALL BY NAME SELECT * FROM prices
    UNION ALL BY NAME SELECT * FROM qualities
    UNION ALL BY NAME SELECT * FROM leaders
)
SELECT
    kind,
    model_id,
    offer_id,
    effort,
    profile,
    CAST(before AS DOUBLE) AS before,
    CAST(after AS DOUBLE) AS after,
    unit,
    coalesce(is_explained, true) AS is_explained
FROM changed
ORDER BY kind, model_id, offer_id, effort, profile
