//! Notes: what a task wrote down for its next run, by name.

use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::store::Error;

pub(super) fn of(connection: &Connection, name: &str) -> Result<Option<String>, Error> {
    let mut select = connection.prepare_cached("SELECT text FROM notes WHERE name = ?1")?;
    Ok(select.query_row([name], |row| row.get(0)).optional()?)
}

/// In the order given: of two texts for one name the later one holds.
pub(super) fn set(transaction: &Transaction<'_>, notes: &[(String, Option<String>)]) -> Result<(), Error> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO notes (name, text) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET text = excluded.text WHERE excluded.text <> notes.text",
    )?;
    let mut delete = transaction.prepare_cached("DELETE FROM notes WHERE name = ?1")?;
    for (name, text) in notes {
        match text {
            Some(text) => upsert.execute([name, text])?,
            None => delete.execute([name])?,
        };
    }
    Ok(())
}
