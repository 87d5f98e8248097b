//! Giving back: by an operator, by Entra clearing the risk, by the account being enabled again; and what does not
//! release.

use std::time::Duration;

use insta::assert_snapshot;

use super::scene::{Scene, at, case_of_event, id, person};
use crate::action::Action;
use crate::case::{Case, CaseState};
use crate::event::{RiskLevel, RiskState, Source};
use crate::plan::Next;
use crate::policy::ReleaseWhenCleared;
use crate::snapshot::Enabled;

const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn contained() -> Scene {
    person("anna")
        .account("waad|1")
        .account("auth0|2")
        .alert(RiskLevel::High)
        .verified()
        .answered()
        .later(MINUTE)
}

fn leaver() -> Scene {
    person("anna").account("waad|1").disabled().told_changed().verified().answered().later(MINUTE)
}

pub(super) fn releases(scene: &Scene) -> bool {
    scene.plan().actions.iter().any(|action| matches!(action, Action::Unblock { .. }))
}

pub(super) fn released(scene: Scene) -> Case {
    scene.applied().saved().snapshot.released.remove(0)
}

#[test]
fn an_operator_releases() {
    let asked = contained().operator_releases(case_of_event(1));
    assert_snapshot!(asked.print(), @"
    releasing, contain: released by ops@acme: false alarm
      auth0|2 blocked by us, ended by revoke-access
      waad|1 blocked by us, ended by revoke-access
    do: Unblock auth0|2
    do: Unblock waad|1
    next: again in 200ms
    ");
    assert_snapshot!(asked.applied().print(), @"
    released, contain: released by ops@acme: false alarm
      auth0|2 blocked by us, ended by revoke-access
      waad|1 blocked by us, ended by revoke-access
    next: settled
    ");
}

#[test]
fn a_release_says_when_and_why() {
    let case = released(contained().operator_releases(case_of_event(1)));
    assert_eq!(case.state, CaseState::Released);
    assert_eq!(case.released_because.as_deref(), Some("released by ops@acme: false alarm"));
    assert_eq!(case.released_at, Some(at("08:01:00.1")));
    assert!(case.open.is_empty() && case.accounts.values().all(|account| account.open.is_empty()));
}

#[test]
fn a_release_of_another_case_releases_nothing() {
    let scene = contained().operator_releases(case_of_event(7));
    assert_snapshot!(scene.print(), @"
    verified, contain: risk high, at risk: leakedCredentials
      auth0|2 blocked by us, ended by revoke-access
      waad|1 blocked by us, ended by revoke-access
    next: settled
    ");
}

#[test]
fn a_release_without_an_open_case_does_nothing() {
    let scene = person("anna").account("waad|1").operator_releases(case_of_event(7));
    assert_snapshot!(scene.print(), @"
    no case
    held: nothing calls for containment
    next: settled
    ");
}

#[test]
fn a_dismissal_releases() {
    assert_snapshot!(contained().dismissed().told_changed().print(), @"
    releasing, contain: Entra says that the risk is dismissed
      auth0|2 blocked by us, ended by revoke-access
      waad|1 blocked by us, ended by revoke-access
    do: Unblock auth0|2
    do: Unblock waad|1
    next: again in 200ms
    ");
}

#[test]
fn every_way_of_clearing_releases_and_nothing_else_does() {
    use RiskState::{AtRisk, ConfirmedCompromised, ConfirmedSafe, Dismissed, None, Remediated, Unknown};
    for state in [Unknown, None, AtRisk, ConfirmedCompromised, ConfirmedSafe, Dismissed, Remediated] {
        let scene = contained();
        let now = scene.now;
        let cleared = matches!(state, ConfirmedSafe | Remediated | Dismissed);
        assert_eq!(releases(&scene.risk(RiskLevel::None, state, now).told_changed()), cleared, "{state:?}");
    }
}

#[test]
fn a_clearing_older_than_the_alert_does_not_release() {
    // The alert was detected at 07:59:55.
    for (updated_at, expected) in [("07:59:54", false), ("07:59:55", true), ("08:00:30", true)] {
        let scene = contained().risk(RiskLevel::None, RiskState::Dismissed, at(updated_at)).told_changed();
        assert_eq!(releases(&scene), expected, "cleared at {updated_at}");
    }
}

#[test]
fn an_alert_of_the_dismissal_releases_only_when_entra_says_so_itself() {
    let told = |scene: Scene| scene.alert_from(Source::Risk, RiskLevel::None, RiskState::Dismissed);
    assert!(releases(&told(contained().dismissed())));
    assert!(!releases(&told(contained())));
    let unread = told(contained().risk_unread()).plan();
    assert_eq!((unread.actions.len(), unread.next), (0, Next::WhenGraphAnswers));
}

#[test]
fn a_cleared_risk_does_not_release_whom_entra_has_disabled_or_lost() {
    let cleared = contained().dismissed().told_changed();
    for scene in [
        cleared.clone().disabled(),
        cleared.clone().soft_deleted(),
        cleared.clone().missing(),
        cleared.clone().directory_unread(),
    ] {
        assert!(!releases(&scene), "{:?}", scene.snapshot.directory);
    }
    assert!(releases(&cleared));
}

#[test]
fn a_newer_alert_holds_the_case_though_the_older_one_was_dismissed() {
    let scene =
        contained().risk(RiskLevel::None, RiskState::Dismissed, at("08:00:30")).alert(RiskLevel::High);
    assert!(!releases(&scene));
}

#[test]
fn the_policy_may_want_a_person_to_release() {
    let by_hand =
        |scene: Scene| scene.policy(|policy| policy.contain.release_when_cleared = ReleaseWhenCleared::No);
    assert!(!releases(&by_hand(contained().dismissed().told_changed())));
    assert!(!releases(&by_hand(leaver().enabled().told_changed())));
    assert!(releases(&by_hand(contained().operator_releases(case_of_event(1)))));
}

#[test]
fn enabled_again_releases() {
    assert_snapshot!(leaver().enabled().told_changed().print(), @"
    releasing, contain: the account is enabled in Entra again
      waad|1 blocked by us, ended by revoke-access
    do: Unblock waad|1
    next: again in 200ms
    ");
}

#[test]
fn restored_releases_and_disabled_restored_does_not() {
    let deleted = person("anna").account("waad|1").soft_deleted().told_deleted().verified().answered();
    assert!(releases(&deleted.clone().enabled().told_changed()));
    assert!(!releases(&deleted.clone().disabled().told_changed()));
    assert!(!releases(&deleted.with_enabled(Enabled::NotTold).told_changed()));
}

#[test]
fn enabled_again_does_not_release_whom_entra_finds_at_risk_or_cannot_say() {
    let back = leaver().enabled().told_changed();
    let now = back.now;
    for (scene, expected) in [
        (back.clone(), true),
        (back.clone().risk(RiskLevel::None, RiskState::None, now), true),
        (back.clone().dismissed(), true),
        (back.clone().risk(RiskLevel::Low, RiskState::AtRisk, now), false),
        (back.clone().risk(RiskLevel::None, RiskState::ConfirmedCompromised, now), false),
        (back.clone().risk(RiskLevel::High, RiskState::Unknown, now), false),
        (back.clone().risk_unread(), false),
    ] {
        assert_eq!(releases(&scene), expected, "{:?}", scene.snapshot.risk);
    }
    assert_eq!(back.risk_unread().plan().next, Next::WhenGraphAnswers);
}

#[test]
fn nothing_but_a_person_releases_what_a_person_asked_for() {
    let asked = person("anna").account("waad|1").operator_contains().verified().answered().later(MINUTE);
    assert!(!releases(&asked.clone().dismissed().told_changed()));
    assert!(!releases(&asked.clone().disabled().enabled().told_changed()));
    assert!(releases(&asked.operator_releases(case_of_event(1))));
}

#[test]
fn our_stamp_goes_though_somebody_has_unblocked_already() {
    let scene = contained().unblocked_by_somebody("waad|1").operator_releases(case_of_event(1));
    assert_eq!(scene.plan().actions.len(), 2);
    assert_eq!(scene.applied().snapshot.accounts[&id("waad|1")].stamp, None);
}

#[test]
fn the_stamp_of_another_case_is_left_where_it_is() {
    let scene = contained().blocked_by_case("waad|1", case_of_event(77)).operator_releases(case_of_event(1));
    assert_eq!(scene.plan().actions.len(), 1);
    let left = scene.applied().snapshot.accounts[&id("waad|1")].stamp.clone().expect("a stamp");
    assert_eq!(left.case, case_of_event(77));
}

#[test]
fn a_release_when_every_account_is_gone_is_a_release() {
    let scene = contained().operator_releases(case_of_event(1)).without("waad|1").without("auth0|2");
    assert_snapshot!(scene.print(), @"
    released, contain: released by ops@acme: false alarm
      auth0|2 blocked by us, ended by revoke-access
      waad|1 blocked by us, ended by revoke-access
    next: settled
    ");
}

#[test]
fn a_case_whose_writes_never_arrived_is_released_without_a_write() {
    let scene = person("anna").account("waad|1").alert(RiskLevel::High).saved().answered();
    let plan = scene.operator_releases(case_of_event(1)).plan();
    assert!(plan.actions.is_empty());
    assert_eq!(plan.case.expect("a case").state, CaseState::Released);
}
