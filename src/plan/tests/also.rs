//! What the policy also wants ended: in which order, how it is proven, what a refusal and a failure lead to.

use std::time::Duration;

use insta::assert_snapshot;

use super::scene::{Scene, counts, id, nothing_left, person};
use crate::case::also::{AlsoState, Extra};
use crate::case::{CaseState, Means, Response};
use crate::event::{RiskLevel, Source};
use crate::plan::Next;
use crate::snapshot::{Access, Count};

const ALL: [Extra; 3] = [Extra::Grants, Extra::DeviceCredentials, Extra::TokenVault];

/// Blocked, and access ended at 08:00:00.
fn ended(also: impl IntoIterator<Item = Extra>) -> Scene {
    person("anna").account("waad|1").also(also).alert(RiskLevel::High).applied()
}

fn after(scene: &Scene, millis: u64) -> Scene {
    scene.clone().later(Duration::from_millis(millis))
}

fn state(scene: &Scene) -> CaseState {
    scene.plan().case.expect("a case").state
}

#[test]
fn a_policy_that_names_nothing_wants_two_writes() {
    assert!(ended([]).plan().actions.is_empty());
    assert_eq!(state(&ended([])), CaseState::Verified);
}

#[test]
fn the_first_writes_are_the_same_whatever_else_is_wanted() {
    let scene = person("anna").account("waad|1").also(ALL).alert(RiskLevel::High);
    assert_snapshot!(scene.print(), @"
    requested, contain: risk high, at risk: leakedCredentials
      waad|1 block wanted; open: not blocked by this case yet, sessions and refresh tokens not ended yet
    do: Block waad|1 (risk high, at risk: leakedCredentials)
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
}

#[test]
fn it_is_ended_when_the_block_is_seen_and_the_end_of_access_accepted() {
    assert_snapshot!(ended(ALL).print(), @"
    accepted, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access, grants wanted, device credentials wanted, Token Vault token sets wanted; open: grants not ended yet, device credentials not ended yet, Token Vault token sets not ended yet
    do: End grants of waad|1
    do: End device credentials of waad|1
    do: End Token Vault token sets of waad|1
    next: again in 100ms
    ");
    let lost = person("anna").account("waad|1").also(ALL).alert(RiskLevel::High).saved();
    assert!(
        lost.plan().actions.iter().all(|action| !action.word().contains("grants")),
        "the writes were lost"
    );
}

#[test]
fn nothing_left_is_verified() {
    assert_snapshot!(ended(ALL).applied().print(), @"
    verified, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access, grants ended, device credentials ended, Token Vault token sets ended
    next: settled
    ");
}

#[test]
fn what_is_left_is_said_waited_for_and_ended_again() {
    let left = Access { grants: Count::Is(1), token_sets: Count::Is(2), ..nothing_left() };
    let scene = ended(ALL).applied().left("waad|1", left);
    assert_snapshot!(after(&scene, 500).print(), @"
    accepted, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access, grants ended, device credentials ended, Token Vault token sets ended; open: 1 grants, 2 Token Vault token sets
    next: again in 250ms
    ");
    assert!(after(&scene, 14_999).plan().actions.is_empty());
    assert_snapshot!(after(&scene, 15_000).print(), @"
    accepted, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access, grants wanted, device credentials ended, Token Vault token sets wanted; open: 1 grants, 2 Token Vault token sets
    do: End grants of waad|1
    do: End Token Vault token sets of waad|1
    next: again in 7.5s
    ");
}

#[test]
fn what_was_not_read_back_is_not_proven() {
    let unread = Access { grants: Count::Unread, ..nothing_left() };
    let scene = ended([Extra::Grants]).applied().left("waad|1", unread);
    assert_eq!(state(&scene), CaseState::Accepted);
    assert!(after(&scene, 20_000).plan().actions.is_empty(), "it is looked at again, not done again");
}

#[test]
fn what_was_proven_stays_so_when_it_cannot_be_read_once_more() {
    let unread = Access { grants: Count::Unread, ..nothing_left() };
    let proven = ended([Extra::Grants]).applied().verified();
    let scene = after(&proven, 600_000).alert(RiskLevel::High).left("waad|1", unread);
    let case = scene.plan().case.expect("a case");
    assert_eq!(
        (case.state, case.verified_at),
        (CaseState::Verified, proven.plan().case.unwrap().verified_at)
    );
    assert!(case.open.is_empty() && scene.plan().actions.is_empty(), "{:?}", case.open);
    let found = Access { grants: Count::Is(1), ..nothing_left() };
    let found = scene.saved().left("waad|1", found);
    assert_eq!(state(&found), CaseState::Accepted, "something speaks against it");
    let unread = Access { grants: Count::Unread, ..nothing_left() };
    assert_eq!(state(&found.saved().left("waad|1", unread)), CaseState::Accepted, "and is not unsaid");
}

#[test]
fn what_may_not_be_listed_is_told_and_does_not_hold_up_the_lockout() {
    let unlisted = Access { grants: Count::NotInPlan, ..nothing_left() };
    let scene = ended([Extra::Grants]).applied().left("waad|1", unlisted);
    assert_snapshot!(scene.print(), @"
    verified, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access, grants ended, unproven
    next: settled
    ");
    assert_snapshot!(after(&scene.saved(), 60_000).left("waad|1", nothing_left()).print(), @"
    verified, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access, grants ended, unproven
    next: settled
    ");
}

#[test]
fn a_refusal_is_told_does_not_hold_up_the_lockout_and_is_not_tried_for_ever() {
    let refused = AlsoState::Refused { at: ended([]).now, why: "auth0 token_sets.list: 403".into() };
    let scene = ended([Extra::TokenVault]).applied().answered_with("waad|1", Extra::TokenVault, refused);
    assert_snapshot!(scene.print(), @"
    verified, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access, Token Vault token sets refused (auth0 token_sets.list: 403)
    next: settled
    ");
    let later = after(&scene.saved().answered(), 3_600_000).told_changed().disabled();
    assert!(later.plan().actions.is_empty(), "what Entra shows again and again asks for nothing");
    let asked = after(&scene.saved().answered(), 3_600_000).operator_contains();
    assert_eq!(asked.plan().actions.len(), 1, "a person may have mended it");
    let again = asked.applied().answered_with(
        "waad|1",
        Extra::TokenVault,
        AlsoState::Refused { at: asked.now, why: "auth0 token_sets.list: 403".into() },
    );
    assert!(again.plan().actions.is_empty());
}

#[test]
fn a_failure_is_tried_again_after_a_while() {
    let failed = AlsoState::Failed { at: ended([]).now, why: "auth0 grants.delete: throttled (429)".into() };
    let scene = ended([Extra::Grants]).applied().answered_with("waad|1", Extra::Grants, failed);
    assert_snapshot!(after(&scene, 14_999).print(), @"
    accepted, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access, grants failed (auth0 grants.delete: throttled (429)); open: grants not ended yet: auth0 grants.delete: throttled (429)
    next: again in 7.4995s
    ");
    assert_snapshot!(after(&scene, 15_000).print(), @"
    accepted, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access, grants wanted; open: grants not ended yet: auth0 grants.delete: throttled (429)
    do: End grants of waad|1
    next: again in 7.5s
    ");
}

#[test]
fn what_the_means_has_ended_already_is_not_ended_twice() {
    let scene = person("anna").account("waad|1").also(ALL).means(Means::GrantsAndDevices);
    assert_snapshot!(scene.alert(RiskLevel::High).applied().print(), @"
    accepted, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by grants and device credentials, Token Vault token sets wanted; open: Token Vault token sets not ended yet
    do: End Token Vault token sets of waad|1
    next: again in 100ms
    ");
}

#[test]
fn under_the_brake_only_sessions_end_and_what_cannot_be_given_back_stays() {
    let scene = person("anna").account("waad|1").also(ALL).recent_containments(25).alert(RiskLevel::High);
    assert_snapshot!(scene.applied().print(), @"
    verified, end-sessions: risk high, at risk: leakedCredentials
      restrained: contain brake: only sessions were ended, sign-in is still possible
      waad|1 block not wanted, ended by revoke-access
    next: settled
    ");
    let blocked = scene.verified().operator_contains().applied();
    assert_eq!(blocked.plan().actions.len(), 3, "a person has decided: it is a lockout now");
}

#[test]
fn a_policy_that_only_ends_sessions_ends_nothing_for_good() {
    let scene = person("anna").account("waad|1").also(ALL).policy(|policy| {
        policy.contain.on_disabled = Response::EndSessions;
    });
    assert!(scene.disabled().told_changed().applied().plan().actions.is_empty());
}

#[test]
fn observe_mode_says_what_would_be_ended() {
    let scene = person("anna").account("waad|1").also(ALL).observe().alert(RiskLevel::High);
    assert_snapshot!(scene.print(), @"
    not acted, contain: risk high, at risk: leakedCredentials
      restrained: observe mode: nothing is written
      waad|1 block wanted, grants wanted, device credentials wanted, Token Vault token sets wanted
    held: would Block waad|1 (risk high, at risk: leakedCredentials)
    held: would End access of waad|1 by revoke-access
    held: would End grants of waad|1
    held: would End device credentials of waad|1
    held: would End Token Vault token sets of waad|1
    held: observe mode: nothing is written
    next: settled
    ");
}

#[test]
fn of_an_account_that_became_protected_nothing_more_is_ended() {
    assert_snapshot!(ended(ALL).protected_account("waad|1").print(), @"
    verified, contain: risk high, at risk: leakedCredentials
      waad|1 left alone, protected, ended by revoke-access, grants wanted, device credentials wanted, Token Vault token sets wanted
    next: settled
    ");
}

#[test]
fn an_account_unblocked_meanwhile_is_blocked_first() {
    let plan = ended(ALL).unblocked_by_somebody("waad|1").plan();
    assert_eq!(plan.actions.iter().map(|action| action.word()).collect::<Vec<_>>(), ["action.block"]);
}

#[test]
fn a_session_that_lives_on_holds_up_nothing_else() {
    let plan = ended([Extra::Grants]).left("waad|1", counts(1, 0)).plan();
    assert_eq!(plan.actions.iter().map(|action| action.word()).collect::<Vec<_>>(), ["action.end_grants"]);
    assert_eq!(plan.actions[0].account(), Some(&id("waad|1")));
}

/// Verified as far as Auth0 is concerned.
fn closed() -> Scene {
    person("anna").account("waad|1").ends_entra_sessions().alert(RiskLevel::High).applied()
}

#[test]
fn entra_sessions_end_when_auth0_is_proven_and_are_no_part_of_that() {
    assert_snapshot!(closed().print(), @"
    verified, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access
      Entra sessions wanted
    do: End Entra sign-in sessions of 00000000-0000-0000-0000-0000616e6e61
    next: again in 15s
    ");
    assert_snapshot!(closed().applied().print(), @"
    verified, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access
      Entra sessions ended
    next: settled
    ");
    let failed =
        AlsoState::Failed { at: closed().now, why: "graph user.revoke_sessions: not reached".into() };
    let failed = closed().applied().entra_answered_with(failed);
    assert_snapshot!(after(&failed, 14_999).print(), @"
    verified, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access
      Entra sessions failed (graph user.revoke_sessions: not reached)
    next: again in 1s
    ");
    assert_eq!(after(&failed, 15_000).plan().actions.len(), 1);
}

#[test]
fn an_end_of_entra_sessions_that_goes_on_failing_is_tried_ever_more_rarely() {
    let failed = |scene: &Scene| {
        let why = "graph user.revoke_sessions: not reached".into();
        scene.applied().entra_answered_with(AlsoState::Failed { at: scene.now, why }).saved().answered()
    };
    let mut scene = failed(&closed());
    let mut waits = Vec::new();
    for _ in 0..9 {
        let Next::Again(wait) = scene.plan().next else { panic!("it is not given up") };
        assert!(after(&scene, wait.as_millis() as u64 - 1).plan().actions.is_empty());
        waits.push(wait.as_secs());
        scene = scene.later(wait);
        assert_eq!(scene.plan().actions.len(), 1, "after {waits:?}");
        scene = failed(&scene);
    }
    assert_eq!(waits, [15, 15, 30, 60, 120, 240, 480, 600, 600]);
    let asked = scene.later(Duration::from_secs(20)).operator_contains();
    assert_eq!(asked.plan().actions.len(), 1, "a person's word does not wait that long");
    assert_eq!(failed(&asked).plan().next, Next::Again(Duration::from_secs(15)), "and begins anew");
}

#[test]
fn an_auth0_that_deletes_late_holds_up_entra_sessions_for_five_seconds() {
    let late = closed().left("waad|1", counts(1, 0)).saved();
    assert!(after(&late, 4_999).plan().actions.is_empty());
    assert_eq!(after(&late, 5_000).plan().actions.len(), 1);
}

#[test]
fn entra_sessions_end_again_for_a_newer_word_and_for_nothing_else() {
    let ended = closed().applied().saved().answered().later(Duration::from_secs(60));
    assert!(ended.clone().told_changed().disabled().plan().actions.is_empty());
    assert_eq!(ended.clone().alert(RiskLevel::High).plan().actions.len(), 1);
    let again = ended.operator_contains().applied();
    assert!(again.plan().actions.is_empty(), "and that once");
}

#[test]
fn entra_sessions_stay_where_the_person_is_protected_in_part_gone_or_not_blocked() {
    let none = |scene: Scene| scene.plan().actions.iter().all(|action| action.account().is_some());
    assert!(none(closed().protected_account("waad|1")));
    assert!(none(closed().soft_deleted()));
    assert!(none(closed().unblocked_by_somebody("waad|1")));
    let braked = person("anna").account("waad|1").ends_entra_sessions().recent_containments(25);
    assert!(none(braked.alert(RiskLevel::High).applied()));
    assert!(none(closed().policy(|policy| policy.contain.also = Default::default())));
}

#[test]
fn observe_mode_says_that_entra_sessions_would_end() {
    let scene = person("anna").account("waad|1").ends_entra_sessions().observe().alert(RiskLevel::High);
    assert_snapshot!(scene.print(), @"
    not acted, contain: risk high, at risk: leakedCredentials
      restrained: observe mode: nothing is written
      waad|1 block wanted
      Entra sessions wanted
    held: would Block waad|1 (risk high, at risk: leakedCredentials)
    held: would End access of waad|1 by revoke-access
    held: would End Entra sign-in sessions of 00000000-0000-0000-0000-0000616e6e61
    held: observe mode: nothing is written
    next: settled
    ");
}

#[test]
fn observe_mode_says_nothing_of_it_where_only_sessions_would_end() {
    let scene = person("anna").account("waad|1").also(ALL).ends_entra_sessions().observe();
    let scene = scene.source(Source::Risk, None, Some(Response::EndSessions)).alert(RiskLevel::High);
    let plan = scene.plan();
    assert_eq!(plan.held[0], "would End access of waad|1 by revoke-access");
    assert_eq!(plan.held.len(), 2, "and why nothing is done: {:?}", plan.held);
    let case = plan.case.expect("a case");
    assert!(case.accounts.values().all(|progress| progress.also.is_empty()) && case.entra_sessions.is_none());
}
