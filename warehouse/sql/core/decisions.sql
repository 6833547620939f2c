-- Calls by id: a segment that is read again brings nothing new, and once it is finished its rows carry its final name.
-- Key: decision_id.
CREATE TABLE IF NOT EXISTS core.decisions (
    decision_id VARCHAR NOT NULL,
    began_at TIMESTAMP NOT NULL,
    total_ms DOUBLE NOT NULL,
    endpoint VARCHAR NOT NULL,
    key_name VARCHAR,
    asked_model VARCHAR,
    profile VARCHAR,
    difficulty DOUBLE,
    difficulty_band VARCHAR,
    category VARCHAR,
    publication_id VARCHAR NOT NULL,
    candidates BIGINT NOT NULL,
    considered_json VARCHAR NOT NULL,
    removed_json VARCHAR NOT NULL,
    skipped_json VARCHAR NOT NULL,
    attempts_json VARCHAR NOT NULL,
    attempts BIGINT NOT NULL,
    outcome VARCHAR,
    model_id VARCHAR,
    offer_id VARCHAR,
    effort VARCHAR,
    prompt_tokens BIGINT,
    completion_tokens BIGINT,
    cost_usd DOUBLE,
    average_usd DOUBLE,
    most_expensive_usd DOUBLE,
    most_expensive_offer_id VARCHAR,
    route_json VARCHAR NOT NULL,
    segment VARCHAR NOT NULL
);

DELETE FROM core.decisions WHERE decision_id IN (SELECT decision_id FROM incoming);

INSERT INTO core.decisions BY NAME FROM incoming;

COMMENT ON TABLE core.decisions IS 'The proxy: one row per call it reported';
COMMENT ON COLUMN core.decisions.decision_id IS 'x-orchestrator-decision of the answer, which is the request_id of its outcomes';
COMMENT ON COLUMN core.decisions.began_at IS 'UTC start of the call';
COMMENT ON COLUMN core.decisions.total_ms IS 'start of the call to its end';
COMMENT ON COLUMN core.decisions.endpoint IS 'chat, completions, responses, messages or embeddings';
COMMENT ON COLUMN core.decisions.key_name IS 'name of the client''s key, never the key; null for the operator''s own';
COMMENT ON COLUMN core.decisions.asked_model IS 'the model field as it came, at most 200 characters of it';
COMMENT ON COLUMN core.decisions.profile IS 'profile that chose; null when a model was named';
COMMENT ON COLUMN core.decisions.difficulty IS '0 to 1';
COMMENT ON COLUMN core.decisions.difficulty_band IS 'easy, medium or hard';
COMMENT ON COLUMN core.decisions.category IS 'kind of task';
COMMENT ON COLUMN core.decisions.publication_id IS 'published.snapshot it was made under';
COMMENT ON COLUMN core.decisions.candidates IS 'offers at an effort that could have been tried, breakers aside';
COMMENT ON COLUMN core.decisions.considered_json IS 'the first ten of them in order: offer, effort, rank, score, expected_cost_usd';
COMMENT ON COLUMN core.decisions.removed_json IS 'candidates that each filter removed: unavailable, needs, context, request, key, ...';
COMMENT ON COLUMN core.decisions.skipped_json IS 'candidates whose turn came but that were not sent the call: offer, reason';
COMMENT ON COLUMN core.decisions.attempts_json IS 'what was tried, in order: offer, effort, outcome, cause, status, ms';
COMMENT ON COLUMN core.decisions.attempts IS 'how many were tried';
COMMENT ON COLUMN core.decisions.outcome IS 'of the last attempt, one of OUTCOMES; null when nothing was tried';
COMMENT ON COLUMN core.decisions.model_id IS 'published.models; of the last attempt';
COMMENT ON COLUMN core.decisions.offer_id IS 'published.offers; of the last attempt';
COMMENT ON COLUMN core.decisions.effort IS 'effort asked for';
COMMENT ON COLUMN core.decisions.prompt_tokens IS 'of the last attempt, as the upstream reports';
COMMENT ON COLUMN core.decisions.completion_tokens IS 'of the last attempt, reasoning included';
COMMENT ON COLUMN core.decisions.cost_usd IS 'of all attempts together; null where no price or usage is known';
COMMENT ON COLUMN core.decisions.average_usd IS 'the same tokens at the average of the candidates';
COMMENT ON COLUMN core.decisions.most_expensive_usd IS 'the same tokens at the most expensive candidate';
COMMENT ON COLUMN core.decisions.most_expensive_offer_id IS 'which that is';
COMMENT ON COLUMN core.decisions.route_json IS 'what else decided: wishes of the request, session and its sum, hedging, cache';
COMMENT ON COLUMN core.decisions.segment IS 'segment file it was read from';
