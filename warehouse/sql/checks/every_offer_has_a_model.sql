-- table: offers
-- severity: error
-- Offers of a model that is not published.
SELECT offer_id, model_id FROM offers ANTI JOIN models USING (model_id)
