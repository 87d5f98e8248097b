-- People are told on several channels, each at its own pace: what is due is asked for by channel. `owed_at` is when the
-- owed version came about; the due time moves with every try.
ALTER TABLE notices ADD COLUMN owed_at BIGINT NOT NULL DEFAULT 0;
UPDATE notices SET owed_at = next_at;
DROP INDEX notices_due;
CREATE INDEX notices_due ON notices (channel, next_at) WHERE owed_version > sent_version;
