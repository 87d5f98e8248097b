//! A person with properties and memberships, in one request.

use std::collections::BTreeSet;
use std::time::Duration;

use lockstep::event::Lane;
use lockstep::outbound::Trouble;
use lockstep::retry::WhatNow;
use lockstep::snapshot::sync::Groups;
use lockstep::snapshot::{Directory, Enabled, Guest};
use lockstep_twin::{Fault, Hire, Match, PageFault, PersonId, Setup, Times, Vendor};
use serde_json::json;

use super::{group, sent};
use crate::clients::{Vendors, object, vendors};

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

async fn unread(v: &Vendors, person: PersonId) -> String {
    let seen = v.entra.reader(Lane::Sync).profile(object(person), &names(&[])).await.unwrap();
    let Groups::Unread(why) = seen.groups else { panic!("the groups are believed: {:?}", seen.groups) };
    why
}

#[tokio::test]
async fn properties_manager_and_nested_groups_cost_one_request() {
    let v = vendors().await;
    let (person, sales, everybody) = {
        let mut world = v.twin.world();
        let person = world.hire(Hire::named("Ada Lovelace"));
        let boss = world.hire(Hire::named("Charles Babbage"));
        world.set_manager(person, Some(boss));
        world.move_to(person, "Sales", "Lead");
        world.give_directory_role(person, "User Administrator");
        let (sales, everybody) = (world.create_group("Sales"), world.create_group("Everybody"));
        world.add_member(sales, person);
        world.add_member(everybody, sales);
        (person, sales, everybody)
    };
    let wanted = names(&["department", "jobTitle", "manager"]);
    let seen = v.entra.reader(Lane::Sync).profile(object(person), &wanted).await.unwrap();
    assert_eq!(sent(&v), 1);
    let Directory::Present(it) = &seen.directory else { panic!("not present") };
    assert_eq!((it.object, it.enabled, it.guest), (object(person), Enabled::Yes, Guest::No));
    assert_eq!(seen.groups, Groups::Known([group(sales), group(everybody)].into()));
    assert_eq!(seen.profile.text("department"), Some("Sales"));
    assert_eq!(seen.profile.0["manager"]["displayName"], "Charles Babbage");
    assert!(seen.profile.0.contains_key("userType") && !seen.profile.0.contains_key("officeLocation"));
    v.done();
}

#[tokio::test]
async fn cleared_properties_are_null_and_nobodys_manager_too() {
    let v = vendors().await;
    let person = v.twin.world().hire(Hire::named("Ada Lovelace"));
    v.twin.world().move_to(person, "Sales", "Lead");
    v.twin.world().clear_property(person, "department");
    let wanted = names(&["department", "manager"]);
    let seen = v.entra.reader(Lane::Sync).profile(object(person), &wanted).await.unwrap();
    assert_eq!((&seen.profile.0["department"], &seen.profile.0["manager"]), (&json!(null), &json!(null)));
    v.done();
}

#[tokio::test]
async fn without_groups_it_is_one_plain_read() {
    let v = vendors().await;
    let person = v.twin.world().hire(Hire::guest("Gast", "gast@fabrikam.example", "contoso.onmicrosoft.com"));
    let reader = v.entra.reader(Lane::Sync);
    let seen = reader.profile_without_groups(object(person), &names(&["mail"])).await.unwrap();
    assert!(matches!(&seen.directory, Directory::Present(it) if it.guest == Guest::Yes));
    assert_eq!(seen.groups, Groups::Unread("not asked for".into()));
    assert_eq!((sent(&v), v.twin.journal().requests().iter().filter(|it| it.in_batch).count()), (1, 0));
    v.done();
}

#[tokio::test]
async fn somebody_deleted_is_found_among_the_deleted_items_and_nobody_is_missing() {
    let v = vendors().await;
    let person = v.twin.world().hire(Hire::named("Ada Lovelace"));
    v.twin.world().soft_delete(person);
    let reader = v.entra.reader(Lane::Sync);
    for ask in [true, false] {
        let seen = match ask {
            true => reader.profile(object(person), &names(&["department"])).await.unwrap(),
            false => reader.profile_without_groups(object(person), &names(&["department"])).await.unwrap(),
        };
        assert!(matches!(&seen.directory, Directory::SoftDeleted(it) if it.object == object(person)));
        assert!(seen.profile.0.is_empty() && matches!(seen.groups, Groups::Unread(_)));
    }
    let nobody = reader.profile(object(PersonId::nobody()), &names(&[])).await.unwrap();
    assert_eq!(nobody.directory, Directory::Missing);
    v.done();
}

#[tokio::test]
async fn more_groups_than_a_page_holds_are_all_read_and_cost_a_request_a_page() {
    let v = vendors().await;
    let person = v.twin.world().hire(Hire::named("Ada Lovelace"));
    for number in 0..1_100 {
        let mut world = v.twin.world();
        let one = world.create_group(&format!("Group {number}"));
        world.add_member(one, person);
    }
    let seen = v.entra.reader(Lane::Sync).profile(object(person), &names(&[])).await.unwrap();
    let Groups::Known(groups) = seen.groups else { panic!("{:?}", seen.groups) };
    assert_eq!((groups.len(), sent(&v)), (1_100, 2));
    v.done();
}

#[tokio::test]
async fn an_endless_list_of_groups_is_given_up_and_not_believed() {
    let v = vendors().await;
    let person = v.twin.world().hire(Hire::named("Ada Lovelace"));
    let wanted = Match::vendor(Vendor::Graph).route("transitiveMemberOf");
    v.twin.faults().inject(wanted, Fault::Page(PageFault::Empty), Times::Forever);
    assert!(unread(&v, person).await.contains("goes on after 0 rows"));
    assert_eq!(sent(&v), 20);
    v.done();
}

#[tokio::test]
async fn lost_permissions_make_memberships_unread_and_leave_the_person() {
    let v = vendors().await;
    let person = v.twin.world().hire(Hire::named("Ada Lovelace"));
    let sales = v.twin.world().create_group("Sales");
    v.twin.world().add_member(sales, person);
    for permission in ["GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"] {
        v.twin.world().revoke_graph_permission(permission);
    }
    let nameless = unread(&v, person).await;
    assert!(nameless.contains("without their names (needs GroupMember.Read.All)"), "{nameless}");
    let refuse = Match::vendor(Vendor::Graph).route("transitiveMemberOf");
    v.twin.faults().inject(refuse, Fault::Status(403), Times::N(1));
    let refused = unread(&v, person).await;
    assert!(refused.starts_with("graph memberships.get: 403"), "{refused}");
    v.done();
}

#[tokio::test]
async fn a_throttled_part_of_the_batch_is_obeyed_by_everybody() {
    for route in ["/users/{id}", "/users/{id}/transitiveMemberOf"] {
        let v = vendors().await;
        let person = object(v.twin.world().hire(Hire::named("Ada Lovelace")));
        let throttle = Fault::Throttle { retry_after: Some("2.5".into()) };
        v.twin.faults().inject(Match::vendor(Vendor::Graph).route(route), throttle, Times::N(1));
        let reader = v.entra.reader(Lane::Sync);
        let throttled = reader.profile(person, &names(&[])).await.unwrap_err();
        let until = v.clock.after(Duration::from_millis(2500));
        assert_eq!(throttled.what_now(), WhatNow::RetryAt(until), "{route}: {throttled}");
        let held = v.graph().person(person).await.unwrap_err();
        let lockstep::entra::Error::Trouble { trouble: Trouble::HeldBack { .. }, .. } = held else {
            panic!("{held}")
        };
        v.clock.advance(Duration::from_secs(3));
        reader.profile(person, &names(&[])).await.unwrap();
        v.done();
    }
}

#[tokio::test]
async fn a_failing_part_or_a_failing_batch_is_no_evidence_of_anything() {
    let v = vendors().await;
    let person = object(v.twin.world().hire(Hire::named("Ada Lovelace")));
    let reader = v.entra.reader(Lane::Sync);
    for route in ["/users/{id}", "/users/{id}/transitiveMemberOf", "/$batch"] {
        let wanted = Match::vendor(Vendor::Graph).route(route);
        v.twin.faults().inject(wanted, Fault::Status(503), Times::N(1));
        let failed = reader.profile(person, &names(&[])).await.unwrap_err();
        assert!(failed.is_vendor_away(), "{route}: {failed}");
    }
    v.twin.faults().inject(
        Match::vendor(Vendor::Graph).route("/users/{id}"),
        Fault::Status(404),
        Times::N(1),
    );
    let stranger = reader.profile(person, &names(&[])).await.unwrap_err();
    assert!(!stranger.is_gone(), "a 404 that is not Graph's own: {stranger}");
    v.done();
}

#[tokio::test]
async fn the_budget_counts_what_each_part_costs() {
    // A bucket of ten: what the call costs is a good part of it.
    let pace = |graph: &mut lockstep::entra::Settings| graph.resource_units_per_second = 5;
    let v = crate::clients::with(Setup::default(), pace, |_| {}).await;
    let person = object(v.twin.world().hire(Hire::named("Ada Lovelace")));
    let started = std::time::Instant::now();
    v.entra.reader(Lane::Bulk).profile(person, &names(&["manager"])).await.unwrap();
    let flowed_in = started.elapsed().as_secs_f64() * 5.0 / 10.0;
    let shown = v.metrics.render();
    let line = shown.lines().find(|line| {
        line.starts_with("lockstep_vendor_budget_remaining_ratio")
            && line.contains("graph")
            && line.contains("contain")
    });
    let left: f64 = line.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    // A profile with manager costs three.
    assert!((0.7..=0.7 + flowed_in).contains(&left), "{left}, of which {flowed_in} may have flowed in");
    v.done();
}
