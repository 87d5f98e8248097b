//! Webhook delivery ids seen lately.

use rusqlite::{Connection, Transaction, params};

use crate::clock::Timestamp;
use crate::store::{Error, SeenDelivery};

use super::{micros, timestamp};

/// Writes down what was seen and drops what is too old to be accepted again.
pub(super) fn remember(
    transaction: &Transaction<'_>,
    seen: &[SeenDelivery],
    forget_before: Timestamp,
) -> Result<(), Error> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO deliveries (id, signed_at) VALUES (?1, ?2)
         ON CONFLICT (id) DO UPDATE SET signed_at = excluded.signed_at
         WHERE excluded.signed_at > deliveries.signed_at",
    )?;
    for delivery in seen {
        upsert.execute(params![delivery.id, micros(delivery.signed_at)])?;
    }
    transaction
        .prepare_cached("DELETE FROM deliveries WHERE signed_at < ?1")?
        .execute([micros(forget_before)])?;
    Ok(())
}

/// Newest first: if there are more than `limit`, the ones nearest to expiry are left out.
pub(super) fn since(
    connection: &Connection,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<SeenDelivery>, Error> {
    let mut select = connection.prepare_cached(
        "SELECT id, signed_at FROM deliveries WHERE signed_at >= ?1 ORDER BY signed_at DESC, id LIMIT ?2",
    )?;
    let mut rows = select.query(params![micros(since), limit])?;
    let mut seen = Vec::new();
    while let Some(row) = rows.next()? {
        seen.push(SeenDelivery { id: row.get(0)?, signed_at: timestamp(row.get(1)?)? });
    }
    Ok(seen)
}
