//! Webhook delivery ids seen lately: one row for all that were signed in the same second and written together.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Connection, Transaction, params};

use crate::clock::Timestamp;
use crate::store::{Error, SeenDelivery};

use super::{micros, timestamp};

const ID_BYTES: usize = 16;

/// Writes down what was seen and drops what is too old to be accepted again.
pub(super) fn remember(
    transaction: &Transaction<'_>,
    seen: &[SeenDelivery],
    forget_before: Timestamp,
) -> Result<(), Error> {
    let mut seconds: BTreeMap<i64, Vec<u8>> = BTreeMap::new();
    for delivery in seen {
        seconds.entry(micros(delivery.signed_at)).or_default().extend_from_slice(&delivery.id);
    }
    let mut insert =
        transaction.prepare_cached("INSERT INTO delivery_seconds (signed_at, ids) VALUES (?1, ?2)")?;
    for (signed_at, ids) in seconds {
        insert.execute(params![signed_at, ids])?;
    }
    transaction
        .prepare_cached("DELETE FROM delivery_seconds WHERE signed_at < ?1")?
        .execute([micros(forget_before)])?;
    Ok(())
}

/// Newest first, each id once: if there are more than `limit`, the ones nearest to expiry are left out.
pub(super) fn since(
    connection: &Connection,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<SeenDelivery>, Error> {
    let mut select = connection.prepare_cached(
        "SELECT signed_at, ids FROM delivery_seconds WHERE signed_at >= ?1 ORDER BY signed_at DESC",
    )?;
    let mut rows = select.query(params![micros(since)])?;
    let (mut seen, mut known) = (Vec::new(), HashSet::new());
    while let Some(row) = rows.next()? {
        let signed_at = timestamp(row.get(0)?)?;
        let ids: Vec<u8> = row.get(1)?;
        let (ids, _) = ids.as_chunks::<ID_BYTES>();
        for id in ids.iter().filter(|id| known.insert(**id)) {
            if seen.len() == limit as usize {
                return Ok(seen);
            }
            seen.push(SeenDelivery { id: *id, signed_at });
        }
    }
    Ok(seen)
}
