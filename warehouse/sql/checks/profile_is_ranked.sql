-- table: rankings
-- severity: error
-- Profiles without a ranking, over all or for a difficulty band.
SELECT profiles.profile, bands.difficulty_band
FROM profiles
CROSS JOIN (SELECT DISTINCT difficulty_band FROM band_rankings) AS bands
ANTI JOIN band_rankings
    ON band_rankings.profile = profiles.profile AND band_rankings.difficulty_band = bands.difficulty_band
UNION ALL
SELECT profile, 'rankings' FROM profiles ANTI JOIN rankings USING (profile)
