-- Shadow calls by the call they were beside: a segment that is read again brings nothing new, and once it is finished its rows carry its final name.
-- Key: decision_id.
CREATE TABLE IF NOT EXISTS core.shadow_calls (
    decision_id VARCHAR NOT NULL,
    began_at TIMESTAMP NOT NULL,
    profile VARCHAR,
    difficulty_band VARCHAR,
    category VARCHAR,
    primary_model_id VARCHAR NOT NULL,
    primary_offer_id VARCHAR NOT NULL,
    primary_effort VARCHAR,
    primary_is_streamed BOOLEAN NOT NULL,
    primary_ok BOOLEAN NOT NULL,
    primary_first_content_ms DOUBLE,
    primary_total_ms DOUBLE NOT NULL,
    primary_prompt_tokens BIGINT,
    primary_completion_tokens BIGINT,
    primary_cost_usd DOUBLE,
    primary_finish_reason VARCHAR,
    shadow_model_id VARCHAR NOT NULL,
    shadow_offer_id VARCHAR NOT NULL,
    shadow_effort VARCHAR,
    shadow_ok BOOLEAN NOT NULL,
    shadow_cause VARCHAR,
    shadow_total_ms DOUBLE NOT NULL,
    shadow_prompt_tokens BIGINT,
    shadow_completion_tokens BIGINT,
    shadow_cost_usd DOUBLE,
    shadow_finish_reason VARCHAR,
    segment VARCHAR NOT NULL
);

DELETE FROM core.shadow_calls WHERE decision_id IN (SELECT decision_id FROM incoming);

INSERT INTO core.shadow_calls BY NAME FROM incoming;

COMMENT ON TABLE core.shadow_calls IS 'The proxy: calls that a second candidate was sent as well';
COMMENT ON COLUMN core.shadow_calls.decision_id IS 'of the caller''s call';
COMMENT ON COLUMN core.shadow_calls.began_at IS 'UTC start of the shadow call';
COMMENT ON COLUMN core.shadow_calls.profile IS 'profile that chose';
COMMENT ON COLUMN core.shadow_calls.difficulty_band IS 'easy, medium or hard';
COMMENT ON COLUMN core.shadow_calls.category IS 'kind of task';
COMMENT ON COLUMN core.shadow_calls.primary_model_id IS 'published.models; answered the caller';
COMMENT ON COLUMN core.shadow_calls.primary_offer_id IS 'published.offers';
COMMENT ON COLUMN core.shadow_calls.primary_effort IS 'effort asked for';
COMMENT ON COLUMN core.shadow_calls.primary_is_streamed IS 'whether the caller asked for a stream';
COMMENT ON COLUMN core.shadow_calls.primary_ok IS 'whether it answered';
COMMENT ON COLUMN core.shadow_calls.primary_first_content_ms IS 'start of the attempt to the first content';
COMMENT ON COLUMN core.shadow_calls.primary_total_ms IS 'start of the attempt to its end';
COMMENT ON COLUMN core.shadow_calls.primary_prompt_tokens IS 'as the upstream reports';
COMMENT ON COLUMN core.shadow_calls.primary_completion_tokens IS 'as the upstream reports, reasoning included';
COMMENT ON COLUMN core.shadow_calls.primary_cost_usd IS 'reported, else computed';
COMMENT ON COLUMN core.shadow_calls.primary_finish_reason IS 'stop, length, tool_calls, ...';
COMMENT ON COLUMN core.shadow_calls.shadow_model_id IS 'published.models; was asked beside it';
COMMENT ON COLUMN core.shadow_calls.shadow_offer_id IS 'published.offers';
COMMENT ON COLUMN core.shadow_calls.shadow_effort IS 'effort asked for';
COMMENT ON COLUMN core.shadow_calls.shadow_ok IS 'whether it answered';
COMMENT ON COLUMN core.shadow_calls.shadow_cause IS 'why not';
COMMENT ON COLUMN core.shadow_calls.shadow_total_ms IS 'start to end; it is never streamed';
COMMENT ON COLUMN core.shadow_calls.shadow_prompt_tokens IS 'as the upstream reports';
COMMENT ON COLUMN core.shadow_calls.shadow_completion_tokens IS 'as the upstream reports, reasoning included';
COMMENT ON COLUMN core.shadow_calls.shadow_cost_usd IS 'reported, else computed';
COMMENT ON COLUMN core.shadow_calls.shadow_finish_reason IS 'stop, length, tool_calls, ...';
COMMENT ON COLUMN core.shadow_calls.segment IS 'segment file it was read from';
