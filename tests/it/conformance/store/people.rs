//! What a store promises about the people it remembers.

use std::collections::{BTreeMap, BTreeSet};

use lockstep::clock::Timestamp;
use lockstep::event::{ObjectId, Subject};
use lockstep::snapshot::sync::{Mail, OrganizationId, Proven, Remembered, RoleId};
use lockstep::store::{Owed, SavePerson, Store, Topic};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::task::JoinSet;

use super::{Bench, account, at, entry, group, morning, person, remembered, save_of, verify};

/// Everything that can be remembered.
fn whole(n: u128) -> Remembered {
    let role = |n: u8| RoleId(format!("rol_{n}"));
    let proven = Proven {
        roles: BTreeSet::from([role(1), role(2)]),
        organizations: BTreeMap::from([(OrganizationId("org_1".into()), BTreeSet::from([role(3)]))]),
    };
    Remembered {
        proven: BTreeMap::from([(account("waad|con|3b1f"), proven), (account("auth0|1"), Proven::default())]),
        password_mail: Mail::Owed,
        enrolment_mail: Mail::Sent,
        look_at: Some(at("2026-03-05T08:00:00Z")),
        missing_since: Some(at("2026-03-02T07:00:00Z")),
        seen_whole_at: Some(at("2026-03-02T07:59:59.999999999Z")),
        findings: BTreeSet::from(["the role \"rol_9\" is not managed \u{2713}".into()]),
        ..remembered(n, [1, 2])
    }
}

async fn page_through(store: &dyn Store, of: Option<ObjectId>, limit: u32) -> Vec<Subject> {
    let mut all: Vec<Subject> = Vec::new();
    loop {
        let after = all.last().copied();
        let page = match of {
            Some(group) => store.people_in(group, after, limit).await.unwrap(),
            None => store.people_known(after, limit).await.unwrap(),
        };
        assert!(page.len() <= limit as usize);
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

pub(super) async fn a_person_is_remembered_as_saved_also_after_a_restart(bench: &Bench) {
    let store = bench.open().await;
    assert_eq!(store.person(person(1)).await.unwrap(), None);
    assert_eq!(store.people_count().await.unwrap(), 0);
    store.save_person(save_of(whole(1))).await.unwrap();
    let plain = Remembered::new(person(2));
    store.save_person(save_of(plain.clone())).await.unwrap();
    drop(store);
    let store = bench.open().await;
    assert_eq!(store.person(person(1)).await.unwrap(), Some(whole(1)));
    assert_eq!(store.person(person(2)).await.unwrap(), Some(plain.clone()));
    assert_eq!(store.person(person(3)).await.unwrap(), None);
    store.save_person(save_of(Remembered { subject: person(1), ..plain.clone() })).await.unwrap();
    assert_eq!(store.person(person(1)).await.unwrap(), Some(Remembered { subject: person(1), ..plain }));
    assert_eq!(store.people_count().await.unwrap(), 2);
}

pub(super) async fn a_person_is_saved_with_records_debts_and_links(bench: &Bench) {
    let store = bench.open().await;
    let (old, kept, new) = (account("auth0|1"), account("auth0|2"), account("waad|c|3"));
    store.add_links(person(1), vec![old.clone(), kept.clone()]).await.unwrap();
    store.add_links(person(2), vec![old.clone()]).await.unwrap();
    let topic = Topic::Notice("finding/1".into());
    let save = SavePerson {
        person: whole(1),
        audit: vec![entry("person.roles"), entry("person.attributes")],
        owed: vec![Owed {
            topic: topic.clone(),
            channel: "slack".into(),
            version: 1,
            text: Some("one finding".into()),
            due_at: morning(),
        }],
        links: vec![new.clone(), kept.clone()],
        gone_links: vec![old.clone(), kept.clone()],
    };
    store.save_person(save).await.unwrap();
    assert_eq!(store.links(person(1)).await.unwrap(), [kept, new]);
    assert_eq!(store.links(person(2)).await.unwrap(), [old], "somebody else's link stays");
    assert_eq!(verify(&*store).await, Ok(2));
    let due = store.due_notices("slack", morning(), 10).await.unwrap();
    assert_eq!(due.iter().map(|notice| &notice.topic).collect::<Vec<_>>(), [&topic]);
    assert_eq!(store.person(person(1)).await.unwrap(), Some(whole(1)));
}

pub(super) async fn a_save_of_what_is_known_records_only_what_is_new(bench: &Bench) {
    let store = bench.open().await;
    store.save_person(save_of(whole(1))).await.unwrap();
    store.save_person(save_of(whole(1))).await.unwrap();
    assert_eq!(store.audit_head().await.unwrap(), 0);
    let told = SavePerson { audit: vec![entry("person.held")], ..save_of(whole(1)) };
    store.save_person(told).await.unwrap();
    assert_eq!(verify(&*store).await, Ok(1));
    assert_eq!(store.person(person(1)).await.unwrap(), Some(whole(1)));
    assert_eq!(store.people_in(group(1), None, 10).await.unwrap(), [person(1)]);
}

pub(super) async fn a_forgotten_person_is_on_record_once(bench: &Bench) {
    let store = bench.open().await;
    let link = account("auth0|1");
    store.save_person(SavePerson { links: vec![link.clone()], ..save_of(whole(1)) }).await.unwrap();
    store.save_person(save_of(whole(2))).await.unwrap();
    for _ in 0..2 {
        store.forget_person(person(1), vec![entry("person.forgotten")]).await.unwrap();
    }
    assert_eq!(store.person(person(1)).await.unwrap(), None);
    assert_eq!(store.people_in(group(1), None, 10).await.unwrap(), [person(2)]);
    assert_eq!(store.people_known(None, 10).await.unwrap(), [person(2)]);
    assert_eq!(store.people_due(Timestamp::MAX, 10).await.unwrap(), [person(2)]);
    assert_eq!(store.people_with_findings(None, 10).await.unwrap(), [whole(2)]);
    assert_eq!(store.people_count().await.unwrap(), 1);
    assert_eq!(store.links(person(1)).await.unwrap(), [link]);
    assert_eq!(verify(&*store).await, Ok(1), "nobody was forgotten the second time");
}

pub(super) async fn people_are_found_by_the_groups_they_are_in_now(bench: &Bench) {
    let store = bench.open().await;
    for known in [remembered(1, [1]), remembered(2, [1, 2]), remembered(3, [])] {
        store.save_person(save_of(known)).await.unwrap();
    }
    let people_in = async |n| store.people_in(group(n), None, 10).await.unwrap();
    assert_eq!(people_in(1).await, [person(1), person(2)]);
    assert_eq!(people_in(2).await, [person(2)]);
    assert_eq!(people_in(3).await, []);
    store.save_person(save_of(remembered(1, [2, 3]))).await.unwrap();
    assert_eq!(people_in(1).await, [person(2)]);
    assert_eq!(people_in(2).await, [person(1), person(2)]);
    assert_eq!(people_in(3).await, [person(1)]);
}

pub(super) async fn people_come_in_pages_of_their_own_order(bench: &Bench) {
    let store = bench.open().await;
    assert_eq!(store.people_known(None, 10).await.unwrap(), []);
    let mut order: Vec<Subject> = [0, 9, 10, 0xff, 0x100, u128::MAX].map(person).into();
    for (place, subject) in order.iter().enumerate().rev() {
        let groups = if place % 2 == 0 { BTreeSet::from([group(1)]) } else { BTreeSet::new() };
        let known = Remembered { groups, ..Remembered::new(*subject) };
        store.save_person(save_of(known)).await.unwrap();
    }
    order.sort_unstable();
    let members: Vec<_> = order.iter().copied().step_by(2).collect();
    for limit in [1, 2, 4, 100] {
        assert_eq!(page_through(&*store, None, limit).await, order);
        assert_eq!(page_through(&*store, Some(group(1)), limit).await, members);
    }
    assert_eq!(store.people_known(Some(person(11)), 1).await.unwrap(), [person(0xff)], "from between two");
    assert_eq!(store.people_known(None, 0).await.unwrap(), []);
}

pub(super) async fn people_who_are_due_come_oldest_first(bench: &Bench) {
    let store = bench.open().await;
    let due = |n, look_at| Remembered { look_at, ..remembered(n, []) };
    let early = at("2026-03-02T07:00:00Z");
    let late = at("2026-03-02T09:00:00Z");
    for known in [due(1, Some(morning())), due(2, Some(late)), due(3, None), due(4, Some(early))] {
        store.save_person(save_of(known)).await.unwrap();
    }
    let due_at = async |now, limit| store.people_due(now, limit).await.unwrap();
    assert_eq!(due_at(morning(), 10).await, [person(4), person(1)]);
    assert_eq!(due_at(morning(), 1).await, [person(4)]);
    assert_eq!(due_at(late, 10).await, [person(4), person(1), person(2)]);
    assert_eq!(due_at(at("2026-03-02T06:00:00Z"), 10).await, []);
    store.save_person(save_of(due(4, None))).await.unwrap();
    store.save_person(save_of(due(2, Some(early)))).await.unwrap();
    assert_eq!(due_at(morning(), 10).await, [person(2), person(1)]);
}

pub(super) async fn people_with_findings_are_told_whole(bench: &Bench) {
    let store = bench.open().await;
    for known in [whole(3), remembered(2, [1]), whole(1)] {
        store.save_person(save_of(known)).await.unwrap();
    }
    let found = async |after, limit| store.people_with_findings(after, limit).await.unwrap();
    assert_eq!(found(None, 10).await, [whole(1), whole(3)]);
    assert_eq!(found(None, 1).await, [whole(1)]);
    assert_eq!(found(Some(person(1)), 10).await, [whole(3)]);
    let mended = Remembered { findings: BTreeSet::new(), ..whole(1) };
    store.save_person(save_of(mended)).await.unwrap();
    assert_eq!(found(None, 10).await, [whole(3)]);
}

#[derive(Debug, Clone)]
enum Step {
    Save(Box<Remembered>),
    Forget(Subject),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let groups = prop::collection::btree_set(0..4u128, 0..4);
    let save = (0..5u128, groups, prop::option::of(0..4i64), any::<bool>());
    let save = save.prop_map(|(n, groups, hour, has_findings)| {
        Step::Save(Box::new(Remembered {
            groups: groups.into_iter().map(group).collect(),
            look_at: hour.map(|hour| Timestamp::from_second(hour * 3600).unwrap()),
            findings: has_findings.then(|| "not managed".to_owned()).into_iter().collect(),
            ..Remembered::new(person(n))
        }))
    });
    let forget = (0..5u128).prop_map(|n| Step::Forget(person(n)));
    prop::collection::vec(prop_oneof![4 => save, 1 => forget], 1..12)
}

/// Every question answered from a plain map.
async fn agrees(store: &dyn Store, known: &BTreeMap<Subject, Remembered>) -> Result<(), TestCaseError> {
    for n in 0..4 {
        let members: Vec<_> =
            known.values().filter(|known| known.groups.contains(&group(n))).map(|k| k.subject).collect();
        prop_assert_eq!(page_through(store, Some(group(n)), 2).await, members);
    }
    let subjects: Vec<_> = known.keys().copied().collect();
    prop_assert_eq!(page_through(store, None, 2).await, subjects);
    prop_assert_eq!(store.people_count().await.unwrap(), known.len() as u64);
    let now = Timestamp::from_second(2 * 3600).unwrap();
    let due =
        known.values().filter_map(|known| Some((known.look_at.filter(|at| *at <= now)?, known.subject)));
    let due: BTreeSet<_> = due.collect();
    let due: Vec<_> = due.into_iter().map(|(_, subject)| subject).collect();
    prop_assert_eq!(store.people_due(now, 100).await.unwrap(), due);
    let found: Vec<_> = known.values().filter(|known| !known.findings.is_empty()).cloned().collect();
    prop_assert_eq!(store.people_with_findings(None, 100).await.unwrap(), found);
    Ok(())
}

async fn walk(store: &dyn Store, steps: Vec<Step>) -> Result<(), TestCaseError> {
    for subject in store.people_known(None, 100).await.unwrap() {
        store.forget_person(subject, vec![]).await.unwrap();
    }
    let mut known = BTreeMap::new();
    for step in steps {
        match step {
            Step::Save(person) => {
                store.save_person(save_of((*person).clone())).await.unwrap();
                known.insert(person.subject, *person);
            }
            Step::Forget(subject) => {
                store.forget_person(subject, vec![]).await.unwrap();
                known.remove(&subject);
            }
        }
        agrees(store, &known).await?;
    }
    Ok(())
}

pub(super) async fn the_groups_turned_round_agree_after_any_saves(bench: &Bench) {
    let store = bench.open().await;
    tokio::task::block_in_place(|| {
        let config = Config { cases: 32, failure_persistence: None, ..Config::default() };
        let runtime = tokio::runtime::Handle::current();
        TestRunner::new(config).run(&steps(), |steps| runtime.block_on(walk(&*store, steps))).unwrap();
    });
}

pub(super) async fn saves_of_many_people_at_once_do_not_mix(bench: &Bench) {
    let store = bench.open().await;
    let mut saving = JoinSet::new();
    for n in 0..40 {
        let store = store.clone();
        saving.spawn(async move {
            for round in 0..5 {
                let audit = vec![entry("person.roles")];
                let save = SavePerson { audit, ..save_of(remembered(n, [round, n % 2 + 10])) };
                store.save_person(save).await.unwrap();
            }
        });
    }
    saving.join_all().await;
    assert_eq!(verify(&*store).await, Ok(200));
    assert_eq!(page_through(&*store, Some(group(3)), 7).await, []);
    assert_eq!(page_through(&*store, Some(group(4)), 7).await, (0..40).map(person).collect::<Vec<_>>());
    assert_eq!(page_through(&*store, Some(group(11)), 7).await.len(), 20);
}

pub(super) async fn a_hundred_thousand_people_are_paged_without_a_gap(bench: &Bench) {
    const PEOPLE: u128 = 100_000;
    const AT_ONCE: u128 = 250;
    let store = bench.open().await;
    let mut saving = JoinSet::new();
    for first in 0..AT_ONCE {
        let store = store.clone();
        saving.spawn(async move {
            for n in (first..PEOPLE).step_by(AT_ONCE as usize) {
                store.save_person(save_of(remembered(n, [n % 3]))).await.unwrap();
            }
        });
    }
    saving.join_all().await;
    assert_eq!(store.people_count().await.unwrap(), PEOPLE as u64);
    let everybody = page_through(&*store, None, 1000).await;
    assert!(everybody.into_iter().eq((0..PEOPLE).map(person)));
    let third = page_through(&*store, Some(group(1)), 1000).await;
    assert!(third.into_iter().eq((1..PEOPLE).step_by(3).map(person)));
}
