//! Roles of the Auth0 tenant and who has them.

use crate::client::{Client, Got, encoded, start};
use lockstep_twin::{AccountId, Hire, Match, Setup, Vendor, Write};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn adele(c: &Client) -> (AccountId, String) {
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let account = c.twin.world().accounts_of(person)[0].clone();
    let path = format!("/users/{}/roles", encoded(&account));
    (account, path)
}

fn ids(got: &Got, key: &str) -> Vec<String> {
    let body = got.json();
    let listed = body.get(key).unwrap_or(&body).as_array().expect("a list").clone();
    listed.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn roles_are_given_and_taken_and_seen_at_once() {
    let c = start(Setup::default()).await;
    let (account, path) = adele(&c);
    let reader = c.twin.world().create_role("Reader");
    let admin = c.twin.world().create_role("Admin");
    let both = json!({"roles": [reader, admin]});
    assert_eq!(c.auth0("POST", &path, Some(both.clone())).await.status, 204);
    assert_eq!(c.auth0("POST", &path, Some(both.clone())).await.status, 204, "held already");
    let page = c.auth0("GET", &format!("{path}?include_totals=true&per_page=1"), None).await.json();
    assert_eq!(
        (&page["total"], &page["limit"], page["roles"].as_array().map(Vec::len)),
        (&json!(2), &json!(1), Some(1))
    );
    assert!(page.get("length").is_none(), "not recorded here");
    assert_eq!(c.auth0("DELETE", &path, Some(json!({"roles": [admin]}))).await.status, 204);
    assert_eq!(
        c.auth0("DELETE", &path, Some(json!({"roles": [admin]}))).await.status,
        204,
        "twice, as recorded"
    );
    assert_eq!(ids(&c.auth0("GET", &path, None).await, "roles"), [&*reader]);
    assert_eq!(c.twin.world().role_names_of(&account), BTreeSet::from(["Reader".to_owned()]));
    let writes = c.twin.world().writes_to(&account);
    assert_eq!((writes[&Write::RolesGranted], writes[&Write::RolesRevoked]), (2, 2));
    c.assert_no_complaints();
}

#[tokio::test]
async fn bodies_that_are_no_roles_are_refused() {
    let c = start(Setup::default()).await;
    let (account, path) = adele(&c);
    let role = c.twin.world().create_role("Reader");
    for body in [
        json!({"roles": []}),
        json!({}),
        json!({"roles": "x"}),
        json!({"roles": [1]}),
        json!({"roles": ["Reader"]}),
    ] {
        let got = c.auth0("POST", &path, Some(body.clone())).await;
        assert_eq!((got.status, &got.json()["errorCode"]), (400, &json!("invalid_body")), "{body}");
    }
    let unknown = c.auth0("POST", &path, Some(json!({"roles": [role, "rol_0000000000000000"]}))).await;
    assert_eq!((unknown.status, unknown.json().get("errorCode")), (404, None));
    assert!(c.twin.world().roles_of(&account).is_empty(), "all or nothing");
    let nobody = c.auth0("POST", "/users/auth0%7Cnobody/roles", Some(json!({"roles": [role]}))).await;
    assert_eq!((nobody.status, &nobody.json()["errorCode"]), (404, &json!("inexistent_user")));
}

#[tokio::test]
async fn nobody_has_more_than_fifty_roles() {
    let c = start(Setup::default()).await;
    let (account, path) = adele(&c);
    let roles: Vec<String> = (0..51).map(|n| c.twin.world().create_role(&format!("R{n}"))).collect();
    assert_eq!(c.auth0("POST", &path, Some(json!({"roles": roles[..50]}))).await.status, 204);
    assert_eq!(c.auth0("POST", &path, Some(json!({"roles": roles[50..]}))).await.status, 400);
    assert_eq!(c.twin.world().roles_of(&account).len(), 50);
}

#[tokio::test]
async fn a_role_deleted_under_our_feet_is_gone_and_its_namesake_is_another() {
    let c = start(Setup::default()).await;
    let (account, path) = adele(&c);
    let role = c.twin.world().create_role("Reader");
    c.twin.world().grant_role(&account, &role);
    let gone = role.clone();
    c.twin.faults().after(Match::vendor(Vendor::Auth0).route("/roles"), 1, move |world| {
        world.recreate_role(&gone);
    });
    assert_eq!(ids(&c.auth0("GET", "/roles", None).await, "roles"), [&*role]);
    assert_eq!(c.auth0("POST", &path, Some(json!({"roles": [role]}))).await.status, 404);
    assert_eq!(c.auth0("GET", &path, None).await.json(), json!([]));
    let named = c.twin.world().role_named("Reader").expect("made again").id.clone();
    assert_ne!(named, role);
    assert_eq!(
        c.auth0("GET", &format!("/roles/{role}"), None).await.json()["message"],
        "The role does not exist."
    );
}

#[tokio::test]
async fn roles_are_managed_by_whoever_may() {
    let mut c = start(Setup::default()).await;
    assert_eq!(c.auth0("POST", "/roles", Some(json!({"name": "x"}))).await.status, 403);
    c.grant(&["create:roles", "update:roles", "delete:roles"]).await;
    let made = c.auth0("POST", "/roles", Some(json!({"name": "Writer", "description": "Writes"}))).await;
    assert_eq!((made.status, &made.json()["description"]), (200, &json!("Writes")), "200, as recorded");
    assert_eq!(c.auth0("POST", "/roles", Some(json!({"name": "Writer"}))).await.status, 409);
    let path = format!("/roles/{}", made.json()["id"].as_str().unwrap());
    let changed = c.auth0("PATCH", &path, Some(json!({"description": "The writer"}))).await.json();
    assert_eq!((&changed["name"], &changed["description"]), (&json!("Writer"), &json!("The writer")));
    assert_eq!(
        ids(&c.auth0("GET", "/roles?name_filter=wri&include_totals=true", None).await, "roles").len(),
        1
    );
    let deleted = c.auth0("DELETE", &path, None).await;
    assert_eq!((deleted.status, deleted.json()), (200, json!({})));
    assert_eq!(c.auth0("DELETE", &path, None).await.status, 404);
}

#[tokio::test]
async fn users_of_a_role_are_paged_by_checkpoint() {
    let mut c = start(Setup::default()).await;
    c.grant(&["update:roles"]).await;
    let role = c.twin.world().create_role("Reader");
    let people: Vec<String> = (0..3)
        .map(|n| {
            let mut world = c.twin.world();
            let p = world.hire(Hire::named(&format!("Person N{n}")));
            world.accounts_of(p)[0].to_string()
        })
        .collect();
    let path = format!("/roles/{role}/users");
    assert_eq!(c.auth0("POST", &path, Some(json!({"users": people}))).await.json(), json!({}));
    let first = c.auth0("GET", &format!("{path}?take=2&include_totals=true&per_page=50"), None).await.json();
    let next = first["next"].as_str().expect("more follow").to_owned();
    let second = c.auth0("GET", &format!("{path}?take=2&from={next}"), None).await.json();
    assert_eq!((second["users"].as_array().map(Vec::len), second.get("next")), (Some(1), None));
    let mut seen: Vec<&Value> = first["users"]
        .as_array()
        .unwrap()
        .iter()
        .chain(second["users"].as_array().unwrap())
        .map(|user| &user["user_id"])
        .collect();
    seen.sort_by_key(|id| id.as_str());
    let mut wanted = people.clone();
    wanted.sort();
    assert_eq!(seen, wanted.iter().map(String::as_str).collect::<Vec<_>>());
    let page = c.auth0("GET", &format!("{path}?include_totals=true"), None).await.json();
    assert_eq!((&page["total"], page.get("length")), (&json!(3), None));
    c.assert_no_complaints();
}

#[tokio::test]
async fn ten_thousand_accounts_with_roles_are_cheap_to_have() {
    let c = start(Setup::default()).await;
    let role = c.twin.world().create_role("Everybody");
    let mut world = c.twin.world();
    for n in 0..10_000 {
        let person = world.hire(Hire::named(&format!("Person Number{n}")));
        let account = world.accounts_of(person)[0].clone();
        world.grant_role(&account, &role);
    }
    assert_eq!(world.holders_of_role(&role).count(), 10_000);
    world.delete_role(&role);
    assert!(world.accounts().all(|account| world.roles_of(&account.id).is_empty()));
}
