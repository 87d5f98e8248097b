//! One line per account: what was done to it and what is still open.

use crate::case::also::{AlsoState, Extra};
use crate::case::{AccountId, AccountProgress, BlockProgress, Case, CaseState, Restraint};

use super::super::message::AccountLine;

/// Accounts with something open come first, so that a cut list loses what is settled.
pub(super) fn lines(case: &Case) -> Vec<AccountLine> {
    let (open, settled): (Vec<_>, Vec<_>) = case.accounts.iter().partition(|(_, p)| !p.open.is_empty());
    let line = |(id, progress): (&AccountId, &AccountProgress)| AccountLine {
        account: id.to_string(),
        words: words(case, progress),
    };
    open.into_iter().chain(settled).map(line).collect()
}

fn words(case: &Case, progress: &AccountProgress) -> String {
    let mut clauses = vec![block(case, progress.block).to_owned()];
    clauses.extend(access(case, progress));
    clauses.extend(also(case, progress));
    match progress.open.is_empty() {
        true => clauses.join(", "),
        false => format!("{}; still open: {}", clauses.join(", "), progress.open.join("; ")),
    }
}

fn block(case: &Case, block: BlockProgress) -> &'static str {
    match (case.state, block) {
        (_, BlockProgress::Gone) => "was deleted in Auth0",
        (_, BlockProgress::Protected) => "NOT contained: protected by policy, needs two people",
        (CaseState::Released, BlockProgress::Theirs) => {
            "stays blocked, as it was before by somebody else (only Auth0 can lift that)"
        }
        (CaseState::Releasing, BlockProgress::Ours) => "being unblocked",
        (_, BlockProgress::Theirs) => "was blocked before by somebody else and is left so",
        (CaseState::NotActed, BlockProgress::Wanted) if is_rehearsal(case) => "would be blocked",
        (CaseState::NotActed, BlockProgress::NotWanted) if is_rehearsal(case) => "would not be blocked",
        (CaseState::NotActed, _) => "left as it is",
        (CaseState::Released, BlockProgress::Ours) => "unblocked",
        (CaseState::Released, BlockProgress::Wanted | BlockProgress::NotWanted) => "was not blocked by us",
        (_, BlockProgress::Wanted) => "block asked for",
        (_, BlockProgress::Ours) => "blocked",
        (_, BlockProgress::NotWanted) => "sign-in left open",
    }
}

/// Ending access cannot be undone, so a released case still says that it happened.
fn access(case: &Case, progress: &AccountProgress) -> Option<String> {
    match (progress.ended_by, progress.block, case.state) {
        (_, BlockProgress::Gone | BlockProgress::Protected, _) => None,
        (Some(means), _, CaseState::Releasing | CaseState::Released) => {
            Some(format!("access had been ended by {}", means.word()))
        }
        (Some(means), ..) => Some(format!("access ended by {}", means.word())),
        (None, _, CaseState::NotActed) if is_rehearsal(case) => {
            Some("sessions and refresh tokens would end".to_owned())
        }
        (None, ..) => None,
    }
}

/// What is still tried is among what is open.
fn also(case: &Case, progress: &AccountProgress) -> Vec<String> {
    if matches!(progress.block, BlockProgress::Gone | BlockProgress::Protected) {
        return Vec::new();
    }
    let clause = |(extra, state): (Extra, &AlsoState)| {
        let what = extra.word();
        match (state, case.state) {
            (AlsoState::Wanted, CaseState::NotActed) if is_rehearsal(case) => {
                Some(format!("{what} would end"))
            }
            (AlsoState::Ended { .. }, CaseState::Releasing | CaseState::Released) => {
                Some(format!("{what} had been ended"))
            }
            (AlsoState::Ended { .. }, _) => Some(format!("{what} ended")),
            (AlsoState::Unproven { .. }, _) => {
                Some(format!("{what} ended, which Auth0 does not let us prove"))
            }
            (AlsoState::Refused { why, .. }, _) => Some(format!("{what} NOT ended, refused by {why}")),
            (AlsoState::Wanted | AlsoState::Failed { .. }, _) => None,
        }
    };
    progress.also.iter().filter_map(|(extra, also)| clause((*extra, &also.state))).collect()
}

/// Observe mode shows what enforcing would do.
fn is_rehearsal(case: &Case) -> bool {
    case.restraint == Some(Restraint::ObserveMode)
}
