//! Members of organizations, and the connections by which they sign in there.

use std::collections::BTreeSet;

use super::scene::{Scene, account, adele};
use crate::snapshot::sync::{Depth, Entrance, OrganizationId};

fn enabled(scene: &mut Scene, connections: &[(&str, &str)]) {
    let one = |(id, name): &(&str, &str)| Entrance { id: (*id).to_owned(), name: (*name).to_owned() };
    let entrances = connections.iter().map(one).collect();
    scene.snapshot.tenant.entrances.insert(OrganizationId("acme-id".into()), entrances);
}

fn findings(scene: &Scene) -> BTreeSet<String> {
    scene.plan().remembered.unwrap().findings
}

const SHUT: &str =
    "members of the organization acme cannot sign in there by the enterprise connection: not enabled";

#[test]
fn who_is_made_a_member_where_the_connection_is_not_enabled_is_told_of_and_made_one() {
    let mut scene = adele();
    assert!(findings(&scene).is_empty(), "what was not read is not told of");
    enabled(&mut scene, &[("con_2", "Users")]);
    assert_eq!(findings(&scene), [SHUT.to_owned()].into());
    assert!(scene.printed().contains("Make waad|adele a member of acme"));
    let mut warm = scene.settled();
    warm.snapshot.depth = Depth::Known;
    assert_eq!(findings(&warm), [SHUT.to_owned()].into(), "not only at the look that makes the member");
    enabled(&mut warm, &[("con_2", "Users"), ("con_1", "contoso-entra")]);
    assert!(findings(&warm).is_empty());
}

#[test]
fn one_way_in_is_enough_and_a_database_is_known_by_its_name() {
    let mut scene = adele();
    scene.holding("auth0|adele");
    enabled(&mut scene, &[]);
    let both = "members of the organization acme cannot sign in there by the connection Users or the enterprise \
                connection: not enabled";
    assert_eq!(findings(&scene), [both.to_owned()].into());
    enabled(&mut scene, &[("con_2", "Users")]);
    assert!(findings(&scene).is_empty());
    scene.snapshot.accounts.remove(&account("waad|adele"));
    enabled(&mut scene, &[("con_1", "contoso-entra")]);
    assert!(findings(&scene).iter().any(|finding| finding.contains("by the connection Users")));
}

#[test]
fn nothing_is_told_of_who_is_no_member_or_may_come_by_a_way_that_is_not_known() {
    let mut outside = adele().groups(&[]);
    enabled(&mut outside, &[]);
    assert!(findings(&outside).is_empty());
    let mut other = adele();
    other.holding("google-oauth2|1");
    enabled(&mut other, &[]);
    assert!(findings(&other).is_empty());
    let mut linked = adele();
    linked.holding("waad|adele").absorbed = [account("auth0|other")].into();
    enabled(&mut linked, &[]);
    assert!(findings(&linked).is_empty());
    let mut unread = adele();
    unread.snapshot.tenant.connection = None;
    enabled(&mut unread, &[]);
    assert!(findings(&unread).is_empty());
    let mut protected = adele()
        .policy("[protected]\naccounts = [\"waad|adele\"]\n[[organizations]]\norganization = \"acme\"\n");
    enabled(&mut protected, &[]);
    assert!(findings(&protected).is_empty(), "nobody is made a member");
}
