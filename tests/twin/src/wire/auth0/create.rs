//! `POST /users`: database users only; users of an enterprise connection come from Inbound SCIM or a sign-in (Auth0, Create
//! a User; recorded refusals and answers).

use super::super::call::{Answer, Call, Reply};
use super::errors::{error, invalid_body};
use super::profile::{self, Nulls};
use super::{password, patch};
use crate::world::{AccountSeed, Connection, MailKind, World, Write, hex};
use serde_json::{Map, Value};

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

pub(super) fn create(call: &Call<'_>) -> Answer {
    let body = call.json_object().ok_or_else(|| invalid_body("'Expected type object'"))?;
    patch::refuse_unknown(call, &body, &FIELDS)?;
    profile::check(&body, Nulls::Refused)?;
    let named = body.get("connection").and_then(Value::as_str).ok_or_else(|| missing("connection"))?;
    let mut world = call.world();
    refuse_ambiguous_domain(call, &world)?;
    let connection =
        world.connection_named(named).ok_or_else(|| error(400, "Connection does not exist.", None))?;
    check_connection(connection)?;
    check_login(call, connection, &body)?;
    let seed = seed(named, &body);
    refuse_existing(&world, named, &seed)?;
    let id = world.add_account_raw(seed);
    let account = world.account(&id);
    let (email, shown) = (account.email.clone(), account.to_json());
    // A verification mail leaves unless the body says that there is no need (Auth0, Create a User).
    let is = |name: &str, value: bool| body.get(name) == Some(&Value::Bool(value));
    if let Some(email) = email.filter(|_| !is("email_verified", true) && !is("verify_email", false)) {
        world.send_mail(MailKind::Verification, &id, &email);
    }
    world.wrote(&id, Write::Created);
    let answer = Reply::json(201, &Value::Object(shown));
    patch::remark_size(&mut world, &id, &answer);
    Ok(answer)
}

/// Recorded: a tenant with several verified custom domains wants to know by which one mails speak.
pub(super) fn refuse_ambiguous_domain(call: &Call<'_>, world: &World) -> Answer {
    if !world.has_several_domains() || call.header("auth0-custom-domain").is_some() {
        return Ok(Reply::empty(200));
    }
    Err(error(409, "The tenant has multiple verified custom domains.", Some("custom_domain_conflict")))
}

fn check_connection(connection: &Connection) -> Answer {
    if connection.is_database() {
        return Ok(Reply::empty(200));
    }
    Err(error(
        400,
        "Connection does not support user creation through the API. \
         It must either be a database or passwordless connection.",
        None,
    ))
}

/// What a database demands to let somebody sign in: an address, or a name where the connection has names, and a password.
fn check_login(call: &Call<'_>, connection: &Connection, body: &Map<String, Value>) -> Answer {
    let has_names = connection.option("requires_username") == Some(&Value::Bool(true));
    match (has_names, body.contains_key("username")) {
        (true, false) => return Err(missing("username")),
        (false, true) => {
            return Err(error(400, "Cannot set username for connection without requires_username.", None));
        }
        _ => {}
    }
    if !body.contains_key("email") {
        return Err(missing("email"));
    }
    // No source has the text of this refusal; the schema alone does not ask for a password.
    let password = body.get("password").and_then(Value::as_str).ok_or_else(|| missing("password"))?;
    password::check(call, Some(connection), password)
}

fn refuse_existing(world: &World, connection: &str, seed: &AccountSeed) -> Answer {
    let local = seed.user_id.trim_start_matches("auth0|");
    let name = seed.root.get("username").and_then(Value::as_str);
    let taken = [seed.email.as_deref(), name]
        .into_iter()
        .flatten()
        .any(|login| world.is_login_taken(connection, login, None));
    // A user id that is linked into another user is no free one either.
    if taken || world.account_with_identity("auth0", local).is_some() {
        return Err(error(409, "The user already exists.", Some("auth0_idp_error")));
    }
    Ok(Reply::empty(200))
}

fn missing(name: &str) -> Reply {
    invalid_body(&format!("'Missing required property: {name}' on property {name}"))
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
    root.extend(body.get("phone_verified").map(|value| ("phone_verified".to_owned(), value.clone())));
    // Name and nickname default to the address and its local part (recorded).
    let local = email.as_deref().and_then(|email| email.split('@').next()).map(str::to_owned);
    for (name, value) in
        [("name", text("name").or_else(|| email.clone())), ("nickname", text("nickname").or(local))]
    {
        root.extend(value.map(|value| (name.to_owned(), Value::String(value))));
    }
    AccountSeed {
        user_id: format!("auth0|{}", text("user_id").filter(|id| !id.is_empty()).unwrap_or_else(|| hex(24))),
        connection: connection.to_owned(),
        email,
        email_verified: body.get("email_verified").and_then(Value::as_bool).unwrap_or(false),
        blocked: body.get("blocked").and_then(Value::as_bool),
        app_metadata: object("app_metadata").unwrap_or_default(),
        user_metadata: object("user_metadata"),
        root,
    }
}
