//! The store on SQLite: every method one transaction, on disk when it returns.
//!
//! Writes that come at the same time share one fsync (`crate::sqlite`); reads run beside them and see all that was
//! answered before. Several processes may have the file open: the command line reads beside the server. Times are kept
//! to the microsecond. The audit can only grow: triggers refuse the rest, and the chain tells what got around them.

mod audit;
mod cases;
mod dead_letters;
mod deliveries;
mod leases;
mod links;
mod notes;
mod notices;
mod people;

use std::path::PathBuf;

use async_trait::async_trait;
use rusqlite::{Connection, Transaction};

use crate::audit::Entry;
use crate::case::{AccountId, Case, CaseId};
use crate::clock::Timestamp;
use crate::event::{EventId, Lane, ObjectId, Subject};
use crate::snapshot::sync::Remembered;
use crate::sqlite::{Database, Options, Sharing};

use super::{
    DeadLetter, Error, Notice, NoticeFailed, Owed, SaveCase, SavePerson, SeenDelivery, Store, StoredRecord,
    WhichCases,
};

/// The layout, step by step; a step that has been released is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_cases_audit_notices.sql"),
    include_str!("migrations/0002_people_notes_leases.sql"),
    include_str!("migrations/0003_deliveries_by_second.sql"),
    include_str!("migrations/0004_notices_by_channel.sql"),
];
/// Reads at a time: a worker's look and somebody on the command line do not wait for each other.
const READERS: usize = 2;

/// Where the store lives.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `lockstep.db` in the data directory.
    pub file: PathBuf,
}

/// The store on SQLite, open.
#[derive(Debug)]
pub struct Sqlite {
    database: Database,
}

impl Sqlite {
    /// Opens the file, makes it when it is not there and brings its layout up to date. Blocks on the disk: for the start
    /// of a process.
    pub fn open(settings: &Settings) -> Result<Sqlite, Error> {
        let database = Database::open(&Options {
            file: &settings.file,
            sharing: Sharing::ManyProcesses,
            bytes_max: None,
            readers: READERS,
            migrations: MIGRATIONS,
        })?;
        Ok(Sqlite { database })
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.database.readers.read(read).await
    }

    async fn write<T: Send + 'static>(
        &self,
        write: impl FnMut(&Transaction<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.database.writer.write(write).await
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn case(&self, id: CaseId) -> Result<Option<Case>, Error> {
        self.read(move |connection| cases::by_id(connection, id)).await
    }

    async fn open_case(&self, subject: Subject) -> Result<Option<Case>, Error> {
        self.read(move |connection| cases::open_of(connection, subject)).await
    }

    async fn last_not_acted_case(&self, subject: Subject) -> Result<Option<Case>, Error> {
        self.read(move |connection| cases::last_not_acted_of(connection, subject)).await
    }

    async fn released_cases(&self, subject: Subject, limit: u32) -> Result<Vec<Case>, Error> {
        self.read(move |connection| cases::released_of(connection, subject, limit)).await
    }

    async fn cases(&self, which: WhichCases, limit: u32) -> Result<Vec<Case>, Error> {
        self.read(move |connection| cases::newest(connection, which, limit)).await
    }

    async fn blocking_cases_since(&self, since: Timestamp, except: Subject) -> Result<u32, Error> {
        self.read(move |connection| cases::blocking_since(connection, since, except)).await
    }

    async fn save_case(&self, save: SaveCase) -> Result<(), Error> {
        self.write(move |transaction| {
            cases::put(transaction, &save.case)?;
            links::add(transaction, save.case.subject, &save.links)?;
            audit::append(transaction, &save.audit)?;
            notices::owe(transaction, &save.owed)
        })
        .await
    }

    async fn links(&self, subject: Subject) -> Result<Vec<AccountId>, Error> {
        self.read(move |connection| links::of(connection, subject)).await
    }

    async fn add_links(&self, subject: Subject, accounts: Vec<AccountId>) -> Result<(), Error> {
        self.write(move |transaction| links::add(transaction, subject, &accounts)).await
    }

    async fn remove_link(&self, subject: Subject, account: AccountId) -> Result<(), Error> {
        self.write(move |transaction| links::remove(transaction, subject, &account)).await
    }

    async fn person(&self, subject: Subject) -> Result<Option<Remembered>, Error> {
        self.read(move |connection| people::of(connection, subject)).await
    }

    async fn save_person(&self, save: SavePerson) -> Result<(), Error> {
        self.write(move |transaction| {
            people::put(transaction, &save.person)?;
            for gone in save.gone_links.iter().filter(|gone| !save.links.contains(gone)) {
                links::remove(transaction, save.person.subject, gone)?;
            }
            links::add(transaction, save.person.subject, &save.links)?;
            audit::append(transaction, &save.audit)?;
            notices::owe(transaction, &save.owed)
        })
        .await
    }

    async fn forget_person(&self, subject: Subject, entries: Vec<Entry>) -> Result<(), Error> {
        self.write(move |transaction| match people::forget(transaction, subject)? {
            people::Forgotten::Yes => audit::append(transaction, &entries),
            people::Forgotten::WasNotKnown => Ok(()),
        })
        .await
    }

    async fn people_in(
        &self,
        group: ObjectId,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<Subject>, Error> {
        self.read(move |connection| people::in_group(connection, group, after, limit)).await
    }

    async fn people_known(&self, after: Option<Subject>, limit: u32) -> Result<Vec<Subject>, Error> {
        self.read(move |connection| people::known(connection, after, limit)).await
    }

    async fn people_due(&self, now: Timestamp, limit: u32) -> Result<Vec<Subject>, Error> {
        self.read(move |connection| people::due(connection, now, limit)).await
    }

    async fn people_with_findings(
        &self,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<Remembered>, Error> {
        self.read(move |connection| people::with_findings(connection, after, limit)).await
    }

    async fn people_count(&self) -> Result<u64, Error> {
        self.read(people::count).await
    }

    async fn note(&self, name: &str) -> Result<Option<String>, Error> {
        let name = name.to_owned();
        self.read(move |connection| notes::of(connection, &name)).await
    }

    async fn set_notes(&self, notes: Vec<(String, Option<String>)>) -> Result<(), Error> {
        self.write(move |transaction| notes::set(transaction, &notes)).await
    }

    async fn take_lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Error> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.write(move |transaction| leases::take(transaction, &name, &holder, now, until)).await
    }

    async fn drop_lease(&self, name: &str, holder: &str) -> Result<(), Error> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.write(move |transaction| leases::let_go(transaction, &name, &holder)).await
    }

    async fn record(&self, entries: Vec<Entry>) -> Result<(), Error> {
        self.write(move |transaction| audit::append(transaction, &entries)).await
    }

    async fn records(&self, after: u64, limit: u32) -> Result<Vec<StoredRecord>, Error> {
        self.read(move |connection| audit::records(connection, after, limit)).await
    }

    async fn audit_head(&self) -> Result<u64, Error> {
        self.read(move |connection| Ok(audit::head(connection)?.0)).await
    }

    async fn due_notices(&self, channel: &str, now: Timestamp, limit: u32) -> Result<Vec<Notice>, Error> {
        let channel = channel.to_owned();
        self.read(move |connection| notices::due(connection, &channel, now, limit)).await
    }

    async fn owe(&self, owed: Vec<Owed>) -> Result<(), Error> {
        self.write(move |transaction| notices::owe(transaction, &owed)).await
    }

    async fn notice_sending(
        &self,
        notice: &Notice,
        at: Timestamp,
        handle: Option<String>,
    ) -> Result<bool, Error> {
        let notice = notice.clone();
        self.write(move |transaction| notices::sending(transaction, &notice, at, handle.as_deref())).await
    }

    async fn notice_sent(&self, notice: &Notice, version: u64, handle: Option<String>) -> Result<(), Error> {
        let key = notices::Key::of(notice);
        self.write(move |transaction| notices::sent(transaction, &key, version, handle.as_deref())).await
    }

    async fn notice_failed(&self, notice: &Notice, failed: NoticeFailed) -> Result<(), Error> {
        let key = notices::Key::of(notice);
        self.write(move |transaction| notices::failed(transaction, &key, &failed)).await
    }

    async fn remember_deliveries(
        &self,
        seen: Vec<SeenDelivery>,
        forget_before: Timestamp,
    ) -> Result<(), Error> {
        self.write(move |transaction| deliveries::remember(transaction, &seen, forget_before)).await
    }

    async fn deliveries_since(&self, since: Timestamp, limit: u32) -> Result<Vec<SeenDelivery>, Error> {
        self.read(move |connection| deliveries::since(connection, since, limit)).await
    }

    async fn bury(&self, letter: DeadLetter) -> Result<(), Error> {
        self.write(move |transaction| dead_letters::bury(transaction, &letter)).await
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, Error> {
        self.read(move |connection| dead_letters::newest(connection, limit)).await
    }

    async fn dead_letter(&self, id: EventId) -> Result<Option<DeadLetter>, Error> {
        self.read(move |connection| dead_letters::by_id(connection, id)).await
    }

    async fn remove_dead_letter(&self, id: EventId, entry: Entry) -> Result<(), Error> {
        let entry = [entry];
        self.write(move |transaction| match dead_letters::remove(transaction, id)? {
            dead_letters::Removed::Yes => audit::append(transaction, &entry),
            dead_letters::Removed::WasNotThere => Ok(()),
        })
        .await
    }

    async fn dead_letter_counts(&self) -> Result<Vec<(Lane, u64)>, Error> {
        self.read(dead_letters::counts).await
    }

    async fn ready(&self) -> Result<(), Error> {
        Ok(self.database.writer.check().await?)
    }
}

impl From<crate::sqlite::Error> for Error {
    fn from(error: crate::sqlite::Error) -> Error {
        match error {
            crate::sqlite::Error::Full(_) => Error::Full(error.into()),
            other => Error::Unavailable(other.into()),
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => Error::Unreadable(error.to_string()),
            other => crate::sqlite::Error::from(other).into(),
        }
    }
}

fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

fn timestamp(micros: i64) -> Result<Timestamp, Error> {
    Timestamp::from_microsecond(micros).map_err(|_| Error::Unreadable(format!("{micros} is no time")))
}
