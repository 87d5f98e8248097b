//! The promises of `lockstep::queue::Queue`, and the bench that holds each back end to them.
//!
//! A back end plugs in by a module below with a `bench()` and one line, `hold_to_every_promise!(bench)`.
//! `bench()` answers `None`, and says why, where its server cannot be had.

mod embedded;
mod promises;
mod rabbitmq;

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use lockstep::clock::{Clock, SystemClock, Timestamp};
use lockstep::event::{
    About, Event, EventId, EventKind, Lane, ObjectId, Source, Subject, SweepDepth, TenantId,
};
use lockstep::queue::{Body, Delivery, Depth, Queue, Settlement};
use uuid::Uuid;

/// One `#[tokio::test]` per promise for the back end that `$bench` sets up.
macro_rules! hold_to_every_promise {
    ($bench:path) => {
        $crate::conformance::queue::hold_to_every_promise! { @ $bench:
            an_event_comes_out_as_it_went_in,
            one_call_stores_the_events_of_all_lanes,
            events_of_one_key_come_in_the_order_they_went_in,
            sixty_four_producers_at_once_lose_nothing,
            many_workers_share_the_work_and_each_event_comes_once,
            an_unsettled_delivery_comes_again_after_a_restart,
            a_settled_delivery_does_not_come_again,
            a_waiting_lease_is_woken_by_an_enqueue,
            a_delayed_event_waits_for_its_time_and_counts_its_attempts,
            a_delayed_event_survives_a_restart,
            others_overtake_a_delayed_event,
            a_returned_event_comes_again_untouched,
            no_more_than_the_maximum_is_in_hand,
            a_full_lane_leaves_the_others_alone,
            a_large_batch_is_stored_whole_and_in_order,
            a_dropped_lease_loses_nothing,
            what_waits_is_counted_per_lane,
            what_cannot_be_read_is_handed_out_as_such,
            a_queue_that_works_says_that_it_is_ready,
            closing_ends_waiting_leases_and_gives_back_what_is_in_hand,
        }
    };
    (@ $bench:path: $($promise:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let Some(bench) = $bench().await else { return };
                $crate::conformance::queue::promises::$promise(&bench).await;
            }
        )*
    };
}
use hold_to_every_promise;

/// A place where one queue lives, empty at first, that can be opened, closed and opened again.
struct Bench {
    open: Box<dyn Fn(InHandMax) -> BoxFuture<'static, Arc<dyn Queue>> + Send + Sync>,
    /// Puts bytes that are no event on a lane, as a stranger would. Called while the queue is closed.
    inject: Box<dyn Fn(Lane, Vec<u8>) -> BoxFuture<'static, ()> + Send + Sync>,
    /// What must live as long as the bench: a directory, a virtual host.
    _keep: Box<dyn Any + Send + Sync>,
}

type InHandMax = usize;

impl Bench {
    async fn open(&self) -> Arc<dyn Queue> {
        self.open_with(256).await
    }

    async fn open_with(&self, in_hand_max: InHandMax) -> Arc<dyn Queue> {
        (self.open)(in_hand_max).await
    }

    /// An orderly stop and a new start.
    async fn restart(&self, queue: Arc<dyn Queue>) -> Arc<dyn Queue> {
        queue.close().await;
        drop(queue);
        self.open().await
    }
}

/// Everything that must happen happens within this, however busy the machine is.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long to look for something that must not happen.
const LOOK: Duration = Duration::from_millis(200);

async fn within<T>(what: &str, doing: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, doing).await.unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}"))
}

async fn lease(queue: &dyn Queue, lane: Lane) -> Delivery {
    within("a delivery", queue.lease(lane)).await.unwrap()
}

async fn nothing_comes(queue: &dyn Queue, lane: Lane) -> bool {
    tokio::time::timeout(LOOK, queue.lease(lane)).await.is_err()
}

async fn settle(queue: &dyn Queue, delivery: Delivery, settlement: Settlement) {
    within("a settlement", queue.settle(delivery.receipt, settlement)).await.unwrap();
}

/// Leases and settles `count` deliveries of `lane`.
async fn drain(queue: &dyn Queue, lane: Lane, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..count {
        let delivery = lease(queue, lane).await;
        events.push(event_of(&delivery));
        settle(queue, delivery, Settlement::Done).await;
    }
    events
}

fn event_of(delivery: &Delivery) -> Event {
    match &delivery.body {
        Body::Event(event) => event.clone(),
        Body::Unreadable { reason, .. } => panic!("unreadable: {reason}"),
    }
}

/// Waits until the depths are as `wanted` says; brokers count a little late.
async fn depths_become(queue: &dyn Queue, wanted: impl Fn(&BTreeMap<Lane, Depth>) -> bool) {
    let mut seen = BTreeMap::new();
    let looking = async {
        loop {
            seen = queue.depths().await.unwrap();
            if wanted(&seen) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(DEADLINE, looking).await;
    assert!(found.is_ok(), "last seen: {seen:?}");
}

fn now() -> Timestamp {
    SystemClock.now()
}

/// An event about person number `person`, with an id made from `serial`.
fn event(lane: Lane, person: u128, serial: u128) -> Event {
    let subject = Subject { tenant: TenantId(Uuid::from_u128(1)), object: ObjectId(Uuid::from_u128(person)) };
    let kind = match lane {
        Lane::Contain => EventKind::Escalated,
        Lane::Sync => EventKind::UserUpdated,
        Lane::Bulk => EventKind::Swept { depth: SweepDepth::Changed },
    };
    Event {
        id: EventId(Uuid::from_u128(serial)),
        source: Source::Graph,
        about: About::Person(subject),
        kind,
        signal_at: None,
        received_at: "2026-03-02T08:00:00Z".parse().unwrap(),
        enqueued_at: None,
        caused_by: None,
    }
}

fn ids(events: &[Event]) -> Vec<u128> {
    events.iter().map(|event| event.id.0.as_u128()).collect()
}
