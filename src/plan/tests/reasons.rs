//! A case has reasons: the strongest decides, each must be over before the case is released, and a release answers what
//! is not newer than it.

use std::time::Duration;

use insta::assert_snapshot;

use super::release::{contained, released, releases};
use super::scene::{Scene, at, case_of_event, evidence, person};
use crate::case::{Case, CaseState, Reason, Releaser, Response, Restraint};
use crate::event::{EventKind, RiskLevel, RiskState, Source};
use crate::plan::{Next, risk_can_matter};
use crate::policy::Mode;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn anna() -> Scene {
    person("anna").account("waad|1")
}

fn ends_sessions() -> Scene {
    let policy = |policy: &mut crate::policy::Policy| policy.contain.on_disabled = Response::EndSessions;
    anna().policy(policy).disabled().told_changed().verified().answered().later(MINUTE)
}

fn braked() -> Scene {
    anna().recent_containments(25).alert(RiskLevel::High).verified().answered().later(MINUTE)
}

fn detected(scene: Scene, time: &str) -> Scene {
    let told = evidence(RiskLevel::High, RiskState::AtRisk, at(time));
    scene.ask(Source::Risk, EventKind::RiskReported(told))
}

fn case(scene: &Scene) -> Case {
    scene.plan().case.expect("a case")
}

#[test]
fn a_release_answers_what_is_older_in_the_same_look() {
    let asked = contained().operator_releases(case_of_event(1));
    for scene in [
        asked.clone().alert(RiskLevel::High),
        detected(asked.clone().later(MINUTE), "08:01:00.1"),
        contained().operator_contains().operator_releases(case_of_event(1)),
        contained().disabled().told_changed().operator_releases(case_of_event(1)),
    ] {
        assert!(releases(&scene), "{}", scene.print());
    }
}

#[test]
fn what_is_newer_than_the_release_overtakes_it_in_the_same_look() {
    // Asked for at 08:01:00.1.
    let asked = contained().operator_releases(case_of_event(1)).later(MINUTE);
    assert_snapshot!(detected(asked.clone(), "08:01:00.2").print(), @"
    verified, contain: risk high, at risk: leakedCredentials
      auth0|2 blocked by us, ended by revoke-access
      waad|1 blocked by us, ended by revoke-access
    held: not released by ops@acme: false alarm: overtaken by what is newer (risk high, at risk: leakedCredentials, 2026-03-02T08:01:00.2Z)
    next: settled
    ");
    for scene in [
        asked.clone().operator_contains(),
        asked.clone().disabled().told_changed(),
        asked.clone().soft_deleted().told_deleted(),
        asked.clone().missing().told_deleted(),
    ] {
        assert!(!releases(&scene), "{}", scene.print());
        assert!(scene.plan().held[0].contains("overtaken"), "{}", scene.print());
    }
    let joined = detected(contained().later(MINUTE), "08:01:30").saved().answered();
    let late = EventKind::ReleaseRequested { by: "ops".into(), case: case_of_event(1), reason: "x".into() };
    assert!(!releases(&joined.ask_received_at(Source::Operator, late, at("08:01:00"))));
}

#[test]
fn a_clock_that_runs_ahead_does_not_outlive_a_persons_word() {
    let ahead = detected(anna(), "23:00:00").verified().answered().later(MINUTE);
    assert!(releases(&ahead.operator_releases(case_of_event(1))));
}

#[test]
fn the_strongest_of_the_reasons_decides_and_the_others_are_kept() {
    let notify = |policy: &mut crate::policy::Policy| policy.contain.on_disabled = Response::Notify;
    let both = anna().policy(notify).disabled().told_changed().alert(RiskLevel::High);
    assert_snapshot!(both.print(), @"
    requested, contain: risk high, at risk: leakedCredentials; also account disabled in Entra
      waad|1 block wanted; open: not blocked by this case yet, sessions and refresh tokens not ended yet
    do: Block waad|1 (risk high, at risk: leakedCredentials)
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
    assert_eq!(case(&both).event, both.snapshot.asks[1].id);
    // What only tells does not keep it.
    assert!(releases(&both.verified().answered().later(MINUTE).dismissed().told_changed()));
}

#[test]
fn an_ignored_source_does_not_hide_a_trusted_one() {
    let ignored = anna().source(Source::AzureMonitor, None, Some(Response::Ignore));
    let first = ignored.alert_from(Source::AzureMonitor, RiskLevel::High, RiskState::AtRisk);
    let both = first.alert(RiskLevel::High);
    assert_eq!(both.plan().actions.len(), 2);
    assert_eq!(case(&both).source, Source::Risk);
}

#[test]
fn an_operator_then_deleted_then_disabled_then_risk_names_a_case_of_equal_reasons() {
    let deleted = anna().soft_deleted().alert(RiskLevel::High);
    assert_eq!(case(&deleted).reason, Reason::Deleted);
    assert!(matches!(case(&deleted.operator_contains()).reason, Reason::Operator { .. }));
    assert_eq!(case(&anna().disabled().alert(RiskLevel::High)).reason, Reason::Disabled);
}

#[test]
fn a_dismissal_older_than_the_newest_alert_releases_nobody() {
    // Detected at 07:59:55 and again at 08:00:40.
    let twice = detected(contained(), "08:00:40").saved().answered().later(MINUTE);
    let cleared = |time| twice.clone().risk(RiskLevel::None, RiskState::Dismissed, at(time)).told_changed();
    assert!(!releases(&cleared("08:00:39")));
    assert!(releases(&cleared("08:00:40")));
}

#[test]
fn every_reason_must_be_over() {
    let both = contained().disabled().told_changed().saved().answered().later(MINUTE);
    let two = both.case().causes.len();
    assert_eq!((two, both.case().reason.sentence().as_str()), (2, "risk high, at risk: leakedCredentials"));
    let (now, at_risk) = (both.now, both.clone().risk(RiskLevel::High, RiskState::AtRisk, at("07:59:55")));
    assert!(!releases(&both.clone().dismissed().told_changed()), "still disabled");
    assert!(!releases(&at_risk.enabled().told_changed()), "still at risk");
    assert!(!releases(&both.clone().enabled().told_changed()), "nothing listed is no clearing");
    let over = both.enabled().dismissed().told_changed();
    let case = released(over);
    let because = "Entra says that the risk is dismissed and the account is enabled in Entra again";
    assert_eq!((case.released_because.as_deref(), case.released_as_of), (Some(because), Some(now)));
    assert_eq!(case.released_by, Some(Releaser::Entra));
}

#[test]
fn what_an_operator_has_joined_an_operator_releases() {
    let joined = contained().operator_contains().saved().answered().later(MINUTE);
    assert!(!releases(&joined.clone().dismissed().told_changed()));
    assert!(releases(&joined.operator_releases(case_of_event(1))));
}

#[test]
fn a_case_of_a_former_program_is_released_like_any_other() {
    let mut scene = contained();
    scene.snapshot.case.as_mut().expect("an open case").causes.clear();
    assert!(!releases(
        &scene.clone().risk(RiskLevel::None, RiskState::Dismissed, at("07:59:54")).told_changed()
    ));
    assert!(releases(&scene.clone().dismissed().told_changed()));
    assert!(releases(&scene.operator_releases(case_of_event(1))));
}

#[test]
fn a_stronger_reason_makes_an_end_sessions_case_block() {
    let stronger = ends_sessions().alert(RiskLevel::High);
    assert_snapshot!(stronger.print(), @"
    requested, contain: account disabled in Entra; also risk high, at risk: leakedCredentials
      waad|1 block wanted; open: not blocked by this case yet, sessions and refresh tokens not ended yet
    do: Block waad|1 (account disabled in Entra)
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
    let escalated = case(&stronger);
    assert_eq!((escalated.escalated_at, escalated.verify_by), (Some(stronger.now), at("08:03:00.1")));
    let mild = ends_sessions().source(Source::Risk, None, Some(Response::EndSessions)).alert(RiskLevel::High);
    assert_eq!((mild.plan().actions.len(), case(&mild).response), (0, Response::EndSessions));
}

#[test]
fn the_brake_holds_a_stronger_reason_too_and_an_operator_lifts_it() {
    let compromised =
        |scene: Scene| scene.alert_from(Source::Risk, RiskLevel::High, RiskState::ConfirmedCompromised);
    let held = compromised(ends_sessions().recent_containments(25));
    assert_eq!((held.plan().actions.len(), case(&held).restraint), (0, Some(Restraint::ContainBrake)));
    let held = held.saved().answered().recent_containments(0);
    assert!(
        held.clone().alert(RiskLevel::High).plan().actions.is_empty(),
        "an alert does not lift the brake"
    );
    assert_eq!(held.operator_contains().plan().actions.len(), 2);
}

#[test]
fn a_brake_that_is_off_again_holds_no_leaver_but_still_every_alert() {
    let off = braked().recent_containments(0);
    assert!(
        off.clone()
            .alert_from(Source::Risk, RiskLevel::High, RiskState::ConfirmedCompromised)
            .plan()
            .actions
            .is_empty()
    );
    assert_eq!(off.clone().disabled().told_changed().plan().actions.len(), 2);
    assert_eq!(off.soft_deleted().told_deleted().plan().actions.len(), 2);
    assert!(braked().disabled().told_changed().plan().actions.is_empty(), "still on");
}

#[test]
fn observe_mode_escalates_nothing() {
    let observed = ends_sessions().policy(|policy| policy.mode = Mode::Observe).alert(RiskLevel::High);
    assert_eq!((observed.plan().actions.len(), case(&observed).response), (0, Response::EndSessions));
}

#[test]
fn a_request_that_had_joined_a_released_case_does_not_contain_again() {
    let joined = contained().operator_contains();
    let request = joined.snapshot.asks[0].clone();
    let over = joined.saved().answered().later(MINUTE).operator_releases(case_of_event(1)).applied().saved();
    let again =
        |scene: Scene| scene.ask_received_at(Source::Operator, request.kind.clone(), request.received_at);
    let plan = again(over.answered().later(MINUTE)).plan();
    assert_eq!(plan.case, None);
    assert!(plan.held[0].contains("was released as of"), "{:?}", plan.held);
}

#[test]
fn a_case_that_only_told_hides_no_release() {
    let over = contained().operator_releases(case_of_event(1)).applied().saved().answered().later(MINUTE);
    let told = over.clone().protected_person().operator_contains().saved().answered();
    assert!(told.snapshot.last_not_acted.is_some());
    let unprotected = told.policy(|policy| policy.protected.people.clear());
    assert_eq!(detected(unprotected.clone(), "08:01:00").plan().case, None);
    assert!(detected(unprotected, "08:01:30").plan().case.is_some());
}

#[test]
fn a_later_release_hides_no_earlier_one() {
    let first = contained().operator_contains().saved().answered().later(MINUTE);
    let over = first.operator_releases(case_of_event(1)).applied().saved().answered().later(MINUTE);
    let second = over.alert(RiskLevel::High).verified().answered().later(MINUTE).dismissed().told_changed();
    let over = second.applied().saved().answered().later(MINUTE);
    assert_eq!(over.snapshot.released.len(), 2);
    let (by, reason) = ("ops@acme".to_owned(), "phished".to_owned());
    let old = EventKind::ContainRequested { by: by.clone(), reason: reason.clone() };
    assert_eq!(over.clone().ask_received_at(Source::Operator, old.clone(), at("08:01:00")).plan().case, None);
    // Entra's word about the risk is no answer to what a person asked meanwhile.
    assert!(over.ask_received_at(Source::Operator, old, at("08:03:00")).plan().case.is_some());
}

#[test]
fn an_account_that_came_back_answers_no_alert() {
    let leaver = anna().disabled().told_changed().verified().answered().later(MINUTE);
    let over = leaver.enabled().told_changed().applied().saved().answered().later(MINUTE);
    assert_eq!(over.snapshot.released[0].released_as_of, None);
    assert!(detected(over, "08:00:30").plan().case.is_some(), "detections come late");
}

#[test]
fn a_dismissal_newer_than_what_entra_still_shows_contains_nobody() {
    // The dismissal was detected at 07:59:55.
    let told = |updated_at| {
        anna().risk(RiskLevel::High, RiskState::AtRisk, at(updated_at)).alert_from(
            Source::Risk,
            RiskLevel::None,
            RiskState::Dismissed,
        )
    };
    assert_snapshot!(told("07:59:54").print(), @"
    no case
    held: the alert says dismissed, and Entra says nothing newer
    next: settled
    ");
    assert_eq!(told("07:59:55").plan().case, None);
    assert!(told("07:59:56").plan().case.is_some(), "at risk again since");
}

#[test]
fn a_deletion_that_was_dismissed_or_restored_waits_for_the_risk_where_it_decides() {
    let deleted = anna().soft_deleted().told_deleted().verified().answered().later(MINUTE);
    let restored = deleted.clone().enabled().risk_unread().told_deleted();
    assert_eq!(restored.plan().next, Next::WhenGraphAnswers);
    assert!(releases(&deleted.clone().enabled().told_deleted()));
    assert_eq!(
        deleted.risk_unread().told_deleted().plan().next,
        Next::Settled,
        "still deleted: risk decides nothing"
    );
}

#[test]
fn the_risk_is_asked_for_only_where_it_can_change_the_plan() {
    let matters = |scene: &Scene| risk_can_matter(&scene.snapshot.asks, scene.snapshot.case.as_ref());
    let cleared = |scene: Scene| scene.alert_from(Source::Risk, RiskLevel::None, RiskState::Dismissed);
    let deleted = anna().soft_deleted().told_deleted().verified().answered();
    let operators = anna().operator_contains().verified().answered();
    let releasing = contained().dismissed().told_changed().saved().answered();
    for (what, scene, expected) in [
        ("an alert", anna().alert(RiskLevel::High), true),
        ("a change", anna().told_changed(), false),
        ("a request", anna().operator_contains(), false),
        ("the read-back of an alert", anna().alert(RiskLevel::High).applied(), false),
        (
            "the read-back of a braked alert",
            anna().recent_containments(25).alert(RiskLevel::High).applied(),
            false,
        ),
        ("another alert about whom is blocked", contained().alert(RiskLevel::High), false),
        ("a weak alert where only sessions ended", ends_sessions().alert(RiskLevel::Low), true),
        ("an alert during a release", releasing.clone().alert(RiskLevel::High), true),
        ("a change during a release", releasing.told_changed(), false),
        ("a dismissal", cleared(contained()), true),
        ("a dismissal of the deleted", cleared(deleted.clone()), true),
        ("a deletion told again", deleted.told_deleted(), true),
        ("a change", contained().told_changed(), true),
        ("a dismissal where an operator holds", cleared(operators.clone()), false),
        ("a change where an operator holds", operators.told_changed(), false),
        (
            "a dismissal where an operator joined",
            cleared(contained().operator_contains().saved().answered()),
            false,
        ),
    ] {
        assert_eq!(matters(&scene), expected, "{what}");
    }
}

#[test]
fn a_release_turned_round_is_held_by_what_is_new_alone() {
    let half = contained().dismissed().told_changed().applied().answered().later(MINUTE);
    let turned = half.disabled().told_changed().verified().answered().later(SECOND);
    assert_eq!(turned.case().state, CaseState::Verified);
    assert!(releases(&turned.clone().enabled().told_changed()));
    assert_eq!(turned.case().causes.len(), 1);
}
