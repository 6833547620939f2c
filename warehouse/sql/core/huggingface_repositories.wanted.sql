-- Repositories that other sources name, today's models first.
SELECT huggingface_id
FROM (
    SELECT hugging_face_id AS huggingface_id, max(created_at) AS listed_at
    FROM core.openrouter_listings
    WHERE hugging_face_id IS NOT NULL
    GROUP BY hugging_face_id
    UNION ALL
    SELECT huggingface_id, max(release_date) AS listed_at
    FROM core.artificial_analysis_models
    WHERE huggingface_id IS NOT NULL
    GROUP BY huggingface_id
)
GROUP BY huggingface_id
ORDER BY max(listed_at) DESC, huggingface_id;
