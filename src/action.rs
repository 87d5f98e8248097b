//! One change to Auth0, or to the person's sessions in Entra: what it is, its one sentence, and how it ended.
//!
//! Preview, audit, chat and console show the same sentence. Applying an action twice has the same effect as once.

pub mod sync;

use crate::case::also::Extra;
use crate::case::{AccountId, CaseId, Means};
use crate::event::ObjectId;
use crate::retry::WhatNow;

/// One change to one account, or to what the person has in Entra.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `blocked: true` and our stamp in one write, before access is ended: the other order lets a session be born
    /// in between.
    Block { account: AccountId, case: CaseId, reason: String },
    /// End sessions and refresh tokens by the means that the tenant's plan allows.
    EndAccess { account: AccountId, means: Means },
    /// End what the policy names beside that. Never before the block.
    EndExtra { account: AccountId, extra: Extra },
    /// End the person's sign-in sessions in Entra, where the policy says so.
    EndEntraSessions { person: ObjectId },
    /// `blocked: false`, our stamp removed. Only for blocks that carry our stamp.
    Unblock { account: AccountId, case: CaseId },
}

impl Action {
    /// `None` of what is no account's.
    pub fn account(&self) -> Option<&AccountId> {
        match self {
            Action::Block { account, .. }
            | Action::EndAccess { account, .. }
            | Action::EndExtra { account, .. }
            | Action::Unblock { account, .. } => Some(account),
            Action::EndEntraSessions { .. } => None,
        }
    }

    /// The stable word used in the audit and in metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Action::Block { .. } => "action.block",
            Action::EndAccess { .. } => "action.end_access",
            Action::EndExtra { extra: Extra::Grants, .. } => "action.end_grants",
            Action::EndExtra { extra: Extra::DeviceCredentials, .. } => "action.end_device_credentials",
            Action::EndExtra { extra: Extra::TokenVault, .. } => "action.end_token_vault",
            Action::EndEntraSessions { .. } => "action.end_entra_sessions",
            Action::Unblock { .. } => "action.unblock",
        }
    }

    /// What people read, before and after it is done.
    pub fn sentence(&self) -> String {
        match self {
            Action::Block { account, reason, .. } => format!("Block {account} ({reason})"),
            Action::EndAccess { account, means } => format!("End access of {account} by {}", means.word()),
            Action::EndExtra { account, extra } => format!("End {} of {account}", extra.word()),
            Action::EndEntraSessions { person } => format!("End Entra sign-in sessions of {person}"),
            Action::Unblock { account, .. } => format!("Unblock {account}"),
        }
    }
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The vendor said yes.
    Accepted,
    /// The account, or the person, is gone: nothing left to do for it.
    AccountGone,
    /// The tenant's plan does not include this call; the next means must be tried.
    NotInPlan,
    /// What the policy also wants ended is not to be had: by plan, permission or otherwise. Says why.
    Refused(String),
    /// The request was sent and the reply lost: read back before trying again.
    Unknown(String),
    /// Refused or not sent; says why and what now.
    Failed { why: String, now: WhatNow },
}

impl Outcome {
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Accepted => "accepted",
            Outcome::AccountGone => "account gone",
            Outcome::NotInPlan => "not in plan",
            Outcome::Refused(_) => "refused",
            Outcome::Unknown(_) => "unknown",
            Outcome::Failed { .. } => "failed",
        }
    }
}
