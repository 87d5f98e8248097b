//! Groups: who is in one, what it is in, what kind of object an id is.
//!
//! No list is cast to one type: that would be an advanced query, answered from an index that lags behind the directory
//! (Graph, Advanced query capabilities). Rows of other types are left out here instead.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::json;

use super::{Reader, misfit, read};
use crate::entra::call::{At, Operation, Part};
use crate::entra::{Error, Link, wire};
use crate::event::ObjectId;
use crate::outbound::http::{Answer, Unreadable};

/// The largest page of a directory list (Graph, List users).
pub(super) const ROWS: &str = "$top=999";
/// A page of 999 names of 256 characters each, all of them escaped.
pub(super) const MEMBERSHIPS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Ids in one `getByIds` (Graph, directoryObject: getByIds).
const IDS_MAX: usize = 1000;

/// Base cost five, less one for `$select`.
const MEMBERS_LIST: Operation =
    Operation { word: "group_members.list", needs: "GroupMember.Read.All", cost: 4, ..Operation::READ };
const GROUP_GET: Operation =
    Operation { word: "group.get", needs: "GroupMember.Read.All", ..Operation::READ };
const ABOVE_LIST: Operation = Operation {
    word: "groups_above.list",
    needs: "GroupMember.Read.All",
    body_bytes_max: MEMBERSHIPS_BYTES_MAX,
    ..Operation::READ
};
const DIRECT_LIST: Operation = Operation {
    word: "direct_groups.list",
    needs: "User.Read.All GroupMember.Read.All",
    body_bytes_max: MEMBERSHIPS_BYTES_MAX,
    ..Operation::READ
};
/// Two with `$select`.
const KINDS_GET: Operation =
    Operation { word: "kinds.get", needs: "User.Read.All GroupMember.Read.All", cost: 2, ..Operation::READ };

/// One page of a list, and where the next one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<Link>,
}

/// A group in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupSeen {
    /// Deleted or never there.
    Gone,
    Present {
        display_name: Option<String>,
        /// The groups that it is in, nested ones included. Groups can form a circle: it may be among them itself.
        above: BTreeSet<ObjectId>,
    },
}

/// What an object id belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    User,
    Group,
    Other,
}

/// A group as people know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedGroup {
    pub id: ObjectId,
    /// `None` when we may not read it.
    pub display_name: Option<String>,
}

impl Reader {
    /// One page of the people in a group, those of nested groups included; the first without `from`.
    ///
    /// A page may be empty and another follow: its rows were groups or devices.
    ///
    /// # Errors
    /// [`Error::Gone`] when there is no such group, [`Error::ResyncNeeded`] when `from` is too old.
    pub async fn members_page(&self, group: ObjectId, from: Option<&Link>) -> Result<Page<ObjectId>, Error> {
        let path = format!("/groups/{group}/transitiveMembers?$select=id&{ROWS}");
        let at = from.map_or(At::Path(&path), At::Link);
        let answer = self.caller.get(MEMBERS_LIST, at).await?;
        let page: wire::Objects = read(MEMBERS_LIST, &answer)?;
        let people = of_kind(MEMBERS_LIST, &answer, &page.value, Kind::User)?;
        Ok(Page { items: people.map(wire::Object::id).collect(), next: page.next.map(Link::new) })
    }

    /// The group and all that it is nested in: who is in those groups changes with it.
    ///
    /// # Errors
    /// Whenever Graph has not said plainly whether the group is there, or may not tell.
    pub async fn group_above(&self, group: ObjectId) -> Result<GroupSeen, Error> {
        let parts = [
            Part { operation: GROUP_GET, path: format!("/groups/{group}?$select=id,displayName") },
            Part {
                operation: ABOVE_LIST,
                path: format!("/groups/{group}/transitiveMemberOf?$select=id&{ROWS}"),
            },
        ];
        let [itself, above] = self.caller.both(ABOVE_LIST, &parts).await?.answers;
        let (itself, above) = match (itself, above) {
            (Err(error), _) | (_, Err(error)) if error.is_gone() => return Ok(GroupSeen::Gone),
            (itself, above) => (itself?, above?),
        };
        let row: wire::Object = read(GROUP_GET, &itself)?;
        if row.id() != group {
            return Err(misfit(GROUP_GET, &itself, Unreadable::Shape));
        }
        let rows = self.rows(ABOVE_LIST, above.clone()).await?;
        let above = of_kind(ABOVE_LIST, &above, &rows, Kind::Group)?.map(wire::Object::id).collect();
        Ok(GroupSeen::Present { display_name: row.name(), above })
    }

    /// What each of these ids belongs to; those of nothing that lives are left out. A thousand cost one request.
    ///
    /// # Errors
    /// When any of the requests failed.
    pub async fn kinds_of(&self, ids: &[ObjectId]) -> Result<BTreeMap<ObjectId, Kind>, Error> {
        let mut kinds = BTreeMap::new();
        for some in ids.chunks(IDS_MAX) {
            let body = json!({ "ids": some });
            let at = At::Path("/directoryObjects/getByIds?$select=id");
            let answer = self.caller.ask(KINDS_GET, Method::POST, at, Some(&body)).await?;
            let found: wire::Objects = read(KINDS_GET, &answer)?;
            for row in &found.value {
                let kind = row.kind().ok_or_else(|| misfit(KINDS_GET, &answer, Unreadable::Shape))?;
                kinds.insert(row.id(), kind);
            }
        }
        Ok(kinds)
    }

    /// The groups that a person is in directly, to explain how they came to be in others.
    ///
    /// # Errors
    /// [`Error::Gone`] when the person is not among the users, [`Error::TooLong`] beyond twenty pages.
    pub async fn direct_groups(&self, person: ObjectId) -> Result<Vec<NamedGroup>, Error> {
        self.named(&format!("/users/{person}/memberOf?$select=id,displayName&{ROWS}")).await
    }

    /// The groups that a group is in directly.
    ///
    /// # Errors
    /// As [`Reader::direct_groups`].
    pub async fn parents(&self, group: ObjectId) -> Result<Vec<NamedGroup>, Error> {
        self.named(&format!("/groups/{group}/memberOf?$select=id,displayName&{ROWS}")).await
    }

    async fn named(&self, path: &str) -> Result<Vec<NamedGroup>, Error> {
        let answer = self.caller.get(DIRECT_LIST, At::Path(path)).await?;
        let rows = self.rows(DIRECT_LIST, answer.clone()).await?;
        let groups = of_kind(DIRECT_LIST, &answer, &rows, Kind::Group)?;
        Ok(groups.map(|row| NamedGroup { id: row.id(), display_name: row.name() }).collect())
    }
}

/// The rows of one kind. A row whose kind is not told could be one of them: the list is not believed then.
fn of_kind<'a>(
    operation: Operation,
    answer: &Answer,
    rows: &'a [wire::Object],
    kind: Kind,
) -> Result<impl Iterator<Item = &'a wire::Object>, Error> {
    if rows.iter().any(|row| row.kind().is_none()) {
        return Err(misfit(operation, answer, Unreadable::Shape));
    }
    Ok(rows.iter().filter(move |row| row.kind() == Some(kind)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::http::Body;

    #[test]
    fn only_rows_of_the_kind_are_taken_and_one_without_a_kind_spoils_the_list() {
        let answer = Answer {
            status: reqwest::StatusCode::OK,
            headers: Default::default(),
            body: Body::Whole(Default::default()),
        };
        let id = |last: u8| format!("87d349ed-44d7-43e1-9a83-5f2406dee5{last:02x}");
        let mut rows: Vec<wire::Object> = serde_json::from_value(json!([
            { "@odata.type": "#microsoft.graph.user", "id": id(1) },
            { "@odata.type": "#microsoft.graph.group", "id": id(2), "displayName": null },
            { "@odata.type": "#microsoft.graph.device", "id": id(3) },
        ]))
        .unwrap();
        let people: Vec<ObjectId> =
            of_kind(MEMBERS_LIST, &answer, &rows, Kind::User).unwrap().map(wire::Object::id).collect();
        assert_eq!(people, [ObjectId(id(1).parse().unwrap())]);
        rows.push(serde_json::from_value(json!({ "id": id(4) })).unwrap());
        assert!(of_kind(MEMBERS_LIST, &answer, &rows, Kind::User).is_err());
    }
}
