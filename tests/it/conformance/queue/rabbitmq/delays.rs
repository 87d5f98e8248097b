//! Delays over the retry queues, and what the broker itself gives up on.

use std::time::Duration;

use lockstep::event::Lane;
use lockstep::queue::{Body, Queue, Settlement};

use super::super::{event, event_of, lease, nothing_comes, now, settle};
use super::broker::Scope;
use super::open;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delays_of_every_length_come_at_their_time_with_their_attempt() {
    let Some(scope) = Scope::shared() else { return };
    let queue = open(&scope, 256).await;
    // Below the smallest retry queue, just above it, two of it, the next one and a rest.
    let delays = [30, 700, 1_050, 2_300, 5_200].map(Duration::from_millis);
    let events: Vec<_> = (0..5).map(|serial| event(Lane::Sync, serial, serial)).collect();
    queue.enqueue(&events).await.unwrap();
    let mut leased = Vec::new();
    for _ in delays {
        leased.push(lease(&queue, Lane::Sync).await);
    }
    let mut wanted = [(now(), 0); 5];
    for delivery in leased {
        let serial = usize::try_from(event_of(&delivery).id.0.as_u128()).unwrap();
        let (at, attempt) = (now() + delays[serial], 2 + u32::try_from(serial).unwrap());
        wanted[serial] = (at, attempt);
        settle(&queue, delivery, Settlement::Later { at, attempt }).await;
    }
    for _ in delays {
        let delivery = lease(&queue, Lane::Sync).await;
        let came = event_of(&delivery);
        let (at, attempt) = wanted[usize::try_from(came.id.0.as_u128()).unwrap()];
        assert!(now() >= at, "attempt {attempt} came before its time");
        assert_eq!(delivery.attempt, attempt);
        settle(&queue, delivery, Settlement::Done).await;
    }
    assert!(nothing_comes(&queue, Lane::Sync).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_delayed_events_of_one_partition_let_others_pass() {
    let Some(scope) = Scope::shared() else { return };
    let queue = open(&scope, 64).await;
    let many: Vec<_> = (0..60).map(|serial| event(Lane::Contain, 1, serial)).collect();
    queue.enqueue(&many).await.unwrap();
    let at = now() + Duration::from_millis(900);
    for _ in &many {
        let delivery = lease(&queue, Lane::Contain).await;
        settle(&queue, delivery, Settlement::Later { at, attempt: 2 }).await;
    }
    queue.enqueue(&[event(Lane::Contain, 1, 100)]).await.unwrap();
    let first = lease(&queue, Lane::Contain).await;
    let overtook = event_of(&first).id.0.as_u128() == 100;
    assert!(overtook || now() >= at, "a delayed event came before its time");
    settle(&queue, first, Settlement::Done).await;
    for _ in 0..60 {
        let delivery = lease(&queue, Lane::Contain).await;
        settle(&queue, delivery, Settlement::Done).await;
    }
    assert!(nothing_comes(&queue, Lane::Contain).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_the_broker_gives_up_on_is_handed_out_as_unreadable() {
    let Some(scope) = Scope::shared() else { return };
    let queue = open(&scope, 256).await;
    let poison = event(Lane::Contain, 1, 1);
    queue.close().await;
    drop(queue);
    scope.publish("events", "contain.1", poison.to_envelope().unwrap()).await;
    assert_eq!(scope.return_until_gone("contain.1").await, 1001);

    let queue = open(&scope, 256).await;
    let delivery = lease(&queue, Lane::Contain).await;
    let Body::Unreadable { reason, bytes } = &delivery.body else { panic!("{:?}", delivery.body) };
    assert_eq!(reason, "the broker gave up after 1001 deliveries");
    assert_eq!(*bytes, poison.to_envelope().unwrap());

    // A worker that cannot write the dead letter down yet puts it back: it must not pass for an event then.
    let at = now() + Duration::from_millis(50);
    settle(&queue, delivery, Settlement::Later { at, attempt: 2 }).await;
    let again = lease(&queue, Lane::Contain).await;
    assert!(
        matches!(&again.body, Body::Unreadable { reason, .. } if reason.contains("1001")),
        "{:?}",
        again.body
    );
    assert_eq!(again.attempt, 2);
    settle(&queue, again, Settlement::Done).await;
    assert!(nothing_comes(&queue, Lane::Contain).await);
}
