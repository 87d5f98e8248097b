//! Carries out checked changes to the directory with a keeper, and reports how each ended. Decides nothing.
//!
//! One after the other: what is taken stands before what is given, and an account is made before anything is done to it.
//! Every change may be applied twice with the same effect, so a lost reply is reported and left to the read-back.

use crate::action::Outcome;
use crate::action::sync::{NewAccount, SyncAction};
use crate::auth0;
use crate::case::AccountId;
use crate::plan::sync::check::Checked;
use crate::snapshot::sync::Holding;

/// A change and how it ended.
#[derive(Debug)]
pub struct Applied {
    pub action: SyncAction,
    pub outcome: Outcome,
    pub told: Told,
}

/// What Auth0's answer told beyond yes or no.
#[derive(Debug)]
pub enum Told {
    Nothing,
    /// The account as it is after the write: read back already.
    Holding(Box<Holding>),
    /// The account that was made, or that was there already.
    Account(AccountId),
    /// Something that the tenant's catalogue named is gone: it must be read again.
    Stale,
}

pub async fn apply(keeper: &auth0::Keeper, checked: Checked) -> Vec<Applied> {
    let mut applied = Vec::new();
    for action in checked.into_actions() {
        let (outcome, told) = match send(keeper, &action).await {
            Ok(told) => (Outcome::Accepted, told),
            Err(error) => failed(&error),
        };
        let goes_on = !matches!(outcome, Outcome::Failed { now, .. } if passes_by_itself(now));
        applied.push(Applied { action, outcome, told });
        if !goes_on {
            break;
        }
    }
    applied
}

async fn send(keeper: &auth0::Keeper, action: &SyncAction) -> Result<Told, auth0::Error> {
    match action {
        SyncAction::Provision(new) => provision(keeper, new).await.map(Told::Account),
        SyncAction::SetAttributes { account, values } => {
            keeper.set_attributes(account, values).await.map(|holding| Told::Holding(Box::new(holding)))
        }
        SyncAction::AssignRoles { account, roles } => {
            keeper.assign_roles(account, &ids(roles)).await.map(nothing)
        }
        SyncAction::RemoveRoles { account, roles } => {
            keeper.remove_roles(account, &ids(roles)).await.map(nothing)
        }
        SyncAction::JoinOrganization { account, organization } => {
            keeper.join_organization(account, &organization.id).await.map(nothing)
        }
        SyncAction::LeaveOrganization { account, organization } => {
            keeper.leave_organization(account, &organization.id).await.map(nothing)
        }
        SyncAction::AssignOrganizationRoles { account, organization, roles } => {
            keeper.assign_organization_roles(account, &organization.id, &ids(roles)).await.map(nothing)
        }
        SyncAction::RemoveOrganizationRoles { account, organization, roles } => {
            keeper.remove_organization_roles(account, &organization.id, &ids(roles)).await.map(nothing)
        }
        SyncAction::EndAccess { account, means, .. } => keeper.end_access(account, *means).await.map(nothing),
        SyncAction::Link { primary, secondary } => keeper.link(primary, secondary).await.map(nothing),
        SyncAction::Delete { account, .. } => keeper.delete(account).await.map(nothing),
        SyncAction::MailPasswordLink { connection, email, .. } => {
            keeper.mail_password_link(connection, email).await.map(nothing)
        }
        SyncAction::MailEnrolment { account } => keeper.mail_enrolment(account).await.map(nothing),
    }
}

/// One that is there already is found by its object id: another life of ours made it, or SCIM did.
async fn provision(keeper: &auth0::Keeper, new: &NewAccount) -> Result<AccountId, auth0::Error> {
    match keeper.provision(new).await {
        Err(error) if error.is_exists() => keeper.provisioned(new).await?.ok_or(error),
        made => made,
    }
}

fn failed(error: &auth0::Error) -> (Outcome, Told) {
    let outcome = if error.is_gone() {
        Outcome::AccountGone
    } else if error.is_not_in_plan() {
        Outcome::NotInPlan
    } else if error.is_outcome_unknown() {
        Outcome::Unknown(error.to_string())
    } else {
        Outcome::Failed { why: error.to_string(), now: error.what_now() }
    };
    (outcome, if error.is_stale() { Told::Stale } else { Told::Nothing })
}

/// A vendor that is away or asks for a pause is not asked for the rest.
fn passes_by_itself(now: crate::retry::WhatNow) -> bool {
    use crate::retry::WhatNow;
    matches!(now, WhatNow::RetryAt(_) | WhatNow::BackOff)
}

fn nothing((): ()) -> Told {
    Told::Nothing
}

fn ids<Id: Clone>(named: &[crate::action::sync::Named<Id>]) -> Vec<Id> {
    named.iter().map(|one| one.id.clone()).collect()
}
