//! What is left alone: the protected, the disabled, guests, people outside, and whoever was not told of.

use serde_json::json;

use super::scene::{ADMINS, ENGINEERS, adele};
use crate::plan::sync::check::check;
use crate::snapshot::{Directory, Enabled};

#[test]
fn protected_people_and_accounts_are_left_alone() {
    let mut scene = adele();
    scene.policy.protected.people.insert(scene.snapshot.subject.object);
    insta::assert_snapshot!(scene.printed(), @"held: protected by policy: nothing is given, changed or taken");
    let mut scene = adele();
    scene.policy.protected.accounts.insert(super::scene::account("waad|adele"));
    insta::assert_snapshot!(scene.printed(), @"held: waad|adele is protected: it is kept as it is");
}

#[test]
fn the_disabled_and_those_of_whom_it_is_not_told_keep_what_they_have() {
    for enabled in [Enabled::No, Enabled::NotTold] {
        let mut scene = adele();
        let Directory::Present(person) = &mut scene.snapshot.directory else { panic!() };
        person.enabled = enabled;
        assert!(scene.plan().actions.is_empty(), "{enabled:?}");
    }
}

#[test]
fn guests_are_ignored_unless_the_policy_includes_them() {
    let guest = adele().tells("userType", json!("Guest"));
    insta::assert_snapshot!(guest.printed(), @"held: a guest: the policy keeps only members in step");
    let mut included = guest;
    included.policy.people.guests = crate::policy::sync::Guests::Include;
    assert!(!included.plan().actions.is_empty());
    let mut untold = adele();
    untold.snapshot.profile.0.remove("userType");
    assert!(untold.plan().actions.is_empty());
}

#[test]
fn somebody_who_leaves_the_scope_loses_what_was_given_and_nothing_else() {
    let mut inside = adele().groups(&[ENGINEERS, ADMINS]);
    inside.policy.people.any_of.insert(ENGINEERS);
    let outside = inside.settled().groups(&[]);
    insta::assert_snapshot!(outside.printed(), @"
    Take Admin, Engineer from waad|adele
    Remove waad|adele from acme
    End access of waad|adele by revoke-access (lost Admin)
    held: not among the people that [people] names
    ");
    let settled = outside.settled();
    assert_eq!(settled.plan().remembered, None, "forgotten once everything is taken back");
    let mut stranger = adele().groups(&[]);
    stranger.policy.people.any_of.insert(ADMINS);
    assert!(stranger.plan().actions.is_empty(), "somebody who never was inside keeps everything");
}

#[test]
fn the_check_refuses_what_must_never_be() {
    let scene = adele().groups(&[ENGINEERS, ADMINS]);
    let plan = scene.plan();
    let refused = |change: &dyn Fn(&mut super::scene::Scene)| {
        let mut other = scene.clone();
        change(&mut other);
        check(&plan, &other.snapshot, &other.policy, other.now).unwrap_err().to_string()
    };
    assert!(refused(&|s| s.policy.roles.clear()).contains("a role that the policy does not name"));
    assert!(refused(&|s| s.policy.attributes.clear()).contains("an attribute that is not ours"));
    assert!(refused(&|s| s.snapshot.accounts.clear()).contains("an account nobody has seen"));
    assert!(refused(&|s| s.snapshot.directory = Directory::Missing).contains("not present"));
    let protect = |s: &mut super::scene::Scene| {
        s.policy.protected.people.insert(s.snapshot.subject.object);
    };
    assert!(refused(&protect).contains("the person is protected"));
}
