//! What somebody or something is in: `memberOf`, `transitiveMemberOf`, `checkMemberGroups`, `getMemberGroups` (Graph, the
//! pages of those names). Listing a person's memberships needs to read users, and shows groups only to those who may
//! read groups; asking about memberships needs both.

use super::super::call::{Answer, Call, Reply};
use super::links::Listed;
use super::objects::{self, Wanted};
use super::{READ_USERS, denied, error, group, groups, not_found, pages, permits, users};
use crate::world::{GroupId, ObjectId, PersonId, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Groups in one `checkMemberGroups` (Graph, directoryObject: checkMemberGroups).
const CHECKED_MAX: usize = 20;
/// Groups that `getMemberGroups` answers with at most (Graph, directoryObject: getMemberGroups).
const MEMBER_GROUPS_MAX: usize = 2_046;

pub(super) fn direct_of_user(call: &Call<'_>) -> Answer {
    of_user(call, |world, person| world.seen_groups_of(person.into()))
}

pub(super) fn transitive_of_user(call: &Call<'_>) -> Answer {
    of_user(call, |world, person| world.seen_transitive_groups_of(person.into()))
}

pub(super) fn direct_of_group(call: &Call<'_>) -> Answer {
    let world = call.world();
    let id = groups::find(&world, call.id()).ok_or_else(|| not_found(call, call.id()))?.id;
    list(call, &world, world.seen_groups_of(id.into()), Vec::new())
}

pub(super) fn transitive_of_group(call: &Call<'_>) -> Answer {
    let world = call.world();
    let id = groups::find(&world, call.id()).ok_or_else(|| not_found(call, call.id()))?.id;
    // A group that contains itself by a circle is listed too.
    list(call, &world, world.seen_transitive_groups_of(id.into()), Vec::new())
}

fn of_user(call: &Call<'_>, groups: impl Fn(&World, PersonId) -> BTreeSet<GroupId>) -> Answer {
    let world = call.world();
    let id = users::find(&world, call.id()).ok_or_else(|| not_found(call, call.id()))?.id;
    let roles = world.directory_roles_of(id).map(|role| Listed::Role(role.id.clone())).collect();
    list(call, &world, groups(&world, id), roles)
}

/// The groups, then the roles; only the groups when the path casts to them.
fn list(call: &Call<'_>, world: &World, groups: BTreeSet<GroupId>, mut roles: Vec<Listed>) -> Answer {
    let is_cast = call.label().ends_with("/microsoft.graph.group");
    if is_cast {
        pages::check_cast(call)?;
        roles.clear();
    }
    roles.sort();
    let all = || groups.iter().map(|id| Listed::Object(ObjectId::Group(*id))).chain(roles.iter().cloned());
    let count = || all().count();
    if is_cast {
        let wanted = group::wanted(call)?;
        let names: Vec<&str> = wanted.clone();
        let context = match call.query("$select") {
            Some(_) => format!("groups({})", wanted.join(",")),
            None => "groups".to_owned(),
        };
        let show = |item: &Listed| {
            let mut shown = objects::bare(call, world, item, &names);
            if !permits(call, world, super::READ_GROUPS) {
                shown.iter_mut().filter(|(n, _)| *n != "id").for_each(|(_, value)| *value = Value::Null);
            }
            shown
        };
        return pages::page(call, world, &context, all(), count, show);
    }
    let wanted = Wanted::of(call, world)?;
    let context = wanted.context("directoryObjects");
    pages::page(call, world, &context, all(), count, |item| objects::typed(call, world, item, &wanted))
}

/// Which of the groups the person is in, directly or not. Unknown ids are simply not among them.
pub(super) fn check(call: &Call<'_>) -> Answer {
    let body = super::known_fields(call, &["groupIds"])?;
    let asked = super::strings(call, &body, "groupIds", CHECKED_MAX)?;
    let member_of = member_of(call)?;
    let found = asked.into_iter().filter(|id| id.parse().is_ok_and(|id: GroupId| member_of.contains(&id)));
    Ok(ids(found.collect()))
}

/// Every group that the person is in, directly or not, in one answer or none.
pub(super) fn get(call: &Call<'_>) -> Answer {
    let body = super::known_fields(call, &["securityEnabledOnly"])?;
    let Some(security_only) = body.get("securityEnabledOnly").and_then(Value::as_bool) else {
        return Err(error(call, 400, "Request_BadRequest", "securityEnabledOnly is required."));
    };
    let member_of = member_of(call)?;
    let world = call.world();
    let counts = |id: &&GroupId| {
        let group = world.find_group(**id);
        !security_only
            || group.is_some_and(|group| group.properties.get("securityEnabled") != Some(&false.into()))
    };
    let found: Vec<String> = member_of.iter().filter(counts).map(GroupId::to_string).collect();
    if found.len() > MEMBER_GROUPS_MAX {
        let text = format!("The result is larger than {MEMBER_GROUPS_MAX}.");
        return Err(error(call, 400, "Directory_ResultSizeLimitExceeded", &text));
    }
    Ok(ids(found))
}

fn member_of(call: &Call<'_>) -> Result<BTreeSet<GroupId>, Reply> {
    let world = call.world();
    // The route has seen to the permission for groups.
    if !permits(call, &world, READ_USERS) {
        return Err(denied(call));
    }
    let id = users::find(&world, call.id()).ok_or_else(|| not_found(call, call.id()))?.id;
    Ok(world.seen_transitive_groups_of(id.into()))
}

fn ids(found: Vec<String>) -> Reply {
    super::entity("Collection(Edm.String)", json!({ "value": found }))
}
