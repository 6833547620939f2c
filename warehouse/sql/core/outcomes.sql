-- Attempts by id: a segment that is read again brings nothing new, and once it is finished its rows carry its final name.
-- Key: attempt_id.
CREATE TABLE IF NOT EXISTS core.outcomes (
    attempt_id VARCHAR NOT NULL,
    request_id VARCHAR NOT NULL,
    attempt BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    "at" TIMESTAMP NOT NULL,
    profile VARCHAR,
    difficulty DOUBLE,
    difficulty_band VARCHAR,
    category VARCHAR,
    model_id VARCHAR NOT NULL,
    offer_id VARCHAR NOT NULL,
    upstream VARCHAR NOT NULL,
    effort VARCHAR,
    endpoint VARCHAR NOT NULL,
    is_streamed BOOLEAN NOT NULL,
    outcome VARCHAR NOT NULL,
    status BIGINT,
    cause VARCHAR,
    first_byte_ms DOUBLE,
    first_content_ms DOUBLE,
    total_ms DOUBLE NOT NULL,
    prompt_tokens BIGINT,
    cached_tokens BIGINT,
    completion_tokens BIGINT,
    reasoning_tokens BIGINT,
    cost_usd DOUBLE,
    cost_is_reported BOOLEAN NOT NULL,
    segment VARCHAR NOT NULL
);

DELETE FROM core.outcomes WHERE attempt_id IN (SELECT attempt_id FROM incoming);

INSERT INTO core.outcomes BY NAME FROM incoming;

COMMENT ON TABLE core.outcomes IS 'The proxy: one row per attempt it reported';
COMMENT ON COLUMN core.outcomes.attempt_id IS 'unique: request id + ''-'' + number of the attempt';
COMMENT ON COLUMN core.outcomes.request_id IS 'x-request-id of the call';
COMMENT ON COLUMN core.outcomes.attempt IS '1 is the first';
COMMENT ON COLUMN core.outcomes.attempts IS 'attempts of the call so far, this one included';
COMMENT ON COLUMN core.outcomes."at" IS 'UTC start of the attempt';
COMMENT ON COLUMN core.outcomes.profile IS 'profile the call asked for; null when a model was named';
COMMENT ON COLUMN core.outcomes.difficulty IS '0 to 1';
COMMENT ON COLUMN core.outcomes.difficulty_band IS 'easy, medium or hard';
COMMENT ON COLUMN core.outcomes.category IS 'kind of task';
COMMENT ON COLUMN core.outcomes.model_id IS 'published.models';
COMMENT ON COLUMN core.outcomes.offer_id IS 'published.offers';
COMMENT ON COLUMN core.outcomes.upstream IS 'upstream called';
COMMENT ON COLUMN core.outcomes.effort IS 'effort asked for';
COMMENT ON COLUMN core.outcomes.endpoint IS 'chat, completions, responses, messages or embeddings';
COMMENT ON COLUMN core.outcomes.is_streamed IS 'whether the client asked for a stream';
COMMENT ON COLUMN core.outcomes.outcome IS 'one of OUTCOMES';
COMMENT ON COLUMN core.outcomes.status IS 'HTTP status of the upstream';
COMMENT ON COLUMN core.outcomes.cause IS 'short cause, without any text of the prompt or the answer';
COMMENT ON COLUMN core.outcomes.first_byte_ms IS 'start of the attempt to the first byte of the body';
COMMENT ON COLUMN core.outcomes.first_content_ms IS 'start of the attempt to the first content';
COMMENT ON COLUMN core.outcomes.total_ms IS 'start of the attempt to its end';
COMMENT ON COLUMN core.outcomes.prompt_tokens IS 'as the upstream reports';
COMMENT ON COLUMN core.outcomes.cached_tokens IS 'part of prompt_tokens read from a cache';
COMMENT ON COLUMN core.outcomes.completion_tokens IS 'as the upstream reports, reasoning included';
COMMENT ON COLUMN core.outcomes.reasoning_tokens IS 'part of completion_tokens';
COMMENT ON COLUMN core.outcomes.cost_usd IS 'reported by the upstream, else computed from the offer''s prices';
COMMENT ON COLUMN core.outcomes.cost_is_reported IS 'whether the upstream reported it';
COMMENT ON COLUMN core.outcomes.segment IS 'segment file it was read from';
