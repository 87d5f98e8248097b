//! An independent second look at every plan, before anything is written.
//!
//! Shares no code with the planner: it asks of the finished plan what must never be true. A refusal is a bug of the
//! planner or a snapshot nobody foresaw; the event becomes a dead letter and people are told.

use std::collections::BTreeSet;

use super::Plan;
use crate::action::Action;
use crate::case::{AccountId, BlockProgress, CaseState, Response};
use crate::event::ObjectId;
use crate::policy::Policy;
use crate::policy::also::EntraSessions;
use crate::snapshot::{Blocked, Snapshot};

/// One person has a handful of accounts; a plan with more actions than this was made from something else.
pub const ACTIONS_MAX: usize = 200;
/// What an account holds beside is of three kinds, and there are two other actions for each account; and the person's
/// sessions in Entra.
const EXTRAS_MAX: usize = ACTIONS_MAX / 2 * 3 + 1;

/// A plan that passed. The only thing [`crate::apply`] takes.
#[derive(Debug)]
pub struct Checked(Vec<Action>);

impl Checked {
    pub fn into_actions(self) -> Vec<Action> {
        self.0
    }
}

/// Why a plan must not be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan was refused by its check: {0}")]
pub struct Refused(String);

impl Refused {
    pub(super) fn because(why: String) -> Refused {
        Refused(why)
    }
}

/// Passes the plan's actions, or says what is wrong with them.
pub fn check(plan: &Plan, snapshot: &Snapshot, policy: &Policy) -> Result<Checked, Refused> {
    let refuse = |why: String| Err(Refused(why));
    if plan.actions.is_empty() {
        return Ok(Checked(Vec::new()));
    }
    let extras = plan.actions.iter().filter(|action| is_for_good(action)).count();
    if plan.actions.len() - extras > ACTIONS_MAX || extras > EXTRAS_MAX {
        return refuse(format!("{} actions for one person, over {ACTIONS_MAX}", plan.actions.len()));
    }
    let Some(case) = &plan.case else { return refuse("actions without a case".into()) };
    if !case.state.is_open() || case.subject != snapshot.subject {
        return refuse(format!("{} is {}, or of another person", case.id, case.state.word()));
    }
    if policy.protected.people.contains(&snapshot.subject.object) && locks(&plan.actions) {
        return refuse("the person is protected".into());
    }
    let mut seen = BTreeSet::new();
    for action in &plan.actions {
        if !seen.insert((action.word(), action.account())) {
            return refuse(format!("twice: {}", action.sentence()));
        }
        check_action(action, plan, snapshot, policy, case.id)?;
    }
    check_order(&plan.actions, case.state, case.response)?;
    Ok(Checked(plan.actions.clone()))
}

fn locks(actions: &[Action]) -> bool {
    actions.iter().any(|action| !matches!(action, Action::Unblock { .. }))
}

fn check_action(
    action: &Action,
    plan: &Plan,
    snapshot: &Snapshot,
    policy: &Policy,
    case: crate::case::CaseId,
) -> Result<(), Refused> {
    let refuse = |why: &str| Err(Refused(format!("{why}: {}", action.sentence())));
    let id = match (action, action.account()) {
        (Action::EndEntraSessions { person }, _) => {
            return check_entra_sessions(*person, plan, snapshot, policy).map_err(|why| Refused(why.into()));
        }
        (_, None) => return refuse("nobody's account"),
        (_, Some(id)) => id,
    };
    let Some(account) = snapshot.accounts.get(id) else {
        return refuse("an account nobody has seen");
    };
    let protected = policy.protected.accounts.contains(id);
    match action {
        Action::Block { .. } | Action::EndAccess { .. } | Action::EndExtra { .. } if protected => {
            refuse("a protected account")
        }
        Action::Block { case: by, .. } if *by != case => refuse("blocked for another case"),
        Action::Block { .. } if account.blocked == Blocked::Yes && account.stamp.is_none() => {
            refuse("claims somebody else's block")
        }
        Action::Block { .. } if plan.case.as_ref().is_some_and(|c| c.response != Response::Contain) => {
            refuse("blocks where only sessions may be ended")
        }
        Action::EndExtra { .. } if plan.case.as_ref().is_none_or(|c| c.response != Response::Contain) => {
            refuse("ends for good where only sessions may be ended")
        }
        Action::EndExtra { extra, .. } if !policy.contain.also.extras.contains(extra) => {
            refuse("the policy does not ask for it")
        }
        Action::EndExtra { .. } if account.blocked == Blocked::No => refuse("ends for good before the block"),
        Action::Unblock { case: by, .. } if *by != case => refuse("releases for another case"),
        Action::Unblock { .. } if account.stamp.as_ref().is_none_or(|stamp| stamp.case != case) => {
            refuse("releases a block that is not ours")
        }
        _ => Ok(()),
    }
}

fn is_for_good(action: &Action) -> bool {
    matches!(action, Action::EndExtra { .. } | Action::EndEntraSessions { .. })
}

/// Only of the person whom this is about, only where the policy says so, and only behind a closed door.
fn check_entra_sessions(
    person: ObjectId,
    plan: &Plan,
    snapshot: &Snapshot,
    policy: &Policy,
) -> Result<(), &'static str> {
    let accounts = plan.case.iter().flat_map(|case| &case.accounts);
    let protected = &policy.protected.accounts;
    if person != snapshot.subject.object {
        return Err("ends Entra sessions of somebody else");
    }
    if policy.contain.also.entra_sessions != EntraSessions::End {
        return Err("ends Entra sessions, and the policy does not ask for it");
    }
    if plan.case.as_ref().is_none_or(|case| case.response != Response::Contain) {
        return Err("ends Entra sessions where only Auth0's may be ended");
    }
    if accounts.clone().map(|(id, _)| id).chain(snapshot.known_accounts()).any(|id| protected.contains(id)) {
        return Err("ends Entra sessions of a person with a protected account");
    }
    let mut accounts = accounts.peekable();
    let none = accounts.peek().is_none();
    let open = accounts.any(|(_, progress)| progress.block == BlockProgress::Wanted);
    if none || open { Err("ends Entra sessions before the block") } else { Ok(()) }
}

/// Nobody is locked and released by one plan. Of each account the block stands before the end of access, and both before
/// what cannot be given back.
fn check_order(actions: &[Action], state: CaseState, response: Response) -> Result<(), Refused> {
    let releases = actions.iter().any(|action| matches!(action, Action::Unblock { .. }));
    if releases && locks(actions) {
        return Err(Refused(format!(
            "locks and releases in one plan (case {}, {})",
            state.word(),
            response.word()
        )));
    }
    let mut ended: BTreeSet<&AccountId> = BTreeSet::new();
    let mut for_good: BTreeSet<&AccountId> = BTreeSet::new();
    for action in actions {
        match action {
            Action::Block { account, .. } | Action::EndAccess { account, .. }
                if for_good.contains(account) =>
            {
                return Err(Refused(format!("ends for good before it: {}", action.sentence())));
            }
            Action::EndExtra { account, .. } => {
                for_good.insert(account);
            }
            Action::EndAccess { account, .. } => {
                ended.insert(account);
            }
            Action::Block { account, .. } if ended.contains(account) => {
                return Err(Refused(format!("ends access before the block: {}", action.sentence())));
            }
            Action::Block { .. } | Action::Unblock { .. } | Action::EndEntraSessions { .. } => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
