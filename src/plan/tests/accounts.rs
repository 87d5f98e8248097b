//! Whose block it is, and which accounts there are: somebody else's block, an earlier stamp, gone, new, none.

use std::time::Duration;

use insta::assert_snapshot;

use super::scene::{Scene, case_of_event, id, nothing_left, person};
use crate::action::Action;
use crate::case::{BlockProgress, CaseState, Means};
use crate::event::RiskLevel;
use crate::plan::{Next, Plan};

fn anna() -> Scene {
    person("anna").account("waad|1")
}

fn blocks(plan: &Plan) -> Vec<&str> {
    let block = |action: &'_ Action| matches!(action, Action::Block { .. });
    plan.actions
        .iter()
        .filter(|action| block(action))
        .map(|action| action.account().expect("an account").as_str())
        .collect()
}

#[test]
fn somebody_elses_block_is_not_claimed_but_access_is_ended() {
    let scene = anna().blocked_by_somebody("waad|1").alert(RiskLevel::High);
    assert_snapshot!(scene.print(), @"
    requested, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by somebody else; open: sessions and refresh tokens not ended yet
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
    assert_snapshot!(scene.verified().print(), @"
    verified, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by somebody else, ended by revoke-access
    next: settled
    ");
}

#[test]
fn somebody_elses_block_is_not_released() {
    let scene = anna().blocked_by_somebody("waad|1").account("auth0|2").alert(RiskLevel::High).verified();
    let release = scene.answered().operator_releases(case_of_event(1));
    assert_snapshot!(release.print(), @"
    releasing, contain: released by ops@acme: false alarm
      auth0|2 blocked by us, ended by revoke-access
      waad|1 blocked by somebody else, ended by revoke-access
    do: Unblock auth0|2
    next: again in 200ms
    ");
    assert_snapshot!(release.applied().print(), @"
    released, contain: released by ops@acme: false alarm
      auth0|2 blocked by us, ended by revoke-access
      waad|1 blocked by somebody else, ended by revoke-access
    next: settled
    ");
}

#[test]
fn an_account_that_somebody_else_unblocks_while_the_case_is_open_becomes_ours() {
    let scene = anna().blocked_by_somebody("waad|1").alert(RiskLevel::High).verified();
    let unblocked = scene.unblocked_by_somebody("waad|1");
    assert_eq!(blocks(&unblocked.plan()), ["waad|1"]);
    assert_eq!(unblocked.verified().case().accounts[&id("waad|1")].block, BlockProgress::Ours);
}

#[test]
fn the_stamp_of_an_earlier_case_is_taken_over() {
    let scene = anna().blocked_by_case("waad|1", case_of_event(77)).alert(RiskLevel::High);
    assert_eq!(blocks(&scene.plan()), ["waad|1"]);
    let contained = scene.verified();
    assert_snapshot!(contained.print(), @"
    verified, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access
    next: settled
    ");
    let released = contained.answered().operator_releases(case_of_event(1)).applied();
    assert_eq!(released.snapshot.accounts[&id("waad|1")].stamp, None);
}

#[test]
fn a_block_of_this_case_is_not_asked_for_again() {
    // Killed after the writes and before their outcome was on record.
    let scene = anna().alert(RiskLevel::High).saved().blocked_by_case("waad|1", case_of_event(1));
    assert_snapshot!(scene.print(), @"
    requested, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us; open: sessions and refresh tokens not ended yet
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
}

#[test]
fn a_stamp_without_a_block_is_not_a_block() {
    let scene = anna().blocked_by_case("waad|1", case_of_event(1)).unblocked_by_somebody("waad|1");
    assert_eq!(blocks(&scene.alert(RiskLevel::High).plan()), ["waad|1"]);
}

#[test]
fn an_account_deleted_half_way_is_gone_and_the_other_goes_on() {
    let scene = anna().account("auth0|2").alert(RiskLevel::High).saved().without("auth0|2");
    assert_snapshot!(scene.print(), @"
    requested, contain: risk high, at risk: leakedCredentials
      auth0|2 gone
      waad|1 block wanted; open: not blocked by this case yet, sessions and refresh tokens not ended yet
    do: Block waad|1 (risk high, at risk: leakedCredentials)
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
    assert_snapshot!(scene.verified().print(), @"
    verified, contain: risk high, at risk: leakedCredentials
      auth0|2 gone
      waad|1 blocked by us, ended by revoke-access
    next: settled
    ");
}

#[test]
fn a_person_all_of_whose_accounts_went_is_verified() {
    let scene =
        anna().account("auth0|2").alert(RiskLevel::High).applied().without("auth0|2").without("waad|1");
    assert_snapshot!(scene.print(), @"
    verified, contain: risk high, at risk: leakedCredentials
      auth0|2 gone, ended by revoke-access
      waad|1 gone, ended by revoke-access
    next: settled
    ");
}

#[test]
fn accounts_that_go_before_anything_was_written_are_verified_too() {
    assert_eq!(
        anna().alert(RiskLevel::High).saved().without("waad|1").saved().case().state,
        CaseState::Verified
    );
}

#[test]
fn an_account_that_comes_back_is_blocked() {
    let gone = anna().alert(RiskLevel::High).verified().without("waad|1").saved();
    assert_eq!(blocks(&gone.account("waad|1").plan()), ["waad|1"]);
}

#[test]
fn an_account_that_appears_later_is_contained_by_the_same_case() {
    let scene = anna().alert(RiskLevel::High).verified().account("auth0|2");
    assert_snapshot!(scene.print(), @"
    requested, contain: risk high, at risk: leakedCredentials
      auth0|2 block wanted; open: not blocked by this case yet, sessions and refresh tokens not ended yet
      waad|1 blocked by us, ended by revoke-access
    do: Block auth0|2 (risk high, at risk: leakedCredentials)
    do: End access of auth0|2 by revoke-access
    next: again in 100ms
    ");
    assert_snapshot!(scene.verified().print(), @"
    verified, contain: risk high, at risk: leakedCredentials
      auth0|2 blocked by us, ended by revoke-access
      waad|1 blocked by us, ended by revoke-access
    next: settled
    ");
}

#[test]
fn a_person_without_accounts_needs_no_case() {
    assert_snapshot!(person("anna").alert(RiskLevel::High).print(), @"
    no case
    held: the person has no Auth0 account: nothing to contain
    next: settled
    ");
}

#[test]
fn a_search_that_failed_does_not_say_that_there_is_no_account() {
    assert_snapshot!(person("anna").linked_only().alert(RiskLevel::High).print(), @"
    requested, contain: risk high, at risk: leakedCredentials
      open: other accounts of the person could not be searched for: Auth0 answered 503 to the search
    next: again in 100ms
    ");
}

#[test]
fn auth0_unread_does_not_say_that_there_is_no_account() {
    assert_snapshot!(person("anna").auth0_unread().alert(RiskLevel::High).print(), @"
    requested, contain: risk high, at risk: leakedCredentials
      open: Auth0 could not be read: Auth0 answered 503
    next: again in 1s
    ");
}

#[test]
fn a_case_that_waited_for_auth0_contains_when_auth0_is_back() {
    let waited = person("anna").auth0_unread().alert(RiskLevel::High).saved();
    assert_snapshot!(waited.auth0_read().account("waad|1").print(), @"
    requested, contain: risk high, at risk: leakedCredentials
      waad|1 block wanted; open: not blocked by this case yet, sessions and refresh tokens not ended yet
    do: Block waad|1 (risk high, at risk: leakedCredentials)
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
}

#[test]
fn a_case_that_waited_for_auth0_and_finds_no_account_did_nothing() {
    let waited = person("anna").auth0_unread().alert(RiskLevel::High).saved();
    assert_snapshot!(waited.auth0_read().print(), @"
    not acted, contain: risk high, at risk: leakedCredentials
      open: the person has no Auth0 account: nothing to contain
    next: settled
    ");
}

#[test]
fn linked_accounts_are_contained_while_the_search_fails() {
    let scene = anna().linked_only().alert(RiskLevel::High);
    assert_snapshot!(scene.verified().print(), @"
    accepted, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access
      open: other accounts of the person could not be searched for: Auth0 answered 503 to the search
    next: again in 100ms
    ");
    assert_eq!(scene.verified().auth0_read().saved().case().state, CaseState::Verified);
}

#[test]
fn an_account_that_cannot_be_read_keeps_nobody_from_locking_the_others() {
    let scene = anna().account("auth0|2").account_unread("auth0|2").alert(RiskLevel::High);
    assert_snapshot!(scene.verified().print(), @"
    accepted, contain: risk high, at risk: leakedCredentials
      waad|1 blocked by us, ended by revoke-access
      open: an account of the person could not be read: Auth0 answered 500
    next: again in 100ms
    ");
    let read = scene.verified().auth0_read().account("auth0|2");
    assert_eq!(read.verified().case().state, CaseState::Verified);
    assert_eq!(read.verified().case().accounts.len(), 2);
}

#[test]
fn an_account_that_cannot_be_read_any_more_is_not_taken_for_gone() {
    let verified = anna().account("auth0|2").alert(RiskLevel::High).verified();
    let unread = verified.clone().account_unread("auth0|2");
    assert_eq!(unread.saved().case().accounts, verified.case().accounts);
    assert_snapshot!(unread.unblocked_by_somebody("waad|1").print(), @"
    requested, contain: risk high, at risk: leakedCredentials
      auth0|2 blocked by us, ended by revoke-access
      waad|1 block wanted, ended by revoke-access; open: not blocked by this case yet
      open: an account of the person could not be read: Auth0 answered 500
    do: Block waad|1 (risk high, at risk: leakedCredentials)
    next: again in 100ms
    ");
}

#[test]
fn an_account_that_is_protected_and_cannot_be_read_protects_the_person() {
    let scene = anna().account("auth0|2").protected_account("auth0|2").account_unread("auth0|2");
    assert_eq!(scene.alert(RiskLevel::High).plan().actions, []);
}

#[test]
fn auth0_unread_in_the_middle_forgets_nothing() {
    let half = anna().alert(RiskLevel::High).applied();
    let away = half.clone().auth0_unread();
    assert_snapshot!(away.print(), @"
    requested, contain: risk high, at risk: leakedCredentials
      waad|1 block wanted, ended by revoke-access; open: not blocked by this case yet, sessions and refresh tokens not ended yet
      open: Auth0 could not be read: Auth0 answered 503
    next: again in 1s
    ");
    let before: Vec<_> = half.case().accounts.keys().collect();
    assert_eq!(away.saved().case().accounts.keys().collect::<Vec<_>>(), before);
}

#[test]
fn access_is_ended_by_what_the_plan_of_the_tenant_allows() {
    for means in [Means::RevokeAccess, Means::SessionsAndTokens, Means::GrantsAndDevices] {
        let scene = anna().means(means).alert(RiskLevel::High);
        assert_eq!(scene.plan().actions[1], Action::EndAccess { account: id("waad|1"), means });
        let verified = scene.verified();
        assert_eq!(verified.case().accounts[&id("waad|1")].ended_by, Some(means));
    }
}

#[test]
fn means_learned_in_between_are_used_for_what_is_not_ended_yet() {
    let scene = anna().account("auth0|2").alert(RiskLevel::High).saved();
    let learned = scene.means(Means::GrantsAndDevices).plan();
    let ends = learned.actions.iter().filter(|a| a.sentence().ends_with("by grants and device credentials"));
    assert_eq!(ends.count(), 2);
}

#[test]
fn many_accounts_are_all_contained_and_each_takes_two_writes() {
    let many = (1..=50).fold(person("anna"), |scene, number| scene.account(&format!("auth0|{number}")));
    let scene = many.alert(RiskLevel::High);
    assert_eq!(scene.plan().actions.len(), 100);
    let verified = scene.verified();
    let plan = verified.plan();
    assert_eq!((plan.actions.len(), plan.next), (0, Next::Settled));
    let wait = verified.later(Duration::from_secs(3600)).left("auth0|7", nothing_left());
    assert!(wait.plan().actions.is_empty());
}

#[test]
fn an_account_that_comes_back_gets_the_response_of_its_case() {
    let braked = anna().recent_containments(25).alert(RiskLevel::High).verified();
    let back = braked.without("waad|1").saved().account("waad|1");
    assert_snapshot!(back.print(), @"
    requested, end-sessions: risk high, at risk: leakedCredentials
      restrained: contain brake: only sessions were ended, sign-in is still possible
      waad|1 block not wanted; open: sessions and refresh tokens not ended yet
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
}

#[test]
fn a_protected_account_found_in_an_open_case_is_left_out_and_the_others_are_contained() {
    let scene = anna().alert(RiskLevel::High).saved().account("auth0|root").protected_account("auth0|root");
    assert_snapshot!(scene.print(), @"
    requested, contain: risk high, at risk: leakedCredentials
      auth0|root left alone, protected
      waad|1 block wanted; open: not blocked by this case yet, sessions and refresh tokens not ended yet
    do: Block waad|1 (risk high, at risk: leakedCredentials)
    do: End access of waad|1 by revoke-access
    next: again in 100ms
    ");
    assert_snapshot!(scene.verified().print(), @"
    verified, contain: risk high, at risk: leakedCredentials
      auth0|root left alone, protected
      waad|1 blocked by us, ended by revoke-access
    next: settled
    ");
    let free = scene.verified().policy(|policy| policy.protected.accounts.clear());
    assert_eq!(blocks(&free.plan()), ["auth0|root"]);
}

#[test]
fn an_account_that_becomes_protected_stays_as_it_is() {
    let contained = anna().account("auth0|2").alert(RiskLevel::High).verified();
    let kept = contained.clone().protected_account("waad|1");
    assert_eq!(
        kept.plan().case.as_ref(),
        Some(contained.case()),
        "blocked already, and released like any other"
    );
    assert_eq!(kept.answered().operator_releases(case_of_event(1)).plan().actions.len(), 2);
    let undone = contained.clone().protected_account("waad|1").unblocked_by_somebody("waad|1");
    assert!(undone.plan().actions.is_empty());
    let person =
        contained.protected_person().unblocked_by_somebody("waad|1").unblocked_by_somebody("auth0|2");
    assert!(person.plan().actions.is_empty());
}

#[test]
fn a_case_whose_accounts_are_all_protected_before_anything_was_done_did_nothing() {
    let scene = anna().alert(RiskLevel::High).saved().protected_account("waad|1");
    assert_snapshot!(scene.print(), @"
    not acted, contain: risk high, at risk: leakedCredentials
      restrained: protected by policy: never acted on without two people
      waad|1 left alone, protected
      open: every account is protected by policy now: nothing was done
    next: settled
    ");
}

#[test]
fn a_case_whose_block_arrived_before_the_protection_stays_open_until_it_is_released() {
    let blocked = anna().alert(RiskLevel::High).saved().blocked_by_case("waad|1", case_of_event(1));
    let kept = blocked.protected_account("waad|1").saved().answered();
    assert_eq!(kept.case().accounts[&id("waad|1")].block, BlockProgress::Protected);
    assert_eq!(blocks(&kept.plan()), Vec::<&str>::new());
    assert_eq!(kept.operator_releases(case_of_event(1)).plan().actions.len(), 1);
}
