//! One SQLite file: one writer that groups waiting writes into one transaction and one fsync, and a few readers.
//!
//! A write is durable when it is answered (write-ahead log, `synchronous=FULL`). Any number of tasks may write and read
//! at once; reads see everything that was answered before. Files, their log and their index are readable by their
//! owner only. This module knows nothing of what is stored: the queue and the store bring their own SQL.

mod open;
mod readers;
#[cfg(test)]
mod tests;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{ErrorCode, ffi};

pub use open::{Database, Options, Sharing};
pub use readers::Readers;
pub use writer::{Job, Place, Urgency, Verdict, Writer, await_answer};

/// How long a caller waits for a file that is busy or a disk that hangs, before it is told [`Error::Busy`].
pub const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// Why a file could not do it. Messages hold no stored values.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("no room is left: the disk is full, or the file has reached its limit")]
    Full(#[source] Arc<rusqlite::Error>),
    #[error("the database file cannot be used")]
    Unusable(#[source] Arc<rusqlite::Error>),
    #[error("{} cannot be created or opened", file.display())]
    Inaccessible { file: PathBuf, source: Arc<std::io::Error> },
    #[error("another Lockstep process has {} open", file.display())]
    InUse { file: PathBuf },
    #[error("{} was written by a newer Lockstep: its layout is {found}, this program knows {known}", file.display())]
    Newer { file: PathBuf, found: u32, known: usize },
    #[error("the database file is busy, or its disk does not answer")]
    Busy,
    #[error("the database file is closed")]
    Closed,
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        match error.sqlite_error() {
            Some(code) if is_full(code) => Error::Full(Arc::new(error)),
            Some(code) if code.code == ErrorCode::DatabaseBusy => Error::Busy,
            _ => Error::Unusable(Arc::new(error)),
        }
    }
}

/// SQLite reports a full disk as `SQLITE_FULL`, except when it cannot grow the index of its log
/// (SQLite, Result and Error Codes, `SQLITE_IOERR_SHMSIZE`).
fn is_full(error: &ffi::Error) -> bool {
    error.code == ErrorCode::DiskFull || error.extended_code == ffi::SQLITE_IOERR_SHMSIZE
}

impl Error {
    /// As SQLite itself would say it.
    fn full() -> Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None).into()
    }

    /// With its cause in one line, for errors that carry text only.
    pub fn with_cause(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }
}
