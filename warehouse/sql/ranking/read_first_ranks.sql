-- The first ten of every profile and difficulty band, with what their scores come from.
SELECT
    band.profile,
    band.difficulty_band,
    band.rank,
    band.offer_id,
    band.effort,
    band.score,
    configured.quality,
    configured.quality_sd,
    configured.quality_basis,
    band.latency_ms,
    configured.latency_basis,
    band.cost_in_usd_per_call
FROM ranking.band_rankings AS band
JOIN ranking.rankings AS configured
    ON configured.profile = band.profile AND configured.offer_id = band.offer_id
    AND configured.effort IS NOT DISTINCT FROM band.effort
WHERE band.rank <= 10
ORDER BY band.profile, band.difficulty_band, band.rank
