//! Odd heads and framings: each is answered or its connection closed, stores nothing, and harms no other request.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::graph::{batch, user_changed};
use super::limits::raw;
use super::world::World;

const POST: &str = "POST /webhooks/graph HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";

/// The statuses of all answers, in their order.
fn statuses(answers: &str) -> Vec<u16> {
    let status = |text: &str| text.split(' ').next().and_then(|status| status.parse().ok());
    answers.split("HTTP/1.1 ").skip(1).filter_map(status).collect()
}

#[tokio::test]
async fn a_head_that_leaves_the_length_unclear_or_asks_for_something_else_is_refused() {
    let world = World::start().await;
    let body = batch(&[user_changed()]);
    let length = body.len();
    let long = "a".repeat(100_000);
    let fields: String = (0..150).map(|number| format!("x-{number}: 1\r\n")).collect();
    for (what, request, expected) in [
        (
            "two lengths",
            format!("{POST}content-length: {length}\r\ncontent-length: 5\r\n\r\n{body}"),
            &[400][..],
        ),
        ("a signed length", format!("{POST}content-length: +{length}\r\n\r\n{body}"), &[400]),
        ("two lengths in one", format!("{POST}content-length: {length}, {length}\r\n\r\n{body}"), &[400]),
        (
            "an encoding after chunked",
            format!("{POST}transfer-encoding: chunked, gzip\r\n\r\n{body}"),
            &[400],
        ),
        (
            "a chunk of a nonsensical size",
            format!("{POST}transfer-encoding: chunked\r\n\r\n-5\r\n{body}\r\n0\r\n\r\n"),
            &[400],
        ),
        (
            "a chunk larger than memory",
            format!("{POST}transfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\n{body}\r\n0\r\n\r\n"),
            &[400],
        ),
        (
            "an endless chunk extension",
            format!("{POST}transfer-encoding: chunked\r\n\r\n1;{long}\r\n"),
            &[400],
        ),
        ("a hundred and fifty fields", format!("{POST}{fields}\r\n"), &[431]),
        ("a long path", format!("POST /webhooks/graph?{long} HTTP/1.1\r\nhost: x\r\n\r\n"), &[414, 431]),
        ("a folded field", format!("{POST}x: a\r\n b\r\ncontent-length: {length}\r\n\r\n{body}"), &[400]),
        ("a tunnel", "CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), &[404, 405]),
        ("an upgrade", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), &[0]),
        ("the server itself", "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), &[404, 405]),
        ("an echo", "TRACE /webhooks/graph HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), &[405]),
    ] {
        let answer = raw(&world, request.as_bytes()).await;
        let first = statuses(&answer).first().copied().unwrap_or_default();
        assert!(expected.contains(&first), "{what}: {answer:?}");
    }
    assert!(world.events().await.is_empty());
    assert_eq!(world.graph(body).await, 202);
}

#[tokio::test]
async fn honest_senders_of_every_kind_of_framing_are_served() {
    let world = World::start().await;
    let body = batch(&[user_changed()]);
    let length = format!("content-length: {}\r\n", body.len());
    for (what, request) in [
        (
            "HTTP/1.0",
            format!("POST /webhooks/graph HTTP/1.0\r\ncontent-type: application/json\r\n{length}\r\n{body}"),
        ),
        (
            "a whole address",
            format!(
                "POST http://example.org/webhooks/graph HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                 {length}\r\n{body}"
            ),
        ),
        (
            "trailers",
            format!(
                "{POST}transfer-encoding: chunked\r\n\r\n{:x};a=b\r\n{body}\r\n0\r\nx-trailer: 1\r\n\r\n",
                body.len()
            ),
        ),
    ] {
        let answer = raw(&world, request.as_bytes()).await;
        assert_eq!(answer.split(' ').nth(1), Some("202"), "{what}: {answer:?}");
    }
    assert_eq!(world.events().await.len(), 3);
}

#[tokio::test]
async fn who_waits_to_be_told_to_go_on_is_told_when_the_body_is_wanted() {
    let world = World::start().await;
    let body = batch(&[user_changed()]);
    let mut stream = TcpStream::connect(world.running.public_addr).await.unwrap();
    let head = format!("{POST}expect: 100-continue\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 202");

    // Whoever is refused by the head alone is not asked for a body.
    let head =
        "POST /webhooks/risk HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1000000\r\n\r\n";
    let answer = raw(&world, head.as_bytes()).await;
    assert_eq!(statuses(&answer), [401], "{answer:?}");
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_their_order_and_a_bad_one_ends_them() {
    let world = World::start().await;
    let handshake = |token: &str| {
        format!(
            "POST /webhooks/graph?validationToken={token} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
        )
    };
    let many: String = (0..500).map(|number| handshake(&format!("n{number}"))).collect();
    let answers =
        raw(&world, format!("{many}{POST}content-length: x\r\n\r\n{}", handshake("late")).as_bytes()).await;
    let tokens: Vec<&str> = answers
        .split("HTTP/1.1 ")
        .filter_map(|answer| answer.split_once("\r\n\r\nn"))
        .map(|it| it.1)
        .collect();
    assert_eq!(tokens, (0..500).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(statuses(&answers).last(), Some(&400));
    assert!(!answers.contains("late"));
}
