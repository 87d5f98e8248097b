//! Password rules of a database connection (API description, connection options `passwordPolicy` and
//! `password_complexity_options`). The texts of the refusals are those of public threads; no recording has one.

use super::super::call::{Answer, Call, Reply};
use super::errors::error;
use crate::world::Connection;
use serde_json::Value;

/// Longest password: bcrypt reads no further, and the newer password options refuse more.
const BYTES_MAX: usize = 72;

/// Whether the connection takes this password. A connection that the tenant does not know has no rules.
pub(super) fn check(call: &Call<'_>, connection: Option<&Connection>, password: &str) -> Answer {
    if password.len() > BYTES_MAX {
        return Err(weak("PasswordStrengthError: Password is too long"));
    }
    let Some(connection) = connection else {
        return Ok(Reply::empty(200));
    };
    for option in ["password_dictionary", "password_no_personal_info", "password_history", "password_options"]
    {
        if connection
            .option(option)
            .is_some_and(|option| option["enable"] == true || option["active"] == true)
        {
            call.complain(format!("{option} is not played"));
        }
    }
    let policy = connection.option("passwordPolicy").and_then(Value::as_str).unwrap_or("none");
    let complexity = connection.option("password_complexity_options");
    let own = complexity.and_then(|options| options["min_length"].as_u64());
    let (least, classes) = rules(policy);
    let long_enough = password.chars().count() >= own.map_or(least, |own| own as usize);
    if long_enough && strong_enough(password, classes) {
        return Ok(Reply::empty(200));
    }
    Err(weak("PasswordStrengthError: Password is too weak"))
}

/// Characters at least, and which classes of them are asked for (Auth0, Password Strength in Auth0 Database Connections).
fn rules(policy: &str) -> (usize, Classes) {
    match policy {
        "low" => (6, Classes::Any),
        "fair" => (8, Classes::LowerUpperDigit),
        "good" => (8, Classes::ThreeOfFour),
        "excellent" => (10, Classes::ThreeOfFourUnrepeated),
        _ => (1, Classes::Any),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Classes {
    Any,
    LowerUpperDigit,
    ThreeOfFour,
    /// And no character more than twice in a row.
    ThreeOfFourUnrepeated,
}

fn strong_enough(password: &str, classes: Classes) -> bool {
    let has = |of: fn(&char) -> bool| password.chars().any(|c| of(&c));
    let (lower, upper) = (has(char::is_ascii_lowercase), has(char::is_ascii_uppercase));
    let (digit, special) = (has(char::is_ascii_digit), has(|c| c.is_ascii_punctuation() || *c == ' '));
    let three = [lower, upper, digit, special].into_iter().filter(|has| *has).count() >= 3;
    let characters: Vec<char> = password.chars().collect();
    match classes {
        Classes::Any => true,
        Classes::LowerUpperDigit => lower && upper && digit,
        Classes::ThreeOfFour => three,
        Classes::ThreeOfFourUnrepeated => {
            three && !characters.windows(3).any(|w| w[0] == w[1] && w[1] == w[2])
        }
    }
}

fn weak(text: &str) -> Reply {
    error(400, text, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_passwords_have_three_of_four_classes() {
        for good in ["I have a password and its a secret", "long-enough-1", "Abcdef12"] {
            assert!(strong_enough(good, Classes::ThreeOfFour), "{good}");
        }
        assert!(!strong_enough("correct horse", Classes::ThreeOfFour));
        assert!(!strong_enough("Aaaa-bbbb", Classes::ThreeOfFourUnrepeated));
        assert!(!strong_enough("password1", Classes::LowerUpperDigit));
    }
}
