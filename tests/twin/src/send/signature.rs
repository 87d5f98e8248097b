//! Standard Webhooks signatures, version v1 (Standard Webhooks 1.0.0).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A risk alert as it goes over the wire; every part can be bent.
#[derive(Debug, Clone)]
pub struct RawAlert {
    pub id: Option<String>,
    pub timestamp: Option<String>,
    pub signature: Option<String>,
    pub content_type: Option<String>,
    pub body: String,
}

impl RawAlert {
    /// Correctly signed now, with a fresh id.
    pub fn signed(secret: &str, body: impl Into<String>) -> RawAlert {
        let now = jiff::Timestamp::now().as_second();
        RawAlert::signed_as(secret, &fresh_id(), now, body)
    }

    /// Correctly signed with this id and time (unix seconds).
    pub fn signed_as(secret: &str, id: &str, timestamp: i64, body: impl Into<String>) -> RawAlert {
        let body = body.into();
        let timestamp = timestamp.to_string();
        RawAlert {
            signature: Some(sign(secret, id, &timestamp, &body)),
            id: Some(id.to_owned()),
            timestamp: Some(timestamp),
            content_type: Some("application/json".to_owned()),
            body,
        }
    }

    pub(super) fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        [
            ("webhook-id", self.id.clone()),
            ("webhook-timestamp", self.timestamp.clone()),
            ("webhook-signature", self.signature.clone()),
            ("content-type", self.content_type.clone()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// A message id that nobody has used; it has no dot, as the specification asks.
pub fn fresh_id() -> String {
    format!("msg_{}", crate::world::word(27))
}

/// `v1,<base64 of HMAC-SHA256 over id.timestamp.body>`; the key is what stands after `whsec_`, decoded. A secret that is
/// no base64 signs with its own bytes, which no receiver accepts.
pub fn sign(secret: &str, id: &str, timestamp: &str, body: &str) -> String {
    let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
    let key = STANDARD.decode(encoded).unwrap_or_else(|_| secret.as_bytes().to_vec());
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_official_vector_holds() {
        let signature = sign(
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            "1649367553",
            r#"{"email":"test@example.com","username":"test_user"}"#,
        );
        assert_eq!(signature, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }
}
