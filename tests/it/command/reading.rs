//! Commands that only read work on the store's file, with no server anywhere.

use lockstep::case::CaseState;
use lockstep::event::ObjectId;
use lockstep::store::Store;

use super::program::Place;
use super::samples::{ANN, case, entry, event_id, find, letter, save, store};

#[tokio::test]
async fn cases_are_listed_and_shown_for_people_and_for_machines() {
    let place = Place::new();
    let open = case(2, CaseState::Accepted);
    let id = open.id.to_string();
    {
        let store = store(place.dir.path());
        save(&store, case(1, CaseState::Released)).await;
        save(&store, open).await;
    }
    let listed = place.run(&["cases"]);
    insta::assert_snapshot!(listed.out, @r#"
    CASE                                   STATE     PERSON            REASON                                 OPENED                VERIFIED AFTER  ACCOUNTS
    case_00000000000000000000000000000002  accepted  Ann [31m Example  risk high, at risk: leakedCredentials  2026-03-02 08:00:01Z                  1
    case_00000000000000000000000000000001  released  Ann [31m Example  risk high, at risk: leakedCredentials  2026-03-02 08:00:01Z                  1
    "#);
    let only_open = place.run(&["cases", "--open", "--json"]).json();
    assert_eq!(only_open.as_array().unwrap().len(), 1, "{only_open:#}");
    assert_eq!(only_open[0]["id"], id.as_str());

    let shown = place.run(&["cases", &id]);
    assert_eq!(shown.code, 0);
    insta::assert_snapshot!(shown.out, @r#"
    NOT verified in time: 1 account of Ann [31m Example
    Who: Ann [31m Example
    Entra object id: 3f2c1b0a-9d8e-4f7a-8b6c-5d4e3f2a1b0c
    Why: Risk high, at risk: leakedCredentials (told by risk)
    State: Accepted, NOT verified by 2026-03-02 08:02:01 UTC, being read back on
    • waad|contoso|ann blocked, access ended by revoke-access; still open: 1 session
    Still open: Auth0 cannot be reached
    Access tokens already issued may work until 2026-03-02 10:00:00 UTC
    Lockstep goes on trying. If it must be safe now, block these accounts in the Auth0 Dashboard
    signal → received 1.0 s · received → accepted 1.0 s
    case_00000000000000000000000000000002 · event 00000000-0000-0000-0000-000000000002
    "#);
    assert_eq!(place.run(&["cases", &id, "--json"]).json()["state"], "accepted");

    let unknown = place.run(&["cases", "case_00000000000000000000000000000009"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (1, ""));
    assert!(unknown.talk.contains("there is no case_00000000000000000000000000000009"), "{}", unknown.talk);
}

#[tokio::test]
async fn an_empty_store_is_said_and_is_still_json() {
    let place = Place::new();
    drop(store(place.dir.path()));
    let ran = place.run(&["cases", "--json"]);
    assert_eq!((ran.code, ran.out.trim(), ran.talk.trim()), (0, "[]", "no cases"));
    let ran = place.run(&["dead", "list", "--json"]);
    assert_eq!((ran.code, ran.out.trim(), ran.talk.trim()), (0, "[]", "no dead letters"));
    let ran = place.run(&["findings", "--json"]);
    assert_eq!((ran.code, ran.out.trim(), ran.talk.trim()), (0, "[]", "no findings"));
    let ran = place.run(&["audit", "verify", "--json"]);
    assert_eq!((ran.code, ran.json()), (0, serde_json::json!({ "ok": true, "records": 0 })));
    assert_eq!(place.run(&["audit", "tail"]).code, 0);
    assert_eq!(place.run(&["audit", "export"]).out, "");
}

#[test]
fn a_store_that_is_not_there_is_not_made_up() {
    let place = Place::new();
    for arguments in
        [&["cases"][..], &["findings"], &["dead", "list"], &["audit", "verify"], &["audit", "tail"]]
    {
        let ran = place.run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:#?}");
        assert!(ran.talk.contains("lockstep.db does not exist") && ran.talk.contains("LOCKSTEP_DATA_DIR"));
    }
    assert!(!place.path("data").exists());
}

#[tokio::test]
async fn reading_needs_nothing_of_the_wiring_but_refuses_a_misspelt_variable() {
    let mut place = Place::new();
    drop(store(place.dir.path()));
    place.write("lockstep.toml", "[contian]\n");
    assert_eq!(place.run(&["cases"]).code, 0, "a bad policy does not hide the cases");
    place.set("LOCKSTEP_DATA_DRI", "elsewhere");
    let ran = place.run(&["cases"]);
    assert_eq!(ran.code, 78);
    assert!(ran.talk.contains("did you mean LOCKSTEP_DATA_DIR?"), "{}", ran.talk);
}

#[tokio::test]
async fn dead_letters_are_listed_and_shown_with_their_event() {
    let place = Place::new();
    {
        let store = store(place.dir.path());
        store.bury(letter(7)).await.unwrap();
        let unreadable = lockstep::store::DeadLetter { envelope: b"{".to_vec(), ..letter(8) };
        store.bury(unreadable).await.unwrap();
    }
    let listed = place.run(&["dead", "list"]);
    assert!(listed.out.contains("user_updated") && listed.out.contains("unreadable"), "{}", listed.out);
    let id = event_id(7).to_string();
    let shown = place.run(&["dead", "show", &id]);
    assert!(shown.out.contains("a permission is missing") && shown.out.contains("\"user_updated\""));
    let json = place.run(&["dead", "show", &id, "--json"]).json();
    assert_eq!(
        (&json["attempts"], &json["envelope"]["kind"]),
        (&8.into(), &"user_updated".into()),
        "{json:#}"
    );
    assert_eq!(place.run(&["dead", "show", &event_id(9).to_string()]).code, 1);
}

#[tokio::test]
async fn findings_are_grouped_by_kind_with_the_people_beneath_and_exit_2() {
    let place = Place::new();
    {
        let store = store(place.dir.path());
        let unknown = "the policy names the role \u{9b}2JAdmin, which Auth0 does not have";
        let linked = |account| format!("{account} has the same e-mail address and is not linked");
        find(&store, ANN, &[&linked("auth0|an\u{1b}n"), &linked("auth0|a2"), unknown]).await;
        find(&store, person(1), &[]).await;
        for number in 2..=4 {
            find(&store, person(number), &[unknown]).await;
        }
    }
    let ran = place.run(&["findings", "--limit", "2"]);
    assert_eq!((ran.code, ran.talk.as_str()), (2, ""), "{ran:#?}");
    insta::assert_snapshot!(ran.out, @"
    the policy names the role  2JAdmin, which Auth0 does not have (4 people)
      00000000-0000-0000-0000-000000000002
      00000000-0000-0000-0000-000000000003
      … and 2 more

    an account has the same e-mail address and is not linked (1 person)
      3f2c1b0a-9d8e-4f7a-8b6c-5d4e3f2a1b0c  auth0|a2, auth0|an n
    ");

    let ran = place.run(&["findings", "--json"]);
    assert_eq!(ran.code, 2);
    let kinds = ran.json();
    assert_eq!(
        (&kinds[0]["count"], kinds[0]["people"].as_array().unwrap().len()),
        (&4.into(), 4),
        "{kinds:#}"
    );
    assert_eq!(kinds[1]["people"][0]["person"], ANN.to_string());
    assert_eq!(kinds[1]["people"][0]["findings"].as_array().unwrap().len(), 2);
}

/// More people than are read at a time.
#[tokio::test]
async fn findings_are_counted_to_the_last_person() {
    let place = Place::new();
    {
        let store = store(place.dir.path());
        let people = (1..=1001).map(|number| (person(number), format!("the value has {number} bytes")));
        let saved = people.map(async |(person, finding)| find(&store, person, &[&finding]).await);
        futures_util::future::join_all(saved).await;
    }
    let kinds = place.run(&["findings", "--json"]).json();
    assert_eq!(kinds.as_array().unwrap().len(), 1, "{kinds:#}");
    assert_eq!((&kinds[0]["count"], kinds[0]["people"].as_array().unwrap().len()), (&1001.into(), 10));
}

fn person(number: u128) -> ObjectId {
    ObjectId(uuid::Uuid::from_u128(number))
}

#[tokio::test]
async fn the_audit_is_verified_exported_and_read() {
    let place = Place::new();
    {
        let store = store(place.dir.path());
        let entries = (1..=2500).map(|number| entry("case.saved", &format!("entry {number}"))).collect();
        store.record(entries).await.unwrap();
    }
    let verified = place.run(&["audit", "verify"]);
    assert_eq!((verified.code, verified.out.trim()), (0, "unbroken: 2500 records"));

    let exported = place.run(&["audit", "export", "--after", "1"]).out;
    let lines: Vec<serde_json::Value> =
        exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2499);
    assert_eq!((&lines[0]["number"], &lines[0]["entry"]["sentence"]), (&2.into(), &"entry 2".into()));

    let tail = place.run(&["audit", "tail", "-n", "2"]);
    let last: Vec<&str> = tail.out.lines().skip(1).collect();
    assert_eq!(last.len(), 2, "{}", tail.out);
    assert!(last[1].starts_with("2500") && last[1].contains("entry 2500"), "{}", tail.out);
    let tail = place.run(&["audit", "tail", "-n", "2", "--json"]);
    assert_eq!(tail.out.lines().count(), 2);
}

/// What was exported is enough to compute the chain again, without the program.
#[tokio::test]
async fn an_export_carries_the_bytes_that_were_hashed() {
    let place = Place::new();
    store(place.dir.path()).record(vec![entry("a", "one"), entry("b", "two")]).await.unwrap();
    let exported = place.run(&["audit", "export"]).out;
    let mut last = lockstep::audit::GENESIS;
    for (index, line) in exported.lines().enumerate() {
        let (_, entry) = line.split_once("\"entry\":").unwrap();
        last = lockstep::audit::chain(&last, index as u64 + 1, entry.strip_suffix('}').unwrap().as_bytes());
        assert!(line.contains(&last.to_string()), "{line}");
    }
}

#[tokio::test]
async fn a_broken_audit_names_the_record_and_exits_1() {
    for (damage, told) in [
        ("UPDATE audit SET entry = replace(entry, 'two', 'too') WHERE number = 2", "record 2 was changed"),
        ("DELETE FROM audit WHERE number = 2", "record 2 is missing"),
        ("DELETE FROM audit WHERE number = 3", "the last 1 records are missing"),
    ] {
        let place = Place::new();
        store(place.dir.path())
            .record(vec![entry("a", "one"), entry("b", "two"), entry("c", "three")])
            .await
            .unwrap();
        tamper(&place, damage);
        let ran = place.run(&["audit", "verify"]);
        assert_eq!(ran.code, 1, "{damage}: {ran:#?}");
        assert!(ran.out.contains("BROKEN") && ran.out.contains(told), "{damage}: {}", ran.out);
        let json = place.run(&["audit", "verify", "--json"]);
        assert_eq!((json.code, &json.json()["ok"]), (1, &false.into()));
    }
}

/// Edits the file as somebody with full rights to it could.
fn tamper(place: &Place, sql: &str) {
    let connection = rusqlite::Connection::open(place.path("data/lockstep.db")).unwrap();
    let triggers: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for trigger in triggers {
        connection.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}");
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let place = Place::new();
    let entries = (1..=20_000).map(|number| entry("case.saved", &format!("entry {number}"))).collect();
    store(place.dir.path()).record(entries).await.unwrap();
    let mut command = place.command(&["audit", "export"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    // Read one line, then close the pipe.
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]));
}
