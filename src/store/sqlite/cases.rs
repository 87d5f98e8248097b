//! Cases: one JSON document each, beside the columns that questions are asked by.

use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Transaction, params};

use crate::case::{Case, CaseId, CaseState};
use crate::clock::Timestamp;
use crate::event::Subject;
use crate::store::{Error, WhichCases};

use super::micros;

pub(super) fn by_id(connection: &Connection, id: CaseId) -> Result<Option<Case>, Error> {
    one(connection, "SELECT id, body FROM cases WHERE id = ?1", [id.to_string()])
}

pub(super) fn open_of(connection: &Connection, subject: Subject) -> Result<Option<Case>, Error> {
    one(connection, "SELECT id, body FROM cases WHERE subject = ?1 AND is_open = 1", [subject.to_string()])
}

pub(super) fn last_not_acted_of(connection: &Connection, subject: Subject) -> Result<Option<Case>, Error> {
    Ok(closed_of(connection, subject, CaseState::NotActed, 1)?.pop())
}

pub(super) fn released_of(connection: &Connection, subject: Subject, limit: u32) -> Result<Vec<Case>, Error> {
    closed_of(connection, subject, CaseState::Released, limit)
}

fn closed_of(
    connection: &Connection,
    subject: Subject,
    state: CaseState,
    limit: u32,
) -> Result<Vec<Case>, Error> {
    let sql = "SELECT id, body FROM cases WHERE subject = ?1 AND state = ?2 ORDER BY opened_at DESC, id DESC LIMIT ?3";
    many(connection, sql, params![subject.to_string(), state.word(), limit])
}

pub(super) fn newest(connection: &Connection, which: WhichCases, limit: u32) -> Result<Vec<Case>, Error> {
    let sql = match which {
        WhichCases::Open => {
            "SELECT id, body FROM cases WHERE is_open = 1 ORDER BY opened_at DESC, id DESC LIMIT ?1"
        }
        WhichCases::All => "SELECT id, body FROM cases ORDER BY opened_at DESC, id DESC LIMIT ?1",
    };
    many(connection, sql, [limit])
}

pub(super) fn blocking_since(
    connection: &Connection,
    since: Timestamp,
    except: Subject,
) -> Result<u32, Error> {
    let mut count = connection.prepare_cached(
        "SELECT COUNT(*) FROM cases WHERE is_blocking = 1 AND opened_at >= ?1 AND subject <> ?2",
    )?;
    Ok(count.query_row(params![micros(since), except.to_string()], |row| row.get(0))?)
}

/// Inserts version 1; any other only over the version before it.
pub(super) fn put(transaction: &Transaction<'_>, case: &Case) -> Result<(), Error> {
    let before = case.version.checked_sub(1).ok_or(Error::Conflict)?;
    let sql = match before {
        0 => {
            "INSERT INTO cases (id, version, subject, state, is_open, is_blocking, opened_at, body)
             VALUES (?1, ?2 + 1, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING"
        }
        _ => {
            "UPDATE cases SET version = ?2 + 1, subject = ?3, state = ?4, is_open = ?5, is_blocking = ?6,
             opened_at = ?7, body = ?8 WHERE id = ?1 AND version = ?2"
        }
    };
    let written = transaction.prepare_cached(sql)?.execute(params![
        case.id.to_string(),
        before,
        case.subject.to_string(),
        case.state.word(),
        case.state.is_open(),
        case.is_blocking(),
        // An escalated case blocks since then: the brake counts by this column, and the newest come first by it.
        micros(case.escalated_at.unwrap_or(case.opened_at)),
        serde_json::to_string(case).map_err(|error| Error::Unreadable(error.to_string()))?,
    ]);
    match written {
        Ok(0) => Err(Error::Conflict),
        // The person has another open case.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            Err(Error::Conflict)
        }
        other => Ok(other.map(drop)?),
    }
}

fn many(connection: &Connection, sql: &str, params: impl Params) -> Result<Vec<Case>, Error> {
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query(params)?;
    let mut cases = Vec::new();
    while let Some(row) = rows.next()? {
        cases.push(read(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?)?);
    }
    Ok(cases)
}

fn one(connection: &Connection, sql: &str, params: impl Params) -> Result<Option<Case>, Error> {
    let row = connection
        .prepare_cached(sql)?
        .query_row(params, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    row.map(|(id, body)| read(&id, &body)).transpose()
}

/// The place of a fault is told, not its text: a case holds a name.
fn read(id: &str, body: &str) -> Result<Case, Error> {
    serde_json::from_str(body)
        .map_err(|error| Error::Unreadable(format!("{id}, at character {}", error.column())))
}
