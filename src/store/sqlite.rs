//! The store on SQLite.

use std::path::PathBuf;

/// Where the store lives.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `lockstep.db` in the data directory.
    pub file: PathBuf,
}
