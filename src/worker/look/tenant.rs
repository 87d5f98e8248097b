//! The look at a tenant: Graph says that a subscription needs care, or that it could not tell everything. What is to be
//! done is done by whoever keeps the schedule; it is asked for in the store, so that it survives and is done once.

use super::{Looker, Trouble, Verdict};
use crate::event::{Event, EventKind, LifecycleEvent};
use crate::worker::scheduler::Wish;

pub(super) async fn look(looker: &Looker, asks: &[Event]) -> Verdict {
    let mut wishes = Vec::new();
    for ask in asks {
        let EventKind::SubscriptionLifecycle { event } = &ask.kind else { continue };
        wishes.push(Wish::Subscriptions);
        if matches!(event, LifecycleEvent::Missed | LifecycleEvent::SubscriptionRemoved) {
            wishes.push(Wish::Sweep);
        }
    }
    match Wish::make(looker.deps.store.as_ref(), &wishes, looker.deps.clock.now()).await {
        Ok(()) => Verdict::Done,
        Err(error) => looker.later(&Trouble::from_store(&error)),
    }
}
