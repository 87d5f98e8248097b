//! `PATCH /users/{id}` and its rules: which keys there are, which may not travel together, what users of each kind of
//! connection refuse, how metadata merges (API description of the operation; Auth0, Manage Metadata with the Management
//! API; Configure Connection Sync with Auth0).

use super::super::call::{Answer, Call, Reply};
use super::errors::{error, invalid_body, no_such_user};
use super::password;
use super::profile::{self, Nulls};
use crate::world::{Account, AccountId, Connection, Identity, MailKind, World, Write};
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

/// What signs a database user in, and what the identity itself keeps.
const OF_IDENTITY: [&str; 5] = ["email", "email_verified", "username", "phone_number", "phone_verified"];

/// A profile beyond this is taken with a remark in the log (Auth0, Metadata Field Names and Data Types).
const PROFILE_BYTES_ADVISED: usize = 10 * 1_024;

type Body = Map<String, Value>;

pub(super) fn update(call: &Call<'_>) -> Answer {
    let mut body = call.json_object().ok_or_else(|| invalid_body("'Expected type object'"))?;
    refuse_unknown(call, &body, &FIELDS)?;
    profile::check(&body, Nulls::Unset)?;
    check_apart(&body)?;
    let mut world = call.world();
    let account = world.find_account(call.id()).ok_or_else(no_such_user)?;
    let at = concerned(&world, account, &body)?;
    let identity = account.identities[at].clone();
    let connection = world.connection_named(&identity.connection);
    match identity.provider.as_str() {
        "auth0" => check_database(call, &world, account, &identity, connection, &body)?,
        _ => check_federated(connection, &identity, &body)?,
    };
    if at > 0 {
        check_secondary(&body)?;
    }
    if let Some(Value::Object(app_metadata)) = body.get_mut("app_metadata") {
        *app_metadata = world.as_kept(app_metadata);
    }
    world.change_account(call.id(), |account| apply(account, at, &body));
    // Changing what one signs in with ends the user's sessions (Auth0, Session Layers).
    if ["password", "email", "username", "phone_number"].iter().any(|name| body.contains_key(*name)) {
        world.end_sessions(call.id());
    }
    let account = world.account(call.id());
    let (id, answer) = (account.id.clone(), Reply::json(200, &Value::Object(account.to_json())));
    if let (Some(email), Some(true)) =
        (text(&body, "email"), body.get("verify_email").and_then(Value::as_bool))
    {
        world.send_mail(MailKind::Verification, &id, &email.to_lowercase());
    }
    world.wrote(&id, Write::Updated);
    remark_size(&mut world, &id, &answer);
    Ok(answer)
}

pub(super) fn refuse_unknown(call: &Call<'_>, body: &Body, known: &[&str]) -> Answer {
    match body.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(Reply::empty(200)),
        Some(name) => {
            call.complain(format!("unknown body field {name}"));
            Err(invalid_body(&format!("'Additional properties not allowed: {name}'")))
        }
    }
}

/// Keeps that a profile is too big.
pub(super) fn remark_size(world: &mut World, id: &AccountId, shown: &Reply) {
    if shown.body.len() > PROFILE_BYTES_ADVISED {
        world.remark_size(id);
    }
}

fn check_apart(body: &Body) -> Answer {
    match APART.iter().find(|(a, b)| body.contains_key(*a) && body.contains_key(*b)) {
        None => Ok(Reply::empty(200)),
        Some((a, b)) => {
            let text = format!("Cannot update {a} and {b} simultaneously.");
            Err(error(400, &text, Some("invalid_body")))
        }
    }
}

/// Which identity the change is about: the primary one, unless a connection is named.
fn concerned(world: &World, account: &Account, body: &Body) -> Result<usize, Reply> {
    let Some(named) = text(body, "connection") else {
        return Ok(0);
    };
    let found = account.identities.iter().position(|identity| identity.connection == named);
    match (found, world.connection_named(named)) {
        (Some(at), _) => Ok(at),
        (None, None) => Err(error(400, "Connection does not exist.", None)),
        (None, Some(_)) => Err(unsupported()),
    }
}

/// `blocked` and metadata always; of the rest nothing but what the connection leaves alone at each login.
fn check_federated(connection: Option<&Connection>, identity: &Identity, body: &Body) -> Answer {
    let has = |name: &str| body.contains_key(name);
    if has("email") {
        return Err(error(400, "Cannot update email for non-database user.", None));
    }
    if has("email_verified") {
        return Err(error(400, "Email verification is not supported for enterprise users.", None));
    }
    if has("password") || has("username") || has("phone_number") || has("phone_verified") {
        return Err(unsupported());
    }
    if connection.is_some_and(|connection| !connection.syncs_each_login()) {
        return Ok(Reply::empty(200));
    }
    let (removed, changed) = synced(body);
    if !changed.is_empty() {
        return Err(not_updated(
            &changed,
            "The connection must either be a database connection (using the Auth0 store), a passwordless connection \
             (email or sms) or has disabled 'Sync user profile attributes at each login'.",
        ));
    }
    not_removed(
        &removed,
        &format!(
            "The connection ({}) should have disabled 'Sync user profile attributes at each login' (see <a \
             href='https://auth0.com/docs/users/configure-connection-sync-with-auth0'>Configuring Connection Sync with \
             Auth0</a>) or defined these attributes in 'options.non_persistent_attrs' array (see <a \
             href='https://auth0.com/docs/security/denylist-user-attributes'>Add User Attributes to DenyList</a>).",
            identity.connection
        ),
    )
}

fn check_database(
    call: &Call<'_>,
    world: &World,
    account: &Account,
    identity: &Identity,
    connection: Option<&Connection>,
    body: &Body,
) -> Answer {
    let (removed, _) = synced(body);
    not_removed(
        &removed,
        &format!(
            "The connection ({}) must either be a custom database connection with import mode disabled, a social or \
             enterprise connection.",
            identity.connection
        ),
    )?;
    if let Some(password) = text(body, "password") {
        password::check(call, connection, password)?;
    }
    let has_names = connection.is_none_or(|it| it.option("requires_username") == Some(&Value::Bool(true)));
    if body.contains_key("username") && !has_names {
        return Err(error(400, "Cannot set username for connection without requires_username.", None));
    }
    for (name, what) in [("email", "email"), ("username", "username")] {
        let taken = text(body, name);
        if taken.is_some_and(|login| world.is_login_taken(&identity.connection, login, Some(&account.id))) {
            // The text is that of public threads.
            let text = format!("The specified new {what} already exists");
            return Err(error(400, &text, Some("auth0_idp_error")));
        }
    }
    if ["email", "password"].iter().any(|name| body.get(*name) == Some(&Value::Null)) {
        // The schema takes null; what a database without another way in makes of it, no source says.
        call.complain("null for what one signs in with is not played");
        return Err(unsupported());
    }
    Ok(Reply::empty(200))
}

fn check_secondary(body: &Body) -> Answer {
    let (removed, changed) = synced(body);
    let all: Vec<&str> = removed.into_iter().chain(changed).collect();
    if all.is_empty() {
        return Ok(Reply::empty(200));
    }
    Err(not_updated(&all, "The specified connection belongs to a secondary identity."))
}

/// Profile attributes that the body takes away, and those that it sets.
fn synced(body: &Body) -> (Vec<&'static str>, Vec<&'static str>) {
    let named = SYNCED.into_iter().filter(|name| body.contains_key(*name));
    named.partition(|name| body[*name].is_null())
}

fn not_updated(names: &[&str], why: &str) -> Reply {
    let names = names.join(", ");
    error(400, &format!("The following user attributes cannot be updated: {names}. {why}"), None)
}

fn not_removed(names: &[&str], why: &str) -> Answer {
    if names.is_empty() {
        return Ok(Reply::empty(200));
    }
    let names = names.join(", ");
    Err(error(400, &format!("The following user attributes cannot be removed: {names}. {why}"), None))
}

fn unsupported() -> Reply {
    error(400, "Connection is not supported for this operation.", None)
}

fn apply(account: &mut Account, at: usize, body: &Body) {
    for (name, value) in body {
        match name.as_str() {
            "blocked" => {
                account.blocked = value.as_bool().unwrap_or(account.blocked);
                account.blocked_shown = true;
            }
            "app_metadata" => merge(&mut account.app_metadata, value),
            "user_metadata" => merge(account.user_metadata.get_or_insert_default(), value),
            // Setting a password lifts the administrator's block (Auth0, Block and Unblock Users).
            "password" => {
                account.blocked = false;
                account.last_password_reset = Some(Timestamp::now());
            }
            "verify_email" | "verify_phone_number" | "connection" | "client_id" => {}
            name if at > 0 && OF_IDENTITY.contains(&name) => {
                let profile = account.identities[at].profile.get_or_insert_default();
                set(profile, name, value);
            }
            "email" => {
                account.email = value.as_str().map(str::to_lowercase);
                // A new address is not verified unless the same change says so.
                account.email_verified = body.get("email_verified") == Some(&Value::Bool(true));
            }
            "email_verified" => account.email_verified = value.as_bool().unwrap_or(false),
            _ => set(&mut account.root, name, value),
        }
    }
}

fn set(object: &mut Body, name: &str, value: &Value) {
    match (name, value) {
        (_, Value::Null) => drop(object.remove(name)),
        ("email", Value::String(email)) => drop(object.insert(name.to_owned(), email.to_lowercase().into())),
        _ => drop(object.insert(name.to_owned(), value.clone())),
    }
}

/// Merges on the first level only: a nested object is replaced whole, null removes a key, `{}` empties everything.
fn merge(into: &mut Body, change: &Value) {
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

fn text<'a>(body: &'a Body, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
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
