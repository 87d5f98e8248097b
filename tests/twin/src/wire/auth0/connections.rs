//! Connections: listed, read, and their options written (recorded: TestAccConnectionAzureAD, TestConnectionManager_*). The
//! options come back in clear, secrets included, as recorded.

use super::super::call::{Answer, Call, Reply};
use super::errors::{error, invalid_body};
use super::page::{self, Offset, with_fields};
use super::patch;
use crate::world::{Connection, World};
use serde_json::{Map, Value, json};

pub(super) fn list(call: &Call<'_>) -> Answer {
    let all = |name: &str| -> Vec<&str> {
        call.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    };
    let (strategies, name) = (all("strategy"), call.query("name"));
    let world = call.world();
    let wanted = world.connections().filter(|connection| {
        let of_strategy = strategies.is_empty() || strategies.contains(&&*connection.strategy);
        of_strategy && name.is_none_or(|name| name == connection.name)
    });
    if let Some(checkpoint) = page::Checkpoint::of(call)? {
        let from = checkpoint.from.unwrap_or_default();
        let mut rest = wanted.filter(|connection| connection.id > from);
        let page: Vec<&Connection> = rest.by_ref().take(checkpoint.take).collect();
        let next = page.last().filter(|_| rest.next().is_some()).map(|last| page::mark(&last.id));
        let page = page.into_iter().map(|connection| with_fields(call, listed(connection))).collect();
        return Ok(page::checked("connections", page, next));
    }
    let offset = Offset::capped(call)?;
    let wanted: Vec<&Connection> = wanted.collect();
    let page = wanted.iter().skip(offset.start()).take(offset.per_page);
    let page = page.map(|connection| with_fields(call, listed(connection))).collect();
    Ok(offset.reply(call, "connections", wanted.len(), page))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let world = call.world();
    Ok(Reply::json(200, &with_fields(call, shown(call, known(&world, call.id())?))))
}

/// What the schema takes; everything but the options is taken without being kept.
const FIELDS: [&str; 10] = [
    "display_name",
    "options",
    "enabled_clients",
    "is_domain_connection",
    "show_as_button",
    "realms",
    "metadata",
    "authentication",
    "connected_accounts",
    "cross_app_access_requesting_app",
];

/// `options` replaces the old ones whole: what is left out is gone (recorded).
pub(super) fn update(call: &Call<'_>) -> Answer {
    let body = call.json_object().ok_or_else(|| invalid_body("'Expected type object'"))?;
    patch::refuse_unknown(call, &body, &FIELDS)?;
    for name in body.keys().filter(|name| !["options", "show_as_button"].contains(&name.as_str())) {
        call.complain(format!("{name} of a connection is not played"));
    }
    let mut world = call.world();
    let connection = known(&world, call.id())?;
    if let Some(options) = body.get("options") {
        let options =
            options.as_object().ok_or_else(|| invalid_body("'Expected type object' on property options"))?;
        check_options(connection, options)?;
        if let Some(connection) = world.connection_mut(call.id()) {
            connection.options = options.clone();
        }
    }
    Ok(Reply::json(200, &Value::Object(shown(call, known(&world, call.id())?))))
}

/// The texts are the API description's.
fn check_options(connection: &Connection, options: &Map<String, Value>) -> Answer {
    let root = options.get("set_user_root_attributes");
    if root.is_some() && connection.is_database() {
        return Err(error(
            400,
            "options.set_user_root_attributes can be set only for enterprise connections, social connections or custom \
             database connections (using external users store)",
            None,
        ));
    }
    const WORDS: [&str; 3] = ["on_each_login", "on_first_login", "never_on_login"];
    if root.is_some_and(|root| !root.as_str().is_some_and(|word| WORDS.contains(&word))) {
        return Err(invalid_body("'No enum match' on property options.set_user_root_attributes"));
    }
    if connection.scim.is_some() && options.get("useCommonEndpoint") == Some(&Value::Bool(true)) {
        return Err(error(
            400,
            "The Azure AD common endpoint cannot be enabled for this connection when SCIM is enabled.",
            None,
        ));
    }
    Ok(Reply::empty(200))
}

/// Recorded.
pub(super) fn known<'a>(world: &'a World, id: &str) -> Result<&'a Connection, Reply> {
    let known = world.find_connection(id);
    known.ok_or_else(|| error(404, "The connection does not exist", Some("inexistent_connection")))
}

/// One by itself shows which applications it is enabled for (recorded).
fn shown(call: &Call<'_>, connection: &Connection) -> Map<String, Value> {
    let mut shown = listed(connection);
    shown.insert("enabled_clients".into(), json!([call.state.setup.auth0_client_id]));
    shown
}

/// In a list; its schema has no applications.
fn listed(connection: &Connection) -> Map<String, Value> {
    let mut shown = json!({
        "id": connection.id,
        "options": connection.options,
        "strategy": connection.strategy,
        "name": connection.name,
        "is_domain_connection": false,
        "realms": [connection.name],
    });
    if !connection.is_database() {
        shown["show_as_button"] = true.into();
    }
    shown.as_object().cloned().unwrap_or_default()
}
