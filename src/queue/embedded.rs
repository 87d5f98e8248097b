//! The embedded queue.

use std::path::PathBuf;

/// Where the embedded queue lives and how large it may grow.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `queue.db` in the data directory.
    pub file: PathBuf,
    /// The file may not grow beyond this; a full queue answers [`super::Error::Full`].
    pub bytes_max: u64,
}
