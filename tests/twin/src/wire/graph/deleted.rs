//! `GET /directory/deletedItems/{id}`, `/microsoft.graph.user` and `/microsoft.graph.group` (Graph, List deleted items):
//! what is soft-deleted stays there, restorable, until it is purged.

use super::super::call::{Answer, Call};
use super::links::Listed;
use super::{READ_GROUPS, READ_USERS, denied, entity, filter, group, not_found, pages, permits, select};
use crate::world::World;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

type Entity = Map<String, Value>;

pub(super) fn get(call: &Call<'_>) -> Answer {
    let world = call.world();
    let person = call.id().parse().ok().and_then(|id| world.seen_person(id));
    if let Some(person) = person.filter(|person| person.deleted.is_some()) {
        if !permits(call, &world, READ_USERS) {
            return Err(denied(call));
        }
        let shown = select::user(call, &world, person, &wanted(call))?;
        return Ok(typed("user", shown));
    }
    if !permits(call, &world, READ_USERS) && !permits(call, &world, READ_GROUPS) {
        return Err(denied(call));
    }
    let found = call.id().parse().ok().and_then(|id| world.seen_group(id));
    let found = found.filter(|group| group.deleted.is_some()).ok_or_else(|| not_found(call, call.id()))?;
    if !permits(call, &world, READ_GROUPS) {
        return Err(denied(call));
    }
    Ok(typed("group", group::shown(found, &group::wanted(call)?)))
}

/// The set is of directory objects, so the answer names the type.
fn typed(kind: &str, mut shown: Entity) -> super::Reply {
    shown.insert("@odata.type".into(), format!("#microsoft.graph.{kind}").into());
    entity("directoryObjects/$entity", shown.into())
}

pub(super) fn list_users(call: &Call<'_>) -> Answer {
    let world = call.world();
    let wanted = wanted(call);
    let deleted = world.people().filter(|person| person.deleted.is_some());
    let shown: Result<Vec<_>, _> = deleted.map(|p| select::user(call, &world, p, &wanted)).collect();
    list(call, &world, "users", shown?, |id| id.parse().ok().map(|id: crate::world::PersonId| id.into()))
}

pub(super) fn list_groups(call: &Call<'_>) -> Answer {
    let world = call.world();
    let wanted = group::wanted(call)?;
    let deleted = world.groups().filter(|group| group.deleted.is_some());
    let shown = deleted.map(|found| group::shown(found, &wanted)).collect();
    list(call, &world, "groups", shown, |id| id.parse().ok().map(|id: crate::world::GroupId| id.into()))
}

fn list(
    call: &Call<'_>,
    world: &World,
    context: &str,
    deleted: Vec<Entity>,
    object: impl Fn(&str) -> Option<crate::world::ObjectId>,
) -> Answer {
    if let Some(order) = call.query("$orderby") {
        call.complain(format!("$orderby={order} is not played"));
    }
    let matching = filter::apply(call, deleted)?;
    let by_id: BTreeMap<Listed, Entity> = matching
        .into_iter()
        .filter_map(|entity| Some((Listed::Object(object(entity.get("id")?.as_str()?)?), entity)))
        .collect();
    let shown = |item: &Listed| by_id.get(item).cloned().unwrap_or_default();
    pages::page(call, world, context, by_id.keys().cloned(), || by_id.len(), shown)
}

/// Deleted users show `deletedDateTime` beside the default properties.
fn wanted<'a>(call: &'a Call<'_>) -> Vec<&'a str> {
    let mut wanted = select::wanted(call);
    if call.query("$select").is_none() {
        wanted.push("deletedDateTime");
    }
    wanted
}
