//! `PATCH /users/{id}` and its rules: which keys there are, which may not travel together, what enterprise users refuse,
//! how metadata merges (API description of the operation; Auth0, Manage Metadata with the Management API).

use super::super::call::{Answer, Call, Reply};
use super::errors::{error, invalid_body, no_such_user, type_of};
use crate::world::Account;
use jiff::Timestamp;
use serde_json::{Map, Value};

const FIELDS: [&str; 18] = [
    "app_metadata",
    "user_metadata",
    "blocked",
    "email",
    "email_verified",
    "verify_email",
    "phone_number",
    "phone_verified",
    "verify_phone_number",
    "password",
    "username",
    "given_name",
    "family_name",
    "name",
    "nickname",
    "picture",
    "connection",
    "client_id",
];

const BOOLEANS: [&str; 5] =
    ["blocked", "email_verified", "verify_email", "phone_verified", "verify_phone_number"];

/// Pairs that may not change at once, with the text of the refusal.
const APART: [(&str, &str); 5] = [
    ("password", "email"),
    ("password", "email_verified"),
    ("username", "email"),
    ("username", "email_verified"),
    ("username", "password"),
];

/// Profile attributes that a connection which syncs at each login keeps for itself.
const SYNCED: [&str; 5] = ["family_name", "given_name", "name", "nickname", "picture"];

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

pub(super) fn update(call: &Call<'_>) -> Answer {
    let body = call.json_object().ok_or_else(|| invalid_body("'Expected type object'"))?;
    refuse_unknown(call, &body, &FIELDS)?;
    check_types(&body)?;
    check_apart(&body)?;
    check_metadata(&body)?;
    let mut world = call.world();
    let account = world.find_account(call.id()).ok_or_else(no_such_user)?;
    if account.is_enterprise() {
        check_enterprise(&body)?;
    }
    world.change_account(call.id(), |account| apply(account, &body));
    // Changing what one signs in with ends the user's sessions (Auth0, Session Layers).
    if ["password", "email", "username", "phone_number"].iter().any(|name| body.contains_key(*name)) {
        world.end_sessions(call.id());
    }
    Ok(Reply::json(200, &Value::Object(world.account(call.id()).to_json())))
}

pub(super) fn refuse_unknown(call: &Call<'_>, body: &Map<String, Value>, known: &[&str]) -> Answer {
    match body.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(Reply::empty(200)),
        Some(name) => {
            call.complain(format!("unknown body field {name}"));
            Err(invalid_body(&format!("'Additional properties not allowed: {name}'")))
        }
    }
}

fn check_types(body: &Map<String, Value>) -> Answer {
    for (name, value) in body {
        let (wanted, fits) = match name.as_str() {
            name if BOOLEANS.contains(&name) => ("boolean", value.is_boolean()),
            "app_metadata" | "user_metadata" => ("object", value.is_object()),
            "connection" | "client_id" => ("string", value.is_string()),
            _ => ("string", value.is_string() || value.is_null()),
        };
        if !fits {
            let found = type_of(value);
            let text = format!("'Expected type {wanted} but found type {found}' on property {name}");
            return Err(invalid_body(&text));
        }
    }
    Ok(Reply::empty(200))
}

fn check_apart(body: &Map<String, Value>) -> Answer {
    match APART.iter().find(|(a, b)| body.contains_key(*a) && body.contains_key(*b)) {
        None => Ok(Reply::empty(200)),
        Some((a, b)) => {
            let text = format!("Cannot update {a} and {b} simultaneously.");
            Err(error(400, &text, Some("invalid_body")))
        }
    }
}

pub(super) fn check_metadata(body: &Map<String, Value>) -> Answer {
    for (field, forbidden) in [("app_metadata", &FORBIDDEN[..]), ("user_metadata", &[][..])] {
        let keys = body.get(field).and_then(Value::as_object).into_iter().flat_map(Map::keys);
        for key in keys {
            if key.contains(['.', '$']) || forbidden.contains(&key.as_str()) {
                let text = format!("'Invalid key {key}' on property {field}");
                return Err(invalid_body(&text));
            }
        }
    }
    Ok(Reply::empty(200))
}

/// `blocked` and metadata always; nothing that the enterprise directory owns. The connection has its default
/// `set_user_root_attributes: on_each_login`.
fn check_enterprise(body: &Map<String, Value>) -> Answer {
    let has = |name: &str| body.contains_key(name);
    if has("email") {
        return Err(error(400, "Cannot update email for non-database user.", None));
    }
    if has("email_verified") {
        return Err(error(400, "Email verification is not supported for enterprise users.", None));
    }
    if has("password") || has("username") || has("phone_number") {
        return Err(error(400, "Connection is not supported for this operation.", None));
    }
    let synced: Vec<&str> = SYNCED.into_iter().filter(|name| has(name)).collect();
    if synced.is_empty() {
        return Ok(Reply::empty(200));
    }
    let text = format!(
        "The following user attributes cannot be updated: {}. The connection must either be a database connection \
         (using the Auth0 store), a passwordless connection (email or sms) or has disabled 'Sync user profile \
         attributes at each login'.",
        synced.join(", ")
    );
    Err(error(400, &text, None))
}

fn apply(account: &mut Account, body: &Map<String, Value>) {
    for (name, value) in body {
        match name.as_str() {
            "blocked" => {
                account.blocked = value.as_bool().unwrap_or(account.blocked);
                account.blocked_shown = true;
            }
            "email" => account.email = value.as_str().map(str::to_lowercase),
            "email_verified" => account.email_verified = value.as_bool().unwrap_or(false),
            "app_metadata" => merge(&mut account.app_metadata, value),
            "user_metadata" => merge(account.user_metadata.get_or_insert_default(), value),
            // Setting a password lifts the administrator's block (Auth0, Block and Unblock Users).
            "password" => {
                account.blocked = false;
                account.last_password_reset = Some(Timestamp::now());
            }
            "verify_email" | "verify_phone_number" | "connection" | "client_id" => {}
            _ if value.is_null() => drop(account.root.remove(name)),
            _ => drop(account.root.insert(name.clone(), value.clone())),
        }
    }
}

/// Merges on the first level only: a nested object is replaced whole, null removes a key, `{}` empties everything.
fn merge(into: &mut Map<String, Value>, change: &Value) {
    let Some(change) = change.as_object() else {
        return;
    };
    if change.is_empty() {
        into.clear();
    }
    for (key, value) in change {
        if value.is_null() {
            into.remove(key);
        } else {
            into.insert(key.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn metadata_merges_on_the_first_level_only() {
        let mut data = json!({"a": {"x": 1}, "b": 2, "c": 3}).as_object().cloned().unwrap();
        merge(&mut data, &json!({"a": {"y": 1}, "b": null}));
        assert_eq!(Value::Object(data.clone()), json!({"a": {"y": 1}, "c": 3}));
        merge(&mut data, &json!({}));
        assert!(data.is_empty());
    }
}
