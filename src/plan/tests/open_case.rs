//! What a case says of itself when it is opened, and that further events join it instead of opening another.

use std::time::Duration;

use insta::assert_snapshot;

use super::scene::{Scene, at, case_of_event, person};
use crate::case::{Case, CaseId, Deletion, Reason};
use crate::event::{EventKind, RiskLevel, Source};

fn anna() -> Scene {
    person("anna").account("waad|1")
}

#[test]
fn a_case_is_named_by_the_event_that_opens_it() {
    let mut scene = anna().told_changed().alert(RiskLevel::High);
    scene.snapshot.asks[1].signal_at = Some(at("07:59:00"));
    scene.snapshot.asks[1].received_at = at("07:59:30");
    let case = scene.plan().case.expect("a case");
    let alert = &scene.snapshot.asks[1];
    assert_eq!((case.id, case.event), (CaseId::opened_by(alert.id), alert.id));
    assert_eq!((case.signal_at, case.received_at), (alert.signal_at, alert.received_at));
    assert_eq!((case.opened_at, case.verify_by), (scene.now, at("08:02:00")));
    assert_eq!((case.subject, case.source), (scene.snapshot.subject, Source::Risk));
    assert_eq!((case.version, case.display_name.as_deref()), (1, Some("anna")));
    assert_eq!((case.accepted_at, case.verified_at, case.released_at), (None, None, None));
}

#[test]
fn the_deadline_is_the_policys() {
    let scene = anna().policy(|policy| policy.contain.verify_within_seconds = 30).alert(RiskLevel::High);
    assert_eq!(scene.plan().case.expect("a case").verify_by, at("08:00:30"));
}

#[test]
fn a_case_opened_without_graph_learns_the_name_later_and_keeps_it() {
    let nameless = anna().graph_unread().alert(RiskLevel::High).saved();
    assert_eq!(nameless.case().display_name, None);
    let named = nameless.enabled().saved();
    assert_eq!(named.case().display_name.as_deref(), Some("anna"));
    assert_eq!(named.graph_unread().saved().case().display_name.as_deref(), Some("anna"));
}

#[test]
fn further_signals_join_the_open_case() {
    let contained = anna().alert(RiskLevel::High).verified().answered().later(Duration::from_secs(60));
    for scene in [
        contained.clone().alert(RiskLevel::High),
        contained.clone().alert(RiskLevel::Low),
        contained.clone().disabled().told_changed(),
        contained.clone().soft_deleted().told_deleted(),
        contained.clone().operator_contains(),
        contained.clone().ask(Source::Graph, EventKind::UserUpdated),
    ] {
        let plan = scene.plan();
        assert_eq!(plan.case.expect("a case").id, case_of_event(1));
        assert!(plan.actions.is_empty());
    }
}

#[test]
fn the_same_alert_ten_times_is_one_case_and_two_writes() {
    let scene = (0..10).fold(anna(), |scene, _| scene.alert(RiskLevel::High));
    let plan = scene.plan();
    assert_eq!(plan.actions.len(), 2);
    assert_eq!(plan.case.expect("a case").id, case_of_event(1));
}

#[test]
fn an_operator_gives_the_reason_before_everything_else() {
    let case = anna().disabled().alert(RiskLevel::High).operator_contains().plan().case.expect("a case");
    assert!(matches!(case.reason, Reason::Operator { .. }));
    let case = anna().disabled().alert(RiskLevel::High).plan().case.expect("a case");
    assert_eq!(case.reason, Reason::Disabled);
}

#[test]
fn a_deletion_counts_from_its_own_first_word() {
    let day = Duration::from_secs(86_400);
    let disabled = anna().disabled().told_changed().verified();
    assert_eq!(disabled.case().deletion_told_at(), None);
    let deleted = disabled.answered().later(31 * day).soft_deleted().told_deleted().saved();
    let told = deleted.now;
    assert_eq!(deleted.case().deletion_told_at(), Some(told));
    let again = deleted.clone().answered().later(day).told_deleted().saved();
    assert_eq!(again.case().deletion_told_at(), Some(told), "the first word stands");
    let former = Case { deletion: None, ..again.case().clone() };
    assert_eq!(former.deletion_told_at(), Some(again.now), "unknown is never early");
    let back = again.operator_contains().disabled().saved();
    assert_eq!(back.case().deletion, Some(Deletion::TakenBack));
    let anew = back.answered().later(day).soft_deleted().told_changed().saved();
    assert_eq!(anew.case().deletion_told_at(), Some(anew.now));
}

#[test]
fn whoever_has_no_account_and_shares_an_address_with_somebody_is_told_of() {
    let anna = person("anna").with_mail().alert(RiskLevel::High);
    assert_snapshot!(anna.print(), @"
    no case
    held: the person has no Auth0 account: nothing to contain
    next: ask for look-alikes
    ");
    assert_snapshot!(anna.clone().look_alikes(&[]).print(), @"
    no case
    held: the person has no Auth0 account: nothing to contain
    next: settled
    ");
    let alike = anna.look_alikes(&["auth0|7", "auth0|8"]);
    assert_snapshot!(alike.print(), @"
    not acted, contain: risk high, at risk: leakedCredentials
      open: the person has no Auth0 account: nothing to contain
    held: the person has no Auth0 account: nothing to contain
    next: settled
    ");
    let case = alike.plan().case.expect("a case");
    assert_eq!(case.look_alikes.expect("look-alikes").accounts.len(), 2);
    let again = alike.saved().answered().later(Duration::from_secs(60)).alert(RiskLevel::High);
    assert!(again.plan().case.is_none(), "once an hour");
}

#[test]
fn nobody_is_looked_for_where_nothing_calls_for_containment_or_no_address_is_known() {
    let settled = |scene: super::scene::Scene| scene.plan().next == crate::plan::Next::Settled;
    assert!(settled(person("anna").with_mail().alert(RiskLevel::Low)));
    assert!(settled(person("anna").alert(RiskLevel::High)));
}
