//! What has changed in the directory since a link was given out (Graph, Delta query overview; user: delta; group: delta).
//!
//! Rows come in any order, more than once, and may be replayed: each only says "look at this". A page may be empty and
//! another follow.

use std::collections::BTreeSet;

use super::profile::fewer;
use super::{Reader, misfit, read};
use crate::entra::call::{At, Operation};
use crate::entra::{Error, Link, wire};
use crate::event::ObjectId;
use crate::outbound::http::Unreadable;

/// The service chooses how large a page is. Eight MiB are eight thousand users with a dozen properties each, or eighty
/// thousand memberships.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
const USERS_DELTA: Operation = Operation {
    word: "users.delta",
    needs: "User.Read.All",
    body_bytes_max: PAGE_BYTES_MAX,
    ..Operation::READ
};
const GROUPS_DELTA: Operation = Operation {
    word: "groups.delta",
    needs: "GroupMember.Read.All",
    body_bytes_max: PAGE_BYTES_MAX,
    ..Operation::READ
};
/// Tracked of everybody, whatever the policy maps: what decides about scope, lockout and look-alikes.
const ALWAYS: [&str; 4] = ["accountEnabled", "userType", "userPrincipalName", "mail"];
const SWITCH: &str = "accountEnabled";

/// Whose changes are followed. A property that is not named here changes without a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tracked {
    /// With these properties beside the ones that always count; `manager` may be among them.
    Users { properties: BTreeSet<String> },
    /// Nothing of users but whether they may sign in, and whether they are there: few rows, however much else changes.
    Switches,
    /// Nothing but who is there: to list everybody.
    Presence,
    /// Names and direct members.
    Groups,
}

/// Where to read on. Links belong to what they were given out for, its properties included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeltaFrom {
    /// Everything there is, then its changes.
    Start,
    /// Nothing of what there is: changes from now on.
    Latest,
    Link(Link),
}

/// One page of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaPage {
    pub rows: Vec<DeltaRow>,
    pub then: Then,
    /// Properties that were asked for and that the links do not track, because Graph refuses them. Told where a round
    /// begins.
    pub untracked: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// There is more now.
    More(Link),
    /// This was all; the link is for next time, within seven days.
    Done(Link),
}

/// One object that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaRow {
    pub id: ObjectId,
    pub change: Change,
    /// Whether a user may sign in, where the row says so.
    pub enabled: Option<bool>,
    /// Direct members of a group that came or went, of any kind. A large group is spread over several rows and pages.
    pub members: Vec<(ObjectId, Membership)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Made, changed or restored.
    Changed,
    /// Restorable for 30 days.
    SoftDeleted,
    Purged,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    Added,
    Removed,
}

impl Reader {
    /// One page; memory does not grow with the directory. What begins with properties that Graph refuses begins with fewer.
    ///
    /// # Errors
    /// [`Error::ResyncNeeded`] when the link is no longer known: then everything has to be read again.
    pub async fn delta(&self, what: &Tracked, from: &DeltaFrom) -> Result<DeltaPage, Error> {
        let mut page = self.page(what, from).await;
        let Tracked::Users { properties } = what else { return page };
        let mut tracked = properties.clone();
        while !matches!(from, DeltaFrom::Link(_))
            && let Err(error) = &page
            && let Some(fewer) = fewer(&tracked, error)
        {
            tracing::warn!("not every property that the policy maps can be followed: {error}");
            tracked = fewer.clone();
            page = self.page(&Tracked::Users { properties: fewer }, from).await;
        }
        page.map(|page| DeltaPage { untracked: properties.difference(&tracked).cloned().collect(), ..page })
    }

    /// Whether Graph tells exactly these properties of users.
    ///
    /// # Errors
    /// [`Error::Refused`] when users do not have one of them.
    pub async fn tells(&self, properties: BTreeSet<String>) -> Result<(), Error> {
        self.page(&Tracked::Users { properties }, &DeltaFrom::Latest).await.map(drop)
    }

    async fn page(&self, what: &Tracked, from: &DeltaFrom) -> Result<DeltaPage, Error> {
        let operation = what.operation();
        let path = what.path(from);
        let at = match from {
            DeltaFrom::Link(link) => At::Link(link),
            DeltaFrom::Start | DeltaFrom::Latest => At::Path(&path),
        };
        let answer = self.caller.get(operation, at).await?;
        let page: wire::delta::Page = read(operation, &answer)?;
        let (page, unreadable) =
            page.understood().ok_or_else(|| misfit(operation, &answer, Unreadable::Shape))?;
        if unreadable > 0 {
            tracing::warn!(
                operation = operation.word,
                unreadable,
                "changes without a readable id were left out"
            );
        }
        Ok(page)
    }
}

impl Tracked {
    fn operation(&self) -> Operation {
        match self {
            Tracked::Users { .. } | Tracked::Switches | Tracked::Presence => USERS_DELTA,
            Tracked::Groups => GROUPS_DELTA,
        }
    }

    fn path(&self, from: &DeltaFrom) -> String {
        let latest = if *from == DeltaFrom::Latest { "&$deltatoken=latest" } else { "" };
        match self {
            Tracked::Users { properties } => {
                let more = properties.iter().filter(|name| !ALWAYS.contains(&name.as_str()));
                let more = more.filter_map(|name| crate::outbound::segment(name));
                let select = ALWAYS.into_iter().map(str::to_owned).chain(more).collect::<Vec<_>>().join(",");
                format!("/users/delta?$select={select}{latest}")
            }
            Tracked::Switches => format!("/users/delta?$select={SWITCH}{latest}"),
            Tracked::Presence => format!("/users/delta?$select=id{latest}"),
            Tracked::Groups => format!("/groups/delta?$select=displayName,members{latest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tracked_is_selected_and_latest_starts_from_now() {
        let properties = ["department", "mail", "manager"].map(str::to_owned).into();
        let users = Tracked::Users { properties };
        let start = "/users/delta?$select=accountEnabled,userType,userPrincipalName,mail,department,manager";
        assert_eq!(users.path(&DeltaFrom::Start), start);
        assert_eq!(users.path(&DeltaFrom::Latest), format!("{start}&$deltatoken=latest"));
        assert_eq!(Tracked::Switches.path(&DeltaFrom::Start), "/users/delta?$select=accountEnabled");
        assert_eq!(Tracked::Presence.path(&DeltaFrom::Start), "/users/delta?$select=id");
        assert_eq!(Tracked::Groups.path(&DeltaFrom::Start), "/groups/delta?$select=displayName,members");
    }
}
