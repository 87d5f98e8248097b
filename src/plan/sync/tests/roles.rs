//! Roles and organizations.

use std::collections::BTreeSet;

use super::scene::{ADMINS, CONTRACTORS, ENGINEERS, account, adele};
use crate::action::sync::SyncAction;
use crate::plan::sync::Next;
use crate::snapshot::sync::{Depth, Groups, OrganizationId, RoleId};

fn roles(names: &[&str]) -> BTreeSet<RoleId> {
    names.iter().map(|name| RoleId(format!("{name}-id"))).collect()
}

#[test]
fn a_joiner_gets_what_the_rules_give_and_then_nothing_is_left() {
    let scene = adele();
    insta::assert_snapshot!(scene.printed(), @"
    Set app_metadata.department, user_metadata.title of waad|adele
    Give Engineer to waad|adele
    Make waad|adele a member of acme
    ");
    let settled = scene.settled();
    assert_eq!(settled.printed(), "");
    let proven = &settled.snapshot.remembered.unwrap().proven[&account("waad|adele")];
    assert_eq!(proven.roles, roles(&["Engineer"]));
}

#[test]
fn all_of_and_none_of_decide_the_privileged_role() {
    let admin = adele().groups(&[ENGINEERS, ADMINS]);
    assert!(admin.printed().contains("Give Admin, Engineer to waad|adele"));
    assert!(admin.printed().contains("Give Owner in acme to waad|adele"));
    let contractor = adele().groups(&[ENGINEERS, ADMINS, CONTRACTORS]);
    assert!(contractor.printed().contains("Give Engineer to waad|adele"));
}

#[test]
fn losing_a_privileged_role_ends_the_tokens_that_carry_it() {
    let scene = adele().groups(&[ENGINEERS, ADMINS]).settled().groups(&[ENGINEERS]);
    insta::assert_snapshot!(scene.printed(), @"
    Take Admin from waad|adele
    Take Owner in acme from waad|adele
    End access of waad|adele by revoke-access (lost Admin)
    ");
    assert_eq!(scene.settled().printed(), "");
}

#[test]
fn a_kill_between_taking_the_role_and_ending_access_is_caught_up() {
    let mut scene = adele().groups(&[ENGINEERS, ADMINS]).settled().groups(&[ENGINEERS]);
    let holding = scene.snapshot.accounts.get_mut(&account("waad|adele")).unwrap();
    holding.roles = Some(roles(&["Engineer"]));
    holding.organizations = Some([(OrganizationId("acme-id".into()), BTreeSet::new())].into());
    insta::assert_snapshot!(scene.printed(), @"End access of waad|adele by revoke-access (lost Admin)");
}

#[test]
fn a_role_that_no_line_names_is_never_touched() {
    let mut scene = adele();
    scene.holding("waad|adele");
    let holding = scene.snapshot.accounts.get_mut(&account("waad|adele")).unwrap();
    holding.roles = Some([RoleId("Auditor-id".into())].into());
    let settled = scene.settled();
    assert!(
        settled.snapshot.accounts[&account("waad|adele")]
            .roles
            .as_ref()
            .unwrap()
            .contains(&RoleId("Auditor-id".into()))
    );
}

#[test]
fn groups_that_were_not_read_take_nothing_away() {
    let mut scene = adele().groups(&[ENGINEERS, ADMINS]).settled();
    scene.snapshot.groups = Groups::Unread("a permission is lost".into());
    insta::assert_snapshot!(scene.printed(), @"held: roles and organizations are kept, groups were not read: a permission is lost");
    assert!(scene.plan().remembered.unwrap().groups.contains(&ADMINS), "what was known stays known");
}

#[test]
fn an_unchanged_person_costs_no_reads_and_a_changed_one_asks_for_them() {
    let mut scene = adele().settled();
    let holding = scene.snapshot.accounts.get_mut(&account("waad|adele")).unwrap();
    (holding.roles, holding.organizations) = (None, None);
    scene.snapshot.depth = Depth::Known;
    let unchanged = scene.plan();
    assert_eq!((unchanged.actions.len(), unchanged.next), (0, Next::Settled));
    let changed = scene.groups(&[]).plan();
    assert_eq!((changed.actions.len(), changed.next), (0, Next::ReadWhole));
}

#[test]
fn a_role_that_auth0_does_not_have_is_a_finding_and_the_others_are_given() {
    let mut scene = adele().groups(&[ENGINEERS, ADMINS]);
    scene.snapshot.tenant.roles.remove("Admin");
    let printed = scene.printed();
    assert!(printed.contains("Give Engineer to waad|adele"), "{printed}");
    assert!(
        printed.contains("held: the policy names the role Admin, which Auth0 does not have"),
        "{printed}"
    );
}

#[test]
fn a_role_made_anew_under_the_same_name_is_given_again() {
    let mut scene = adele().settled();
    scene.snapshot.tenant.roles.insert("Engineer".into(), RoleId("rol_new".into()));
    let holding = scene.snapshot.accounts.get_mut(&account("waad|adele")).unwrap();
    holding.roles = Some(BTreeSet::new());
    let plan = scene.plan();
    let given = plan.actions.iter().find_map(|action| match action {
        SyncAction::AssignRoles { roles, .. } => Some(roles[0].id.0.as_str()),
        _ => None,
    });
    assert_eq!(given, Some("rol_new"));
}

#[test]
fn more_roles_than_auth0_allows_are_held_and_said() {
    let many: String = (0..60).map(|n| format!("[[roles]]\nrole = \"r{n:02}\"\n")).collect();
    let mut scene = adele().policy(&many);
    for n in 0..60 {
        scene.snapshot.tenant.roles.insert(format!("r{n:02}"), RoleId(format!("id{n:02}")));
    }
    let plan = scene.plan();
    let given: usize = plan
        .actions
        .iter()
        .map(|action| match action {
            SyncAction::AssignRoles { roles, .. } => roles.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(given, 50);
    assert!(plan.held.iter().any(|why| why.contains("60 roles, Auth0 allows 50")), "{:?}", plan.held);
}

#[test]
fn leaving_the_organization_is_one_write() {
    let scene = adele().groups(&[ENGINEERS, ADMINS]).settled().groups(&[]);
    let printed = scene.printed();
    assert!(printed.contains("Remove waad|adele from acme"), "{printed}");
    assert!(!printed.contains("Owner"), "{printed}");
}

#[test]
fn whoever_is_held_is_looked_at_again_sooner_at_first_and_not_later_than_hourly() {
    let mut scene = adele().settled();
    scene.snapshot.groups = Groups::Unread("a permission is lost".into());
    let lost_at = scene.now;
    for (looked_after, again_after) in [(0, 600), (60, 600), (1200, 1200), (90_000, 3600)] {
        scene.now = crate::clock::after(lost_at, std::time::Duration::from_secs(looked_after));
        let remembered = scene.plan().remembered.unwrap();
        assert_eq!(remembered.unread_since, Some(lost_at));
        let again = remembered.look_at.unwrap().duration_since(scene.now).as_secs();
        assert_eq!(again, again_after, "after {looked_after} s");
        scene.snapshot.remembered = Some(remembered);
    }
    let back = scene.clone().groups(&[]).plan().remembered.unwrap();
    assert_eq!((back.look_at, back.unread_since), (None, None), "what was missing is there");
    let locked = scene.case(crate::snapshot::sync::CaseAbout::Other, "2026-03-02T08:00:00Z");
    assert_eq!(locked.plan().remembered.unwrap().look_at, None, "its release asks for a look");
}

#[test]
fn somebody_never_seen_of_whom_it_is_unknown_whether_the_policy_means_them_is_not_forgotten() {
    let mut stranger = adele();
    stranger.policy.people.any_of.insert(ADMINS);
    stranger.snapshot.groups = Groups::Unread("a permission is lost".into());
    assert!(stranger.plan().remembered.unwrap().look_at.is_some());
    stranger.policy.people.any_of.clear();
    stranger.policy.roles.clear();
    stranger.policy.organizations.clear();
    assert_eq!(stranger.plan().remembered.unwrap().look_at, None, "no group decides anything");
}

#[test]
fn roles_of_a_first_look_go_with_whoever_leaves_before_it_has_ended() {
    let mut scene = adele().groups(&[ENGINEERS]);
    scene.policy.people.any_of.insert(ENGINEERS);
    let given = scene.applied();
    let remembered = given.snapshot.remembered.as_ref().unwrap();
    assert!(remembered.proven.is_empty() && !remembered.unsettled.is_empty(), "{remembered:?}");
    let outside = given.groups(&[]);
    insta::assert_snapshot!(outside.printed(), @"
    Take Engineer from waad|adele
    Remove waad|adele from acme
    held: not among the people that [people] names
    ");
}

#[test]
fn while_roles_are_being_changed_nothing_is_taken_for_proven() {
    let mut scene = adele().groups(&[]).settled();
    let doing = scene.clone().groups(&[ENGINEERS]).plan().remembered.unwrap();
    assert!(doing.unsettled.contains(&account("waad|adele")));
    scene.snapshot.remembered = Some(doing);
    scene.snapshot.depth = Depth::Known;
    let holding = scene.snapshot.accounts.get_mut(&account("waad|adele")).unwrap();
    let read = (holding.roles.take(), holding.organizations.take());
    assert_eq!(
        scene.plan().next,
        Next::ReadWhole,
        "what was proven last is what is wanted, and may be given by now"
    );
    let holding = scene.snapshot.accounts.get_mut(&account("waad|adele")).unwrap();
    (holding.roles, holding.organizations) = read;
    assert!(scene.plan().remembered.unwrap().unsettled.is_empty());
}
