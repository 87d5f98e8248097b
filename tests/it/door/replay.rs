//! Deliveries that come twice: copied, retried, in parallel, across a restart.

use std::sync::Arc;

use super::risk::alert;
use super::world::{Gate, NOW, World, settings};
use lockstep::ingest::spawn_flush;
use tokio_util::sync::CancellationToken;

async fn send(world: &World, id: &str) -> u16 {
    world.signed(id, alert().to_string().as_bytes()).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_copied_request_is_refused_and_the_senders_own_retry_is_answered_yes_without_work() {
    let world = World::start().await;
    assert_eq!(send(&world, "msg_1").await, 202);
    assert_eq!(send(&world, "msg_1").await, 409);
    world.clock.advance(7);
    assert_eq!(send(&world, "msg_1").await, 202);
    assert_eq!(send(&world, "msg_1").await, 409);
    assert_eq!(send(&world, "msg_2").await, 202);
    assert_eq!(world.events().await.len(), 2);
    assert_eq!(world.counted("risk", "replayed"), 2);
    assert_eq!(world.counted("risk", "duplicate"), 1);
}

#[tokio::test]
async fn a_copy_of_an_earlier_attempt_is_refused_too() {
    let world = World::start().await;
    let body = alert().to_string();
    let earlier = world.signed("msg_1", body.as_bytes());
    let copy = earlier.try_clone().unwrap();
    world.gate(Gate::Broken);
    assert_eq!(earlier.send().await.unwrap().status(), 503);
    world.gate(Gate::Open);
    world.clock.advance(5);
    assert_eq!(send(&world, "msg_1").await, 202);
    assert_eq!(copy.send().await.unwrap().status(), 409);
    assert_eq!(world.events().await.len(), 1);
}

#[tokio::test]
async fn a_delivery_that_was_not_stored_is_not_remembered() {
    let world = World::start().await;
    world.gate(Gate::Broken);
    assert_eq!(send(&world, "msg_1").await, 503);
    assert_eq!(world.alert("{").await, 400);
    world.gate(Gate::Open);
    assert_eq!(send(&world, "msg_1").await, 202);
    assert_eq!(world.events().await.len(), 1);
}

#[tokio::test]
async fn of_two_identical_requests_in_parallel_exactly_one_is_stored() {
    let world = World::start().await;
    world.gate(Gate::Shut);
    let one = world.signed("msg_1", alert().to_string().as_bytes());
    let (two, three) = (one.try_clone().unwrap(), one.try_clone().unwrap());
    let first = tokio::spawn(one.send());
    world.enqueues(1).await;
    // While the first is being stored nobody can promise anything about it.
    assert_eq!(two.send().await.unwrap().status(), 503);
    world.gate(Gate::Open);
    assert_eq!(first.await.unwrap().unwrap().status(), 202);
    assert_eq!(three.send().await.unwrap().status(), 409);
    assert_eq!(world.events().await.len(), 1);
    assert_eq!(world.counted("risk", "in_hand"), 1);
}

#[tokio::test]
async fn whoever_cannot_sign_learns_nothing_of_an_id_and_takes_it_from_nobody() {
    let world = World::start().await;
    let forge = async || {
        let forged =
            world.signed("msg_1", b"{}").header("webhook-signature", "v1,AAAA").body(alert().to_string());
        forged.send().await.unwrap().status().as_u16()
    };
    assert_eq!(forge().await, 401);
    world.gate(Gate::Shut);
    let honest = tokio::spawn(world.signed("msg_1", alert().to_string().as_bytes()).send());
    world.enqueues(1).await;
    assert_eq!(forge().await, 401, "an id in hand looks like any other");
    world.gate(Gate::Open);
    assert_eq!(honest.await.unwrap().unwrap().status(), 202);
    assert_eq!(forge().await, 401, "and so does one that was accepted");
}

#[tokio::test]
async fn a_hundred_copies_at_once_are_stored_once() {
    let world = World::start().await;
    let one = world.signed("msg_1", alert().to_string().as_bytes());
    let sent: Vec<_> = (0..50).map(|_| tokio::spawn(one.try_clone().unwrap().send())).collect();
    let mut accepted = 0;
    for answer in sent {
        match answer.await.unwrap().unwrap().status().as_u16() {
            202 => accepted += 1,
            status => assert!(matches!(status, 409 | 503), "{status}"),
        }
    }
    assert_eq!((accepted, world.events().await.len()), (1, 1));
}

#[tokio::test]
async fn a_restart_remembers_what_was_accepted() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let world = World::at(NOW, settings(), dir.clone()).await;
    let stop = CancellationToken::new();
    let flushing = spawn_flush(world.replays.clone(), stop.clone());
    assert_eq!(send(&world, "msg_1").await, 202);
    stop.cancel();
    flushing.await.unwrap();
    lockstep::queue::Queue::close(&*world.queue).await;
    drop(world);
    // The first queue's file is released when its last task is gone; this door has a queue of its own.
    let store = dir.path().join("lockstep.db");
    let elsewhere = Arc::new(tempfile::tempdir().unwrap());
    for part in ["", "-wal", "-shm"] {
        let from = format!("{}{part}", store.display());
        if std::path::Path::new(&from).exists() {
            std::fs::copy(&from, elsewhere.path().join(format!("lockstep.db{part}"))).unwrap();
        }
    }
    let again = World::at(NOW, settings(), elsewhere).await;
    assert_eq!(send(&again, "msg_1").await, 409);
    assert_eq!(send(&again, "msg_2").await, 202);
}
