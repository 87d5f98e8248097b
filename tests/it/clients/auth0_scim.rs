//! SCIM: accounts before their first login, and a lockout in one call.

use std::time::Duration;

use lockstep::action::sync::Way;
use lockstep::auth0::Error;
use lockstep::retry::WhatNow;
use lockstep_twin::Setup;
use serde_json::{Value, json};

use super::auth0_keeper::ada;
use super::script::{Said, Told, refusal, script, told};
use super::{id, with};

const USERS: &str = "/scim/v2/connections/con_0000000000000001/Users";
const OBJECT: &str = "7a3c2b1e-5d64-4f0b-9c8a-0e1f2d3c4b5a";

fn connection(said: &Said) -> Option<Told> {
    let found = json!([{"id": "con_0000000000000001", "name": "contoso-entra"}]);
    said.path.starts_with("/api/v2/connections").then(|| told(200, found))
}

fn scim_refusal(status: u16, kind: Option<&str>) -> Told {
    let schemas = json!(["urn:ietf:params:scim:api:messages:2.0:Error"]);
    told(status, json!({"schemas": schemas, "status": status.to_string(), "scimType": kind, "detail": "ada"}))
}

#[tokio::test]
async fn an_account_is_made_found_deactivated_and_deleted_with_scims_own_token() {
    let s = script(|said: &Said| {
        connection(said).unwrap_or_else(|| match said.method.as_str() {
            "POST" => told(201, json!({"id": "waad|contoso-entra|1", "externalId": OBJECT})),
            "GET" => told(
                200,
                json!({"totalResults": 1, "Resources": [
                {"id": "waad|contoso-entra|1", "externalId": OBJECT}]}),
            ),
            "PATCH" => told(200, json!({"id": "waad|contoso-entra|1"})),
            _ => told(204, Value::Null),
        })
    })
    .await;
    let account = id("waad|contoso-entra|1");
    assert_eq!(s.keeper().provision(&ada(Way::Scim)).await.unwrap(), account);
    assert_eq!(s.keeper().provisioned(&ada(Way::Scim)).await.unwrap(), Some(account.clone()));
    s.writer().deactivate(&account).await.unwrap();
    s.writer().reactivate(&account).await.unwrap();
    s.keeper().delete_by_scim(&account).await.unwrap();
    let said = s.said();
    assert!(said[1..].iter().all(|one| one.authorization == "Bearer tok_scim"));
    let lines: Vec<_> = said[1..].iter().map(|one| one.line().replace(USERS, "…")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    POST … {"active":true,"displayName":"Ada Lovelace","emails":[{"primary":true,"type":"work","value":"Ada@contoso.example"}],"externalId":"7a3c2b1e-5d64-4f0b-9c8a-0e1f2d3c4b5a","name":{"familyName":"Lovelace","givenName":"Ada"},"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada@contoso.example"}
    GET …?filter=externalId%20eq%20%227a3c2b1e-5d64-4f0b-9c8a-0e1f2d3c4b5a%22
    PATCH …/waad%7Ccontoso-entra%7C1 {"Operations":[{"op":"replace","path":"active","value":false}],"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}
    PATCH …/waad%7Ccontoso-entra%7C1 {"Operations":[{"op":"replace","path":"active","value":true}],"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}
    DELETE …/waad%7Ccontoso-entra%7C1
    "#);
}

#[tokio::test]
async fn each_refusal_of_scims_says_what_to_do() {
    for (answer, create, deactivate) in [
        (
            scim_refusal(409, Some("uniqueness")),
            "auth0 scim.create: it exists already",
            "auth0 scim.patch: it exists already",
        ),
        (
            scim_refusal(404, None),
            "auth0 scim.create: needs inbound SCIM, set up at the connection",
            "auth0 scim.patch: SCIM does not know the account",
        ),
        (
            refusal(404, "Not Found", None),
            "auth0 scim.create: needs inbound SCIM, set up at the connection",
            "auth0 scim.patch: 404 without_code",
        ),
        (
            told(404, json!("no such page")),
            "auth0 scim.create: status 404 with an answer that is not what the vendor documents",
            "auth0 scim.patch: status 404 with an answer that is not what the vendor documents",
        ),
        (
            scim_refusal(403, None),
            "auth0 scim.create: 403 without_code (needs post:users)",
            "auth0 scim.patch: 403 without_code (needs patch:users)",
        ),
        (
            scim_refusal(400, Some("invalidValue")),
            "auth0 scim.create: 400 invalidValue",
            "auth0 scim.patch: 400 invalidValue",
        ),
    ] {
        let s = script(move |said: &Said| connection(said).unwrap_or_else(|| answer.clone())).await;
        let made = s.keeper().provision(&ada(Way::Scim)).await.unwrap_err();
        let blocked = s.writer().deactivate(&id("waad|1")).await.unwrap_err();
        assert_eq!((made.to_string().as_str(), blocked.to_string().as_str()), (create, deactivate));
        assert_eq!(made.is_exists(), create.contains("exists already"));
        assert!(!blocked.is_gone(), "an account that SCIM does not know may well be there: {blocked}");
    }
}

#[tokio::test]
async fn a_pause_of_scims_is_not_the_management_apis() {
    let s = script(|said: &Said| {
        connection(said).unwrap_or_else(|| match said.path.starts_with("/scim") {
            true => (429, vec![("retry-after", "60".into())], Value::Null),
            false => told(200, json!({"user_id": "auth0|1"})),
        })
    })
    .await;
    let until = s.clock.after(Duration::from_secs(60));
    for _ in 0..2 {
        let throttled = s.keeper().provision(&ada(Way::Scim)).await.unwrap_err();
        assert_eq!(throttled.what_now(), WhatNow::RetryAt(until), "{throttled}");
        assert!(!throttled.is_outcome_unknown(), "{throttled}");
    }
    assert_eq!(s.count("POST /scim"), 1);
    s.reader().holding(&id("auth0|1")).await.unwrap();
}

#[tokio::test]
async fn a_lost_reply_leaves_open_whether_the_account_was_made() {
    let s = script(|said: &Said| connection(said).unwrap_or_else(|| told(504, Value::Null))).await;
    let lost = s.keeper().provision(&ada(Way::Scim)).await.unwrap_err();
    assert!(lost.is_outcome_unknown() && lost.is_vendor_away(), "{lost}");
}

#[tokio::test]
async fn without_a_token_or_a_connection_nothing_is_sent_and_a_person_is_asked() {
    let v = with(Setup::unlimited(), |_| {}, |auth0| auth0.scim_token = None).await;
    let missing = v.writer().deactivate(&id("waad|1")).await.unwrap_err();
    assert_eq!(missing, Error::NotSetUp { operation: "scim.patch", missing: "AUTH0_SCIM_TOKEN" });
    assert_eq!(missing.what_now(), WhatNow::AskHuman);
    assert_eq!(v.management_requests(), 0);
    let s = script(|_: &Said| told(200, json!([]))).await;
    let missing = s.keeper().provision(&ada(Way::Scim)).await.unwrap_err();
    assert!(missing.to_string().contains("AUTH0_CONNECTION"), "{missing}");
    let s = script(|_: &Said| refusal(403, "x", Some("insufficient_scope"))).await;
    let missing = s.keeper().provision(&ada(Way::Scim)).await.unwrap_err();
    assert!(missing.to_string().contains("read:connections"), "{missing}");
}
