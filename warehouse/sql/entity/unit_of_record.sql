-- Records that say the same in every part are one unit (reason: exact). A repository of a stranger joins when it is a
-- conversion, or when its author is known to re-upload originals; two strangers' equal names stay two.
CREATE OR REPLACE TABLE signed AS
SELECT *,
  -- a hash, since a million long keys would cost more than all else
  hash(concat_ws('|', words, tier, modality, training, mode, version, revision, size, active, context, date, preview, stage))
    AS signature
FROM settled_stages;

CREATE OR REPLACE TABLE anchors AS
SELECT DISTINCT signature, vendor AS anchor FROM signed
WHERE vendor <> '' AND NOT is_garbage AND NOT is_price_list(source) AND (
  source <> 'huggingface' OR (is_official AND quantization = '' AND family_vendor IN ('', vendor)));

INSERT INTO anchors
SELECT DISTINCT signature, vendor FROM signed
WHERE source = 'huggingface' AND is_official AND quantization = '' AND NOT is_garbage
  AND signature NOT IN (SELECT signature FROM anchors);

CREATE OR REPLACE TABLE unit_of_record AS
WITH by_signature AS (SELECT signature, list_sort(list(anchor)) AS anchors FROM anchors GROUP BY signature),
-- two repositories of one author are two models, even where they say the same in another order
doubled AS (
  SELECT signature, vendor AS owner, arg_min(name_order, (length(name_order), name_order)) AS main_order FROM signed
  WHERE source = 'huggingface' AND quantization = '' AND NOT is_mirror
  GROUP BY signature, vendor HAVING count(DISTINCT name_order) > 1
),
originals AS (
  SELECT signature, min(vendor) AS only_author FROM signed
  WHERE source = 'huggingface' AND quantization = '' AND NOT is_mirror
  GROUP BY signature HAVING count(DISTINCT vendor) = 1
),
owned AS (
  SELECT signed.source, record_id, signature, is_garbage, name_order,
    signed.source = 'huggingface' AND quantization = '' AND only_author IS NOT NULL AS is_only_author,
    CASE
      WHEN list_contains(anchors, vendor) THEN vendor
      WHEN signed.source <> 'huggingface' AND vendor <> '' THEN vendor
      WHEN signed.source <> 'huggingface' THEN CASE
        WHEN list_contains(anchors, family_vendor) THEN family_vendor
        WHEN len(anchors) = 1 THEN anchors[1]
        WHEN (signed.source = 'upstream' OR is_price_list(signed.source)) AND only_author IS NOT NULL THEN only_author
        ELSE family_vendor END
      WHEN list_contains(anchors, family_vendor) AND family_vendor <> ''
        AND (quantization <> '' OR is_mirror OR is_reuploader) THEN family_vendor
      WHEN (quantization <> '' OR is_mirror) AND len(anchors) = 1 THEN anchors[1]
      WHEN (quantization <> '' OR is_mirror) AND only_author IS NOT NULL THEN only_author
      WHEN (quantization <> '' OR is_mirror) AND family_vendor <> '' AND training = '' THEN family_vendor
      ELSE vendor
    END AS owner
  FROM signed
  LEFT JOIN by_signature USING (signature)
  LEFT JOIN originals USING (signature)
)
SELECT source, record_id, is_only_author,
  CASE
    WHEN is_garbage THEN concat('garbage|', source, ':', record_id)
    WHEN main_order IS NULL THEN concat(signature, '|', owner)
    WHEN source = 'huggingface' THEN concat(signature, '|', name_order, '|', owner)
    ELSE concat(signature, '|', main_order, '|', owner)
  END AS unit_key
FROM owned LEFT JOIN doubled USING (signature, owner);
