//! What the policy wants ended beside sessions and refresh tokens, once an account is blocked and these are ended.
//!
//! Only where the account is to be blocked: none of it can be given back, and the brake falls back to what can. A refusal
//! is told and does not keep the lockout from being proven; what failed is tried again.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{END_ACCESS_AGAIN, is_protected};
use crate::action::Action;
use crate::case::also::{AlsoProgress, AlsoState, Extra};
use crate::case::{AccountId, AccountProgress, BlockProgress, Case, CaseState, Reason, Response};
use crate::clock::{self, Timestamp};
use crate::policy::Policy;
use crate::policy::also::EntraSessions;
use crate::snapshot::{Access, Count, Directory, Snapshot};

/// The newest word that asks anew for what was refused. What Entra shows of an account is told again and again, and asks
/// for nothing by that.
pub(super) fn newest_word(case: &Case) -> Option<Timestamp> {
    let is_word = |reason: &Reason| matches!(reason, Reason::Risk(_) | Reason::Operator { .. });
    let causes = case.every_cause().into_iter();
    causes.filter(|cause| cause.holds() && is_word(&cause.reason)).map(|cause| cause.as_of).max()
}

/// What one account still needs. What is open is added to its progress.
pub(super) fn next_extras(
    id: &AccountId,
    access: &Access,
    progress: &mut AccountProgress,
    wanted: &BTreeSet<Extra>,
    newest: Option<Timestamp>,
    state: CaseState,
    now: Timestamp,
) -> Vec<Action> {
    let Some(ended_by) = progress.ended_by.filter(|_| is_locked(progress.block)) else { return Vec::new() };
    let missing = wanted.iter().copied().filter(|extra| !extra.is_ended_by(ended_by));
    let mut actions = Vec::new();
    for extra in missing {
        let also = progress.also.entry(extra).or_insert_with(AlsoProgress::wanted);
        read_back(also, access.extra(extra));
        progress.open.extend(still_open(also, extra, access.extra(extra), state));
        if is_due(also, access.extra(extra), newest, now) {
            *also = also.tried(newest, now);
            actions.push(Action::EndExtra { account: id.clone(), extra });
        }
    }
    actions
}

/// What would be ended of an account that nothing was done to: for observe mode.
pub(super) fn all_extras(
    id: &AccountId,
    progress: &mut AccountProgress,
    wanted: &BTreeSet<Extra>,
) -> Vec<Action> {
    progress.also = wanted.iter().map(|extra| (*extra, AlsoProgress::wanted())).collect();
    wanted.iter().map(|extra| Action::EndExtra { account: id.clone(), extra: *extra }).collect()
}

/// How long the end of Entra's sessions waits for the proof that Auth0 is closed. Graph being slow holds up no read-back of a
/// usual length, and an Auth0 that deletes late not the end of these sessions.
const ENTRA_WAITS_MOST: Duration = Duration::from_secs(5);

/// An end of Entra's sessions that goes on failing is tried again this rarely in the end, and looked after no sooner than that.
const ENTRA_AGAIN_MOST: Duration = Duration::from_secs(600);
const ENTRA_AGAIN_LEAST: Duration = Duration::from_secs(1);

/// Ends the person's sign-in sessions in Entra once per case, when Auth0 is closed: before, one of them could open it again.
/// Whether it is done says nothing about Auth0, so it is neither waited for nor a part of the proof.
pub(super) fn next_entra_sessions(
    snapshot: &Snapshot,
    policy: &Policy,
    case: &mut Case,
    now: Timestamp,
) -> Option<Action> {
    if !wants_entra_sessions(snapshot, policy, case) {
        // Nobody wants any more what was never done.
        case.entra_sessions.take_if(|also| is_open(also));
        return None;
    }
    let newest = newest_word(case);
    let also = case.entra_sessions.get_or_insert_with(AlsoProgress::wanted);
    let since = case.renewed_at.max(case.accepted_at).unwrap_or(now);
    let is_time = match case.state {
        CaseState::Verified => true,
        CaseState::Accepted => clock::elapsed(since, now) >= ENTRA_WAITS_MOST,
        _ => false,
    };
    let is_due = match &also.state {
        AlsoState::Ended { .. } | AlsoState::Unproven { .. } => newest > also.as_of,
        AlsoState::Failed { at, .. } => clock::elapsed(*at, now) >= entra_waits(also, *at, newest),
        _ => is_due(also, Count::Unread, newest, now),
    };
    (is_time && is_due).then(|| {
        *also = also.tried(newest, now);
        Action::EndEntraSessions { person: snapshot.subject.object }
    })
}

/// Whoever is known to be deleted has none. A protected account of the person is protected from that, too.
pub(super) fn wants_entra_sessions(snapshot: &Snapshot, policy: &Policy, case: &Case) -> bool {
    let is_gone = matches!(snapshot.directory, Directory::SoftDeleted(_) | Directory::Missing);
    let mut accounts = snapshot.known_accounts().chain(case.accounts.keys());
    policy.contain.also.entra_sessions == EntraSessions::End
        && case.response == Response::Contain
        && !is_gone
        && !accounts.any(|account| is_protected(snapshot, policy, account))
}

/// As long as it has failed already, so that the waits double. A newer reason does not wait for what an older one has failed at.
fn entra_waits(also: &AlsoProgress, failed_at: Timestamp, newest: Option<Timestamp>) -> Duration {
    match also.tried_since.filter(|_| newest <= also.as_of) {
        Some(since) => clock::elapsed(since, failed_at).clamp(END_ACCESS_AGAIN, ENTRA_AGAIN_MOST),
        None => END_ACCESS_AGAIN,
    }
}

/// How soon to look again because of Entra's sessions; `None` when nothing is to be tried.
pub(super) fn entra_again(case: &Case, now: Timestamp) -> Option<Duration> {
    let also = case.entra_sessions.as_ref().filter(|also| is_open(also))?;
    let AlsoState::Failed { at, .. } = &also.state else { return Some(END_ACCESS_AGAIN) };
    let left = entra_waits(also, *at, newest_word(case)).saturating_sub(clock::elapsed(*at, now));
    Some(left.max(ENTRA_AGAIN_LEAST))
}

fn is_open(also: &AlsoProgress) -> bool {
    matches!(also.state, AlsoState::Wanted | AlsoState::Failed { .. })
}

fn is_locked(block: BlockProgress) -> bool {
    matches!(block, BlockProgress::Ours | BlockProgress::Theirs)
}

/// What was accepted and may not be listed is never proven, and nothing speaks against it.
fn read_back(also: &mut AlsoProgress, left: Count) {
    if let (AlsoState::Ended { at }, Count::NotInPlan) = (&also.state, left) {
        also.state = AlsoState::Unproven { at: *at };
    }
}

fn is_due(also: &AlsoProgress, left: Count, newest: Option<Timestamp>, now: Timestamp) -> bool {
    let waited = |at: Timestamp| clock::elapsed(at, now) >= END_ACCESS_AGAIN;
    match &also.state {
        AlsoState::Wanted => true,
        AlsoState::Failed { at, .. } => waited(*at),
        AlsoState::Ended { at } => matches!(left, Count::Is(1..)) && waited(*at),
        AlsoState::Unproven { .. } => false,
        AlsoState::Refused { .. } => newest > also.as_of,
    }
}

/// What was read back once stays proven while it cannot be read again: nothing was found that speaks against it.
fn still_open(also: &AlsoProgress, extra: Extra, left: Count, state: CaseState) -> Option<String> {
    let what = extra.word();
    match (&also.state, left) {
        (AlsoState::Wanted, _) => Some(format!("{what} not ended yet")),
        (AlsoState::Failed { why, .. }, _) => Some(format!("{what} not ended yet: {why}")),
        (AlsoState::Ended { .. }, Count::Unread) if state == CaseState::Verified => None,
        (AlsoState::Ended { .. }, Count::Unread) => Some(format!("{what} not read back yet")),
        (AlsoState::Ended { .. }, Count::Is(left @ 1..)) => Some(format!("{left} {what}")),
        (AlsoState::Ended { .. }, Count::Is(0) | Count::NotInPlan)
        | (AlsoState::Unproven { .. } | AlsoState::Refused { .. }, _) => None,
    }
}
