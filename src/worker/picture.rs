//! Reads both sides afresh to keep one person in step, as little as the look needs.
//!
//! On the warm path that is one request to Graph and one to Auth0: the person's properties and groups come together, and
//! an account that is known is read by its id. Everything else (a search for accounts, roles, organizations, look-alikes)
//! is read when the plan asks for the whole picture, and Graph is asked a second time where the plan rests on a group that
//! the first answer did not name.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;

use super::look::{Scope, Trouble};
use crate::auth0;
use crate::case::{AccountId, Case, CaseState, Means};
use crate::clock::Timestamp;
use crate::entra;
use crate::event::{Event, Subject};
use crate::policy::Policy;
use crate::policy::sync::{Link, Method};
use crate::retry::WhatNow;
use crate::snapshot::sync::{
    CaseAbout, Depth, Groups, GroupsTold, Holding, LookAlike, OpenCase, OrganizationId, Remembered,
    SyncSnapshot, Tenant,
};
use crate::snapshot::{Access, Account, AccountsSeen, RiskView, Snapshot};
use crate::store::{self, Store};

/// What the store knows before a look.
pub(super) struct Known {
    pub case: Option<Case>,
    pub links: Vec<AccountId>,
    pub remembered: Option<Remembered>,
}

impl Known {
    /// Whether there may be an account that Lockstep has seen.
    pub(super) fn is_somebody(&self) -> bool {
        self.case.is_some() || !self.links.is_empty() || self.remembered.is_some()
    }

    pub(super) async fn read(store: &dyn Store, subject: Subject) -> Result<Known, store::Error> {
        let (case, links, remembered) =
            tokio::join!(store.open_case(subject), store.links(subject), store.person(subject));
        Ok(Known { case: case?, links: links?, remembered: remembered? })
    }
}

/// What was read, and which links lead nowhere any more.
pub(super) struct Picture {
    pub snapshot: SyncSnapshot,
    pub gone_links: BTreeSet<AccountId>,
    /// Why the part that only keeping in step needs is not whole. Whether somebody must be contained can be told without.
    pub missing: Option<Trouble>,
}

/// What reads both sides: no writer among them.
#[derive(Clone, Copy)]
pub(super) struct Eyes<'a> {
    pub entra: &'a entra::Reader,
    pub auth0: &'a auth0::Reader,
}

/// Properties that are read of everybody: who they are, and what provisioning is made of.
pub(super) fn properties(policy: &Policy) -> BTreeSet<String> {
    policy.properties().into_iter().map(str::to_owned).collect()
}

pub(super) async fn read(
    eyes: Eyes<'_>,
    subject: Subject,
    policy: &Policy,
    known: &Known,
    depth: Depth,
    asked_at: Timestamp,
) -> Result<Picture, Trouble> {
    let properties = properties(policy);
    let (seen, tenant, accounts) = tokio::join!(
        seen(eyes, subject, policy, &properties),
        tenant(eyes, policy),
        accounts(eyes, subject, known, depth),
    );
    let seen = seen.map_err(|error| Trouble::from_graph(&error))?;
    let (tenant, mut missing) = match tenant {
        Ok(tenant) => (tenant, None),
        Err(error) => (Tenant::default(), Some(Trouble::from_auth0(&error))),
    };
    let (accounts, gone_links) = accounts.map_err(|error| Trouble::from_auth0(&error))?;
    let mut snapshot = SyncSnapshot {
        subject,
        depth,
        directory: seen.directory,
        profile: seen.profile,
        groups: seen.groups,
        groups_told: told_by_the_list(policy),
        accounts,
        accounts_seen: AccountsSeen::All,
        look_alikes: BTreeMap::new(),
        tenant,
        case: known.case.as_ref().map(open_case),
        remembered: known.remembered.clone(),
        asked_at,
        means: Means::RevokeAccess,
    };
    if depth == Depth::Full && missing.is_none() {
        missing = complete(eyes, policy, &mut snapshot).await.err();
    }
    Ok(Picture { snapshot, gone_links, missing })
}

/// Reads what a look without a search has left out.
pub(super) async fn widen(
    eyes: Eyes<'_>,
    policy: &Policy,
    known: &Known,
    picture: &mut Picture,
) -> Result<(), Trouble> {
    let subject = picture.snapshot.subject;
    let found = accounts(eyes, subject, known, Depth::Full).await;
    let (accounts, gone_links) = found.map_err(|error| Trouble::from_auth0(&error))?;
    picture.snapshot.depth = Depth::Full;
    picture.snapshot.accounts = accounts;
    picture.gone_links.extend(gone_links);
    complete(eyes, policy, &mut picture.snapshot).await
}

/// Reads the person and the groups anew.
pub(super) async fn see_again(
    eyes: Eyes<'_>,
    policy: &Policy,
    snapshot: &mut SyncSnapshot,
) -> Result<(), Trouble> {
    let seen = seen(eyes, snapshot.subject, policy, &properties(policy)).await;
    let seen = seen.map_err(|error| Trouble::from_graph(&error))?;
    (snapshot.directory, snapshot.profile, snapshot.groups) = (seen.directory, seen.profile, seen.groups);
    snapshot.groups_told = told_by_the_list(policy);
    Ok(())
}

/// Asks in another way for the policy's groups that the list did not name.
pub(super) async fn ask_for_groups(
    eyes: Eyes<'_>,
    policy: &Policy,
    snapshot: &mut SyncSnapshot,
) -> Result<(), Trouble> {
    let Groups::Known(listed) = &snapshot.groups else { return Ok(()) };
    let unnamed = policy.groups().difference(listed).copied().collect();
    match eyes.entra.within(snapshot.subject.object, &unnamed).await {
        Ok(within) if within.is_empty() => snapshot.groups_told = GroupsTold::Twice,
        Ok(_) => {
            let why =
                "graph memberships.get: the list lacks a group that Graph names when asked in another way";
            snapshot.groups = Groups::Unread(why.into());
            snapshot.groups_told = GroupsTold::Differently;
        }
        // Deleted in between, and told of as such.
        Err(error) if error.is_gone() => {
            return Err(Trouble { now: WhatNow::BackOff, scope: Scope::Person, why: error.to_string() });
        }
        Err(error) if error.is_answer() => snapshot.groups = Groups::Unread(error.to_string()),
        Err(error) => return Err(Trouble::from_graph(&error)),
    }
    Ok(())
}

/// Reads roles and organizations where they are not read, and look-alikes.
pub(super) async fn complete(
    eyes: Eyes<'_>,
    policy: &Policy,
    snapshot: &mut SyncSnapshot,
) -> Result<(), Trouble> {
    let managed: BTreeSet<OrganizationId> = snapshot.tenant.organizations.values().cloned().collect();
    let manages = !policy.roles.is_empty() || !managed.is_empty();
    let unread = snapshot.accounts.values_mut().filter(|holding| manages && holding.roles.is_none());
    let read = try_join_all(unread.map(|holding| memberships(eyes, holding, &managed)));
    read.await.map_err(|error| Trouble::from_auth0(&error))?;
    let found = look_alikes(eyes, policy, snapshot).await;
    snapshot.look_alikes = found.map_err(|error| Trouble::from_auth0(&error))?;
    Ok(())
}

fn told_by_the_list(policy: &Policy) -> GroupsTold {
    if policy.groups().is_empty() { GroupsTold::Twice } else { GroupsTold::Once }
}

/// The same picture as containment sees it, of somebody who has no case.
pub(super) fn as_containment(seen: &SyncSnapshot, asks: Vec<Event>) -> Snapshot {
    let account = |(id, holding): (&AccountId, &Holding)| {
        let (blocked, stamp) = (holding.blocked, holding.stamp.clone());
        (id.clone(), Account { id: id.clone(), blocked, stamp, access: Access::default(), email: None })
    };
    Snapshot {
        subject: seen.subject,
        asks,
        directory: seen.directory.clone(),
        risk: RiskView::Unread("not asked".into()),
        accounts: seen.accounts.iter().map(account).collect(),
        accounts_seen: AccountsSeen::All,
        look_alikes: None,
        case: None,
        last_not_acted: None,
        released: Vec::new(),
        recent_containments: 0,
        token_lifetime_seconds: None,
        means: seen.means,
    }
}

/// Where the policy names no group, nobody is in any that matters.
async fn seen(
    eyes: Eyes<'_>,
    subject: Subject,
    policy: &Policy,
    properties: &BTreeSet<String>,
) -> Result<entra::Seen, entra::Error> {
    if !policy.groups().is_empty() {
        return eyes.entra.profile(subject.object, properties).await;
    }
    let seen = eyes.entra.profile_without_groups(subject.object, properties).await?;
    Ok(entra::Seen { groups: Groups::Known(BTreeSet::new()), ..seen })
}

/// An account after something was written to it, or that was made.
pub(super) async fn holding(eyes: Eyes<'_>, id: &AccountId) -> Result<Option<Holding>, Trouble> {
    eyes.auth0.holding(id).await.map_err(|error| Trouble::from_auth0(&error))
}

async fn memberships(
    eyes: Eyes<'_>,
    holding: &mut Holding,
    managed: &BTreeSet<OrganizationId>,
) -> Result<(), auth0::Error> {
    let (roles, organizations) = tokio::join!(eyes.auth0.roles_of(&holding.id), async {
        match managed.is_empty() {
            true => Ok(BTreeMap::new()),
            false => eyes.auth0.organizations_of(&holding.id, managed).await,
        }
    });
    (holding.roles, holding.organizations) = (Some(roles?), Some(organizations?));
    Ok(())
}

pub(super) async fn tenant(eyes: Eyes<'_>, policy: &Policy) -> Result<Tenant, auth0::Error> {
    eyes.auth0.tenant(&names(policy)).await
}

/// Roles and organizations as the policy names them.
pub fn names(policy: &Policy) -> auth0::Names {
    let in_organizations = policy.organizations.iter().flat_map(|organization| &organization.roles);
    let roles = policy.roles.iter().chain(in_organizations).map(|rule| rule.role.clone()).collect();
    let organizations = policy.organizations.iter().map(|rule| rule.organization.clone()).collect();
    auth0::Names { roles, organizations }
}

/// By id where they are known; searched for where everything is asked or nothing is known.
async fn accounts(
    eyes: Eyes<'_>,
    subject: Subject,
    known: &Known,
    depth: Depth,
) -> Result<(BTreeMap<AccountId, Holding>, BTreeSet<AccountId>), auth0::Error> {
    let mut ids: BTreeSet<AccountId> = known.links.iter().cloned().collect();
    if depth == Depth::Full || ids.is_empty() {
        ids.extend(eyes.auth0.accounts_of(subject.object).await?);
    }
    let (mut found, mut gone) = (BTreeMap::new(), BTreeSet::new());
    let read = try_join_all(ids.iter().map(|id| eyes.auth0.holding(id))).await?;
    for (id, holding) in ids.iter().zip(read) {
        match holding {
            Some(holding) => drop(found.insert(id.clone(), holding)),
            None => drop(gone.insert(id.clone())),
        }
    }
    for id in &gone {
        // It may have been linked into another account, which is then the one to keep.
        let Some(holder) = eyes.auth0.holder_of(id).await? else { continue };
        if let Some(holding) = eyes.auth0.holding(&holder).await? {
            found.insert(holder, holding);
        }
    }
    Ok((found, gone))
}

async fn look_alikes(
    eyes: Eyes<'_>,
    policy: &Policy,
    snapshot: &SyncSnapshot,
) -> Result<BTreeMap<AccountId, LookAlike>, auth0::Error> {
    let matters = policy.provision.method != Method::FirstLogin || policy.provision.link != Link::Never;
    let Some(mail) = snapshot.profile.text("mail").filter(|_| matters) else { return Ok(BTreeMap::new()) };
    let same = eyes.auth0.accounts_with_email(mail).await?;
    let ours = |id: &AccountId| {
        snapshot.accounts.contains_key(id)
            || snapshot.accounts.values().any(|holding| holding.absorbed.contains(id))
    };
    Ok(same.into_iter().filter(|other| !ours(&other.id)).map(|other| (other.id.clone(), other)).collect())
}

fn open_case(case: &Case) -> OpenCase {
    let verified = case.state == CaseState::Verified && case.is_blocking();
    let about =
        if verified && case.is_about_deletion() { CaseAbout::DeletionVerified } else { CaseAbout::Other };
    let counts_from = case.deletion_told_at().unwrap_or(case.opened_at);
    OpenCase { id: case.id, counts_from, about }
}

impl Trouble {
    pub(super) fn from_graph(error: &entra::Error) -> Trouble {
        Trouble { why: error.to_string(), now: error.what_now(), scope: Scope::Graph }
    }
}
