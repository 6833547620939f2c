-- What was said by id: a segment that is read again brings nothing new, and once it is finished its rows carry its final name.
-- Key: feedback_id.
CREATE TABLE IF NOT EXISTS core.feedback (
    feedback_id VARCHAR NOT NULL,
    request_id VARCHAR NOT NULL,
    given_at TIMESTAMP NOT NULL,
    score DOUBLE NOT NULL,
    profile VARCHAR,
    model_id VARCHAR,
    offer_id VARCHAR,
    effort VARCHAR,
    segment VARCHAR NOT NULL
);

DELETE FROM core.feedback WHERE feedback_id IN (SELECT feedback_id FROM incoming);

INSERT INTO core.feedback BY NAME FROM incoming;

COMMENT ON TABLE core.feedback IS 'The proxy: what callers thought of answers';
COMMENT ON COLUMN core.feedback.feedback_id IS 'unique';
COMMENT ON COLUMN core.feedback.request_id IS 'x-request-id of the call, which is its decision id';
COMMENT ON COLUMN core.feedback.given_at IS 'UTC';
COMMENT ON COLUMN core.feedback.score IS '-1 (useless) to 1 (just right); a thumb is one of the two';
COMMENT ON COLUMN core.feedback.profile IS 'profile the call asked for; null where that is not known or a model was named';
COMMENT ON COLUMN core.feedback.model_id IS 'published.models; null where the worker did not remember the call';
COMMENT ON COLUMN core.feedback.offer_id IS 'published.offers';
COMMENT ON COLUMN core.feedback.effort IS 'effort asked for';
COMMENT ON COLUMN core.feedback.segment IS 'segment file it was read from';
