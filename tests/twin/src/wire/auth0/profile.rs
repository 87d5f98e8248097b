//! What the fields of a user may hold, at creation and later (schemas of the API description; Auth0, Metadata Field Names
//! and Data Types).

use super::super::call::{Answer, Reply};
use super::errors::{invalid_body, type_of};
use serde_json::{Map, Value};

const BOOLEANS: [&str; 5] =
    ["blocked", "email_verified", "verify_email", "phone_verified", "verify_phone_number"];

/// Characters that a text may have, at least and at most.
const LENGTHS: [(&str, usize, usize); 9] = [
    ("given_name", 1, 150),
    ("family_name", 1, 150),
    ("name", 1, 300),
    ("nickname", 1, 300),
    ("username", 1, 128),
    ("user_id", 0, 255),
    ("connection", 1, usize::MAX),
    ("client_id", 1, usize::MAX),
    ("password", 1, usize::MAX),
];

/// First-level keys that `app_metadata` may not have (Auth0, Metadata Field Names and Data Types).
const FORBIDDEN: [&str; 18] = [
    "__tenant",
    "_id",
    "blocked",
    "clientID",
    "created_at",
    "email_verified",
    "email",
    "globalClientID",
    "global_client_id",
    "identities",
    "lastIP",
    "lastLogin",
    "loginsCount",
    "metadata",
    "multifactor_last_modified",
    "multifactor",
    "updated_at",
    "user_id",
];

/// Whether null stands for "no longer": in a change it does, at creation it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    Unset,
    Refused,
}

pub(super) fn check(body: &Map<String, Value>, nulls: Nulls) -> Answer {
    for (name, value) in body {
        check_type(name, value, nulls)?;
        if let Value::String(text) = value {
            check_text(name, text)?;
        }
    }
    check_metadata(body)
}

fn check_type(name: &str, value: &Value, nulls: Nulls) -> Answer {
    let (wanted, fits) = match name {
        name if BOOLEANS.contains(&name) => ("boolean", value.is_boolean()),
        "app_metadata" | "user_metadata" => ("object", value.is_object()),
        "connection" | "client_id" => ("string", value.is_string()),
        _ => ("string", value.is_string() || (value.is_null() && nulls == Nulls::Unset)),
    };
    if fits {
        return Ok(Reply::empty(200));
    }
    let found = type_of(value);
    Err(invalid_body(&format!("'Expected type {wanted} but found type {found}' on property {name}")))
}

fn check_text(name: &str, text: &str) -> Answer {
    let count = text.chars().count();
    if let Some((_, least, most)) = LENGTHS.iter().find(|(known, ..)| *known == name) {
        if count < *least {
            let text = format!("'String is too short ({count} chars), minimum {least}' on property {name}");
            return Err(invalid_body(&text));
        }
        if count > *most {
            let text = format!("'String is too long ({count} chars), maximum {most}' on property {name}");
            return Err(invalid_body(&text));
        }
    }
    let format = match name {
        "email" if !is_email(text) => "email",
        "picture" if !text.starts_with("http://") && !text.starts_with("https://") => "strict-uri",
        "phone_number" if !is_phone_number(text) => "phone_number",
        "user_id" if text.contains(char::is_whitespace) => "user_id",
        _ => return Ok(Reply::empty(200)),
    };
    Err(invalid_body(&format!(
        "'Object didn't pass validation for format {format}: {text}' on property {name}"
    )))
}

fn is_email(text: &str) -> bool {
    let parts = text.rsplit_once('@');
    parts.is_some_and(|(local, domain)| {
        !local.is_empty() && domain.contains('.') && !text.contains(char::is_whitespace)
    })
}

/// `^\+[0-9]{1,15}$`.
fn is_phone_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn check_metadata(body: &Map<String, Value>) -> Answer {
    for (field, forbidden) in [("app_metadata", &FORBIDDEN[..]), ("user_metadata", &[][..])] {
        let Some(metadata) = body.get(field) else {
            continue;
        };
        let first = metadata.as_object().into_iter().flat_map(Map::keys);
        let named = first.map(String::as_str).find(|key| forbidden.contains(key));
        if let Some(key) = named.or_else(|| unkeyable(metadata)) {
            let text = format!("'Invalid key {key}' on property {field}");
            return Err(invalid_body(&text));
        }
    }
    Ok(Reply::empty(200))
}

/// A key, at any depth, that holds a dot or a dollar sign.
fn unkeyable(value: &Value) -> Option<&str> {
    match value {
        Value::Object(object) => object.iter().find_map(|(key, value)| match key.contains(['.', '$']) {
            true => Some(key.as_str()),
            false => unkeyable(value),
        }),
        Value::Array(items) => items.iter().find_map(unkeyable),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn accepts(body: Value, nulls: Nulls) -> bool {
        check(body.as_object().expect("an object"), nulls).is_ok()
    }

    #[test]
    fn texts_have_their_lengths_and_forms() {
        let long = |count: usize| "ü".repeat(count);
        assert!(accepts(json!({"name": long(300), "given_name": long(150)}), Nulls::Refused));
        for refused in [
            json!({"name": ""}),
            json!({"name": long(301)}),
            json!({"family_name": long(151)}),
            json!({"email": "adele"}),
            json!({"phone_number": "+1 555"}),
            json!({"picture": "adele.png"}),
            json!({"blocked": "true"}),
            json!({"app_metadata": null}),
        ] {
            assert!(!accepts(refused.clone(), Nulls::Unset), "{refused}");
        }
        assert!(accepts(json!({"name": null}), Nulls::Unset));
        assert!(!accepts(json!({"name": null}), Nulls::Refused));
    }

    #[test]
    fn metadata_has_no_forbidden_keys() {
        for refused in [
            json!({"app_metadata": {"blocked": true}}),
            json!({"app_metadata": {"a.b": 1}}),
            json!({"user_metadata": {"deep": [{"$er": 1}]}}),
        ] {
            assert!(!accepts(refused.clone(), Nulls::Unset), "{refused}");
        }
        assert!(accepts(
            json!({"user_metadata": {"blocked": true}, "app_metadata": {"a": {"email": 1}}}),
            Nulls::Unset
        ));
    }
}
