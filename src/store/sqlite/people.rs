//! What is remembered of people: one JSON document each, beside the columns that questions are asked by, and the groups
//! turned round: who was in a group is asked far more often than it changes.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Params, Transaction, params};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::event::{ObjectId, Subject, TenantId};
use crate::snapshot::sync::Remembered;
use crate::store::Error;

use super::micros;

/// Whether there was something to forget.
pub(super) enum Forgotten {
    Yes,
    WasNotKnown,
}

pub(super) fn of(connection: &Connection, subject: Subject) -> Result<Option<Remembered>, Error> {
    let subject = subject.to_string();
    body(connection, &subject)?.map(|body| read(&subject, &body)).transpose()
}

/// Writes only what differs: a person at whom a look found nothing new costs no write.
pub(super) fn put(transaction: &Transaction<'_>, person: &Remembered) -> Result<(), Error> {
    let subject = person.subject.to_string();
    let document = serde_json::to_string(person).map_err(|error| Error::Unreadable(error.to_string()))?;
    if body(transaction, &subject)?.as_ref() != Some(&document) {
        transaction
            .prepare_cached(
                "INSERT INTO people (subject, look_at, has_findings, body) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (subject) DO UPDATE SET look_at = excluded.look_at,
                 has_findings = excluded.has_findings, body = excluded.body",
            )?
            .execute(params![subject, person.look_at.map(micros), !person.findings.is_empty(), document])?;
    }
    put_groups(transaction, &subject, &person.groups)
}

/// Compared with the rows that are there, not with the old document, so that nothing can make the two drift apart.
fn put_groups(
    transaction: &Transaction<'_>,
    subject: &str,
    groups: &BTreeSet<ObjectId>,
) -> Result<(), Error> {
    let wanted: BTreeSet<String> = groups.iter().map(ObjectId::to_string).collect();
    let stored: BTreeSet<String> = transaction
        .prepare_cached("SELECT group_id FROM memberships WHERE subject = ?1")?
        .query_map([subject], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut delete =
        transaction.prepare_cached("DELETE FROM memberships WHERE group_id = ?1 AND subject = ?2")?;
    for left in stored.difference(&wanted) {
        delete.execute([left, subject])?;
    }
    let mut insert =
        transaction.prepare_cached("INSERT INTO memberships (group_id, subject) VALUES (?1, ?2)")?;
    for joined in wanted.difference(&stored) {
        insert.execute([joined, subject])?;
    }
    Ok(())
}

pub(super) fn forget(transaction: &Transaction<'_>, subject: Subject) -> Result<Forgotten, Error> {
    let subject = subject.to_string();
    transaction.prepare_cached("DELETE FROM memberships WHERE subject = ?1")?.execute([&subject])?;
    match transaction.prepare_cached("DELETE FROM people WHERE subject = ?1")?.execute([&subject])? {
        0 => Ok(Forgotten::WasNotKnown),
        _ => Ok(Forgotten::Yes),
    }
}

pub(super) fn in_group(
    connection: &Connection,
    group: ObjectId,
    after: Option<Subject>,
    limit: u32,
) -> Result<Vec<Subject>, Error> {
    subjects(
        connection,
        "SELECT subject FROM memberships WHERE group_id = ?1 AND subject > ?2 ORDER BY subject LIMIT ?3",
        params![group.to_string(), place(after), limit],
    )
}

pub(super) fn known(
    connection: &Connection,
    after: Option<Subject>,
    limit: u32,
) -> Result<Vec<Subject>, Error> {
    subjects(
        connection,
        "SELECT subject FROM people WHERE subject > ?1 ORDER BY subject LIMIT ?2",
        params![place(after), limit],
    )
}

pub(super) fn due(connection: &Connection, now: Timestamp, limit: u32) -> Result<Vec<Subject>, Error> {
    subjects(
        connection,
        "SELECT subject FROM people WHERE look_at <= ?1 ORDER BY look_at, subject LIMIT ?2",
        params![micros(now), limit],
    )
}

pub(super) fn with_findings(
    connection: &Connection,
    after: Option<Subject>,
    limit: u32,
) -> Result<Vec<Remembered>, Error> {
    let mut select = connection.prepare_cached(
        "SELECT subject, body FROM people WHERE has_findings = 1 AND subject > ?1 ORDER BY subject LIMIT ?2",
    )?;
    let mut rows = select.query(params![place(after), limit])?;
    let mut people = Vec::new();
    while let Some(row) = rows.next()? {
        people.push(read(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?)?);
    }
    Ok(people)
}

pub(super) fn count(connection: &Connection) -> Result<u64, Error> {
    let mut count = connection.prepare_cached("SELECT COUNT(*) FROM people")?;
    Ok(count.query_row([], |row| row.get(0))?)
}

fn body(connection: &Connection, subject: &str) -> Result<Option<String>, Error> {
    let mut select = connection.prepare_cached("SELECT body FROM people WHERE subject = ?1")?;
    Ok(select.query_row([subject], |row| row.get(0)).optional()?)
}

/// Where a page begins: every subject stands after the empty text.
fn place(after: Option<Subject>) -> String {
    after.map(|subject| subject.to_string()).unwrap_or_default()
}

fn subjects(connection: &Connection, sql: &str, params: impl Params) -> Result<Vec<Subject>, Error> {
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query(params)?;
    let mut subjects = Vec::new();
    while let Some(row) = rows.next()? {
        subjects.push(read_subject(row.get_ref(0)?.as_str().unwrap_or_default())?);
    }
    Ok(subjects)
}

fn read_subject(text: &str) -> Result<Subject, Error> {
    let subject = text.split_once('/').and_then(|(tenant, object)| {
        let tenant = TenantId(Uuid::try_parse(tenant).ok()?);
        Some(Subject { tenant, object: ObjectId(Uuid::try_parse(object).ok()?) })
    });
    subject.ok_or_else(|| Error::Unreadable("a person who is named by no subject".into()))
}

/// The place of a fault is told, not its text.
fn read(subject: &str, body: &str) -> Result<Remembered, Error> {
    serde_json::from_str(body).map_err(|error| {
        Error::Unreadable(format!("what is remembered of {subject}, at character {}", error.column()))
    })
}
