//! What a containment still needs, account by account, until it is proven.

mod also;

use std::collections::BTreeMap;
use std::time::Duration;

use super::reasons::{self, Called};
use super::{Next, Plan, read_back_after};
use crate::action::Action;
use crate::case::also::AlsoProgress;
use crate::case::{
    AccountId, AccountProgress, BlockProgress, Case, CaseId, CaseState, Cause, Deletion, Means, Reason,
    Response, Restraint,
};
use crate::clock::{self, Timestamp};
use crate::event::{EventId, EventKind};
use crate::policy::{Mode, Policy};
use crate::snapshot::{Access, Account, AccountsSeen, Blocked, Count, Directory, Snapshot};

/// Auth0 deletes sessions and tokens asynchronously; only what is still there after this long is asked for again.
const END_ACCESS_AGAIN: Duration = Duration::from_secs(15);

/// How soon to look again when Auth0 could not be read; the worker waits longer when the vendor says so.
const UNREAD_AGAIN: Duration = Duration::from_secs(1);

/// A person whom nobody contains yet, and somebody should: for the strongest of the reasons, and all of them are kept.
pub(super) fn open_case(snapshot: &Snapshot, policy: &Policy, called: Called, now: Timestamp) -> Plan {
    let has_none = snapshot.accounts.is_empty() && snapshot.accounts_seen == AccountsSeen::All;
    let Some(first) = called.wanted.first() else {
        return Plan::nothing("nothing calls for containment".into());
    };
    let causes = reasons::join(Vec::new(), called.causes());
    let (response, restraint) = restrain(snapshot, policy, &first.cause, first.event);
    let acts = !has_none
        && response >= Response::EndSessions
        && !matches!(restraint, Some(Restraint::ObserveMode | Restraint::Protected));
    if has_none && let Some(plan) = without_account(snapshot) {
        return plan;
    }
    if !acts && let Some(held) = told_already(snapshot, restraint, now) {
        return Plan::nothing(held);
    }
    let told = causes.iter().any(|cause| cause.reason == Reason::Deleted);
    let case = Case {
        id: CaseId::opened_by(first.event),
        version: 1,
        subject: snapshot.subject,
        display_name: display_name(&snapshot.directory),
        state: if acts { CaseState::Requested } else { CaseState::NotActed },
        reason: first.cause.reason.clone(),
        source: first.cause.source,
        causes,
        response,
        restraint,
        entra_sessions: None,
        look_alikes: snapshot.look_alikes.clone(),
        accounts: BTreeMap::new(),
        open: Vec::new(),
        event: first.correlation,
        signal_at: first.signal_at,
        received_at: first.received_at,
        opened_at: now,
        accepted_at: None,
        verified_at: None,
        released_at: None,
        released_because: None,
        released_as_of: None,
        released_by: None,
        escalated_at: None,
        renewed_at: None,
        deletion: told.then_some(Deletion::Told(now)),
        verify_by: verify_by(policy, now),
        exposed_until: None,
    };
    if has_none {
        let case = Case { restraint: None, open: vec![NO_ACCOUNT.into()], ..case };
        return Plan {
            case: Some(case),
            actions: Vec::new(),
            held: vec![NO_ACCOUNT.into()],
            next: Next::Settled,
        };
    }
    if acts { continue_case(snapshot, policy, &case, now) } else { only_tell(snapshot, policy, case, now) }
}

const NO_ACCOUNT: &str = "the person has no Auth0 account: nothing to contain";

/// Nobody to lock out. `None` when others have the person's address, of whom people are told in a case.
fn without_account(snapshot: &Snapshot) -> Option<Plan> {
    let next = match &snapshot.look_alikes {
        Some(found) if !found.is_empty() => return None,
        None if snapshot.email().is_some() => Next::AskForLookAlikes,
        Some(_) | None => Next::Settled,
    };
    Some(Plan { next, ..Plan::nothing(NO_ACCOUNT.into()) })
}

fn verify_by(policy: &Policy, now: Timestamp) -> Timestamp {
    clock::after(now, Duration::from_secs(policy.contain.verify_within_seconds))
}

/// How far it goes after protection and the brake. An operator's own request is not braked: a person has decided. What
/// is blocked already is not braked any more.
fn restrain(
    snapshot: &Snapshot,
    policy: &Policy,
    strongest: &Cause,
    event: EventId,
) -> (Response, Option<Restraint>) {
    let protected = |account| is_protected(snapshot, policy, account);
    if policy.protected.people.contains(&snapshot.subject.object) || snapshot.known_accounts().any(protected)
    {
        return (Response::Notify, Some(Restraint::Protected));
    }
    if policy.mode == Mode::Observe {
        return (strongest.response, Some(Restraint::ObserveMode));
    }
    match strongest.response {
        Response::Contain
            if is_braked(snapshot, policy, [strongest]) && !reasons::is_off_the_record(snapshot, event) =>
        {
            (Response::EndSessions, Some(Restraint::ContainBrake))
        }
        response => (response, None),
    }
}

fn is_protected(snapshot: &Snapshot, policy: &Policy, account: &AccountId) -> bool {
    policy.protected.people.contains(&snapshot.subject.object) || policy.protected.accounts.contains(account)
}

fn is_braked<'a>(snapshot: &Snapshot, policy: &Policy, causes: impl IntoIterator<Item = &'a Cause>) -> bool {
    let by_operator = causes.into_iter().any(|cause| matches!(cause.reason, Reason::Operator { .. }));
    !by_operator && snapshot.recent_containments >= policy.contain.brake.containments
}

/// People are told once per this long of a person whom nothing was done about, however many alerts come.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(3600);

fn told_already(snapshot: &Snapshot, restraint: Option<Restraint>, now: Timestamp) -> Option<String> {
    let last = snapshot.last_not_acted.as_ref()?;
    let same = last.restraint == restraint;
    let fresh = clock::elapsed(last.opened_at, now) < TELL_AGAIN_AFTER;
    (same && fresh).then(|| format!("already told in {}", last.id))
}

/// Nothing is done; in observe mode, what would have been done is said action by action.
fn only_tell(snapshot: &Snapshot, policy: &Policy, mut case: Case, now: Timestamp) -> Plan {
    let mut would = Vec::new();
    continue_accounts(snapshot, policy, &mut case, now, &mut would);
    if case.restraint == Some(Restraint::ObserveMode) && also::wants_entra_sessions(snapshot, policy, &case) {
        case.entra_sessions = Some(AlsoProgress::wanted());
        would.push(Action::EndEntraSessions { person: snapshot.subject.object });
    }
    case.accounts.values_mut().for_each(|account| account.open.clear());
    let mut held: Vec<String> = match case.restraint {
        Some(Restraint::ObserveMode) => would.iter().map(|a| format!("would {}", a.sentence())).collect(),
        _ => Vec::new(),
    };
    held.push(case.restraint.map_or("the policy only tells", Restraint::sentence).to_owned());
    Plan { case: Some(case), actions: Vec::new(), held, next: Next::Settled }
}

/// The case with the reasons that it has now. One that only ends sessions blocks from now on when a reason wants that
/// and neither policy nor brake is against it. The brake that held it is lifted by a person, or by Entra finding the
/// account disabled or deleted since; never by an alert.
pub(super) fn escalate(
    case: &Case,
    causes: Vec<Cause>,
    snapshot: &Snapshot,
    policy: &Policy,
    now: Timestamp,
) -> Case {
    let known = case.every_cause();
    let wants_block = |cause: &Cause| match (&cause.reason, case.restraint) {
        _ if cause.response != Response::Contain => false,
        (Reason::Risk(_), Some(Restraint::ContainBrake)) => false,
        (Reason::Disabled | Reason::Deleted, Some(Restraint::ContainBrake)) => {
            !known.iter().any(|known| known.is_same_kind(cause))
        }
        _ => true,
    };
    let wanted = case.response == Response::EndSessions
        && policy.mode == Mode::Enforce
        && causes.iter().any(wants_block);
    let deletion = deletion(case, &causes, snapshot, now);
    let mut case = Case { causes, deletion, ..case.clone() };
    if wanted && is_braked(snapshot, policy, &case.causes) {
        case.restraint = Some(Restraint::ContainBrake);
    } else if wanted {
        (case.response, case.restraint, case.escalated_at) = (Response::Contain, None, Some(now));
        for progress in case.accounts.values_mut().filter(|p| p.block == BlockProgress::NotWanted) {
            *progress = AccountProgress::wanted(Response::Contain);
        }
    }
    case
}

/// The first word of the deletion stands until the person is seen in Entra again, or a release has answered it. That
/// nobody is found any more is no word by itself.
fn deletion(case: &Case, causes: &[Cause], snapshot: &Snapshot, now: Timestamp) -> Option<Deletion> {
    let is_told = causes.iter().any(|cause| cause.reason == Reason::Deleted);
    let known = match case.state {
        CaseState::Releasing => None,
        _ => case.deletion_told_at().map(Deletion::Told).or(case.deletion),
    };
    let anew = match &snapshot.directory {
        Directory::Present(_) => return is_told.then_some(Deletion::TakenBack),
        Directory::SoftDeleted(_) => is_told,
        Directory::Missing => is_told && snapshot.asks.iter().any(|ask| ask.kind == EventKind::UserDeleted),
        Directory::Unread(_) => false,
    };
    match known {
        Some(Deletion::Told(_)) => known,
        Some(Deletion::TakenBack) | None => anew.then_some(Deletion::Told(now)).or(known),
    }
}

/// A case that is open: compare what is seen with what was asked for.
pub(super) fn continue_case(snapshot: &Snapshot, policy: &Policy, case: &Case, now: Timestamp) -> Plan {
    let was = case;
    let mut case = case.clone();
    let mut actions = Vec::new();
    case.display_name = case.display_name.take().or_else(|| display_name(&snapshot.directory));
    let before = std::mem::take(&mut case.open);
    (case.released_because, case.released_as_of, case.released_by) = (None, None, None);
    let unseen = match &snapshot.accounts_seen {
        AccountsSeen::All => None,
        AccountsSeen::Partly { unread, why } if unread.is_empty() => {
            Some(format!("other accounts of the person could not be searched for: {why}"))
        }
        AccountsSeen::Partly { unread, why } => Some(match unread.len() {
            1 => format!("an account of the person could not be read: {why}"),
            several => format!("{several} accounts of the person could not be read: {why}"),
        }),
        AccountsSeen::Unread(why) => Some(format!("Auth0 could not be read: {why}")),
    };
    if !matches!(snapshot.accounts_seen, AccountsSeen::Unread(_)) {
        continue_accounts(snapshot, policy, &mut case, now, &mut actions);
    }
    if unseen.is_none()
        && let Some((why, restraint)) = nothing_to_contain(snapshot, &case)
    {
        (case.state, case.restraint) = (CaseState::NotActed, restraint.or(case.restraint));
        case.open.push(why);
        return Plan { case: Some(case), actions, held: Vec::new(), next: Next::Settled };
    }
    if unseen.is_none() && policy.mode == Mode::Enforce && is_another_try(was, &actions) {
        // What stood in the way when this was tried last stands until it is known to be over: nothing new is told.
        case.open = before;
    }
    case.open.extend(unseen.clone());
    advance(snapshot, was, &mut case, &actions, now);
    renew(was, &mut case, &actions, policy, now);
    say_if_late(&mut case, now);
    actions.extend(also::next_entra_sessions(snapshot, policy, &mut case, now));
    let tried_since = case.renewed_at.max(case.accepted_at).unwrap_or(now);
    let next = match case.state {
        CaseState::Verified if unseen.is_none() => {
            also::entra_again(&case, now).map_or(Next::Settled, Next::Again)
        }
        _ if matches!(snapshot.accounts_seen, AccountsSeen::Unread(_)) => Next::Again(UNREAD_AGAIN),
        _ => Next::Again(read_back_after(clock::elapsed(tried_since, now))),
    };
    Plan { case: Some(case), actions, held: Vec::new(), next }
}

/// Whether something is done to accounts that the case knew before.
fn is_another_try(was: &Case, actions: &[Action]) -> bool {
    let known = |action: &Action| action.account().is_some_and(|id| was.accounts.contains_key(id));
    !actions.is_empty() && actions.iter().all(known)
}

/// There is no account, or only such as became protected before anything was done to them.
fn nothing_to_contain(snapshot: &Snapshot, case: &Case) -> Option<(String, Option<Restraint>)> {
    if case.accounts.is_empty() {
        return Some((NO_ACCOUNT.into(), None));
    }
    let stamped = |id: &AccountId| {
        let stamp = snapshot.accounts.get(id).and_then(|account| account.stamp.as_ref());
        stamp.is_some_and(|stamp| stamp.case == case.id)
    };
    let untouched = |(id, account): (&AccountId, &AccountProgress)| {
        account.block == BlockProgress::Protected && account.ended_by.is_none() && !stamped(id)
    };
    let why = "every account is protected by policy now: nothing was done";
    case.accounts.iter().all(untouched).then(|| (why.into(), Some(Restraint::Protected)))
}

fn continue_accounts(
    snapshot: &Snapshot,
    policy: &Policy,
    case: &mut Case,
    now: Timestamp,
    actions: &mut Vec<Action>,
) {
    let wanted = AccountProgress::wanted(case.response);
    for id in snapshot.accounts.keys() {
        let progress = case.accounts.entry(id.clone()).or_insert_with(|| wanted.clone());
        // Gone and back, or protected no longer: it starts from the beginning, with the case's own response.
        if matches!(progress.block, BlockProgress::Gone | BlockProgress::Protected) {
            *progress = wanted.clone();
        }
    }
    let (id_of_case, reason, state) = (case.id, case.reason.sentence(), case.state);
    let acts = state.is_open();
    let (extras, newest) = (&policy.contain.also.extras, also::newest_word(case));
    let blocks = case.response == Response::Contain;
    for (id, progress) in &mut case.accounts {
        if snapshot.accounts_seen.unread().any(|unread| unread == id) {
            // Not gone: what is known of it stands until it is read.
            continue;
        }
        let Some(account) = snapshot.accounts.get(id) else {
            *progress = AccountProgress { block: BlockProgress::Gone, open: Vec::new(), ..progress.clone() };
            continue;
        };
        progress.open.clear();
        let block = next_block(account, progress, id_of_case, &reason);
        let end = next_end(id, account, progress, snapshot.means, now);
        let also = match (blocks, acts) {
            (false, _) => Vec::new(),
            (true, true) => also::next_extras(id, &account.access, progress, extras, newest, state, now),
            (true, false) => also::all_extras(id, progress, extras),
        };
        let needs = block.is_some() || end.is_some() || !also.is_empty();
        if acts && needs && is_protected(snapshot, policy, id) {
            *progress =
                AccountProgress { block: BlockProgress::Protected, open: Vec::new(), ..progress.clone() };
            continue;
        }
        actions.extend(block.into_iter().chain(end).chain(also));
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

/// Moves the state as far as what is seen allows, and no further. What is proven stays so while Auth0 cannot be read:
/// nothing was found that speaks against it.
fn advance(snapshot: &Snapshot, was: &Case, case: &mut Case, actions: &[Action], now: Timestamp) {
    let any = !case.accounts.is_empty();
    let accepted = any && case.accounts.values().all(AccountProgress::is_accepted);
    let clean = accepted && case.accounts.values().all(|account| account.open.is_empty());
    let proven = clean && (case.open.is_empty() || was.state == CaseState::Verified);
    case.state = match (accepted, proven) {
        (_, true) => CaseState::Verified,
        (true, false) => CaseState::Accepted,
        (false, false) => CaseState::Requested,
    };
    case.verified_at = match case.state {
        CaseState::Verified => Some(case.verified_at.unwrap_or(now)),
        _ => None,
    };
    if accepted {
        case.accepted_at.get_or_insert(now);
        if was.state == CaseState::Requested && case.renewed_at.is_some() {
            case.renewed_at = Some(now);
        }
        expose(snapshot, case, actions);
    }
}

/// The last access token that can have been issued lives on from the last end of access that was accepted; computed anew
/// whenever access is ended anew.
fn expose(snapshot: &Snapshot, case: &mut Case, actions: &[Action]) {
    if actions.iter().any(|action| matches!(action, Action::EndAccess { .. })) {
        case.exposed_until = None;
        return;
    }
    let ended = case.accounts.values().filter_map(|account| account.ended_at).max();
    let last = ended.max(case.accepted_at).max(case.renewed_at);
    if let (None, Some(seconds), Some(last)) = (case.exposed_until, snapshot.token_lifetime_seconds, last) {
        case.exposed_until = Some(clock::after(last, Duration::from_secs(seconds)));
    }
}

/// What had been accepted or proven, and is so no longer, begins again: with a new deadline, and read back soon.
fn renew(was: &Case, case: &mut Case, actions: &[Action], policy: &Policy, now: Timestamp) {
    let fell_back = match was.state {
        CaseState::Verified => case.state != CaseState::Verified,
        CaseState::Accepted => case.state == CaseState::Requested,
        CaseState::Releasing => true,
        CaseState::Requested | CaseState::NotActed | CaseState::Released => false,
    };
    if fell_back && !actions.is_empty() {
        (case.renewed_at, case.exposed_until) = (Some(now), None);
        case.verify_by = verify_by(policy, now);
    }
}

fn say_if_late(case: &mut Case, now: Timestamp) {
    if case.state != CaseState::Verified && now > case.verify_by {
        let late = format!("not verified by {:.0}", case.verify_by);
        if !case.open.contains(&late) {
            case.open.push(late);
        }
    }
}

fn display_name(directory: &Directory) -> Option<String> {
    match directory {
        Directory::Present(person) | Directory::SoftDeleted(person) => person.display_name.clone(),
        Directory::Missing | Directory::Unread(_) => None,
    }
}
