//! Several processes on one store and one broker: the work is shared, and nothing is done or told twice.
//!
//! Most of it is on RabbitMQ only: the embedded queue belongs to one process.

use std::process::Stdio;
use std::time::Duration;

use futures_util::future::join_all;
use lockstep::case::CaseState;
use lockstep::clock::{self, Clock, SystemClock, Timestamp};
use lockstep::config::{Role, Roles};
use lockstep_twin::send::Change;
use lockstep_twin::{MailKind, Mishap, Setup, Times, Vendor};
use serde_json::json;

use super::directory::{SWEEPING, attribute, role, unprovisioned};
use crate::harness::{Backend, Stage, only};

const LEASE: &str = "scheduler";

/// Whether the schedule is anybody's at `now`; if not, it is nobody's afterwards either.
async fn is_kept(stage: &Stage, now: Timestamp) -> bool {
    !stage.store().take_lease(LEASE, "nobody", now, now.min(SystemClock.now())).await.unwrap()
}

crate::stories! {
    a_schedule_whose_keeper_was_killed_is_kept_by_the_next_when_the_lease_has_run_out(stage, Setup::unlimited()) {
        stage.policy(&format!("{SWEEPING}{}", attribute("app_metadata.department", "department")));
        stage.be_reachable();
        let (ada, account) = stage.hire("Ada Lovelace");
        let mut first = stage.spawn(Stdio::null());
        stage.until_subscribed().await;
        stage.until("everybody was swept", async || {
            stage.remembered(ada).await?.seen_whole_at
        }).await;
        first.kill().await.unwrap();
        stage.twin.faults().mishap("", Mishap::Lose, Times::Forever);
        stage.start().await;
        // What the dead one left on the queue must not be what finds the change.
        stage.until_idle().await;
        assert!(is_kept(&stage, SystemClock.now()).await, "who is killed gives nothing back");
        let rounds = stage.requests(Vendor::Graph, "GET /v1.0/users/delta").len();
        stage.twin.world().set_property(ada, "department", "Research".into());
        // What the dead one was granted is over, as if that time had passed.
        assert!(!is_kept(&stage, clock::after(SystemClock.now(), Duration::from_secs(3600))).await);
        stage.until_app_metadata(&account, "department", json!("Research")).await;
        assert!(stage.requests(Vendor::Graph, "GET /v1.0/users/delta").len() > rounds);
        assert_eq!(stage.twin.world().subscriptions().count(), 2);
        stage.until_idle().await;
        stage.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_one_keeps_the_schedule() {
    let Some(mut stage) = Stage::set(Backend::RabbitMq, Setup::unlimited()).await else { return };
    stage.policy(&format!("{SWEEPING}{}", attribute("app_metadata.department", "department")));
    stage.start_subscribed().await;
    let second = stage.start_beside(Roles::all()).await;
    let (ada, account) = stage.hire("Ada Lovelace");
    stage.twin.world().set_property(ada, "department", "Research".into());
    stage.until_app_metadata(&account, "department", json!("Research")).await;
    stage.until_swept_anew().await;
    assert_eq!(stage.twin.world().subscriptions().count(), 2);
    assert_eq!(stage.requests(Vendor::Graph, "POST /v1.0/subscriptions").len(), 2);
    // Whoever ends in order gives the schedule back, and the other one has it at its next turn.
    stage.twin.faults().mishap("", Mishap::Lose, Times::Forever);
    stage.stop().await;
    stage.twin.world().set_property(ada, "department", "Sales".into());
    stage.until_app_metadata(&account, "department", json!("Sales")).await;
    second.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_without_a_worker_leaves_the_work_to_the_process_that_has_one() {
    let Some(mut stage) = Stage::set(Backend::RabbitMq, Setup::unlimited()).await else { return };
    stage.start_as(only(Role::Ingest)).await;
    let worker = stage.start_beside(only(Role::Worker)).await;
    let (anna, account) = stage.at_risk("Anna Berg", "high");
    stage.alert(anna, "high").await;
    stage.until_case(anna, CaseState::Verified).await;
    assert!(stage.is_locked_out(&account));
    worker.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_hear_of_the_same_people_lock_once_and_tell_once() {
    let Some(mut stage) = Stage::set(Backend::RabbitMq, Setup::unlimited()).await else { return };
    let second = stage.start_two().await;
    let doors = [stage.sender(), stage.twin.sender(format!("http://{}", second.public_addr))];
    let people = ["Ada One", "Ben Two", "Cleo Three", "Dan Four", "Eva Five", "Finn Six"]
        .map(|name| stage.at_risk(name, "high"));
    let told = people.iter().flat_map(|(person, _)| doors.iter().map(move |door| (door, *person)));
    let answers = told.map(async |(door, person)| {
        let alert = door.signed_risk_alert(person, "high");
        let (alert, change) = tokio::join!(alert, door.user_changed(person, Change::Updated));
        [alert.unwrap().status, change.unwrap().status]
    });
    assert!(join_all(answers).await.into_iter().flatten().all(|status| status == 202));
    // One ends while both are at work; what it had in hand comes to the other.
    second.stop().await;
    for (person, account) in &people {
        stage.until_case(*person, CaseState::Verified).await;
        assert!(stage.is_locked_out(account));
    }
    stage.until_idle().await;
    for (person, _) in &people {
        assert_eq!(stage.cases_of(*person).await.len(), 1);
    }
    stage
        .until("all is told", async || {
            let owed = stage.store().due_notices("slack", Timestamp::MAX, 100).await.unwrap();
            owed.is_empty().then_some(())
        })
        .await;
    assert_eq!(stage.messages().len(), people.len());
    assert_eq!(stage.writes(), 2 * people.len() as u64);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_look_at_the_same_joiners_make_each_once_and_mail_each_once() {
    let Some(mut stage) = Stage::set(Backend::RabbitMq, Setup::unlimited()).await else { return };
    let staff = stage.twin.world().create_group("Staff");
    stage.twin.world().create_role("Engineer");
    stage.policy(&format!(
        "{SWEEPING}[provision]\nmethod = \"database\"\nconnection = \"Username-Password-Authentication\"\n\
         password_mail = true\n{}",
        role("Engineer", &[staff]),
    ));
    stage.be_reachable();
    let second = stage.start_two().await;
    stage.until_subscribed().await;
    stage.until_swept().await;
    // Notified of in the one lane, swept in the other, at the same time.
    stage.twin.deliveries().pause();
    let people: Vec<_> = {
        let mut world = stage.twin.world();
        let people: Vec<_> = (0..6).map(|n| world.hire(unprovisioned(&format!("Person N{n}")))).collect();
        people.iter().for_each(|person| world.add_member(staff, *person));
        people
    };
    let swept = stage.requests(Vendor::Graph, "GET /v1.0/users/delta").len();
    stage
        .until("a sweep comes", async || {
            (stage.requests(Vendor::Graph, "GET /v1.0/users/delta").len() > swept).then_some(())
        })
        .await;
    stage.twin.deliveries().resume();
    for person in &people {
        let account = stage.until_account(*person).await;
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_nothing_is_found(*person).await;
    }
    stage.until_swept_anew().await;
    second.stop().await;
    stage.until_told_and_done().await;
    {
        let world = stage.twin.world();
        for person in &people {
            let accounts = world.accounts_of(*person);
            assert_eq!(accounts.len(), 1);
            let mails = world.mails().iter().filter(|mail| mail.account == accounts[0]);
            assert_eq!(mails.filter(|mail| mail.kind == MailKind::PasswordChange).count(), 1);
        }
    }
    stage.end().await;
}
