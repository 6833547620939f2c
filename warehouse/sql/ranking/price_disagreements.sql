-- Prices of one model at one provider that sources state differently: one row per price. The catalogue of OpenRouter
-- speaks for OpenRouter, price lists for everyone, own calls for the offers that reported what they cost.
CREATE OR REPLACE TABLE ranking.price_disagreements AS
WITH
stated AS (
    SELECT
        source, record_id, model_id, provider, provider_name, observed_at,
        price_in_usd_per_mtok, price_out_usd_per_mtok, price_cache_read_usd_per_mtok, price_cache_write_usd_per_mtok
    FROM ranking.provider_prices
    UNION ALL BY NAME
    SELECT
        'openrouter' AS source, record.record_id, record.model_id, 'openrouter' AS provider,
        lower(listing.openrouter_id) AS provider_name, listing.observed_at,
        listing.price_in_usd_per_mtok, listing.price_out_usd_per_mtok, listing.price_cache_read_usd_per_mtok,
        listing.price_cache_write_usd_per_mtok
    FROM core.openrouter_listings AS listing
    JOIN entity.model_records AS record ON record.source = 'openrouter' AND record.record_id = listing.openrouter_id
    UNION ALL BY NAME
    SELECT
        'outcomes' AS source, offer.offer_id AS record_id, offer.model_id, listing.provider,
        regexp_replace(lower(offer.upstream_model), '^(accounts/[^/]+/)?models/', '') AS provider_name,
        offer.price_observed_at AS observed_at,
        offer.price_in_usd_per_mtok, offer.price_out_usd_per_mtok, offer.price_cache_read_usd_per_mtok,
        offer.price_cache_write_usd_per_mtok
    FROM ranking.offers AS offer
    JOIN core.upstream_listings AS listing USING (upstream, upstream_model)
    WHERE offer.price_source = 'outcomes:' || offer.offer_id AND listing.provider IS NOT NULL
),
prices AS (
    UNPIVOT stated
    ON price_in_usd_per_mtok, price_out_usd_per_mtok, price_cache_read_usd_per_mtok, price_cache_write_usd_per_mtok
    INTO NAME price VALUE usd_per_mtok
),
one_each AS (
    -- A list that has a model twice, with and without its path, counts once.
    FROM prices
    QUALIFY row_number() OVER (
        PARTITION BY source, provider, provider_name, price ORDER BY length(record_id), record_id
    ) = 1
),
compared AS (
    SELECT
        provider,
        provider_name,
        price,
        arg_min(model_id, source) AS model_id,
        min(usd_per_mtok) AS lowest_usd_per_mtok,
        max(usd_per_mtok) AS highest_usd_per_mtok,
        map(list(source ORDER BY source), list(usd_per_mtok ORDER BY source)) AS usd_per_mtok_by_source,
        map(list(source ORDER BY source), list(observed_at ORDER BY source)) AS observed_at_by_source,
        list(source || ':' || record_id ORDER BY source) AS records
    FROM one_each
    GROUP BY provider, provider_name, price
    HAVING max(usd_per_mtok) > min(usd_per_mtok) * 1.001
),
offered AS (
    SELECT
        coalesce(listing.provider, 'openrouter') AS provider,
        regexp_replace(lower(offer.upstream_model), '^(accounts/[^/]+/)?models/', '') AS provider_name,
        min(offer.offer_id) AS offer_id
    FROM ranking.offers AS offer
    LEFT JOIN core.upstream_listings AS listing USING (upstream, upstream_model)
    WHERE offer.host_tag IS NULL AND (listing.provider IS NOT NULL OR offer.upstream = 'openrouter')
    GROUP BY ALL
)
SELECT
    compared.model_id,
    compared.provider,
    compared.provider_name,
    offered.offer_id,
    compared.price,
    compared.lowest_usd_per_mtok,
    compared.highest_usd_per_mtok,
    compared.highest_usd_per_mtok / nullif(compared.lowest_usd_per_mtok, 0) AS ratio,
    CASE compared.price
        WHEN 'price_in_usd_per_mtok' THEN offer.price_in_usd_per_mtok
        WHEN 'price_out_usd_per_mtok' THEN offer.price_out_usd_per_mtok
        WHEN 'price_cache_read_usd_per_mtok' THEN offer.price_cache_read_usd_per_mtok
        ELSE offer.price_cache_write_usd_per_mtok
    END AS used_usd_per_mtok,
    offer.price_source AS used_source,
    compared.usd_per_mtok_by_source,
    compared.observed_at_by_source,
    compared.records
FROM compared
LEFT JOIN offered USING (provider, provider_name)
LEFT JOIN ranking.offers AS offer ON offer.offer_id = offered.offer_id
ORDER BY compared.provider, compared.provider_name, compared.price
