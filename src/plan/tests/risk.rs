//! Which alerts contain: level, state, what Entra says now, and which of two statements is newer.

use insta::assert_snapshot;

use super::scene::{Scene, at, evidence, person};
use crate::case::{CaseState, Reason, Response};
use crate::event::{EventKind, RiskLevel, RiskState, Source};
use crate::plan::Next;

fn anna() -> Scene {
    person("anna").account("waad|1")
}

fn opens(scene: &Scene) -> bool {
    scene.plan().case.is_some_and(|case| case.state == CaseState::Requested)
}

#[test]
fn a_high_alert_blocks_every_account_and_then_ends_its_access() {
    let scene = anna().account("auth0|2").alert(RiskLevel::High);
    assert_snapshot!(scene.print(), @"
    requested, contain: risk high, at risk: leakedCredentials
      auth0|2 block wanted; open: not blocked by this case yet, sessions and refresh tokens not ended yet
      waad|1 block wanted; open: not blocked by this case yet, sessions and refresh tokens not ended yet
    do: Block auth0|2 (risk high, at risk: leakedCredentials)
    do: End access of auth0|2 by revoke-access
    do: Block waad|1 (risk high, at risk: leakedCredentials)
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
}

#[test]
fn an_alert_under_the_level_leaves_alone_and_says_why() {
    assert_snapshot!(anna().alert(RiskLevel::Medium).print(), @"
    no case
    held: risk medium (at risk) is under the level that is acted on (high)
    next: settled
    ");
}

#[test]
fn the_level_of_the_policy_is_acted_on_and_the_one_below_is_not() {
    let levels = [RiskLevel::Low, RiskLevel::Medium, RiskLevel::High];
    for needed in levels {
        for told in levels {
            let scene = anna().policy(|policy| policy.contain.risk_level = needed).alert(told);
            assert_eq!(opens(&scene), told >= needed, "told {told:?}, needed {needed:?}");
        }
    }
}

#[test]
fn a_source_may_have_a_level_of_its_own() {
    let scene = anna().source(Source::AzureMonitor, Some(RiskLevel::Low), None);
    assert!(opens(&scene.clone().alert_from(Source::AzureMonitor, RiskLevel::Low, RiskState::AtRisk)));
    assert!(!opens(&scene.alert_from(Source::Risk, RiskLevel::Low, RiskState::AtRisk)));
}

#[test]
fn a_source_may_be_trusted_less_than_the_rest() {
    let scene = anna()
        .policy(|policy| policy.contain.risk_level = RiskLevel::Low)
        .source(Source::AzureMonitor, Some(RiskLevel::High), None)
        .alert_from(Source::AzureMonitor, RiskLevel::Medium, RiskState::AtRisk);
    assert_snapshot!(scene.print(), @"
    no case
    held: risk medium (at risk) is under the level that is acted on (high)
    next: settled
    ");
}

#[test]
fn confirmed_compromised_contains_at_any_level() {
    for level in [RiskLevel::Unknown, RiskLevel::None, RiskLevel::Low, RiskLevel::High] {
        let scene = anna().alert_from(Source::Risk, level, RiskState::ConfirmedCompromised);
        assert!(opens(&scene), "{level:?}");
    }
}

#[test]
fn a_hidden_level_is_not_high_and_not_none() {
    let hidden = RiskLevel::read("hidden");
    let low = |policy: &mut crate::policy::Policy| policy.contain.risk_level = RiskLevel::Low;
    assert_snapshot!(anna().policy(low).alert(hidden).print(), @"
    no case
    held: risk unknown (at risk) is under the level that is acted on (low)
    next: settled
    ");
}

#[test]
fn a_hidden_level_contains_when_entra_shows_the_real_one() {
    let scene = anna().risk(RiskLevel::High, RiskState::AtRisk, at("07:59:00")).alert(RiskLevel::Unknown);
    assert_snapshot!(scene.print(), @"
    requested, contain: risk high, at risk: leakedCredentials
      waad|1 block wanted; open: not blocked by this case yet, sessions and refresh tokens not ended yet
    do: Block waad|1 (risk high, at risk: leakedCredentials)
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
}

#[test]
fn a_hidden_level_waits_for_graph_when_only_graph_can_tell() {
    assert_snapshot!(anna().graph_unread().alert(RiskLevel::Unknown).print(), @"
    no case
    held: risk unknown (at risk) is under the level that is acted on (high)
    held: only Graph can tell, and it was not heard: Graph answered 503
    next: when Graph answers
    ");
}

#[test]
fn a_low_alert_does_not_wait_for_graph() {
    let plan = anna().graph_unread().alert(RiskLevel::Low).plan();
    assert_eq!((plan.case, plan.next), (None, Next::Settled));
}

#[test]
fn the_evidence_of_an_alert_acts_when_graph_cannot_be_read() {
    assert_snapshot!(anna().graph_unread().alert(RiskLevel::High).print(), @"
    requested, contain: risk high, at risk: leakedCredentials
      waad|1 block wanted; open: not blocked by this case yet, sessions and refresh tokens not ended yet
    do: Block waad|1 (risk high, at risk: leakedCredentials)
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
}

#[test]
fn the_evidence_of_an_alert_acts_when_entra_lags_behind_it() {
    assert!(opens(&anna().alert(RiskLevel::High)), "nothing listed yet");
    assert!(opens(&anna().risk(RiskLevel::Low, RiskState::AtRisk, at("07:00:00")).alert(RiskLevel::High)));
    assert!(opens(
        &anna().risk(RiskLevel::None, RiskState::Remediated, at("07:00:00")).alert(RiskLevel::High)
    ));
}

#[test]
fn entra_saying_high_now_raises_a_medium_alert() {
    let scene = anna().risk(RiskLevel::High, RiskState::AtRisk, at("08:00:00")).alert(RiskLevel::Medium);
    assert_snapshot!(scene.print(), @"
    requested, contain: risk high, at risk: leakedCredentials
      waad|1 block wanted; open: not blocked by this case yet, sessions and refresh tokens not ended yet
    do: Block waad|1 (risk high, at risk: leakedCredentials)
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
}

#[test]
fn cleared_by_entra_at_or_after_the_alert_leaves_alone() {
    for cleared in [RiskState::Dismissed, RiskState::Remediated, RiskState::ConfirmedSafe] {
        // The alert was detected at 07:59:55.
        for (updated_at, contains) in [("07:59:54", true), ("07:59:55", false), ("07:59:56", false)] {
            let scene = anna().risk(RiskLevel::None, cleared, at(updated_at)).alert(RiskLevel::High);
            assert_eq!(opens(&scene), contains, "{cleared:?} at {updated_at}");
        }
    }
    let scene = anna().dismissed().alert(RiskLevel::High);
    assert_snapshot!(scene.print(), @"
    no case
    held: Entra says dismissed since 2026-03-02T08:00:00Z, after this alert
    next: settled
    ");
}

#[test]
fn a_clearing_without_a_time_overtakes_nothing() {
    let mut scene = anna().dismissed().alert(RiskLevel::High);
    let crate::snapshot::RiskView::Known(risk) = &mut scene.snapshot.risk else { panic!("a known risk") };
    risk.updated_at = None;
    assert!(opens(&scene));
}

#[test]
fn an_alert_that_says_cleared_contains_nobody() {
    for cleared in [RiskState::Dismissed, RiskState::Remediated, RiskState::ConfirmedSafe, RiskState::None] {
        let scene = anna().alert_from(Source::Risk, RiskLevel::High, cleared);
        assert!(!opens(&scene), "{cleared:?}");
    }
}

#[test]
fn an_alert_without_a_time_counts_from_when_it_was_received() {
    let mut told = evidence(RiskLevel::High, RiskState::AtRisk, at("07:00:00"));
    told.detected_at = None;
    let scene = anna().ask(Source::Risk, EventKind::RiskReported(told));
    assert!(opens(&scene.clone().risk(RiskLevel::None, RiskState::Dismissed, at("07:59:59"))));
    assert!(!opens(&scene.risk(RiskLevel::None, RiskState::Dismissed, at("08:00:00"))));
}

#[test]
fn one_of_several_alerts_is_enough() {
    let scene = anna().alert(RiskLevel::Low).alert(RiskLevel::High).alert(RiskLevel::Medium);
    let case = scene.plan().case.expect("a case");
    assert!(matches!(&case.reason, Reason::Risk(told) if told.level == RiskLevel::High));
    assert_eq!(case.event, scene.snapshot.asks[1].id);
}

#[test]
fn a_source_whose_response_is_ignored_opens_nothing() {
    let scene = anna().source(Source::AzureMonitor, None, Some(Response::Ignore)).alert_from(
        Source::AzureMonitor,
        RiskLevel::High,
        RiskState::AtRisk,
    );
    assert_snapshot!(scene.print(), @"
    no case
    held: the policy ignores this (risk high, at risk: leakedCredentials, told by azure_monitor)
    next: settled
    ");
}
