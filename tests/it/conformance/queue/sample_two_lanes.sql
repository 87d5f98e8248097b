-- A queue as the program that knew two lanes left it: something in each, one of them delayed. Frozen: it must still be
-- read.
BEGIN;
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    lane TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    enqueued_at INTEGER NOT NULL,
    body BLOB NOT NULL
);
INSERT INTO "event" VALUES(1,'contain',1,0,1772438400000000,CAST('{"v":1,"id":"00000000-0000-0000-0000-000000000001","source":"graph","about":{"person":{"tenant":"00000000-0000-0000-0000-000000000001","object":"00000000-0000-0000-0000-000000000001"}},"kind":"escalated","received_at":"2026-03-02T08:00:00Z"}' AS BLOB));
INSERT INTO "event" VALUES(2,'sync',1,0,1772438400000001,CAST('{"v":1,"id":"00000000-0000-0000-0000-000000000002","source":"graph","about":{"person":{"tenant":"00000000-0000-0000-0000-000000000001","object":"00000000-0000-0000-0000-000000000001"}},"kind":"user_updated","received_at":"2026-03-02T08:00:00Z"}' AS BLOB));
INSERT INTO "event" VALUES(5,'sync',4,1772438401000000,1772438400000002,CAST('{"v":1,"id":"00000000-0000-0000-0000-000000000003","source":"graph","about":{"person":{"tenant":"00000000-0000-0000-0000-000000000001","object":"00000000-0000-0000-0000-000000000002"}},"kind":"user_updated","received_at":"2026-03-02T08:00:00Z"}' AS BLOB));
PRAGMA user_version = 1;
COMMIT;
