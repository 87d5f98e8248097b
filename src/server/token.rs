//! The token of the admin API: made at the first start, kept afterwards, readable by the owner only.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, anyhow, ensure};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

const TOKEN_BYTES: usize = 32;
const OWNER_ONLY: u32 = 0o600;

/// Whoever knows it may ask for containments and releases.
#[derive(Debug, Clone)]
pub struct AdminToken(SecretString);

impl AdminToken {
    /// Reads the token of `file`, or makes one. Rights that others have to the file are taken away.
    ///
    /// # Errors
    /// When the file cannot be read or written, or holds something else than a token.
    pub fn load_or_create(file: &Path) -> anyhow::Result<AdminToken> {
        match fs::read_to_string(file) {
            Ok(text) => kept(file, &text),
            Err(error) if error.kind() == ErrorKind::NotFound => made(file),
            Err(error) => {
                Err(error).with_context(|| format!("the admin token {} cannot be read", file.display()))
            }
        }
    }

    /// Compares in constant time.
    pub(super) fn is(&self, offered: &str) -> bool {
        self.0.expose_secret().as_bytes().ct_eq(offered.as_bytes()).into()
    }
}

fn kept(file: &Path, text: &str) -> anyhow::Result<AdminToken> {
    let token = text.trim();
    let is_token = token.len() == 2 * TOKEN_BYTES && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(is_token, "{} holds no admin token; remove it and a new one is made", file.display());
    fs::set_permissions(file, Permissions::from_mode(OWNER_ONLY))
        .with_context(|| format!("the rights of {} cannot be set", file.display()))?;
    Ok(AdminToken(token.into()))
}

fn made(file: &Path) -> anyhow::Result<AdminToken> {
    let mut bytes = [0u8; TOKEN_BYTES];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| anyhow!("the system gives no random bytes"))?;
    let token = hex::encode(bytes);
    write(file, &token).with_context(|| format!("the admin token {} cannot be written", file.display()))?;
    Ok(AdminToken(token.into()))
}

/// Written beside and moved into place, so that nobody ever reads half a token.
fn write(file: &Path, token: &str) -> std::io::Result<()> {
    let beside = file.with_extension("new");
    let _ = fs::remove_file(&beside);
    let mut out = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(&beside)?;
    writeln!(out, "{token}")?;
    out.sync_all()?;
    fs::rename(&beside, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_only_the_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("admin-token");
        let made = AdminToken::load_or_create(&file).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert!(made.is(text.trim()) && text.trim().len() == 64);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        assert!(AdminToken::load_or_create(&file).unwrap().is(text.trim()));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_holds_no_token_is_refused_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("admin-token");
        for text in ["", "secret", &"x".repeat(64)] {
            fs::write(&file, text).unwrap();
            assert!(AdminToken::load_or_create(&file).is_err(), "{text:?}");
        }
    }
}
