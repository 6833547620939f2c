-- A record that a person pinned as different from another in its unit leaves that unit.
UPDATE unit_of_record SET unit_key = concat('pinned|', source, ':', record_id)
WHERE (source, record_id) IN (
  SELECT (s2, r2) FROM apart
  JOIN unit_of_record AS first ON first.source = s1 AND first.record_id = r1
  JOIN unit_of_record AS second ON second.source = s2 AND second.record_id = r2
  WHERE first.unit_key = second.unit_key);
