-- table: band_rankings
-- severity: error
-- Rows of band 'medium' that differ from the ranking.
SELECT profile, rank, offer_id, effort, score FROM band_rankings WHERE difficulty_band = 'medium'
EXCEPT
SELECT profile, rank, offer_id, effort, score FROM rankings
