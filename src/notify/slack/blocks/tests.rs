//! The form of a message, and that nothing from outside can break it.

use serde_json::{Value as Json, json};

use super::super::super::message::{Form, Severity, Tag, Topic};
use super::*;

fn message() -> Message {
    Message {
        tag: Tag { topic: Topic::Notice("brake/1".into()), version: 1 },
        subject: "Adele Vance · case_1".into(),
        stage: None,
        since: "2026-03-02T08:00:00Z".parse().unwrap(),
        about: None,
        severity: Severity::Warning,
        headline: "Contained: 1 account of Adele Vance, verified in 4.2 s".into(),
        fields: vec![
            Field { label: "Who", value: Value::Words("Adele Vance".into()) },
            Field { label: "Entra object id", value: Value::Code("87d349ed".into()) },
        ],
        accounts: vec![AccountLine { account: "auth0|5f7c".into(), words: "blocked".into() }],
        notes: vec!["Access tokens already issued may work until 09:00:00 UTC".into()],
        footer: vec!["case_1".into()],
        form: Form::Rich,
    }
}

fn json(message: &Message) -> Json {
    serde_json::to_value(rich(message)).unwrap()
}

/// Every `text` string of the blocks.
fn texts(blocks: &Json, out: &mut Vec<(usize, String)>, path: usize) {
    match blocks {
        Json::Array(items) => items.iter().for_each(|item| texts(item, out, path + 1)),
        Json::Object(members) => {
            for (name, value) in members {
                match value {
                    Json::String(text) if name == "text" => out.push((path, text.clone())),
                    other => texts(other, out, path + 1),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn a_case_looks_like_the_documented_incident_message() {
    let mrkdwn = |text: &str| json!({"type": "mrkdwn", "text": text, "verbatim": true});
    let expected = json!([
        {"type": "header", "text": {"type": "plain_text", "emoji": false, "text": "Contained: 1 account of Adele Vance, verified in 4.2 s"}},
        {"type": "section", "fields": [mrkdwn("*Who*\nAdele Vance"), mrkdwn("*Entra object id*\n`87d349ed`")]},
        {"type": "section", "text": mrkdwn("• `auth0|5f7c` blocked")},
        {"type": "section", "text": mrkdwn("• Access tokens already issued may work until 09:00:00 UTC")},
        {"type": "context", "elements": [mrkdwn("case_1")]},
    ]);
    assert_eq!(json(&message()), expected);
}

#[test]
fn nobody_can_mention_a_channel_by_their_name() {
    let evil = "<!channel> <https://evil.example|Reset password>";
    let message = Message {
        headline: format!("Contained: {evil}"),
        fields: vec![Field { label: "Who", value: Value::Words(evil.into()) }],
        accounts: vec![AccountLine { account: format!("auth0|`{evil}"), words: evil.into() }],
        notes: vec![evil.into()],
        footer: vec![evil.into()],
        ..message()
    };
    let blocks = json(&message);
    assert_eq!(blocks[0]["text"]["type"], "plain_text");
    let mut found = Vec::new();
    texts(&json!(blocks.as_array().unwrap()[1..].to_vec()), &mut found, 0);
    for (_, text) in found.iter().chain([&(0, headline(&message)), &(0, plain(&message))]) {
        assert!(!text.contains('<') && !text.contains('>'), "{text}");
    }
}

#[test]
fn no_string_is_over_its_limit_whatever_comes_in() {
    for long in ["x".repeat(10_000), "&".repeat(10_000), "🦀".repeat(10_000), "שלום ".repeat(2_000)] {
        let line = AccountLine { account: long.clone(), words: long.clone() };
        let message = Message {
            headline: long.clone(),
            fields: vec![Field { label: "Who", value: Value::Words(long.clone()) }; 30],
            accounts: vec![line; 300],
            notes: vec![long.clone(); 300],
            footer: vec![long.clone(); 300],
            ..message()
        };
        let blocks = json(&message);
        assert!(blocks.as_array().unwrap().len() <= 50);
        assert!(mrkdwn::length(blocks[0]["text"]["text"].as_str().unwrap()) <= 150);
        assert!(blocks[2]["fields"].as_array().unwrap().len() <= 10);
        for field in blocks[2]["fields"].as_array().unwrap() {
            assert!(mrkdwn::length(field["text"].as_str().unwrap()) <= 2_000);
        }
        let mut found = Vec::new();
        texts(&blocks, &mut found, 0);
        for (_, text) in found {
            assert!((1..=3_000).contains(&mrkdwn::length(&text)), "{} units", mrkdwn::length(&text));
        }
        assert!(mrkdwn::length(&headline(&message)) <= 4_000);
        assert!(mrkdwn::length(&plain(&message)) <= 4_000);
    }
}

#[test]
fn a_list_that_is_cut_says_how_much_is_missing() {
    let accounts = (0..37).map(|n| AccountLine { account: format!("auth0|{n}"), words: "blocked".into() });
    let message = Message { accounts: accounts.collect(), ..message() };
    let what = json(&message)[2]["text"]["text"].as_str().unwrap().to_owned();
    assert_eq!(what.lines().count(), 21);
    assert!(what.ends_with("… and 17 more"), "{what}");
    let exactly = Message { accounts: message.accounts[..20].to_vec(), ..message.clone() };
    assert!(!json(&exactly)[2]["text"]["text"].as_str().unwrap().contains("more"));
}

#[test]
fn a_headline_too_long_for_the_header_is_said_in_full_below_it() {
    let long = Message { headline: format!("Contained: {}", "name ".repeat(40)), ..message() };
    assert!(json(&long)[1]["text"]["text"].as_str().unwrap().ends_with("name "));
}

#[test]
fn the_plain_form_says_everything() {
    insta::assert_snapshot!(plain(&message()), @r"
    Contained: 1 account of Adele Vance, verified in 4.2 s
    Who: Adele Vance
    Entra object id: 87d349ed
    • auth0|5f7c blocked
    Access tokens already issued may work until 09:00:00 UTC
    case_1
    ");
}
