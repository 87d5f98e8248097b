//! What to do about one person: a plain function of what is seen, what should hold, and the time.
//!
//! [`plan`] decides in three steps, one file each: what should hold (`stance`), what a containment still needs
//! (`contain`), what a release still needs (`release`). It leaves apply nothing to decide, and it says what it did
//! *not* do. Containing and proving are the same function: looked at again after its actions were applied, a
//! containment either needs more, or is proven. [`check`] is a second, independent look at every plan.

pub mod check;
mod contain;
mod release;
mod stance;
pub mod sync;

use std::time::Duration;

use crate::action::Action;
use crate::case::Case;
use crate::clock::Timestamp;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

/// What follows from one look at one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The case as it should stand before the actions are applied; `None` when there is nothing to contain.
    pub case: Option<Case>,
    /// In the order in which they must be applied.
    pub actions: Vec<Action>,
    /// What was not done, and why; one sentence each.
    pub held: Vec<String>,
    pub next: Next,
}

/// When to look at this person again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing is left to do or to prove.
    Settled,
    /// Something is still open: apply the actions, or look again after this long.
    Again(Duration),
    /// Only Graph can tell, and it has not: look again when it answers.
    WhenGraphAnswers,
}

/// Decides. Same input, same plan.
pub fn plan(snapshot: &Snapshot, policy: &Policy, now: Timestamp) -> Plan {
    let mut plan = follow(stance::decide(snapshot, policy), snapshot, policy, now);
    if let (Next::Settled, Some(why)) = (plan.next, stance::unheard(snapshot)) {
        plan.held.push(why);
        plan.next = Next::WhenGraphAnswers;
    }
    plan
}

fn follow(stance: stance::Stance, snapshot: &Snapshot, policy: &Policy, now: Timestamp) -> Plan {
    match (&snapshot.case, stance) {
        (Some(case), stance::Stance::Release { because, as_of }) => {
            release::continue_release(snapshot, case, because, as_of, now)
        }
        (Some(case), stance::Stance::Contain(wanted)) => {
            contain::continue_case(snapshot, &contain::escalate(case, wanted), now)
        }
        (Some(case), _) => contain::continue_case(snapshot, case, now),
        (None, stance::Stance::Contain(wanted)) => contain::open_case(snapshot, policy, wanted, now),
        (None, stance::Stance::Release { because, .. }) => Plan::nothing(because),
        (None, stance::Stance::Leave { why }) => Plan::nothing(why),
    }
}

impl Plan {
    fn nothing(why: String) -> Plan {
        Plan { case: None, actions: Vec::new(), held: vec![why], next: Next::Settled }
    }
}

/// How long to wait before the next read-back, given how long it has been tried: soon at first, because Auth0
/// usually deletes within a second, then ever more rarely.
fn read_back_after(tried_for: Duration) -> Duration {
    (tried_for / 2).clamp(READ_BACK_FIRST, READ_BACK_MOST)
}

const READ_BACK_FIRST: Duration = Duration::from_millis(100);
const READ_BACK_MOST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
