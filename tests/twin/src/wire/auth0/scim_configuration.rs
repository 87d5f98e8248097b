//! Inbound SCIM of a connection: its mapping and its tokens (recorded: TestAccSCIMConfiguration, TestAccSCIMToken,
//! TestConnectionManager_*SCIM*).

use super::super::call::{Answer, Call, Reply};
use super::connections::known;
use super::errors::{error, invalid_body};
use super::{page, patch};
use crate::world::{
    Connection, SCIM_TOKENS_MAX, SCIM_USER_SCOPES, ScimConfiguration, ScimToken, World, stamp,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Seconds that a token lives at least (schema of `token_lifetime`).
const LIFETIME_MIN: u64 = 900;

pub(super) fn create(call: &Call<'_>) -> Answer {
    let body = call.json_object().ok_or_else(|| invalid_body("'Expected type object'"))?;
    let mut world = call.world();
    let connection = known(&world, call.id())?;
    if !connection.supports_scim() {
        return Err(error(
            404,
            "This connection type does not support SCIM. Please see our documentation for the currently supported \
             connection types: https://auth0.com/docs/authenticate/protocols/scim/configure-inbound-scim.",
            None,
        ));
    }
    if connection.scim.is_some() {
        // The spelling is the API description's.
        return Err(error(400, "SCIM configuration alreay exists for connection", None));
    }
    if connection.option("useCommonEndpoint") == Some(&Value::Bool(true)) {
        let text = "SCIM cannot be enabled for this connection when the Azure AD common endpoint is used.";
        return Err(error(400, text, None));
    }
    let mut configuration = ScimConfiguration::of_waad(Timestamp::now());
    apply(call, &mut configuration, &body)?;
    keep(&mut world, call.id(), configuration);
    Ok(Reply::json(201, &shown(call, known(&world, call.id())?)?))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let world = call.world();
    Ok(Reply::json(200, &shown(call, known(&world, call.id())?)?))
}

/// Both fields, always (schema).
pub(super) fn update(call: &Call<'_>) -> Answer {
    let body = call.json_object().ok_or_else(|| invalid_body("'Expected type object'"))?;
    for name in ["user_id_attribute", "mapping"].iter().filter(|name| !body.contains_key(**name)) {
        return Err(invalid_body(&format!("'Missing required property: {name}' on property {name}")));
    }
    let mut world = call.world();
    let mut configuration = known(&world, call.id())?.scim.clone().ok_or_else(not_found)?;
    apply(call, &mut configuration, &body)?;
    configuration.updated = Timestamp::now();
    keep(&mut world, call.id(), configuration);
    Ok(Reply::json(200, &shown(call, known(&world, call.id())?)?))
}

/// 204 also when there is none (recorded twice in a row).
pub(super) fn delete(call: &Call<'_>) -> Answer {
    let mut world = call.world();
    known(&world, call.id())?;
    world.delete_scim(call.id());
    Ok(Reply::empty(204))
}

pub(super) fn default_mapping(call: &Call<'_>) -> Answer {
    let world = call.world();
    if !known(&world, call.id())?.supports_scim() {
        return Err(not_found());
    }
    Ok(Reply::json(200, &json!({ "mapping": mapping(&ScimConfiguration::of_waad(Timestamp::now())) })))
}

/// `GET /connections-scim-configurations`.
pub(super) fn list(call: &Call<'_>) -> Answer {
    let world = call.world();
    let configured = world.connections().filter(|connection| connection.scim.is_some());
    let all = configured.map(|connection| Ok((connection.id.clone(), shown(call, connection)?)));
    page::checkpoint(call, "scim_configurations", all.collect::<Result<_, Reply>>()?)
}

pub(super) fn list_tokens(call: &Call<'_>) -> Answer {
    let world = call.world();
    known(&world, call.id())?;
    Ok(Reply::json(200, &world.scim_tokens(call.id()).map(token_json).collect()))
}

/// 201; only this answer shows the token itself.
pub(super) fn create_token(call: &Call<'_>) -> Answer {
    let body = call.json_object().ok_or_else(|| invalid_body("'Expected type object'"))?;
    patch::refuse_unknown(call, &body, &["scopes", "token_lifetime"])?;
    let scopes = scopes(body.get("scopes"))?;
    let lifetime = match body.get("token_lifetime") {
        None | Some(Value::Null) => None,
        Some(value) => Some(value.as_u64().filter(|seconds| *seconds >= LIFETIME_MIN).ok_or_else(|| {
            invalid_body(&format!("'Value is less than minimum {LIFETIME_MIN}' on property token_lifetime"))
        })?),
    };
    let mut world = call.world();
    known(&world, call.id())?.scim.as_ref().ok_or_else(not_found)?;
    if world.scim_tokens(call.id()).count() >= SCIM_TOKENS_MAX {
        return Err(error(409, "Maximum of 2 tokens already issued for this connection", None));
    }
    let made = world.issue_scim_token(call.id(), scopes, lifetime);
    let mut answer = token_json(&made);
    answer["token"] = made.token.into();
    Ok(Reply::json(201, &answer))
}

pub(super) fn delete_token(call: &Call<'_>) -> Answer {
    let mut world = call.world();
    known(&world, call.id())?;
    world.delete_scim_token(call.parameters.get(1).map_or("", String::as_str));
    Ok(Reply::empty(204))
}

fn scopes(asked: Option<&Value>) -> Result<BTreeSet<String>, Reply> {
    let Some(asked) = asked else {
        return Ok(SCIM_USER_SCOPES.into_iter().map(str::to_owned).collect());
    };
    let words = asked.as_array().filter(|words| !words.is_empty());
    let known = |word: &Value| {
        let word = word.as_str()?;
        let group = word.replace(":groups", ":users");
        SCIM_USER_SCOPES.contains(&&*group).then(|| word.to_owned())
    };
    let scopes = words.and_then(|words| words.iter().map(known).collect::<Option<BTreeSet<String>>>());
    scopes.ok_or_else(|| invalid_body("'No enum match' on property scopes"))
}

fn apply(call: &Call<'_>, configuration: &mut ScimConfiguration, body: &Map<String, Value>) -> Answer {
    patch::refuse_unknown(call, body, &["user_id_attribute", "mapping"])?;
    if let Some(attribute) = body.get("user_id_attribute") {
        let text = attribute.as_str();
        let text =
            text.ok_or_else(|| invalid_body("'Expected type string' on property user_id_attribute"))?;
        configuration.user_id_attribute = text.to_owned();
    }
    if let Some(rows) = body.get("mapping") {
        let pair = |row: &Value| Some((row["scim"].as_str()?.to_owned(), row["auth0"].as_str()?.to_owned()));
        let read = rows.as_array().and_then(|rows| rows.iter().map(pair).collect::<Option<_>>());
        configuration.mapping = read.ok_or_else(|| error(400, "Invalid mapping provided", None))?;
    }
    Ok(Reply::empty(200))
}

fn keep(world: &mut World, connection: &str, configuration: ScimConfiguration) {
    if let Some(connection) = world.connection_mut(connection) {
        connection.scim = Some(configuration);
    }
}

fn mapping(configuration: &ScimConfiguration) -> Value {
    configuration.mapping.iter().map(|(scim, auth0)| json!({ "scim": scim, "auth0": auth0 })).collect()
}

fn shown(call: &Call<'_>, connection: &Connection) -> Result<Value, Reply> {
    let configuration = connection.scim.as_ref().ok_or_else(not_found)?;
    Ok(json!({
        "tenant_name": call.state.setup.auth0_domain.split('.').next(),
        "connection_id": connection.id,
        "connection_name": connection.name,
        "strategy": connection.strategy,
        "mapping": mapping(configuration),
        "updated_on": stamp(configuration.updated),
        "created_at": stamp(configuration.created),
        "user_id_attribute": configuration.user_id_attribute,
    }))
}

fn token_json(token: &ScimToken) -> Value {
    let mut shown = json!({
        "token_id": token.id,
        "scopes": token.scopes,
        "created_at": stamp(token.created),
    });
    for (name, time) in [("valid_until", token.valid_until), ("last_used_at", token.last_used)] {
        if let Some(time) = time {
            shown[name] = stamp(time).into();
        }
    }
    shown
}

/// Recorded for a connection without SCIM.
fn not_found() -> Reply {
    error(404, "Not Found", None)
}
