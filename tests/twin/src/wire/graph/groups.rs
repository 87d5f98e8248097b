//! `GET /groups`, `GET /groups/{id}`, `/members` and `/transitiveMembers` (Graph, the pages of those names).

use super::super::call::{Answer, Call};
use super::links::{self, Listed};
use super::objects::{self, Wanted};
use super::{entity, group, not_found, pages, select};
use crate::world::{Group, GroupId, ObjectId, World};
use std::collections::BTreeSet;

/// Every group that is not deleted. `$filter` and `$search` are not played.
pub(super) fn list(call: &Call<'_>) -> Answer {
    let world = call.world();
    let wanted = group::wanted(call)?;
    let context = match call.query("$select") {
        Some(_) => format!("groups({})", wanted.join(",")),
        None => "groups".to_owned(),
    };
    let after = match links::place(call, world.link_epoch())?.as_ref().and_then(Listed::object) {
        Some(ObjectId::Group(id)) => Some(id),
        _ => None,
    };
    let alive = world.groups_after(after).filter(|group| group.deleted.is_none());
    let all = alive.map(|group| Listed::Object(group.id.into()));
    let count = || world.groups().filter(|group| group.deleted.is_none()).count();
    pages::page(call, &world, &context, all, count, |item| objects::bare(call, &world, item, &wanted))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let world = call.world();
    let found = find(&world, call.id()).ok_or_else(|| not_found(call, call.id()))?;
    let wanted = group::wanted(call)?;
    let context = match call.query("$select") {
        Some(_) => format!("groups({})/$entity", wanted.join(",")),
        None => "groups/$entity".to_owned(),
    };
    Ok(entity(&context, group::shown(found, &wanted).into()))
}

pub(super) fn members(call: &Call<'_>) -> Answer {
    let world = call.world();
    let id = find(&world, call.id()).ok_or_else(|| not_found(call, call.id()))?.id;
    let limit = |after: Option<_>| if after.is_some() { pages::TOP_MAX + 1 } else { usize::MAX };
    listed(call, &world, id, |world, id, after| world.seen_members(id, after, limit(after)))
}

pub(super) fn transitive_members(call: &Call<'_>) -> Answer {
    let world = call.world();
    let id = find(&world, call.id()).ok_or_else(|| not_found(call, call.id()))?.id;
    listed(call, &world, id, |world, id, _| world.seen_transitive_members(id))
}

/// People and groups, or only people when the path casts to them.
fn listed(
    call: &Call<'_>,
    world: &World,
    group: GroupId,
    members: impl Fn(&World, GroupId, Option<ObjectId>) -> BTreeSet<ObjectId>,
) -> Answer {
    let after = links::place(call, world.link_epoch())?.as_ref().and_then(Listed::object);
    let mut found = members(world, group, after);
    let count = |only_people: bool| {
        let people = |id: &ObjectId| !only_people || matches!(id, ObjectId::Person(_));
        members(world, group, None).iter().filter(|id| people(id)).count()
    };
    if call.label().ends_with("/microsoft.graph.user") {
        pages::check_cast(call)?;
        found.retain(|id| matches!(id, ObjectId::Person(_)));
        let wanted = select::wanted(call);
        select::check(call, world, &wanted)?;
        let context = match call.query("$select") {
            Some(_) => format!("users({})", wanted.join(",")),
            None => "users".to_owned(),
        };
        let all = found.iter().map(|id| Listed::Object(*id));
        let show = |item: &Listed| objects::bare(call, world, item, &wanted);
        return pages::page(call, world, &context, all, || count(true), show);
    }
    let wanted = Wanted::of(call, world)?;
    let context = wanted.context("directoryObjects");
    let all = found.iter().map(|id| Listed::Object(*id));
    let show = |item: &Listed| objects::typed(call, world, item, &wanted);
    pages::page(call, world, &context, all, || count(false), show)
}

/// The group as reads see it now. A deleted one answers 404.
pub(super) fn find<'a>(world: &'a World, id: &str) -> Option<&'a Group> {
    let group = id.parse().ok().and_then(|id| world.seen_group(id));
    group.filter(|group| group.deleted.is_none())
}
