-- A store as layout 2 left it, with a row of every kind. Frozen: later layouts must still read it.
BEGIN;
CREATE TABLE audit (
    number BIGINT PRIMARY KEY,
    entry TEXT NOT NULL,
    hash BLOB NOT NULL
);
INSERT INTO "audit" VALUES(1,'{"at": "2026-03-02T08:00:00Z", "actor": "lockstep", "subject": {"tenant": "00000000-0000-0000-0000-000000000001", "object": "00000000-0000-0000-0000-000000000001"}, "case": "case_00000000000000000000000000000001", "event": "00000000-0000-0000-0000-000000000001", "account": null, "what": "case.requested", "sentence": "case.requested", "before": null, "after": null, "outcome": null}',X'7BB5A10784278461359B07384E621FB83B7BA44FD853EE6952D4A17642316E3C');
INSERT INTO "audit" VALUES(2,'{"at": "2026-03-02T08:00:00Z", "actor": "lockstep", "subject": {"tenant": "00000000-0000-0000-0000-000000000001", "object": "00000000-0000-0000-0000-000000000001"}, "case": "case_00000000000000000000000000000001", "event": "00000000-0000-0000-0000-000000000001", "account": null, "what": "case.verified", "sentence": "case.verified", "before": null, "after": null, "outcome": null}',X'0BC45100252333BA2B159D1AB76EB7D3AE35840157E8017C7BC8BECD8B0CB76C');
CREATE TABLE audit_head (
    id SMALLINT PRIMARY KEY CHECK (id = 1),
    records BIGINT NOT NULL,
    hash BLOB NOT NULL
);
INSERT INTO "audit_head" VALUES(1,2,X'0BC45100252333BA2B159D1AB76EB7D3AE35840157E8017C7BC8BECD8B0CB76C');
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
INSERT INTO "cases" VALUES('case_00000000000000000000000000000001','00000000-0000-0000-0000-000000000001/00000000-0000-0000-0000-000000000001','verified',1,1,1772438400000000,2,'{"id": "case_00000000000000000000000000000001", "version": 2, "subject": {"tenant": "00000000-0000-0000-0000-000000000001", "object": "00000000-0000-0000-0000-000000000001"}, "display_name": "Zoë", "state": "verified", "reason": {"risk": {"level": "high", "state": "at_risk", "detection": "leakedCredentials"}}, "source": "risk", "response": "contain", "restraint": null, "accounts": {"waad|con|3b1f": {"block": "ours", "ended_by": "revoke_access", "ended_at": "2026-03-02T08:00:01Z", "open": []}}, "open": [], "event": "00000000-0000-0000-0000-000000000001", "signal_at": "2026-03-02T07:59:59.5Z", "received_at": "2026-03-02T08:00:00Z", "opened_at": "2026-03-02T08:00:00Z", "accepted_at": "2026-03-02T08:00:01Z", "verified_at": "2026-03-02T08:00:02Z", "released_at": null, "released_because": null, "verify_by": "2026-03-02T08:01:00Z", "exposed_until": "2026-03-02T20:00:00Z"}');
CREATE TABLE dead_letters (
    id TEXT PRIMARY KEY,
    lane TEXT NOT NULL,
    envelope BLOB NOT NULL,
    reason TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    died_at BIGINT NOT NULL
);
INSERT INTO "dead_letters" VALUES('00000000-0000-0000-0000-000000000001','contain',X'7B2276223A397D','envelope version 9',3,1772438400000000);
CREATE TABLE deliveries (
    id BLOB PRIMARY KEY,
    signed_at BIGINT NOT NULL
);
INSERT INTO "deliveries" VALUES(X'000102030405060708090A0B0C0D0E0F',1772438400000000);
CREATE TABLE links (
    subject TEXT NOT NULL,
    account TEXT NOT NULL,
    PRIMARY KEY (subject, account)
);
INSERT INTO "links" VALUES('00000000-0000-0000-0000-000000000001/00000000-0000-0000-0000-000000000001','auth0|5f7c');
INSERT INTO "links" VALUES('00000000-0000-0000-0000-000000000001/00000000-0000-0000-0000-000000000001','waad|con|3b1f');
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
INSERT INTO "notices" VALUES('case/case_00000000000000000000000000000001','slack',2,1,'C1/17.5',1772438400000000,1,NULL,1772438400000000,'503');
INSERT INTO "notices" VALUES('notice/brake/2026-03-02T08:00:00Z','slack',1,1,'C1/17.6',NULL,0,'the brake holds',1772438400000000,NULL);
CREATE TABLE people (
    subject TEXT PRIMARY KEY,
    look_at BIGINT,
    has_findings SMALLINT NOT NULL,
    body TEXT NOT NULL
);
INSERT INTO "people" VALUES('00000000-0000-0000-0000-000000000001/00000000-0000-0000-0000-000000000001',1772438402000000,1,'{"subject": {"tenant": "00000000-0000-0000-0000-000000000001", "object": "00000000-0000-0000-0000-000000000001"}, "groups": ["00000000-0000-0000-0000-0000000000a1", "00000000-0000-0000-0000-0000000000a2"], "proven": {"waad|con|3b1f": {"roles": ["rol_1"], "organizations": {"org_1": ["rol_2"]}}}, "password_mail": "owed", "enrolment_mail": "sent", "look_at": "2026-03-02T08:00:02Z", "seen_whole_at": "2026-03-02T08:00:03Z", "findings": ["the role rol_9 is not managed"]}');
INSERT INTO "people" VALUES('00000000-0000-0000-0000-000000000001/00000000-0000-0000-0000-000000000002',NULL,0,'{"subject": {"tenant": "00000000-0000-0000-0000-000000000001", "object": "00000000-0000-0000-0000-000000000002"}, "groups": ["00000000-0000-0000-0000-0000000000a1"], "proven": {}, "findings": []}');
CREATE TABLE memberships (
    group_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    PRIMARY KEY (group_id, subject)
) WITHOUT ROWID;
INSERT INTO "memberships" VALUES('00000000-0000-0000-0000-0000000000a1','00000000-0000-0000-0000-000000000001/00000000-0000-0000-0000-000000000001');
INSERT INTO "memberships" VALUES('00000000-0000-0000-0000-0000000000a1','00000000-0000-0000-0000-000000000001/00000000-0000-0000-0000-000000000002');
INSERT INTO "memberships" VALUES('00000000-0000-0000-0000-0000000000a2','00000000-0000-0000-0000-000000000001/00000000-0000-0000-0000-000000000001');
CREATE TABLE notes (
    name TEXT PRIMARY KEY,
    text TEXT NOT NULL
);
INSERT INTO "notes" VALUES('delta/users','https://graph.microsoft.com/v1.0/users/delta?$deltatoken=x');
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until BIGINT NOT NULL
);
INSERT INTO "leases" VALUES('sweep','host-1/17',1772438400000000);
CREATE UNIQUE INDEX cases_one_open_per_subject ON cases (subject) WHERE is_open = 1;
CREATE INDEX cases_open_by_age ON cases (opened_at) WHERE is_open = 1;
CREATE INDEX cases_by_age ON cases (opened_at);
CREATE INDEX cases_by_subject ON cases (subject, opened_at);
CREATE INDEX notices_due ON notices (next_at) WHERE owed_version > sent_version;
CREATE INDEX deliveries_by_age ON deliveries (signed_at);
CREATE INDEX people_due ON people (look_at, subject) WHERE look_at IS NOT NULL;
CREATE INDEX people_with_findings ON people (subject) WHERE has_findings = 1;
CREATE INDEX memberships_by_subject ON memberships (subject);
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
PRAGMA user_version = 2;
COMMIT;
