//! Opens the store's file for reading, whether or not a server is running.

use anyhow::anyhow;

use super::exit::Failure;
use crate::config::Local;
use crate::store::Store;

/// The store of this machine, or none where no server has run.
pub fn open_if_there(local: &Local) -> Result<Option<Box<dyn Store>>, Failure> {
    let crate::store::Settings::Sqlite(settings) = &local.store;
    if settings.file.exists() { open(local).map(Some) } else { Ok(None) }
}

/// The store of this machine. One that was never written is not created: the data directory is probably another.
/// Blocks on the disk for a moment.
pub fn open(local: &Local) -> Result<Box<dyn Store>, Failure> {
    let crate::store::Settings::Sqlite(settings) = &local.store;
    if !settings.file.exists() {
        let file = settings.file.display();
        let hint =
            "no server has run here yet, or LOCKSTEP_DATA_DIR or LOCKSTEP_DATABASE_URL name another place";
        return Err(Failure::Other(anyhow!("{file} does not exist: {hint}")));
    }
    Ok(Box::new(crate::store::sqlite::Sqlite::open(settings)?))
}
