//! Entra's token endpoint and Graph: properties, deleted people, risk, limits, permissions.

use crate::client::start;
use lockstep_twin::{Hire, PersonId, Setup, Vendor};
use serde_json::json;

#[tokio::test]
async fn token_errors_are_numbered() {
    let c = start(Setup::default()).await;
    let cases = [
        ([("client_secret", "wrong")], 401, 7_000_215),
        ([("client_secret", "twin~entra~expired~00000000000000000000")], 401, 7_000_222),
        ([("client_secret", "")], 401, 7_000_218),
        ([("client_id", "00000000-0000-0000-0000-000000000000")], 400, 700_016),
        ([("tenant", "nowhere.example")], 400, 90_002),
        ([("scope", "https://foo.microsoft.com/.default")], 400, 70_011),
    ];
    for (changes, status, code) in cases {
        let got = c.entra_token(&changes).await;
        assert_eq!((got.status, &got.json()["error_codes"]), (status, &json!([code])), "{changes:?}");
    }
    assert_eq!(c.entra_token(&[]).await.json()["expires_in"], json!(3599));
    c.assert_no_complaints();
}

#[tokio::test]
async fn without_select_a_user_shows_the_default_properties() {
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let user = c.graph("GET", &format!("/users/{person}")).await.json();
    assert_eq!(user["displayName"], json!("Adele Vance"));
    assert!(user.get("accountEnabled").is_none(), "accountEnabled must be selected");
    assert_eq!(user.as_object().map(serde_json::Map::len), Some(12));
}

#[tokio::test]
async fn select_and_expand_show_what_was_asked_for() {
    let c = start(Setup::default()).await;
    let manager = c.twin.world().hire(Hire::named("Miriam Graham"));
    let hire = Hire { manager: Some(manager), ..Hire::named("Adele Vance") };
    let person = c.twin.world().hire(hire);
    let path = format!(
        "/users/{person}?$select=id,accountEnabled,deletedDateTime&$expand=manager($select=id,displayName)"
    );
    let user = c.graph("GET", &path).await;
    assert_eq!(user.json()["accountEnabled"], json!(true));
    assert_eq!(
        user.json()["manager"],
        json!({"@odata.type": "#microsoft.graph.user", "id": manager.to_string(), "displayName": "Miriam Graham"})
    );
    assert_eq!(user.header("x-ms-resource-unit"), Some("2"));
    let unknown = c.graph("GET", &format!("/users/{person}?$select=id,shoeSize")).await;
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (400, &json!("BadRequest")));
    assert_eq!(c.twin.journal().complaints().len(), 1);
}

#[tokio::test]
async fn a_soft_deleted_person_is_in_the_deleted_items_only() {
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    c.twin.world().soft_delete(person);
    let gone = c.graph("GET", &format!("/users/{person}")).await;
    assert_eq!((gone.status, &gone.json()["error"]["code"]), (404, &json!("Request_ResourceNotFound")));
    let deleted = c.graph("GET", &format!("/directory/deletedItems/{person}")).await.json();
    let prefix = person.to_string().replace('-', "");
    assert!(deleted["userPrincipalName"].as_str().unwrap().starts_with(&prefix));
    let listed =
        c.graph("GET", "/directory/deletedItems/microsoft.graph.user?$select=id,deletedDateTime").await;
    assert_eq!(listed.json()["value"][0]["id"], json!(person.to_string()));
    c.twin.world().restore(person);
    assert_eq!(c.graph("GET", &format!("/directory/deletedItems/{person}")).await.status, 404);
    c.twin.world().hard_delete(person);
    assert_eq!(c.graph("GET", &format!("/users/{person}")).await.status, 404);
    c.assert_no_complaints();
}

#[tokio::test]
async fn identity_protection_answers_once_a_second_and_says_no_retry_after() {
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    c.twin.world().raise_risk(person, "high", "leakedCredentials");
    let path = format!("/identityProtection/riskyUsers/{person}");
    let first = c.graph("GET", &path).await;
    assert_eq!((first.status, &first.json()["riskLevel"]), (200, &json!("high")));
    let second = c.graph("GET", &path).await;
    assert_eq!((second.status, &second.json()["error"]["code"]), (429, &json!("TooManyRequests")));
    assert_eq!(second.header("retry-after"), None);
}

#[tokio::test]
async fn risky_users_are_listed_filtered_and_unknown_ones_are_not_there() {
    let c = start(Setup::unlimited()).await;
    let high = c.twin.world().hire(Hire::named("Adele Vance"));
    let settled = c.twin.world().hire(Hire::named("Miriam Graham"));
    let calm = c.twin.world().hire(Hire::named("Alex Wilber"));
    c.twin.world().raise_risk(high, "high", "leakedCredentials");
    c.twin.world().raise_risk(settled, "high", "passwordSpray");
    c.twin.world().dismiss_risk(settled);
    let path =
        "/identityProtection/riskyUsers?$filter=riskState%20eq%20'atRisk'%20and%20riskLevel%20eq%20'high'";
    let listed = c.graph("GET", path).await.json();
    assert_eq!(listed["value"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed["value"][0]["id"], json!(high.to_string()));
    let page = c.graph("GET", "/identityProtection/riskyUsers?$top=1").await.json();
    assert!(page["@odata.nextLink"].as_str().unwrap().contains("%24skip=1"));
    for unknown in [calm, PersonId::nobody()] {
        assert_eq!(c.graph("GET", &format!("/identityProtection/riskyUsers/{unknown}")).await.status, 404);
    }
    c.assert_no_complaints();
}

#[tokio::test]
async fn spent_resource_units_say_when_to_come_back_with_a_fraction() {
    let c = start(Setup { resource_units_per_ten_seconds: Some(2), ..Setup::default() }).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let path = format!("/users/{person}");
    let first = c.graph("GET", &path).await;
    assert_eq!((first.status, first.header("x-ms-throttle-limit-percentage").is_some()), (200, true));
    let second = c.graph("GET", &path).await;
    assert_eq!(second.status, 429);
    let wait: f64 = second.header("retry-after").unwrap().parse().unwrap();
    assert!(wait > 8.0 && wait <= 10.0, "{wait}");
    assert_eq!(second.header("x-ms-throttle-information"), Some("ResourceUnitLimitExceeded"));
}

#[tokio::test]
async fn missing_permissions_and_expired_tokens_are_told_apart() {
    let c = start(Setup::default()).await;
    c.twin.world().revoke_graph_permission("IdentityRiskyUser.Read.All");
    let denied = c.graph("GET", "/identityProtection/riskyUsers").await;
    assert_eq!(
        (denied.status, &denied.json()["error"]["code"]),
        (403, &json!("Authorization_RequestDenied"))
    );
    c.twin.world().expire_tokens(Vendor::Graph);
    let expired = c.graph("GET", "/organization").await;
    assert_eq!(
        (expired.status, &expired.json()["error"]["code"]),
        (401, &json!("InvalidAuthenticationToken"))
    );
}

#[tokio::test]
async fn ids_are_echoed_and_sessions_revoked() {
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let before = c.twin.world().person(person).sessions_valid_from;
    let got = c.graph("POST", &format!("/users/{person}/revokeSignInSessions")).await;
    assert_eq!((got.status, &got.json()["value"]), (200, &json!(true)));
    assert!(c.twin.world().person(person).sessions_valid_from > before);
    assert_eq!(c.twin.journal().complaints(), []);
    let url = format!("{}/v1.0/users/{person}/revokeSignInSessions", c.twin.urls().graph_url);
    let silent = c.http.post(url).header("authorization", format!("Bearer {}", c.graph_token));
    c.send(silent).await;
    let complaints = c.twin.journal().complaints();
    assert_eq!(complaints.len(), 1, "an empty POST that does not say so: {complaints:?}");
    let url = format!("{}/v1.0/organization", c.twin.urls().graph_url);
    let request = c.http.get(url).header("authorization", format!("Bearer {}", c.graph_token));
    let got = c.send(request.header("client-request-id", "e70c5c1b-8b47-68c0-3171-3d22f5e0bd54")).await;
    assert_eq!(got.header("client-request-id"), Some("e70c5c1b-8b47-68c0-3171-3d22f5e0bd54"));
    assert!(got.header("request-id").is_some());
    let unknown = c.graph("GET", "/servicePrincipals").await;
    assert_eq!(unknown.status, 400);
    assert_eq!(c.twin.journal().complaints().len(), 2);
}
