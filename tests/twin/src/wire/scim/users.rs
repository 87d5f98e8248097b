//! `/scim/v2/connections/{connection_id}/Users`.

use super::super::call::{Answer, Call, Reply};
use super::errors::{error, invalid_value, no_such_user};
use super::filter::Filter;
use super::resource::{self, Row, rows, shown, unmapped};
use super::{MEDIA, operations};
use crate::world::{Account, AccountId, AccountSeed, Connection, ScimConfiguration, World, Write};
use serde_json::{Map, Value, json};

const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// Users on one page; Auth0 documents no number.
const PAGE_MAX: usize = 100;

/// 201 with the user; 409 when the identity or the `userName` is taken.
pub(crate) fn create(call: &Call<'_>) -> Answer {
    let body = body(call)?;
    let mut world = call.world();
    let (connection, configuration) = configured(call, &world)?;
    let rows = rows(&configuration);
    complain_about(call, &rows, &body);
    let resource = Value::Object(body);
    let named = |name: &str| resource[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let user_name = named("userName").ok_or_else(|| invalid_value("userName is required"))?;
    let key = named(&configuration.user_id_attribute)
        .ok_or_else(|| invalid_value(&format!("{} is required", configuration.user_id_attribute)))?;
    let taken = world.account_with_identity("waad", &key).is_some();
    if taken || has_user_name(&world, &connection, &rows, &user_name, None) {
        return Err(uniqueness());
    }
    // The identity that the first sign-in would have made, so that the one who signs in is this user.
    let seed = AccountSeed {
        user_id: format!("waad|{key}"),
        connection: connection.name.clone(),
        blocked: Some(false),
        ..AccountSeed::default()
    };
    let id = world.add_account_raw(seed);
    world.change_account(&id, |account| {
        resource::write(account, &rows, &resource);
        name_by_default(account);
    });
    world.provisioned_by_scim(&id);
    world.wrote(&id, Write::Scim);
    let answer = one(call, 201, &world, &id, &rows);
    Ok(answer.with("location", location(call, &id)))
}

pub(crate) fn get(call: &Call<'_>) -> Answer {
    let world = call.world();
    let (connection, configuration) = configured(call, &world)?;
    let id = known(call, &world, &connection)?;
    Ok(one(call, 200, &world, &id, &rows(&configuration)))
}

pub(crate) fn list(call: &Call<'_>) -> Answer {
    let world = call.world();
    let (connection, configuration) = configured(call, &world)?;
    let rows = rows(&configuration);
    let filter = match call.query("filter") {
        None => None,
        Some(text) => Some(understood(call, text, &rows)?),
    };
    let found = matching(call, &world, &connection, &rows, filter.as_ref());
    let number = |name: &str| call.query(name).and_then(|text| text.parse::<usize>().ok());
    let start = number("startIndex").unwrap_or(1).max(1);
    let count = number("count").unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let total = found.len();
    let page: Vec<Value> = found.into_iter().skip(start - 1).take(count).collect();
    Ok(scim(
        200,
        &json!({
            "schemas": [LIST],
            "totalResults": total,
            "startIndex": start,
            "itemsPerPage": page.len(),
            "Resources": page,
        }),
    ))
}

/// The whole user: what the body leaves out is taken away.
pub(crate) fn replace(call: &Call<'_>) -> Answer {
    let body = body(call)?;
    if body.get("userName").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(invalid_value("userName is required"));
    }
    let mut world = call.world();
    let (connection, configuration) = configured(call, &world)?;
    let id = known(call, &world, &connection)?;
    let rows = rows(&configuration);
    complain_about(call, &rows, &body);
    change(&mut world, &connection, &id, &rows, &Value::Object(body))?;
    Ok(one(call, 200, &world, &id, &rows))
}

/// 200 with the user. `active: false` blocks, ends the sessions and revokes the refresh tokens (Auth0, Configure Inbound
/// SCIM); `true` unblocks.
pub(crate) fn patch(call: &Call<'_>) -> Answer {
    let body = body(call)?;
    let mut world = call.world();
    let (connection, configuration) = configured(call, &world)?;
    let id = known(call, &world, &connection)?;
    let rows = rows(&configuration);
    let mut resource = shown(world.account(&id), &rows, "");
    operations::apply(call, &rows, &body, &mut resource)?;
    change(&mut world, &connection, &id, &rows, &resource)?;
    Ok(one(call, 200, &world, &id, &rows))
}

/// 204, and 404 for one that is gone.
pub(crate) fn delete(call: &Call<'_>) -> Answer {
    let mut world = call.world();
    let (connection, _) = configured(call, &world)?;
    let id = known(call, &world, &connection)?;
    world.delete_account(&id);
    world.wrote(&id, Write::Deleted);
    Ok(Reply { content_type: MEDIA, ..Reply::empty(204) })
}

fn change(
    world: &mut World,
    connection: &Connection,
    id: &AccountId,
    rows: &[Row],
    resource: &Value,
) -> Result<(), Reply> {
    if let Some(name) = resource["userName"].as_str()
        && has_user_name(world, connection, rows, name, Some(id))
    {
        return Err(uniqueness());
    }
    let was_blocked = world.account(id).blocked;
    world.change_account(id, |account| resource::write(account, rows, resource));
    if world.account(id).blocked && !was_blocked {
        world.end_sessions(id);
        world.end_refresh_tokens(id);
    }
    world.wrote(id, Write::Scim);
    Ok(())
}

/// A user without these shows his address and its local part, as every other user does.
fn name_by_default(account: &mut Account) {
    let Some(email) = account.email.clone() else {
        return;
    };
    let local = email.split('@').next().unwrap_or_default().to_owned();
    for (name, value) in [("name", email), ("nickname", local)] {
        account.root.entry(name).or_insert_with(|| value.into());
    }
}

/// The users of the connection that the filter accepts, in order. By external id there is no need to look at everybody.
fn matching(
    call: &Call<'_>,
    world: &World,
    connection: &Connection,
    rows: &[Row],
    filter: Option<&Filter>,
) -> Vec<Value> {
    let mut ids: Vec<&AccountId> = match filter.and_then(|filter| filter.only("externalId")) {
        Some(object) => world.accounts_naming(object).collect(),
        None => world.accounts().map(|account| &account.id).collect(),
    };
    ids.sort_unstable();
    let known = ids.into_iter().filter(|id| world.scim_knows(connection, id));
    let users = known.map(|id| shown(world.account(id), rows, &location(call, id)));
    users.filter(|user| filter.is_none_or(|filter| filter.accepts(user))).collect()
}

fn has_user_name(
    world: &World,
    connection: &Connection,
    rows: &[Row],
    name: &str,
    but: Option<&AccountId>,
) -> bool {
    // The search by `upn` is the one that the default mapping needs; it is compared without regard to case.
    let same = |id: &&AccountId| {
        let user = shown(world.account(id), rows, "");
        user["userName"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(name))
    };
    let named = world.accounts_with_upn(name);
    named.filter(|id| Some(*id) != but && world.scim_knows(connection, id)).any(|id| same(&id))
}

fn understood(call: &Call<'_>, text: &str, rows: &[Row]) -> Result<Filter, Reply> {
    let invalid = || error(400, Some("invalidFilter"), "The filter is not supported");
    let filter = Filter::read(text).ok_or_else(|| {
        call.complain(format!("a SCIM filter that is not understood: {text}"));
        invalid()
    })?;
    let known = |path: &super::path::Path| {
        path.attribute == "id" || rows.iter().any(|row| row.path.same_attribute(path))
    };
    let all_known = filter.paths().all(known);
    if all_known { Ok(filter) } else { Err(invalid()) }
}

fn configured(call: &Call<'_>, world: &World) -> Result<(Connection, ScimConfiguration), Reply> {
    let connection = world.find_connection(call.id());
    let found = connection.and_then(|connection| Some((connection.clone(), connection.scim.clone()?)));
    found.ok_or_else(|| error(404, None, "Not Found"))
}

fn known(call: &Call<'_>, world: &World, connection: &Connection) -> Result<AccountId, Reply> {
    let named = call.parameters.get(1).map_or("", String::as_str);
    let known = world.find_account(named).filter(|account| world.scim_knows(connection, &account.id));
    known.map(|account| account.id.clone()).ok_or_else(|| no_such_user(named))
}

fn body(call: &Call<'_>) -> Result<Map<String, Value>, Reply> {
    let kind = call.header("content-type").unwrap_or_default();
    if !kind.starts_with("application/scim+json") && !kind.starts_with("application/json") {
        call.complain(format!("SCIM bodies are application/scim+json, not {kind}"));
    }
    let object = call.json_object().filter(|object| !object.is_empty());
    object.ok_or_else(|| error(400, Some("invalidSyntax"), "The body is no JSON object"))
}

fn complain_about(call: &Call<'_>, rows: &[Row], body: &Map<String, Value>) {
    for name in unmapped(body, rows) {
        call.complain(format!("SCIM attribute {name} is mapped to nothing"));
    }
}

fn one(call: &Call<'_>, status: u16, world: &World, id: &AccountId, rows: &[Row]) -> Reply {
    scim(status, &shown(world.account(id), rows, &location(call, id)))
}

fn scim(status: u16, body: &Value) -> Reply {
    Reply { content_type: MEDIA, ..Reply::json(status, body) }
}

fn location(call: &Call<'_>, id: &str) -> String {
    let id = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
    let domain = &call.state.setup.auth0_domain;
    format!("https://{domain}/scim/v2/connections/{}/Users/{id}", call.id())
}

fn uniqueness() -> Reply {
    error(409, Some("uniqueness"), "User already exists")
}
