//! Members of an organization and their roles there (recorded: TestOrganizationManager_*; Auth0, Assign Members to an
//! Organization; Retrieve Organization Members: the list is eventually consistent).

use super::super::call::{Answer, Call, Reply};
use super::errors::{error, insufficient_scope, invalid_body, no_such_user};
use super::organizations::{known, no_such_organization};
use super::page::{self, Offset, with_fields};
use super::{ids, roles};
use crate::faults::Vendor;
use crate::world::{AccountId, World, Write};
use serde_json::{Map, Value, json};

/// Members in one call (Auth0, Assign Members to an Organization).
const MEMBERS_A_CALL_MAX: usize = 10;

pub(super) fn list(call: &Call<'_>) -> Answer {
    let with_roles = check_fields(call)?;
    let mut world = call.world();
    known(&world, call.id())?;
    if let Some(checkpoint) = page::Checkpoint::of(call)? {
        let found = world.listed_members(call.id(), checkpoint.from.as_deref());
        let page = &found[..found.len().min(checkpoint.take)];
        // Here a page that is not empty has a `next`, and what it leads to may be empty (recorded:
        // TestOrganizationManager_MembersCheckpointPagination).
        let next = page.last().map(|last| page::mark(last));
        let members = page.iter().filter_map(|id| shown(call, &world, id, with_roles)).collect();
        return Ok(page::checked("members", members, next));
    }
    let offset = Offset::capped(call)?;
    let found = world.listed_members(call.id(), None);
    let page = found.iter().skip(offset.start()).take(offset.per_page);
    let members = page.filter_map(|id| shown(call, &world, id, with_roles)).collect();
    Ok(offset.reply(call, "members", found.len(), members))
}

/// Roles are shown when they are asked for by name, and that needs a scope of its own (API description).
fn check_fields(call: &Call<'_>) -> Result<bool, Reply> {
    let fields = call.query("fields").unwrap_or_default();
    let with_roles =
        call.query("include_fields") != Some("false") && fields.split(',').any(|name| name.trim() == "roles");
    const NEEDED: &str = "read:organization_member_roles";
    let token = call.bearer().unwrap_or_default();
    if with_roles && !call.world().token_allows(Vendor::Auth0, token, NEEDED) {
        return Err(insufficient_scope(&[NEEDED]));
    }
    Ok(with_roles)
}

/// A list that lags may name somebody who is deleted meanwhile; he is not shown.
fn shown(call: &Call<'_>, world: &World, id: &AccountId, with_roles: bool) -> Option<Value> {
    let account = world.find_account(id)?;
    let mut member = match roles::member(account) {
        Value::Object(member) => member,
        _ => Map::new(),
    };
    if with_roles {
        let held = world.member_roles(call.id(), id).into_iter();
        let held = held.filter_map(|id| world.find_role(&id));
        // Here without the description (recorded).
        let held: Value = held.map(|role| json!({ "id": role.id, "name": role.name })).collect();
        member.insert("roles".into(), held);
    }
    Some(with_fields(call, member))
}

pub(super) fn add(call: &Call<'_>) -> Answer {
    let members = members(call)?;
    let mut world = call.world();
    known(&world, call.id())?;
    // The description names no 404 for users; that one of a role is taken.
    if members.iter().any(|member| world.find_account(member).is_none()) {
        return Err(error(404, "One or more of the users do not exist.", None));
    }
    for member in members {
        world.join_organization(call.id(), &member);
        world.wrote(&member, Write::Joined);
    }
    Ok(Reply::empty(204))
}

/// 204, also for users who are no members.
pub(super) fn remove(call: &Call<'_>) -> Answer {
    let members = members(call)?;
    let mut world = call.world();
    known(&world, call.id())?;
    for member in members {
        world.leave_organization(call.id(), &member);
        world.wrote(&member, Write::Left);
    }
    Ok(Reply::empty(204))
}

pub(super) fn list_roles(call: &Call<'_>) -> Answer {
    let offset = Offset::of(call)?;
    let world = call.world();
    let user = known_user(call, &world)?;
    let held = world.member_roles(call.id(), user);
    let page = held.iter().skip(offset.start()).take(offset.per_page);
    let page = page.map(|id| roles::shown(world.role(id))).collect();
    Ok(offset.reply(call, "roles", held.len(), page))
}

pub(super) fn grant_roles(call: &Call<'_>) -> Answer {
    let roles = ids::roles(call)?;
    let mut world = call.world();
    let user = known_user(call, &world)?;
    ids::known_roles(&world, &roles)?;
    world
        .grant_member_roles(call.id(), user, roles)
        .map_err(|_| error(409, "No more roles can be assigned to this organization member.", None))?;
    world.wrote(user, Write::MemberRolesGranted);
    Ok(Reply::empty(204))
}

/// 204, also for roles that the member does not have.
pub(super) fn revoke_roles(call: &Call<'_>) -> Answer {
    let roles = ids::roles(call)?;
    let mut world = call.world();
    let user = known_user(call, &world)?;
    for role in roles {
        world.revoke_member_role(call.id(), user, &role);
    }
    world.wrote(user, Write::MemberRolesRevoked);
    Ok(Reply::empty(204))
}

fn known_user<'a>(call: &'a Call<'_>, world: &World) -> Result<&'a str, Reply> {
    let user = call.parameters.get(1).map_or("", String::as_str);
    world.find_organization(call.id()).ok_or_else(no_such_organization)?;
    world.find_account(user).map(|_| user).ok_or_else(no_such_user)
}

fn members(call: &Call<'_>) -> Result<Vec<String>, Reply> {
    let members = ids::of(call, "members")?;
    match members.len() {
        0..=MEMBERS_A_CALL_MAX => Ok(members),
        many => {
            let text =
                format!("'Array is too long ({many}), maximum {MEMBERS_A_CALL_MAX}' on property members");
            Err(invalid_body(&text))
        }
    }
}
