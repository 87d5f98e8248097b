//! Leavers: kept for the grace, deleted after it, restored.

use uuid::Uuid;

use super::scene::{account, adele, at};
use crate::case::CaseId;
use crate::event::EventId;
use crate::plan::sync::Next;
use crate::plan::sync::check::check;
use crate::snapshot::sync::CaseAbout::{DeletionVerified, Other};
use crate::snapshot::{Blocked, Directory, Stamp};

const DELETES: &str = "[leavers]\ndelete = \"after-grace\"\ngrace_days = 10\n";
const PURGES: &str = "[leavers]\ndelete = \"after-grace-or-purge\"\ngrace_days = 10\n";

fn gone(scene: super::scene::Scene) -> super::scene::Scene {
    let mut scene = scene;
    let Directory::Present(person) = scene.snapshot.directory else { panic!() };
    scene.snapshot.directory = Directory::SoftDeleted(person);
    scene
}

#[test]
fn a_deleted_person_is_kept_for_the_grace_and_looked_at_when_it_is_over() {
    let mut scene = gone(adele().policy(DELETES)).case(DeletionVerified, "2026-03-01T08:00:00Z");
    let plan = scene.plan();
    assert!(plan.actions.is_empty());
    assert_eq!(plan.remembered.unwrap().look_at, Some(at("2026-03-11T08:00:00Z")));
    scene.now = at("2026-03-11T08:00:00Z");
    insta::assert_snapshot!(scene.printed(), @"Delete waad|adele (deleted in Entra, the grace is over)");
    let over = scene.applied();
    assert_eq!(over.plan().next, Next::CloseCase);
    assert_eq!(over.plan().remembered, None);
}

#[test]
fn a_purge_ends_the_grace_only_where_the_policy_says_so() {
    let mut scene = gone(adele().policy(DELETES)).case(DeletionVerified, "2026-03-01T08:00:00Z");
    scene.snapshot.directory = Directory::Missing;
    assert!(scene.plan().actions.is_empty());
    let mut scene = scene.policy(PURGES);
    scene.snapshot.remembered = scene.plan().remembered;
    scene.now = at("2026-03-02T08:10:01Z");
    insta::assert_snapshot!(scene.printed(), @"Delete waad|adele (purged in Entra)");
}

#[test]
fn a_purge_is_believed_when_it_is_seen_again_after_a_while() {
    let mut scene = gone(adele().policy(PURGES)).case(DeletionVerified, "2026-03-02T08:00:00Z");
    let gone = std::mem::replace(&mut scene.snapshot.directory, Directory::Missing);
    let first = scene.plan();
    assert!(first.actions.is_empty(), "one pair of answers is no purge");
    let asked_again = first.remembered.as_ref().and_then(|known| known.look_at);
    assert_eq!(asked_again, Some(at("2026-03-02T08:10:01Z")));
    scene.snapshot.remembered = first.remembered;
    scene.now = at("2026-03-02T08:10:00Z");
    assert!(scene.plan().actions.is_empty());
    // Found among the deleted in between: what was missing before counts no more.
    let mut found = scene.clone();
    found.snapshot.directory = gone;
    found.snapshot.remembered = found.plan().remembered;
    found.snapshot.directory = Directory::Missing;
    found.now = at("2026-03-02T08:10:01Z");
    assert!(found.plan().actions.is_empty());
    scene.now = found.now;
    assert_eq!(scene.plan().actions.len(), 1);
    let mut hasty = scene.clone();
    hasty.snapshot.remembered = None;
    let why = check(&scene.plan(), &hasty.snapshot, &hasty.policy, hasty.now).unwrap_err().to_string();
    assert!(why.contains("deletes within the grace"), "{why}");
}

#[test]
fn whoever_is_released_while_deleted_waits_for_no_grace() {
    let mut scene = gone(adele().policy(DELETES)).case(DeletionVerified, "2026-03-01T08:00:00Z");
    scene.snapshot.remembered = scene.plan().remembered;
    scene.snapshot.case = None;
    assert_eq!(scene.plan().remembered.unwrap().look_at, None);
}

#[test]
fn nothing_is_deleted_that_was_not_locked_first() {
    let mut scene = gone(adele().policy(PURGES));
    scene.snapshot.directory = Directory::Missing;
    assert!(scene.plan().actions.is_empty());
    let scene = scene.case(Other, "2020-01-01T00:00:00Z");
    assert!(scene.plan().actions.is_empty());
}

#[test]
fn an_account_that_the_case_has_not_blocked_is_kept_and_shown() {
    let locked = gone(adele().policy(DELETES)).case(DeletionVerified, "2020-01-01T00:00:00Z");
    let (id, other) = (account("waad|adele"), CaseId::opened_by(EventId(Uuid::from_u128(6))));
    for (blocked, stamp) in [
        (Blocked::No, None),
        (Blocked::No, locked.snapshot.accounts[&id].stamp.clone()),
        (Blocked::Yes, None),
        (Blocked::Yes, Some(Stamp { case: other })),
    ] {
        let mut scene = locked.clone();
        let holding = scene.snapshot.accounts.get_mut(&id).unwrap();
        (holding.blocked, holding.stamp) = (blocked, stamp);
        let plan = scene.plan();
        assert_eq!((plan.actions.len(), plan.next), (0, Next::Settled), "the case stays open");
        assert_eq!(plan.remembered.unwrap().findings.len(), 1);
        let why = check(&locked.plan(), &scene.snapshot, &scene.policy, scene.now).unwrap_err().to_string();
        assert!(why.contains("has not blocked"), "{why}");
    }
    let mut two = locked;
    two.holding("auth0|late");
    assert_eq!(two.plan().actions.len(), 1, "what is locked goes");
    assert_eq!(two.applied().plan().next, Next::Settled);
}

#[test]
fn the_default_keeps_leavers_for_ever() {
    let scene = gone(adele()).case(DeletionVerified, "2020-01-01T00:00:00Z");
    assert!(scene.plan().actions.is_empty());
}

#[test]
fn a_restored_person_is_kept_in_step_once_the_case_is_released() {
    let scene = adele().case(DeletionVerified, "2026-03-01T08:00:00Z");
    assert!(scene.printed().contains("kept in step again after its release"));
}

#[test]
fn missing_is_not_gone_and_asked_again_for_a_while() {
    let mut scene = adele().settled();
    scene.snapshot.directory = Directory::Missing;
    let early = scene.plan();
    assert!(early.actions.is_empty());
    assert!(matches!(early.next, Next::Again(_)));
    scene.now = at("2026-03-02T08:03:00Z");
    let late = scene.plan();
    assert_eq!((late.actions.len(), late.next), (0, Next::Settled));
    let (known, before) = (late.remembered.unwrap(), scene.snapshot.remembered.clone().unwrap());
    assert_eq!(known.proven, before.proven, "what is known of a person stays known");
}

#[test]
fn an_account_whose_person_is_missing_is_shown_while_it_is_open() {
    let mut scene = adele().settled();
    let before = scene.snapshot.remembered.clone();
    scene.snapshot.directory = Directory::Missing;
    scene.snapshot.remembered = scene.plan().remembered;
    let shown = scene.snapshot.remembered.clone().unwrap().findings;
    let [finding] = &Vec::from_iter(shown)[..] else { panic!("one account, one finding") };
    assert_eq!(finding, "waad|adele stays open: Entra knows its person no more, and told of no deletion");
    let mut locked = scene.clone();
    locked.snapshot.accounts.get_mut(&account("waad|adele")).unwrap().blocked = Blocked::Yes;
    assert_eq!(locked.plan().remembered, before, "what is locked needs nobody");
    scene.snapshot.directory = adele().snapshot.directory;
    assert_eq!(scene.plan().remembered, before, "back again");
}
