//! The sync lane's look: it reads, keeps the link index warm, and hands whoever must be contained to the contain lane.

use super::super::observe::{Heard, Observed, observe};
use super::{Looker, Scope, Trouble, Verdict};
use crate::case::Means;
use crate::event::{About, Event, EventId, EventKind, Subject};
use crate::plan;
use crate::queue;

pub(super) async fn look(looker: &Looker, subject: Subject, asks: &[Event]) -> Verdict {
    match try_look(looker, subject, asks).await {
        Ok(()) => Verdict::Done,
        Err(trouble) => looker.later(&trouble),
    }
}

async fn try_look(looker: &Looker, subject: Subject, asks: &[Event]) -> Result<(), Trouble> {
    let store = &looker.deps.store;
    let from_store = |error| Trouble::from_store(&error);
    let case = store.open_case(subject).await.map_err(from_store)?;
    let mut heard = Heard::default();
    let observed = observe(looker, subject, asks, case.as_ref(), Means::RevokeAccess, &mut heard).await;
    let observed = observed.map_err(from_store)?;
    let Observed { snapshot, auth0, graph } = observed;
    if let Some(trouble) = graph {
        return Err(trouble);
    }
    let policy = looker.deps.policy.borrow().clone();
    let wants = plan::plan(&snapshot, &policy, looker.deps.clock.now()).case.is_some();
    if wants || case.is_some() {
        return escalate(looker, subject, asks).await;
    }
    if !snapshot.accounts.is_empty() {
        let accounts = snapshot.accounts.into_keys().collect();
        store.add_links(subject, accounts).await.map_err(from_store)?;
    }
    auth0.map_or(Ok(()), Err)
}

async fn escalate(looker: &Looker, subject: Subject, asks: &[Event]) -> Result<(), Trouble> {
    let Some(first) = asks.first() else { return Ok(()) };
    let event = Event {
        id: EventId::new(),
        source: first.source,
        about: About::Person(subject),
        kind: EventKind::Escalated,
        signal_at: first.signal_at,
        received_at: first.received_at,
    };
    looker.deps.queue.enqueue(&[event]).await.map_err(|error: queue::Error| Trouble {
        why: error.to_string(),
        now: error.what_now(),
        scope: Scope::Everybody,
    })
}
