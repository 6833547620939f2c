-- What each key has spent and reserved, how fast it calls, and the calls that are running. Money is in nano-dollars.
-- One file for all workers of a host; see docs/decisions/0009-budgets-across-workers.md.
CREATE TABLE IF NOT EXISTS counters (
    key TEXT NOT NULL,
    period TEXT NOT NULL, -- '2026-11-24' or '2026-11', UTC
    spent INTEGER NOT NULL DEFAULT 0,
    reserved INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (key, period)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS rates (
    key TEXT NOT NULL,
    kind TEXT NOT NULL, -- requests or tokens
    due REAL NOT NULL, -- when the bucket is full again, in seconds of Unix time
    PRIMARY KEY (key, kind)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS leases (
    id TEXT NOT NULL PRIMARY KEY,
    key TEXT NOT NULL,
    day TEXT NOT NULL,
    month TEXT NOT NULL,
    reserved INTEGER NOT NULL,
    worker TEXT NOT NULL, -- process id and its start, so that a later process of the same id is told apart
    ends REAL NOT NULL -- when it is void, in seconds of Unix time
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS leases_by_key ON leases (key);
CREATE INDEX IF NOT EXISTS leases_by_end ON leases (ends);
