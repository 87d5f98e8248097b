//! The newest word decides: histories without faults in which every word is worked on before the next is said.
//!
//! What calls for containment contains, whatever went before; what gives back gives everything back; an alert that comes
//! again changes nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::histories::config;
use super::scene::{evidence, person};
use super::work::Worker;
use super::world::{BlockedBy, Listing, Tenant, World};
use crate::case::{Cause, Means, Reason};
use crate::event::{EventKind, RiskLevel, RiskState, Source};
use crate::snapshot::{Directory, Enabled, Risk, RiskView};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// Told by an alert and shown by Entra.
    AtRisk,
    Dismissed,
    Disabled,
    Enabled,
    SoftDeleted,
    OperatorContains,
    OperatorReleases,
    /// An alert of earlier is delivered again.
    AlertAgain(usize),
}

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        3 => Just(Word::AtRisk),
        2 => Just(Word::Dismissed),
        1 => Just(Word::Disabled),
        2 => Just(Word::Enabled),
        1 => Just(Word::SoftDeleted),
        1 => Just(Word::OperatorContains),
        2 => Just(Word::OperatorReleases),
        2 => (0..10_usize).prop_map(Word::AlertAgain),
    ]
}

fn say(word: Word, world: &mut World, worker: &mut Worker) {
    let directory = |scene: super::scene::Scene| scene.snapshot.directory;
    match word {
        Word::AtRisk => entra_says(world, worker, RiskLevel::High, RiskState::AtRisk),
        Word::Dismissed => entra_says(world, worker, RiskLevel::None, RiskState::Dismissed),
        Word::Disabled => changed(world, worker, directory(person("anna").disabled())),
        Word::Enabled => changed(world, worker, directory(person("anna"))),
        Word::SoftDeleted => changed(world, worker, directory(person("anna").soft_deleted())),
        Word::OperatorContains => {
            let (by, reason) = ("ops@acme".into(), "phished".into());
            worker.tell(world, Source::Operator, EventKind::ContainRequested { by, reason });
        }
        Word::OperatorReleases => {
            let Some(case) = worker.open_case().map(|case| case.id) else { return };
            let (by, reason) = ("ops@acme".into(), "false alarm".into());
            worker.tell(world, Source::Operator, EventKind::ReleaseRequested { by, case, reason });
        }
        Word::AlertAgain(index) => {
            let is_alert = |kind: &EventKind| matches!(kind, EventKind::RiskReported(_));
            let alerts = worker.told.iter().filter(|event| is_alert(&event.kind)).cloned();
            worker.waiting.extend(alerts.skip(index).take(1));
        }
    }
}

fn entra_says(world: &mut World, worker: &mut Worker, level: RiskLevel, state: RiskState) {
    world.scene.snapshot.risk = RiskView::Known(Risk { level, state, updated_at: Some(world.now) });
    worker.tell(world, Source::Risk, EventKind::RiskReported(evidence(level, state, world.now)));
}

fn changed(world: &mut World, worker: &mut Worker, directory: Directory) {
    world.scene.snapshot.directory = directory;
    worker.tell(world, Source::Graph, EventKind::Escalated);
}

fn assert_contained(world: &World, worker: &Worker) {
    let case = worker.open_case().expect("an open case");
    for (id, account) in &world.accounts {
        assert_eq!((account.blocked_by, account.stamp), (BlockedBy::Us, Some(case.id)), "{id}");
        assert_eq!(account.left(Means::RevokeAccess), 0, "{id}");
    }
}

fn assert_given_back(world: &World, worker: &Worker) {
    assert_eq!(worker.open_case(), None);
    for (id, account) in &world.accounts {
        assert_eq!((account.blocked_by, account.stamp), (BlockedBy::Nobody, None), "{id}");
    }
}

/// Entra finds the person fine, and no operator wants the containment.
fn nothing_holds(world: &World, worker: &Worker) -> bool {
    let enabled = matches!(&world.scene.snapshot.directory, Directory::Present(person) if person.enabled == Enabled::Yes);
    let safe = match &world.scene.snapshot.risk {
        RiskView::Known(risk) => risk.state.is_cleared(),
        RiskView::NotListed | RiskView::Unread(_) => true,
    };
    let by_operator = |cause: &Cause| matches!(cause.reason, Reason::Operator { .. });
    let by_operator = worker.open_case().is_some_and(|case| case.causes.iter().any(by_operator));
    enabled && safe && !by_operator
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_newest_word_decides(words in prop::collection::vec(word(), 1..25), sessions in 0..3_u32) {
        let deletes_within = Duration::from_millis(700);
        let tenant = Tenant { allows: Means::RevokeAccess, listing: Listing::InPlan, refuses: BTreeSet::new(), deletes_within };
        let (mut world, mut worker) = (World::new(tenant, &["waad|1", "auth0|2"]), Worker::new());
        let ids: Vec<_> = world.accounts.keys().cloned().collect();
        for word in words {
            (0..sessions).for_each(|_| ids.iter().for_each(|id| world.signs_in(id)));
            world.wait(Duration::from_secs(1));
            let held = worker.open_case().map(|case| case.id);
            say(word, &mut world, &mut worker);
            worker.drain(&mut world);
            match word {
                Word::AtRisk | Word::Disabled | Word::SoftDeleted | Word::OperatorContains => {
                    assert_contained(&world, &worker);
                }
                Word::OperatorReleases => assert_given_back(&world, &worker),
                Word::Dismissed | Word::Enabled if nothing_holds(&world, &worker) => {
                    assert_given_back(&world, &worker);
                }
                Word::AlertAgain(_) if nothing_holds(&world, &worker) => {
                    prop_assert_eq!(worker.open_case().map(|case| case.id), held);
                }
                Word::Dismissed | Word::Enabled | Word::AlertAgain(_) => {}
            }
        }
    }
}
