//! A hundred joiners arrive by Graph's notifications while the process is killed again and again.
//!
//! Each ends with one account, exactly the roles that the policy gives, and one mail. The one thing that may happen
//! twice is the mail that had left when the process was killed before it could write that down: between two mails to
//! one person there must be a kill, and no life may have recorded the first.

use std::collections::BTreeSet;
use std::time::Duration;

use lockstep::clock::{Clock, SystemClock, Timestamp};
use lockstep::snapshot::sync::Mail;
use lockstep_twin::{GroupId, Latency, MailKind, Patience, PersonId, Setup, Twin};

use super::{SETTLE_WITHIN, start};
use crate::harness::{Backend, Stage};
use crate::stories::directory::{role, unprovisioned};

const PEOPLE: usize = 100;
const KILLS: usize = 8;
/// Groups, and the role that each of them gives.
const ROLES: [&str; 3] = ["Engineer", "Reader", "Operator"];

#[tokio::test(flavor = "multi_thread")]
async fn joiners_survive_kill_nine_on_the_embedded_queue() {
    survive(Backend::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn joiners_survive_kill_nine_on_rabbitmq() {
    survive(Backend::RabbitMq).await;
}

async fn survive(backend: Backend) {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut chance = fastrand::Rng::with_seed(seed);
    // Graph comes again after a second, not after ten; what is on its way to Auth0 is long enough to be killed.
    let latency = Latency { auth0: Duration::from_millis(20), ..Latency::default() };
    let setup = Setup { patience: Patience::scaled(0.1), latency, ..Setup::unlimited() };
    let Some(mut stage) = Stage::set(backend, setup).await else { return };
    let groups = arrange(&stage);
    stage.start_subscribed().await;
    stage.stop().await;
    let mut program = start(&stage);
    let arriving = tokio::spawn(arrive(stage.twin.clone(), groups.clone(), chance.fork()));
    let mut killed = Vec::new();
    for _ in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(chance.u64(50..1500))).await;
        program.kill().await.unwrap();
        killed.push(SystemClock.now());
        program = start(&stage);
    }
    let people = arriving.await.unwrap();
    program.kill().await.unwrap();
    killed.push(SystemClock.now());
    stage.start().await;
    until_settled(&stage, &groups, &people).await;
    stage.until_told_and_done().await;
    check(&stage, &groups, &people, &killed).await;
    stage.end().await;
}

/// The policy, and the groups that it names.
fn arrange(stage: &Stage) -> Vec<GroupId> {
    let mut policy =
        "[provision]\nmethod = \"database\"\nconnection = \"Username-Password-Authentication\"\n\
                      password_mail = true\n"
            .to_owned();
    let mut world = stage.twin.world();
    let groups: Vec<GroupId> = ROLES.iter().map(|name| world.create_group(name)).collect();
    for (name, group) in ROLES.iter().zip(&groups) {
        world.create_role(name);
        policy.push_str(&role(name, &[*group]));
    }
    drop(world);
    stage.policy(&policy);
    groups
}

/// Hires everybody, a few at a time, and moves some of them about.
async fn arrive(twin: Twin, groups: Vec<GroupId>, mut chance: fastrand::Rng) -> Vec<PersonId> {
    let mut people = Vec::new();
    while people.len() < PEOPLE {
        {
            let mut world = twin.world();
            let person = world.hire(unprovisioned(&format!("Person N{}", people.len())));
            people.push(person);
            for group in &groups {
                if chance.bool() {
                    world.add_member(*group, person);
                }
            }
            let mover = people[chance.usize(..people.len())];
            let group = groups[chance.usize(..groups.len())];
            match chance.bool() {
                true => world.add_member(group, mover),
                false => world.remove_member(group, mover),
            }
        }
        tokio::time::sleep(Duration::from_millis(chance.u64(0..120))).await;
    }
    people
}

/// The roles that the policy gives to a person by the groups as they are.
fn due(world: &lockstep_twin::World, groups: &[GroupId], person: PersonId) -> BTreeSet<String> {
    let named = ROLES.iter().zip(groups);
    named
        .filter(|(_, group)| world.members(**group).any(|member| member == person.into()))
        .map(|(name, _)| (*name).to_owned())
        .collect()
}

/// A process that was killed over a person has the right to that one for a minute: nobody else makes or mails meanwhile.
async fn until_settled(stage: &Stage, groups: &[GroupId], people: &[PersonId]) {
    let deadline = tokio::time::Instant::now() + SETTLE_WITHIN;
    loop {
        let mut open = Vec::new();
        for person in people {
            if !is_settled(stage, groups, *person).await {
                open.push(*person);
            }
        }
        if open.is_empty() {
            return;
        }
        if tokio::time::Instant::now() > deadline {
            let first = stage.remembered(open[0]).await;
            panic!(
                "{} of {} are not settled: {open:?}; of the first is known: {first:#?}",
                open.len(),
                people.len()
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn is_settled(stage: &Stage, groups: &[GroupId], person: PersonId) -> bool {
    let known = stage.remembered(person).await;
    let told = known.is_some_and(|known| known.password_mail == Mail::Sent && known.findings.is_empty());
    let world = stage.twin.world();
    let accounts = world.accounts_of(person);
    told && accounts
        .first()
        .is_some_and(|account| world.role_names_of(account) == due(&world, groups, person))
}

async fn check(stage: &Stage, groups: &[GroupId], people: &[PersonId], killed: &[Timestamp]) {
    let recorded = stage.audited("action.mail_password_link").await;
    let world = stage.twin.world();
    let mut doubled = 0;
    for person in people {
        let accounts = world.accounts_of(*person);
        assert_eq!(accounts.len(), 1, "{person} has {accounts:?}");
        assert_eq!(world.role_names_of(&accounts[0]), due(&world, groups, *person), "the roles of {person}");
        let mails = world.mails().iter().filter(|mail| mail.account == accounts[0]);
        let sent: Vec<Timestamp> =
            mails.filter(|mail| mail.kind == MailKind::PasswordChange).map(|mail| mail.sent).collect();
        assert!(!sent.is_empty(), "{person} got no mail");
        for pair in sent.windows(2) {
            let excused = killed.iter().any(|at| pair[0] <= *at && *at <= pair[1]);
            assert!(excused, "{person} got mails at {sent:?}; killed at {killed:?}");
        }
        doubled += sent.len() - 1;
        let subject = stage.subject(*person);
        let known = recorded
            .iter()
            .filter(|entry| entry.subject == Some(subject) && entry.outcome.as_deref() == Some("accepted"));
        let known: Vec<_> = known.map(|entry| (entry.at, entry.outcome.clone())).collect();
        assert_eq!(known.len(), 1, "{person}: one mail is on record, the last one: {known:#?}");
    }
    eprintln!("{doubled} mails had left when the process was killed, and were sent again");
}
