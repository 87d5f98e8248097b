//! Entra and Auth0 for one person, as small as they can be and still misbehave.
//!
//! Plain state with verbs. Auth0 refuses what the tenant's plan does not include, deletes sessions late, and can lose a
//! reply before or after the write. Sign-ins respect blocks; a block by somebody else carries no stamp. The world
//! itself panics when somebody else's block is written over, because no history may ever lead there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::scene::{Scene, id, person};
use crate::action::{Action, Outcome};
use crate::case::also::Extra;
use crate::case::{AccountId, CaseId, Means};
use crate::clock::{self, Timestamp};
use crate::policy::Policy;
use crate::retry::WhatNow;
use crate::snapshot::{Access, Account, AccountsSeen, Blocked, Count, Directory, RiskView, Snapshot, Stamp};

/// What the tenant's plan and Auth0's pace are, for the whole of a history.
#[derive(Debug, Clone)]
pub(super) struct Tenant {
    /// The first means that is not refused.
    pub allows: Means,
    pub listing: Listing,
    /// What its plan, or our permissions, do not let us end.
    pub refuses: BTreeSet<Extra>,
    /// How long Auth0 takes to delete what it has accepted to delete.
    pub deletes_within: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    InPlan,
    NotInPlan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Graph {
    Answers,
    Away,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Auth0 {
    Answers,
    SearchAway,
    /// Whatever is asked about this account fails.
    AccountAway(&'static str),
    Away,
}

/// A write whose reply does not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    BeforeTheWrite,
    AfterTheWrite,
}

#[derive(Debug, Clone)]
pub(super) struct World {
    pub now: Timestamp,
    pub scene: Scene,
    pub tenant: Tenant,
    pub accounts: BTreeMap<AccountId, InAuth0>,
    pub graph: Graph,
    pub auth0: Auth0,
    pub lost: VecDeque<Lost>,
    /// Every write that took effect.
    pub journal: Vec<Action>,
}

/// An account as Auth0 has it. What was born lives until its time, when there is one.
#[derive(Debug, Clone, Default)]
pub(super) struct InAuth0 {
    pub blocked_by: BlockedBy,
    pub stamp: Option<CaseId>,
    pub sessions: Vec<Option<Timestamp>>,
    pub grants: Vec<Option<Timestamp>>,
    pub token_sets: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum BlockedBy {
    #[default]
    Nobody,
    Us,
    SomebodyElse,
}

impl World {
    pub fn new(tenant: Tenant, accounts: &[&str]) -> World {
        let scene = person("anna");
        let accounts = accounts.iter().map(|account| (id(account), InAuth0::default())).collect();
        let (graph, auth0) = (Graph::Answers, Auth0::Answers);
        World {
            now: scene.now,
            scene,
            tenant,
            accounts,
            graph,
            auth0,
            lost: VecDeque::new(),
            journal: Vec::new(),
        }
    }

    pub fn policy(&self) -> &Policy {
        &self.scene.policy
    }

    pub fn wait(&mut self, wait: Duration) {
        self.now = clock::after(self.now, wait);
        for account in self.accounts.values_mut() {
            let lives = |dies_at: &Option<Timestamp>| dies_at.is_none_or(|dies_at| dies_at > self.now);
            account.sessions.retain(lives);
            account.grants.retain(lives);
        }
    }

    pub fn end_all_faults(&mut self) {
        (self.graph, self.auth0) = (Graph::Answers, Auth0::Answers);
        self.lost.clear();
    }
}

/// What happens to an account; nothing, when it is not there.
impl World {
    pub fn signs_in(&mut self, account: &AccountId) {
        let Some(account) = self.accounts.get_mut(account) else { return };
        if account.blocked_by == BlockedBy::Nobody {
            account.sessions.push(None);
            account.grants.push(None);
            account.token_sets += 1;
        }
    }

    /// Nobody can tell a block over our own stamp from ours, so somebody else only blocks what carries none.
    pub fn somebody_blocks(&mut self, account: &AccountId) {
        let Some(account) = self.accounts.get_mut(account) else { return };
        if account.blocked_by == BlockedBy::Nobody && account.stamp.is_none() {
            account.blocked_by = BlockedBy::SomebodyElse;
        }
    }

    /// The stamp stays: a password reset by the Management API knows nothing of it.
    pub fn somebody_unblocks(&mut self, account: &AccountId) {
        let Some(account) = self.accounts.get_mut(account) else { return };
        account.blocked_by = BlockedBy::Nobody;
    }
}

/// Auth0's side of a write.
impl World {
    pub fn write(&mut self, action: &Action) -> Outcome {
        let away = match action {
            Action::EndEntraSessions { .. } => self.graph == Graph::Away,
            _ => match self.auth0 {
                Auth0::Answers | Auth0::SearchAway => false,
                Auth0::AccountAway(account) => action.account() == Some(&id(account)),
                Auth0::Away => true,
            },
        };
        if away {
            return Outcome::Failed { why: "the vendor answered 503".into(), now: WhatNow::BackOff };
        }
        match self.lost.pop_front() {
            Some(Lost::BeforeTheWrite) => Outcome::Unknown("reply lost".into()),
            Some(Lost::AfterTheWrite) => {
                self.take(action);
                Outcome::Unknown("reply lost".into())
            }
            None => self.take(action),
        }
    }

    fn take(&mut self, action: &Action) -> Outcome {
        let Some(id) = action.account() else {
            self.journal.push(action.clone());
            return Outcome::Accepted;
        };
        let Some(account) = self.accounts.get_mut(id) else { return Outcome::AccountGone };
        match action {
            Action::EndEntraSessions { .. } => {}
            Action::EndAccess { means, .. } if *means < self.tenant.allows => return Outcome::NotInPlan,
            Action::EndAccess { means, .. } => {
                let dies_at = clock::after(self.now, self.tenant.deletes_within);
                account.end(*means, dies_at);
            }
            Action::EndExtra { extra, .. } if self.tenant.refuses.contains(extra) => {
                return Outcome::Refused("auth0 extra: 403 insufficient_scope".into());
            }
            Action::EndExtra { extra, .. } => {
                assert_ne!(account.blocked_by, BlockedBy::Nobody, "before the block: {}", action.sentence());
                account.end_extra(*extra, self.now);
            }
            Action::Block { case, .. } => {
                assert_ne!(account.blocked_by, BlockedBy::SomebodyElse, "claimed: {}", action.sentence());
                (account.blocked_by, account.stamp) = (BlockedBy::Us, Some(*case));
            }
            Action::Unblock { case, .. } => {
                assert_ne!(account.blocked_by, BlockedBy::SomebodyElse, "released: {}", action.sentence());
                assert_eq!(account.stamp, Some(*case), "not the stamp of this case: {}", action.sentence());
                (account.blocked_by, account.stamp) = (BlockedBy::Nobody, None);
            }
        }
        self.journal.push(action.clone());
        self.wait(Duration::ZERO);
        Outcome::Accepted
    }
}

impl InAuth0 {
    fn end(&mut self, means: Means, dies_at: Timestamp) {
        let born = match means {
            Means::RevokeAccess | Means::SessionsAndTokens => &mut self.sessions,
            Means::GrantsAndDevices => &mut self.grants,
        };
        for life in born {
            *life = Some(life.map_or(dies_at, |sooner| sooner.min(dies_at)));
        }
    }

    /// At once.
    fn end_extra(&mut self, extra: Extra, now: Timestamp) {
        match extra {
            Extra::Grants | Extra::DeviceCredentials => self.end(Means::GrantsAndDevices, now),
            Extra::TokenVault => self.token_sets = 0,
        }
    }

    pub fn left_of(&self, extra: Extra) -> usize {
        match extra {
            Extra::Grants | Extra::DeviceCredentials => self.grants.len(),
            Extra::TokenVault => self.token_sets as usize,
        }
    }

    /// What `means` would end and has not.
    pub fn left(&self, means: Means) -> usize {
        match means {
            Means::RevokeAccess | Means::SessionsAndTokens => self.sessions.len(),
            Means::GrantsAndDevices => self.grants.len(),
        }
    }

    fn seen(&self, id: &AccountId, access: Access) -> Account {
        let blocked = if self.blocked_by == BlockedBy::Nobody { Blocked::No } else { Blocked::Yes };
        Account { id: id.clone(), blocked, stamp: self.stamp.map(|case| Stamp { case }), access, email: None }
    }

    fn access(&self, listing: Listing) -> Access {
        let count = |lives: &[Option<Timestamp>]| match listing {
            Listing::InPlan => Count::Is(u32::try_from(lives.len()).expect("a few")),
            Listing::NotInPlan => Count::NotInPlan,
        };
        let (sessions, grants) = (count(&self.sessions), count(&self.grants));
        let token_sets = match listing {
            Listing::InPlan => Count::Is(self.token_sets),
            Listing::NotInPlan => Count::NotInPlan,
        };
        Access { sessions, refresh_tokens: sessions, grants, device_credentials: grants, token_sets }
    }
}

/// What a look sees of Entra.
impl World {
    pub fn entra(&self) -> (Directory, RiskView) {
        let away = || "Graph answered 503".to_owned();
        match self.graph {
            Graph::Answers => (self.scene.snapshot.directory.clone(), self.scene.snapshot.risk.clone()),
            Graph::Away => (Directory::Unread(away()), RiskView::Unread(away())),
        }
    }
}

/// What a look sees of Auth0: `known` accounts by id, the others only by the search; access only where it was ended.
impl World {
    pub fn observe(&self, known: &[AccountId], ended: &[AccountId]) -> Snapshot {
        let mut snapshot = Snapshot { accounts: BTreeMap::new(), ..self.scene.snapshot.clone() };
        snapshot.accounts_seen = match self.auth0 {
            Auth0::Answers => AccountsSeen::All,
            Auth0::SearchAway => AccountsSeen::Partly {
                unread: BTreeSet::new(),
                why: "Auth0 answered 503 to the search".into(),
            },
            Auth0::AccountAway(account) => self.all_but(id(account), known),
            Auth0::Away => AccountsSeen::Unread("Auth0 answered 503".into()),
        };
        for (id, account) in &self.accounts {
            let found = match &snapshot.accounts_seen {
                AccountsSeen::All => true,
                AccountsSeen::Partly { unread, .. } if unread.is_empty() => known.contains(id),
                AccountsSeen::Partly { unread, .. } => !unread.contains(id),
                AccountsSeen::Unread(_) => false,
            };
            let access =
                if ended.contains(id) { account.access(self.tenant.listing) } else { Access::default() };
            if found {
                snapshot.accounts.insert(id.clone(), account.seen(id, access));
            }
        }
        snapshot
    }

    /// Whether it is still there is not known either.
    fn all_but(&self, away: AccountId, known: &[AccountId]) -> AccountsSeen {
        if !self.accounts.contains_key(&away) && !known.contains(&away) {
            return AccountsSeen::All;
        }
        AccountsSeen::Partly { unread: BTreeSet::from([away]), why: "Auth0 answered 500".into() }
    }
}
