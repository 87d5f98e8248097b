//! Client certificates, as far as the token endpoint looks at them: the thumbprints that an assertion names and the key
//! that verifies it (Microsoft identity platform, Certificate credentials). Validity dates are not looked at.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// The twin's own key and certificate, behind a line that says what they are.
const CHECKED_IN: &str = include_str!("client-certificate.pem");

const SEQUENCE: u8 = 0x30;
/// Context tag 0: the version, which only version 1 certificates leave out.
const VERSION: u8 = 0xa0;

/// The twin's own key and certificate as one PEM text.
pub(crate) fn checked_in() -> &'static str {
    let start = CHECKED_IN.find("-----BEGIN").expect("the checked-in file holds PEM");
    &CHECKED_IN[start..]
}

/// A certificate that an application has registered.
pub(crate) struct Certificate {
    /// `x5t#S256`: base64url of the SHA-256 of the DER.
    pub sha256: String,
    /// `x5t`: the same with SHA-1, the older form.
    pub sha1: String,
    public_key: Vec<u8>,
}

impl Certificate {
    /// Every certificate in a PEM text; keys beside them are skipped, what is no certificate too.
    pub fn all_of(pem: &str) -> Vec<Certificate> {
        let blocks = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
        let blocks = blocks.filter_map(|rest| rest.split("-----END").next());
        let decoded =
            blocks.filter_map(|base64| STANDARD.decode(base64.split_whitespace().collect::<String>()).ok());
        decoded.filter_map(|der| Certificate::of(&der)).collect()
    }

    fn of(der: &[u8]) -> Option<Certificate> {
        Some(Certificate {
            sha256: URL_SAFE_NO_PAD.encode(digest(&SHA256, der)),
            sha1: URL_SAFE_NO_PAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, der)),
            public_key: public_key(der)?.to_vec(),
        })
    }

    /// Whether this certificate's key made the signature with the JOSE algorithm `alg`.
    pub fn verifies(&self, alg: &str, signed: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match alg {
            "PS256" => &RSA_PSS_2048_8192_SHA256,
            "RS256" => &RSA_PKCS1_2048_8192_SHA256,
            _ => return false,
        };
        UnparsedPublicKey::new(algorithm, &self.public_key).verify(signed, signature).is_ok()
    }
}

/// One DER element and what follows it.
struct Element<'a> {
    tag: u8,
    contents: &'a [u8],
    whole: &'a [u8],
    rest: &'a [u8],
}

fn element(der: &[u8]) -> Option<Element<'_>> {
    let (&tag, after_tag) = der.split_first()?;
    let (&first, after_first) = after_tag.split_first()?;
    let (length, body) = match first {
        0..=0x7f => (usize::from(first), after_first),
        0x81..=0x84 => {
            let (bytes, body) = after_first.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), body)
        }
        _ => return None,
    };
    let (contents, rest) = body.split_at_checked(length)?;
    Some(Element { tag, contents, whole: &der[..der.len() - rest.len()], rest })
}

/// The SubjectPublicKeyInfo: what stands after serial number, algorithm, issuer, validity and subject (RFC 5280, 4.1).
fn public_key(der: &[u8]) -> Option<&[u8]> {
    let certificate = element(der).filter(|outer| outer.tag == SEQUENCE)?;
    let to_be_signed = element(certificate.contents)?;
    let version = element(to_be_signed.contents)?;
    let mut rest = if version.tag == VERSION { version.rest } else { to_be_signed.contents };
    for _ in ["serialNumber", "signature", "issuer", "validity", "subject"] {
        rest = element(rest)?.rest;
    }
    Some(element(rest)?.whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_certificate_is_read_and_rubbish_is_not() {
        let read = Certificate::all_of(checked_in());
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].sha256.len(), read[0].sha1.len()), (43, 27));
        assert!(!read[0].verifies("PS256", b"signed", b"not a signature"));
        let rubbish = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";
        assert!(Certificate::all_of(rubbish).is_empty());
    }
}
