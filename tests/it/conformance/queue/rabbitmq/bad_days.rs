//! The broker killed, frozen, starved, away, robbed of a binding, or strict about permissions.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lapin::types::FieldTable;
use lockstep::clock::SystemClock;
use lockstep::event::Lane;
use lockstep::queue::rabbitmq::{RabbitMq, Settings};
use lockstep::queue::{Error, Queue, Settlement};
use tokio::task::JoinSet;

use super::super::{drain, event, event_of, ids, lease, settle, within};
use super::broker::Scope;
use super::{open, takes, works};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_loses_nothing_that_was_accepted() {
    let Some(scope) = Scope::private() else { return };
    let queue = Arc::new(open(&scope, 64).await);
    queue.enqueue(&[event(Lane::Sync, 7, 1_000_000)]).await.unwrap();
    let in_hand = lease(&*queue, Lane::Sync).await;

    // Producers run all the time; the broker dies under them and comes back.
    let accepted = Arc::new(Mutex::new(BTreeSet::new()));
    let refused = Arc::new(AtomicBool::new(false));
    let stop = Arc::new(AtomicBool::new(false));
    let mut producers = JoinSet::new();
    for producer in 0..16u128 {
        let (queue, accepted, refused, stop) =
            (queue.clone(), accepted.clone(), refused.clone(), stop.clone());
        producers.spawn(async move {
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let serial = producer * 100_000 + n;
                match within("an answer", queue.enqueue(&[event(Lane::Contain, producer, serial)])).await {
                    Ok(()) => _ = accepted.lock().unwrap().insert(serial),
                    Err(Error::Unavailable(_)) => {
                        refused.store(true, Ordering::Relaxed);
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        });
    }
    let grown = |by: usize| {
        let from = accepted.lock().unwrap().len();
        let accepted = accepted.clone();
        within("more to be accepted", async move {
            while accepted.lock().unwrap().len() < from + by {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
    };
    grown(500).await;
    // The broker's own register of queues reaches the disk half a second after a queue is made; killed before that, it
    // leaves the queue without a leader for ever, which is not what this is about.
    tokio::time::sleep(Duration::from_secs(2)).await;
    scope.node().kill();
    within("a refusal", async {
        while !refused.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    scope.node().restart();
    grown(500).await;
    stop.store(true, Ordering::Relaxed);
    within("the producers to end", producers.join_all()).await;

    // The lease of the lost session ends quietly, and its event comes again.
    settle(&*queue, in_hand, Settlement::Later { at: lockstep::clock::Timestamp::MAX, attempt: 9 }).await;
    assert_eq!(ids(&drain(&*queue, Lane::Sync, 1).await), [1_000_000]);

    let mut missing = accepted.lock().unwrap().clone();
    while !missing.is_empty() {
        let delivery = lease(&*queue, Lane::Contain).await;
        missing.remove(&event_of(&delivery).id.0.as_u128());
        settle(&*queue, delivery, Settlement::Done).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_makes_enqueue_fail_and_a_thawed_one_makes_it_work() {
    let Some(scope) = Scope::private() else { return };
    let queue = open(&scope, 64).await;
    queue.enqueue(&[event(Lane::Contain, 1, 1)]).await.unwrap();
    scope.node().freeze();
    let failed = within("an answer", queue.enqueue(&[event(Lane::Contain, 2, 2)])).await;
    assert!(matches!(failed, Err(Error::Unavailable(_))), "{failed:?}");
    within("unreadiness", async {
        while queue.ready().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    scope.node().thaw();
    works(&queue).await;
    takes(&queue, event(Lane::Contain, 3, 3)).await;
    // The one in doubt may come or not.
    let mut left = BTreeSet::from([1, 3]);
    while !left.is_empty() {
        let delivery = lease(&queue, Lane::Contain).await;
        left.remove(&event_of(&delivery).id.0.as_u128());
        settle(&queue, delivery, Settlement::Done).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_of_the_broker_stops_enqueues_but_not_the_work() {
    let Some(scope) = Scope::private() else { return };
    let queue = open(&scope, 64).await;
    let events: Vec<_> = (0..10).map(|serial| event(Lane::Contain, serial, serial)).collect();
    queue.enqueue(&events).await.unwrap();
    scope.node().memory_limit("1MB");
    within("the queue to say that it is full", async {
        while !matches!(queue.enqueue(&[event(Lane::Sync, 1, 1)]).await, Err(Error::Full(_))) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert!(matches!(queue.ready().await, Err(Error::Full(_))));
    assert_eq!(drain(&queue, Lane::Contain, 10).await.len(), 10);
    scope.node().memory_limit("512MB");
    works(&queue).await;
    takes(&queue, event(Lane::Contain, 1, 20)).await;
    assert_eq!(ids(&drain(&queue, Lane::Contain, 1).await), [20]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_with_no_queue_to_go_to_is_not_accepted_and_the_way_is_mended() {
    let Some(scope) = Scope::shared() else { return };
    let queue = open(&scope, 64).await;
    let (connection, channel) = scope.channel().await;
    let name = |suffix: &str| format!("{}.{suffix}", scope.prefix()).into();
    for partition in 0..8 {
        let key = format!("contain.{partition}");
        channel
            .queue_unbind(name(&key), name("events"), key.as_str().into(), FieldTable::default())
            .await
            .unwrap();
    }
    connection.close(200, "done".into()).await.unwrap();

    let failed = queue.enqueue(&[event(Lane::Contain, 1, 1)]).await;
    assert!(matches!(failed, Err(Error::Unavailable(_))), "{failed:?}");

    works(&queue).await;
    queue.enqueue(&[event(Lane::Contain, 1, 2)]).await.unwrap();
    assert_eq!(ids(&drain(&queue, Lane::Contain, 1).await), [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_configure_can_do_all_the_work_once_the_queues_exist() {
    let Some(scope) = Scope::private() else { return };
    let prefix = scope.prefix();
    // As docs/queue.md has it.
    scope.node().add_user("^$", &format!(r"^{prefix}\.(events|retry)$"), &format!(r"^{prefix}\."));
    let url = scope.url().replace("guest:guest", "user:password");
    let settings = Settings { urls: vec![url.into()], prefix: prefix.to_owned() };

    let early = RabbitMq::open(&settings, 8, Arc::new(SystemClock)).unwrap();
    let refused =
        within("an answer", early.enqueue(&[event(Lane::Contain, 1, 1)])).await.unwrap_err().to_string();
    assert!(refused.contains("access to") && refused.contains(prefix), "{refused}");
    early.close().await;

    open(&scope, 8).await.close().await;
    let queue = RabbitMq::open(&settings, 8, Arc::new(SystemClock)).unwrap();
    works(&queue).await;
    queue.enqueue(&[event(Lane::Contain, 1, 2)]).await.unwrap();
    let delivery = lease(&queue, Lane::Contain).await;
    let at = lockstep::clock::after(super::super::now(), Duration::from_millis(1_100));
    settle(&queue, delivery, Settlement::Later { at, attempt: 2 }).await;
    assert_eq!(ids(&drain(&queue, Lane::Contain, 1).await), [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_opening_works_and_enqueue_fails() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // Accepts, and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [nobody, silent.local_addr().unwrap()] {
        let settings =
            Settings { urls: vec![format!("amqp://u:p@{address}").into()], prefix: "nobody".into() };
        let queue = RabbitMq::open(&settings, 8, Arc::new(SystemClock)).unwrap();
        let failed = within("an answer", queue.enqueue(&[event(Lane::Contain, 1, 1)])).await;
        assert!(matches!(failed, Err(Error::Unavailable(_))), "{failed:?}");
        assert!(within("an answer", queue.ready()).await.is_err());
        assert!(within("an answer", queue.depths()).await.is_err());
        within("the end", queue.close()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_broker_of_the_list_is_taken_when_one_is_away() {
    let Some(scope) = Scope::shared() else { return };
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = Settings {
        urls: vec![format!("amqp://u:p@{nobody}").into(), scope.url().into()],
        prefix: scope.prefix().to_owned(),
    };
    let queue = RabbitMq::open(&settings, 8, Arc::new(SystemClock)).unwrap();
    works(&queue).await;
    queue.enqueue(&[event(Lane::Sync, 1, 1)]).await.unwrap();
    assert_eq!(ids(&drain(&queue, Lane::Sync, 1).await), [1]);
}
