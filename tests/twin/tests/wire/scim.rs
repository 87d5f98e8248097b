//! The SCIM endpoint of the enterprise connection.

use crate::client::{Client, Got, encoded, start};
use crate::samples::sample;
use lockstep_twin::{Fault, Hire, Match, PersonId, RateLimit, Setup, Times, Vendor, Write};
use serde_json::{Value, json};

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// Adele without an account.
fn adele(c: &Client) -> PersonId {
    c.twin.world().hire(Hire { auth0_enterprise: false, ..Hire::named("Adele Vance") })
}

fn user(person: PersonId) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "userName": "adele.vance@contoso.example",
        "externalId": person.to_string(),
        "active": true,
        "displayName": "Adele Vance",
        "name": {"givenName": "Adele", "familyName": "Vance"},
        "emails": [{"primary": true, "type": "work", "value": "Adele.Vance@contoso.example"}],
        ENTERPRISE: {"department": "Sales"},
    })
}

fn operations(all: Value) -> Option<Value> {
    Some(json!({"schemas": [PATCH], "Operations": all}))
}

fn path(id: &str) -> String {
    format!("/Users/{}", encoded(id))
}

/// The status, and the kind that RFC 7644 has for the error.
fn refusal(got: &Got) -> (u16, Option<String>) {
    let body = got.json();
    assert_eq!(body["schemas"][0], json!("urn:ietf:params:scim:api:messages:2.0:Error"), "{body}");
    assert_eq!(body["status"], json!(got.status.to_string()));
    (got.status, body["scimType"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn a_user_is_made_through_the_default_mapping_and_is_the_one_who_signs_in() {
    let c = start(Setup::default()).await;
    let person = adele(&c);
    let made = c.scim("POST", "/Users", Some(user(person))).await;
    let id = format!("waad|{person}");
    assert_eq!((made.status, &made.json()["id"]), (201, &json!(id)));
    assert!(made.header("location").is_some_and(|at| at.ends_with(&encoded(&id))));
    assert!(made.header("content-type").is_some_and(|kind| kind.starts_with("application/scim+json")));
    let shown = c.auth0("GET", &format!("/users/{}", encoded(&id)), None).await.json();
    assert_eq!(shown["app_metadata"], json!({"external_id": person.to_string(), "department": "Sales"}));
    assert_eq!(
        (&shown["name"], &shown["given_name"], &shown["upn"]),
        (&json!("Adele Vance"), &json!("Adele"), &json!("adele.vance@contoso.example"))
    );
    assert_eq!(
        (&shown["email"], &shown["email_verified"], &shown["blocked"]),
        (&json!("Adele.Vance@contoso.example"), &json!(false), &json!(false))
    );
    assert_eq!(c.twin.world().accounts_of(person).len(), 1);
    c.twin.world().sign_in_through_entra(person).expect("let in");
    assert_eq!(c.twin.world().accounts_of(person).len(), 1, "the same user");
    assert_eq!(c.twin.world().account(&id).logins_count, 1);
    assert_eq!(c.twin.world().writes_to(&id)[&Write::Scim], 1);
    assert_eq!(c.twin.journal().writes(Vendor::Auth0), 1);
    c.assert_no_complaints();
}

#[tokio::test]
async fn a_user_is_made_once() {
    let c = start(Setup::default()).await;
    let person = adele(&c);
    assert_eq!(c.scim("POST", "/Users", Some(user(person))).await.status, 201);
    let taken = (409, Some("uniqueness".to_owned()));
    assert_eq!(refusal(&c.scim("POST", "/Users", Some(user(person))).await), taken);
    let mut namesake = user(PersonId::nobody());
    namesake["userName"] = "ADELE.Vance@contoso.example".into();
    assert_eq!(refusal(&c.scim("POST", "/Users", Some(namesake)).await), taken);
    let early = c.twin.world().hire(Hire::named("Miriam Graham"));
    let mut early = user(early);
    early["userName"] = "somebody.else@contoso.example".into();
    assert_eq!(refusal(&c.scim("POST", "/Users", Some(early)).await), taken, "made by a sign-in already");
    for missing in ["userName", "externalId"] {
        let mut without = user(PersonId::nobody());
        without[missing] = Value::Null;
        assert_eq!(
            refusal(&c.scim("POST", "/Users", Some(without)).await),
            (400, Some("invalidValue".into()))
        );
    }
}

#[tokio::test]
async fn deactivation_blocks_and_ends_everything() {
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let id = format!("waad|{person}");
    let left = c.twin.world().sign_in_through_entra(person).expect("let in");
    let off = operations(json!([{"op": "replace", "path": "active", "value": false}]));
    let patched = c.scim("PATCH", &path(&id), off.clone()).await;
    assert_eq!((patched.status, &patched.json()["active"]), (200, &json!(false)));
    assert!(c.twin.world().account(&id).blocked);
    assert!(c.twin.world().sessions(&id).is_empty() && !c.twin.world().can_exchange(&left.refresh_token));
    let on = operations(json!([{"op": "Replace", "value": {"active": "True"}}]));
    assert_eq!(c.scim("PATCH", &path(&id), on).await.json()["active"], json!(true), "as Entra writes it");
    assert!(c.twin.world().sign_in(&id).is_some());
    c.twin.world().hide_from_scim(&id);
    assert_eq!(refusal(&c.scim("PATCH", &path(&id), off).await), (404, None));
    c.assert_no_complaints();
}

#[tokio::test]
async fn users_are_found_by_filters() {
    let c = start(Setup::default()).await;
    let person = adele(&c);
    c.scim("POST", "/Users", Some(user(person))).await;
    c.twin.world().hire(Hire::named("Miriam Graham"));
    let other = c.twin.world().hire(Hire::named("Alex Wilber"));
    c.twin.world().add_database_account(other);
    let found = async |filter: String| {
        let got = c.scim("GET", &format!("/Users?filter={}", encoded(&filter)), None).await;
        got.json()["totalResults"].as_u64()
    };
    assert_eq!(found(format!("externalId eq \"{person}\"")).await, Some(1));
    assert_eq!(found(format!("externalId eq \"{other}\"")).await, Some(0), "another connection's");
    assert_eq!(found("userName eq \"ADELE.vance@contoso.example\"".into()).await, Some(1));
    assert_eq!(
        found(format!(
            "externalId eq \"x\" or userName eq \"miriam.graham@contoso.example\" and active eq true"
        ))
        .await,
        Some(1)
    );
    let page = c.scim("GET", "/Users?startIndex=2&count=1", None).await.json();
    assert_eq!(
        (&page["totalResults"], &page["startIndex"], page["Resources"].as_array().map(Vec::len)),
        (&json!(3), &json!(2), Some(1))
    );
    c.assert_no_complaints();
    for odd in ["userName sw \"a\"", "shoeSize eq \"a\""] {
        let got = c.scim("GET", &format!("/Users?filter={}", encoded(odd)), None).await;
        assert_eq!(refusal(&got), (400, Some("invalidFilter".into())), "{odd}");
    }
}

#[tokio::test]
async fn users_are_changed_by_operations_and_whole() {
    let c = start(Setup::default()).await;
    let person = adele(&c);
    let id = c.scim("POST", "/Users", Some(user(person))).await.json()["id"].as_str().unwrap().to_owned();
    let several = operations(json!([
        {"op": "add", "path": "emails[type eq \"work\"].value", "value": "adele@contoso.example"},
        {"op": "replace", "path": format!("{ENTERPRISE}:department"), "value": "Legal"},
        {"op": "remove", "path": "name.givenName"},
        {"op": "replace", "value": {"title": "Counsel"}},
    ]));
    let patched = c.scim("PATCH", &path(&id), several).await.json();
    assert_eq!(
        (&patched["emails"][0]["value"], &patched[ENTERPRISE]["department"]),
        (&json!("adele@contoso.example"), &json!("Legal"))
    );
    let state = c.twin.world().account_state(&id);
    assert_eq!((state.root.get("given_name"), &state.app_metadata["title"]), (None, &json!("Counsel")));
    let mut whole = user(person);
    whole.as_object_mut().unwrap().remove(ENTERPRISE);
    assert_eq!(c.scim("PUT", &path(&id), Some(whole)).await.status, 200);
    let state = c.twin.world().account_state(&id);
    assert_eq!(
        (state.app_metadata.get("department"), state.app_metadata.get("title")),
        (None, None),
        "what is left out is gone"
    );
    assert_eq!(c.scim("GET", &path(&id), None).await.json()["name"]["givenName"], json!("Adele"));
    c.assert_no_complaints();
    assert_eq!(
        refusal(
            &c.scim("PATCH", &path(&id), operations(json!([{"op": "replace", "path": "id", "value": "x"}])))
                .await
        ),
        (400, Some("mutability".into()))
    );
    assert_eq!(
        refusal(&c.scim("PATCH", &path(&id), operations(json!([]))).await),
        (400, Some("invalidSyntax".into()))
    );
    c.scim("PATCH", &path(&id), operations(json!([{"op": "replace", "path": "shoeSize", "value": 44}])))
        .await;
    assert_eq!(c.twin.journal().complaints().len(), 1, "mapped to nothing");
    assert_eq!(c.scim("DELETE", &path(&id), None).await.status, 204);
    assert_eq!(refusal(&c.scim("DELETE", &path(&id), None).await), (404, None));
}

#[tokio::test]
async fn a_user_that_scim_has_made_is_linked_into_nobody() {
    let c = start(Setup::default()).await;
    let person = adele(&c);
    c.scim("POST", "/Users", Some(user(person))).await;
    let database = c.twin.world().add_database_account(person);
    let body = json!({"provider": "waad", "user_id": person.to_string()});
    let got = c.auth0("POST", &format!("/users/{}/identities", encoded(&database)), Some(body)).await;
    assert_eq!(
        (got.status, &got.json()["message"]),
        (400, &json!("Unable to link with the secondary account."))
    );
}

#[tokio::test]
async fn tokens_are_of_one_connection_and_end() {
    let mut c = start(Setup::default()).await;
    c.grant(&["read:scim_token", "delete:scim_token"]).await;
    let connection = c.twin.world().enterprise_connection().id.clone();
    let other = c.twin.world().add_connection("other-entra", "waad", json!({}));
    let url =
        |connection: &str| format!("{}/scim/v2/connections/{connection}/Users", c.twin.urls().auth0_url);
    let with = |connection: &str, token: &str| {
        c.http.get(url(connection)).header("authorization", format!("Bearer {token}"))
    };
    let own = c.twin.setup().auth0_scim_token.clone();
    assert_eq!(refusal(&c.send(c.http.get(url(&connection))).await), (401, None));
    assert_eq!(refusal(&c.send(with(&connection, &c.auth0_token)).await), (401, None));
    assert_eq!(refusal(&c.send(with(&other, &own)).await), (401, None));
    let tokens = format!("/connections/{connection}/scim-configuration/tokens");
    let made = c.auth0("POST", &tokens, Some(json!({"scopes": ["post:users"], "token_lifetime": 900}))).await;
    let token = made.json()["token"].as_str().expect("shown once").to_owned();
    assert_eq!(refusal(&c.send(with(&connection, &token)).await), (403, None));
    assert_eq!(c.auth0("POST", &tokens, Some(json!({}))).await.status, 409, "two at most");
    let listed = c.auth0("GET", &tokens, None).await.json();
    assert!(
        listed
            .as_array()
            .is_some_and(|all| all.len() == 2 && all.iter().all(|one| one.get("token").is_none()))
    );
    assert_eq!(
        c.auth0("DELETE", &format!("{tokens}/{}", made.json()["token_id"].as_str().unwrap()), None)
            .await
            .status,
        204
    );
    c.twin.world().expire_scim_tokens();
    assert_eq!(refusal(&c.scim("GET", "/Users", None).await), (401, None));
    c.assert_no_complaints();
}

#[tokio::test]
async fn the_endpoint_has_a_limit_of_its_own_and_fails_in_its_own_shape() {
    let c =
        start(Setup { scim_rate_limit: Some(RateLimit { burst: 2, per_second: 0.001 }), ..Setup::default() })
            .await;
    let first = c.scim("GET", "/Users", None).await;
    assert_eq!(
        (first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")),
        (Some("2"), Some("1"))
    );
    c.scim("GET", "/Users", None).await;
    let spent = c.scim("GET", "/Users", None).await;
    assert_eq!((refusal(&spent), spent.header("x-ratelimit-remaining")), ((429, None), Some("0")));
    assert_eq!(c.auth0("GET", "/users", None).await.status, 200, "the Management API has its own");
    c.twin.faults().inject(Match::vendor(Vendor::Auth0).route("/scim/"), Fault::Status(503), Times::N(1));
    assert_eq!(refusal(&c.scim("GET", "/Users", None).await), (503, None));
    assert_eq!(refusal(&c.scim("GET", "/Groups", None).await), (404, None));
}

#[tokio::test]
async fn a_lost_reply_has_made_the_user() {
    let c = start(Setup::default()).await;
    let person = adele(&c);
    c.twin.faults().inject(
        Match::vendor(Vendor::Auth0).method("POST").route("/scim/"),
        Fault::LoseReply,
        Times::N(1),
    );
    let connection = c.twin.world().enterprise_connection().id.clone();
    let request = c.http.post(format!("{}/scim/v2/connections/{connection}/Users", c.twin.urls().auth0_url));
    let request = request.header("authorization", format!("Bearer {}", c.twin.setup().auth0_scim_token));
    assert!(request.body(user(person).to_string()).send().await.is_err());
    assert_eq!(c.twin.world().accounts_of(person).len(), 1);
}

#[tokio::test]
async fn the_published_requests_are_answered_as_expected() {
    let Some(requests) = sample("auth0/scim/requests.json") else {
        return;
    };
    let c = start(Setup::default()).await;
    let mut id = String::new();
    for request in requests.as_array().expect("a list") {
        let (_, path) = request["path"].as_str().unwrap().split_once("/Users").expect("users");
        let path = format!("/Users{}", path.replace("{id}", &encoded(&id)));
        let got = c.scim(request["method"].as_str().unwrap(), &path, request.get("body").cloned()).await;
        assert_eq!(json!(got.status), request["expect"], "{}", request["purpose"]);
        if request["method"] == "POST" {
            id = got.json()["id"].as_str().expect("an id").to_owned();
        }
    }
    c.assert_no_complaints();
}
