//! A certificate as a credential: its private key signs a short-lived statement of who asks (Microsoft identity platform,
//! Certificate credentials).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::SecretString;
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::clock::Timestamp;

/// The page recommends five to ten minutes.
const VALID_SECONDS: i64 = 300;

/// Why a file is no certificate to sign in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    NoPrivateKey,
    Encrypted,
    NotRsa,
    NoCertificate,
}

impl NoKey {
    pub fn meaning(self) -> &'static str {
        match self {
            NoKey::NoPrivateKey => "the file holds no private key in PEM",
            NoKey::Encrypted => {
                "the private key is encrypted: store it without a password, readable for us alone"
            }
            NoKey::NotRsa => "the private key is no RSA key, which Entra asks for",
            NoKey::NoCertificate => "the file holds no certificate in PEM beside its private key",
        }
    }
}

/// Whether `pem` holds an RSA private key and a certificate. Whether Entra knows them only Entra can say.
///
/// # Errors
/// What is missing.
pub fn check_certificate(pem: &str) -> Result<(), NoKey> {
    let key = SigningKey::read(pem)?;
    key.assertion("check", "check", Timestamp::UNIX_EPOCH).map(drop)
}

/// When the certificate of `pem` ends.
///
/// # Errors
/// When there is none.
pub(in crate::entra) fn certificate_expires(pem: &str) -> Result<Timestamp, NoKey> {
    let der = first_certificate(pem)?;
    let (_, read) = x509_parser::parse_x509_certificate(&der).map_err(|_| NoKey::NoCertificate)?;
    Timestamp::from_second(read.validity().not_after.timestamp()).map_err(|_| NoKey::NoCertificate)
}

fn first_certificate(pem: &str) -> Result<CertificateDer<'static>, NoKey> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| NoKey::NoCertificate)
}

/// A private key and the thumbprint by which Entra finds its certificate.
pub(super) struct SigningKey {
    key: EncodingKey,
    thumbprint: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl SigningKey {
    /// The first private key and the first certificate of `pem`, in any order. With a chain, the certificate of the key
    /// comes first by custom.
    pub(super) fn read(pem: &str) -> Result<SigningKey, NoKey> {
        let key = match block(pem, "PRIVATE KEY").or_else(|| block(pem, "RSA PRIVATE KEY")) {
            Some(key) => EncodingKey::from_rsa_pem(key.as_bytes()).map_err(|_| NoKey::NotRsa)?,
            None if block(pem, "ENCRYPTED PRIVATE KEY").is_some() => return Err(NoKey::Encrypted),
            None if block(pem, "EC PRIVATE KEY").is_some() => return Err(NoKey::NotRsa),
            None => return Err(NoKey::NoPrivateKey),
        };
        let certificate = first_certificate(pem)?;
        let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(certificate.as_ref()));
        Ok(SigningKey { key, thumbprint })
    }

    /// `audience` is the address of the tenant's token endpoint. Good for one request: `jti` is new each time.
    pub(super) fn assertion(
        &self,
        audience: &str,
        client_id: &str,
        now: Timestamp,
    ) -> Result<SecretString, NoKey> {
        let now = now.as_second();
        let claims = Claims {
            aud: audience,
            iss: client_id,
            sub: client_id,
            jti: Uuid::new_v4().to_string(),
            iat: now,
            nbf: now,
            exp: now.saturating_add(VALID_SECONDS),
        };
        let header = Header { x5t_s256: Some(self.thumbprint.clone()), ..Header::new(Algorithm::PS256) };
        jsonwebtoken::encode(&header, &claims, &self.key).map(Into::into).map_err(|_| NoKey::NotRsa)
    }
}

/// The first block of `label`, its border lines included.
fn block<'a>(pem: &'a str, label: &str) -> Option<&'a str> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let block = &pem[pem.find(&begin)?..];
    Some(&block[..block.find(&end)? + end.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(pem: &str) -> NoKey {
        SigningKey::read(pem).err().unwrap()
    }

    #[test]
    fn what_is_missing_from_a_file_is_said() {
        let wrapped = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        assert_eq!(fails(""), NoKey::NoPrivateKey);
        assert_eq!(fails(&wrapped("CERTIFICATE")), NoKey::NoPrivateKey);
        assert_eq!(fails(&wrapped("ENCRYPTED PRIVATE KEY")), NoKey::Encrypted);
        assert_eq!(fails(&wrapped("EC PRIVATE KEY")), NoKey::NotRsa);
        assert_eq!(fails(&wrapped("PRIVATE KEY")), NoKey::NotRsa);
        assert_eq!(fails("-----BEGIN PRIVATE KEY-----\nAAAA"), NoKey::NoPrivateKey);
    }
}
