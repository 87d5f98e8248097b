//! Order per subject under concurrency, and one reader per subject across processes.

use std::collections::BTreeMap;
use std::sync::Arc;

use lapin::options::QueueDeleteOptions;
use lockstep::event::Lane;
use lockstep::queue::{Queue, Settlement};
use tokio::task::JoinSet;

use super::super::{drain, event, event_of, ids, lease, settle, within};
use super::broker::Scope;
use super::open;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_subject_keeps_its_order_whoever_else_enqueues() {
    const PRODUCERS: u128 = 32;
    const EACH: u128 = 50;
    let Some(scope) = Scope::shared() else { return };
    let queue = Arc::new(open(&scope, 64).await);
    let mut producers = JoinSet::new();
    for person in 0..PRODUCERS {
        let queue = queue.clone();
        producers.spawn(async move {
            for serial in 0..EACH / 2 {
                // Two at a time: order must hold inside a call and between calls.
                let pair = [2 * serial, 2 * serial + 1].map(|serial| event(Lane::Sync, person, serial));
                queue.enqueue(&pair).await.unwrap();
            }
        });
    }
    let mut last: BTreeMap<String, u128> = BTreeMap::new();
    for _ in 0..PRODUCERS * EACH {
        let delivery = lease(&*queue, Lane::Sync).await;
        let came = event_of(&delivery);
        let serial = came.id.0.as_u128();
        let before = last.insert(came.about.key(), serial);
        assert_eq!(before.map_or(0, |before| before + 1), serial, "{}", came.about.key());
        settle(&*queue, delivery, Settlement::Done).await;
    }
    within("all producers", producers.join_all()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_never_read_the_same_subject_and_one_takes_over_from_the_other() {
    const PEOPLE: u128 = 40;
    let Some(scope) = Scope::shared() else { return };
    let (a, b) = (Arc::new(open(&scope, 16).await), Arc::new(open(&scope, 16).await));
    let mut readers = JoinSet::new();
    let (seen, mut sightings) = tokio::sync::mpsc::unbounded_channel();
    for (name, queue) in [("a", a.clone()), ("b", b.clone())] {
        let seen = seen.clone();
        readers.spawn(async move {
            while let Ok(delivery) = queue.lease(Lane::Contain).await {
                seen.send((name, event_of(&delivery))).unwrap();
                if queue.settle(delivery.receipt, Settlement::Done).await.is_err() {
                    return;
                }
            }
        });
    }
    let mut readers_of: BTreeMap<String, &str> = BTreeMap::new();
    for round in 0..5 {
        let events: Vec<_> = (0..PEOPLE).map(|person| event(Lane::Contain, person, round)).collect();
        b.enqueue(&events).await.unwrap();
        for _ in 0..PEOPLE {
            let (name, came) = within("every event", sightings.recv()).await.unwrap();
            let reader = *readers_of.entry(came.about.key()).or_insert(name);
            assert_eq!(reader, name, "{} has two readers", came.about.key());
        }
    }

    a.close().await;
    let events: Vec<_> = (0..PEOPLE).map(|person| event(Lane::Contain, person, 100)).collect();
    b.enqueue(&events).await.unwrap();
    let mut left: Vec<u128> = (0..PEOPLE).collect();
    while !left.is_empty() {
        let (name, came) = within("the other one to take over", sightings.recv()).await.unwrap();
        // What the first had settled without the broker hearing of it may come once more.
        if came.id.0.as_u128() == 100 {
            assert_eq!(name, "b");
            left.retain(|person| event(Lane::Contain, *person, 100).about != came.about);
        }
    }
    b.close().await;
    within("the readers to end", readers.join_all()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_never_leases_keeps_nothing_from_one_that_does() {
    const EVENTS: u128 = 600;
    let Some(scope) = Scope::shared() else { return };
    let door = open(&scope, 256).await;
    for lane in Lane::ALL {
        let events: Vec<_> = (0..EVENTS).map(|serial| event(lane, serial, serial)).collect();
        door.enqueue(&events).await.unwrap();
        assert_eq!(u128::from(door.depths().await.unwrap()[&lane].events), EVENTS, "{lane}");
    }
    let worker = open(&scope, 256).await;
    for lane in Lane::ALL {
        let mut came = ids(&drain(&worker, lane, usize::try_from(EVENTS).unwrap()).await);
        came.sort_unstable();
        assert_eq!(came, (0..EVENTS).collect::<Vec<_>>(), "{lane}");
    }
}

/// What a program that knew two lanes has left on the broker.
async fn forget_the_third_lane(scope: &Scope) {
    let (connection, channel) = scope.channel().await;
    for partition in 0..8 {
        let name = format!("{}.bulk.{partition}", scope.prefix()).into();
        channel.queue_delete(name, QueueDeleteOptions::default()).await.unwrap();
    }
    connection.close(200, "done".into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_with_two_lanes_gains_the_third_and_keeps_what_waits() {
    let Some(scope) = Scope::shared() else { return };
    let queue = open(&scope, 16).await;
    let old = [Lane::Contain, Lane::Sync];
    for lane in old {
        let events: Vec<_> = (0..20).map(|serial| event(lane, serial % 4, serial)).collect();
        queue.enqueue(&events).await.unwrap();
    }
    queue.close().await;
    drop(queue);
    forget_the_third_lane(&scope).await;

    let queue = open(&scope, 16).await;
    queue.enqueue(&[event(Lane::Bulk, 1, 100)]).await.unwrap();
    assert_eq!(ids(&drain(&queue, Lane::Bulk, 1).await), [100]);
    for lane in old {
        let mut came = ids(&drain(&queue, lane, 20).await);
        came.sort_unstable();
        assert_eq!(came, (0..20).collect::<Vec<_>>(), "{lane}");
    }
}
