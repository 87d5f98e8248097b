//! Leases: which process does what only one may do at a time.

use rusqlite::{Transaction, params};

use crate::clock::Timestamp;
use crate::store::Error;

use super::micros;

/// What has run out is gone first, whoever held it: a holder that was killed leaves nothing behind. Then one statement
/// decides, so that it holds wherever the transaction of another process stands.
pub(super) fn take(
    transaction: &Transaction<'_>,
    name: &str,
    holder: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, Error> {
    transaction.prepare_cached("DELETE FROM leases WHERE until <= ?1")?.execute([micros(now)])?;
    let taken = transaction
        .prepare_cached(
            "INSERT INTO leases (name, holder, until) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET until = excluded.until WHERE leases.holder = excluded.holder",
        )?
        .execute(params![name, holder, micros(until)])?;
    Ok(taken > 0)
}

pub(super) fn let_go(transaction: &Transaction<'_>, name: &str, holder: &str) -> Result<(), Error> {
    transaction
        .prepare_cached("DELETE FROM leases WHERE name = ?1 AND holder = ?2")?
        .execute(params![name, holder])?;
    Ok(())
}
