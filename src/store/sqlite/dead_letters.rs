//! Dead letters: events that could not be handled, with the reason, until a person replays or drops them.

use rusqlite::{Connection, Row, Transaction, params};
use uuid::Uuid;

use crate::event::{EventId, Lane};
use crate::store::{DeadLetter, Error};

use super::{micros, timestamp};

/// Whether there was something to remove.
pub(super) enum Removed {
    Yes,
    WasNotThere,
}

pub(super) fn bury(transaction: &Transaction<'_>, letter: &DeadLetter) -> Result<(), Error> {
    transaction
        .prepare_cached(
            "INSERT INTO dead_letters (id, lane, envelope, reason, attempts, died_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET lane = excluded.lane, envelope = excluded.envelope,
             reason = excluded.reason, attempts = excluded.attempts, died_at = excluded.died_at",
        )?
        .execute(params![
            letter.id.to_string(),
            letter.lane.word(),
            letter.envelope,
            letter.reason,
            letter.attempts,
            micros(letter.died_at),
        ])?;
    Ok(())
}

pub(super) fn newest(connection: &Connection, limit: u32) -> Result<Vec<DeadLetter>, Error> {
    let mut select = connection.prepare_cached(
        "SELECT id, lane, envelope, reason, attempts, died_at FROM dead_letters
         ORDER BY died_at DESC, id DESC LIMIT ?1",
    )?;
    let mut rows = select.query([limit])?;
    let mut letters = Vec::new();
    while let Some(row) = rows.next()? {
        letters.push(read(row)?);
    }
    Ok(letters)
}

pub(super) fn by_id(connection: &Connection, id: EventId) -> Result<Option<DeadLetter>, Error> {
    let mut select = connection.prepare_cached(
        "SELECT id, lane, envelope, reason, attempts, died_at FROM dead_letters WHERE id = ?1",
    )?;
    let mut rows = select.query([id.to_string()])?;
    rows.next()?.map(read).transpose()
}

pub(super) fn remove(transaction: &Transaction<'_>, id: EventId) -> Result<Removed, Error> {
    let mut delete = transaction.prepare_cached("DELETE FROM dead_letters WHERE id = ?1")?;
    match delete.execute([id.to_string()])? {
        0 => Ok(Removed::WasNotThere),
        _ => Ok(Removed::Yes),
    }
}

/// Every lane, those without dead letters too.
pub(super) fn counts(connection: &Connection) -> Result<Vec<(Lane, u64)>, Error> {
    let mut count = connection.prepare_cached("SELECT COUNT(*) FROM dead_letters WHERE lane = ?1")?;
    let mut count_of = |lane: Lane| Ok((lane, count.query_row([lane.word()], |row| row.get(0))?));
    Lane::ALL.into_iter().map(&mut count_of).collect()
}

fn read(row: &Row<'_>) -> Result<DeadLetter, Error> {
    Ok(DeadLetter {
        id: read_id(&row.get::<_, String>(0)?)?,
        lane: read_lane(&row.get::<_, String>(1)?)?,
        envelope: row.get(2)?,
        reason: row.get(3)?,
        attempts: row.get(4)?,
        died_at: timestamp(row.get(5)?)?,
    })
}

fn read_id(text: &str) -> Result<EventId, Error> {
    Uuid::try_parse(text).map(EventId).map_err(|_| Error::Unreadable(format!("a dead letter {text}")))
}

fn read_lane(word: &str) -> Result<Lane, Error> {
    let lane = Lane::ALL.into_iter().find(|lane| lane.word() == word);
    lane.ok_or_else(|| Error::Unreadable(format!("a dead letter of lane {word}")))
}
