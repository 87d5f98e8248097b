//! Credential files: read anew each time, within bounds of size and time.

use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::AsyncReadExt;

/// A key with a chain of certificates has a few KiB, a platform's token one or two.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// A file on a share that hangs must not hang everybody who waits for a token.
const READ_MOST: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::entra) enum Unread {
    Failed,
    Hangs,
    TooLarge,
    Empty,
}

impl Unread {
    pub(in crate::entra) fn meaning(self) -> &'static str {
        match self {
            Unread::Failed => "the file does not exist, cannot be read, or is no text",
            Unread::Hangs => "reading the file takes too long",
            Unread::TooLarge => "the file is too large to be a credential",
            Unread::Empty => "the file is empty",
        }
    }
}

pub(in crate::entra) async fn read(path: &Path) -> Result<SecretString, Unread> {
    let text = tokio::time::timeout(READ_MOST, text(path)).await.map_err(|_| Unread::Hangs)??;
    if text.trim().is_empty() { Err(Unread::Empty) } else { Ok(text.into()) }
}

async fn text(path: &Path) -> Result<String, Unread> {
    let file = tokio::fs::File::open(path).await.map_err(|_| Unread::Failed)?;
    let mut text = String::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).await.map_err(|_| Unread::Failed)?;
    if read as u64 > FILE_BYTES_MAX { Err(Unread::TooLarge) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[tokio::test]
    async fn a_file_is_read_or_it_is_said_why_not() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("token");
        assert_eq!(read(&path).await.unwrap_err(), Unread::Failed);
        std::fs::write(&path, " \n").unwrap();
        assert_eq!(read(&path).await.unwrap_err(), Unread::Empty);
        std::fs::write(&path, "x".repeat(FILE_BYTES_MAX as usize + 1)).unwrap();
        assert_eq!(read(&path).await.unwrap_err(), Unread::TooLarge);
        std::fs::write(&path, "eyJ.a.b\n").unwrap();
        assert_eq!(read(&path).await.unwrap().expose_secret(), "eyJ.a.b\n");
    }
}
