//! Every refusal, each by a bad plan built by hand from a good one.

use super::{ACTIONS_MAX, check};
use crate::action::Action;
use crate::case::also::Extra;
use crate::case::{CaseId, CaseState, Means, Response};
use crate::event::RiskLevel;
use crate::plan::Plan;
use crate::plan::tests::scene::{Scene, case_of_event, id, person};

/// Two accounts, and a plan that blocks both and ends their access.
fn anna() -> (Scene, Plan) {
    let scene = person("anna").account("auth0|2").account("waad|1").alert(RiskLevel::High);
    let plan = scene.plan();
    (scene, plan)
}

/// Contained by the case of event 1, and a plan that gives both accounts back.
fn releasing() -> (Scene, Plan) {
    let scene = anna().0.verified().answered().operator_releases(ours());
    let plan = scene.plan();
    (scene, plan)
}

fn ours() -> CaseId {
    case_of_event(1)
}

fn block(account: &str, case: CaseId) -> Action {
    Action::Block { account: id(account), case, reason: "phished".into() }
}

fn end(account: &str) -> Action {
    Action::EndAccess { account: id(account), means: Means::RevokeAccess }
}

fn grants(account: &str) -> Action {
    Action::EndExtra { account: id(account), extra: Extra::Grants }
}

/// Blocked, and a plan that ends the grants of both accounts.
fn for_good() -> (Scene, Plan) {
    let scene = anna().0.also([Extra::Grants]).applied();
    let plan = scene.plan();
    (scene, plan)
}

fn unblock(account: &str, case: CaseId) -> Action {
    Action::Unblock { account: id(account), case }
}

fn with(plan: &Plan, actions: Vec<Action>) -> Plan {
    Plan { actions, ..plan.clone() }
}

/// The refusal, without its preface.
fn refused(scene: &Scene, plan: &Plan) -> String {
    let refusal = check(plan, &scene.snapshot, &scene.policy).expect_err("a refusal").to_string();
    refusal.strip_prefix("the plan was refused by its check: ").expect("the preface").to_owned()
}

fn passes(scene: &Scene, plan: &Plan) -> bool {
    check(plan, &scene.snapshot, &scene.policy).is_ok()
}

#[test]
fn a_good_plan_passes_as_it_is() {
    let (scene, plan) = anna();
    assert_eq!(plan.actions.len(), 4);
    let checked = check(&plan, &scene.snapshot, &scene.policy).expect("a plan that passes");
    assert_eq!(checked.into_actions(), plan.actions);
    let (scene, plan) = releasing();
    assert_eq!(plan.actions.len(), 2);
    assert!(passes(&scene, &plan));
}

#[test]
fn a_plan_without_actions_passes_whatever_else_it_says() {
    let (scene, mut plan) = anna();
    plan.actions.clear();
    plan.case.as_mut().expect("a case").state = CaseState::NotActed;
    let checked =
        check(&plan, &scene.snapshot, &scene.clone().protected_person().policy).expect("a plan that passes");
    assert_eq!(checked.into_actions(), []);
}

#[test]
fn more_actions_than_one_person_can_need_are_refused() {
    let many = |number: usize| {
        let names = (0..number).map(|number| format!("auth0|{number:03}")).collect::<Vec<_>>();
        let scene =
            names.iter().fold(person("anna"), |scene, name| scene.account(name)).alert(RiskLevel::High);
        let plan = super::super::plan(&scene.snapshot, &scene.policy, scene.now);
        (scene, plan)
    };
    let (scene, plan) = many(ACTIONS_MAX / 2);
    assert!(passes(&scene, &plan));
    let (scene, plan) = many(ACTIONS_MAX / 2 + 1);
    assert_eq!(refused(&scene, &plan), "202 actions for one person, over 200");
}

#[test]
fn actions_without_a_case_are_refused() {
    let (scene, mut plan) = anna();
    plan.case = None;
    assert_eq!(refused(&scene, &plan), "actions without a case");
}

#[test]
fn actions_of_a_case_that_is_not_open_are_refused() {
    for state in [CaseState::NotActed, CaseState::Released] {
        let (scene, mut plan) = anna();
        plan.case.as_mut().expect("a case").state = state;
        assert_eq!(refused(&scene, &plan), format!("{} is {}, or of another person", ours(), state.word()));
    }
}

#[test]
fn actions_of_another_persons_case_are_refused() {
    let (scene, mut plan) = anna();
    plan.case.as_mut().expect("a case").subject = person("bela").snapshot.subject;
    assert_eq!(refused(&scene, &plan), format!("{} is requested, or of another person", ours()));
}

#[test]
fn a_protected_person_is_never_locked() {
    let (scene, plan) = anna();
    let scene = scene.protected_person();
    assert_eq!(refused(&scene, &plan), "the person is protected");
    assert_eq!(refused(&scene, &with(&plan, vec![end("waad|1")])), "the person is protected");
}

#[test]
fn a_protected_person_may_be_released() {
    let (scene, plan) = releasing();
    assert!(passes(&scene.protected_person().protected_account("waad|1"), &plan));
}

#[test]
fn a_protected_account_is_never_locked() {
    let (scene, plan) = anna();
    let scene = scene.protected_account("waad|1");
    assert_eq!(
        refused(&scene, &plan),
        "a protected account: Block waad|1 (risk high, at risk: leakedCredentials)"
    );
    let ends = with(&plan, vec![end("waad|1")]);
    assert_eq!(refused(&scene, &ends), "a protected account: End access of waad|1 by revoke-access");
    assert!(passes(&scene, &with(&plan, vec![block("auth0|2", ours()), end("auth0|2")])));
}

#[test]
fn the_same_action_twice_is_refused() {
    let (scene, plan) = anna();
    let blocks = with(&plan, vec![block("waad|1", ours()), block("waad|1", ours())]);
    assert_eq!(refused(&scene, &blocks), "twice: Block waad|1 (phished)");
    let by_other_means = Action::EndAccess { account: id("waad|1"), means: Means::GrantsAndDevices };
    let ends = with(&plan, vec![end("waad|1"), by_other_means]);
    assert_eq!(refused(&scene, &ends), "twice: End access of waad|1 by grants and device credentials");
    let (scene, plan) = releasing();
    let releases = with(&plan, vec![unblock("waad|1", ours()), unblock("waad|1", ours())]);
    assert_eq!(refused(&scene, &releases), "twice: Unblock waad|1");
}

#[test]
fn an_account_nobody_has_seen_is_refused() {
    let (scene, plan) = anna();
    for action in [block("auth0|9", ours()), end("auth0|9"), unblock("auth0|9", ours())] {
        let sentence = action.sentence();
        let bad = with(&plan, vec![action]);
        assert_eq!(refused(&scene, &bad), format!("an account nobody has seen: {sentence}"));
    }
}

#[test]
fn a_block_for_another_case_is_refused() {
    let (scene, plan) = anna();
    let bad = with(&plan, vec![block("waad|1", case_of_event(7))]);
    assert_eq!(refused(&scene, &bad), "blocked for another case: Block waad|1 (phished)");
}

#[test]
fn claiming_somebody_elses_block_is_refused() {
    let (scene, plan) = anna();
    let bad = with(&plan, vec![block("waad|1", ours())]);
    let theirs = scene.clone().blocked_by_somebody("waad|1");
    assert_eq!(refused(&theirs, &bad), "claims somebody else's block: Block waad|1 (phished)");
    assert!(
        passes(&scene.blocked_by_case("waad|1", case_of_event(7)), &bad),
        "an earlier case is taken over"
    );
}

#[test]
fn a_block_where_only_sessions_may_be_ended_is_refused() {
    for response in [Response::EndSessions, Response::Notify, Response::Ignore] {
        let (scene, mut plan) = anna();
        plan.case.as_mut().expect("a case").response = response;
        let bad = with(&plan, vec![block("waad|1", ours())]);
        assert_eq!(
            refused(&scene, &bad),
            "blocks where only sessions may be ended: Block waad|1 (phished)",
            "{response:?}"
        );
    }
}

#[test]
fn a_release_for_another_case_is_refused() {
    let (scene, plan) = releasing();
    let bad = with(&plan, vec![unblock("waad|1", case_of_event(7))]);
    assert_eq!(refused(&scene, &bad), "releases for another case: Unblock waad|1");
}

#[test]
fn releasing_a_block_that_is_not_ours_is_refused() {
    let (scene, plan) = releasing();
    let bad = with(&plan, vec![unblock("waad|1", ours())]);
    for scene in
        [scene.clone().blocked_by_somebody("waad|1"), scene.blocked_by_case("waad|1", case_of_event(7))]
    {
        assert_eq!(refused(&scene, &bad), "releases a block that is not ours: Unblock waad|1");
    }
}

#[test]
fn locking_and_releasing_in_one_plan_is_refused() {
    let (scene, plan) = releasing();
    for lock in [end("auth0|2"), block("auth0|2", ours())] {
        let bad = with(&plan, vec![unblock("waad|1", ours()), lock]);
        assert_eq!(refused(&scene, &bad), "locks and releases in one plan (case releasing, contain)");
    }
}

#[test]
fn ending_access_before_the_block_is_refused() {
    let (scene, plan) = anna();
    let bad = with(&plan, vec![end("waad|1"), block("waad|1", ours())]);
    assert_eq!(refused(&scene, &bad), "ends access before the block: Block waad|1 (phished)");
    let crossed = with(&plan, vec![block("auth0|2", ours()), end("auth0|2"), block("waad|1", ours())]);
    assert!(passes(&scene, &crossed), "another account's block may come later");
}

#[test]
fn a_good_plan_that_ends_for_good_passes_as_it_is() {
    let (scene, plan) = for_good();
    assert_eq!(plan.actions, [grants("auth0|2"), grants("waad|1")]);
    assert!(passes(&scene, &plan));
}

#[test]
fn ending_for_good_what_the_policy_does_not_name_is_refused() {
    let (scene, plan) = for_good();
    let other = Action::EndExtra { account: id("waad|1"), extra: Extra::TokenVault };
    let bad = with(&plan, vec![other]);
    assert_eq!(refused(&scene, &bad), "the policy does not ask for it: End Token Vault token sets of waad|1");
    assert_eq!(refused(&scene.also([]), &plan), "the policy does not ask for it: End grants of auth0|2");
}

#[test]
fn ending_for_good_where_only_sessions_may_be_ended_is_refused() {
    for response in [Response::EndSessions, Response::Notify, Response::Ignore] {
        let (scene, mut plan) = for_good();
        plan.case.as_mut().expect("a case").response = response;
        let why = "ends for good where only sessions may be ended: End grants of auth0|2";
        assert_eq!(refused(&scene, &plan), why, "{response:?}");
    }
}

#[test]
fn ending_for_good_before_the_block_is_refused() {
    let (scene, plan) = for_good();
    let unblocked = scene.clone().unblocked_by_somebody("waad|1");
    assert_eq!(refused(&unblocked, &plan), "ends for good before the block: End grants of waad|1");
    for first in [block("waad|1", ours()), end("waad|1")] {
        let why = format!("ends for good before it: {}", first.sentence());
        assert_eq!(refused(&scene, &with(&plan, vec![grants("waad|1"), first])), why);
    }
    assert!(passes(&scene, &with(&plan, vec![end("waad|1"), grants("waad|1"), end("auth0|2")])));
}

#[test]
fn ending_for_good_of_the_protected_or_twice_is_refused() {
    let (scene, plan) = for_good();
    assert_eq!(refused(&scene.clone().protected_person(), &plan), "the person is protected");
    let protected = scene.clone().protected_account("waad|1");
    assert_eq!(refused(&protected, &plan), "a protected account: End grants of waad|1");
    let twice = with(&plan, vec![grants("waad|1"), grants("waad|1")]);
    assert_eq!(refused(&scene, &twice), "twice: End grants of waad|1");
    let stranger = with(&plan, vec![grants("auth0|9")]);
    assert_eq!(refused(&scene, &stranger), "an account nobody has seen: End grants of auth0|9");
}

#[test]
fn entra_sessions_end_only_of_the_person_where_asked_for_and_behind_a_closed_door() {
    let scene = anna().0.ends_entra_sessions().applied();
    let plan = scene.plan();
    let person = scene.snapshot.subject.object;
    assert_eq!(plan.actions, [Action::EndEntraSessions { person }]);
    assert!(passes(&scene, &plan));

    let stranger = crate::event::ObjectId(uuid::Uuid::from_u128(7));
    let bad = with(&plan, vec![Action::EndEntraSessions { person: stranger }]);
    assert_eq!(refused(&scene, &bad), "ends Entra sessions of somebody else");
    assert!(
        refused(&scene, &with(&plan, [plan.actions.clone(), plan.actions.clone()].concat()))
            .starts_with("twice")
    );
    let unasked = scene.clone().policy(|policy| policy.contain.also = Default::default());
    assert_eq!(refused(&unasked, &plan), "ends Entra sessions, and the policy does not ask for it");
    let protected = scene.clone().protected_account("waad|1");
    assert_eq!(refused(&protected, &plan), "ends Entra sessions of a person with a protected account");
    assert_eq!(refused(&scene.clone().protected_person(), &plan), "the person is protected");
    let mut braked = plan.clone();
    braked.case.as_mut().expect("a case").response = Response::EndSessions;
    assert_eq!(refused(&scene, &braked), "ends Entra sessions where only Auth0's may be ended");
    let mut open = plan.clone();
    let progress = open.case.as_mut().expect("a case").accounts.values_mut().next().expect("an account");
    progress.block = crate::case::BlockProgress::Wanted;
    assert_eq!(refused(&scene, &open), "ends Entra sessions before the block");
}
