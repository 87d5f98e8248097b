//! Standard Webhooks 1.0.0, symmetric: the key of a `whsec_` secret and what it signs. What comes in is verified with it,
//! what goes out is signed with it.
//!
//! Signed is `id.timestamp.body`; `v1` is HMAC-SHA256 in base64 (Standard Webhooks, specification: signature scheme).
//! Whoever signs chooses an id without a dot.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

pub const ID: &str = "webhook-id";
pub const TIMESTAMP: &str = "webhook-timestamp";
pub const SIGNATURE: &str = "webhook-signature";

/// A secret, ready to sign with: the key schedule is computed once, not per request.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// `None` for what is no base64 of at least one byte.
    pub fn read(secret: &SecretString) -> Option<Key> {
        let text = secret.expose_secret();
        let bytes = STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok()?;
        if bytes.is_empty() { None } else { Hmac::new_from_slice(&bytes).ok().map(Key) }
    }

    pub fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(id.as_bytes());
        mac.update(b".");
        mac.update(timestamp.as_bytes());
        mac.update(b".");
        mac.update(body);
        mac.finalize().into_bytes().into()
    }

    /// The value of the header `webhook-signature`.
    pub fn signature(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        format!("v1,{}", STANDARD.encode(self.sign(id, timestamp, body)))
    }
}

/// The key is a secret.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the specification's own libraries (standard-webhooks: libraries/rust/src/lib.rs).
    #[test]
    fn the_signature_is_that_of_the_specification() {
        let key = Key::read(&SecretString::from("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")).unwrap();
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        assert_eq!(
            key.signature("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", "1649367553", body),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
    }

    #[test]
    fn what_is_no_secret_is_no_key() {
        for bad in ["whsec_", "", "whsec_not base64!"] {
            assert!(Key::read(&SecretString::from(bad)).is_none(), "{bad}");
        }
    }
}
