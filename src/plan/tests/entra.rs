//! What Entra says of the account: disabled, deleted, restored, missing, not told, not heard.

use insta::assert_snapshot;

use super::scene::{Scene, person};
use crate::case::Response;
use crate::event::{EventKind, RiskLevel, Source};
use crate::plan::Next;
use crate::snapshot::Enabled;

fn anna() -> Scene {
    person("anna").account("waad|1")
}

#[test]
fn a_disabled_person_is_contained() {
    assert_snapshot!(anna().disabled().told_changed().print(), @"
    requested, contain: account disabled in Entra
      waad|1 block wanted; open: not blocked by this case yet, sessions and refresh tokens not ended yet
    do: Block waad|1 (account disabled in Entra)
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
}

#[test]
fn a_disabled_person_is_found_by_any_event() {
    for kind in [EventKind::UserUpdated, EventKind::UserDeleted, EventKind::Escalated] {
        let scene = anna().disabled().ask(Source::Graph, kind.clone());
        assert_eq!(scene.plan().actions.len(), 2, "{kind:?}");
    }
    assert_eq!(anna().disabled().alert(RiskLevel::Low).plan().actions.len(), 2);
}

#[test]
fn disabled_not_told_is_not_disabled() {
    assert_snapshot!(anna().with_enabled(Enabled::NotTold).told_changed().print(), @"
    no case
    held: nothing calls for containment
    next: settled
    ");
}

#[test]
fn an_enabled_person_is_left_alone() {
    assert_snapshot!(anna().told_changed().print(), @"
    no case
    held: nothing calls for containment
    next: settled
    ");
}

#[test]
fn a_soft_deleted_person_is_contained() {
    assert_snapshot!(anna().soft_deleted().told_changed().print(), @"
    requested, contain: account deleted in Entra
      waad|1 block wanted; open: not blocked by this case yet, sessions and refresh tokens not ended yet
    do: Block waad|1 (account deleted in Entra)
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
}

#[test]
fn a_missing_person_whose_deletion_was_told_is_contained() {
    assert_snapshot!(anna().missing().told_deleted().print(), @"
    requested, contain: account deleted in Entra
      waad|1 block wanted; open: not blocked by this case yet, sessions and refresh tokens not ended yet
    do: Block waad|1 (account deleted in Entra)
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
}

#[test]
fn a_missing_person_is_no_evidence_by_itself() {
    assert_snapshot!(anna().missing().told_changed().print(), @"
    no case
    held: nothing calls for containment
    next: settled
    ");
}

#[test]
fn a_missing_person_with_an_alert_is_contained_for_the_alert() {
    let case = anna().missing().alert(RiskLevel::High).plan().case.expect("a case");
    assert_eq!(case.reason.sentence(), "risk high, at risk: leakedCredentials");
    assert_eq!(anna().missing().alert(RiskLevel::Low).plan().case, None);
}

#[test]
fn a_deletion_told_of_somebody_who_is_there_is_out_of_date() {
    assert_snapshot!(anna().told_deleted().print(), @"
    no case
    held: nothing calls for containment
    next: settled
    ");
}

#[test]
fn a_deletion_told_while_graph_is_away_waits_for_graph() {
    assert_snapshot!(anna().directory_unread().told_deleted().print(), @"
    no case
    held: nothing calls for containment
    held: only Graph can tell, and it was not heard: Graph answered 503
    next: when Graph answers
    ");
}

#[test]
fn a_change_told_while_graph_is_away_waits_for_graph() {
    let plan = anna().graph_unread().told_changed().plan();
    assert_eq!((plan.case, plan.next), (None, Next::WhenGraphAnswers));
}

#[test]
fn a_deletion_settles_when_graph_has_confirmed_or_denied_it() {
    assert_eq!(anna().told_deleted().plan().next, Next::Settled);
    let verified = anna().missing().told_deleted().verified();
    assert_eq!(verified.plan().next, Next::Settled);
}

#[test]
fn the_policy_says_what_disabled_and_deleted_lead_to() {
    let notify_disabled = anna().policy(|policy| policy.contain.on_disabled = Response::Notify);
    assert_snapshot!(notify_disabled.disabled().told_changed().print(), @"
    not acted, notify: account disabled in Entra
      waad|1 block not wanted
    held: the policy only tells
    next: settled
    ");
    let end_sessions = anna().policy(|policy| policy.contain.on_deleted = Response::EndSessions);
    assert_snapshot!(end_sessions.soft_deleted().told_changed().print(), @"
    requested, end-sessions: account deleted in Entra
      waad|1 block not wanted; open: sessions and refresh tokens not ended yet
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
    let ignore_deleted = anna().policy(|policy| policy.contain.on_deleted = Response::Ignore);
    assert_snapshot!(ignore_deleted.missing().told_deleted().print(), @"
    no case
    held: the policy ignores this (account deleted in Entra, told by graph)
    next: settled
    ");
}

#[test]
fn an_operator_contains_whoever_entra_finds_fine() {
    assert_snapshot!(anna().operator_contains().print(), @"
    requested, contain: asked for by ops@acme: phished
      waad|1 block wanted; open: not blocked by this case yet, sessions and refresh tokens not ended yet
    do: Block waad|1 (asked for by ops@acme: phished)
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
    assert_eq!(anna().graph_unread().operator_contains().plan().actions.len(), 2);
    assert_eq!(anna().dismissed().operator_contains().plan().actions.len(), 2);
}

#[test]
fn an_operators_request_names_the_case_even_if_entra_says_disabled() {
    let case = anna().disabled().operator_contains().plan().case.expect("a case");
    assert_eq!(case.reason.sentence(), "asked for by ops@acme: phished");
    assert_eq!(case.source, Source::Operator);
}

#[test]
fn nothing_asked_is_nothing_done() {
    for scene in [anna(), anna().disabled(), anna().soft_deleted(), anna().missing()] {
        let plan = scene.plan();
        assert_eq!((plan.case, plan.actions.len(), plan.next), (None, 0, Next::Settled));
    }
}

#[test]
fn a_deletion_unheard_is_waited_for_though_an_alert_has_contained_meanwhile() {
    let both = anna().directory_unread().told_deleted().alert(RiskLevel::High);
    assert_eq!(both.verified().plan().next, Next::WhenGraphAnswers);
}
