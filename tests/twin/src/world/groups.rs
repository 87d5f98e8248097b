//! Security groups and their members: people and other groups. Entra lets groups contain each other in a circle, so
//! everything transitive is a walk that remembers where it has been.
//!
//! Both directions are kept, so that neither a group of fifty thousand nor a person in hundreds of groups costs a walk
//! through everybody. Deleted objects keep their places while they can be restored, and are shown to nobody.

use super::World;
use super::changes::{Changed, Moved, Touched};
use super::people::PersonId;
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::Bound::{Excluded, Unbounded};
use std::str::FromStr;
use uuid::Uuid;

/// The Entra object id of a group. Shows as the lower-case GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(Uuid);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for GroupId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<GroupId, uuid::Error> {
        Uuid::try_parse(text).map(GroupId)
    }
}

impl GroupId {
    /// A fresh object id that no group has.
    pub fn nothing() -> GroupId {
        GroupId(uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid())
    }
}

/// Somebody or something that can be a member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectId {
    Person(PersonId),
    Group(GroupId),
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectId::Person(id) => id.fmt(f),
            ObjectId::Group(id) => id.fmt(f),
        }
    }
}

impl From<PersonId> for ObjectId {
    fn from(id: PersonId) -> ObjectId {
        ObjectId::Person(id)
    }
}

impl From<GroupId> for ObjectId {
    fn from(id: GroupId) -> ObjectId {
        ObjectId::Group(id)
    }
}

/// One Entra group, deleted ones included until they are purged.
#[derive(Debug, Clone)]
pub struct Group {
    pub id: GroupId,
    pub display_name: String,
    pub created: Timestamp,
    /// Set while the group is in the directory's deleted items.
    pub deleted: Option<Timestamp>,
    /// Further Graph properties by their own names (`description`, `mailNickname`…).
    pub properties: Map<String, Value>,
}

/// A directory role that people hold: not a group, and yet listed among the memberships (Graph, List a user's direct
/// memberships: groups, directory roles and administrative units).
#[derive(Debug, Clone)]
pub(crate) struct DirectoryRole {
    pub id: String,
    pub display_name: String,
    pub holders: BTreeSet<PersonId>,
}

/// Members that one change adds or removes at most (Graph, Add members: up to 20 in a single request).
const MEMBERS_PER_CHANGE: usize = 20;

#[derive(Default)]
pub(super) struct Groups {
    by_id: BTreeMap<GroupId, Group>,
    members: HashMap<GroupId, BTreeSet<ObjectId>>,
    parents: HashMap<ObjectId, BTreeSet<GroupId>>,
    roles: Vec<DirectoryRole>,
}

/// What nothing is in, and what is in nothing.
static NO_MEMBERS: BTreeSet<ObjectId> = BTreeSet::new();
static NO_GROUPS: BTreeSet<GroupId> = BTreeSet::new();

impl World {
    /// Creates a security group without members. Names need not be unique in Entra.
    pub fn create_group(&mut self, name: &str) -> GroupId {
        let id = GroupId::nothing();
        self.create_group_as(id, name);
        id
    }

    /// Like [`World::create_group`], with a chosen object id. Panics if it is taken.
    pub fn create_group_as(&mut self, id: GroupId, name: &str) {
        self.hold_group(id);
        let group = Group {
            id,
            display_name: name.to_owned(),
            created: Timestamp::now(),
            deleted: None,
            properties: Map::new(),
        };
        let taken = self.groups.by_id.insert(id, group);
        assert!(taken.is_none(), "the object id {id} is taken");
        self.log_group(id, Touched::Everything, Vec::new());
    }

    /// The group, deleted or not. Panics if never created or purged.
    pub fn group(&self, id: GroupId) -> &Group {
        self.find_group(id).unwrap_or_else(|| panic!("no group has the object id {id}"))
    }

    /// The group, deleted or not.
    pub fn find_group(&self, id: GroupId) -> Option<&Group> {
        self.groups.by_id.get(&id)
    }

    /// Every group, deleted ones included, in the order of their ids.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.by_id.values()
    }

    pub(crate) fn groups_after(&self, id: Option<GroupId>) -> impl Iterator<Item = &Group> {
        let after = id.map_or(Unbounded, Excluded);
        self.groups.by_id.range((after, Unbounded)).map(|(_, group)| group)
    }

    pub fn rename_group(&mut self, id: GroupId, name: &str) {
        self.change_group(id, Touched::property("displayName"), |group| group.display_name = name.to_owned());
    }

    /// Sets a Graph property of the group (`description`…); `Value::Null` clears it.
    pub fn set_group_property(&mut self, id: GroupId, name: &str, value: Value) {
        self.change_group(id, Touched::property(name), |group| {
            group.properties.insert(name.to_owned(), value);
        });
    }

    /// Deletes the group into the directory's deleted items. Its members stay with it, unseen.
    pub fn soft_delete_group(&mut self, id: GroupId) {
        self.change_group(id, Touched::Everything, |group| group.deleted = Some(Timestamp::now()));
    }

    /// Brings a soft-deleted group back with its members: it appears as new (Graph, Delta query overview).
    pub fn restore_group(&mut self, id: GroupId) {
        self.change_group(id, Touched::Everything, |group| group.deleted = None);
        let members: Vec<ObjectId> = self.members(id).collect();
        self.log_members(id, &members, Moved::Added);
    }

    /// Purges the group.
    pub fn purge_group(&mut self, id: GroupId) {
        self.hold_group(id);
        if self.groups.by_id.remove(&id).is_some() {
            let members: Vec<ObjectId> = self.members(id).collect();
            members.into_iter().for_each(|member| self.cut(id, member));
            self.leave_all_groups(id.into());
            self.changes.write(Changed::GroupDeleted(id));
        }
    }

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

    /// Gives a person a directory role, which is listed among the memberships and is no group.
    pub fn give_directory_role(&mut self, person: PersonId, name: &str) {
        self.person(person);
        let known = self.groups.roles.iter().position(|role| role.display_name == name);
        let index = known.unwrap_or_else(|| {
            let id = GroupId::nothing().to_string();
            self.groups.roles.push(DirectoryRole {
                id,
                display_name: name.to_owned(),
                holders: BTreeSet::new(),
            });
            self.groups.roles.len() - 1
        });
        self.groups.roles[index].holders.insert(person);
    }

    pub(crate) fn directory_role_name(&self, id: &str) -> Option<&str> {
        let role = self.groups.roles.iter().find(|role| role.id == id);
        role.map(|role| role.display_name.as_str())
    }

    pub(crate) fn directory_roles_of(&self, person: PersonId) -> impl Iterator<Item = &DirectoryRole> {
        self.groups.roles.iter().filter(move |role| role.holders.contains(&person))
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

    fn cut(&mut self, group: GroupId, member: ObjectId) {
        if let Some(members) = self.groups.members.get_mut(&group) {
            members.remove(&member);
        }
        if let Some(parents) = self.groups.parents.get_mut(&member) {
            parents.remove(&group);
        }
    }

    fn change_group(&mut self, id: GroupId, touched: Touched, change: impl FnOnce(&mut Group)) {
        self.hold_group(id);
        let group = self.groups.by_id.get_mut(&id);
        change(group.unwrap_or_else(|| panic!("no group has the object id {id}")));
        self.log_group(id, touched, Vec::new());
    }

    fn log_members(&mut self, group: GroupId, members: &[ObjectId], moved: Moved) {
        for some in members.chunks(MEMBERS_PER_CHANGE) {
            let members = some.iter().map(|member| (*member, moved)).collect();
            self.log_group(group, Touched::nothing(), members);
        }
    }

    fn log_group(&mut self, id: GroupId, touched: Touched, members: Vec<(ObjectId, Moved)>) {
        self.changes.write(Changed::GroupUpdated { id, touched, members });
    }
}

impl Group {
    /// A further property as text, if it is set.
    pub fn text(&self, property: &str) -> Option<&str> {
        self.properties.get(property).and_then(Value::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Hire;

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
