//! Standard Webhooks 1.0.0, symmetric: proves that a body was signed with one of our secrets within five minutes.
//!
//! [`Signed`] can only be made by [`Keys::verify`], so that what parses a risk alert cannot be handed anything else.
//! Asymmetric signatures (`v1a`) and unknown versions are skipped, never trusted.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use secrecy::SecretString;
use subtle::ConstantTimeEq;

use super::refusal::Refusal;
use crate::clock::Timestamp;
use crate::webhook::{self, Key};

/// The sender's clock and ours may differ by this much, either way.
const TOLERANCE_SECONDS: u64 = 300;
/// Longer ids are no ids. The specification's own are about thirty characters.
const ID_CHARS_MAX: usize = 256;
/// A header may hold several signatures while the sender rotates its keys; more than this are not looked at.
const SIGNATURES_MAX: usize = 8;

/// Our secrets, ready to verify with.
pub(super) struct Keys(Vec<Key>);

impl Keys {
    /// `None` without any secret. One that cannot be read matches nothing (the configuration has refused it
    /// already); the route then stays closed instead of open.
    pub(super) fn new(secrets: &[SecretString]) -> Option<Keys> {
        (!secrets.is_empty()).then(|| Keys(secrets.iter().filter_map(Key::read).collect()))
    }

    /// Every secret is tried against every signature, whatever matched before, in constant time.
    pub(super) fn verify(&self, claim: &Claim<'_>, body: Bytes) -> Result<Signed, Refusal> {
        let mut offered = [[0u8; 32]; SIGNATURES_MAX];
        let count = claim.offered(&mut offered);
        let mut matches = subtle::Choice::from(0);
        for key in &self.0 {
            let expected = key.sign(claim.id, claim.timestamp, &body);
            for signature in &offered[..count] {
                matches |= expected.as_slice().ct_eq(signature);
            }
        }
        match bool::from(matches) {
            true => Ok(Signed { body }),
            false => Err(Refusal::BadSignature),
        }
    }
}

/// A body whose sender knew one of our secrets.
pub(super) struct Signed {
    body: Bytes,
}

impl Signed {
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }
}

/// What the headers say, not yet believed.
#[derive(Debug)]
pub(super) struct Claim<'h> {
    pub(super) id: &'h str,
    pub(super) signed_at: Timestamp,
    timestamp: &'h str,
    signatures: &'h str,
}

impl<'h> Claim<'h> {
    /// Refuses what cannot be authentic before the body is read.
    pub(super) fn read(headers: &'h HeaderMap, now: Timestamp) -> Result<Claim<'h>, Refusal> {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).ok_or(Refusal::Unsigned);
        let (id, timestamp, signatures) =
            (header(webhook::ID)?, header(webhook::TIMESTAMP)?, header(webhook::SIGNATURE)?);
        // A dot in the id would let one signed content be read as two different deliveries.
        if id.is_empty() || id.len() > ID_CHARS_MAX || id.contains('.') {
            return Err(Refusal::Unsigned);
        }
        if !timestamp.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refusal::Unsigned);
        }
        let second: i64 = timestamp.parse().map_err(|_| Refusal::Unsigned)?;
        if now.as_second().abs_diff(second) > TOLERANCE_SECONDS {
            return Err(Refusal::Expired);
        }
        let signed_at = Timestamp::from_second(second).map_err(|_| Refusal::Expired)?;
        Ok(Claim { id, signed_at, timestamp, signatures })
    }

    /// The `v1` signatures of the header; how many there are.
    fn offered(&self, out: &mut [[u8; 32]; SIGNATURES_MAX]) -> usize {
        let mut count = 0;
        for part in self.signatures.split(' ') {
            let Some(encoded) = part.strip_prefix("v1,") else { continue };
            // Three bytes of room for a decoder that writes whole groups.
            let mut bytes = [0u8; 35];
            if count < SIGNATURES_MAX && STANDARD.decode_slice(encoded, &mut bytes) == Ok(32) {
                out[count].copy_from_slice(&bytes[..32]);
                count += 1;
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_cannot_be_read_opens_nothing() {
        let keys = Keys::new(&[SecretString::from("whsec_")]).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "msg_1".parse().unwrap());
        headers.insert("webhook-timestamp", "1649367553".parse().unwrap());
        headers.insert("webhook-signature", "v1,".parse().unwrap());
        let claim = Claim::read(&headers, Timestamp::from_second(1_649_367_553).unwrap()).unwrap();
        assert!(keys.verify(&claim, Bytes::new()).is_err());
        assert!(Keys::new(&[]).is_none());
    }
}
