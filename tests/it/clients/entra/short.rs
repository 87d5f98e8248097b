//! Memberships that come short in a 200: they are not believed, or asked for in another way.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::routing::post;
use lockstep::entra::{Client, Error, Seen};
use lockstep::event::{Lane, ObjectId};
use lockstep::snapshot::sync::Groups;
use lockstep::snapshot::{Directory, Enabled};
use lockstep_twin::{Fault, Hire, Match, PageFault, PersonId, Setup, Times, Vendor, World};
use serde_json::{Value, json};

use super::{group, sent};
use crate::clients::{Vendors, object, vendors, with};

const LOGIN: &str = "POST /{tenant}/oauth2/v2.0/token";

fn nothing() -> BTreeSet<String> {
    BTreeSet::new()
}

/// Who reads from a Graph that answers every batch with these parts, and whose login gives a token to anybody.
async fn answering(parts: Value) -> Vendors {
    let batch = post(move || {
        let parts = parts.clone();
        async move { Json(json!({ "responses": parts })) }
    });
    let token = json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": "any" });
    let login = post(move || async move { Json(token) });
    let router = axum::Router::new().route("/v1.0/$batch", batch).route("/{tenant}/oauth2/v2.0/token", login);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: reqwest::Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let elsewhere = |graph: &mut lockstep::entra::Settings| {
        (graph.login_url, graph.graph_url) = (url.clone(), url);
    };
    with(Setup::unlimited(), elsewhere, |_| {}).await
}

fn lose_groups(world: &mut World) {
    for permission in ["GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"] {
        world.revoke_graph_permission(permission);
    }
}

async fn seen(client: &Client, person: ObjectId) -> Result<Seen, Error> {
    client.reader(Lane::Sync).profile(person, &nothing()).await
}

#[tokio::test]
async fn an_answer_without_memberships_in_it_is_unread_and_hides_nobody() {
    let person = object(PersonId::nobody());
    let user = |enabled| json!({ "id": person, "accountEnabled": enabled, "userType": "Member" });
    let part = |body: Value| json!({ "id": "2", "status": 200, "body": body });
    let elsewhere = json!({ "value": [], "@odata.nextLink": "https://graph.example/v1.0/users" });
    for memberships in [
        None,
        Some(json!({ "id": "2", "status": 200 })),
        Some(part(json!(null))),
        Some(part(json!({}))),
        Some(part(json!({ "value": null }))),
        Some(part(json!([]))),
        Some(part(elsewhere)),
        Some(json!({ "id": "2", "status": 400, "body": { "error": { "code": "Request_BadRequest" } } })),
    ] {
        for enabled in [true, false] {
            let mut parts = vec![json!({ "id": "1", "status": 200, "body": user(enabled) })];
            parts.extend(memberships.clone());
            let v = answering(json!(parts)).await;
            let seen =
                seen(&v.entra, person).await.unwrap_or_else(|error| panic!("{memberships:?}: {error}"));
            assert!(matches!(seen.groups, Groups::Unread(_)), "{memberships:?}");
            let Directory::Present(it) = seen.directory else { panic!("not present") };
            assert_eq!(it.enabled == Enabled::Yes, enabled);
        }
    }
}

#[tokio::test]
async fn memberships_that_fail_for_the_moment_are_waited_for_unless_the_person_is_disabled() {
    let v = vendors().await;
    let person = v.twin.world().hire(Hire::named("Ada Lovelace"));
    let wanted = Match::vendor(Vendor::Graph).route("transitiveMemberOf");
    v.twin.faults().inject(wanted, Fault::Status(503), Times::N(2));
    assert!(seen(&v.entra, object(person)).await.unwrap_err().is_vendor_away());
    v.twin.world().disable(person);
    let disabled = seen(&v.entra, object(person)).await.unwrap();
    assert!(matches!(disabled.directory, Directory::Present(it) if it.enabled == Enabled::No));
    assert!(matches!(disabled.groups, Groups::Unread(_)));
    v.done();
}

#[tokio::test]
async fn consent_that_was_given_back_is_seen_at_once_although_the_token_is_without_it() {
    let v = vendors().await;
    let (person, sales) = {
        let mut world = v.twin.world();
        let (person, sales) = (world.hire(Hire::named("Ada Lovelace")), world.create_group("Sales"));
        world.add_member(sales, person);
        (object(person), sales)
    };
    lose_groups(&mut v.twin.world());
    let logins = || v.twin.journal().count(Vendor::Login, LOGIN);
    for _ in 0..3 {
        let hidden = seen(&v.entra, person).await.unwrap();
        assert!(matches!(hidden.groups, Groups::Unread(_)), "{:?}", hidden.groups);
    }
    assert_eq!((sent(&v), logins()), (3, 1), "a permission that is lost costs no login a look");

    v.clock.advance(Duration::from_secs(60));
    for permission in &v.twin.setup().graph_permissions {
        v.twin.world().grant_graph_permission(permission);
    }
    assert_eq!(seen(&v.entra, person).await.unwrap().groups, Groups::Known([group(sales)].into()));
    assert_eq!((sent(&v), logins()), (5, 2));
    v.done();
}

#[tokio::test]
async fn a_permission_that_is_lost_between_two_pages_takes_the_belief_from_both() {
    let v = vendors().await;
    let person = v.twin.world().hire(Hire::named("Ada Lovelace"));
    for number in 0..1_100 {
        let mut world = v.twin.world();
        let one = world.create_group(&format!("Group {number}"));
        world.add_member(one, person);
    }
    let first = Match::vendor(Vendor::Graph).route("transitiveMemberOf");
    v.twin.faults().after(first, 1, lose_groups);
    let hidden = seen(&v.entra, object(person)).await.unwrap();
    assert!(matches!(hidden.groups, Groups::Unread(_)), "{:?}", hidden.groups);
    v.done();
}

#[tokio::test]
async fn what_a_list_leaves_out_is_known_to_the_other_question() {
    let v = vendors().await;
    let (person, sales, everybody, others) = {
        let mut world = v.twin.world();
        let person = world.hire(Hire::named("Ada Lovelace"));
        let [sales, everybody, others] =
            ["Sales", "Everybody", "Others"].map(|name| world.create_group(name));
        world.add_member(sales, person);
        world.add_member(everybody, sales);
        (person, sales, everybody, others)
    };
    let list = Match::vendor(Vendor::Graph).route("transitiveMemberOf");
    for fault in [PageFault::Missing, PageFault::Short(1)] {
        v.twin.faults().inject(list.clone(), Fault::Page(fault), Times::N(1));
        let Groups::Known(listed) = seen(&v.entra, object(person)).await.unwrap().groups else { panic!() };
        assert!(listed.len() < 2, "it looks like any other list");
    }
    let before = sent(&v);
    let asked = [group(sales), group(everybody), group(others)].into();
    let within = v.entra.reader(Lane::Sync).within(object(person), &asked).await.unwrap();
    assert_eq!((within, sent(&v) - before), ([group(sales), group(everybody)].into(), 1));
    let nobody = v.entra.reader(Lane::Sync).within(object(PersonId::nobody()), &asked).await.unwrap_err();
    assert!(nobody.is_gone());
    lose_groups(&mut v.twin.world());
    let refused = v.entra.reader(Lane::Sync).within(object(person), &asked).await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden { .. }), "{refused}");
    v.done();
}

#[tokio::test]
async fn of_somebody_in_more_groups_than_one_answer_holds_twenty_are_asked_for_at_a_time() {
    let v = vendors().await;
    let (person, groups) = {
        let mut world = v.twin.world();
        let person = world.hire(Hire::named("Ada Lovelace"));
        let groups: Vec<_> =
            (0..2_050).map(|number| world.create_group(&format!("Group {number}"))).collect();
        groups.iter().for_each(|one| world.add_member(*one, person));
        (person, groups)
    };
    let stranger = v.twin.world().create_group("Others");
    let asked: BTreeSet<ObjectId> = groups[..30].iter().chain([&stranger]).map(|id| group(*id)).collect();
    let within = v.entra.reader(Lane::Bulk).within(object(person), &asked).await.unwrap();
    assert_eq!(within, groups[..30].iter().map(|id| group(*id)).collect());
    assert_eq!(sent(&v), 3, "refused once, and thirty-one in two");
    v.done();
}
