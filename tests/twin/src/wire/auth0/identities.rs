//! Linking and unlinking (recorded: TestUserManager_Link, TestUserManager_Unlink; Auth0, User Account Linking). The texts of
//! the refusals are the API description's.

use super::super::call::{Answer, Call, Reply};
use super::errors::{error, invalid_body, no_such_user};
use super::patch;
use crate::world::{World, Write};
use serde_json::Value;

const FIELDS: [&str; 4] = ["provider", "connection_id", "user_id", "link_with"];

/// 201 with all identities. The secondary user vanishes, and its roles, metadata and sessions with it.
pub(super) fn link(call: &Call<'_>) -> Answer {
    let body = call.json_object().ok_or_else(|| invalid_body("'Expected type object'"))?;
    patch::refuse_unknown(call, &body, &FIELDS)?;
    if body.contains_key("link_with") {
        call.complain("linking with a token is not played");
        return Err(refused("Invalid token (link_with)."));
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let (Some(provider), Some(named)) = (text("provider"), text("user_id")) else {
        return Err(invalid_body("'Missing required property: provider and user_id'"));
    };
    // The id may carry the provider in front (recorded).
    let local = named.strip_prefix(&format!("{provider}|")).unwrap_or(named);
    let mut world = call.world();
    if text("connection_id").is_some_and(|connection| world.find_connection(connection).is_none()) {
        return Err(refused("The provider/connection is not configured."));
    }
    // The description names no answer for a primary user that is not there.
    world.find_account(call.id()).ok_or_else(no_such_user)?;
    let secondary = format!("{provider}|{local}");
    check(&world, call.id(), &secondary, provider, local)?;
    world.link_accounts(call.id(), &secondary);
    world.wrote(call.id(), Write::Linked);
    world.wrote(&secondary, Write::Linked);
    Ok(Reply::json(201, &shown(&world, call.id())))
}

fn check(world: &World, primary: &str, secondary: &str, provider: &str, local: &str) -> Answer {
    if primary == secondary {
        return Err(refused("Main identity and the new one are the same."));
    }
    match world.account_with_identity(provider, local) {
        None => Err(refused("Linking to an inexistent identity is not allowed.")),
        Some(owner) if **owner != *secondary => Err(error(409, "Specified identity already exists.", None)),
        // Users that SCIM has made must be primary (Auth0, Configure Inbound SCIM).
        Some(owner) if world.is_provisioned_by_scim(owner) => {
            Err(refused("Unable to link with the secondary account."))
        }
        Some(_) => Ok(Reply::empty(200)),
    }
}

/// 200 with the identities that are left. What was linked is a user of its own again, without metadata and roles.
pub(super) fn unlink(call: &Call<'_>) -> Answer {
    let [_, provider, local] = call.parameters.as_slice() else {
        return Err(no_such_user());
    };
    let mut world = call.world();
    let account = world.find_account(call.id()).ok_or_else(no_such_user)?;
    let main = account.identities.first();
    if main.is_some_and(|main| main.provider == *provider && main.user_id == *local) {
        return Err(refused("Main identity cannot be removed."));
    }
    // Nor does it name one for an identity that is not there.
    let out = world.unlink_account(call.id(), provider, local);
    let out = out.ok_or_else(|| error(404, "The identity does not exist.", None))?;
    world.wrote(call.id(), Write::Linked);
    world.wrote(&out, Write::Linked);
    Ok(Reply::json(200, &shown(&world, call.id())))
}

/// Here the primary identity shows its profile too (recorded).
fn shown(world: &World, id: &str) -> Value {
    let account = world.account(id);
    let mut identities = account.identities.clone();
    if let Some(first) = identities.first_mut() {
        first.profile.get_or_insert_with(|| account.profile());
    }
    identities.iter().map(|identity| identity.to_json()).collect()
}

fn refused(text: &str) -> Reply {
    error(400, text, None)
}
