//! A user as SCIM shows it, and back, through the connection's mapping.

use super::path::{ENTERPRISE, Path};
use crate::world::{Account, ScimConfiguration, stamp};
use serde_json::{Map, Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// A row of the mapping that the twin can follow.
pub(super) struct Row {
    pub path: Path,
    auth0: String,
}

/// The rows of a mapping; one that points nowhere is left out.
pub(super) fn rows(configuration: &ScimConfiguration) -> Vec<Row> {
    let rows = configuration.mapping.iter();
    rows.filter_map(|(scim, auth0)| Some(Row { path: Path::read(scim)?, auth0: auth0.clone() })).collect()
}

/// The resource: its id is the `user_id` (Auth0, Configure Inbound SCIM).
pub(super) fn shown(account: &Account, rows: &[Row], location: &str) -> Value {
    let mut shown = json!({ "id": &*account.id });
    for row in rows {
        if let Some(value) = held(account, &row.auth0) {
            row.path.set(&mut shown, value);
        }
    }
    let extended = shown.get(ENTERPRISE).is_some();
    let schemas: Vec<&str> = [USER].into_iter().chain(extended.then_some(ENTERPRISE)).collect();
    shown["schemas"] = schemas.into();
    shown["meta"] = json!({
        "resourceType": "User",
        "created": stamp(account.created),
        "lastModified": stamp(account.updated),
        "location": location,
    });
    shown
}

fn held(account: &Account, auth0: &str) -> Option<Value> {
    let root = &account.root;
    match auth0 {
        // The mapping reads `active` and writes `blocked`: one is the other's opposite.
        "blocked" => Some(Value::Bool(!account.blocked)),
        "email" => account.email.clone().map(Value::String),
        "email_verified" => Some(account.email_verified.into()),
        _ => match auth0.split_once('.') {
            Some(("app_metadata", key)) => account.app_metadata.get(key).cloned(),
            Some(("user_metadata", key)) => account.user_metadata.as_ref()?.get(key).cloned(),
            _ => root.get(auth0).cloned(),
        },
    }
    .filter(|value| !value.is_null())
}

/// Writes what the resource says about the mapped attributes into the account; what it does not say is taken away (RFC
/// 7644, section 3.5.1), except whether the user is blocked.
pub(super) fn write(account: &mut Account, rows: &[Row], resource: &Value) {
    for row in rows {
        let value = row.path.get(resource).cloned();
        if held(account, &row.auth0) != value {
            keep(account, &row.auth0, value);
        }
    }
}

fn keep(account: &mut Account, auth0: &str, value: Option<Value>) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match auth0 {
        "blocked" => {
            // Entra is known to send the word instead of the value.
            let active = match &value {
                Some(Value::Bool(active)) => Some(*active),
                Some(Value::String(word)) => word.to_lowercase().parse().ok(),
                _ => None,
            };
            if let Some(active) = active {
                account.blocked = !active;
                account.blocked_shown = true;
            }
        }
        "email" => account.email = value.as_ref().and_then(text),
        "email_verified" => account.email_verified = value == Some(Value::Bool(true)),
        _ => match auth0.split_once('.') {
            Some(("app_metadata", key)) => put(&mut account.app_metadata, key, value),
            Some(("user_metadata", key)) => put(account.user_metadata.get_or_insert_default(), key, value),
            _ => put(&mut account.root, auth0, value),
        },
    }
}

fn put(object: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    match value {
        Some(value) => object.insert(key.to_owned(), value),
        None => object.remove(key),
    };
}

/// Attributes of every resource that no mapping names (RFC 7643, section 3.1); the password is taken and ignored (Auth0,
/// Configure Inbound SCIM).
const COMMON: [&str; 5] = ["schemas", "id", "meta", "password", "groups"];

/// Top-level attributes of a body that no row of the mapping takes: Auth0 drops them without a word.
pub(super) fn unmapped(body: &Map<String, Value>, rows: &[Row]) -> Vec<String> {
    let mapped = |path: &Path| rows.iter().any(|row| row.path.same_attribute(path));
    let mut unmapped = Vec::new();
    for (name, value) in body {
        if name == ENTERPRISE {
            let inner = value.as_object().into_iter().flat_map(Map::keys);
            let paths = inner.map(|inner| format!("{ENTERPRISE}:{inner}"));
            unmapped.extend(paths.filter(|path| !Path::read(path).is_some_and(|path| mapped(&path))));
        } else if !COMMON.iter().any(|common| common.eq_ignore_ascii_case(name))
            && !Path::read(name).is_some_and(|path| mapped(&path))
        {
            unmapped.push(name.clone());
        }
    }
    unmapped
}
