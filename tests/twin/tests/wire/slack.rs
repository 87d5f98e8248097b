//! Slack: messages, updates, history, limits, the incoming webhook.

use crate::client::start;
use lockstep_twin::{Setup, Vendor};
use serde_json::{Value, json};

fn case(version: u32) -> Value {
    json!({"event_type": "lockstep_case", "event_payload": {"case": "case_1", "version": version}})
}

#[tokio::test]
async fn a_message_is_posted_updated_in_place_and_found_again() {
    let c = start(Setup::default()).await;
    let channel = c.twin.setup().slack_channel.clone();
    let section = json!([{"type": "section", "text": {"type": "mrkdwn", "text": "working"}}]);
    let body = json!({"channel": channel, "text": "requested", "blocks": section, "metadata": case(1), "unfurl_links": false});
    let posted = c.slack("chat.postMessage", body).await.json();
    assert_eq!(posted["ok"], json!(true));
    let ts = posted["ts"].as_str().unwrap().to_owned();

    let update = json!({"channel": channel, "ts": ts, "text": "verified", "metadata": case(2)});
    assert_eq!(c.slack("chat.update", update).await.json()["ok"], json!(true));
    let messages = c.twin.world().slack_messages(&channel);
    assert_eq!(messages.len(), 1);
    let texts: Vec<&str> = messages[0].versions.iter().map(|version| version.text.as_str()).collect();
    assert_eq!(texts, ["requested", "verified"]);
    assert_eq!(messages[0].current().blocks.len(), 1, "left-out blocks stay");

    let hidden = c.slack("conversations.history", json!({"channel": channel, "oldest": "0"})).await.json();
    assert!(hidden["messages"][0].get("metadata").is_none());
    let body = json!({"channel": channel, "oldest": "1.5", "include_all_metadata": true});
    let found = c.slack("conversations.history", body).await.json();
    assert_eq!(found["messages"][0]["metadata"]["event_payload"]["version"], json!(2));
    assert_eq!(found["messages"][0]["ts"], json!(ts));
    let later = c.slack("conversations.history", json!({"channel": channel, "oldest": ts})).await.json();
    assert_eq!(later["messages"], json!([]));
    c.assert_no_complaints();
}

#[tokio::test]
async fn failures_are_words_in_a_200() {
    let c = start(Setup::default()).await;
    let channel = c.twin.setup().slack_channel.clone();
    let long = json!([{"type": "section", "text": {"type": "mrkdwn", "text": "x".repeat(3_001)}}]);
    let cases = [
        ("chat.postMessage", json!({"channel": "nowhere", "text": "x"}), "channel_not_found"),
        ("chat.postMessage", json!({"channel": channel}), "no_text"),
        ("chat.postMessage", json!({"channel": channel, "text": "x", "blocks": long}), "invalid_blocks"),
        ("chat.update", json!({"channel": channel, "ts": "1.000001", "text": "x"}), "message_not_found"),
        (
            "chat.update",
            json!({"channel": "#security-incidents", "ts": "1.000001", "text": "x"}),
            "channel_not_found",
        ),
        ("chat.shout", json!({"channel": channel, "text": "x"}), "unknown_method"),
    ];
    for (method, body, word) in cases {
        let got = c.slack(method, body).await;
        assert_eq!((got.status, &got.json()["error"]), (200, &json!(word)), "{method}");
    }
    let url = format!("{}chat.postMessage", c.twin.urls().slack_api_url);
    let unsigned = c.send(c.http.post(&url).header("content-type", "application/json").body("{}")).await;
    assert_eq!(unsigned.json(), json!({"ok": false, "error": "not_authed"}));
    let wrong = c.send(c.http.post(&url).header("authorization", "Bearer xoxb-wrong")).await;
    assert_eq!(wrong.json(), json!({"ok": false, "error": "invalid_auth"}));
}

#[tokio::test]
async fn one_message_a_second_when_asked_for() {
    let c = start(Setup { slack_messages_per_second: Some(1), ..Setup::default() }).await;
    let body = json!({"channel": c.twin.setup().slack_channel, "text": "x"});
    assert_eq!(c.slack("chat.postMessage", body.clone()).await.status, 200);
    let second = c.slack("chat.postMessage", body).await;
    assert_eq!((second.status, second.header("retry-after")), (429, Some("1")));
    assert_eq!(second.json(), json!({"ok": false, "error": "ratelimited"}));
}

#[tokio::test]
async fn the_incoming_webhook_says_ok_and_nothing_else() {
    let c = start(Setup::default()).await;
    let url = c.twin.urls().slack_webhook_url;
    let post = |url: &str, body: &str| {
        c.http.post(url).header("content-type", "application/json").body(body.to_owned())
    };
    let ok = c.send(post(&url, r#"{"text":"contained"}"#)).await;
    assert_eq!((ok.status, ok.text.as_str()), (200, "ok"));
    assert_eq!(c.twin.world().slack_messages(&c.twin.setup().slack_channel)[0].text(), "contained");
    let bad = c.send(post(&url, "{")).await;
    assert_eq!((bad.status, bad.text.as_str()), (400, "invalid_payload"));
    let gone = c.send(post(&format!("{url}x"), r#"{"text":"x"}"#)).await;
    assert_eq!((gone.status, gone.text.as_str()), (404, "no_service"));
    assert_eq!(c.twin.journal().writes(Vendor::Slack), 1);
    c.assert_no_complaints();
}

#[tokio::test]
async fn auth_test_knows_the_bot() {
    let c = start(Setup::default()).await;
    assert_eq!(c.slack("auth.test", json!({})).await.json()["ok"], json!(true));
}
