//! Organizations: listed, read by id and by name, with their connections (recorded: TestOrganizationManager_*,
//! TestAccDataSourceOrganizationInsufficientScope). 404 comes without an `errorCode`, as recorded.

use super::super::call::{Answer, Call, Reply};
use super::errors::{error, no_such_user};
use super::page::{self, Offset};
use crate::world::{EnabledConnection, Organization, World};
use serde_json::{Value, json};

pub(super) fn list(call: &Call<'_>) -> Answer {
    if call.query("sort").is_some() {
        call.complain("sorting organizations is not played");
    }
    let world = call.world();
    if let Some(checkpoint) = page::Checkpoint::of(call)? {
        let from = checkpoint.from.unwrap_or_default();
        let mut rest = world.organizations().filter(|organization| organization.id > from);
        let page: Vec<&Organization> = rest.by_ref().take(checkpoint.take).collect();
        let next = page.last().filter(|_| rest.next().is_some()).map(|last| page::mark(&last.id));
        return Ok(page::checked("organizations", page.into_iter().map(shown).collect(), next));
    }
    let offset = Offset::capped(call)?;
    let page = world.organizations().skip(offset.start()).take(offset.per_page);
    Ok(offset.reply(call, "organizations", world.organizations().count(), page.map(shown).collect()))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let world = call.world();
    Ok(Reply::json(200, &shown(known(&world, call.id())?)))
}

pub(super) fn by_name(call: &Call<'_>) -> Answer {
    let world = call.world();
    let named = world.organization_named(call.id()).ok_or_else(no_such_organization)?;
    Ok(Reply::json(200, &shown(named)))
}

pub(super) fn enabled_connections(call: &Call<'_>) -> Answer {
    let offset = Offset::of(call)?;
    let world = call.world();
    let enabled = &known(&world, call.id())?.connections;
    let page = enabled.iter().skip(offset.start()).take(offset.per_page);
    let page = page.map(|connection| enabled_json(&world, connection)).collect();
    Ok(offset.reply(call, "enabled_connections", enabled.len(), page))
}

/// `GET /users/{id}/organizations`.
pub(super) fn of_user(call: &Call<'_>) -> Answer {
    let offset = Offset::capped(call)?;
    let world = call.world();
    world.find_account(call.id()).ok_or_else(no_such_user)?;
    let of = world.organizations_of(call.id());
    let page = of.iter().skip(offset.start()).take(offset.per_page);
    let page = page.map(|id| shown(world.organization(id))).collect();
    Ok(offset.reply(call, "organizations", of.len(), page))
}

pub(super) fn known<'a>(world: &'a World, id: &str) -> Result<&'a Organization, Reply> {
    world.find_organization(id).ok_or_else(no_such_organization)
}

/// Recorded.
pub(super) fn no_such_organization() -> Reply {
    error(404, "No organization found by that id or name", None)
}

fn shown(organization: &Organization) -> Value {
    let mut shown = json!({
        "id": organization.id,
        "name": organization.name,
        "display_name": organization.display_name,
    });
    if !organization.metadata.is_empty() {
        shown["metadata"] = organization.metadata.clone().into();
    }
    shown
}

fn enabled_json(world: &World, enabled: &EnabledConnection) -> Value {
    let connection = world.find_connection(&enabled.connection_id);
    let (name, strategy) = connection.map_or(("", ""), |known| (&*known.name, &*known.strategy));
    json!({
        "connection_id": enabled.connection_id,
        "assign_membership_on_login": enabled.assign_membership_on_login,
        "show_as_button": true,
        "is_signup_enabled": false,
        "connection": { "name": name, "strategy": strategy },
    })
}
