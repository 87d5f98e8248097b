//! Carries out checked actions with the writers of both sides, and reports how each ended. Decides nothing.
//!
//! Actions of one account are applied in their order; accounts side by side. Every action may be applied twice with the
//! same effect, so a lost reply is reported as [`Outcome::Unknown`] and left to the read-back.

pub mod sync;

use std::collections::BTreeMap;

use futures_util::future::join_all;

use crate::action::{Action, Outcome};
use crate::auth0::{self, StampToWrite};
use crate::case::AccountId;
use crate::clock::SharedClock;
use crate::entra;
use crate::event::ObjectId;
use crate::plan::check::Checked;

/// An action and how it ended.
#[derive(Debug, Clone)]
pub struct Applied {
    pub action: Action,
    pub outcome: Outcome,
}

/// What containment writes with. Exists only where something may be written.
#[derive(Debug, Clone)]
pub struct Writers {
    pub auth0: auth0::Writer,
    pub entra: entra::Writer,
}

/// Applies what the check let through, for the person `object`.
pub async fn apply(
    writers: &Writers,
    checked: Checked,
    object: ObjectId,
    clock: &SharedClock,
) -> Vec<Applied> {
    // What is no account's waits for none, and none for it.
    let mut by_account: BTreeMap<Option<AccountId>, Vec<Action>> = BTreeMap::new();
    for action in checked.into_actions() {
        by_account.entry(action.account().cloned()).or_default().push(action);
    }
    let accounts = by_account.into_values().map(|actions| apply_in_order(writers, actions, object, clock));
    join_all(accounts).await.into_iter().flatten().collect()
}

/// A block that failed does not keep sessions from being ended: each action is worth something by itself.
async fn apply_in_order(
    writers: &Writers,
    actions: Vec<Action>,
    object: ObjectId,
    clock: &SharedClock,
) -> Vec<Applied> {
    let mut applied = Vec::with_capacity(actions.len());
    for action in actions {
        let outcome = send(writers, &action, object, clock).await;
        applied.push(Applied { action, outcome });
    }
    applied
}

async fn send(writers: &Writers, action: &Action, object: ObjectId, clock: &SharedClock) -> Outcome {
    let writer = &writers.auth0;
    let sent = match action {
        Action::EndEntraSessions { person } => return end_entra_sessions(&writers.entra, *person).await,
        Action::Block { account, case, reason } => {
            let stamp = StampToWrite { object, case: *case, reason: reason.clone(), at: clock.now() };
            writer.block(account, &stamp).await
        }
        Action::EndAccess { account, means } => writer.end_access(account, *means).await,
        Action::EndExtra { account, extra } => writer.end_extra(account, *extra).await,
        Action::Unblock { account, .. } => writer.unblock(account, object).await,
    };
    let is_extra = matches!(action, Action::EndExtra { .. });
    match sent {
        Ok(()) => Outcome::Accepted,
        Err(error) if is_extra && error.is_refusal() => Outcome::Refused(error.to_string()),
        Err(error) if error.is_gone() => Outcome::AccountGone,
        Err(error) if error.is_not_in_plan() => Outcome::NotInPlan,
        Err(error) if error.is_outcome_unknown() => Outcome::Unknown(error.to_string()),
        Err(error) => Outcome::Failed { why: error.to_string(), now: error.what_now() },
    }
}

/// Whether it arrived cannot be read at once, and twice is as good as once: a lost reply is a failure to try again.
async fn end_entra_sessions(writer: &entra::Writer, person: ObjectId) -> Outcome {
    match writer.revoke_sessions(person).await {
        Ok(()) => Outcome::Accepted,
        Err(error) if error.is_gone() => Outcome::AccountGone,
        Err(error) if error.is_refusal() => Outcome::Refused(error.to_string()),
        Err(error) => Outcome::Failed { why: error.to_string(), now: error.what_now() },
    }
}
