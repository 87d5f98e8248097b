//! The link index: which Auth0 accounts are known to belong to a person.

use rusqlite::{Connection, Transaction, params};

use crate::case::AccountId;
use crate::event::Subject;
use crate::store::Error;

pub(super) fn of(connection: &Connection, subject: Subject) -> Result<Vec<AccountId>, Error> {
    let mut select =
        connection.prepare_cached("SELECT account FROM links WHERE subject = ?1 ORDER BY account")?;
    let mut rows = select.query([subject.to_string()])?;
    let mut accounts = Vec::new();
    while let Some(row) = rows.next()? {
        accounts.push(read(row.get_ref(0)?.as_str().unwrap_or_default())?);
    }
    Ok(accounts)
}

pub(super) fn add(
    transaction: &Transaction<'_>,
    subject: Subject,
    accounts: &[AccountId],
) -> Result<(), Error> {
    let mut insert = transaction
        .prepare_cached("INSERT INTO links (subject, account) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    for account in accounts {
        insert.execute(params![subject.to_string(), account.as_str()])?;
    }
    Ok(())
}

pub(super) fn remove(
    transaction: &Transaction<'_>,
    subject: Subject,
    account: &AccountId,
) -> Result<(), Error> {
    transaction
        .prepare_cached("DELETE FROM links WHERE subject = ?1 AND account = ?2")?
        .execute(params![subject.to_string(), account.as_str()])?;
    Ok(())
}

fn read(text: &str) -> Result<AccountId, Error> {
    AccountId::read(text).ok_or_else(|| Error::Unreadable("a link to what is no account id".into()))
}
