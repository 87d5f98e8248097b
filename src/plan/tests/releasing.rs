//! From deciding to release to having released, and what an alert is worth afterwards: the release answers what was
//! known when it was asked for; anything newer turns it round.

use std::time::Duration;

use insta::assert_snapshot;

use super::release::{contained, released, releases};
use super::scene::{at, case_of_event, evidence, id};
use crate::action::Action;
use crate::case::CaseState;
use crate::event::{EventKind, RiskLevel, RiskState, Source};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_release_waits_until_auth0_is_read_in_full() {
    let asked = contained().operator_releases(case_of_event(1));
    assert_snapshot!(asked.clone().linked_only().print(), @"
    releasing, contain: released by ops@acme: false alarm
      auth0|2 blocked by us, ended by revoke-access
      waad|1 blocked by us, ended by revoke-access
      open: release waits, Auth0 could not be read: Auth0 answered 503 to the search
    next: again in 200ms
    ");
    assert_snapshot!(asked.auth0_unread().print(), @"
    releasing, contain: released by ops@acme: false alarm
      auth0|2 blocked by us, ended by revoke-access
      waad|1 blocked by us, ended by revoke-access
      open: release waits, Auth0 could not be read: Auth0 answered 503
    next: again in 200ms
    ");
}

#[test]
fn a_release_that_waited_for_auth0_leaves_nothing_open() {
    let waited = contained().operator_releases(case_of_event(1)).linked_only().saved();
    let released = waited.auth0_read().applied().saved();
    assert_eq!(released.snapshot.released[0].open, Vec::<String>::new());
}

#[test]
fn a_release_that_was_decided_goes_on_though_entra_is_not_heard_again() {
    let decided = contained().dismissed().told_changed().saved();
    assert_eq!(decided.case().state, CaseState::Releasing);
    for scene in [
        decided.clone().graph_unread(),
        decided.clone().risk(RiskLevel::High, RiskState::AtRisk, at("07:00:00")),
    ] {
        assert_eq!(scene.plan().actions.len(), 2);
        let over = released(scene);
        assert_eq!(over.released_because.as_deref(), Some("Entra says that the risk is dismissed"));
        assert_eq!(over.released_as_of, Some(at("08:01:00.1")));
    }
}

#[test]
fn newer_evidence_turns_a_release_round() {
    let half = contained().dismissed().told_changed().applied().answered().later(MINUTE);
    for scene in [
        half.clone().alert(RiskLevel::High),
        half.clone().operator_contains(),
        half.clone().disabled().told_changed(),
        half.clone().soft_deleted().told_deleted(),
    ] {
        let plan = scene.plan();
        assert_eq!(plan.actions.iter().filter(|action| matches!(action, Action::Block { .. })).count(), 2);
        let case = plan.case.expect("a case");
        assert_eq!(
            (case.state, case.released_because, case.released_as_of),
            (CaseState::Requested, None, None)
        );
    }
}

#[test]
fn evidence_that_the_release_has_answered_does_not_turn_it_round() {
    let half = contained().dismissed().told_changed().saved().answered();
    for scene in
        [half.clone().alert(RiskLevel::High), half.clone().alert(RiskLevel::Low), half.told_changed()]
    {
        assert!(releases(&scene), "{}", scene.print());
    }
}

#[test]
fn a_release_answers_what_was_known_when_it_was_asked_for_and_no_more() {
    // Asked for at 08:01:00.1, done a minute later.
    let asked = contained().operator_releases(case_of_event(1));
    let over = asked.saved().later(MINUTE).applied().saved().answered();
    assert_eq!(over.snapshot.released[0].released_at, Some(at("08:02:00.1")));
    let detected = |time| {
        let told = evidence(RiskLevel::High, RiskState::AtRisk, at(time));
        over.clone().ask(Source::Risk, EventKind::RiskReported(told)).plan().case
    };
    assert_eq!(detected("08:01:00.1"), None);
    assert!(detected("08:01:00.2").is_some());
}

#[test]
fn a_release_half_done_goes_on_with_the_rest() {
    let half = contained().operator_releases(case_of_event(1)).saved();
    let mut half = half.unblocked_by_somebody("waad|1");
    half.snapshot.accounts.get_mut(&id("waad|1")).unwrap().stamp = None;
    let plan = half.plan();
    assert_eq!(plan.actions, [Action::Unblock { account: id("auth0|2"), case: case_of_event(1) }].to_vec());
}

#[test]
fn an_alert_older_than_the_release_leaves_alone_and_a_newer_one_contains() {
    let over = contained().operator_releases(case_of_event(1)).applied().saved().answered();
    let alert = over.clone().alert(RiskLevel::High);
    assert_snapshot!(alert.print(), @"
    no case
    held: case_00000000000000000000000000000001 was released as of 2026-03-02T08:01:00.1Z, after this alert
    next: settled
    ");
    // Detected five seconds before it is received.
    for millis in [4_999, 5_000] {
        let plan = over.clone().later(Duration::from_millis(millis)).alert(RiskLevel::High).plan();
        assert_eq!(plan.case, None, "{millis} ms after the release");
    }
    let newer = over.later(Duration::from_millis(5_001)).alert(RiskLevel::High).plan();
    assert_eq!(newer.actions.len(), 4);
}

#[test]
fn an_operator_may_contain_right_after_a_release() {
    let over = contained().operator_releases(case_of_event(1)).applied().saved().answered();
    assert_eq!(over.clone().operator_contains().plan().case, None, "asked for when the release was");
    assert_eq!(over.later(Duration::from_millis(1)).operator_contains().plan().actions.len(), 4);
}
