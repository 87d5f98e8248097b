-- What is remembered of people between looks, by person and by group; notes of tasks; leases of tasks.
-- Times and truth values as in step 1. PostgreSQL leaves WITHOUT ROWID out: on SQLite it keeps the group index from
-- being stored once more.

CREATE TABLE people (
    subject TEXT PRIMARY KEY,
    look_at BIGINT,
    has_findings SMALLINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX people_due ON people (look_at, subject) WHERE look_at IS NOT NULL;
CREATE INDEX people_with_findings ON people (subject) WHERE has_findings = 1;

CREATE TABLE memberships (
    group_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    PRIMARY KEY (group_id, subject)
) WITHOUT ROWID;
CREATE INDEX memberships_by_subject ON memberships (subject);

CREATE TABLE notes (
    name TEXT PRIMARY KEY,
    text TEXT NOT NULL
);

CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until BIGINT NOT NULL
);
