//! `GET`, `POST` and `DELETE` of users. `GET /users/{id}` is immediate, unlike the search.

use super::super::call::{Answer, Call, Reply};
use super::errors::{error, invalid_body, no_such_user};
use super::page::with_fields;
use super::patch;
use crate::world::{AccountSeed, hex};
use serde_json::{Map, Value};

pub(super) fn get(call: &Call<'_>) -> Answer {
    let world = call.world();
    let account = world.find_account(call.id()).ok_or_else(no_such_user)?;
    Ok(Reply::json(200, &with_fields(call, account.to_json())))
}

/// 204 also when the user is gone already (recorded twice in a row).
pub(super) fn delete(call: &Call<'_>) -> Answer {
    call.world().delete_account(call.id());
    Ok(Reply::empty(204))
}

const FIELDS: [&str; 17] = [
    "email",
    "phone_number",
    "user_metadata",
    "blocked",
    "email_verified",
    "phone_verified",
    "app_metadata",
    "given_name",
    "family_name",
    "name",
    "nickname",
    "picture",
    "user_id",
    "connection",
    "password",
    "verify_email",
    "username",
];

/// Database users only; users of an enterprise connection come from Inbound SCIM or a sign-in (Auth0, Create a User;
/// recorded refusal).
pub(super) fn create(call: &Call<'_>) -> Answer {
    let body = call.json_object().ok_or_else(|| invalid_body("'Expected type object'"))?;
    patch::refuse_unknown(call, &body, &FIELDS)?;
    patch::check_metadata(&body)?;
    let Some(connection) = body.get("connection").and_then(Value::as_str) else {
        let text = "'Missing required property: connection' on property connection";
        return Err(invalid_body(text));
    };
    if connection == call.state.setup.auth0_connection {
        return Err(error(
            400,
            "Connection does not support user creation through the API. \
             It must either be a database or passwordless connection.",
            None,
        ));
    }
    let seed = seed(connection, &body);
    let mut world = call.world();
    let same_email = seed.email.as_deref().map(|email| world.accounts_with_email(email)).unwrap_or_default();
    let taken = world.find_account(&seed.user_id).is_some()
        || same_email.iter().any(|id| !world.account(id).is_enterprise());
    if taken {
        return Err(error(409, "The user already exists.", Some("auth0_idp_error")));
    }
    let id = world.add_account_raw(seed);
    Ok(Reply::json(201, &Value::Object(world.account(&id).to_json())))
}

fn seed(connection: &str, body: &Map<String, Value>) -> AccountSeed {
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let object = |name: &str| body.get(name).and_then(Value::as_object).cloned();
    // E-mail addresses of database users are stored in lower case (Auth0, Get Users by Email).
    let email = text("email").map(|email| email.to_lowercase());
    let mut root = Map::new();
    for name in ["username", "given_name", "family_name", "picture", "phone_number"] {
        root.extend(text(name).map(|value| (name.to_owned(), Value::String(value))));
    }
    // Name and nickname default to the address and its local part (recorded).
    let local = email.as_deref().and_then(|email| email.split('@').next()).map(str::to_owned);
    for (name, value) in
        [("name", text("name").or_else(|| email.clone())), ("nickname", text("nickname").or(local))]
    {
        root.extend(value.map(|value| (name.to_owned(), Value::String(value))));
    }
    AccountSeed {
        user_id: format!("auth0|{}", text("user_id").unwrap_or_else(|| hex(24))),
        connection: connection.to_owned(),
        email,
        email_verified: body.get("email_verified").and_then(Value::as_bool).unwrap_or(false),
        blocked: body.get("blocked").and_then(Value::as_bool),
        app_metadata: object("app_metadata").unwrap_or_default(),
        user_metadata: object("user_metadata"),
        root,
    }
}
