//! Words of Slack that the twin has no reason to say: a small server says them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::http::StatusCode;
use axum::routing::any;
use lockstep::clock::Clock;
use lockstep::notify::slack::Settings;
use lockstep_twin::{Setup, Twin};
use serde_json::{Value, json};

use super::desk::{Desk, requested, until, verified};

/// Answers with what it was told to, in turn, and keeps what it was asked.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Value>>>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Script {
    fn of(answers: impl IntoIterator<Item = Value>) -> Script {
        Script { answers: Arc::new(Mutex::new(answers.into_iter().collect())), asked: Arc::default() }
    }

    async fn serve(&self) -> reqwest::Url {
        let script = self.clone();
        let answer = any(move |uri: axum::http::Uri, body: String| {
            let script = script.clone();
            async move {
                let body = serde_json::from_str(&body).unwrap_or(Value::Null);
                script.asked.lock().unwrap().push((uri.path().to_owned(), body));
                match script.answers.lock().unwrap().pop_front() {
                    Some(answer) => (StatusCode::OK, Json(answer)),
                    None => (StatusCode::INTERNAL_SERVER_ERROR, Json(json!("not in the script"))),
                }
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/", listener.local_addr().unwrap()).parse().unwrap();
        let router = axum::Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn asked(&self) -> Vec<(String, Value)> {
        self.asked.lock().unwrap().clone()
    }

    async fn desk(&self) -> Desk {
        let twin = Twin::start(Setup::default()).await;
        let token = twin.setup().slack_bot_token.clone().into();
        let channel = twin.setup().slack_channel.clone();
        Desk::with(twin, Settings::Bot { token, channel, api_url: self.serve().await })
    }
}

fn ok(ts: &str) -> Value {
    json!({"ok": true, "channel": "C0TWIN00001", "ts": ts})
}

fn no(word: &str) -> Value {
    json!({"ok": false, "error": word})
}

#[tokio::test]
async fn blocks_that_slack_refuses_are_told_in_plain_words() {
    let refused = json!({
        "ok": false,
        "error": "invalid_blocks",
        "errors": ["must be less than 3001 characters [json-pointer:/blocks/2/text/text]"],
    });
    let script = Script::of([refused.clone(), ok("1.000001"), refused, ok("1.000001")]);
    let desk = script.desk().await;
    let running = desk.start();
    let case = requested(1, desk.clock.now());
    desk.save(&case).await;
    desk.until_all_told().await;
    desk.save(&verified(&case)).await;
    desk.advance(1);
    desk.until_all_told().await;
    let asked = script.asked();
    let paths: Vec<_> = asked.iter().map(|(path, _)| path.trim_start_matches("/api/")).collect();
    assert_eq!(paths, ["chat.postMessage", "chat.postMessage", "chat.update", "chat.update"]);
    for (_, plain) in [&asked[1], &asked[3]] {
        assert_eq!(plain["blocks"], json!([]), "blocks of an earlier version are taken away");
        assert!(plain["text"].as_str().unwrap().contains("auth0|1"), "{plain}");
        assert!(plain["metadata"]["event_payload"]["topic"].is_string());
    }
    running.stop().await;
}

#[tokio::test]
async fn a_message_refused_in_every_form_stays_owed_until_it_can_be_said() {
    let script = Script::of([no("invalid_blocks"), no("msg_too_long"), ok("1.000001")]);
    let desk = script.desk().await;
    let running = desk.start();
    desk.save(&requested(1, desk.clock.now())).await;
    desk.until_failed().await;
    desk.advance(300);
    desk.until_all_told().await;
    running.stop().await;
}

#[tokio::test]
async fn who_may_not_look_into_the_channel_tells_again_rather_than_never() {
    let script = Script::of([no("fatal_error"), no("missing_scope"), ok("1.000002")]);
    let desk = script.desk().await;
    let running = desk.start();
    desk.save(&requested(1, desk.clock.now())).await;
    desk.until_failed().await;
    assert!(desk.owed().await[0].sending_since.is_some(), "it may have been posted");
    desk.advance(11);
    desk.until_all_told().await;
    let paths: Vec<_> = script.asked().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["/api/chat.postMessage", "/api/conversations.history", "/api/chat.postMessage"]);
    running.stop().await;
}

#[tokio::test]
async fn a_look_that_fails_leaves_the_doubt_and_posts_nothing() {
    let script = Script::of([no("fatal_error"), no("invalid_auth"), no("fatal_error")]);
    let desk = script.desk().await;
    let running = desk.start();
    desk.save(&requested(1, desk.clock.now())).await;
    for looks in 1..=2 {
        until("asked", || async {
            script.asked().len() == looks && desk.owed().await[0].attempts as usize == looks
        })
        .await;
        desk.advance(300);
    }
    until("asked again", || async { desk.owed().await[0].attempts == 3 }).await;
    assert!(desk.owed().await[0].sending_since.is_some());
    let posts = script.asked().iter().filter(|(path, _)| path.ends_with("chat.postMessage")).count();
    assert_eq!(posts, 1);
    running.stop().await;
}

#[tokio::test]
async fn history_is_searched_page_by_page_past_other_peoples_messages() {
    let topic =
        |topic: &str| json!({"event_type": "lockstep_case", "event_payload": {"topic": topic, "version": 1}});
    let case = requested(1, lockstep::clock::SystemClock.now());
    let others = json!({"ok": true, "response_metadata": {"next_cursor": "bmV4dA=="}, "messages": [
        {"ts": "5.000000", "metadata": topic("case_00000000000000000000000000000009")},
        {"ts": "4.000000", "metadata": {"event_type": "else", "event_payload": {"topic": [1]}}},
        {"ts": "3.000000", "text": "hello"},
    ]});
    let ours = json!({"ok": true, "response_metadata": {"next_cursor": ""}, "messages": [
        {"ts": "2.000000", "metadata": topic(&case.id.to_string())},
    ]});
    let script = Script::of([no("internal_error"), others, ours, ok("2.000000")]);
    let desk = script.desk().await;
    let running = desk.start();
    desk.save(&case).await;
    desk.until_failed().await;
    desk.advance(11);
    desk.until_all_told().await;
    desk.save(&verified(&case)).await;
    desk.advance(11);
    desk.until_all_told().await;
    let (path, update) = script.asked().pop().unwrap();
    assert_eq!((path.as_str(), &update["ts"]), ("/api/chat.update", &json!("2.000000")));
    running.stop().await;
}

#[tokio::test]
async fn a_throttling_without_a_status_is_one_all_the_same() {
    let script = Script::of([no("ratelimited"), ok("1.000001")]);
    let desk = script.desk().await;
    let running = desk.start();
    desk.save(&requested(1, desk.clock.now())).await;
    desk.until_failed().await;
    assert!(!desk.is_due_in(29).await && desk.is_due_in(30).await);
    desk.advance(30);
    desk.until_all_told().await;
    running.stop().await;
}
