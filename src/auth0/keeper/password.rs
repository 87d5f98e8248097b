//! A password that nobody knows, for accounts whose owner will choose one.

use secrecy::SecretString;

use crate::auth0::Error;

/// Sixty-four symbols, one for every six bits.
const SYMBOLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Has every kind of character that a password policy may ask for.
const KINDS: &str = "!x7Q";
/// Together 64 bytes: newer password options allow 72 (Auth0, password options).
const DRAWN: usize = 60;

/// Random, and acceptable to the strictest policy: every kind of character, none twice in a row, none the successor of
/// the one before. Some 350 bits are left.
///
/// # Errors
/// When the system gives no random bytes.
pub(super) fn draw(operation: &'static str) -> Result<SecretString, Error> {
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    let mut drawn = String::with_capacity(DRAWN + KINDS.len());
    let mut bytes = [0; DRAWN];
    while drawn.len() < DRAWN {
        random.fill(&mut bytes).map_err(|_| Error::NoRandom { operation })?;
        bytes.iter().for_each(|byte| add(&mut drawn, SYMBOLS[usize::from(byte & 63)]));
    }
    drawn.push_str(KINDS);
    Ok(drawn.into())
}

fn add(drawn: &mut String, symbol: u8) {
    let follows = drawn.as_bytes().last().is_some_and(|last| last.abs_diff(symbol) <= 1);
    if drawn.len() < DRAWN && !follows {
        drawn.push(char::from(symbol));
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_password_pleases_the_strictest_policy_and_is_never_the_same() {
        let (one, other) = (draw("x").unwrap(), draw("x").unwrap());
        assert_ne!(one.expose_secret(), other.expose_secret());
        for _ in 0..200 {
            let password = draw("x").unwrap();
            let bytes = password.expose_secret().as_bytes();
            assert_eq!(bytes.len(), 64);
            assert!(bytes.windows(2).all(|pair| pair[0].abs_diff(pair[1]) > 1));
            for kind in [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit] {
                assert!(bytes.iter().any(kind));
            }
            assert!(bytes.contains(&b'!'));
        }
    }
}
