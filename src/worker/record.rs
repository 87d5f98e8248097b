//! What is written down about a case: its audit entries, what is owed to people, and how long each step took.

pub(super) mod news;
pub(super) mod sync;

use crate::action::{Action, Outcome};
use crate::apply::Applied;
use crate::audit::{Actor, Entry};
use crate::case::look_alikes::LookAlikes;
use crate::case::{Case, CaseState, Cause, Reason, Restraint};
use crate::clock::{self, Timestamp};
use crate::event::{EventKind, Subject};
use crate::plan::{Next, Plan};
use crate::policy;
use crate::snapshot::{Account, Blocked, Snapshot};
use crate::store::Owed;
use crate::telemetry::{Hop, Metrics};

use news::Channels;

/// What was decided, before it is done: on record before the first write. A look that only waits decides nothing; one
/// that ends says what was held back.
pub(super) fn decided(plan: &Plan, snapshot: &Snapshot, stored: Option<&Case>, now: Timestamp) -> Vec<Entry> {
    let Some(case) = &plan.case else { return Vec::new() };
    let waits = plan.actions.is_empty() && stored.is_some_and(|stored| stored.state == case.state);
    if waits && (plan.held.is_empty() || plan.next != Next::Settled) {
        return Vec::new();
    }
    let held = plan.held.iter().map(|why| entry(case, now, "plan.held", why.clone()));
    let found = snapshot.accounts.values().filter(|account| stored.is_none() && is_stamped_by(account, case));
    let found = found.map(|account| Entry {
        account: Some(account.id.clone()),
        ..entry(case, now, "action.found", "Found done by this case; how is not on record".into())
    });
    let actions = plan.actions.iter().map(|action| Entry {
        account: action.account().cloned(),
        before: before(snapshot, action),
        ..entry(case, now, "plan.decided", action.sentence())
    });
    // Who was found without an account of one's own is told of at once; otherwise they are looked for afterwards.
    let alike = case.look_alikes.iter().filter(|_| stored.is_none()).flat_map(LookAlikes::sentences);
    let alike = alike.map(|sentence| entry(case, now, "case.look_alike", sentence));
    held.chain(alike).chain(found).chain(actions).collect()
}

/// How each action ended.
pub(super) fn applied(case: &Case, applied: &[Applied], now: Timestamp) -> Vec<Entry> {
    let one = |done: &Applied| Entry {
        account: done.action.account().cloned(),
        outcome: Some(match &done.outcome {
            Outcome::Unknown(why) | Outcome::Refused(why) | Outcome::Failed { why, .. } => {
                format!("{}: {why}", done.outcome.word())
            }
            Outcome::Accepted | Outcome::AccountGone | Outcome::NotInPlan => done.outcome.word().to_owned(),
        }),
        ..entry(case, now, done.action.word(), done.action.sentence())
    };
    applied.iter().map(one).collect()
}

/// What changed about the case itself.
pub(super) fn changed(before: Option<&Case>, after: &Case, now: Timestamp) -> Option<Entry> {
    let was = before.map(|case| case.state);
    if was == Some(after.state) {
        return None;
    }
    let what = match after.state {
        CaseState::Requested => "case.requested",
        CaseState::Accepted => "case.accepted",
        CaseState::Verified => "case.verified",
        CaseState::NotActed => "case.not_acted",
        CaseState::Releasing => "case.releasing",
        CaseState::Released => "case.released",
    };
    let because = after.released_because.clone().unwrap_or_else(|| after.why());
    Some(Entry {
        actor: actor(after),
        before: was.map(|state| state.word().to_owned()),
        after: Some(after.state.word().to_owned()),
        ..entry(after, now, what, format!("Case {}: {because}", after.state.word()))
    })
}

/// What came to an open case since: each reason must be over before it is released.
pub(super) fn reasons_added(before: Option<&Case>, after: &Case, now: Timestamp) -> Vec<Entry> {
    let Some(before) = before else { return Vec::new() };
    let known = before.every_cause();
    let new = after.causes.iter().filter(|cause| !known.iter().any(|known| known.is_same_kind(cause)));
    let added = |cause: &Cause| Entry {
        actor: match &cause.reason {
            Reason::Operator { by, .. } => Actor::Operator(by.clone()),
            Reason::Risk(_) | Reason::Disabled | Reason::Deleted => Actor::Lockstep,
        },
        ..entry(after, now, "case.reason_added", format!("Reason added: {}", cause.reason.sentence()))
    };
    new.map(added).collect()
}

/// Nothing came of a look at somebody without a case; on record when a risk alert or a person asked.
pub(super) fn left_alone(snapshot: &Snapshot, plan: &Plan, now: Timestamp) -> Vec<Entry> {
    let asked = snapshot.asks.iter().find(|ask| {
        matches!(
            ask.kind,
            EventKind::RiskReported(_) | EventKind::ContainRequested { .. } | EventKind::UserDeleted
        )
    });
    let Some(ask) = asked else { return Vec::new() };
    let one = |why: &String| Entry {
        at: now,
        actor: Actor::Lockstep,
        subject: Some(snapshot.subject),
        case: None,
        event: Some(ask.correlation()),
        account: None,
        what: "plan.left_alone".into(),
        sentence: format!("Left alone: {why}"),
        before: None,
        after: None,
        outcome: None,
    };
    plan.held.iter().map(one).collect()
}

/// What people are owed for this version of the case, and for the brake when it has just come on.
pub(super) fn owed(
    channels: Channels<'_>,
    before: Option<&Case>,
    case: &Case,
    brake: policy::Brake,
    now: Timestamp,
) -> Vec<Owed> {
    let mut owed = channels.owe_case(before, case, now);
    let was_braked = before.is_some_and(|before| before.restraint == Some(Restraint::ContainBrake));
    if case.restraint == Some(Restraint::ContainBrake) && !was_braked {
        let window = now.as_second() / i64::try_from(brake.window_seconds.max(1)).unwrap_or(i64::MAX);
        let text = format!(
            "The contain brake is on: more than {} containments in {} minutes. Until it is off, sessions are ended \
             but nobody is blocked. Next: `lockstep cases --open`. An attack: raise [contain.brake] in lockstep.toml, \
             then `lockstep contain` each of them, which blocks also now. A source gone mad: silence it, then \
             `lockstep release` them.",
            brake.containments,
            brake.window_seconds / 60
        );
        owed.extend(channels.page(format!("brake/{window}"), &text, now));
    }
    owed
}

/// Measures the steps that this change has completed.
pub(super) fn measure(metrics: &Metrics, before: Option<&Case>, after: &Case) {
    let was = |state: fn(&Case) -> Option<Timestamp>| before.and_then(state);
    if before.is_none()
        && let Some(signal_at) = after.signal_at
    {
        metrics.containment(Hop::SignalToReceived, clock::elapsed(signal_at, after.received_at));
    }
    if let (None, Some(accepted_at)) = (was(|c| c.accepted_at), after.accepted_at) {
        metrics.containment(Hop::ReceivedToActed, clock::elapsed(after.received_at, accepted_at));
    }
    if let (None, Some(verified_at)) = (was(|c| c.verified_at), after.verified_at) {
        let accepted_at = after.accepted_at.unwrap_or(verified_at);
        metrics.containment(Hop::ActedToVerified, clock::elapsed(accepted_at, verified_at));
        let from = after.signal_at.unwrap_or(after.received_at);
        metrics.containment(Hop::Total, clock::elapsed(from, verified_at));
    }
}

pub(super) fn log_change(before: Option<&Case>, after: &Case, subject: Subject) {
    if before.map(|case| case.state) != Some(after.state) {
        tracing::info!(
            case.id = %after.id, subject.id = %subject, event.id = %after.event, state = after.state.word(),
            accounts = after.accounts.len(), "case {}", after.state.word()
        );
    }
}

fn actor(case: &Case) -> Actor {
    match (&case.reason, case.state) {
        (Reason::Operator { by, .. }, CaseState::Requested) => Actor::Operator(by.clone()),
        _ => Actor::Lockstep,
    }
}

/// A new case that is in Auth0 already: an earlier life contained, and ended before the store could be written.
fn is_stamped_by(account: &Account, case: &Case) -> bool {
    account.blocked == Blocked::Yes && account.stamp.as_ref().is_some_and(|stamp| stamp.case == case.id)
}

fn before(snapshot: &Snapshot, action: &Action) -> Option<String> {
    let account = snapshot.accounts.get(action.account()?)?;
    let blocked = match account.blocked {
        Blocked::Yes => "blocked",
        Blocked::No => "not blocked",
    };
    Some(match &account.stamp {
        Some(stamp) => format!("{blocked}, stamped by {}", stamp.case),
        None => blocked.to_owned(),
    })
}

/// What Lockstep did about a case.
pub(super) fn entry(case: &Case, at: Timestamp, what: &str, sentence: String) -> Entry {
    Entry {
        at,
        actor: Actor::Lockstep,
        subject: Some(case.subject),
        case: Some(case.id),
        event: Some(case.event),
        account: None,
        what: what.to_owned(),
        sentence,
        before: None,
        after: None,
        outcome: None,
    }
}
