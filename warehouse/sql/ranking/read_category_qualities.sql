-- Qualities at kinds of prompts.
SELECT category, model_id, effort, quality, quality_sd, basis
FROM ranking.category_qualities
WHERE list_contains($categories, category)
ORDER BY category, model_id, effort
