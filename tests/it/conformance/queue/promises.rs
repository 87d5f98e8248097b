//! Each promise of a queue, told once, for every back end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockstep::event::{
    Event, EventKind, GROUP_MEMBER_HINTS_MAX, Lane, ObjectId, RiskEvidence, RiskLevel, RiskState,
};
use lockstep::queue::{Body, Error, Settlement};
use uuid::Uuid;

use super::{
    Bench, LOOK, depths_become, drain, event, event_of, ids, lease, nothing_comes, now, settle, within,
};

pub(super) async fn an_event_comes_out_as_it_went_in(bench: &Bench) {
    let queue = bench.open().await;
    let small = event(Lane::Contain, 1, 1);
    let risky = Event {
        kind: EventKind::RiskReported(RiskEvidence {
            level: RiskLevel::High,
            state: RiskState::AtRisk,
            detection: Some("leakedCredentials \u{1f511} \"quoted\"".into()),
            detected_at: Some(now()),
        }),
        enqueued_at: Some(now()),
        caused_by: Some(event(Lane::Sync, 4, 4).id),
        ..event(Lane::Contain, 2, 2)
    };
    let members = (0..GROUP_MEMBER_HINTS_MAX as u128).map(|n| ObjectId(Uuid::from_u128(n))).collect();
    let large = Event { kind: EventKind::GroupUpdated { members }, ..event(Lane::Sync, 3, 3) };

    queue.enqueue(&[small.clone(), risky.clone(), large.clone()]).await.unwrap();

    // Two keys: in either order.
    let mut contain = [lease(&*queue, Lane::Contain).await, lease(&*queue, Lane::Contain).await];
    contain.sort_by_key(|delivery| event_of(delivery).id);
    assert_eq!(contain.each_ref().map(event_of), [small, risky]);
    assert!(contain.iter().all(|delivery| delivery.attempt == 1 && delivery.receipt.lane == Lane::Contain));
    assert_eq!(event_of(&lease(&*queue, Lane::Sync).await), large);
}

pub(super) async fn one_call_stores_the_events_of_all_lanes(bench: &Bench) {
    let queue = bench.open().await;
    let lanes = [Lane::Sync, Lane::Contain, Lane::Bulk, Lane::Sync, Lane::Bulk];
    let events: Vec<_> = (1..).zip(lanes).map(|(serial, lane)| event(lane, serial % 2, serial)).collect();
    queue.enqueue(&events).await.unwrap();
    queue.enqueue(&[]).await.unwrap();
    for (lane, serials) in [(Lane::Contain, vec![2]), (Lane::Sync, vec![1, 4]), (Lane::Bulk, vec![3, 5])] {
        let mut came = ids(&drain(&*queue, lane, serials.len()).await);
        came.sort_unstable();
        assert_eq!(came, serials, "{lane}");
        assert!(nothing_comes(&*queue, lane).await, "{lane}");
    }
}

pub(super) async fn events_of_one_key_come_in_the_order_they_went_in(bench: &Bench) {
    let queue = bench.open().await;
    // The same five people in every lane, one by one and then in one call.
    let all = (0..600).map(|serial| event(Lane::ALL[(serial % 3) as usize], serial / 3 % 5, serial));
    let all: Vec<_> = all.collect();
    for one in &all[..300] {
        queue.enqueue(std::slice::from_ref(one)).await.unwrap();
    }
    queue.enqueue(&all[300..]).await.unwrap();

    for lane in Lane::ALL {
        let mut per_key: BTreeMap<String, Vec<u128>> = BTreeMap::new();
        for event in &drain(&*queue, lane, 200).await {
            per_key.entry(event.about.key()).or_default().push(event.id.0.as_u128());
        }
        assert_eq!(per_key.len(), 5, "{lane}");
        for (key, serials) in per_key {
            assert!(serials.is_sorted() && serials.len() == 40, "{lane}, {key}: {serials:?}");
        }
    }
}

pub(super) async fn sixty_four_producers_at_once_lose_nothing(bench: &Bench) {
    const PRODUCERS: u128 = 64;
    const EACH: u128 = 20;
    let queue = bench.open().await;
    let mut producers = tokio::task::JoinSet::new();
    for producer in 0..PRODUCERS {
        let queue = queue.clone();
        producers.spawn(async move {
            for n in 0..EACH {
                queue.enqueue(&[event(Lane::Contain, producer, producer * EACH + n)]).await.unwrap();
            }
        });
    }
    within("all producers", producers.join_all()).await;
    let queue = bench.restart(queue).await;

    let came = drain(&*queue, Lane::Contain, (PRODUCERS * EACH) as usize).await;

    let mut serials = ids(&came);
    serials.sort_unstable();
    assert_eq!(serials, (0..PRODUCERS * EACH).collect::<Vec<_>>());
}

pub(super) async fn many_workers_share_the_work_and_each_event_comes_once(bench: &Bench) {
    const EVENTS: u128 = 400;
    let queue = bench.open_with(8).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (queue, seen) = (queue.clone(), seen.clone());
        workers.spawn(async move {
            while let Ok(delivery) = queue.lease(Lane::Sync).await {
                seen.lock().unwrap().push(event_of(&delivery).id.0.as_u128());
                queue.settle(delivery.receipt, Settlement::Done).await.unwrap();
            }
        });
    }
    for serial in 0..EVENTS {
        queue.enqueue(&[event(Lane::Sync, serial % 37, serial)]).await.unwrap();
    }
    depths_become(&*queue, |depths| depths[&Lane::Sync].events == 0).await;
    within("every event", async {
        while seen.lock().unwrap().len() < EVENTS as usize {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    queue.close().await;
    within("the workers to end", workers.join_all()).await;
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_unstable();
    assert_eq!(seen, (0..EVENTS).collect::<Vec<_>>());
}

pub(super) async fn an_unsettled_delivery_comes_again_after_a_restart(bench: &Bench) {
    let queue = bench.open().await;
    queue.enqueue(&[event(Lane::Contain, 1, 1), event(Lane::Contain, 2, 2)]).await.unwrap();
    let _in_hand = lease(&*queue, Lane::Contain).await;
    let queue = bench.restart(queue).await;
    let mut came = ids(&drain(&*queue, Lane::Contain, 2).await);
    came.sort_unstable();
    assert_eq!(came, [1, 2]);
}

pub(super) async fn a_settled_delivery_does_not_come_again(bench: &Bench) {
    let queue = bench.open().await;
    queue.enqueue(&[event(Lane::Contain, 1, 1), event(Lane::Contain, 2, 2)]).await.unwrap();
    let settled = ids(&drain(&*queue, Lane::Contain, 1).await);
    let queue = bench.restart(queue).await;
    let left = ids(&drain(&*queue, Lane::Contain, 1).await);
    assert!(nothing_comes(&*queue, Lane::Contain).await);
    assert_ne!(settled, left);
}

pub(super) async fn a_waiting_lease_is_woken_by_an_enqueue(bench: &Bench) {
    let queue = bench.open().await;
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.lease(Lane::Contain).await }
    });
    tokio::time::sleep(LOOK).await;
    assert!(!waiting.is_finished());
    queue.enqueue(&[event(Lane::Contain, 1, 1)]).await.unwrap();
    let delivery = within("the waiting lease", waiting).await.unwrap().unwrap();
    assert_eq!(event_of(&delivery), event(Lane::Contain, 1, 1));
}

pub(super) async fn a_delayed_event_waits_for_its_time_and_counts_its_attempts(bench: &Bench) {
    let queue = bench.open().await;
    queue.enqueue(&[event(Lane::Sync, 1, 1)]).await.unwrap();
    for attempt in 2..5 {
        let delivery = lease(&*queue, Lane::Sync).await;
        assert_eq!(delivery.attempt, attempt - 1);
        let at = now() + Duration::from_millis(300);
        settle(&*queue, delivery, Settlement::Later { at, attempt }).await;
        let again = lease(&*queue, Lane::Sync).await;
        assert!(now() >= at, "came before its time");
        assert_eq!((event_of(&again), again.attempt), (event(Lane::Sync, 1, 1), attempt));
        settle(&*queue, again, Settlement::Later { at: now(), attempt }).await;
    }
}

pub(super) async fn a_delayed_event_survives_a_restart(bench: &Bench) {
    let queue = bench.open().await;
    queue.enqueue(&Lane::ALL.map(|lane| event(lane, 1, 1))).await.unwrap();
    let at = now() + Duration::from_secs(1);
    for lane in Lane::ALL {
        let delivery = lease(&*queue, lane).await;
        settle(&*queue, delivery, Settlement::Later { at, attempt: 7 }).await;
    }
    let queue = bench.restart(queue).await;
    for lane in Lane::ALL {
        let again = lease(&*queue, lane).await;
        assert!(now() >= at, "came before its time");
        assert_eq!((event_of(&again), again.attempt), (event(lane, 1, 1), 7));
    }
}

pub(super) async fn others_overtake_a_delayed_event(bench: &Bench) {
    let queue = bench.open().await;
    let (first, later_same_key) = (event(Lane::Sync, 1, 1), event(Lane::Sync, 1, 2));
    queue.enqueue(&[first, later_same_key]).await.unwrap();
    let delivery = lease(&*queue, Lane::Sync).await;
    let at = now() + Duration::from_millis(500);
    settle(&*queue, delivery, Settlement::Later { at, attempt: 2 }).await;
    assert_eq!(ids(&drain(&*queue, Lane::Sync, 2).await), [2, 1]);
}

pub(super) async fn a_returned_event_comes_again_untouched(bench: &Bench) {
    let queue = bench.open().await;
    queue.enqueue(&Lane::ALL.map(|lane| event(lane, 1, 1))).await.unwrap();
    for lane in Lane::ALL.into_iter().cycle().take(9) {
        let delivery = lease(&*queue, lane).await;
        assert_eq!((event_of(&delivery), delivery.attempt), (event(lane, 1, 1), 1));
        settle(&*queue, delivery, Settlement::Return).await;
    }
}

pub(super) async fn no_more_than_the_maximum_is_in_hand(bench: &Bench) {
    let queue = bench.open_with(3).await;
    let events: Vec<_> = (0..5).map(|serial| event(Lane::Sync, serial, serial)).collect();
    queue.enqueue(&events).await.unwrap();
    let mut in_hand = Vec::new();
    for _ in 0..3 {
        in_hand.push(lease(&*queue, Lane::Sync).await);
    }
    assert!(nothing_comes(&*queue, Lane::Sync).await, "a fourth delivery was handed out");
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.lease(Lane::Sync).await }
    });
    settle(&*queue, in_hand.remove(0), Settlement::Done).await;
    within("the waiting lease", waiting).await.unwrap().unwrap();
    let at = now() + Duration::from_secs(60);
    settle(&*queue, in_hand.remove(0), Settlement::Later { at, attempt: 2 }).await;
    lease(&*queue, Lane::Sync).await;
}

pub(super) async fn a_full_lane_leaves_the_others_alone(bench: &Bench) {
    let queue = bench.open_with(2).await;
    let mut waiting = Vec::new();
    for (n, full) in [Lane::Bulk, Lane::Sync, Lane::Contain].into_iter().enumerate() {
        // More than any prefetch takes, and nobody works on what is in hand.
        let first = n as u128 * 1000;
        let events: Vec<_> = (first..first + 500).map(|serial| event(full, serial, serial)).collect();
        queue.enqueue(&events).await.unwrap();
        waiting.push((lease(&*queue, full).await, lease(&*queue, full).await));
        for free in Lane::ALL.into_iter().filter(|lane| !waiting.iter().any(|w| w.0.receipt.lane == *lane)) {
            queue.enqueue(&[event(free, 7, 9000)]).await.unwrap();
            assert_eq!(ids(&drain(&*queue, free, 1).await), [9000], "{free} waits for {full}");
        }
        assert!(nothing_comes(&*queue, full).await);
    }
}

pub(super) async fn a_large_batch_is_stored_whole_and_in_order(bench: &Bench) {
    let queue = bench.open().await;
    let batch: Vec<_> = (0..1000).map(|serial| event(Lane::Bulk, serial % 9, serial)).collect();
    queue.enqueue(&batch).await.unwrap();
    let queue = bench.restart(queue).await;
    let mut last: BTreeMap<String, u128> = BTreeMap::new();
    let came = drain(&*queue, Lane::Bulk, 1000).await;
    for event in &came {
        let serial = event.id.0.as_u128();
        let before = last.insert(event.about.key(), serial);
        assert_eq!(before.map_or(serial % 9, |before| before + 9), serial);
    }
    assert!(nothing_comes(&*queue, Lane::Bulk).await);
}

pub(super) async fn a_dropped_lease_loses_nothing(bench: &Bench) {
    const EVENTS: u128 = 200;
    let queue = bench.open().await;
    let producer = tokio::spawn({
        let queue = queue.clone();
        async move {
            for serial in 0..EVENTS {
                queue.enqueue(&[event(Lane::Contain, serial % 7, serial)]).await.unwrap();
            }
        }
    });
    let mut came = Vec::new();
    let taking = async {
        let mut patience = 0;
        while came.len() < EVENTS as usize {
            // Patience from nothing at all to a few milliseconds cuts leases off at every stage.
            patience = (patience + 1) % 50;
            let lease = queue.lease(Lane::Contain);
            let Ok(delivery) = tokio::time::timeout(Duration::from_micros(patience * 100), lease).await
            else {
                continue;
            };
            let delivery = delivery.unwrap();
            came.push(event_of(&delivery));
            settle(&*queue, delivery, Settlement::Done).await;
        }
    };
    within("every event in spite of dropped leases", taking).await;
    producer.await.unwrap();
    let mut serials = ids(&came);
    serials.sort_unstable();
    assert_eq!(serials, (0..EVENTS).collect::<Vec<_>>());
}

pub(super) async fn what_waits_is_counted_per_lane(bench: &Bench) {
    let queue = bench.open().await;
    depths_become(&*queue, |depths| Lane::ALL.iter().all(|lane| depths[lane].events == 0)).await;
    let mut events = vec![event(Lane::Sync, 1, 1), event(Lane::Sync, 2, 2), event(Lane::Contain, 3, 3)];
    events.extend((4..7).map(|serial| event(Lane::Bulk, serial, serial)));
    queue.enqueue(&events).await.unwrap();
    let counts = [(Lane::Contain, 1), (Lane::Sync, 2), (Lane::Bulk, 3)];
    depths_become(&*queue, |depths| counts.iter().all(|(lane, count)| depths[lane].events == *count)).await;
    let delivery = lease(&*queue, Lane::Sync).await;
    depths_become(&*queue, |depths| depths[&Lane::Sync].events == 2).await;
    settle(&*queue, delivery, Settlement::Done).await;
    depths_become(&*queue, |depths| depths[&Lane::Sync].events == 1).await;
}

pub(super) async fn what_cannot_be_read_is_handed_out_as_such(bench: &Bench) {
    let queue = bench.open().await;
    queue.close().await;
    drop(queue);
    let junk = b"{\"v\":1,\"no\":\"event\"}\xff".to_vec();
    (bench.inject)(Lane::Contain, junk.clone()).await;
    let queue = bench.open().await;
    queue.enqueue(&[event(Lane::Contain, 1, 1)]).await.unwrap();
    let mut unreadable = 0;
    for _ in 0..2 {
        let delivery = lease(&*queue, Lane::Contain).await;
        match &delivery.body {
            Body::Event(readable) => assert_eq!(*readable, event(Lane::Contain, 1, 1)),
            Body::Unreadable { reason, bytes } => {
                assert_eq!(*bytes, junk);
                assert!(!reason.is_empty());
                unreadable += 1;
            }
        }
        settle(&*queue, delivery, Settlement::Done).await;
    }
    assert_eq!(unreadable, 1);
    assert!(nothing_comes(&*queue, Lane::Contain).await);
}

pub(super) async fn a_queue_that_works_says_that_it_is_ready(bench: &Bench) {
    let queue = bench.open().await;
    within("an answer", queue.ready()).await.unwrap();
    queue.close().await;
    assert!(within("an answer", queue.ready()).await.is_err());
}

pub(super) async fn closing_ends_waiting_leases_and_gives_back_what_is_in_hand(bench: &Bench) {
    let queue = bench.open().await;
    queue.enqueue(&[event(Lane::Contain, 1, 1)]).await.unwrap();
    let in_hand = lease(&*queue, Lane::Contain).await;
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.lease(Lane::Contain).await }
    });
    tokio::time::sleep(LOOK).await;
    within("the close", queue.close()).await;
    let ended = within("the waiting lease", waiting).await.unwrap();
    assert!(matches!(ended, Err(Error::Closed)), "{ended:?}");
    assert!(matches!(queue.lease(Lane::Sync).await, Err(Error::Closed)));
    assert!(queue.enqueue(&[event(Lane::Sync, 1, 9)]).await.is_err());
    assert!(queue.settle(in_hand.receipt, Settlement::Done).await.is_err(), "its lease ended with the close");
    let again = bench.open().await;
    assert_eq!(ids(&drain(&*again, Lane::Contain, 1).await), [1]);
}
