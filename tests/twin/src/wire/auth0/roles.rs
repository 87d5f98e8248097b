//! Roles and who has them (recorded: TestRoleManager_*, TestUserManager_Roles, TestAccUserRoles). Reads right after a write
//! show it, as recorded.

use super::super::call::{Answer, Call, Reply};
use super::errors::{error, invalid_body, no_such_user};
use super::page::{self, Offset};
use super::{ids, patch};
use crate::world::{Account, Role, Write, word};
use serde_json::{Map, Value, json};

/// Roles of one tenant (Auth0, Entity Limit Policy).
const ROLES_MAX: usize = 1_000;

pub(super) fn list(call: &Call<'_>) -> Answer {
    let offset = Offset::of(call)?;
    // A part of the name; whether its case counts is not documented.
    let wanted = call.query("name_filter").unwrap_or_default().to_lowercase();
    let world = call.world();
    let named: Vec<&Role> = world.roles().filter(|role| role.name.to_lowercase().contains(&wanted)).collect();
    let page = named.iter().skip(offset.start()).take(offset.per_page);
    Ok(offset.reply(call, "roles", named.len(), page.map(|role| shown(role)).collect()))
}

/// 200, not 201 (recorded).
pub(super) fn create(call: &Call<'_>) -> Answer {
    let body = body(call)?;
    let Some(name) = text(&body, "name") else {
        return Err(invalid_body("'Missing required property: name' on property name"));
    };
    let mut world = call.world();
    if world.roles().count() >= ROLES_MAX {
        return Err(error(400, "You have reached the maximum number of roles.", None));
    }
    let role = Role { id: format!("rol_{}", word(16)), name, description: text(&body, "description") };
    let answer = shown(&role);
    if world.add_role(role) { Ok(Reply::json(200, &answer)) } else { Err(taken()) }
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let world = call.world();
    let role = world.find_role(call.id()).ok_or_else(ids::no_such_role)?;
    Ok(Reply::json(200, &shown(role)))
}

pub(super) fn update(call: &Call<'_>) -> Answer {
    let body = body(call)?;
    let mut world = call.world();
    let mut role = world.find_role(call.id()).ok_or_else(ids::no_such_role)?.clone();
    if let Some(name) = text(&body, "name") {
        role.name = name;
    }
    if let Some(description) = text(&body, "description") {
        role.description = Some(description);
    }
    let answer = shown(&role);
    if world.change_role(call.id(), role) { Ok(Reply::json(200, &answer)) } else { Err(taken()) }
}

/// 200 with `{}`, and 404 the second time (recorded).
pub(super) fn delete(call: &Call<'_>) -> Answer {
    match call.world().delete_role(call.id()) {
        true => Ok(Reply::json(200, &json!({}))),
        false => Err(ids::no_such_role()),
    }
}

/// By offset up to 1000, or by checkpoint (recorded with both; `next` only while more follow).
pub(super) fn users(call: &Call<'_>) -> Answer {
    let world = call.world();
    world.find_role(call.id()).ok_or_else(ids::no_such_role)?;
    if let Some(checkpoint) = page::Checkpoint::of(call)? {
        let mut found = world.holders_after(call.id(), checkpoint.from.as_deref());
        let page: Vec<&Account> = found.by_ref().take(checkpoint.take).map(|id| world.account(id)).collect();
        let next = page.last().filter(|_| found.next().is_some()).map(|last| page::mark(&last.id));
        return Ok(page::checked("users", page.into_iter().map(member).collect(), next));
    }
    let offset = Offset::capped(call)?;
    let total = world.holders_of_role(call.id()).count();
    let page = world.holders_of_role(call.id()).skip(offset.start()).take(offset.per_page);
    let users = page.map(|id| member(world.account(id))).collect();
    Ok(offset.reply(call, "users", total, users))
}

/// 200 with `{}` (recorded).
pub(super) fn add_users(call: &Call<'_>) -> Answer {
    let users = ids::of(call, "users")?;
    let mut world = call.world();
    let role = world.find_role(call.id()).ok_or_else(ids::no_such_role)?.id.clone();
    if users.iter().any(|user| world.find_account(user).is_none()) {
        return Err(error(404, "One or more of the users do not exist.", None));
    }
    for user in users {
        world.grant_roles(&user, vec![role.clone()]).map_err(|_| too_many())?;
        world.wrote(&user, Write::RolesGranted);
    }
    Ok(Reply::json(200, &json!({})))
}

pub(super) fn of_user(call: &Call<'_>) -> Answer {
    let offset = Offset::of(call)?;
    let world = call.world();
    world.find_account(call.id()).ok_or_else(no_such_user)?;
    let held = world.roles_of(call.id());
    let page = held.iter().skip(offset.start()).take(offset.per_page);
    let roles = page.map(|id| shown(world.role(id))).collect();
    Ok(offset.reply(call, "roles", held.len(), roles))
}

/// 204. Giving a role that the user has already changes nothing; no source says what it answers.
pub(super) fn grant(call: &Call<'_>) -> Answer {
    let roles = ids::roles(call)?;
    let mut world = call.world();
    world.find_account(call.id()).ok_or_else(no_such_user)?;
    ids::known_roles(&world, &roles)?;
    world.grant_roles(call.id(), roles).map_err(|_| too_many())?;
    world.wrote(call.id(), Write::RolesGranted);
    Ok(Reply::empty(204))
}

/// 204, also for roles that the user does not have (recorded twice in a row).
pub(super) fn revoke(call: &Call<'_>) -> Answer {
    let roles = ids::roles(call)?;
    let mut world = call.world();
    world.find_account(call.id()).ok_or_else(no_such_user)?;
    for role in roles {
        world.revoke_role(call.id(), &role);
    }
    world.wrote(call.id(), Write::RolesRevoked);
    Ok(Reply::empty(204))
}

pub(super) fn shown(role: &Role) -> Value {
    let mut shown = json!({ "id": role.id, "name": role.name });
    if let Some(description) = &role.description {
        shown["description"] = description.clone().into();
    }
    shown
}

/// A user as lists of a role or an organization show it (recorded).
pub(super) fn member(account: &Account) -> Value {
    let mut shown = json!({ "user_id": &*account.id });
    let attributes = ["name", "picture"].map(|name| (name, account.root.get(name).cloned()));
    let email = account.email.clone().map(Value::String);
    for (name, value) in attributes.into_iter().chain([("email", email)]) {
        if let Some(value) = value {
            shown[name] = value;
        }
    }
    shown
}

fn body(call: &Call<'_>) -> Result<Map<String, Value>, Reply> {
    let body = call.json_object().ok_or_else(|| invalid_body("'Expected type object'"))?;
    patch::refuse_unknown(call, &body, &["name", "description"])?;
    match body.iter().find(|(_, value)| !value.is_string()) {
        None => Ok(body),
        Some((name, _)) => Err(invalid_body(&format!("'Expected type string' on property {name}"))),
    }
}

fn text(body: &Map<String, Value>, name: &str) -> Option<String> {
    body.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// The text is the API description's.
fn taken() -> Reply {
    error(409, "The role already exists.", None)
}

/// 400 beyond 50 roles (Auth0, Entity Limit Policy); the text is not documented.
fn too_many() -> Reply {
    error(400, "No more roles can be assigned to this user.", None)
}
