//! Connections: slow ones, kept ones, and the orderly end.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::risk::alert;
use super::world::{Gate, World};

const PATIENCE: Duration = Duration::from_secs(40);

async fn rest_of(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut read))
        .await
        .expect("the connection stayed open")
        .unwrap();
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test]
async fn a_head_that_never_ends_is_not_waited_for() {
    let world = World::start().await;
    let mut loris = TcpStream::connect(world.running.public_addr).await.unwrap();
    loris.write_all(b"POST /webhooks/risk HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
    let mut silent = TcpStream::connect(world.running.public_addr).await.unwrap();
    let (loris, silent) = tokio::join!(rest_of(&mut loris), rest_of(&mut silent));
    assert!(!loris.contains("200 OK") && !silent.contains("200 OK"));
}

#[tokio::test]
async fn a_head_without_end_in_sight_is_refused() {
    let world = World::start().await;
    let mut stream = TcpStream::connect(world.running.public_addr).await.unwrap();
    stream.write_all(b"POST /webhooks/risk HTTP/1.1\r\n").await.unwrap();
    let line = format!("x-long: {}\r\n", "a".repeat(4096));
    for _ in 0..64 {
        if stream.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
    let mut read = Vec::new();
    // Closed with an answer, or reset because we were still writing: either way it is over.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut read))
        .await
        .expect("the connection stayed open");
    let text = String::from_utf8_lossy(&read);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431 "), "{text}");
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let world = World::start().await;
    let mut stream = TcpStream::connect(world.running.public_addr).await.unwrap();
    for _ in 0..3 {
        stream
            .write_all(b"POST /webhooks/graph?validationToken=abc HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nabc") {
            assert_ne!(
                tokio::time::timeout(PATIENCE, stream.read_buf(&mut answer)).await.unwrap().unwrap(),
                0
            );
        }
    }
}

#[tokio::test]
async fn at_the_end_requests_in_hand_are_finished_and_new_ones_are_not_taken() {
    let mut world = World::start().await;
    world.gate(Gate::Shut);
    let in_hand = tokio::spawn(world.signed("msg_1", alert().to_string().as_bytes()).send());
    world.enqueues(1).await;
    let mut idle = TcpStream::connect(world.running.public_addr).await.unwrap();
    idle.write_all(b"POST /webhooks/graph?validationToken=abc HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut first = vec![0; 4096];
    assert_ne!(idle.read(&mut first).await.unwrap(), 0);

    world.shutdown.cancel();
    assert_eq!(rest_of(&mut idle).await, "", "an idle connection is closed");
    let refused = async { while TcpStream::connect(world.running.public_addr).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, refused).await.expect("new connections are still taken");
    let alive = world.http.get(world.admin_url("/livez")).send().await.unwrap().status();
    assert_eq!(alive, 200, "the admin listener outlives the public one");
    world.gate(Gate::Open);
    assert_eq!(in_hand.await.unwrap().unwrap().status(), 202);
    tokio::time::timeout(PATIENCE, &mut world.running.join).await.expect("it did not end").unwrap();
    assert!(TcpStream::connect(world.running.admin_addr).await.is_err());
    assert_eq!(world.events().await.len(), 1);
}
