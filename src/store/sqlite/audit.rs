//! The audit: numbered and chained inside the transaction that appends, with a head that tells how many there are.

use rusqlite::{Connection, Row, Transaction, params};

use crate::audit::{Entry, Hash, chain};
use crate::store::{Error, StoredRecord};

/// How many records there are, and the hash of the last one.
pub(super) fn head(connection: &Connection) -> Result<(u64, Hash), Error> {
    let mut select = connection.prepare_cached("SELECT records, hash FROM audit_head WHERE id = 1")?;
    select.query_row([], |row| Ok((row.get(0)?, hash(row, 1)?))).map_err(|error| match error {
        rusqlite::Error::QueryReturnedNoRows => Error::Unreadable("the audit has no head".into()),
        other => other.into(),
    })
}

pub(super) fn append(transaction: &Transaction<'_>, entries: &[Entry]) -> Result<(), Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let (mut number, mut last) = head(transaction)?;
    let mut insert =
        transaction.prepare_cached("INSERT INTO audit (number, entry, hash) VALUES (?1, ?2, ?3)")?;
    for entry in entries {
        let bytes = entry.to_bytes();
        number += 1;
        last = chain(&last, number, &bytes);
        let text = std::str::from_utf8(&bytes).expect("JSON is UTF-8");
        insert.execute(params![number, text, last.0])?;
    }
    transaction
        .prepare_cached("UPDATE audit_head SET records = ?1, hash = ?2 WHERE id = 1")?
        .execute(params![number, last.0])?;
    Ok(())
}

pub(super) fn records(connection: &Connection, after: u64, limit: u32) -> Result<Vec<StoredRecord>, Error> {
    // Numbers are no larger than SQLite's integers; beyond them there is nothing.
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut select = connection
        .prepare_cached("SELECT number, entry, hash FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2")?;
    let rows = select.query_map(params![after, limit], |row| {
        // As bytes: somebody may have put there what is no text, and verification must get to see it.
        let entry = row.get_ref(1)?.as_bytes()?.to_vec();
        Ok(StoredRecord { number: row.get(0)?, entry, hash: hash(row, 2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn hash(row: &Row<'_>, column: usize) -> rusqlite::Result<Hash> {
    row.get(column).map(Hash)
}
