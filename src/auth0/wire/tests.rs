//! What the wire shapes make of real and of odd answers.
//!
//! The recorded exchanges are Auth0's own; they are read where they lie and the tests say so when they are not there.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde_json::json;

use super::*;
use crate::outbound::http::Body;

const OBJECT: &str = "7a3c2b1e-5d64-4f0b-9c8a-0e1f2d3c4b5a";

fn object() -> ObjectId {
    ObjectId(OBJECT.parse().unwrap())
}

fn user(value: Value) -> User {
    serde_json::from_value(value).unwrap()
}

fn answer(status: u16, headers: &[(&'static str, &str)], body: &Value) -> Answer {
    let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    Answer {
        status: reqwest::StatusCode::from_u16(status).unwrap(),
        headers: headers.collect(),
        body: Body::Whole(body.to_string().into()),
    }
}

#[test]
fn a_user_nobody_ever_blocked_has_no_such_field() {
    assert_eq!(user(json!({"user_id": "auth0|1"})).blocked(), Blocked::No);
    assert_eq!(user(json!({"user_id": "auth0|1", "blocked": null})).blocked(), Blocked::No);
    assert_eq!(user(json!({"user_id": "auth0|1", "blocked": true})).blocked(), Blocked::Yes);
}

#[test]
fn only_a_mark_that_names_a_case_is_a_stamp() {
    let stamp = |ours: Value| user(json!({"user_id": "auth0|1", "app_metadata": {"lockstep": ours}})).stamp();
    let case = "case_0192f3c4a5b67c8d9e0f112233445566";
    assert_eq!(stamp(json!({"case": case})), Some(Stamp { case: case.parse().unwrap() }));
    for other in [
        json!({"entra_object_id": OBJECT}),
        json!({"case": "mine"}),
        json!({"case": 7}),
        json!("x"),
        Value::Null,
    ] {
        assert_eq!(stamp(other.clone()), None, "{other}");
    }
    assert_eq!(user(json!({"user_id": "auth0|1", "app_metadata": null})).stamp(), None);
}

#[test]
fn an_account_is_a_persons_only_by_their_object_id() {
    let identity = |provider: &str, own: Value| json!({"user_id": "x|1", "identities": [{"provider": provider, "user_id": own, "connection": "c"}]});
    for mine in [
        identity("waad", json!(OBJECT)),
        identity("waad", json!(OBJECT.to_uppercase())),
        identity("waad", json!(format!("contoso-entra|{OBJECT}"))),
        json!({"user_id": "auth0|1", "app_metadata": {"external_id": OBJECT}}),
        json!({"user_id": "auth0|1", "app_metadata": {"lockstep": {"entra_object_id": OBJECT}}}),
    ] {
        assert!(user(mine.clone()).is_of(object()), "{mine}");
    }
    for not_mine in [
        identity("oidc", json!(OBJECT)),
        identity("waad", json!(format!("{OBJECT}|contoso-entra"))),
        identity("waad", json!(format!("x{OBJECT}"))),
        identity("facebook", json!(10_203)),
        json!({"user_id": format!("waad|{OBJECT}"), "email": "adele.vance@contoso.example"}),
        json!({"user_id": "auth0|1", "user_metadata": {"external_id": OBJECT}}),
    ] {
        assert!(!user(not_mine.clone()).is_of(object()), "{not_mine}");
    }
}

#[test]
fn an_absorbed_account_is_found_in_another_and_not_in_itself() {
    let linked = user(json!({"user_id": "auth0|1", "identities": [
        {"provider": "auth0", "user_id": "1"},
        {"provider": "waad", "user_id": format!("contoso-entra|{OBJECT}")},
    ]}));
    let id = |text: &str| AccountId::read(text).unwrap();
    assert!(linked.has_absorbed(&id(&format!("waad|contoso-entra|{OBJECT}"))));
    assert!(!linked.has_absorbed(&id("auth0|1")), "its own first identity");
    assert!(!linked.has_absorbed(&id("sms|1")));
}

#[test]
fn lists_come_wrapped_or_bare() {
    let parts = |value: Value| {
        let page: OffsetPage<DeviceCredential> = serde_json::from_value(value).unwrap();
        let (items, total) = page.into_parts();
        (items.len(), total)
    };
    assert_eq!(parts(json!([{"id": "dcr_1", "type": "refresh_token"}])), (1, None));
    assert_eq!(
        parts(json!({"start": 0, "limit": 50, "total": 3, "device_credentials": [{"id": "dcr_1"}]})),
        (1, Some(3))
    );
}

#[test]
fn a_pause_is_read_against_the_answers_own_date() {
    let now: Timestamp = "2026-03-02T08:00:00Z".parse().unwrap();
    let wait = |headers: &[(&'static str, &str)]| {
        come_back_at(&answer(429, headers, &Value::Null), now).map(|at| clock::elapsed(now, at).as_secs_f64())
    };
    assert_eq!(wait(&[("retry-after", "2.5"), ("x-ratelimit-reset", "1")]), Some(2.5));
    assert_eq!(wait(&[]), None);
    assert_eq!(wait(&[("x-ratelimit-reset", "soon")]), None);
    // The recorded answer: reset is the second after the date, whatever our clock says.
    let recorded = [("x-ratelimit-reset", "1630700210"), ("date", "Fri, 03 Sep 2021 20:16:49 GMT")];
    let seconds = wait(&recorded).unwrap();
    assert!((1.0..1.5).contains(&seconds), "{seconds}");
    let far = wait(&[("x-ratelimit-reset", "4102444800")]).unwrap();
    assert!(far <= crate::retry::RETRY_AFTER_MOST.as_secs_f64() + 0.5, "{far}");
}

#[test]
fn both_recorded_plan_refusals_are_told_from_a_missing_scope() {
    let refusal = |code: &str, message: &str| {
        ErrorBody::of(&answer(403, &[], &json!({"statusCode": 403, "message": message, "errorCode": code})))
            .is_plan_refusal()
    };
    assert!(refusal("insufficient_entitlement", "Please upgrade your subscription to use bot detection"));
    assert!(refusal("insufficient_scope", "Please upgrade your subscription to enable Akamai Signals."));
    assert!(!refusal("insufficient_scope", "Insufficient scope, expected any of: read:sessions"));
    assert!(!ErrorBody::of(&answer(403, &[], &json!("<html>"))).is_plan_refusal());
}

#[test]
fn recorded_users_sessions_and_tokens_are_read() {
    let mut read = 0;
    for exchange in recorded(&["users.json", "sessions-refresh-tokens.json"]) {
        let body = exchange["response_body"].clone();
        let path = exchange["path"].as_str().unwrap();
        if exchange["method"] != "GET" || exchange["status"] != 200 {
            continue;
        }
        match path.strip_prefix("/api/v2").unwrap().split('/').collect::<Vec<_>>()[1..] {
            ["users"] => fits::<OffsetPage<User>>(body),
            ["users", _] => fits::<User>(body),
            ["users", _, "sessions" | "refresh-tokens"] => fits::<CheckpointPage>(body),
            ["grants"] => fits::<OffsetPage<Value>>(body),
            ["device-credentials"] => fits::<OffsetPage<DeviceCredential>>(body),
            _ => continue,
        }
        read += 1;
    }
    assert!(read >= 10 || recorded(&["users.json"]).is_empty(), "only {read} exchanges were of use");
}

#[test]
fn recorded_roles_organizations_and_connections_are_read() {
    let mut read = 0;
    for exchange in
        recorded(&["user-roles-permissions.json", "organizations-members.json", "connections-waad.json"])
    {
        let body = exchange["response_body"].clone();
        let path = exchange["path"].as_str().unwrap();
        if exchange["method"] != "GET" || exchange["status"] != 200 {
            continue;
        }
        match path.strip_prefix("/api/v2").unwrap().split('/').collect::<Vec<_>>()[1..] {
            ["roles"] | ["users", _, "roles"] | ["organizations", _, "members", _, "roles"] => {
                fits::<OffsetPage<Named>>(body);
            }
            ["organizations", _] => fits::<Named>(body),
            ["connections", _] => fits::<Connection>(body),
            _ => continue,
        }
        read += 1;
    }
    assert!(read >= 20 || recorded(&["connections-waad.json"]).is_empty(), "only {read} were of use");
}

#[test]
fn root_attributes_belong_to_the_connection_unless_it_says_otherwise() {
    let root = |options: Value| {
        let connection = json!({"id": "con_1", "name": "contoso-entra", "options": options});
        serde_json::from_value::<Connection>(connection).unwrap().root()
    };
    assert_eq!(root(json!({"client_secret": "x"})), RootWritable::No, "the default is each login");
    assert_eq!(root(json!({"set_user_root_attributes": "on_each_login"})), RootWritable::No);
    assert_eq!(root(json!({"set_user_root_attributes": "on_first_login"})), RootWritable::Yes);
    assert_eq!(root(json!({"set_user_root_attributes": "never_on_login"})), RootWritable::Yes);
    assert_eq!(root(json!({"set_user_root_attributes": "sometimes"})), RootWritable::NotTold);
}

#[test]
fn recorded_errors_are_told_apart() {
    let all = recorded(&["errors.json"]);
    for exchange in &all {
        let status = exchange["status"].as_u64().unwrap() as u16;
        let told = ErrorBody::of(&answer(status, &[], &exchange["response_body"]));
        let code = exchange["response_body"]["errorCode"].as_str();
        assert_eq!(told.error_code.as_deref(), code, "{exchange}");
        let upgrade = exchange["response_body"]["message"].as_str().is_some_and(|m| m.contains("upgrade"));
        let plan = status == 403 && upgrade;
        assert_eq!(status == 403 && told.is_plan_refusal(), plan, "{exchange}");
    }
    let missing = all.iter().filter(|e| e["response_body"]["errorCode"] == "inexistent_user").count();
    assert!(missing > 0 || all.is_empty());
}

fn fits<T: DeserializeOwned>(body: Value) {
    if let Err(error) = serde_json::from_value::<T>(body.clone()) {
        panic!("{error}\n{body:#}");
    }
}

/// The exchanges of these recordings; none, and a line that says so, where they are not there.
fn recorded(files: &[&str]) -> Vec<Value> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/samples/auth0/recordings"));
    let mut exchanges = Vec::new();
    for file in files {
        let Ok(text) = std::fs::read_to_string(folder.join(file)) else {
            println!("skipped: the recorded exchanges of {file} are not here");
            continue;
        };
        let scenarios: Vec<Value> = serde_json::from_str(&text).unwrap();
        for scenario in scenarios {
            exchanges.extend(scenario["interactions"].as_array().unwrap().clone());
        }
    }
    exchanges
}
