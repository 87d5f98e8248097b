//! The headers and the text of a mail, and that nothing from outside gets into the headers.

use std::collections::BTreeMap;

use super::super::super::message::{AccountLine, Field, Form, Tag, Topic, Value};
use super::super::{Server, Tls};
use super::*;

fn settings() -> Settings {
    Settings {
        server: Server { host: "127.0.0.1".into(), port: 25, tls: Tls::Loopback, login: None },
        from: "Lockstep <lockstep@example.com>".parse().unwrap(),
        to: ["soc@example.com", "On Call <oncall@example.com>"].map(|text| text.parse().unwrap()).into(),
    }
}

fn now() -> Timestamp {
    "2026-03-02T08:00:07Z".parse().unwrap()
}

fn message(version: u64, stage: Option<Stage>) -> Message {
    Message {
        tag: Tag { topic: Topic::Notice("brake/29539".into()), version },
        subject: "Adele Vance (case_1)".into(),
        stage,
        since: now(),
        about: None,
        severity: Severity::Warning,
        headline: "Contained: 1 account of Adele Vance".into(),
        fields: vec![Field { label: "Who", value: Value::Words("Adele Vance".into()) }],
        accounts: vec![AccountLine { account: "auth0|5f7c".into(), words: "blocked".into() }],
        notes: vec!["Next: nothing".into()],
        footer: vec!["case_1 · event 7".into()],
        form: Form::Rich,
    }
}

/// Headers with their folds undone, and the text as it was handed in.
fn mail(message: &Message) -> (BTreeMap<String, String>, String) {
    let bytes = write(message, &settings(), now()).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let mut headers = BTreeMap::new();
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line}"));
        let again = headers.insert(name.to_owned(), value.to_owned());
        assert_eq!(again, None, "{name} comes once");
    }
    (headers, body.to_owned())
}

#[test]
fn a_case_is_one_thread_and_every_try_the_same_mail() {
    let (first, _) = mail(&message(1, Some(Stage::UnderWay)));
    assert_eq!(first["Message-ID"], "<brake-29539@example.com>");
    assert!(!first.contains_key("In-Reply-To") && !first.contains_key("References"));
    let (third, text) = mail(&message(3, Some(Stage::Verified)));
    assert_eq!(third["Message-ID"], "<brake-29539-3-verified@example.com>");
    assert_eq!((&third["In-Reply-To"], &third["References"]), (&first["Message-ID"], &first["Message-ID"]));
    assert_eq!(third["Subject"], first["Subject"], "mail programs make threads by subject too");
    assert_eq!(mail(&message(3, Some(Stage::Verified))).1, text);
    let (late, _) = mail(&message(1, Some(Stage::Late)));
    assert_ne!(late["Message-ID"], first["Message-ID"], "it says something else");
}

#[test]
fn the_headers_say_what_it_is() {
    let (headers, text) = mail(&message(1, None));
    assert_eq!(headers["From"], "Lockstep <lockstep@example.com>");
    assert_eq!(headers["To"], "soc@example.com, \"On Call\" <oncall@example.com>");
    assert_eq!(headers["Auto-Submitted"], "auto-generated");
    assert_eq!(headers["Date"], "Mon, 02 Mar 2026 08:00:07 +0000");
    assert!(headers["Content-Type"].starts_with("text/plain"), "{headers:?}");
    assert!(!headers.contains_key("Importance"));
    let whole = "Contained: 1 account of Adele Vance\r\n\r\nWho: Adele Vance\r\n\r\n- auth0|5f7c blocked\r\n\r\n\
                 Next: nothing\r\n\r\n";
    assert!(text.replace("=\r\n", "").starts_with(whole), "{text}");
    let (urgent, _) = mail(&Message { severity: Severity::Critical, ..message(1, None) });
    assert_eq!(urgent["Importance"], "high");
}

#[test]
fn no_name_can_begin_a_header_or_a_line() {
    for bad in
        ["x\r\nBcc: eve@example.net", "x\nBcc: eve@example.net", "x\r\n\r\nHello", "x\u{2028}y\u{85}z\0"]
    {
        let evil = Message {
            subject: format!("{bad} (case_1)"),
            headline: bad.to_owned(),
            fields: vec![Field { label: "Who", value: Value::Words(bad.to_owned()) }],
            notes: vec![bad.to_owned()],
            ..message(1, None)
        };
        let (headers, text) = mail(&evil);
        let names: Vec<&str> = headers.keys().map(String::as_str).collect();
        let (harmless, plain) = mail(&message(1, None));
        assert_eq!(names, harmless.keys().map(String::as_str).collect::<Vec<_>>(), "{bad:?}");
        assert!(!text.lines().any(|line| line.starts_with("Bcc") || line == "Hello"), "{text}");
        assert!(text.lines().count() >= plain.lines().count());
    }
}

#[test]
fn names_of_all_peoples_are_told_in_ascii_and_what_is_long_is_cut() {
    let long = "Łukasz 山田 ".repeat(400);
    let many =
        (0..80).map(|n| AccountLine { account: format!("auth0|{n}"), words: "blocked".into() }).collect();
    let (headers, text) =
        mail(&Message { subject: long.clone(), headline: long, accounts: many, ..message(1, None) });
    assert!(headers["Subject"].is_ascii() && headers["Subject"].contains("=?utf-8?"), "{headers:?}");
    assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 998), "RFC 5322, 2.1.1");
}
