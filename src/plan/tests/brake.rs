//! The contain brake: past the limit only sessions are ended; an operator's own request is never braked.

use std::time::Duration;

use insta::assert_snapshot;

use super::scene::{Scene, person};
use crate::case::{Case, CaseState, Response, Restraint};
use crate::event::{RiskLevel, Source};

fn anna() -> Scene {
    person("anna").account("waad|1").policy(|policy| policy.contain.brake.containments = 3)
}

#[test]
fn the_last_containment_under_the_limit_blocks() {
    let plan = anna().recent_containments(2).alert(RiskLevel::High).plan();
    let case = plan.case.expect("a case");
    assert_eq!((case.response, case.restraint), (Response::Contain, None));
    assert_eq!(plan.actions.len(), 2);
}

#[test]
fn at_the_limit_only_sessions_are_ended() {
    assert_snapshot!(anna().recent_containments(3).alert(RiskLevel::High).print(), @"
    requested, end-sessions: risk high, at risk: leakedCredentials
      restrained: contain brake: only sessions were ended, sign-in is still possible
      waad|1 block not wanted; open: sessions and refresh tokens not ended yet
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
}

#[test]
fn the_brake_holds_whatever_the_signal_is() {
    let braked = anna().recent_containments(3);
    for scene in [
        braked.clone().alert(RiskLevel::High),
        braked.clone().disabled().told_changed(),
        braked.clone().soft_deleted().told_deleted(),
        braked.clone().missing().told_deleted(),
    ] {
        let case = scene.plan().case.expect("a case");
        assert_eq!(case.restraint, Some(Restraint::ContainBrake), "{:?}", case.reason);
        assert_eq!(case.response, Response::EndSessions);
    }
}

#[test]
fn a_limit_of_nothing_blocks_nobody() {
    let scene = anna().policy(|policy| policy.contain.brake.containments = 0).alert(RiskLevel::High);
    assert_eq!(scene.plan().case.expect("a case").restraint, Some(Restraint::ContainBrake));
}

#[test]
fn an_operator_is_not_braked() {
    let case = anna().recent_containments(99).operator_contains().plan().case.expect("a case");
    assert_eq!((case.response, case.restraint), (Response::Contain, None));
}

#[test]
fn a_policy_that_only_ends_sessions_is_not_called_braked() {
    let scene = anna().recent_containments(99).source(Source::Risk, None, Some(Response::EndSessions));
    assert_eq!(scene.alert(RiskLevel::High).plan().case.expect("a case").restraint, None);
}

#[test]
fn a_braked_case_is_verified_without_a_block() {
    assert_snapshot!(anna().recent_containments(3).alert(RiskLevel::High).verified().print(), @"
    verified, end-sessions: risk high, at risk: leakedCredentials
      restrained: contain brake: only sessions were ended, sign-in is still possible
      waad|1 block not wanted, ended by revoke-access
    next: settled
    ");
}

#[test]
fn the_brake_coming_off_does_not_change_an_open_case() {
    let scene =
        anna().recent_containments(3).alert(RiskLevel::High).verified().answered().recent_containments(0);
    let plan = scene.alert(RiskLevel::High).plan();
    assert_eq!(plan.case.expect("a case").response, Response::EndSessions);
    assert!(plan.actions.is_empty());
}

#[test]
fn the_brake_coming_on_does_not_weaken_an_open_case() {
    let scene = anna().alert(RiskLevel::High).saved().recent_containments(99);
    assert_eq!(scene.plan().actions.len(), 2);
}

#[test]
fn an_operator_blocks_whom_the_brake_had_left_able_to_sign_in() {
    let braked = anna().recent_containments(3).alert(RiskLevel::High).verified().answered();
    let asked = braked.later(Duration::from_secs(60)).operator_contains();
    assert_snapshot!(asked.print(), @"
    requested, contain: risk high, at risk: leakedCredentials; also asked for by ops@acme: phished
      waad|1 block wanted; open: not blocked by this case yet, sessions and refresh tokens not ended yet
    do: Block waad|1 (risk high, at risk: leakedCredentials)
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
    assert_snapshot!(asked.verified().print(), @"
    verified, contain: risk high, at risk: leakedCredentials; also asked for by ops@acme: phished
      waad|1 blocked by us, ended by revoke-access
    next: settled
    ");
}

#[test]
fn escalating_twice_is_escalating_once() {
    let braked = anna().recent_containments(3).alert(RiskLevel::High).verified().answered();
    let once = braked.operator_contains().verified();
    assert_eq!(once.case().state, CaseState::Verified);
    assert!(once.plan().actions.is_empty());
}

#[test]
fn an_operator_asking_again_changes_nothing_of_a_full_containment() {
    let contained = anna().alert(RiskLevel::High).verified().answered();
    let plan = contained.clone().operator_contains().plan();
    assert!(plan.actions.is_empty());
    let case = plan.case.expect("a case");
    assert_eq!(case.causes.len(), 2, "the request is kept: only a person takes it back");
    assert_eq!(Case { causes: contained.case().causes.clone(), ..case }, *contained.case());
}
