//! An independent second look at every plan for the directory, before anything is written.
//!
//! Shares no code with the planner: it asks of the finished plan what must never be true. A refusal is a bug of the
//! planner or a snapshot nobody foresaw.

use std::collections::BTreeSet;

use super::SyncPlan;
use crate::action::sync::{Named, SyncAction, Way};
use crate::case::AccountId;
use crate::clock::Timestamp;
use crate::plan::check::Refused;
use crate::policy::Policy;
use crate::policy::sync::{Delete, Link, Method, Target};
use crate::snapshot::sync::{CaseAbout, Groups, GroupsTold, RoleId, SyncSnapshot};
use crate::snapshot::{AccountsSeen, Blocked, Directory, Enabled, Stamp};

/// One person has a handful of accounts; a plan with more actions than this was made from something else.
pub const ACTIONS_MAX: usize = 200;

/// Seconds for which somebody must have been found nowhere before that counts as a purge.
const MISSING_FOR_AT_LEAST: i64 = 600;

/// A plan that passed. The only thing [`crate::apply::sync`] takes.
#[derive(Debug)]
pub struct Checked(Vec<SyncAction>);

impl Checked {
    pub fn into_actions(self) -> Vec<SyncAction> {
        self.0
    }
}

/// Passes the plan's actions, or says what is wrong with them.
pub fn check(
    plan: &SyncPlan,
    snapshot: &SyncSnapshot,
    policy: &Policy,
    now: Timestamp,
) -> Result<Checked, Refused> {
    if plan.actions.len() > ACTIONS_MAX {
        let count = plan.actions.len();
        return Err(Refused::because(format!("{count} actions for one person, over {ACTIONS_MAX}")));
    }
    let mut seen = BTreeSet::new();
    for action in &plan.actions {
        if !seen.insert(action.sentence()) {
            return Err(Refused::because(format!("twice: {}", action.sentence())));
        }
        if let Some(why) = wrong(action, snapshot, policy, now) {
            return Err(Refused::because(format!("{why}: {}", action.sentence())));
        }
    }
    Ok(Checked(plan.actions.clone()))
}

fn wrong(
    action: &SyncAction,
    snapshot: &SyncSnapshot,
    policy: &Policy,
    now: Timestamp,
) -> Option<&'static str> {
    if policy.protected.people.contains(&snapshot.subject.object) {
        return Some("the person is protected");
    }
    if touched(action).any(|account| policy.protected.accounts.contains(account)) {
        return Some("a protected account");
    }
    if action.account().is_some_and(|account| !snapshot.accounts.contains_key(account)) {
        return Some("an account nobody has seen");
    }
    if let SyncAction::Delete { account, .. } = action {
        if !locked(account, snapshot) {
            return Some("deletes what the open case has not blocked");
        }
        return wrong_deletion(snapshot, policy, now);
    }
    let Directory::Present(person) = &snapshot.directory else {
        return Some("the person is not present in Entra");
    };
    if person.enabled != Enabled::Yes {
        return Some("the person is not enabled in Entra");
    }
    if snapshot.case.is_some() {
        return Some("a case of the person is open");
    }
    wrong_for_somebody_present(action, snapshot, policy)
}

fn touched(action: &SyncAction) -> impl Iterator<Item = &AccountId> {
    let secondary = match action {
        SyncAction::Link { secondary, .. } => Some(secondary),
        _ => None,
    };
    action.account().into_iter().chain(secondary)
}

fn locked(account: &AccountId, snapshot: &SyncSnapshot) -> bool {
    match (snapshot.accounts.get(account), snapshot.case) {
        (Some(holding), Some(case)) => {
            holding.blocked == Blocked::Yes && holding.stamp == Some(Stamp { case: case.id })
        }
        _ => false,
    }
}

fn wrong_deletion(snapshot: &SyncSnapshot, policy: &Policy, now: Timestamp) -> Option<&'static str> {
    let Some(case) = snapshot.case.filter(|case| case.about == CaseAbout::DeletionVerified) else {
        return Some("deletes what was not locked first");
    };
    let aged =
        now.duration_since(case.counts_from).as_secs() >= i64::from(policy.leavers.grace_days) * 86_400;
    let missing_since = snapshot.remembered.as_ref().and_then(|known| known.missing_since);
    let purged =
        missing_since.is_some_and(|since| now.duration_since(since).as_secs() >= MISSING_FOR_AT_LEAST);
    match (&snapshot.directory, policy.leavers.delete) {
        (_, Delete::Never) => Some("the policy deletes nobody"),
        (Directory::Present(_) | Directory::Unread(_), _) => Some("deletes somebody who is not gone"),
        (Directory::Missing, Delete::AfterGraceOrPurge) if purged => None,
        (Directory::SoftDeleted(_) | Directory::Missing, _) if aged => None,
        (Directory::SoftDeleted(_) | Directory::Missing, _) => Some("deletes within the grace"),
    }
}

fn wrong_for_somebody_present(
    action: &SyncAction,
    snapshot: &SyncSnapshot,
    policy: &Policy,
) -> Option<&'static str> {
    let groups_known = matches!(snapshot.groups, Groups::Known(_));
    match action {
        SyncAction::Provision(_) if !snapshot.accounts.is_empty() => Some("makes a second account"),
        SyncAction::Provision(_) if snapshot.accounts_seen != AccountsSeen::All => {
            Some("makes an account without having looked for one")
        }
        SyncAction::Provision(new) => match (&new.way, policy.provision.method) {
            (Way::Scim, Method::Scim) | (Way::Database { .. }, Method::Database) => None,
            _ => Some("makes an account in a way that the policy does not name"),
        },
        SyncAction::SetAttributes { values, .. } => {
            (!values.keys().all(|target| owned(target, policy))).then_some("an attribute that is not ours")
        }
        SyncAction::RemoveRoles { .. }
        | SyncAction::RemoveOrganizationRoles { .. }
        | SyncAction::LeaveOrganization { .. }
            if !groups_known =>
        {
            Some("takes without knowing the groups")
        }
        SyncAction::RemoveRoles { .. }
        | SyncAction::RemoveOrganizationRoles { .. }
        | SyncAction::LeaveOrganization { .. }
        | SyncAction::EndAccess { .. }
            if snapshot.groups_told != GroupsTold::Twice =>
        {
            Some("takes what a single list does not name")
        }
        SyncAction::AssignRoles { roles, .. } | SyncAction::RemoveRoles { roles, .. } => {
            let managed: BTreeSet<&str> = policy.roles.iter().map(|rule| rule.role.as_str()).collect();
            (!all_are(roles, &managed, snapshot)).then_some("a role that the policy does not name")
        }
        SyncAction::JoinOrganization { organization, .. }
        | SyncAction::LeaveOrganization { organization, .. } => {
            let named = snapshot.tenant.organizations.get(&organization.name) == Some(&organization.id);
            let managed = policy.organizations.iter().any(|rule| rule.organization == organization.name);
            (!named || !managed).then_some("an organization that the policy does not name")
        }
        SyncAction::AssignOrganizationRoles { organization, roles, .. }
        | SyncAction::RemoveOrganizationRoles { organization, roles, .. } => {
            let rules = policy.organizations.iter().filter(|rule| rule.organization == organization.name);
            let managed: BTreeSet<&str> =
                rules.flat_map(|rule| &rule.roles).map(|rule| rule.role.as_str()).collect();
            (!all_are(roles, &managed, snapshot)).then_some("a role that the policy does not name there")
        }
        SyncAction::Link { secondary, .. } => {
            let other = snapshot.look_alikes.get(secondary);
            let allowed = policy.provision.link == Link::VerifiedEmail
                && other.is_some_and(|other| other.is_database && other.email_verified);
            let own = snapshot.subject.object.to_string();
            let free = other.is_some_and(|other| {
                other.blocked == Blocked::No
                    && other.stamp.is_none()
                    && other.owners.iter().all(|id| *id == own)
            });
            if !free {
                return Some("links what is locked or somebody else's");
            }
            (!allowed).then_some("links what the policy does not let be linked")
        }
        SyncAction::EndAccess { .. }
        | SyncAction::MailPasswordLink { .. }
        | SyncAction::MailEnrolment { .. } => None,
        SyncAction::Delete { .. } => Some("deletes somebody who is not gone"),
    }
}

fn owned(target: &Target, policy: &Policy) -> bool {
    let flag = |key: &String| matches!(target, Target::AppMetadata(name) if name == key);
    policy.attributes.iter().any(|attribute| attribute.to == *target)
        || policy.mfa.metadata_key.as_ref().is_some_and(flag)
}

fn all_are(roles: &[Named<RoleId>], managed: &BTreeSet<&str>, snapshot: &SyncSnapshot) -> bool {
    !roles.is_empty()
        && roles.iter().all(|role| {
            managed.contains(role.name.as_str()) && snapshot.tenant.roles.get(&role.name) == Some(&role.id)
        })
}
