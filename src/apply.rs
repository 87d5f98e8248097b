//! Carries out checked actions with a writer, and reports how each ended. Decides nothing.
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
use crate::event::ObjectId;
use crate::plan::check::Checked;

/// An action and how it ended.
#[derive(Debug, Clone)]
pub struct Applied {
    pub action: Action,
    pub outcome: Outcome,
}

/// Applies what the check let through, for the person `object`.
pub async fn apply(
    writer: &auth0::Writer,
    checked: Checked,
    object: ObjectId,
    clock: &SharedClock,
) -> Vec<Applied> {
    let mut by_account: BTreeMap<AccountId, Vec<Action>> = BTreeMap::new();
    for action in checked.into_actions() {
        by_account.entry(action.account().clone()).or_default().push(action);
    }
    let accounts = by_account.into_values().map(|actions| apply_in_order(writer, actions, object, clock));
    join_all(accounts).await.into_iter().flatten().collect()
}

/// A block that failed does not keep sessions from being ended: each action is worth something by itself.
async fn apply_in_order(
    writer: &auth0::Writer,
    actions: Vec<Action>,
    object: ObjectId,
    clock: &SharedClock,
) -> Vec<Applied> {
    let mut applied = Vec::with_capacity(actions.len());
    for action in actions {
        let outcome = send(writer, &action, object, clock).await;
        applied.push(Applied { action, outcome });
    }
    applied
}

async fn send(writer: &auth0::Writer, action: &Action, object: ObjectId, clock: &SharedClock) -> Outcome {
    let sent = match action {
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
