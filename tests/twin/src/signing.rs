//! Entra's signing key: tokens of secure webhooks are signed with it, and the key set of the login host shows its public
//! half (Microsoft identity platform, Signing key rollover). It is the same in every twin and checked in, because making
//! one takes an unoptimised build many seconds; it protects nothing.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// PKCS #8 in PEM, behind a line that says what it is.
const PEM: &str = include_str!("signing-key.pem");

/// The key's name in the key set and in token headers.
const KID: &str = "twin-entra-signing-key-2026";

pub(crate) struct SigningKey {
    pair: RsaKeyPair,
}

impl SigningKey {
    /// The key that is checked in.
    pub fn checked_in() -> SigningKey {
        let lines = PEM.lines().skip_while(|line| !line.starts_with("-----BEGIN"));
        let base64: String = lines.filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(base64).expect("the checked-in key is PEM");
        let pair = RsaKeyPair::from_pkcs8(&der).expect("the checked-in key is an RSA key");
        SigningKey { pair }
    }

    /// The public half as the key set shows it.
    pub fn public(&self, tenant: &str) -> Value {
        let public = self.pair.public_key();
        json!({
            "kty": "RSA",
            "use": "sig",
            "kid": KID,
            "x5t": KID,
            "n": encoded(public.modulus().big_endian_without_leading_zero()),
            "e": encoded(public.exponent().big_endian_without_leading_zero()),
            "cloud_instance_name": "microsoftonline.com",
            "issuer": format!("https://login.microsoftonline.com/{tenant}/v2.0"),
        })
    }

    /// Whether this key made the signature (RS256).
    pub fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.pair.public_key().as_ref())
            .verify(signed, signature)
            .is_ok()
    }

    /// The claims as a signed token.
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({ "typ": "JWT", "alg": "RS256", "x5t": KID, "kid": KID });
        let signed = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .expect("the signature has the length of the modulus");
        format!("{signed}.{}", encoded(signature))
    }
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
