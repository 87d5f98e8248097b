//! What to do to keep one person in step: a plain function of what is seen, what should hold, and the time.
//!
//! [`plan`] asks four questions, one file each: who is this and may anything be done (`scope`), do accounts have to be
//! made or linked (`provision`), what are they made of (`attributes`, and what Auth0 makes of that, `kept`), what may the
//! person do (`roles`, and where it is of no use `entrance`); and what follows from leaving (`leaver`). It says what it
//! did *not* do, and what a person should know. Looked at again after its actions were applied it either needs more or has
//! nothing left: proving and doing are one function, as in [`super::plan`]. [`check`] is a second, independent look.
//!
//! Nothing is ever taken away on what was not read: groups that are unread, properties that were not told and accounts
//! that were not found hold the part that depends on them. Nor on one list's silence: what it does not name is asked for
//! in another way first (`absence`).

mod absence;
mod attributes;
pub mod check;
mod entrance;
pub mod explain;
pub mod kept;
mod leaver;
mod provision;
mod roles;
mod scope;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::action::sync::SyncAction;
use crate::clock::{self, Timestamp};
use crate::policy::Policy;
use crate::snapshot::sync::{Groups, Remembered, SyncSnapshot};
use crate::snapshot::{Blocked, Directory};

/// When somebody who is held because something could not be read is looked at again: after this long at first, then
/// after as long as it has lasted, so that a permission that is lost for days costs few looks.
const UNREAD_AGAIN_FIRST: Duration = Duration::from_secs(600);
/// Not later: once it can be read again, nobody waits longer.
const UNREAD_AGAIN_MOST: Duration = Duration::from_secs(3600);

/// How such an account is found again among the findings.
const STAYS_OPEN: &str = "stays open: Entra knows its person no more, and told of no deletion";

/// What follows from one look.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncPlan {
    /// In the order in which they must be applied.
    pub actions: Vec<SyncAction>,
    /// What was not done, and why; one sentence each.
    pub held: Vec<String>,
    /// What is to be remembered before the actions are applied, and once nothing is left; `None`: nothing about this
    /// person, what was remembered is dropped.
    pub remembered: Option<Remembered>,
    pub next: Next,
}

/// What comes after this look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing is left once the actions are applied and read back.
    Settled,
    /// The decision needs more than was read: read everything and ask again.
    ReadWhole,
    /// It rests on groups that the list does not name: ask Graph for them in another way.
    AskForGroups,
    /// Entra may not have caught up with its own news: look again after this long.
    Again(Duration),
    /// The accounts of a leaver are gone: the case that locked them is over.
    CloseCase,
}

/// Decides. Same input, same plan.
pub fn plan(snapshot: &SyncSnapshot, policy: &Policy, now: Timestamp) -> SyncPlan {
    match scope::of(snapshot, policy, now) {
        scope::Scope::Leave { why, next } => SyncPlan::nothing(snapshot, why, next).waiting_for_nothing(),
        scope::Scope::Missing { why, next } => {
            SyncPlan::nothing(snapshot, why, next).waiting_for_nothing().showing_what_is_open(snapshot)
        }
        scope::Scope::Unread { why } => {
            SyncPlan::nothing(snapshot, why, Next::Settled).waiting(snapshot, now)
        }
        scope::Scope::Gone(case) => leaver::plan(snapshot, policy, case, now),
        scope::Scope::Out { why } => {
            let plan = keep_or_take(snapshot, policy, why.clone());
            match snapshot.groups {
                Groups::Unread(_) if !plan.actions.is_empty() => {
                    SyncPlan::nothing(snapshot, why, Next::Settled).waiting(snapshot, now)
                }
                _ => absence::asked_for(plan, snapshot, policy),
            }
        }
        scope::Scope::In => {
            let plan = keep_in_step(snapshot, policy, now);
            if groups_are_missing(snapshot, policy) {
                plan.waiting(snapshot, now)
            } else {
                absence::asked_for(plan, snapshot, policy)
            }
        }
    }
}

/// Somebody who is to be kept in step.
fn keep_in_step(snapshot: &SyncSnapshot, policy: &Policy, now: Timestamp) -> SyncPlan {
    let mut draft = Draft::of(snapshot);
    if let Groups::Known(groups) = &snapshot.groups {
        draft.remembered.groups = policy.groups().intersection(groups).copied().collect();
    }
    provision::plan(snapshot, policy, &mut draft);
    for account in snapshot.accounts.values() {
        if policy.protected.accounts.contains(&account.id) {
            draft.hold(format!("{} is protected: it is kept as it is", account.id));
            continue;
        }
        attributes::plan(snapshot, policy, account, &mut draft);
        roles::plan(snapshot, policy, account, &mut draft);
    }
    entrance::plan(snapshot, policy, &mut draft);
    provision::mails(snapshot, policy, now, &mut draft);
    draft.finish(snapshot)
}

/// Whether accounts of somebody in scope are held, because what the groups give is not known.
fn groups_are_missing(snapshot: &SyncSnapshot, policy: &Policy) -> bool {
    let give =
        !policy.roles.is_empty() || !policy.organizations.is_empty() || policy.mfa.metadata_key.is_some();
    matches!(snapshot.groups, Groups::Unread(_)) && give && !snapshot.accounts.is_empty()
}

/// Somebody outside keeps what is there. Who was kept in step before, or was being so when the last look ended before its
/// time, loses the roles and organizations that the policy names, once.
fn keep_or_take(snapshot: &SyncSnapshot, policy: &Policy, why: String) -> SyncPlan {
    let is_ours = |known: &Remembered| !known.proven.is_empty() || !known.unsettled.is_empty();
    if !snapshot.remembered.as_ref().is_some_and(is_ours) {
        return SyncPlan { remembered: None, ..SyncPlan::nothing(snapshot, why, Next::Settled) };
    }
    let mut draft = Draft::of(snapshot);
    draft.remembered.groups = BTreeSet::new();
    draft.held.push(why);
    for account in snapshot.accounts.values().filter(|a| !policy.protected.accounts.contains(&a.id)) {
        roles::take_back(snapshot, policy, account, &mut draft);
    }
    let forget = draft.actions.is_empty() && draft.next == Next::Settled;
    let plan = draft.finish(snapshot);
    if forget { SyncPlan { remembered: None, ..plan } } else { plan }
}

/// A plan that is being written.
struct Draft {
    actions: Vec<SyncAction>,
    held: Vec<String>,
    findings: BTreeSet<String>,
    remembered: Remembered,
    next: Next,
}

impl Draft {
    fn of(snapshot: &SyncSnapshot) -> Draft {
        let mut remembered = snapshot.remembered.clone().unwrap_or_else(|| Remembered::new(snapshot.subject));
        (remembered.look_at, remembered.unread_since, remembered.missing_since) = (None, None, None);
        remembered.proven.retain(|account, _| snapshot.accounts.contains_key(account));
        remembered.unsettled.retain(|account| snapshot.accounts.contains_key(account));
        remembered.kept_otherwise.retain(|account, _| snapshot.accounts.contains_key(account));
        Draft {
            actions: Vec::new(),
            held: Vec::new(),
            findings: BTreeSet::new(),
            remembered,
            next: Next::Settled,
        }
    }

    fn hold(&mut self, why: String) {
        self.held.push(why);
    }

    /// Held, and worth a person's attention beyond this look.
    fn find(&mut self, what: String) {
        self.findings.insert(what.clone());
        self.held.push(what);
    }

    fn look_at_latest(&mut self, at: Timestamp) {
        let planned = self.remembered.look_at;
        self.remembered.look_at = Some(planned.map_or(at, |planned| planned.min(at)));
    }

    fn need_whole(&mut self) {
        self.next = Next::ReadWhole;
    }

    fn finish(mut self, snapshot: &SyncSnapshot) -> SyncPlan {
        if self.next == Next::ReadWhole {
            return SyncPlan::undecided(snapshot, self.held, self.next);
        }
        self.remembered.findings = self.findings;
        // Somebody without an account of whom there is nothing to say needs no row.
        let blank = Remembered { groups: BTreeSet::new(), ..self.remembered.clone() };
        let worth = !snapshot.accounts.is_empty() || blank != Remembered::new(snapshot.subject);
        SyncPlan {
            actions: self.actions,
            held: self.held,
            remembered: worth.then_some(self.remembered),
            next: self.next,
        }
    }
}

impl SyncPlan {
    /// Half a picture decides nothing.
    fn undecided(snapshot: &SyncSnapshot, held: Vec<String>, next: Next) -> SyncPlan {
        SyncPlan { actions: Vec::new(), held, remembered: snapshot.remembered.clone(), next }
    }

    fn nothing(snapshot: &SyncSnapshot, why: String, next: Next) -> SyncPlan {
        let mut remembered = snapshot.remembered.clone();
        if let (Directory::Present(_) | Directory::SoftDeleted(_), Some(known)) =
            (&snapshot.directory, &mut remembered)
        {
            known.missing_since = None;
        }
        SyncPlan { actions: Vec::new(), held: vec![why], remembered, next }
    }

    /// Held until something can be read: nobody tells when that is, so it is tried again by itself.
    fn waiting(self, snapshot: &SyncSnapshot, now: Timestamp) -> SyncPlan {
        let before = snapshot.remembered.as_ref().and_then(|remembered| remembered.unread_since);
        let mut remembered = self.remembered.unwrap_or_else(|| Remembered::new(snapshot.subject));
        let since = before.unwrap_or(now);
        let again = clock::elapsed(since, now).clamp(UNREAD_AGAIN_FIRST, UNREAD_AGAIN_MOST);
        (remembered.unread_since, remembered.look_at) = (Some(since), Some(clock::after(now, again)));
        let next = absence::again(snapshot, now).unwrap_or(self.next);
        SyncPlan { remembered: Some(remembered), next, ..self }
    }

    /// Left for a reason that is known: it does not matter any more what could not be read before or which day was to come.
    /// Once the reason is over, somebody tells: a release, a verified case and Entra each ask for a look.
    fn waiting_for_nothing(mut self) -> SyncPlan {
        self.remembered.iter_mut().for_each(Remembered::wait_for_nothing);
        self
    }

    /// Whoever is purged while every word of it is lost is locked by nobody: absence is no evidence, so a person must say.
    fn showing_what_is_open(mut self, snapshot: &SyncSnapshot) -> SyncPlan {
        if let Some(remembered) = &mut self.remembered {
            remembered.findings.retain(|finding| !finding.ends_with(STAYS_OPEN));
            let open = snapshot.accounts.values().filter(|account| account.blocked != Blocked::Yes);
            remembered.findings.extend(open.map(|account| format!("{} {STAYS_OPEN}", account.id)));
        }
        self
    }
}

#[cfg(test)]
mod tests;
