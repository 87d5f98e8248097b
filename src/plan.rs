//! What to do about one person: a plain function of what is seen, what should hold, and the time.
//!
//! [`plan`] decides in steps, one file each: which reasons there are and which are over (`reasons`), what should hold
//! (`stance`), what a containment still needs (`contain`), what a release still needs (`release`). It leaves apply nothing to decide, and it says what it did
//! *not* do. Containing and proving are the same function: looked at again after its actions were applied, a
//! containment either needs more, or is proven. [`check`] is a second, independent look at every plan.

pub mod check;
mod contain;
mod reasons;
mod release;
mod stance;
pub mod sync;

use std::time::Duration;

use crate::action::Action;
use crate::case::Case;
use crate::clock::Timestamp;
use crate::event::Event;
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
    /// Look for accounts with the person's e-mail address, and plan once more.
    AskForLookAlikes,
}

/// Decides. Same input, same plan.
pub fn plan(snapshot: &Snapshot, policy: &Policy, now: Timestamp) -> Plan {
    let mut plan = follow(stance::decide(snapshot, policy), snapshot, policy, now);
    if let (Next::Settled, Some(why)) = (plan.next, reasons::unheard(snapshot)) {
        plan.held.push(why);
        plan.next = Next::WhenGraphAnswers;
    }
    plan
}

fn follow(stance: stance::Stance, snapshot: &Snapshot, policy: &Policy, now: Timestamp) -> Plan {
    match (&snapshot.case, stance) {
        (Some(case), stance::Stance::Release { release, causes }) => {
            let case = Case { causes, ..case.clone() };
            release::continue_release(snapshot, &case, release, now)
        }
        (Some(case), stance::Stance::Continue { causes, held }) => {
            let case = contain::escalate(case, causes, snapshot, policy, now);
            let mut plan = contain::continue_case(snapshot, policy, &case, now);
            plan.held.extend(held);
            plan
        }
        (None, stance::Stance::Open(called)) => contain::open_case(snapshot, policy, called, now),
        (_, stance::Stance::Leave { why }) => Plan::nothing(why),
        (None, stance::Stance::Release { .. } | stance::Stance::Continue { .. })
        | (Some(_), stance::Stance::Open(_)) => Plan::nothing("a stance about another case".into()),
    }
}

/// Whether Entra's risk can change what is planned for these events: riskyUsers answers once a second for the whole
/// tenant, so nobody asks it in vain.
pub fn risk_can_matter(asks: &[Event], case: Option<&Case>) -> bool {
    reasons::risk_can_matter(asks, case)
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
