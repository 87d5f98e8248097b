//! The embedded queue with no room left, by its own limit and by the disk's: nobody who heard yes is forgotten, and everybody
//! else is told to come again.

use std::path::PathBuf;
use std::process::Command;

use lockstep::case::CaseState;
use lockstep::config::Role;
use lockstep::event::EVENT_TEXT_CHARS_MAX;
use lockstep_twin::{AccountId, PersonId, Setup};
use serde_json::json;

use crate::harness::{Backend, Stage, only};

/// The least that the configuration takes: some thousand alerts of the longest kind.
const ROOM: &str = "1048576";
/// Alerts in one request about people whom nobody knows; the queue takes them whole or not at all.
const CROWD: usize = 20;
/// A small disk, and what others have on it: queue, store and their logs have the rest.
const DISK: &str = "size=16m";
const OF_OTHERS: usize = 12 * 1024 * 1024;

/// Sends crowds of strangers until the queue has no room for one, and then single alerts until there is none for those.
/// Answers who got a yes and who did not.
async fn fill(stage: &Stage) -> (Vec<(PersonId, AccountId)>, (PersonId, AccountId)) {
    let first = stage.at_risk("Ada First", "high");
    stage.alert(first.0, "high").await;
    loop {
        let strangers: Vec<_> = (0..CROWD).map(|_| stranger(stage)).collect();
        let answer = stage.sender().signed(&json!({ "value": strangers })).await.unwrap();
        match answer.status {
            202 => {}
            503 => break,
            other => panic!("{other}: {}", answer.body),
        }
    }
    let mut accepted = vec![first];
    loop {
        let person = stage.at_risk(&format!("Some Body{}", accepted.len()), "high");
        let answer = stage.sender().signed_risk_alert(person.0, "high").await.unwrap();
        match answer.status {
            202 => accepted.push(person),
            503 => return (accepted, person),
            other => panic!("{other}: {}", answer.body),
        }
    }
}

/// As large as an event becomes.
fn stranger(stage: &Stage) -> serde_json::Value {
    let mut body = stage.sender().alert_body(PersonId::nobody(), "high");
    body["detection"] = "\u{1d54f}".repeat(EVENT_TEXT_CHARS_MAX).into();
    body
}

/// Only here: RabbitMQ's limits are the broker's, and its alarms have a conformance test of their own.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_embedded_queue_sends_alerts_back_and_loses_none_that_it_took() {
    let mut stage = Stage::set(Backend::Embedded, Setup::unlimited()).await.expect("it needs no server");
    stage.set_env("LOCKSTEP_QUEUE_BYTES_MAX", ROOM);
    // Nobody works, so that the queue stays full for as long as it is looked at.
    stage.start_as(only(Role::Ingest)).await;
    let (accepted, turned_away) = fill(&stage).await;
    assert!(accepted.len() > 1, "somebody was taken after the crowds were sent back");
    let full = r#"lockstep_events_total{source="risk",kind="none",outcome="queue_full"}"#;
    assert_eq!(stage.metric(full).await, Some(2.0));
    let ready = reqwest::get(format!("{}/readyz", stage.admin_url())).await.unwrap();
    assert_eq!(ready.status(), 503, "a load balancer should send alerts elsewhere");
    // An operator is told the same, and is no exception.
    let body = json!({ "user": turned_away.0.to_string(), "by": "kim", "reason": "laptop stolen" });
    let (status, told) = stage.admin(reqwest::Method::POST, "/contain", body).await;
    assert_eq!(status, 503, "{told}");
    stage.stop().await;

    // A full file is no reason not to start; once there is room, the sender's next attempt is a yes.
    stage.start().await;
    for (person, account) in &accepted {
        stage.until_case(*person, CaseState::Verified).await;
        assert!(stage.is_locked_out(account));
    }
    stage.until_idle().await;
    assert!(stage.cases_of(turned_away.0).await.is_empty(), "what was refused was not stored");
    stage.alert(turned_away.0, "high").await;
    stage.until_case(turned_away.0, CaseState::Verified).await;
    assert!(stage.is_locked_out(&turned_away.1));
    assert_eq!(stage.writes(), 2 * (accepted.len() as u64 + 1));
    stage.end().await;
}

/// A file system of its own, which needs root; it goes with the test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Option<SmallDisk> {
        std::fs::create_dir_all(&at).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(&at).output();
        match mount {
            Ok(ended) if ended.status.success() => Some(SmallDisk(at)),
            refused => {
                eprintln!("skipped: no file system can be mounted here: {refused:?}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// The limit of the queue is far away, and there is no room for its file all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_sends_alerts_back_and_loses_none_that_were_taken() {
    let mut stage = Stage::set(Backend::Embedded, Setup::unlimited()).await.expect("it needs no server");
    let Some(disk) = SmallDisk::mount(stage.data_dir()) else { return };
    let others = disk.0.join("of-somebody-else");
    std::fs::write(&others, vec![1; OF_OTHERS]).unwrap();
    stage.start_as(only(Role::Ingest)).await;
    let (accepted, turned_away) = fill(&stage).await;
    let full = r#"lockstep_events_total{source="risk",kind="none",outcome="queue_full"}"#;
    assert_eq!(stage.metric(full).await, Some(2.0));
    let ready = reqwest::get(format!("{}/readyz", stage.admin_url())).await.unwrap();
    assert_eq!(ready.status(), 503, "a load balancer should send alerts elsewhere");
    // Room is made, and nobody has to be restarted for it.
    std::fs::remove_file(others).unwrap();
    stage.alert(turned_away.0, "high").await;
    stage.stop().await;

    stage.start().await;
    for (person, account) in accepted.iter().chain([&turned_away]) {
        stage.until_case(*person, CaseState::Verified).await;
        assert!(stage.is_locked_out(account));
    }
    stage.until_idle().await;
    assert_eq!(stage.writes(), 2 * (accepted.len() as u64 + 1));
    stage.end().await;
}
