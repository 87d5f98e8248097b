//! The twin held against the vendors: their API descriptions, their recorded and published answers.
//!
//! The material lies beside the repository and is not part of it; without it these tests say so and pass.

use crate::client::{Client, Got, encoded, start};
use jsonschema::Validator;
use lockstep_twin::{Fault, Hire, Match, Plan, Setup, Times, Twin, Vendor};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/samples");

pub fn sample(path: &str) -> Option<Value> {
    let text = std::fs::read_to_string(format!("{SAMPLES}/{path}"));
    match text {
        Ok(text) => Some(serde_json::from_str(&text).expect("samples are JSON")),
        Err(_) => {
            println!("skipped: no samples at {SAMPLES}");
            None
        }
    }
}

/// A vendor's API description.
pub struct Description {
    document: Value,
}

impl Description {
    /// Auth0 says "one of" where a page without a `next` is two of the alternatives.
    pub fn auth0() -> Option<Description> {
        sample("auth0/openapi-subset.json").map(|mut document| {
            let text = document.to_string().replace("\"oneOf\":", "\"anyOf\":");
            document = serde_json::from_str(&text).expect("only a key has changed");
            Description { document }
        })
    }

    /// OpenAPI 3.0 writes null as `nullable`, which JSON Schema does not know.
    pub fn graph() -> Option<Description> {
        sample("graph/openapi-subset.json").map(|mut document| {
            spell_out_nullable(&mut document);
            Description { document }
        })
    }

    /// The operation of a route, whatever its path parameters are called.
    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let paths = self.document["paths"].as_object()?;
        let wanted = nameless(path);
        let item = paths.iter().find(|(template, _)| nameless(template) == wanted)?.1;
        item.get(method.to_lowercase())
    }

    fn parameters(&self, operation: &Value) -> BTreeSet<String> {
        let given = operation["parameters"].as_array().into_iter().flatten();
        given
            .map(|parameter| match parameter["$ref"].as_str() {
                Some(reference) => self.document.pointer(&reference[1..]).expect("references resolve"),
                None => parameter,
            })
            .filter(|parameter| parameter["in"] == "query")
            .filter_map(|parameter| parameter["name"].as_str().map(str::to_owned))
            .collect()
    }

    /// Fails unless the description knows this answer and, where it has a schema, the body satisfies it.
    pub fn check(&self, method: &str, path: &str, got: &Got) {
        let operation =
            self.operation(method, path).unwrap_or_else(|| panic!("{method} {path} is not described"));
        let status = got.status.to_string();
        let class = format!("{}XX", got.status / 100);
        let response = operation["responses"].get(&status).or_else(|| operation["responses"].get(&class));
        let response = response.unwrap_or_else(|| panic!("{method} {path} never answers {status}"));
        let response = match response["$ref"].as_str() {
            Some(reference) => self.document.pointer(&reference[1..]).expect("references resolve"),
            None => response,
        };
        let schema = &response["content"]["application/json"]["schema"];
        if schema.is_null() {
            return;
        }
        let validator = self.validator(schema);
        let body = got.json();
        let errors: Vec<String> =
            validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{method} {path} {status}: {errors:#?}\n{body:#}");
    }

    fn validator(&self, schema: &Value) -> Validator {
        let mut whole = schema.clone();
        whole["components"] = self.document["components"].clone();
        jsonschema::validator_for(&whole).expect("descriptions hold schemas")
    }
}

fn nameless(template: &str) -> String {
    let segments = template.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    segments.collect::<Vec<_>>().join("/")
}

fn spell_out_nullable(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(spell_out_nullable),
        Value::Object(object) => {
            object.values_mut().for_each(spell_out_nullable);
            if object.remove("nullable") == Some(Value::Bool(true)) {
                let inner = Value::Object(std::mem::take(object));
                object.insert("anyOf".into(), json!([inner, { "type": "null" }]));
            }
        }
        _ => {}
    }
}

/// What the twin plays and the descriptions leave out.
const UNDESCRIBED: [&str; 7] = [
    "POST /oauth/token",
    "POST /dbconnections/change_password",
    // Casts and directions of collections that are described.
    "GET /v1.0/groups/{id}/members/microsoft.graph.user",
    "GET /v1.0/groups/{id}/transitiveMembers/microsoft.graph.user",
    "GET /v1.0/groups/{id}/memberOf",
    "GET /v1.0/groups/{id}/transitiveMemberOf",
    "GET /v1.0/directory/deletedItems/microsoft.graph.group",
];

#[test]
fn every_route_and_query_parameter_is_described() {
    let (Some(auth0), Some(graph)) = (Description::auth0(), Description::graph()) else {
        return;
    };
    // Graph's own links bring it back (Graph, Paging).
    let linked = "$skiptoken";
    // Sent along by an official SDK in a recorded exchange, and answered.
    let recorded = ("/users/{id}/refresh-tokens", "per_page");
    for (vendor, label, query) in Twin::routes() {
        let (description, prefix) = match vendor {
            Vendor::Auth0 => (&auth0, "/api/v2"),
            Vendor::Graph => (&graph, "/v1.0"),
            Vendor::Login | Vendor::Slack | Vendor::Mail | Vendor::Ticket => continue,
        };
        if UNDESCRIBED.contains(&label) || label.contains(" /scim/") {
            continue;
        }
        let (method, path) = label.split_once(' ').expect("labels have a method");
        let path = path.strip_prefix(prefix).expect("routes have the vendor's prefix");
        let operation =
            description.operation(method, path).unwrap_or_else(|| panic!("{label} is not described"));
        let described = description.parameters(operation);
        for name in query.iter().filter(|name| (path, **name) != recorded) {
            let is_linked = *name == linked && described.contains("$top");
            assert!(is_linked || described.contains(*name), "{label} does not take {name}");
        }
    }
}

#[tokio::test]
async fn management_api_answers_satisfy_the_description() {
    let Some(description) = Description::auth0() else {
        return;
    };
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let enterprise = c.twin.world().accounts_of(person)[0].clone();
    let database = c.twin.world().add_database_account(person);
    let spare = c.twin.world().add_database_account(person);
    c.twin.world().link_accounts(&database, &spare);
    let left = c.twin.world().sign_in(&enterprise).expect("let in");
    c.twin.world().sign_in(&database);
    let token_set = c.twin.world().add_token_set(&enterprise, "google-oauth2");
    let user = format!("/users/{}", encoded(&enterprise));
    let create = json!({"connection": "Username-Password-Authentication", "email": "a@b.example", "password": "Long-enough-1"});
    let all: Vec<(&str, &str, String, Option<Value>)> = vec![
        ("GET", "/users", "/users".into(), None),
        ("GET", "/users", "/users?include_totals=true&per_page=1".into(), None),
        ("GET", "/users", "/users?page=10&per_page=100".into(), None),
        ("POST", "/users", "/users".into(), Some(create.clone())),
        ("POST", "/users", "/users".into(), Some(create)),
        ("GET", "/users-by-email", "/users-by-email?email=adele.vance%40contoso.example".into(), None),
        ("GET", "/users/{id}", user.clone(), None),
        ("GET", "/users/{id}", format!("/users/{}", encoded(&database)), None),
        ("GET", "/users/{id}", "/users/auth0%7Cnobody".into(), None),
        ("PATCH", "/users/{id}", user.clone(), Some(json!({"blocked": true}))),
        ("PATCH", "/users/{id}", user.clone(), Some(json!({"email": "x@y.example"}))),
        ("GET", "/users/{id}/sessions", format!("{user}/sessions?take=50"), None),
        ("GET", "/users/{id}/refresh-tokens", format!("{user}/refresh-tokens"), None),
        (
            "GET",
            "/users/{id}/federated-connections-tokensets",
            format!("{user}/federated-connections-tokensets"),
            None,
        ),
        (
            "DELETE",
            "/users/{id}/federated-connections-tokensets/{tokenset_id}",
            format!("{user}/federated-connections-tokensets/{token_set}"),
            None,
        ),
        ("GET", "/sessions/{id}", format!("/sessions/{}", left.session), None),
        ("GET", "/refresh-tokens/{id}", format!("/refresh-tokens/{}", left.refresh_token), None),
        ("GET", "/grants", "/grants".into(), None),
        ("GET", "/grants", "/grants?include_totals=true".into(), None),
        ("GET", "/device-credentials", "/device-credentials".into(), None),
        ("GET", "/device-credentials", "/device-credentials?include_totals=true".into(), None),
        ("GET", "/resource-servers", "/resource-servers".into(), None),
        ("GET", "/resource-servers", "/resource-servers?include_totals=true&per_page=1".into(), None),
        (
            "DELETE",
            "/device-credentials/{id}",
            format!("/device-credentials/{}", left.device_credential),
            None,
        ),
        ("DELETE", "/refresh-tokens/{id}", format!("/refresh-tokens/{}", left.refresh_token), None),
        ("DELETE", "/sessions/{id}", format!("/sessions/{}", left.session), None),
        ("POST", "/sessions/{id}/revoke", format!("/sessions/{}/revoke", left.session), None),
        ("DELETE", "/grants", format!("/grants?user_id={}", encoded(&enterprise)), None),
        ("POST", "/users/{id}/revoke-access", format!("{user}/revoke-access"), Some(json!({}))),
        ("DELETE", "/users/{id}/sessions", format!("{user}/sessions"), None),
        ("DELETE", "/users/{id}/refresh-tokens", format!("{user}/refresh-tokens"), None),
        ("DELETE", "/users/{id}", user.clone(), None),
    ];
    assert_eq!(c.twin.world().token_sets(&enterprise).len(), 1);
    for (method, template, path, body) in all {
        description.check(method, template, &c.auth0(method, &path, body).await);
    }
    c.assert_no_complaints();
}

#[tokio::test]
async fn graph_answers_satisfy_the_description() {
    let Some(description) = Description::graph() else {
        return;
    };
    let c = start(Setup::unlimited()).await;
    let manager = c.twin.world().hire(Hire::named("Miriam Graham"));
    let person = c.twin.world().hire(Hire { manager: Some(manager), ..Hire::named("Adele Vance") });
    let gone = c.twin.world().hire(Hire::named("Alex Wilber"));
    c.twin.world().soft_delete(gone);
    c.twin.world().raise_risk(person, "high", "leakedCredentials");
    let ours = format!("appId%20eq%20%27{}%27", c.twin.setup().entra_client_id);
    let all = [
        ("GET", "/users/{id}", format!("/users/{person}")),
        (
            "GET",
            "/users/{id}",
            format!("/users/{person}?$select={FULL_SELECT}&$expand=manager($select=id,displayName,mail)"),
        ),
        ("GET", "/users/{id}", format!("/users/{gone}")),
        ("POST", "/users/{id}/revokeSignInSessions", format!("/users/{person}/revokeSignInSessions")),
        ("GET", "/identityProtection/riskyUsers", "/identityProtection/riskyUsers".into()),
        ("GET", "/identityProtection/riskyUsers/{id}", format!("/identityProtection/riskyUsers/{person}")),
        ("GET", "/identityProtection/riskyUsers/{id}", format!("/identityProtection/riskyUsers/{gone}")),
        ("GET", "/directory/deletedItems/{id}", format!("/directory/deletedItems/{gone}")),
        (
            "GET",
            "/directory/deletedItems/microsoft.graph.user",
            "/directory/deletedItems/microsoft.graph.user".into(),
        ),
        ("GET", "/organization", "/organization".into()),
        (
            "GET",
            "/applications",
            format!("/applications?$filter={ours}&$select=id,appId,passwordCredentials"),
        ),
    ];
    for (method, template, path) in all {
        description.check(method, template, &c.graph(method, &path).await);
    }
    c.assert_no_complaints();
}

/// Every property that Lockstep may want to map.
const FULL_SELECT: &str = "id,userPrincipalName,mail,accountEnabled,displayName,givenName,surname,department,\
    jobTitle,officeLocation,mobilePhone,businessPhones,employeeId,employeeType,companyName,\
    onPremisesExtensionAttributes,identities,userType,externalUserState,externalUserStateChangeDateTime,\
    deletedDateTime,createdDateTime,lastPasswordChangeDateTime,signInSessionsValidFromDateTime,\
    onPremisesSyncEnabled,onPremisesImmutableId,otherMails,proxyAddresses";

#[tokio::test]
async fn auth0_errors_are_the_recorded_ones() {
    if sample("auth0/errors/401-missing-token.json").is_none() {
        return;
    }
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    c.twin.world().add_database_account(person);
    let url = |path: &str| format!("{}/api/v2{path}", c.twin.urls().auth0_url);
    let database = |connection: &str| json!({"connection": connection, "email": "adele.vance@contoso.example", "password": "Long-enough-1"});
    same("401-missing-token", &c.send(c.http.get(url("/users"))).await);
    let bad = c.http.get(url("/users")).header("authorization", "Bearer x");
    same("401-invalid-token", &c.send(bad).await);
    same("404-inexistent-user", &c.auth0("GET", "/users/auth0%7Cnobody", None).await);
    same("400-search-beyond-1000", &c.auth0("GET", "/users?page=10&per_page=100", None).await);
    let enterprise = database(&c.twin.setup().auth0_connection);
    same("400-create-user-on-enterprise-connection", &c.auth0("POST", "/users", Some(enterprise)).await);
    let again = database("Username-Password-Authentication");
    same("409-user-exists", &c.auth0("POST", "/users", Some(again)).await);
    same("oauth-401-invalid-client", &c.management_token(&[("client_secret", "x")]).await);
    let all = Match::vendor(Vendor::Auth0);
    c.twin.faults().inject(all.clone(), Fault::Throttle { retry_after: None }, Times::N(1));
    let throttled = c.auth0("GET", "/users", None).await;
    same("429-management-api", &throttled);
    let recorded = sample("auth0/errors/429-management-api.json").expect("seen above");
    for name in recorded["headers"].as_object().expect("headers").keys() {
        assert!(throttled.header(name).is_some(), "no {name}");
    }
    c.twin.faults().inject(all, Fault::Status(503), Times::N(1));
    same("503-search-timeout", &c.auth0("GET", "/users", None).await);
    c.twin.world().revoke_auth0_scope("read:users");
    alike("403-insufficient-scope", &c.auth0("GET", "/users", None).await);
    let free = start(Setup { plan: Plan::Free, ..Setup::default() }).await;
    alike("403-insufficient-entitlement", &free.auth0("DELETE", "/users/x/sessions", None).await);
}

/// Status and body are those of the sample.
pub fn same(name: &str, got: &Got) {
    let recorded = sample(&format!("auth0/errors/{name}.json")).expect("the samples are there");
    assert_eq!(
        (json!(got.status), got.json()),
        (recorded["status"].clone(), recorded["body"].clone()),
        "{name}"
    );
}

/// Status, code and names of the members are those of the sample; its message speaks of something else.
fn alike(name: &str, got: &Got) {
    let recorded = sample(&format!("auth0/errors/{name}.json")).expect("the samples are there");
    assert_eq!(json!(got.status), recorded["status"], "{name}");
    assert_eq!(names(&got.json()), names(&recorded["body"]), "{name}");
    assert_eq!(got.json()["errorCode"], recorded["body"]["errorCode"], "{name}");
}

pub fn names(value: &Value) -> Vec<String> {
    value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
}

#[tokio::test]
async fn graph_errors_have_the_published_members() {
    if sample("graph/error-403-directory.json").is_none() {
        return;
    }
    let c = start(Setup { identity_protection_per_second: Some(1), ..Setup::default() }).await;
    let risky = "/identityProtection/riskyUsers";
    c.graph("GET", risky).await;
    published("error-429", 429, &c.graph("GET", risky).await);
    let id = "87d349ed-44d7-43e1-9a83-5f2406dee5bd";
    published("error-404-user", 404, &c.graph("GET", &format!("/users/{id}")).await);
    c.twin.world().revoke_graph_permission("User.Read.All");
    published("error-403-directory", 403, &c.graph("GET", &format!("/users/{id}")).await);
    c.twin.world().expire_tokens(Vendor::Graph);
    published("error-401-token-expired", 401, &c.graph("GET", risky).await);
    let expired = c.entra_token(&[("client_secret", "twin~entra~expired~00000000000000000000")]).await;
    let sample = sample("graph/token-error-expired-secret.json").expect("seen above");
    let body = expired.json();
    for name in ["error", "error_codes"] {
        assert_eq!(body[name], sample[name]);
    }
    assert!(names(&sample).iter().all(|name| body.get(name).is_some()), "{body}");
}

/// Code, message and the members of `innerError` are those of the sample.
pub fn published(name: &str, status: u16, got: &Got) {
    let sample = sample(&format!("graph/{name}.json")).expect("the samples are there");
    let (wanted, body) = (&sample["error"], got.json());
    assert_eq!(got.status, status, "{name}");
    assert_eq!(
        (&body["error"]["code"], &body["error"]["message"]),
        (&wanted["code"], &wanted["message"]),
        "{name}"
    );
    assert_eq!(names(&body["error"]["innerError"]), names(&wanted["innerError"]), "{name}");
}

#[tokio::test]
async fn answers_carry_the_recorded_headers() {
    let Some(recordings) = sample("auth0/recordings/response-headers.json") else {
        return;
    };
    let c = start(Setup::default()).await;
    let scenarios = recordings.as_array().into_iter().flatten();
    let exchanges = scenarios.flat_map(|scenario| scenario["interactions"].as_array().into_iter().flatten());
    let mut compared = 0;
    for exchange in
        exchanges.filter(|exchange| exchange["path"] == "/api/v2/users" && exchange["method"] == "GET")
    {
        let got = c.auth0("GET", "/users", None).await;
        for (name, value) in exchange["response_headers"].as_object().into_iter().flatten() {
            let given = got.header(name).unwrap_or_else(|| panic!("no {name}"));
            if matches!(name.as_str(), "content-type" | "cache-control" | "vary") {
                assert_eq!(json!(given), *value, "{name}");
            }
        }
        compared += 1;
    }
    assert!(compared > 0, "nothing to compare with");
}

#[tokio::test]
async fn users_and_lists_have_the_members_of_the_recorded_ones() {
    if sample("auth0/users/user-database.json").is_none() {
        return;
    }
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let account = c.twin.world().accounts_of(person)[0].clone();
    c.twin.world().sign_in(&account);
    let path = format!("/users/{}", encoded(&account));
    members(
        "auth0/users/user-waad.json",
        "",
        &c,
        &path,
        &["groups", "picture", "app_metadata", "user_metadata", "blocked"],
    )
    .await;
    members("auth0/sessions/sessions-page.json", "/sessions/0", &c, &format!("{path}/sessions"), &[]).await;
    members(
        "auth0/sessions/refresh-tokens-page.json",
        "/tokens/0",
        &c,
        &format!("{path}/refresh-tokens"),
        &[],
    )
    .await;
    members("auth0/sessions/grants-page.json", "/grants/0", &c, "/grants?include_totals=true", &[]).await;
    members("auth0/users/users-search-page.json", "", &c, "/users?include_totals=true", &[]).await;
}

/// The twin's answer shows every member that the sample has at `pointer`, less those that depend on the tenant.
pub async fn members(name: &str, pointer: &str, c: &Client, path: &str, tenant: &[&str]) {
    let sample = sample(name).expect("the samples are there");
    let got = c.auth0("GET", path, None).await.json();
    let shown = names(got.pointer(pointer).unwrap_or(&Value::Null));
    for wanted in names(sample.pointer(pointer).expect("the sample has it")) {
        assert!(
            shown.contains(&wanted) || tenant.contains(&wanted.as_str()),
            "{path} shows no {wanted}: {shown:?}"
        );
    }
}

#[tokio::test]
async fn slack_answers_have_the_published_members() {
    let Some(posted) = sample("slack/chat-postMessage-response.json") else {
        return;
    };
    let c = start(Setup::default()).await;
    let channel = c.twin.setup().slack_channel.clone();
    let mut request = sample("slack/chat-postMessage-request.json").expect("the samples are there");
    request["channel"] = channel.clone().into();
    let got = c.slack("chat.postMessage", request).await.json();
    assert!(names(&posted).iter().all(|name| got.get(name).is_some()), "{got}");
    let mut update = sample("slack/chat-update-request.json").expect("the samples are there");
    update["channel"] = channel.into();
    update["ts"] = got["ts"].clone();
    let updated = sample("slack/chat-update-response.json").expect("the samples are there");
    let got = c.slack("chat.update", update).await.json();
    assert!(names(&updated).iter().all(|name| got.get(name).is_some()), "{got}");
    let test = sample("slack/auth-test-response.json").expect("the samples are there");
    let got = c.slack("auth.test", json!({})).await.json();
    assert!(names(&test).iter().all(|name| got.get(name).is_some()), "{got}");
    c.assert_no_complaints();
}
