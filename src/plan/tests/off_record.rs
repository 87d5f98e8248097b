//! A former life has locked somebody and could not write that down: the event comes again, and the block is there.

use std::time::Duration;

use super::release::{released, releases};
use super::scene::{Scene, case_of_event, person};
use crate::case::{CaseState, Reason, Restraint};
use crate::event::RiskLevel;

/// Locked for the first event, and no case.
fn locked(scene: Scene) -> Scene {
    scene.account("waad|1").blocked_by_case("waad|1", case_of_event(1))
}

#[test]
fn whose_risk_is_dismissed_meanwhile_is_released_by_the_case_that_locked() {
    let again = locked(person("anna").alert(RiskLevel::High)).later(Duration::from_secs(60)).dismissed();
    let found = again.plan().case.expect("the case that locked");
    assert_eq!((found.id, found.state), (case_of_event(1), CaseState::Requested));
    let next = again.applied();
    assert!(releases(&next));
    assert_eq!(released(next).id, case_of_event(1));
}

#[test]
fn who_is_enabled_again_meanwhile_is_released_by_the_case_that_locked() {
    for told in [Scene::told_changed, Scene::told_deleted] {
        let again = locked(told(person("anna")));
        let found = again.plan().case.expect("the case that locked");
        assert_eq!((found.id, found.reason), (case_of_event(1), Reason::Disabled));
        assert_eq!(released(again.applied()).id, case_of_event(1));
    }
}

#[test]
fn the_event_that_locked_names_the_case() {
    let again = locked(person("anna").alert(RiskLevel::High).operator_contains());
    assert_eq!(again.plan().case.expect("a case").id, case_of_event(1));
}

#[test]
fn the_brake_does_not_call_a_block_that_stands_a_mere_end_of_sessions() {
    let braked = person("anna").account("waad|1").alert(RiskLevel::High).recent_containments(1000);
    assert_eq!(braked.plan().case.expect("a case").restraint, Some(Restraint::ContainBrake));
    let again = braked.blocked_by_case("waad|1", case_of_event(1));
    assert_eq!(again.plan().case.expect("a case").restraint, None);
}

#[test]
fn the_block_of_another_event_calls_for_nothing() {
    let other = person("anna").account("waad|1").blocked_by_case("waad|1", case_of_event(7));
    assert_eq!(other.clone().told_changed().plan().case, None);
    assert_eq!(other.alert(RiskLevel::High).later(Duration::from_secs(60)).dismissed().plan().case, None);
}

#[test]
fn an_open_case_is_no_such_case() {
    let verified = person("anna").account("waad|1").alert(RiskLevel::High).verified();
    let dismissed = verified.later(Duration::from_secs(60)).dismissed();
    assert!(releases(&dismissed), "the alert that opened it holds nothing up");
}
