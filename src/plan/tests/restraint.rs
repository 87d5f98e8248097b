//! Doing less, or nothing, on purpose: observe mode, the protected, a policy that ends sessions, tells or ignores.

use std::time::Duration;

use insta::assert_snapshot;

use super::scene::{Scene, case_of_event, person};
use crate::case::{CaseState, Response};
use crate::event::{RiskLevel, Source};
use crate::plan::Next;

fn anna() -> Scene {
    person("anna").account("waad|1")
}

#[test]
fn observe_mode_says_what_it_would_do_and_does_nothing() {
    assert_snapshot!(anna().account("auth0|2").observe().alert(RiskLevel::High).print(), @"
    not acted, contain: risk high, at risk: leakedCredentials
      restrained: observe mode: nothing is written
      auth0|2 block wanted
      waad|1 block wanted
    held: would Block auth0|2 (risk high, at risk: leakedCredentials)
    held: would End access of auth0|2 by revoke-access
    held: would Block waad|1 (risk high, at risk: leakedCredentials)
    held: would End access of waad|1 by revoke-access
    held: observe mode: nothing is written
    next: settled
    ");
}

#[test]
fn observe_mode_would_not_touch_what_is_blocked_already() {
    let scene = anna().blocked_by_somebody("waad|1").observe().disabled().told_changed();
    assert_snapshot!(scene.print(), @"
    not acted, contain: account disabled in Entra
      restrained: observe mode: nothing is written
      waad|1 blocked by somebody else
    held: would End access of waad|1 by revoke-access
    held: observe mode: nothing is written
    next: settled
    ");
}

#[test]
fn observe_mode_tells_of_an_operators_request_too() {
    let plan = anna().observe().operator_contains().plan();
    assert!(plan.actions.is_empty());
    assert_eq!(plan.case.expect("a case").state, CaseState::NotActed);
}

#[test]
fn a_protected_person_is_told_of_and_never_touched() {
    assert_snapshot!(anna().protected_person().alert(RiskLevel::High).print(), @"
    not acted, notify: risk high, at risk: leakedCredentials
      restrained: protected by policy: never acted on without two people
      waad|1 block not wanted
    held: protected by policy: never acted on without two people
    next: settled
    ");
}

#[test]
fn a_protected_person_is_not_touched_whoever_asks() {
    let protected = anna().protected_person();
    for scene in [
        protected.clone().operator_contains(),
        protected.clone().disabled().told_changed(),
        protected.clone().missing().told_deleted(),
        protected.clone().soft_deleted().told_deleted(),
        protected.observe().alert(RiskLevel::High),
    ] {
        let plan = scene.plan();
        assert!(plan.actions.is_empty());
        assert_eq!(plan.held, ["protected by policy: never acted on without two people"]);
    }
}

#[test]
fn one_protected_account_protects_the_person() {
    let scene = anna().account("auth0|root").protected_account("auth0|root").alert(RiskLevel::High);
    assert_snapshot!(scene.print(), @"
    not acted, notify: risk high, at risk: leakedCredentials
      restrained: protected by policy: never acted on without two people
      auth0|root block not wanted
      waad|1 block not wanted
    held: protected by policy: never acted on without two people
    next: settled
    ");
}

#[test]
fn somebody_elses_protected_account_protects_nobody_here() {
    assert_eq!(anna().protected_account("auth0|root").alert(RiskLevel::High).plan().actions.len(), 2);
}

#[test]
fn a_source_may_only_end_sessions() {
    let scene = anna().source(Source::Risk, None, Some(Response::EndSessions)).alert(RiskLevel::High);
    assert_snapshot!(scene.print(), @"
    requested, end-sessions: risk high, at risk: leakedCredentials
      waad|1 block not wanted; open: sessions and refresh tokens not ended yet
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
    assert_snapshot!(scene.verified().print(), @"
    verified, end-sessions: risk high, at risk: leakedCredentials
      waad|1 block not wanted, ended by revoke-access
    next: settled
    ");
}

#[test]
fn a_source_may_only_tell() {
    let scene = anna().source(Source::Risk, None, Some(Response::Notify)).alert(RiskLevel::High);
    assert_snapshot!(scene.print(), @"
    not acted, notify: risk high, at risk: leakedCredentials
      waad|1 block not wanted
    held: the policy only tells
    next: settled
    ");
}

#[test]
fn what_a_source_may_do_does_not_bind_an_operator() {
    let scene = anna().source(Source::Operator, None, Some(Response::Ignore)).operator_contains();
    assert_eq!(scene.plan().actions.len(), 2);
}

#[test]
fn people_are_told_once_an_hour_of_a_person_about_whom_nothing_is_done() {
    for scene in [
        anna().observe(),
        anna().protected_person(),
        anna().source(Source::Risk, None, Some(Response::Notify)),
    ] {
        let told = scene.alert(RiskLevel::High).saved().answered();
        let again = |seconds| told.clone().later(Duration::from_secs(seconds)).alert(RiskLevel::High).plan();
        let soon = again(3599);
        assert_eq!((soon.case, soon.next), (None, Next::Settled));
        assert_eq!(soon.held, [format!("already told in {}", case_of_event(1))]);
        assert_eq!(again(3600).case.expect("a case").id, case_of_event(2));
    }
}

#[test]
fn having_been_told_keeps_nobody_from_being_contained() {
    let told = anna().observe().alert(RiskLevel::High).saved().answered();
    let enforced = told.policy(|policy| policy.mode = crate::policy::Mode::Enforce).alert(RiskLevel::High);
    assert_eq!(enforced.plan().actions.len(), 2);
}

#[test]
fn having_been_told_for_another_cause_is_not_being_told() {
    let told = anna().observe().alert(RiskLevel::High).saved().answered();
    let plan = told.protected_person().alert(RiskLevel::High).plan();
    assert_eq!(plan.case.expect("a case").id, case_of_event(2));
}
