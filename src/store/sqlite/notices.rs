//! Notices owed to people: one row per topic and channel, which knows what was owed last and what was sent last.

use rusqlite::{Connection, Row, Transaction, params};

use crate::clock::Timestamp;
use crate::store::{Error, Notice, NoticeFailed, Owed, PostOutcome, Topic};

use super::{micros, timestamp};

/// What names a row, and since when it was taken as far as its reader knows.
pub(super) struct Key {
    topic: String,
    channel: String,
    taken: Option<i64>,
}

impl Key {
    pub(super) fn of(notice: &Notice) -> Key {
        let taken = notice.sending_since.map(micros);
        Key { topic: topic_text(&notice.topic), channel: notice.channel.clone(), taken }
    }
}

/// Due are those that are owed in a newer version than was sent, when their time has come: also one whose post may have
/// left before a crash, for then `sending_since` is set and its version not yet marked as sent.
pub(super) fn due(
    connection: &Connection,
    channel: &str,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Notice>, Error> {
    let mut select = connection.prepare_cached(
        "SELECT topic, channel, owed_version, sent_version, handle, sending_since, attempts, text, owed_at
         FROM notices WHERE owed_version > sent_version AND channel = ?1 AND next_at <= ?2
         ORDER BY next_at, topic LIMIT ?3",
    )?;
    let mut rows = select.query(params![channel, micros(now), limit])?;
    let mut notices = Vec::new();
    while let Some(row) = rows.next()? {
        notices.push(read(row)?);
    }
    Ok(notices)
}

/// A newer version is due at its own time, whatever the last one waited for; an older or the same one changes nothing.
pub(super) fn owe(transaction: &Transaction<'_>, owed: &[Owed]) -> Result<(), Error> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO notices (topic, channel, owed_version, sent_version, attempts, text, next_at, owed_at)
         VALUES (?1, ?2, ?3, 0, 0, ?4, ?5, ?5)
         ON CONFLICT (topic, channel) DO UPDATE
         SET owed_version = excluded.owed_version, attempts = 0, text = excluded.text, next_at = excluded.next_at,
             owed_at = excluded.owed_at
         WHERE excluded.owed_version > notices.owed_version",
    )?;
    for owed in owed {
        let topic = topic_text(&owed.topic);
        upsert.execute(params![topic, owed.channel, owed.version, owed.text, micros(owed.due_at)])?;
    }
    Ok(())
}

/// Of several processes that have read the same row, the first one takes it: what telling changes is as it was read.
pub(super) fn sending(
    transaction: &Transaction<'_>,
    read: &Notice,
    at: Timestamp,
    handle: Option<&str>,
) -> Result<bool, Error> {
    let key = Key::of(read);
    let taken = transaction
        .prepare_cached(
            "UPDATE notices SET sending_since = ?3, handle = ?7 WHERE topic = ?1 AND channel = ?2
             AND sent_version = ?4 AND handle IS ?5 AND sending_since IS ?6",
        )?
        .execute(params![
            key.topic,
            key.channel,
            micros(at),
            read.sent_version,
            read.handle,
            key.taken,
            handle
        ])?;
    Ok(taken > 0)
}

/// Keeps the handle when the vendor gave no new one, and somebody else's mark. The version is the one of whoever answers
/// last, also an older one: of two who told at once nobody knows which the vendor heard last.
pub(super) fn sent(
    transaction: &Transaction<'_>,
    key: &Key,
    version: u64,
    handle: Option<&str>,
) -> Result<(), Error> {
    transaction
        .prepare_cached(
            "UPDATE notices SET attempts = 0, last_failure = NULL, handle = COALESCE(?4, handle), sent_version = ?3,
             sending_since = CASE WHEN sending_since IS ?5 THEN NULL ELSE sending_since END
             WHERE topic = ?1 AND channel = ?2",
        )?
        .execute(params![key.topic, key.channel, version, handle, key.taken])?;
    Ok(())
}

pub(super) fn failed(transaction: &Transaction<'_>, key: &Key, failed: &NoticeFailed) -> Result<(), Error> {
    let sql = match failed.outcome {
        PostOutcome::NotPosted => {
            "UPDATE notices SET attempts = attempts + 1, next_at = ?3, last_failure = ?4, sending_since = NULL
             WHERE topic = ?1 AND channel = ?2 AND sending_since IS ?5"
        }
        PostOutcome::Unknown => {
            "UPDATE notices SET attempts = attempts + 1, next_at = ?3, last_failure = ?4
             WHERE topic = ?1 AND channel = ?2 AND sending_since IS ?5"
        }
    };
    transaction.prepare_cached(sql)?.execute(params![
        key.topic,
        key.channel,
        micros(failed.next_at),
        failed.why,
        key.taken
    ])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Notice, Error> {
    Ok(Notice {
        topic: read_topic(&row.get::<_, String>(0)?)?,
        channel: row.get(1)?,
        owed_version: row.get(2)?,
        sent_version: row.get(3)?,
        handle: row.get(4)?,
        sending_since: row.get::<_, Option<i64>>(5)?.map(timestamp).transpose()?,
        attempts: row.get(6)?,
        text: row.get(7)?,
        owed_at: timestamp(row.get(8)?)?,
    })
}

fn topic_text(topic: &Topic) -> String {
    match topic {
        Topic::Case(id) => format!("case/{id}"),
        Topic::Notice(key) => format!("notice/{key}"),
    }
}

fn read_topic(text: &str) -> Result<Topic, Error> {
    let topic = match text.split_once('/') {
        Some(("case", id)) => id.parse().ok().map(Topic::Case),
        Some(("notice", key)) => Some(Topic::Notice(key.to_owned())),
        _ => None,
    };
    topic.ok_or_else(|| Error::Unreadable(format!("a notice about {text}")))
}
