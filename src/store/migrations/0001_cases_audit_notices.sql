-- Cases, links, audit, notices, delivery ids, dead letters.
-- Times are microseconds since 1970, truth values 0 or 1, structured values JSON as text. PostgreSQL takes the same
-- statements with BYTEA for BLOB, and the triggers in its own words.

CREATE TABLE cases (
    id TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    state TEXT NOT NULL,
    is_open SMALLINT NOT NULL,
    is_blocking SMALLINT NOT NULL,
    opened_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX cases_one_open_per_subject ON cases (subject) WHERE is_open = 1;
CREATE INDEX cases_open_by_age ON cases (opened_at) WHERE is_open = 1;
CREATE INDEX cases_by_age ON cases (opened_at);
CREATE INDEX cases_by_subject ON cases (subject, opened_at);

CREATE TABLE links (
    subject TEXT NOT NULL,
    account TEXT NOT NULL,
    PRIMARY KEY (subject, account)
);

CREATE TABLE audit (
    number BIGINT PRIMARY KEY,
    entry TEXT NOT NULL,
    hash BLOB NOT NULL
);
CREATE TABLE audit_head (
    id SMALLINT PRIMARY KEY CHECK (id = 1),
    records BIGINT NOT NULL,
    hash BLOB NOT NULL
);
INSERT INTO audit_head (id, records, hash)
VALUES (1, 0, X'0000000000000000000000000000000000000000000000000000000000000000');

-- Inserts are watched too: SQLite's INSERT OR REPLACE deletes without asking the triggers for deletions.
CREATE TRIGGER audit_is_never_replaced BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_head_is_never_replaced BEFORE INSERT ON audit_head
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_head_only_rises BEFORE UPDATE ON audit_head WHEN NEW.records <= OLD.records
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_head_is_never_deleted BEFORE DELETE ON audit_head
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

CREATE TABLE notices (
    topic TEXT NOT NULL,
    channel TEXT NOT NULL,
    owed_version BIGINT NOT NULL,
    sent_version BIGINT NOT NULL,
    handle TEXT,
    sending_since BIGINT,
    attempts BIGINT NOT NULL,
    text TEXT,
    next_at BIGINT NOT NULL,
    last_failure TEXT,
    PRIMARY KEY (topic, channel)
);
CREATE INDEX notices_due ON notices (next_at) WHERE owed_version > sent_version;

CREATE TABLE deliveries (
    id BLOB PRIMARY KEY,
    signed_at BIGINT NOT NULL
);
CREATE INDEX deliveries_by_age ON deliveries (signed_at);

CREATE TABLE dead_letters (
    id TEXT PRIMARY KEY,
    lane TEXT NOT NULL,
    envelope BLOB NOT NULL,
    reason TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    died_at BIGINT NOT NULL
);
