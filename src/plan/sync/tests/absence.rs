//! A list of memberships that comes short.

use std::time::Duration;

use serde_json::{Value, json};

use super::scene::{ADMINS, CONTRACTORS, ENGINEERS, Scene, account, adele};
use crate::clock;
use crate::plan::sync::Next;
use crate::plan::sync::check::check;
use crate::snapshot::sync::{Groups, GroupsTold, RoleId};

/// As the first read leaves it.
fn listed(mut scene: Scene) -> Scene {
    scene.snapshot.groups_told = GroupsTold::Once;
    scene
}

#[test]
fn what_is_lost_by_the_list_alone_is_asked_for_first_and_then_taken() {
    let lost = listed(adele().groups(&[ENGINEERS, ADMINS]).settled().groups(&[]));
    insta::assert_snapshot!(lost.printed(), @"next: AskForGroups");
    assert_eq!(lost.plan().remembered, lost.snapshot.remembered, "nothing is decided yet");
    let mut agreed = lost;
    agreed.snapshot.groups_told = GroupsTold::Twice;
    assert!(agreed.printed().contains("Take Admin, Engineer from waad|adele"), "{}", agreed.printed());
}

#[test]
fn what_is_given_and_what_stays_needs_no_second_question() {
    let joiner = listed(adele());
    assert!(joiner.printed().contains("Give Engineer to waad|adele"), "{}", joiner.printed());
    let mover = listed(adele().settled().groups(&[ENGINEERS, ADMINS]));
    assert!(mover.printed().contains("Give Admin to waad|adele"), "{}", mover.printed());
    assert_eq!(listed(adele().settled()).printed(), "");
    let renamed = listed(adele().settled().tells("department", json!("Sales")));
    insta::assert_snapshot!(renamed.printed(), @"Set app_metadata.department of waad|adele");
}

#[test]
fn a_role_of_somebody_never_seen_is_not_taken_on_one_list_either() {
    let mut stranger = listed(adele().groups(&[]));
    stranger.holding("waad|adele").roles = Some([RoleId("Engineer-id".into())].into());
    insta::assert_snapshot!(stranger.printed(), @"next: AskForGroups");
}

#[test]
fn a_lost_group_that_kept_a_role_away_gives_nothing_yet() {
    let contractor = adele().groups(&[ENGINEERS, ADMINS, CONTRACTORS]).settled();
    let hidden = listed(contractor.groups(&[ENGINEERS, ADMINS]));
    insta::assert_snapshot!(hidden.printed(), @"next: AskForGroups");
}

#[test]
fn the_demand_for_a_second_factor_is_not_lifted_on_one_list() {
    let mfa = "[mfa]\nmetadata_key = \"mfa\"\nany_of = [\"00000000-0000-0000-0000-0000000000e1\"]\n";
    let mut demanded = listed(adele().policy(mfa).groups(&[]));
    demanded.holding("waad|adele").app_metadata.insert("mfa".into(), Value::Bool(true));
    insta::assert_snapshot!(demanded.printed(), @"next: AskForGroups");
}

#[test]
fn whoever_is_out_of_scope_by_the_list_alone_keeps_everything() {
    let mut inside = adele();
    inside.policy.people.any_of.insert(ENGINEERS);
    let outside = listed(inside.settled().groups(&[]));
    insta::assert_snapshot!(outside.printed(), @"
    held: not among the people that [people] names
    next: AskForGroups
    ");
}

#[test]
fn a_guest_whose_groups_are_unread_is_held_and_no_mistake_of_the_plan() {
    let mut guest = adele().settled().tells("userType", json!("Guest"));
    guest.snapshot.groups = Groups::Unread("a permission is lost".into());
    insta::assert_snapshot!(guest.printed(), @"held: a guest: the policy keeps only members in step");
    assert!(guest.plan().remembered.unwrap().look_at.is_some());
}

#[test]
fn answers_that_contradict_each_other_are_found_and_asked_again_soon_and_then_rarely() {
    let mut torn = adele().groups(&[ENGINEERS, ADMINS]).settled();
    torn.snapshot.groups = Groups::Unread("the list lacks a group".into());
    torn.snapshot.groups_told = GroupsTold::Differently;
    insta::assert_snapshot!(torn.printed(), @"
    held: roles and organizations are kept, groups were not read: the list lacks a group
    next: Again(5s)
    ");
    assert_eq!(torn.plan().remembered.unwrap().findings.len(), 1);
    torn.now = clock::after(torn.snapshot.asked_at, Duration::from_secs(121));
    let late = torn.plan();
    assert_eq!(late.next, Next::Settled, "it is no delay any more");
    assert!(late.remembered.unwrap().look_at.is_some());
}

#[test]
fn the_check_lets_nothing_be_taken_on_one_list() {
    let lost = adele().groups(&[ENGINEERS, ADMINS]).settled().groups(&[ENGINEERS]);
    let mut plan = lost.plan();
    let once = listed(lost.clone());
    let refused = |plan: &crate::plan::sync::SyncPlan| {
        check(plan, &once.snapshot, &once.policy, once.now).unwrap_err().to_string()
    };
    assert_eq!(plan.actions.len(), 3, "{}", lost.printed());
    while !plan.actions.is_empty() {
        assert!(refused(&plan).contains("takes what a single list does not name"), "{}", refused(&plan));
        plan.actions.remove(0);
    }
    assert!(once.snapshot.accounts.contains_key(&account("waad|adele")));
}
