//! Graph's own hand: while somebody subscribes, it tells what changes in the directory, by itself and over HTTP.
//!
//! One task per twin. It sleeps while nobody subscribes, it is aborted with the last handle, and what it has under way
//! goes with it. [`Deliveries`] is how a test watches and steers it.

use super::notifications::{self, Lifecycle};
use super::outbox::{Delivery, Note, Post};
use super::{handshake, outbox::Outbox};
use crate::Twin;
use crate::wire::State;
use crate::world::{Change, Subscription};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Changes looked at in one go, so that the world is not held for long.
const CHANGES_AT_ONCE: usize = 1_000;

/// Delivers until it is aborted.
pub(crate) async fn run(state: Arc<State>) {
    let written = state.world().change_written();
    let mut flying = JoinSet::new();
    loop {
        let changed = written.notified();
        tokio::pin!(changed);
        // From here on no change goes unnoticed, although it is looked for only below.
        changed.as_mut().enable();
        let somebody_listens = gather(&state);
        while let Some(post) = state.outbox.take(Instant::now()) {
            flying.spawn(deliver(state.clone(), post));
        }
        let due = state.outbox.next_due();
        tokio::select! {
            () = changed, if somebody_listens => {}
            () = state.outbox.woken() => {}
            () = until(due) => {}
            Some(_) = flying.join_next() => {}
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Turns the world's changes into notifications, and says whether there is anybody to tell.
fn gather(state: &State) -> bool {
    let world = state.world();
    let listening: Vec<&Subscription> =
        world.subscriptions().filter(|one| handshake::is_web(&one.notification_url)).collect();
    state.outbox.cure(|id| world.find_subscription(id).map(|one| one.lapsed));
    let mut told = state.outbox.told();
    if listening.is_empty() {
        state.outbox.set_told(world.last_change());
        return false;
    }
    let now = Instant::now();
    for change in world.changes_since(told).take(CHANGES_AT_ONCE) {
        told = change.number;
        for subscription in listening.iter().filter(|one| one.wants(change)) {
            tell(state, subscription, change, now);
        }
    }
    state.outbox.set_told(told);
    if told < world.last_change() {
        state.outbox.wake();
    }
    true
}

fn tell(state: &State, subscription: &Subscription, change: &Change, now: Instant) {
    let note = Note {
        subscription: subscription.id.clone(),
        url: subscription.notification_url.clone(),
        number: change.number,
        item: notifications::of_change(&state.setup, subscription, change),
    };
    if subscription.lapsed {
        return state.outbox.add_lapsed(note);
    }
    let resource = note.item["resource"].as_str().unwrap_or_default();
    let mishaps = state.faults.mishaps_of(resource);
    state.outbox.add(note, &mishaps, now);
}

/// One attempt: three seconds the first time, ten on retries, unless the setup says otherwise.
async fn deliver(state: Arc<State>, post: Post) {
    let patience = &state.setup.patience;
    let limit = if post.failed == 0 { patience.answer } else { patience.answer_again };
    let body = notifications::envelope(post.items.clone()).to_string();
    let request = state.outgoing().post(&post.url).header("content-type", "application/json");
    let answer = request.body(body).timeout(limit).send().await.ok();
    let status = answer.map(|answer| answer.status().as_u16());
    state.outbox.settle(post, status, patience, Instant::now());
}

/// What the deliverer did, does and holds back.
pub struct Deliveries<'a> {
    twin: &'a Twin,
    state: &'a State,
}

impl<'a> Deliveries<'a> {
    pub(crate) fn new(twin: &'a Twin, state: &'a State) -> Deliveries<'a> {
        Deliveries { twin, state }
    }

    /// Every attempt so far, oldest first; the last ten thousand are kept.
    pub fn log(&self) -> Vec<Delivery> {
        self.outbox().deliveries()
    }

    /// Waits until everything that has changed is delivered or given up, and says whether it came to that before the
    /// deadline. What is held or waits for a lapsed subscription stays where it is.
    pub async fn settled(&self, deadline: Duration) -> bool {
        self.twin
            .wait_until(deadline, |world| {
                let listening = world.subscriptions().any(|one| handshake::is_web(&one.notification_url));
                let all_told = !listening || self.outbox().told() >= world.last_change();
                all_told && self.outbox().is_quiet()
            })
            .await
    }

    /// Nothing is sent until [`Deliveries::resume`]; nothing is lost by that.
    pub fn pause(&self) {
        self.outbox().pause(true);
    }

    pub fn resume(&self) {
        self.outbox().pause(false);
    }

    /// How many notifications are held (see [`crate::Mishap::Hold`]).
    pub fn held(&self) -> usize {
        self.outbox().held()
    }

    /// Lets the held ones go, and says how many they were: the hour is over.
    pub fn release(&self) -> usize {
        self.outbox().release()
    }

    /// Sends a lifecycle notification to the subscription's own URL for them; `false` when it has none, or is gone. With
    /// [`Lifecycle::SubscriptionRemoved`] the subscription is removed first.
    pub fn lifecycle(&self, subscription: &str, event: Lifecycle) -> bool {
        let mut world = self.state.world();
        let Some(found) = world.find_subscription(subscription).cloned() else {
            return false;
        };
        if event == Lifecycle::SubscriptionRemoved {
            world.remove_subscription(subscription);
        }
        drop(world);
        let item = notifications::lifecycle_of(&self.state.setup, &found, event);
        let Some(url) = found.lifecycle_url else {
            return false;
        };
        self.outbox().add(Note { subscription: found.id, url, number: 0, item }, &[], Instant::now());
        self.outbox().wake();
        true
    }

    fn outbox(&self) -> &'a Outbox {
        &self.state.outbox
    }
}
