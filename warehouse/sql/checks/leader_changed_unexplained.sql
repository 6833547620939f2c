-- table: changes
-- severity: warn
-- Profiles whose first rank changed although none of its inputs did: weights or formulas must have.
SELECT profile, offer_id, effort, before AS rank_before FROM changes WHERE NOT is_explained
