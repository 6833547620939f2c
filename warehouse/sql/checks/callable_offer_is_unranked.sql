-- table: offers
-- severity: warn
-- Callable offers that no profile ranks although they neither collect prompts nor lack a price.
SELECT offer_id, price_out_usd_per_mtok
FROM offers
ANTI JOIN rankings USING (offer_id)
WHERE is_callable AND NOT is_free AND NOT coalesce(may_train_on_prompts, false)
