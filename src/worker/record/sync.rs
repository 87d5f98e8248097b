//! What is written down about keeping a person in step: what was decided, how each change ended, and whom to page.
//! Attributes are named, their values are not.

use std::time::Duration;

use crate::action::Outcome;
use crate::action::sync::SyncAction;
use crate::apply::sync::Applied;
use crate::audit::{Actor, Entry};
use crate::clock::Timestamp;
use crate::event::{Event, Subject};
use crate::plan::sync::SyncPlan;
use crate::store::Owed;

use super::news::Channels;

/// People are told once in this long that a source answers with less than it has.
const TELL_ONCE_PER: Duration = Duration::from_secs(3600);

/// What was decided, on record before it is done.
pub(in crate::worker) fn decided(
    plan: &SyncPlan,
    asks: &[Event],
    subject: Subject,
    now: Timestamp,
) -> Vec<Entry> {
    plan.actions.iter().map(|action| entry(action, asks, subject, now, "plan.decided".into(), None)).collect()
}

/// How each change ended.
pub(in crate::worker) fn applied(
    applied: &[Applied],
    asks: &[Event],
    subject: Subject,
    now: Timestamp,
) -> Vec<Entry> {
    let one = |done: &Applied| {
        let outcome = match &done.outcome {
            Outcome::Unknown(why) | Outcome::Refused(why) | Outcome::Failed { why, .. } => {
                format!("{}: {why}", done.outcome.word())
            }
            Outcome::Accepted | Outcome::AccountGone | Outcome::NotInPlan => done.outcome.word().to_owned(),
        };
        entry(&done.action, asks, subject, now, done.action.word().into(), Some(outcome))
    };
    applied.iter().map(one).collect()
}

fn entry(
    action: &SyncAction,
    asks: &[Event],
    subject: Subject,
    at: Timestamp,
    what: String,
    outcome: Option<String>,
) -> Entry {
    Entry {
        at,
        actor: Actor::Lockstep,
        subject: Some(subject),
        case: None,
        event: asks.first().map(Event::correlation),
        account: action.account().cloned(),
        what,
        sentence: action.sentence(),
        before: None,
        after: None,
        outcome,
    }
}

/// Groups cannot be read: nothing is taken away, and somebody has to mend it.
pub(in crate::worker) fn groups_unread(channels: Channels<'_>, why: &str, now: Timestamp) -> Vec<Owed> {
    let hour = now.as_second() / i64::try_from(TELL_ONCE_PER.as_secs()).unwrap_or(i64::MAX);
    let text = format!(
        "Group memberships cannot be read from Entra, so no role or organization is given or taken: {why}. Next: \
         `lockstep doctor` names a permission that is missing, `lockstep findings` the people who are held. They are \
         looked at again by themselves."
    );
    channels.page(format!("groups-unread/{hour}"), &text, now)
}
