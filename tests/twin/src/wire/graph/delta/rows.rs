//! The rows of one page of a delta query.

use super::super::super::call::Call;
use super::super::group;
use super::super::select::{self, Property};
use super::token::{Options, Place};
use super::{Set, member_type};
use crate::world::{Changed, Group, GroupId, Moved, ObjectId, Person, PersonId, Touched, World};
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap};

/// Changes that one page looks at, at most: a long stretch that has nothing for this query becomes an empty page.
const SCANNED_MAX: u64 = 10_000;

/// What one page shows and where the next one begins.
pub(in super::super) struct Page {
    pub rows: Vec<Value>,
    pub next: Place,
    /// Where the change log stands for whoever has seen the whole round.
    pub round_ends: u64,
}

/// Names that a row shows, with the relation apart.
struct Tracked<'a> {
    names: Vec<&'a str>,
    relation: bool,
}

fn tracked(options: &Options, set: Set) -> Tracked<'_> {
    let (default, relation): (&[&str], &str) = match set {
        Set::Users => (&select::DEFAULT, "manager"),
        Set::Groups => (&group::DEFAULT, "members"),
    };
    match &options.select {
        Some(names) => Tracked {
            names: names.iter().map(String::as_str).filter(|name| *name != relation).collect(),
            relation: names.iter().any(|name| name == relation),
        },
        // Groups tell of their members unless something else is selected (group: delta).
        None => Tracked { names: default.to_vec(), relation: set == Set::Groups },
    }
}

fn wants(options: &Options, id: &str) -> bool {
    options.filter.as_ref().is_none_or(|ids| ids.iter().any(|wanted| wanted == id))
}

/// A page of the first round over people.
pub(super) fn all_users(
    call: &Call<'_>,
    world: &World,
    options: &Options,
    start: u64,
    after: Option<&str>,
) -> Page {
    let tracked = tracked(options, Set::Users);
    let after: Option<PersonId> = after.and_then(|id| id.parse().ok());
    let alive = world.people_after(after).filter(|person| person.deleted.is_none());
    let mut people = alive.filter(|person| wants(options, &person.id.to_string())).peekable();
    let some: Vec<&Person> = people.by_ref().take(call.state.setup.delta_page.max(1)).collect();
    let rows = some.iter().map(|person| user_row(call, world, person, &tracked, &Touched::Everything, false));
    let next = match (people.peek(), some.last()) {
        (Some(_), Some(last)) => Place::First { start, after: Some(last.id.to_string()), inside: None },
        _ => Place::Since(start),
    };
    Page { rows: rows.map(Value::from).collect(), next, round_ends: start }
}

/// A page of the first round over groups: a big one is repeated on page after page with more of its members.
pub(super) fn all_groups(
    call: &Call<'_>,
    world: &World,
    options: &Options,
    start: u64,
    after: Option<&str>,
    inside: Option<ObjectId>,
) -> Page {
    let tracked = tracked(options, Set::Groups);
    let setup = &call.state.setup;
    let mut room = setup.delta_members_per_page.max(1);
    let mut rows = Vec::new();
    let mut done: Option<GroupId> = after.and_then(|id| id.parse().ok());
    let unfinished = done.filter(|_| inside.is_some()).and_then(|id| world.find_group(id));
    let ahead = world.groups_after(done).filter(|group| wants(options, &group.id.to_string()));
    let mut groups = unfinished.into_iter().chain(ahead).filter(|group| group.deleted.is_none()).peekable();
    let mut inside = inside;
    while rows.len() < setup.delta_page.max(1) && room > 0 {
        let Some(group) = groups.next() else { break };
        let mut row = group_row(group, &tracked, &Touched::Everything, false);
        done = Some(group.id);
        if tracked.relation {
            let mut rest = world.members_after(group.id, inside.take()).peekable();
            let some: Vec<ObjectId> = rest.by_ref().take(room).collect();
            room -= some.len();
            add_members(&mut row, some.iter().map(|id| (*id, Moved::Added)));
            inside = some.last().copied().filter(|_| rest.peek().is_some());
        }
        rows.push(row.into());
        if inside.is_some() {
            break;
        }
    }
    let is_over = inside.is_none() && groups.peek().is_none();
    let next = match is_over {
        true => Place::Since(start),
        false => Place::First { start, after: done.map(|id| id.to_string()), inside },
    };
    Page { rows, next, round_ends: start }
}

/// What happened to the objects of one stretch of the change log, in the order of their first change in it.
pub(in super::super) struct Gathered {
    objects: Vec<Happened>,
    next: Place,
    round_ends: u64,
}

struct Happened {
    id: ObjectId,
    everything: bool,
    properties: BTreeSet<Box<str>>,
    members: Vec<(ObjectId, Moved)>,
}

impl Gathered {
    /// Reads from the change after `from` until the page is full, or up to `to`.
    pub fn read(call: &Call<'_>, world: &World, set: Set, options: &Options, from: u64, to: u64) -> Gathered {
        let setup = &call.state.setup;
        let mut objects: Vec<Happened> = Vec::new();
        let mut places: HashMap<ObjectId, usize> = HashMap::new();
        let (mut read, mut members) = (from, 0);
        for change in world.changes_since(from).take_while(|change| change.number <= to) {
            if change.number > from + SCANNED_MAX || members >= setup.delta_members_per_page.max(1) {
                break;
            }
            let object = object(&change.what).filter(|id| {
                matches!((set, id), (Set::Users, ObjectId::Person(_)) | (Set::Groups, ObjectId::Group(_)))
                    && wants(options, &id.to_string())
            });
            if let Some(id) = object {
                if !places.contains_key(&id) && objects.len() == setup.delta_page.max(1) {
                    break;
                }
                let index = *places.entry(id).or_insert_with(|| {
                    objects.push(Happened::to(id));
                    objects.len() - 1
                });
                members += objects[index].add(&change.what);
            }
            read = change.number;
        }
        let next = if read >= to { Place::Since(to) } else { Place::Changes { from: read, to } };
        Gathered { objects, next, round_ends: to }
    }
}

fn object(what: &Changed) -> Option<ObjectId> {
    Some(match what {
        Changed::UserUpdated { id, .. } | Changed::UserDeleted(id) => (*id).into(),
        Changed::GroupUpdated { id, .. } | Changed::GroupDeleted(id) => (*id).into(),
    })
}

impl Happened {
    fn to(id: ObjectId) -> Happened {
        Happened { id, everything: false, properties: BTreeSet::new(), members: Vec::new() }
    }

    /// Adds a change and says how many members it moved.
    fn add(&mut self, what: &Changed) -> usize {
        match what {
            Changed::UserUpdated { touched, .. } => self.touch(touched),
            Changed::GroupUpdated { touched, members, .. } => {
                self.touch(touched);
                self.members.extend(members.iter().copied());
                return members.len();
            }
            Changed::UserDeleted(_) | Changed::GroupDeleted(_) => self.everything = true,
        }
        0
    }

    fn touch(&mut self, touched: &Touched) {
        match touched {
            Touched::Everything => self.everything = true,
            Touched::Properties(names) => self.properties.extend(names.iter().cloned()),
        }
    }

    fn touched(&self) -> Touched {
        match self.everything {
            true => Touched::Everything,
            false => Touched::Properties(self.properties.iter().cloned().collect()),
        }
    }

    /// The last word about each member, in the order of the first.
    fn settled(&self) -> Vec<(ObjectId, Moved)> {
        let mut settled: Vec<(ObjectId, Moved)> = Vec::new();
        let mut places: HashMap<ObjectId, usize> = HashMap::new();
        for (id, moved) in &self.members {
            match places.get(id) {
                Some(index) => settled[*index].1 = *moved,
                None => {
                    places.insert(*id, settled.len());
                    settled.push((*id, *moved));
                }
            }
        }
        settled
    }
}

/// A page of a later round. Nothing is said about objects of which only unselected properties have changed.
pub(super) fn changes(
    call: &Call<'_>,
    world: &World,
    set: Set,
    options: &Options,
    gathered: Gathered,
    minimal: bool,
) -> Page {
    let tracked = tracked(options, set);
    let rows = gathered.objects.iter().filter_map(|happened| match happened.id {
        ObjectId::Person(id) => changed_user(call, world, id, happened, &tracked, minimal),
        ObjectId::Group(id) => changed_group(world, id, happened, &tracked, minimal),
    });
    Page { rows: rows.collect(), next: gathered.next, round_ends: gathered.round_ends }
}

fn changed_user(
    call: &Call<'_>,
    world: &World,
    id: PersonId,
    happened: &Happened,
    tracked: &Tracked<'_>,
    minimal: bool,
) -> Option<Value> {
    let Some(person) = world.find_person(id) else {
        return Some(removed(id.into(), "deleted"));
    };
    if person.deleted.is_some() {
        // Whatever else changes about somebody in the deleted items is not told.
        return happened.everything.then(|| removed(id.into(), "changed"));
    }
    let touched = happened.touched();
    let is_told = tracked.names.iter().any(|name| touches(&touched, name))
        || tracked.relation && touches(&touched, "manager");
    is_told.then(|| user_row(call, world, person, tracked, &touched, minimal).into())
}

fn changed_group(
    world: &World,
    id: GroupId,
    happened: &Happened,
    tracked: &Tracked<'_>,
    minimal: bool,
) -> Option<Value> {
    let Some(group) = world.find_group(id) else {
        return Some(removed(id.into(), "deleted"));
    };
    if group.deleted.is_some() {
        return happened.everything.then(|| removed(id.into(), "changed"));
    }
    let touched = happened.touched();
    let members = if tracked.relation { happened.settled() } else { Vec::new() };
    if members.is_empty() && !tracked.names.iter().any(|name| touches(&touched, name)) {
        return None;
    }
    let mut row = group_row(group, tracked, &touched, minimal);
    add_members(&mut row, members.into_iter());
    Some(row.into())
}

/// Whether a change has touched the property. One directory extension stands for all of them (Delta query overview).
fn touches(touched: &Touched, name: &str) -> bool {
    match touched {
        Touched::Everything => true,
        Touched::Properties(names) => names.iter().any(|touched| {
            **touched == *name || touched.starts_with("extension_") && name.starts_with("extension_")
        }),
    }
}

/// `changed` can come back, `deleted` cannot (Delta query overview).
fn removed(id: ObjectId, reason: &str) -> Value {
    json!({ "id": id.to_string(), "@removed": { "reason": reason } })
}

fn user_row(
    call: &Call<'_>,
    world: &World,
    person: &Person,
    tracked: &Tracked<'_>,
    touched: &Touched,
    minimal: bool,
) -> Map<String, Value> {
    let property = |name: &str| select::property(call, world, person, name);
    let mut row = properties(tracked, touched, minimal, property);
    if tracked.relation && touches(touched, "manager") {
        let gone = person.former_manager.filter(|_| *touched != Touched::Everything);
        let gone = gone.map(|id| (id.into(), Moved::Removed));
        let here = person.manager.map(|id| (id.into(), Moved::Added));
        add_related(&mut row, "manager@delta", gone.into_iter().chain(here));
    }
    row.insert("id".into(), person.id.to_string().into());
    row
}

fn group_row(group: &Group, tracked: &Tracked<'_>, touched: &Touched, minimal: bool) -> Map<String, Value> {
    let mut row = properties(tracked, touched, minimal, |name| group::property(group, name));
    row.insert("id".into(), group.id.to_string().into());
    row
}

/// The selected properties: never-set ones are left out, cleared ones are null; with `return=minimal` only those that have
/// changed.
fn properties(
    tracked: &Tracked<'_>,
    touched: &Touched,
    minimal: bool,
    property: impl Fn(&str) -> Property,
) -> Map<String, Value> {
    let shown = tracked.names.iter().filter(|name| !minimal || touches(touched, name));
    let set = shown.filter_map(|name| match property(name) {
        Property::Set(value) => Some(((*name).to_owned(), value)),
        Property::NeverSet(_) | Property::Unknown => None,
    });
    set.collect()
}

fn add_members(row: &mut Map<String, Value>, members: impl Iterator<Item = (ObjectId, Moved)>) {
    add_related(row, "members@delta", members);
}

fn add_related(row: &mut Map<String, Value>, name: &str, related: impl Iterator<Item = (ObjectId, Moved)>) {
    let entries: Vec<Value> = related
        .map(|(id, moved)| {
            let mut entry = json!({ "@odata.type": member_type(id), "id": id.to_string() });
            if moved == Moved::Removed {
                entry["@removed"] = json!({ "reason": "deleted" });
            }
            entry
        })
        .collect();
    if !entries.is_empty() {
        row.insert(name.to_owned(), entries.into());
    }
}
