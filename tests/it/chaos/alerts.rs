//! The real program, killed with SIGKILL at random moments while a thousand alerts arrive. The alerts come in as many parts
//! as there are kills, and none falls before lockouts are under way.
//!
//! The invariant is read from the twin, not from Lockstep: every person ends locked with nothing left to use, and every
//! case has exactly one message. What was answered 202 before a kill must be among them; what was not, is sent again by
//! the sender, as a SIEM does.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use lockstep::case::CaseState;
use lockstep::store::WhichCases;
use lockstep_twin::{Hire, Latency, PersonId, Setup, Vendor};

use super::{SETTLE_WITHIN, send_until_accepted, start};
use crate::harness::{Backend, Stage};

const PEOPLE: usize = 250;
/// Alerts for each person: duplicates are what sources send.
const ALERTS_EACH: usize = 4;
const KILLS: usize = 8;
/// Long enough for a lockout to be under way when it is looked for.
const AUTH0_TAKES: Duration = Duration::from_millis(20);
/// Alerts under way at a time.
const SENDERS: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_alerts_survive_kill_nine_on_the_embedded_queue() {
    survive(Backend::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_alerts_survive_kill_nine_on_rabbitmq() {
    survive(Backend::RabbitMq).await;
}

async fn survive(backend: Backend) {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut chance = fastrand::Rng::with_seed(seed);
    let latency = Latency { auth0: AUTH0_TAKES, ..Latency::default() };
    let setup = Setup { latency, ..Setup::unlimited() };
    let Some(mut stage) = Stage::set(backend, setup).await else { return };
    stage.policy("[contain.brake]\ncontainments = 100000\n");
    let ports = (free_port(&mut chance), free_port(&mut chance));
    stage.set_env("LOCKSTEP_LISTEN", &format!("127.0.0.1:{}", ports.0));
    stage.set_env("LOCKSTEP_ADMIN_LISTEN", &format!("127.0.0.1:{}", ports.1));
    stage.set_env("RUST_LOG", "error");
    let people = populate(&stage);
    let mut program = start(&stage);
    let sender = stage.twin.sender(format!("http://127.0.0.1:{}", ports.0));
    let (mut sending, mut struck) = (tokio::task::JoinSet::new(), 0);
    for part in people.chunks(PEOPLE.div_ceil(KILLS)) {
        let alerts: Vec<PersonId> = (0..ALERTS_EACH).flat_map(|_| part.to_vec()).collect();
        let sender = sender.clone();
        sending.spawn(futures_util::stream::iter(alerts).for_each_concurrent(SENDERS, move |person| {
            let sender = sender.clone();
            async move { send_until_accepted(&sender, person).await }
        }));
        until_under_way(&stage).await;
        tokio::time::sleep(Duration::from_millis(chance.u64(0..50))).await;
        program.kill().await.unwrap();
        struck += usize::from(under_way(&stage).await > 0);
        program = start(&stage);
    }
    assert!(struck >= KILLS / 2, "only {struck} kills struck a lockout that was under way");
    let accepted = tokio::time::timeout(SETTLE_WITHIN, sending.join_all());
    accepted.await.expect("every alert is accepted in the end");
    until_settled(&stage, &people).await;
    program.kill().await.unwrap();
    check(&stage, &people).await;
}

fn populate(stage: &Stage) -> Vec<PersonId> {
    let mut world = stage.twin.world();
    (0..PEOPLE)
        .map(|number| {
            let person = world.hire(Hire::named(&format!("Person {number}")));
            world.add_database_account(person);
            for account in world.accounts_of(person) {
                world.sign_in(&account).expect("nobody is locked yet");
            }
            world.raise_risk(person, "high", "leakedCredentials");
            person
        })
        .collect()
}

/// Cases on record that are not proven yet.
async fn under_way(stage: &Stage) -> usize {
    let open = stage.store().cases(WhichCases::Open, 10_000).await.unwrap();
    open.iter().filter(|case| case.state != CaseState::Verified).count()
}

async fn until_under_way(stage: &Stage) {
    let deadline = tokio::time::Instant::now() + SETTLE_WITHIN;
    while under_way(stage).await == 0 {
        assert!(tokio::time::Instant::now() < deadline, "no lockout is under way");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn until_settled(stage: &Stage, people: &[PersonId]) {
    let channel = stage.twin.setup().slack_channel.clone();
    let deadline = tokio::time::Instant::now() + SETTLE_WITHIN;
    loop {
        let cases = stage.store().cases(WhichCases::All, 10_000).await.unwrap();
        let verified = cases.iter().filter(|case| case.state == CaseState::Verified).count();
        let messages = stage.twin.world().slack_messages(&channel);
        let told = messages.iter().filter(|message| message.text().contains("verified in")).count();
        if verified == people.len() && told >= people.len() {
            return;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{verified} of {} verified, {told} told, {} cases, {} messages",
            people.len(),
            cases.len(),
            messages.len()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn check(stage: &Stage, people: &[PersonId]) {
    {
        let world = stage.twin.world();
        for account in people.iter().flat_map(|person| world.accounts_of(*person)) {
            assert!(world.account(&account).blocked, "{account} is not blocked");
            assert!(world.sessions(&account).is_empty(), "{account} has sessions");
            assert!(world.refresh_tokens(&account).is_empty(), "{account} has refresh tokens");
        }
    }
    let mut writes: BTreeMap<String, usize> = BTreeMap::new();
    for entry in stage.twin.journal().requests() {
        let of_account = entry.path.strip_prefix("/api/v2/users/").filter(|_| entry.is_write());
        if let (Vendor::Auth0, Some(path)) = (entry.vendor, of_account) {
            *writes.entry(path.split('/').next().unwrap_or(path).to_owned()).or_default() += 1;
        }
    }
    assert_eq!(writes.len(), 2 * people.len(), "the accounts that were written to");
    let most = writes.values().max().copied();
    assert!(most <= Some(2 + KILLS), "more than a repetition for each kill: {most:?}");
    let cases = stage.store().cases(WhichCases::All, 10_000).await.unwrap();
    assert_eq!(cases.len(), people.len(), "one case for each person");
    let messages = stage.twin.world().slack_messages(&stage.twin.setup().slack_channel);
    let mut by_topic: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in &messages {
        by_topic.entry(topic(message)).or_default().push(message.ts.clone());
    }
    let doubled: Vec<_> = by_topic.iter().filter(|(_, posted_at)| posted_at.len() > 1).collect();
    assert!(doubled.is_empty(), "cases with two messages, and when they were posted: {doubled:#?}");
    assert_eq!(by_topic.len(), people.len(), "every case has its message");
    assert!(stage.dead_letters().await.is_empty());
    assert_eq!(stage.twin.journal().complaints(), Vec::new());
    stage.verify_audit().await;
}

/// The case that a message is about.
fn topic(message: &lockstep_twin::Message) -> String {
    let metadata = message.versions[0].metadata.as_ref().expect("our messages carry metadata");
    metadata["event_payload"]["topic"].as_str().expect("and name their topic").to_owned()
}

/// Below the range that port 0 is served from: while the program is dead, nobody else's listener gets its port.
fn free_port(chance: &mut fastrand::Rng) -> u16 {
    std::iter::repeat_with(|| chance.u16(20_000..30_000))
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("an endless iterator ends only by finding")
}
