//! What a containment still needs, account by account, until it is proven.

use std::collections::BTreeMap;
use std::time::Duration;

use super::stance::Wanted;
use super::{Next, Plan, read_back_after};
use crate::action::Action;
use crate::case::{
    AccountId, AccountProgress, BlockProgress, Case, CaseId, CaseState, Means, Reason, Response, Restraint,
};
use crate::clock::{self, Timestamp};
use crate::policy::{Mode, Policy};
use crate::snapshot::{Access, Account, AccountsSeen, Blocked, Count, Directory, Snapshot};

/// Auth0 deletes sessions and tokens asynchronously; only what is still there after this long is asked for again.
const END_ACCESS_AGAIN: Duration = Duration::from_secs(15);

/// How soon to look again when Auth0 could not be read; the worker waits longer when the vendor says so.
const UNREAD_AGAIN: Duration = Duration::from_secs(1);

/// A person whom nobody contains yet, and somebody should.
pub(super) fn open_case(snapshot: &Snapshot, policy: &Policy, wanted: Wanted, now: Timestamp) -> Plan {
    if snapshot.accounts.is_empty() {
        match &snapshot.accounts_seen {
            AccountsSeen::All => {
                return Plan::nothing("the person has no Auth0 account: nothing to contain".into());
            }
            AccountsSeen::LinkedOnly(_) | AccountsSeen::Unread(_) => {}
        }
    }
    let (response, restraint) = restrain(snapshot, policy, &wanted);
    let acts = matches!(response, Response::Contain | Response::EndSessions)
        && !matches!(restraint, Some(Restraint::ObserveMode | Restraint::Protected));
    if !acts && let Some(held) = told_already(snapshot, restraint, now) {
        return Plan::nothing(held);
    }
    let case = Case {
        id: CaseId::opened_by(wanted.event),
        version: 1,
        subject: snapshot.subject,
        display_name: display_name(&snapshot.directory),
        state: if acts { CaseState::Requested } else { CaseState::NotActed },
        reason: wanted.reason,
        source: wanted.source,
        response,
        restraint,
        accounts: BTreeMap::new(),
        open: Vec::new(),
        event: wanted.event,
        signal_at: wanted.signal_at,
        received_at: wanted.received_at,
        opened_at: now,
        accepted_at: None,
        verified_at: None,
        released_at: None,
        released_because: None,
        released_as_of: None,
        verify_by: clock::after(now, Duration::from_secs(policy.contain.verify_within_seconds)),
        exposed_until: None,
    };
    if acts { continue_case(snapshot, &case, now) } else { only_tell(snapshot, case, now) }
}

/// How far it goes after protection and the brake. An operator's own request is not braked: a person has decided.
fn restrain(snapshot: &Snapshot, policy: &Policy, wanted: &Wanted) -> (Response, Option<Restraint>) {
    let protected = policy.protected.people.contains(&snapshot.subject.object)
        || snapshot.accounts.keys().any(|account| policy.protected.accounts.contains(account));
    if protected {
        return (Response::Notify, Some(Restraint::Protected));
    }
    if policy.mode == Mode::Observe {
        return (wanted.response, Some(Restraint::ObserveMode));
    }
    let by_operator = matches!(wanted.reason, Reason::Operator { .. });
    let braked = snapshot.recent_containments >= policy.contain.brake.containments;
    match wanted.response {
        Response::Contain if braked && !by_operator => (Response::EndSessions, Some(Restraint::ContainBrake)),
        response => (response, None),
    }
}

/// People are told once per this long of a person whom nothing was done about, however many alerts come.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(3600);

fn told_already(snapshot: &Snapshot, restraint: Option<Restraint>, now: Timestamp) -> Option<String> {
    let last = snapshot.last_closed.as_ref()?;
    let same = last.state == CaseState::NotActed && last.restraint == restraint;
    let fresh = clock::elapsed(last.opened_at, now) < TELL_AGAIN_AFTER;
    (same && fresh).then(|| format!("already told in {}", last.id))
}

/// Nothing is done; in observe mode, what would have been done is said action by action.
fn only_tell(snapshot: &Snapshot, mut case: Case, now: Timestamp) -> Plan {
    let mut would = Vec::new();
    continue_accounts(snapshot, &mut case, now, &mut would);
    case.accounts.values_mut().for_each(|account| account.open.clear());
    let mut held: Vec<String> = match case.restraint {
        Some(Restraint::ObserveMode) => would.iter().map(|a| format!("would {}", a.sentence())).collect(),
        _ => Vec::new(),
    };
    held.push(case.restraint.map_or("the policy only tells", Restraint::sentence).to_owned());
    Plan { case: Some(case), actions: Vec::new(), held, next: Next::Settled }
}

/// Somebody wants more than the open case does: an operator locks whom the brake had left able to sign in.
pub(super) fn escalate(case: &Case, wanted: Wanted) -> Case {
    let mut case = case.clone();
    let by_operator = matches!(wanted.reason, Reason::Operator { .. });
    if by_operator && case.response == Response::EndSessions {
        (case.response, case.restraint, case.reason) = (Response::Contain, None, wanted.reason);
        for progress in case.accounts.values_mut().filter(|p| p.block == BlockProgress::NotWanted) {
            *progress = AccountProgress::wanted(Response::Contain);
        }
    }
    case
}

/// A case that is open: compare what is seen with what was asked for.
pub(super) fn continue_case(snapshot: &Snapshot, case: &Case, now: Timestamp) -> Plan {
    let mut case = case.clone();
    let mut actions = Vec::new();
    case.display_name = case.display_name.take().or_else(|| display_name(&snapshot.directory));
    case.open.clear();
    (case.released_because, case.released_as_of) = (None, None);
    match &snapshot.accounts_seen {
        AccountsSeen::All => continue_accounts(snapshot, &mut case, now, &mut actions),
        AccountsSeen::LinkedOnly(why) => {
            continue_accounts(snapshot, &mut case, now, &mut actions);
            case.open.push(format!("other accounts of the person could not be searched for: {why}"));
        }
        AccountsSeen::Unread(why) => case.open.push(format!("Auth0 could not be read: {why}")),
    }
    if case.accounts.is_empty() && snapshot.accounts_seen == AccountsSeen::All {
        case.state = CaseState::NotActed;
        case.open.push("the person has no Auth0 account: nothing to contain".into());
        return Plan { case: Some(case), actions, held: Vec::new(), next: Next::Settled };
    }
    advance(snapshot, &mut case, now);
    let next = match case.state {
        CaseState::Verified => Next::Settled,
        _ if matches!(snapshot.accounts_seen, AccountsSeen::Unread(_)) => Next::Again(UNREAD_AGAIN),
        _ => Next::Again(read_back_after(clock::elapsed(case.accepted_at.unwrap_or(now), now))),
    };
    Plan { case: Some(case), actions, held: Vec::new(), next }
}

fn continue_accounts(snapshot: &Snapshot, case: &mut Case, now: Timestamp, actions: &mut Vec<Action>) {
    for id in snapshot.accounts.keys() {
        let wanted = AccountProgress::wanted(case.response);
        case.accounts.entry(id.clone()).or_insert(wanted);
    }
    let (id_of_case, reason) = (case.id, case.reason.sentence());
    for (id, progress) in &mut case.accounts {
        let Some(account) = snapshot.accounts.get(id) else {
            *progress = AccountProgress { block: BlockProgress::Gone, open: Vec::new(), ..progress.clone() };
            continue;
        };
        progress.open.clear();
        if let Some(block) = next_block(account, progress, id_of_case, &reason) {
            actions.push(block);
        }
        if let Some(end) = next_end(id, account, progress, snapshot.means, now) {
            actions.push(end);
        }
    }
}

/// Blocks, unless it is blocked; a block without our stamp is somebody else's and never claimed.
fn next_block(
    account: &Account,
    progress: &mut AccountProgress,
    case: CaseId,
    reason: &str,
) -> Option<Action> {
    if progress.block == BlockProgress::NotWanted {
        return None;
    }
    let ours = account.stamp.as_ref().map(|stamp| stamp.case == case);
    match (account.blocked, ours) {
        (Blocked::Yes, Some(true)) => progress.block = BlockProgress::Ours,
        (Blocked::Yes, None) => progress.block = BlockProgress::Theirs,
        // Stamped by an earlier case of ours: take it over, so that this case can release it.
        (Blocked::Yes, Some(false)) | (Blocked::No, _) => {
            progress.block = BlockProgress::Wanted;
            progress.open.push("not blocked by this case yet".into());
            return Some(Action::Block { account: account.id.clone(), case, reason: reason.to_owned() });
        }
    }
    None
}

/// Ends access once, and again only when what was there is still there after Auth0 had time to delete it.
fn next_end(
    id: &AccountId,
    account: &Account,
    progress: &mut AccountProgress,
    means: Means,
    now: Timestamp,
) -> Option<Action> {
    let left = left_open(&account.access, progress.ended_by.unwrap_or(means));
    let due = match progress.ended_at {
        None => true,
        Some(ended_at) => !left.is_empty() && clock::elapsed(ended_at, now) >= END_ACCESS_AGAIN,
    };
    match progress.ended_by {
        None => progress.open.push("sessions and refresh tokens not ended yet".into()),
        Some(_) => progress.open.extend(left),
    }
    due.then(|| Action::EndAccess { account: id.clone(), means })
}

/// What the read-back still finds, in words. What the plan does not list is not open: the block refuses it at its
/// next use.
fn left_open(access: &Access, means: Means) -> Vec<String> {
    let listed = match means {
        Means::RevokeAccess | Means::SessionsAndTokens => {
            [(access.sessions, "sessions"), (access.refresh_tokens, "refresh tokens")]
        }
        Means::GrantsAndDevices => {
            [(access.grants, "grants"), (access.device_credentials, "device credentials")]
        }
    };
    let in_words = |(count, what)| match count {
        Count::Is(0) | Count::NotInPlan => None,
        Count::Is(number) => Some(format!("{number} {what}")),
        Count::Unread => Some(format!("{what} not read back yet")),
    };
    listed.into_iter().filter_map(in_words).collect()
}

/// Moves the state as far as what is seen allows, and no further.
fn advance(snapshot: &Snapshot, case: &mut Case, now: Timestamp) {
    let accepted = case.accounts.values().all(AccountProgress::is_accepted);
    let proven = accepted && case.open.is_empty() && case.accounts.values().all(|a| a.open.is_empty());
    let any = !case.accounts.is_empty();
    case.state = match (any && accepted, any && proven) {
        (_, true) => CaseState::Verified,
        (true, false) => CaseState::Accepted,
        (false, false) => CaseState::Requested,
    };
    if accepted && any {
        case.accepted_at.get_or_insert(now);
        if let (None, Some(seconds)) = (case.exposed_until, snapshot.token_lifetime_seconds) {
            let accepted_at = case.accepted_at.unwrap_or(now);
            case.exposed_until = Some(clock::after(accepted_at, Duration::from_secs(seconds)));
        }
    }
    match case.state {
        CaseState::Verified => {
            case.verified_at.get_or_insert(now);
        }
        _ => {
            case.verified_at = None;
            if now > case.verify_by {
                case.open.push(format!("not verified by {:.0}", case.verify_by));
            }
        }
    }
}

fn display_name(directory: &Directory) -> Option<String> {
    match directory {
        Directory::Present(person) | Directory::SoftDeleted(person) => person.display_name.clone(),
        Directory::Missing | Directory::Unread(_) => None,
    }
}
