//! Which of some groups a person is in, asked in another way than by a list of memberships.
//!
//! A list may come short: a page is missing, a link is, or a permission, and all of that is a 200. These calls have no
//! pages, and are refused where the permission is missing (Graph, directoryObject: getMemberGroups, checkMemberGroups).

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::groups::MEMBERSHIPS_BYTES_MAX;
use super::{Reader, misfit, read};
use crate::entra::call::{At, Operation};
use crate::entra::{Error, wire};
use crate::event::ObjectId;
use crate::outbound::http::Unreadable;

const MEMBER_GROUPS_GET: Operation = Operation {
    word: "member_groups.get",
    needs: "User.Read.All GroupMember.Read.All",
    cost: 2,
    body_bytes_max: MEMBERSHIPS_BYTES_MAX,
    ..Operation::READ
};
const MEMBER_GROUPS_CHECK: Operation = Operation {
    word: "member_groups.check",
    needs: "User.Read.All GroupMember.Read.All",
    cost: 4,
    ..Operation::READ
};
/// How Graph says that somebody is in more than 2,046 groups (same page).
const TOO_MANY: &str = "Directory_ResultSizeLimitExceeded";
/// Groups in one `checkMemberGroups`.
const CHECKED_MAX: usize = 20;

impl Reader {
    /// Those among `groups` that the person is in, nested ones included: one request, and one more for every twenty of
    /// them where the person is in more than 2,046 groups of any kind.
    ///
    /// # Errors
    /// Whenever Graph has not answered plainly; [`Error::Gone`] when the person is not among the users.
    pub async fn within(
        &self,
        person: ObjectId,
        groups: &BTreeSet<ObjectId>,
    ) -> Result<BTreeSet<ObjectId>, Error> {
        let path = format!("/users/{person}/getMemberGroups");
        let body = json!({ "securityEnabledOnly": false });
        match self.ids(MEMBER_GROUPS_GET, &path, &body).await {
            Ok(found) => Ok(found.intersection(groups).copied().collect()),
            Err(Error::Refused { code, .. }) if code == TOO_MANY => self.checked(person, groups).await,
            Err(error) => Err(error),
        }
    }

    async fn checked(
        &self,
        person: ObjectId,
        groups: &BTreeSet<ObjectId>,
    ) -> Result<BTreeSet<ObjectId>, Error> {
        let path = format!("/users/{person}/checkMemberGroups");
        let groups: Vec<&ObjectId> = groups.iter().collect();
        let mut within = BTreeSet::new();
        for some in groups.chunks(CHECKED_MAX) {
            within.extend(self.ids(MEMBER_GROUPS_CHECK, &path, &json!({ "groupIds": some })).await?);
        }
        Ok(within)
    }

    async fn ids(&self, operation: Operation, path: &str, body: &Value) -> Result<BTreeSet<ObjectId>, Error> {
        let answer = self.caller.ask(operation, Method::POST, At::Path(path), Some(body)).await?;
        let ids: wire::Ids = read(operation, &answer)?;
        match ids.next {
            None => Ok(ids.value.into_iter().map(ObjectId).collect()),
            Some(_) => Err(misfit(operation, &answer, Unreadable::Shape)),
        }
    }
}
