//! Leases: which process does what only one may do at a time.

use rusqlite::{Transaction, params};

use crate::clock::Timestamp;
use crate::store::Error;

use super::micros;

/// One statement decides, so that it holds wherever the transaction of another process stands.
pub(super) fn take(
    transaction: &Transaction<'_>,
    name: &str,
    holder: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, Error> {
    let taken = transaction
        .prepare_cached(
            "INSERT INTO leases (name, holder, until) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
             WHERE leases.holder = excluded.holder OR leases.until <= ?4",
        )?
        .execute(params![name, holder, micros(until), micros(now)])?;
    Ok(taken > 0)
}

pub(super) fn let_go(transaction: &Transaction<'_>, name: &str, holder: &str) -> Result<(), Error> {
    transaction
        .prepare_cached("DELETE FROM leases WHERE name = ?1 AND holder = ?2")?
        .execute(params![name, holder])?;
    Ok(())
}
