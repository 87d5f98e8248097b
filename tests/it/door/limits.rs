//! Too much, too slow, cut short, of the wrong kind, and a queue that does not take it: each refused with its own
//! status, counted by cause, and nothing stored.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::graph::{batch, user_changed};
use super::risk::alert;
use super::world::{Gate, MONITOR_SECRET, World, settings};

/// Writes raw bytes, ends the sending half, and reads what comes back.
pub async fn raw(world: &World, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(world.running.public_addr).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    read.expect("the door kept the connection open").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn problem(answer: reqwest::Response) -> (u16, String) {
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    (status, body["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_route_without_a_secret_is_not_there() {
    let mut closed = settings();
    closed.graph_client_states.clear();
    closed.risk_secrets.clear();
    closed.azure_monitor_secrets.clear();
    closed.event_grid_secrets.clear();
    let world = World::with(closed).await;
    for path in [
        "/webhooks/graph",
        "/webhooks/graph?validationToken=a",
        "/webhooks/risk",
        "/webhooks/azure-monitor",
        "/webhooks/eventgrid",
        "/",
    ] {
        assert_eq!(problem(world.post(path, "{}").await).await, (404, "not_found".into()), "{path}");
    }
}

#[tokio::test]
async fn webhooks_are_posted_and_nothing_else() {
    let world = World::start().await;
    for path in ["/webhooks/graph?validationToken=a", "/webhooks/risk", "/webhooks/azure-monitor"] {
        let answer = world.http.get(world.url(path)).send().await.unwrap();
        assert_eq!(problem(answer).await, (405, "method_not_allowed".into()));
    }
}

#[tokio::test]
async fn an_authentic_body_that_is_not_declared_as_json_is_refused() {
    let world = World::start().await;
    let body = alert().to_string();
    let send = async |kind: Option<&str>| {
        let signed = world.signed("msg_1", body.as_bytes()).build().unwrap();
        let mut request = signed;
        request.headers_mut().remove("content-type");
        if let Some(kind) = kind {
            request.headers_mut().insert("content-type", kind.parse().unwrap());
        }
        problem_or_status(world.http.execute(request).await.unwrap()).await
    };
    for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        assert_eq!(send(kind).await, (415, "wrong_content_type".into()), "{kind:?}");
    }
    assert_eq!(world.counted("risk", "wrong_content_type"), 3);
    assert_eq!(send(Some("application/json; charset=utf-8")).await.0, 202);
    let forged = world.http.post(world.url("/webhooks/risk")).header("content-type", "text/plain").body("x");
    assert_eq!(forged.send().await.unwrap().status(), 401, "authenticity comes first");
}

async fn problem_or_status(answer: reqwest::Response) -> (u16, String) {
    if answer.status().is_success() {
        (answer.status().as_u16(), String::new())
    } else {
        problem(answer).await
    }
}

#[tokio::test]
async fn one_mebibyte_is_the_most_and_an_honest_sender_hears_so() {
    let world = World::start().await;
    let padded = |bytes: usize| {
        let mut text = alert().to_string();
        text.push_str(&" ".repeat(bytes - text.len()));
        text
    };
    assert_eq!(world.alert(&padded(1 << 20)).await, 202);
    assert_eq!(world.alert(&padded((1 << 20) + 1)).await, 413);
    assert_eq!(world.alert(&padded(3 << 20)).await, 413);
    assert_eq!(world.graph(" ".repeat((1 << 20) + 1)).await, 413);
    let secret = "/webhooks/azure-monitor?secret=monitor%2Bsecret/with=signs";
    assert_eq!(world.post(secret, " ".repeat((1 << 20) + 1)).await.status(), 413);
    assert_eq!(world.events().await.len(), 1);
    assert_eq!(world.counted("risk", "too_large"), 2);
    assert!(MONITOR_SECRET.contains('+'));
}

#[tokio::test]
async fn a_thousand_items_are_the_most() {
    let world = World::start().await;
    let alerts =
        |count: usize| Value::from(vec![json!({"userId": super::world::USER, "level": "low"}); count]);
    assert_eq!(world.alert(&alerts(1000).to_string()).await, 202);
    assert_eq!(world.events().await.len(), 1000);
    assert_eq!(world.alert(&alerts(1001).to_string()).await, 413);
    assert_eq!(world.alert(&json!([alerts(600), alerts(600)]).to_string()).await, 413);
    let tiny = Value::from(vec![json!({}); 1001]);
    assert_eq!(world.graph(json!({ "value": tiny }).to_string()).await, 413);
    let few = vec![user_changed(); 1000];
    assert_eq!(world.graph(batch(&few)).await, 202);
    assert_eq!(world.events().await.len(), 1000);
    assert_eq!(world.counted("risk", "too_many_items"), 2);
}

#[tokio::test]
async fn deep_nesting_is_refused_before_anything_reads_it() {
    let world = World::start().await;
    let deep = |depth: usize| {
        format!(
            r#"{{"userId":"{}","level":"low","x":{}{}}}"#,
            super::world::USER,
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    assert_eq!(world.alert(&deep(20)).await, 202);
    assert_eq!(world.alert(&deep(100)).await, 400);
    assert_eq!(world.alert(&"[".repeat(500_000)).await, 400);
    assert_eq!(world.graph(format!(r#"{{"value":{}}}"#, "[".repeat(200_000))).await, 400);
    assert_eq!(world.counted("risk", "too_deep"), 2);
    assert_eq!(world.events().await.len(), 1);
}

#[tokio::test]
async fn a_body_that_was_cut_short_is_refused_and_counted() {
    let world = World::start().await;
    let body = batch(&[user_changed()]);
    let head = format!(
        "POST /webhooks/graph HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer = raw(&world, format!("{head}{}", &body[..body.len() - 20]).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let chunked = "POST /webhooks/graph HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
        transfer-encoding: chunked\r\n\r\n5\r\n{\"val\r\n";
    assert!(raw(&world, chunked.as_bytes()).await.starts_with("HTTP/1.1 400 "));
    assert_eq!(world.counted("graph", "truncated"), 2);
    assert!(world.events().await.is_empty());
}

#[tokio::test]
async fn a_body_in_many_small_pieces_is_put_together() {
    let world = World::start().await;
    let body = batch(&[user_changed()]);
    let pieces: String = body
        .as_bytes()
        .chunks(7)
        .map(|piece| format!("{:x}\r\n{}\r\n", piece.len(), String::from_utf8_lossy(piece)))
        .collect();
    let head = "POST /webhooks/graph HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
        transfer-encoding: chunked\r\n\r\n";
    assert!(raw(&world, format!("{head}{pieces}0\r\n\r\n").as_bytes()).await.starts_with("HTTP/1.1 202 "));
    assert_eq!(world.events().await.len(), 1);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_ends_before_graph_loses_patience() {
    let world = World::start().await;
    let mut stream = TcpStream::connect(world.running.public_addr).await.unwrap();
    let head = "POST /webhooks/graph HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 1024];
    let read =
        tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer)).await.unwrap().unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 408 "));
    assert_eq!(world.counted("graph", "too_slow"), 1);
}

#[tokio::test]
async fn a_queue_that_is_down_makes_the_sender_come_again() {
    let world = World::start().await;
    world.gate(Gate::Broken);
    let answer = world.post("/webhooks/graph", batch(&[user_changed()])).await;
    assert_eq!(answer.headers()["retry-after"], "2");
    let (status, code) = problem(answer).await;
    assert_eq!((status, code.as_str()), (503, "not_stored"));
    assert_eq!(world.counted("graph", "queue_unavailable"), 1);
    world.gate(Gate::Open);
    assert_eq!(world.graph(batch(&[user_changed()])).await, 202);
    assert_eq!(world.events().await.len(), 1);
}

#[tokio::test]
async fn a_queue_that_does_not_answer_is_not_waited_for_longer_than_graph_would() {
    let world = World::start().await;
    world.gate(Gate::Shut);
    let (graph, risk) = tokio::join!(world.graph(batch(&[user_changed()])), world.alert("[]"));
    assert_eq!((graph, risk), (503, 202), "a request with nothing to store waits for nobody");
    assert_eq!(world.alert(&alert().to_string()).await, 503);
    assert_eq!(world.counted("graph", "queue_slow"), 1);
    assert_eq!(world.counted("risk", "queue_slow"), 1);
}

#[tokio::test]
async fn more_requests_than_a_route_holds_are_told_to_come_again_and_the_other_routes_are_open() {
    let mut few = settings();
    few.requests_max = 2;
    let world = World::with(few).await;
    world.gate(Gate::Shut);
    let held: Vec<_> = (0..2)
        .map(|_| world.http.post(world.url("/webhooks/graph")).body(batch(&[user_changed()])))
        .collect();
    let held: Vec<_> = held
        .into_iter()
        .map(|request| tokio::spawn(request.header("content-type", "application/json").send()))
        .collect();
    world.enqueues(2).await;
    let answer = world.post("/webhooks/graph", batch(&[user_changed()])).await;
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_eq!(problem(answer).await, (429, "busy".into()));
    assert_eq!(world.counted("graph", "shed"), 1);
    let handshake = world.post("/webhooks/graph?validationToken=abc", "").await;
    assert_eq!(handshake.status(), 200, "a handshake needs no place");
    let alert = tokio::spawn(world.signed("msg_1", alert().to_string().as_bytes()).send());
    world.enqueues(3).await;
    world.gate(Gate::Open);
    assert_eq!(alert.await.unwrap().unwrap().status(), 202);
    for one in held {
        assert_eq!(one.await.unwrap().unwrap().status(), 202);
    }
    assert_eq!(world.graph(batch(&[user_changed()])).await, 202, "the places are given back");
}

#[tokio::test]
async fn a_request_that_makes_us_panic_is_answered_and_the_next_one_is_served() {
    let world = World::start().await;
    world.gate(Gate::Mined);
    let body = alert().to_string();
    for _ in 0..3 {
        let answer = world.signed("msg_1", body.as_bytes()).send().await.unwrap();
        assert_eq!(problem(answer).await, (500, "internal".into()));
    }
    world.gate(Gate::Open);
    let again = world.signed("msg_1", body.as_bytes()).send().await.unwrap();
    assert_eq!(again.status(), 202, "a delivery whose handling panicked was not accepted");
    assert_eq!(world.counted("risk", "panicked"), 3);
}
