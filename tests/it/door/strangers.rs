//! Strangers who begin and do not finish: they cost an honest sender nothing, and nothing of them stays.

use std::time::Duration;

use lockstep::clock::Clock;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::eventgrid;
use super::graph::{batch, user_changed};
use super::risk::alert;
use super::world::{Gate, World};

/// Twice what the door waits for, and thirty times the places of this world.
const STRANGERS: usize = 2000;
/// As many unfinished bodies are waited for (docs/webhooks.md).
const BODIES_MAX: u64 = 1024;
/// Far more than an honest request takes, less than a stranger is waited for.
const PROMPT: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(60);

/// A head that only the body could prove wrong, and the first `sent` bytes of a body of `length`.
async fn begin(world: &World, length: usize, sent: usize) -> TcpStream {
    let head = format!(
        "POST /webhooks/risk HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nwebhook-id: msg_x\r\n\
         webhook-timestamp: {}\r\nwebhook-signature: v1,AAAA\r\ncontent-length: {length}\r\n\r\n",
        world.clock.now().as_second()
    );
    let mut stream = TcpStream::connect(world.running.public_addr).await.unwrap();
    let begun = [head.as_bytes(), &vec![b' '; sent]].concat();
    // Whoever is cut off while sending has been answered already.
    let _ = stream.write_all(&begun).await;
    stream
}

/// The status of whatever answer came before the connection ended; 0 when it was reset with the answer unread.
async fn end(mut stream: TcpStream) -> u16 {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    let _ = read.expect("the connection stayed open");
    String::from_utf8_lossy(&answer).split(' ').nth(1).map_or(0, |status| status.parse().unwrap())
}

fn ended(world: &World) -> u64 {
    world.counted("risk", "cut_off") + world.counted("risk", "too_slow")
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}"));
}

/// One honest request at each route.
async fn honest(world: &World) -> [u16; 4] {
    let monitor = json!({ "schemaId": "azureMonitorCommonAlertSchema", "data": {
        "essentials": { "signalType": "Log", "monitorCondition": "Fired" },
        "alertContext": { "condition": { "allOf": [
            { "dimensions": [{ "name": "UserId", "value": super::world::USER }] } ] } } } });
    let azure = "/webhooks/azure-monitor?secret=monitor%2Bsecret/with=signs";
    let grid = eventgrid::path(super::world::GRID_SECRET);
    let (alert, change) = (alert().to_string(), batch(&[user_changed()]));
    let (risk, graph, azure, grid) = tokio::join!(
        world.alert(&alert),
        world.graph(change),
        world.post(azure, monitor.to_string()),
        world.post(&grid, eventgrid::event(user_changed()).to_string()),
    );
    [risk, graph, azure.status().as_u16(), grid.status().as_u16()]
}

#[tokio::test]
async fn unfinished_bodies_keep_no_honest_sender_out() {
    let world = World::start().await;
    let mut strangers = Vec::new();
    for _ in 0..STRANGERS {
        strangers.push(begin(&world, 1000, 1).await);
    }
    until("the oldest were not cut off", || ended(&world) >= STRANGERS as u64 - BODIES_MAX).await;
    assert!(world.counted("risk", "cut_off") > 0);
    let answers = tokio::time::timeout(PROMPT, honest(&world)).await.expect("not prompt");
    assert_eq!(answers, [202; 4]);
    assert_eq!(world.events().await.len(), 4);
    for stranger in strangers {
        assert!(matches!(end(stranger).await, 408 | 429));
    }
    assert_eq!(ended(&world), STRANGERS as u64);
    // Every place is free: as many requests as there are get as far as the queue.
    world.gate(Gate::Shut);
    let places = world.settings.requests_max;
    let held: Vec<_> = (0..places)
        .map(|n| tokio::spawn(world.signed(&format!("msg_{n}"), alert().to_string().as_bytes()).send()))
        .collect();
    world.enqueues(4 + places).await;
    world.gate(Gate::Open);
    for one in held {
        assert_eq!(one.await.unwrap().unwrap().status(), 202);
    }
}

#[tokio::test]
async fn of_large_bodies_that_do_not_end_the_oldest_give_way() {
    const LARGE: usize = (1 << 20) - 1;
    // Sixty-four of them fill the 64 MiB that are kept.
    const MOST: u64 = 64;
    const SENDERS: u64 = 80;
    let world = World::start().await;
    let mut strangers = Vec::new();
    for _ in 0..SENDERS {
        strangers.push(begin(&world, LARGE + 1, LARGE).await);
    }
    until("none was cut off", || ended(&world) >= SENDERS - MOST).await;
    assert!(world.counted("risk", "cut_off") > 0);
    assert_eq!(tokio::time::timeout(PROMPT, honest(&world)).await.expect("not prompt"), [202; 4]);
    for stranger in strangers {
        assert!(matches!(end(stranger).await, 0 | 408 | 429));
    }
    assert_eq!(ended(&world), SENDERS);
    let padded = format!("{}{}", alert(), " ".repeat(LARGE / 2));
    for _ in 0..10 {
        assert_eq!(world.alert(&padded).await, 202, "what they held is free again");
    }
}

#[tokio::test]
async fn a_body_that_trickles_without_end_is_not_waited_for() {
    let world = World::start().await;
    let (mut from, mut to) = begin(&world, 100_000, 1).await.into_split();
    // One byte after the other, as slowly as keeps a connection busy.
    let trickle = tokio::spawn(async move {
        while to.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut answer = vec![0; 1024];
    let read = tokio::time::timeout(PATIENCE, from.read(&mut answer)).await.expect("it was waited for");
    assert!(answer[..read.unwrap()].starts_with(b"HTTP/1.1 408 "));
    assert_eq!(world.counted("risk", "too_slow"), 1);
    tokio::time::timeout(PATIENCE, trickle).await.expect("the connection was kept").unwrap();
}
