//! Who is in which group: people and other groups. Entra lets groups contain each other in a circle, so everything
//! transitive is a walk that remembers where it has been.
//!
//! Both directions are kept, so that neither a group of fifty thousand nor a person in hundreds of groups costs a walk
//! through everybody. Deleted objects keep their places while they can be restored, and are shown to nobody.

use super::World;
use super::changes::{Moved, Touched};
use super::groups::{GroupId, ObjectId};
use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};

/// Members that one change adds or removes at most (Graph, Add members: up to 20 in a single request).
const MEMBERS_PER_CHANGE: usize = 20;

/// What nothing is in, and what is in nothing.
static NO_MEMBERS: BTreeSet<ObjectId> = BTreeSet::new();
static NO_GROUPS: BTreeSet<GroupId> = BTreeSet::new();

impl World {
    /// Makes a person or a group a direct member. Once more is no change.
    pub fn add_member(&mut self, group: GroupId, member: impl Into<ObjectId>) {
        self.add_members(group, [member]);
    }

    /// Adds many, in as many changes as Graph would need requests.
    pub fn add_members<I: Into<ObjectId>>(&mut self, group: GroupId, members: impl IntoIterator<Item = I>) {
        self.group(group);
        let mut added = Vec::new();
        for member in members.into_iter().map(Into::into) {
            assert!(self.exists(member), "nothing has the object id {member}");
            if self.members_of(group).contains(&member) {
                continue;
            }
            self.hold_edge(group, member);
            self.groups.members.entry(group).or_default().insert(member);
            self.groups.parents.entry(member).or_default().insert(group);
            added.push(member);
        }
        self.log_members(group, &added, Moved::Added);
    }

    /// Takes a direct member out. One that is none is no change.
    pub fn remove_member(&mut self, group: GroupId, member: impl Into<ObjectId>) {
        self.remove_members(group, [member]);
    }

    /// Removes many.
    pub fn remove_members<I: Into<ObjectId>>(
        &mut self,
        group: GroupId,
        members: impl IntoIterator<Item = I>,
    ) {
        self.group(group);
        let mut removed = Vec::new();
        for member in members.into_iter().map(Into::into) {
            if self.members_of(group).contains(&member) {
                self.hold_edge(group, member);
                self.cut(group, member);
                removed.push(member);
            }
        }
        self.log_members(group, &removed, Moved::Removed);
    }

    /// The direct members, deleted ones left out.
    pub fn members(&self, group: GroupId) -> impl Iterator<Item = ObjectId> {
        self.members_of(group).iter().copied().filter(|member| self.is_alive(*member))
    }

    pub(crate) fn members_after(
        &self,
        group: GroupId,
        after: Option<ObjectId>,
    ) -> impl Iterator<Item = ObjectId> {
        let after = (after.map_or(Unbounded, Excluded), Unbounded);
        self.members_of(group).range(after).copied().filter(|member| self.is_alive(*member))
    }

    /// The groups that somebody or something is directly in, deleted ones left out.
    pub fn groups_of(&self, member: impl Into<ObjectId>) -> impl Iterator<Item = GroupId> {
        self.parents_of(member.into()).iter().copied().filter(|group| self.is_alive((*group).into()))
    }

    /// Everybody and everything in the group, directly or through groups in it.
    pub fn transitive_members(&self, group: GroupId) -> BTreeSet<ObjectId> {
        self.walk_down(group, |world, group| world.members_of(group))
    }

    /// Every group that somebody or something is in, directly or through other groups.
    pub fn transitive_groups_of(&self, member: impl Into<ObjectId>) -> BTreeSet<GroupId> {
        self.walk_up(member.into(), |world, member| world.parents_of(member))
    }

    /// Whether the object is there and not deleted.
    pub(crate) fn is_alive(&self, id: ObjectId) -> bool {
        match id {
            ObjectId::Person(id) => self.find_person(id).is_some_and(|person| person.deleted.is_none()),
            ObjectId::Group(id) => self.find_group(id).is_some_and(|group| group.deleted.is_none()),
        }
    }

    pub(super) fn members_of(&self, group: GroupId) -> &BTreeSet<ObjectId> {
        self.groups.members.get(&group).unwrap_or(&NO_MEMBERS)
    }

    pub(super) fn parents_of(&self, member: ObjectId) -> &BTreeSet<GroupId> {
        self.groups.parents.get(&member).unwrap_or(&NO_GROUPS)
    }

    pub(super) fn walk_down<'a>(
        &'a self,
        group: GroupId,
        members: impl Fn(&'a World, GroupId) -> &'a BTreeSet<ObjectId>,
    ) -> BTreeSet<ObjectId> {
        let mut seen = BTreeSet::new();
        let mut open = vec![group];
        while let Some(group) = open.pop() {
            for member in members(self, group).iter().filter(|member| self.is_alive(**member)) {
                if let (true, ObjectId::Group(inner)) = (seen.insert(*member), *member) {
                    open.push(inner);
                }
            }
        }
        seen
    }

    pub(super) fn walk_up<'a>(
        &'a self,
        member: ObjectId,
        parents: impl Fn(&'a World, ObjectId) -> &'a BTreeSet<GroupId>,
    ) -> BTreeSet<GroupId> {
        let mut seen = BTreeSet::new();
        let mut open = vec![member];
        while let Some(member) = open.pop() {
            for group in parents(self, member).iter().filter(|group| self.is_alive((**group).into())) {
                if seen.insert(*group) {
                    open.push((*group).into());
                }
            }
        }
        seen
    }

    /// What is purged is in no group any more.
    pub(super) fn leave_all_groups(&mut self, member: ObjectId) {
        for group in self.parents_of(member).clone() {
            self.cut(group, member);
        }
    }

    fn exists(&self, id: ObjectId) -> bool {
        match id {
            ObjectId::Person(id) => self.find_person(id).is_some(),
            ObjectId::Group(id) => self.find_group(id).is_some(),
        }
    }

    pub(super) fn cut(&mut self, group: GroupId, member: ObjectId) {
        if let Some(members) = self.groups.members.get_mut(&group) {
            members.remove(&member);
        }
        if let Some(parents) = self.groups.parents.get_mut(&member) {
            parents.remove(&group);
        }
    }

    pub(super) fn log_members(&mut self, group: GroupId, members: &[ObjectId], moved: Moved) {
        for some in members.chunks(MEMBERS_PER_CHANGE) {
            let members = some.iter().map(|member| (*member, moved)).collect();
            self.log_group(group, Touched::nothing(), members);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Changed, Hire};

    fn world() -> World {
        World::new(&crate::setup::Setup::default())
    }

    #[test]
    fn what_is_transitive_ends_though_groups_contain_each_other() {
        let mut world = world();
        let adele = world.hire(Hire::named("Adele Vance"));
        let [staff, retail, shops] = ["Staff", "Retail", "Shops"].map(|name| world.create_group(name));
        world.add_member(shops, adele);
        world.add_member(retail, shops);
        world.add_member(staff, retail);
        world.add_member(shops, staff);
        assert_eq!(world.transitive_groups_of(adele), BTreeSet::from([staff, retail, shops]));
        assert!(world.transitive_members(staff).contains(&adele.into()));
        assert!(world.transitive_members(staff).contains(&staff.into()), "it is in itself, by the circle");
        assert_eq!(world.groups_of(adele).collect::<Vec<_>>(), [shops]);
        world.soft_delete_group(retail);
        assert_eq!(world.transitive_groups_of(adele), BTreeSet::from([shops]));
        world.restore_group(retail);
        world.purge_group(shops);
        assert_eq!(world.transitive_groups_of(adele), BTreeSet::new());
    }

    #[test]
    fn membership_is_told_once_and_in_the_order_it_happened() {
        let mut world = world();
        let adele = world.hire(Hire::named("Adele Vance"));
        let staff = world.create_group("Staff");
        let before = world.last_change();
        world.add_member(staff, adele);
        world.add_member(staff, adele);
        world.remove_member(staff, adele);
        world.remove_member(staff, adele);
        let moved: Vec<_> = world
            .changes_since(before)
            .flat_map(|change| match &change.what {
                Changed::GroupUpdated { members, .. } => members.clone(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(moved, [(adele.into(), Moved::Added), (adele.into(), Moved::Removed)]);
    }
}
