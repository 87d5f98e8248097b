//! Verbs about the Auth0 tenant: roles, organizations, what the client may do.

use super::verbs::{Arguments, account, text};
use super::{Outcome, Wrong};
use crate::Twin;
use crate::world::{Role, World};
use serde_json::{Value, json};

/// Every verb with its arguments.
pub(super) fn describe(all: &mut Value) {
    for (name, arguments) in [
        ("create-role", json!({ "name": "Reader" })),
        ("recreate-role", json!({ "role": "id or name" })),
        ("delete-role", json!({ "role": "id or name" })),
        ("grant-role", json!({ "account": "user_id", "role": "id or name" })),
        ("revoke-role", json!({ "account": "user_id", "role": "id or name" })),
        ("create-organization", json!({ "name": "acme" })),
        ("enable-connection", json!({ "organization": "id or name", "connection": "name" })),
        ("join-organization", json!({ "account": "user_id", "organization": "id or name" })),
        ("leave-organization", json!({ "account": "user_id", "organization": "id or name" })),
        ("grant-scope", json!({ "scope": "create:roles" })),
        ("grant-graph-permission", json!({ "permission": "Application.Read.All" })),
        ("revoke-scope", json!({ "scope": "read:roles" })),
        (
            "set-connection-option",
            json!({ "connection": "name", "option": "set_user_root_attributes", "value": "on_first_login" }),
        ),
        ("freeze-member-lists", json!({})),
        ("thaw-member-lists", json!({})),
    ] {
        all[name] = arguments;
    }
}

/// `None` if the verb is none of these.
pub(super) fn run(twin: &Twin, name: &str, arguments: &Arguments) -> Option<Outcome> {
    let outcome = match name {
        "create-role" | "create-organization" => create(twin, name, arguments),
        "recreate-role" | "delete-role" => change_role(twin, name, arguments),
        "grant-role" | "revoke-role" => hold_role(twin, name, arguments),
        "join-organization" | "leave-organization" => membership(twin, name, arguments),
        "enable-connection" => enable_connection(twin, arguments),
        "set-connection-option" => set_option(twin, arguments),
        "grant-scope" => text(arguments, "scope").map(|scope| {
            twin.world().grant_auth0_scope(scope);
            json!({})
        }),
        "grant-graph-permission" => text(arguments, "permission").map(|permission| {
            twin.world().grant_graph_permission(permission);
            json!({})
        }),
        "revoke-scope" => text(arguments, "scope").map(|scope| {
            twin.world().revoke_auth0_scope(scope);
            json!({})
        }),
        "freeze-member-lists" => {
            twin.world().freeze_member_lists();
            Ok(json!({}))
        }
        "thaw-member-lists" => {
            twin.world().thaw_member_lists();
            Ok(json!({}))
        }
        _ => return None,
    };
    Some(outcome)
}

fn create(twin: &Twin, verb: &str, arguments: &Arguments) -> Outcome {
    let name = text(arguments, "name")?;
    let mut world = twin.world();
    let taken = match verb {
        "create-role" => world.role_named(name).is_some(),
        _ => world.organization_named(name).is_some(),
    };
    if taken {
        return Err(Wrong { status: 409, text: format!("there is {name} already") });
    }
    match verb {
        "create-role" => Ok(json!({ "role": world.create_role(name) })),
        _ => Ok(json!({ "organization": world.create_organization(name) })),
    }
}

fn change_role(twin: &Twin, verb: &str, arguments: &Arguments) -> Outcome {
    let mut world = twin.world();
    let role = role(&world, arguments)?;
    if verb == "recreate-role" {
        return Ok(json!({ "role": world.recreate_role(&role) }));
    }
    world.delete_role(&role);
    Ok(json!({ "role": role }))
}

fn hold_role(twin: &Twin, verb: &str, arguments: &Arguments) -> Outcome {
    let account = account(twin, arguments)?;
    let mut world = twin.world();
    let role = role(&world, arguments)?;
    match verb {
        "grant-role" => world.grant_role(&account, &role),
        _ => world.revoke_role(&account, &role),
    }
    Ok(json!({ "account": &*account, "roles": world.role_names_of(&account) }))
}

fn membership(twin: &Twin, verb: &str, arguments: &Arguments) -> Outcome {
    let account = account(twin, arguments)?;
    let mut world = twin.world();
    let organization = organization(&world, arguments)?;
    match verb {
        "join-organization" => world.join_organization(&organization, &account),
        _ => world.leave_organization(&organization, &account),
    }
    Ok(json!({ "account": &*account, "organizations": world.organizations_of(&account) }))
}

fn enable_connection(twin: &Twin, arguments: &Arguments) -> Outcome {
    let mut world = twin.world();
    let organization = organization(&world, arguments)?;
    let connection = connection(&world, arguments)?;
    world.enable_connection(&organization, &connection, false);
    Ok(json!({ "organization": organization, "connection": connection }))
}

fn set_option(twin: &Twin, arguments: &Arguments) -> Outcome {
    let mut world = twin.world();
    let connection = connection(&world, arguments)?;
    let value = arguments.get("value").cloned().unwrap_or_default();
    world.set_connection_option(&connection, text(arguments, "option")?, value);
    Ok(json!({ "connection": connection }))
}

fn role(world: &World, arguments: &Arguments) -> Result<String, Wrong> {
    let named = text(arguments, "role")?;
    let found: Option<&Role> = world.find_role(named).or_else(|| world.role_named(named));
    found.map(|role| role.id.clone()).ok_or_else(|| Wrong::missing(format!("there is no role {named}")))
}

fn organization(world: &World, arguments: &Arguments) -> Result<String, Wrong> {
    let named = text(arguments, "organization")?;
    let found = world.find_organization(named).or_else(|| world.organization_named(named));
    let found = found.map(|organization| organization.id.clone());
    found.ok_or_else(|| Wrong::missing(format!("there is no organization {named}")))
}

fn connection(world: &World, arguments: &Arguments) -> Result<String, Wrong> {
    let named = text(arguments, "connection")?;
    let found = world.connection_named(named).map(|connection| connection.id.clone());
    found.ok_or_else(|| Wrong::missing(format!("there is no connection {named}")))
}
