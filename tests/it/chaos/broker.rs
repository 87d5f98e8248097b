//! RabbitMQ killed and started again under the whole service, while people are reported at risk, hired and moved.
//!
//! Meanwhile the door says 503. What it said 202 to is worked on: nobody is told of twice here, each alert is sent until
//! it is accepted and never again, and no sweep comes that would find what was lost.

use std::time::Duration;

use futures_util::StreamExt;
use lockstep::case::CaseState;
use lockstep_twin::{AccountId, GroupId, Hire, Patience, PersonId, Sender, Setup, Twin};
use serde_json::json;

use super::{SETTLE_WITHIN, send_until_accepted};
use crate::harness::Stage;
use crate::stories::directory::{attribute, role, unprovisioned};

const KILLS: usize = 3;
/// People at risk, each reported once.
const AT_RISK: usize = 90;
const MOVERS: usize = 40;
const JOINERS: usize = 30;
/// Alerts under way at a time.
const SENDERS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_killed_under_the_whole_service_loses_nothing_that_was_accepted() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut chance = fastrand::Rng::with_seed(seed);
    let setup = Setup { patience: Patience::scaled(0.1), ..Setup::unlimited() };
    let Some(mut stage) = Stage::set_on_private_node(setup).await else { return };
    let cast = arrange(&stage);
    stage.start_subscribed().await;
    // The broker's own register of queues reaches the disk half a second after a queue is made; killed before that, it
    // leaves the queue without a leader for ever, which is not what this is about.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let alerts = tokio::spawn(report(stage.sender(), cast.at_risk.clone(), chance.fork()));
    let moves = tokio::spawn(move_about(stage.twin.clone(), cast.clone(), chance.fork()));
    for _ in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(chance.u64(200..2500))).await;
        stage.node().kill();
        until_refused(&stage).await;
        stage.node().restart();
    }
    tokio::time::timeout(SETTLE_WITHIN, alerts).await.expect("every alert is accepted in the end").unwrap();
    let joiners = moves.await.unwrap();
    until_settled(&stage, &cast, &joiners).await;
    stage.until_told_and_done().await;
    check(&stage, &cast, &joiners).await;
    stage.end().await;
}

/// Who is there when the curtain rises.
#[derive(Clone)]
struct Cast {
    staff: GroupId,
    at_risk: Vec<PersonId>,
    movers: Vec<(PersonId, AccountId)>,
}

fn arrange(stage: &Stage) -> Cast {
    let mut world = stage.twin.world();
    let staff = world.create_group("Staff");
    world.create_role("Engineer");
    stage.policy(&format!(
        "[contain.brake]\ncontainments = 100000\n[provision]\nmethod = \"scim\"\n{}{}",
        attribute("app_metadata.department", "department"),
        role("Engineer", &[staff]),
    ));
    let mut hire = |name: String| {
        let person = world.hire(Hire::named(&name));
        let account = world.accounts_of(person).remove(0);
        world.sign_in(&account).expect("nobody is locked yet");
        (person, account)
    };
    let at_risk: Vec<PersonId> = (0..AT_RISK).map(|n| hire(format!("Risky N{n}")).0).collect();
    let movers = (0..MOVERS).map(|n| hire(format!("Mover N{n}"))).collect();
    for person in &at_risk {
        world.raise_risk(*person, "high", "leakedCredentials");
    }
    Cast { staff, at_risk, movers }
}

async fn report(sender: Sender, people: Vec<PersonId>, mut chance: fastrand::Rng) {
    let pauses: Vec<_> = people.iter().map(|_| Duration::from_millis(chance.u64(0..1500))).collect();
    let each = people.into_iter().zip(pauses);
    futures_util::stream::iter(each)
        .for_each_concurrent(SENDERS, |(person, pause)| {
            let sender = &sender;
            async move {
                tokio::time::sleep(pause).await;
                send_until_accepted(sender, person).await;
            }
        })
        .await;
}

/// Joins and leaves the group, changes departments, hires; answers who was hired.
async fn move_about(twin: Twin, cast: Cast, mut chance: fastrand::Rng) -> Vec<PersonId> {
    let mut joiners = Vec::new();
    for round in 0..JOINERS * 4 {
        {
            let mut world = twin.world();
            let (mover, _) = cast.movers[chance.usize(..cast.movers.len())];
            match chance.u8(..3) {
                0 => world.add_member(cast.staff, mover),
                1 => world.remove_member(cast.staff, mover),
                _ => world.set_property(mover, "department", format!("Number {round}").into()),
            }
            if round % 4 == 0 {
                let joiner = world.hire(unprovisioned(&format!("Joiner N{round}")));
                world.add_member(cast.staff, joiner);
                joiners.push(joiner);
            }
        }
        tokio::time::sleep(Duration::from_millis(chance.u64(0..150))).await;
    }
    joiners
}

/// While nothing can be stored, nobody is told that it was.
async fn until_refused(stage: &Stage) {
    let (sender, nobody) = (stage.sender(), PersonId::nobody());
    stage
        .until("the door says 503", async || {
            let answer = sender.user_changed(nobody, lockstep_twin::send::Change::Updated).await.unwrap();
            assert!(matches!(answer.status, 202 | 503), "answered with {}", answer.status);
            (answer.status == 503).then_some(())
        })
        .await;
    let ready = reqwest::get(format!("{}/readyz", stage.admin_url())).await.unwrap();
    assert_eq!(ready.status(), 503);
}

async fn until_settled(stage: &Stage, cast: &Cast, joiners: &[PersonId]) {
    let deadline = tokio::time::Instant::now() + SETTLE_WITHIN;
    loop {
        let mut open = Vec::new();
        for person in &cast.at_risk {
            let cases = stage.cases_of(*person).await;
            if cases.first().is_none_or(|case| case.state != CaseState::Verified) {
                open.push(format!("{person} at risk"));
            }
        }
        {
            let world = stage.twin.world();
            let moved =
                cast.movers.iter().filter(|(person, account)| !is_in_step(&world, cast, *person, account));
            open.extend(moved.map(|(person, _)| format!("{person} moved")));
            let hired = joiners.iter().filter(|person| {
                let accounts = world.accounts_of(**person);
                !accounts.first().is_some_and(|account| is_in_step(&world, cast, **person, account))
            });
            open.extend(hired.map(|person| format!("{person} hired")));
        }
        if open.is_empty() {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "not settled: {open:#?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn is_in_step(world: &lockstep_twin::World, cast: &Cast, person: PersonId, account: &AccountId) -> bool {
    let is_staff = world.members(cast.staff).any(|member| member == person.into());
    let department = world.person(person).text("department").map_or(json!(null), |text| json!(text));
    world.role_names_of(account).contains("Engineer") == is_staff
        && world.account(account).app_metadata.get("department").cloned().unwrap_or_default() == department
}

async fn check(stage: &Stage, cast: &Cast, joiners: &[PersonId]) {
    for person in &cast.at_risk {
        assert_eq!(stage.cases_of(*person).await.len(), 1, "{person}");
        let accounts = stage.twin.world().accounts_of(*person);
        for account in accounts {
            assert!(stage.is_locked_out(&account), "{account} is not locked out");
        }
    }
    let world = stage.twin.world();
    for person in joiners {
        assert_eq!(world.accounts_of(*person).len(), 1, "{person}");
    }
    for (_, account) in &cast.movers {
        assert!(!world.account(account).blocked, "{account} was never at risk");
    }
}
