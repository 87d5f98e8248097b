//! Opens a file: private to its owner, locked where only one process may have it, with its layout brought up to date.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::{Error, Readers, Writer};

/// How long SQLite itself waits for another process that writes to the same file.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Pages each connection may keep in memory: with several connections an idle process must stay small.
const CACHE_KIB: i32 = 1024;
/// More than the store or the queue has statements, so that each is prepared once.
const STATEMENTS_KEPT: usize = 64;
/// After a checkpoint the log is cut back to this.
const LOG_BYTES_KEPT: i64 = 16 << 20;

/// How to open a file.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// Created with its directory when it is not there.
    pub file: &'a Path,
    pub sharing: Sharing,
    /// The file may not grow beyond this; its log is apart. `None`: as far as the disk goes.
    pub bytes_max: Option<u64>,
    /// Reads that may run at a time.
    pub readers: usize,
    /// SQL that makes the layout, step by step; steps are only ever added.
    pub migrations: &'a [&'a str],
}

/// Who else may have the file open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody: a second process, or a second opening in this one, is refused with [`Error::InUse`].
    OneProcess,
    /// Other processes may read and write it too.
    ManyProcesses,
}

/// An open file.
#[derive(Debug)]
pub struct Database {
    pub writer: Writer,
    pub readers: Readers,
}

impl Database {
    /// Opens the file, waiting a few seconds at most for other processes. Blocks on the disk: for the start of a process.
    pub fn open(options: &Options<'_>) -> Result<Database, Error> {
        create_private(options.file).map_err(|error| inaccessible(options.file, error))?;
        let lock = match options.sharing {
            Sharing::OneProcess => Some(lock(options.file)?),
            Sharing::ManyProcesses => None,
        };
        let mut connection = connect(options.file)?;
        if let Some(bytes_max) = options.bytes_max {
            limit(&connection, bytes_max)?;
        }
        migrate(&mut connection, options)?;
        sync_directory(options.file).map_err(|error| inaccessible(options.file, error))?;
        let readers = (0..options.readers).map(|_| connect(options.file)).collect::<Result<_, _>>()?;
        let writer = Writer::start(connection, lock).map_err(|error| inaccessible(options.file, error))?;
        Ok(Database { writer, readers: Readers::new(readers) })
    }
}

fn inaccessible(file: &Path, error: io::Error) -> Error {
    Error::Inaccessible { file: file.to_owned(), source: Arc::new(error) }
}

/// SQLite gives its log and index the mode of the file, so it is enough to create the file itself.
fn create_private(file: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory_of(file))?;
    OpenOptions::new().create(true).append(true).mode(0o600).open(file).map(drop)
}

/// A lock on a file beside the database: closing any handle of the database itself would drop SQLite's own locks
/// (SQLite, How To Corrupt An SQLite Database File, "Posix advisory locks canceled by a separate thread doing close()").
fn lock(file: &Path) -> Result<File, Error> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let handle = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&beside)
        .map_err(|error| inaccessible(&beside, error))?;
    match handle.try_lock() {
        Ok(()) => Ok(handle),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { file: file.to_owned() }),
        Err(TryLockError::Error(error)) => Err(inaccessible(&beside, error)),
    }
}

fn connect(file: &Path) -> Result<Connection, Error> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(connection)
}

fn limit(connection: &Connection, bytes_max: u64) -> Result<(), Error> {
    let page_bytes: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let pages = u32::try_from(bytes_max / u64::from(page_bytes)).unwrap_or(u32::MAX - 1).max(1);
    // SQLite answers with the limit that now holds: never less than what the file already has.
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    Ok(())
}

/// Runs the steps that the file has not seen, each in a transaction with the number that says so.
fn migrate(connection: &mut Connection, options: &Options<'_>) -> Result<(), Error> {
    let known = options.migrations.len();
    loop {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: u32 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found as usize > known {
            return Err(Error::Newer { file: options.file.to_owned(), found, known });
        }
        let Some(step) = options.migrations.get(found as usize) else { return Ok(()) };
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", found + 1)?;
        tx.commit()?;
    }
}

/// A new file's name must outlive a power cut as its contents do.
fn sync_directory(file: &Path) -> io::Result<()> {
    File::open(directory_of(file))?.sync_all()
}

fn directory_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
