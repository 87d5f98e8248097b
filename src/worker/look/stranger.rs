//! Somebody of whom Graph says that they are deleted, and of whom Lockstep has never seen an account.
//!
//! A thousand of them must not stand before an alert, and one of them may have an account all the same. So their accounts
//! are looked for in the sync lane, with Graph's word, and only who has one comes back to the contain lane.

use super::super::picture::Known;
use super::{Looker, Scope, Trouble, Verdict};
use crate::event::{About, Event, EventKind, Source, Subject};
use crate::snapshot::Directory;
use crate::snapshot::sync::SyncSnapshot;

/// Hands them over to the sync lane, before either vendor is asked anything. `None` when containment has to look.
pub(super) async fn hand_over(looker: &Looker, subject: Subject, asks: &[Event]) -> Option<Verdict> {
    // What a look has asked for is about somebody who has an account.
    let is_told = |ask: &Event| ask.kind == EventKind::UserDeleted && ask.caused_by.is_none();
    if !asks.iter().all(is_told) || looker.deps.unwritten.case_of(subject).is_some() {
        return None;
    }
    // A store that cannot be read makes nobody a stranger.
    let known = Known::read(looker.deps.store.as_ref(), subject).await.ok()?;
    if known.is_somebody() {
        return None;
    }
    let told = asks.iter().max_by_key(|ask| ask.received_at)?;
    let asked = Event::of_ours(About::Person(subject), EventKind::StrangerDeleted, told.received_at);
    let enqueued_at = Some(looker.deps.clock.now());
    let (source, signal_at) = (told.source, told.signal_at);
    let event = Event { source, signal_at, enqueued_at, ..asked.because_of(asks) };
    Some(match looker.deps.queue.enqueue(std::slice::from_ref(&event)).await {
        Ok(()) => {
            super::log_asked(&event, asks);
            Verdict::Done
        }
        Err(error) => {
            let (why, now) = (error.to_string(), error.what_now());
            looker.later(&Trouble { why, now, scope: Scope::Everybody })
        }
    })
}

/// The same events as containment is told of them.
pub(super) fn as_told(asks: &[Event]) -> Vec<Event> {
    let told = |ask: &Event| match ask.kind {
        EventKind::StrangerDeleted => Event { kind: EventKind::UserDeleted, ..ask.clone() },
        _ => ask.clone(),
    };
    asks.iter().map(told).collect()
}

/// What the contain lane is asked: absence alone would be no word of a deletion.
pub(super) fn escalation(asks: &[Event]) -> (EventKind, Source) {
    let deleted = asks.iter().find(|ask| ask.kind == EventKind::StrangerDeleted);
    match deleted {
        Some(told) => (EventKind::UserDeleted, told.source),
        None => (EventKind::Escalated, asks.first().map_or(Source::Sweep, |ask| ask.source)),
    }
}

/// Whether they are gone, as was told, and have left nothing: then nobody waits for Graph to catch up with them.
pub(super) fn has_left_nothing(asks: &[Event], seen: &SyncSnapshot) -> bool {
    asks.iter().any(|ask| ask.kind == EventKind::StrangerDeleted)
        && seen.directory == Directory::Missing
        && seen.accounts.is_empty()
        && seen.case.is_none()
}
