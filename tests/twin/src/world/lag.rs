//! Replication lag: Graph has told of a change, by notification or by delta query, and a read of the object still shows
//! what was before; a person hired a moment ago is 404 (Graph, Delta query overview: recent changes may be missing
//! because of replication delay; Best practices for directory objects: read-after-write is not guaranteed).
//!
//! While a lag is set, every change keeps what was before it, until as many reads have seen that, or until the time is
//! over. Accessors named `seen_…` are what the wire reads; the world's own accessors always tell the truth.

use super::World;
use super::groups::{Group, GroupId, ObjectId};
use super::people::{Person, PersonId};
use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::{Duration, Instant};

/// How long a change stays unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lag {
    /// For this many reads of the object.
    Reads(u32),
    For(Duration),
}

/// What was, and how long it is still seen.
struct Held<T> {
    before: T,
    left: Left,
}

enum Left {
    Reads(Cell<u32>),
    Until(Instant),
}

impl<T> Held<T> {
    /// What was, if this read is still to see it.
    fn see(&self) -> Option<&T> {
        let unseen = match &self.left {
            Left::Reads(left) => left.replace(left.get().saturating_sub(1)) > 0,
            Left::Until(end) => Instant::now() < *end,
        };
        unseen.then_some(&self.before)
    }

    fn is_over(&self) -> bool {
        match &self.left {
            Left::Reads(left) => left.get() == 0,
            Left::Until(end) => Instant::now() >= *end,
        }
    }
}

#[derive(Default)]
pub(super) struct Replica {
    lag: Option<Lag>,
    people: HashMap<PersonId, Held<Option<Person>>>,
    groups: HashMap<GroupId, Held<Option<Group>>>,
    members: HashMap<GroupId, Held<BTreeSet<ObjectId>>>,
    parents: HashMap<ObjectId, Held<BTreeSet<GroupId>>>,
}

/// Keeps what was before the first of several changes, and begins the lag anew at each.
fn hold<K: Hash + Eq, T>(kept: &mut HashMap<K, Held<T>>, lag: Lag, key: K, before: impl FnOnce() -> T) {
    let left = match lag {
        Lag::Reads(reads) => Left::Reads(Cell::new(reads)),
        Lag::For(duration) => Left::Until(Instant::now() + duration),
    };
    match kept.get_mut(&key).filter(|held| !held.is_over()) {
        Some(held) => held.left = left,
        None => {
            kept.insert(key, Held { before: before(), left });
        }
    }
}

impl World {
    /// From now on, changes of people, groups and memberships are seen by reads only after this. `None` ends the lag,
    /// also of what has changed already.
    pub fn set_replication_lag(&mut self, lag: Option<Lag>) {
        match lag {
            Some(lag) => self.replica.lag = Some(lag),
            None => self.replica = Replica::default(),
        }
    }

    /// The person as a read sees them now.
    pub(crate) fn seen_person(&self, id: PersonId) -> Option<&Person> {
        match self.replica.people.get(&id).and_then(Held::see) {
            Some(before) => before.as_ref(),
            None => self.find_person(id),
        }
    }

    /// The group as a read sees it now.
    pub(crate) fn seen_group(&self, id: GroupId) -> Option<&Group> {
        match self.replica.groups.get(&id).and_then(Held::see) {
            Some(before) => before.as_ref(),
            None => self.find_group(id),
        }
    }

    /// The direct members after `after` as a read sees them now, at most `limit`.
    pub(crate) fn seen_members(
        &self,
        group: GroupId,
        after: Option<ObjectId>,
        limit: usize,
    ) -> BTreeSet<ObjectId> {
        let seen = self.seen_members_of(group).range((after.map_or(Unbounded, Excluded), Unbounded));
        seen.copied().filter(|member| self.is_alive(*member)).take(limit).collect()
    }

    pub(crate) fn seen_groups_of(&self, member: ObjectId) -> BTreeSet<GroupId> {
        let seen = self.seen_parents_of(member).iter();
        seen.copied().filter(|group| self.is_alive((*group).into())).collect()
    }

    pub(crate) fn seen_transitive_members(&self, group: GroupId) -> BTreeSet<ObjectId> {
        self.walk_down(group, World::seen_members_of)
    }

    pub(crate) fn seen_transitive_groups_of(&self, member: ObjectId) -> BTreeSet<GroupId> {
        self.walk_up(member, World::seen_parents_of)
    }

    fn seen_members_of(&self, group: GroupId) -> &BTreeSet<ObjectId> {
        let held = self.replica.members.get(&group).and_then(Held::see);
        held.unwrap_or_else(|| self.members_of(group))
    }

    fn seen_parents_of(&self, member: ObjectId) -> &BTreeSet<GroupId> {
        let held = self.replica.parents.get(&member).and_then(Held::see);
        held.unwrap_or_else(|| self.parents_of(member))
    }

    /// A person is about to change.
    pub(super) fn hold_person(&mut self, id: PersonId) {
        if let Some(lag) = self.replica.lag {
            hold(&mut self.replica.people, lag, id, || self.people.get(&id).cloned());
        }
    }

    /// A group is about to change.
    pub(super) fn hold_group(&mut self, id: GroupId) {
        if let Some(lag) = self.replica.lag {
            let before = self.find_group(id).cloned();
            hold(&mut self.replica.groups, lag, id, || before);
        }
    }

    /// A membership is about to change.
    pub(super) fn hold_edge(&mut self, group: GroupId, member: ObjectId) {
        if let Some(lag) = self.replica.lag {
            let (members, parents) = (self.members_of(group).clone(), self.parents_of(member).clone());
            hold(&mut self.replica.members, lag, group, || members);
            hold(&mut self.replica.parents, lag, member, || parents);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Hire;

    #[test]
    fn changes_are_unseen_for_as_many_reads_as_told() {
        let mut world = World::new(&crate::setup::Setup::default());
        let adele = world.hire(Hire::named("Adele Vance"));
        let staff = world.create_group("Staff");
        world.set_replication_lag(Some(Lag::Reads(2)));
        world.disable(adele);
        world.set_property(adele, "department", "Retail".into());
        world.add_member(staff, adele);
        let new = world.hire(Hire::named("Alex Wilber"));
        for _ in 0..2 {
            assert!(
                world
                    .seen_person(adele)
                    .is_some_and(|seen| seen.enabled && seen.text("department").is_none())
            );
            assert!(world.seen_person(new).is_none());
            assert!(world.seen_transitive_groups_of(adele.into()).is_empty());
        }
        assert!(world.seen_person(adele).is_some_and(|seen| !seen.enabled));
        assert!(world.seen_person(new).is_some());
        assert!(world.seen_groups_of(adele.into()).contains(&staff));
        assert!(!world.person(adele).enabled, "the world itself always knows");
    }

    #[test]
    fn a_lag_by_time_ends_when_it_is_lifted() {
        let mut world = World::new(&crate::setup::Setup::default());
        let adele = world.hire(Hire::named("Adele Vance"));
        world.set_replication_lag(Some(Lag::For(Duration::from_secs(3_600))));
        world.soft_delete(adele);
        assert!(world.seen_person(adele).is_some_and(|seen| seen.deleted.is_none()));
        world.set_replication_lag(None);
        assert!(world.seen_person(adele).is_some_and(|seen| seen.deleted.is_some()));
    }
}
