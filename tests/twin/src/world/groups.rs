//! Security groups and the directory roles beside them: created, renamed, deleted, restored. Who is in them is the matter
//! of [`members`](super::members).

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

#[derive(Default)]
pub(super) struct Groups {
    by_id: BTreeMap<GroupId, Group>,
    pub(super) members: HashMap<GroupId, BTreeSet<ObjectId>>,
    pub(super) parents: HashMap<ObjectId, BTreeSet<GroupId>>,
    roles: Vec<DirectoryRole>,
}

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

    fn change_group(&mut self, id: GroupId, touched: Touched, change: impl FnOnce(&mut Group)) {
        self.hold_group(id);
        let group = self.groups.by_id.get_mut(&id);
        change(group.unwrap_or_else(|| panic!("no group has the object id {id}")));
        self.log_group(id, touched, Vec::new());
    }

    pub(super) fn log_group(&mut self, id: GroupId, touched: Touched, members: Vec<(ObjectId, Moved)>) {
        self.changes.write(Changed::GroupUpdated { id, touched, members });
    }
}

impl Group {
    /// A further property as text, if it is set.
    pub fn text(&self, property: &str) -> Option<&str> {
        self.properties.get(property).and_then(Value::as_str)
    }
}
