//! Proving it: what the read-back still finds, when it is asked for again, and how long to wait in between.

use std::time::Duration;

use insta::assert_snapshot;

use super::scene::{Scene, counts, id, person};
use crate::case::{CaseState, Means};
use crate::event::RiskLevel;
use crate::plan::Next;
use crate::snapshot::{Access, Count};

/// Blocked, and access ended at 08:00:00.
fn ended() -> Scene {
    person("anna").account("waad|1").alert(RiskLevel::High).applied()
}

fn after(scene: &Scene, millis: u64) -> Scene {
    scene.clone().later(Duration::from_millis(millis))
}

#[test]
fn nothing_left_is_verified() {
    assert_snapshot!(ended().print(), @"
    verified, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access
    next: settled
    ");
}

#[test]
fn sessions_left_are_said_and_waited_for() {
    assert_snapshot!(after(&ended(), 500).left("waad|1", counts(3, 0)).print(), @"
    accepted, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access; open: 3 sessions
    next: again in 100ms
    ");
}

#[test]
fn refresh_tokens_left_are_said_and_waited_for() {
    assert_snapshot!(after(&ended(), 500).left("waad|1", counts(0, 1)).print(), @"
    accepted, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access; open: 1 refresh tokens
    next: again in 100ms
    ");
}

#[test]
fn access_not_read_back_is_not_proven() {
    assert_snapshot!(ended().left("waad|1", Access::default()).print(), @"
    accepted, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access; open: sessions not read back yet, refresh tokens not read back yet
    next: again in 100ms
    ");
}

#[test]
fn what_the_plan_does_not_list_is_not_open() {
    let unlisted =
        Access { sessions: Count::NotInPlan, refresh_tokens: Count::NotInPlan, ..Access::default() };
    let plan = ended().left("waad|1", unlisted).plan();
    assert_eq!(plan.case.expect("a case").state, CaseState::Verified);
}

#[test]
fn each_means_is_proven_by_what_it_ends() {
    let grants_left = Access { grants: Count::Is(2), device_credentials: Count::Is(1), ..counts(0, 0) };
    let sessions_left = counts(4, 4);
    for (means, proven_by_grants, proven_by_sessions) in [
        (Means::RevokeAccess, true, false),
        (Means::SessionsAndTokens, true, false),
        (Means::GrantsAndDevices, false, true),
    ] {
        let scene = person("anna").account("waad|1").means(means).alert(RiskLevel::High).applied();
        let proven = |access: &Access| {
            scene.clone().left("waad|1", access.clone()).saved().case().state == CaseState::Verified
        };
        assert_eq!(proven(&grants_left), proven_by_grants, "{means:?}, grants left");
        assert_eq!(proven(&sessions_left), proven_by_sessions, "{means:?}, sessions left");
    }
}

#[test]
fn the_read_back_goes_by_the_means_that_ended_access_not_by_the_one_learned_since() {
    let scene = ended().means(Means::GrantsAndDevices).left("waad|1", counts(1, 0));
    let case = scene.plan().case.expect("a case");
    assert_eq!(case.accounts[&id("waad|1")].open, ["1 sessions"]);
}

#[test]
fn access_is_ended_again_only_after_auth0_had_time_to_delete() {
    for (millis, again) in [(100, 0), (14_999, 0), (15_000, 1), (60_000, 1)] {
        let plan = after(&ended(), millis).left("waad|1", counts(1, 0)).plan();
        assert_eq!(plan.actions.len(), again, "after {millis} ms");
    }
    assert_snapshot!(after(&ended(), 15_000).left("waad|1", counts(1, 0)).print(), @"
    accepted, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access; open: 1 sessions
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
}

#[test]
fn asked_again_it_gets_its_time_again() {
    let again = after(&ended(), 15_000).left("waad|1", counts(1, 0)).applied().left("waad|1", counts(1, 0));
    assert!(after(&again, 14_999).plan().actions.is_empty());
    assert_eq!(after(&again, 15_000).plan().actions.len(), 1);
}

#[test]
fn access_with_nothing_left_is_never_ended_again() {
    assert!(after(&ended(), 3_600_000).plan().actions.is_empty());
}

#[test]
fn access_whose_end_was_never_accepted_is_asked_for_at_every_look() {
    let unanswered = person("anna").account("waad|1").alert(RiskLevel::High).saved();
    assert_eq!(unanswered.plan().actions.len(), 2);
    assert_eq!(after(&unanswered, 10).saved().plan().actions.len(), 2);
}

#[test]
fn past_the_deadline_it_says_so_and_what_is_open() {
    let open = ended().left("waad|1", counts(1, 2)).saved();
    assert_snapshot!(after(&open, 120_000).print(), @"
    accepted, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access; open: 1 sessions, 2 refresh tokens
    do: End access of waad|1 by revoke-access
    next: again in 30s
    ");
    assert_snapshot!(after(&open, 121_000).print(), @"
    accepted, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access; open: 1 sessions, 2 refresh tokens
      open: not verified by 2026-03-02T08:02:00Z
    do: End access of waad|1 by revoke-access
    next: again in 30s
    ");
}

#[test]
fn verified_past_the_deadline_is_verified() {
    let late = after(&ended().left("waad|1", counts(1, 0)).saved(), 600_000);
    assert_eq!(late.left("waad|1", counts(0, 0)).saved().case().open, Vec::<String>::new());
}

#[test]
fn looks_come_soon_at_first_and_then_ever_more_rarely() {
    let open = ended().left("waad|1", counts(1, 0)).saved();
    let waits = [0, 100, 400, 2_000, 10_000, 59_000, 60_000, 3_600_000];
    let next = waits.map(|millis| match after(&open, millis).plan().next {
        Next::Again(wait) => wait.as_millis(),
        other => panic!("{other:?} after {millis} ms"),
    });
    assert_eq!(next, [100, 100, 200, 1_000, 5_000, 29_500, 30_000, 30_000]);
}

#[test]
fn accepted_and_verified_keep_their_first_times() {
    let open = after(&ended(), 300).left("waad|1", counts(1, 0)).saved();
    let verified = after(&open, 700).left("waad|1", counts(0, 0)).saved();
    let looked_again = after(&verified, 60_000).saved();
    let times = |scene: &Scene| (scene.case().accepted_at, scene.case().verified_at);
    assert_eq!(times(&open), (Some(open.now), None));
    assert_eq!(times(&verified), (Some(open.now), Some(verified.now)));
    assert_eq!(times(&looked_again), times(&verified));
}

#[test]
fn unblocked_by_somebody_it_is_blocked_again_and_proven_again() {
    let verified = ended().saved();
    let undone = after(&verified, 60_000).unblocked_by_somebody("waad|1");
    assert_snapshot!(undone.print(), @"
    requested, contain: risk high, at risk: leakedCredentials
      waad|1 block wanted, ended by revoke-access; open: not blocked by this case yet
    do: Block waad|1 (risk high, at risk: leakedCredentials)
    next: again in 100ms
    ");
    let redone = undone.applied().saved();
    assert_eq!(redone.case().state, CaseState::Verified);
    assert_eq!(redone.case().verified_at, Some(redone.now));
}

#[test]
fn a_sign_in_between_the_unblock_and_the_new_block_is_ended_too() {
    let undone = after(&ended().saved(), 60_000).unblocked_by_somebody("waad|1").left("waad|1", counts(1, 1));
    assert_snapshot!(undone.print(), @"
    requested, contain: risk high, at risk: leakedCredentials
      waad|1 block wanted, ended by revoke-access; open: not blocked by this case yet, 1 sessions, 1 refresh tokens
    do: Block waad|1 (risk high, at risk: leakedCredentials)
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
}

#[test]
fn a_look_at_a_verified_case_is_settled_and_changes_nothing() {
    let verified = ended().saved();
    let plan = after(&verified, 60_000).plan();
    assert_eq!((plan.actions.len(), plan.next), (0, Next::Settled));
    assert_eq!(plan.case.as_ref(), Some(verified.case()));
}

#[test]
fn contained_anew_it_gets_a_deadline_and_a_pace_of_its_own() {
    let undone =
        after(&ended().saved(), 3_600_000).unblocked_by_somebody("waad|1").left("waad|1", counts(1, 0));
    let again = undone.applied().left("waad|1", counts(1, 0));
    assert_eq!(again.case().verify_by, crate::clock::after(undone.now, Duration::from_secs(120)));
    let open = after(&again, 200).saved();
    assert_eq!(open.case().state, CaseState::Accepted);
    let again_after = |millis| after(&open, millis).plan().next;
    assert_eq!(again_after(0), Next::Again(Duration::from_millis(100)));
    assert_eq!(again_after(4_000), Next::Again(Duration::from_secs(2)));
    assert_eq!(open.case().open, Vec::<String>::new(), "it is not late");
}

#[test]
fn a_block_that_fails_again_and_again_does_not_put_off_its_deadline() {
    let undone = after(&ended().saved(), 60_000).unblocked_by_somebody("waad|1").saved();
    let deadline = undone.case().verify_by;
    let late = after(&undone, 121_000).saved();
    assert_eq!(late.case().verify_by, deadline);
    assert!(
        late.case().open.iter().any(|open| open.starts_with("not verified by")),
        "{:?}",
        late.case().open
    );
}

#[test]
fn what_is_verified_stays_so_while_auth0_cannot_be_read_and_says_so() {
    let verified = ended().saved();
    let unread = after(&verified, 60_000).auth0_unread();
    assert_snapshot!(unread.print(), @"
    verified, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access
      open: Auth0 could not be read: Auth0 answered 503
    next: again in 1s
    ");
    let unsearched = after(&verified, 60_000).linked_only();
    assert_eq!(unsearched.saved().case().state, CaseState::Verified);
    assert_ne!(unsearched.plan().next, Next::Settled);
    let read = after(&verified, 61_000).saved();
    assert_eq!((read.case().verified_at, read.case().open.len()), (verified.case().verified_at, 0));
    let undone = unsearched.unblocked_by_somebody("waad|1").saved();
    assert_eq!(undone.case().state, CaseState::Requested, "what was found speaks against it");
}
