//! The Auth0 tenant: users, the search that lags, containment, limits, plans, scopes.

use crate::client::{encoded, start};
use lockstep_twin::{AccountSeed, Hire, Plan, PlanRefusal, RateLimit, Setup, Vendor};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn a_block_is_shown_at_once_and_keeps_sessions_until_they_are_ended() {
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let account = c.twin.world().accounts_of(person)[0].clone();
    let left = c.twin.world().sign_in(&account).expect("let in");
    let path = format!("/users/{}", encoded(&account));

    let blocked = c.auth0("PATCH", &path, Some(json!({"blocked": true}))).await;
    assert_eq!((blocked.status, &blocked.json()["blocked"]), (200, &json!(true)));
    assert!(!c.twin.world().can_exchange(&left.refresh_token), "a blocked user exchanges nothing");
    let sessions = c.auth0("GET", &format!("{path}/sessions"), None).await;
    assert_eq!(sessions.json()["sessions"][0]["id"], json!(left.session), "a block ends no session");

    let ended = c.auth0("POST", &format!("{path}/revoke-access"), Some(json!({}))).await;
    assert_eq!((ended.status, ended.text.as_str()), (202, "{}"));
    assert_eq!(c.auth0("GET", &format!("{path}/sessions"), None).await.json(), json!({"sessions": []}));
    assert_eq!(c.auth0("GET", &format!("{path}/refresh-tokens"), None).await.json(), json!({"tokens": []}));
    assert_eq!(c.twin.journal().writes(Vendor::Auth0), 2);
    c.assert_no_complaints();
}

#[tokio::test]
async fn ended_sessions_linger_for_the_deletion_delay() {
    let c = start(Setup { deletion_delay: Duration::from_secs(3600), ..Setup::default() }).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let account = c.twin.world().accounts_of(person)[0].clone();
    c.twin.world().sign_in(&account);
    let path = format!("/users/{}/sessions", encoded(&account));
    assert_eq!(c.auth0("DELETE", &path, None).await.status, 202);
    assert_eq!(c.auth0("GET", &path, None).await.json()["sessions"].as_array().map(Vec::len), Some(1));
    assert_eq!(c.twin.world().refresh_tokens(&account).len(), 1, "offline tokens stay");
}

#[tokio::test]
async fn accounts_are_found_by_identity_and_by_metadata() {
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let other = c.twin.world().hire(Hire::named("Miriam Graham"));
    c.twin.world().add_database_account(other);
    let database = c.twin.world().add_database_account(person);
    let query = format!("identities.user_id:\"{person}\" OR app_metadata.external_id:\"{person}\"");
    let found = c
        .auth0("GET", &format!("/users?search_engine=v3&include_totals=true&q={}", encoded(&query)), None)
        .await;
    let page = found.json();
    let ids: Vec<&str> =
        page["users"].as_array().unwrap().iter().filter_map(|user| user["user_id"].as_str()).collect();
    assert_eq!(ids, [&*database, &format!("waad|{person}")]);
    assert_eq!((&page["total"], &page["limit"], &page["length"]), (&json!(2), &json!(50), &json!(2)));
    c.assert_no_complaints();
}

#[tokio::test]
async fn the_search_lags_and_get_by_id_does_not() {
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let account = c.twin.world().accounts_of(person)[0].clone();
    c.twin.world().freeze_search();
    c.twin.world().block_account_by_admin(&account);
    let query = format!("/users?q={}", encoded(&format!("user_id:\"{account}\"")));
    assert!(c.auth0("GET", &query, None).await.json()[0].get("blocked").is_none(), "the stale version");
    let by_id = c.auth0("GET", &format!("/users/{}", encoded(&account)), None).await;
    assert_eq!(by_id.json()["blocked"], json!(true));
    c.twin.world().thaw_search();
    assert_eq!(c.auth0("GET", &query, None).await.json()[0]["blocked"], json!(true));
}

#[tokio::test]
async fn offset_paging_ends_at_a_thousand_rows() {
    let c = start(Setup::default()).await;
    assert_eq!(c.auth0("GET", "/users?page=9&per_page=100", None).await.status, 200);
    let beyond = c.auth0("GET", "/users?page=10&per_page=100", None).await;
    assert_eq!((beyond.status, &beyond.json()["errorCode"]), (400, &json!("invalid_paging")));
    assert_eq!(c.auth0("GET", "/users?per_page=101", None).await.status, 400);
}

#[tokio::test]
async fn enterprise_users_take_metadata_and_block_only() {
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let path = format!("/users/{}", encoded(&format!("waad|{person}")));
    let refused = [
        (json!({"email": "a@b.example"}), "Cannot update email for non-database user."),
        (json!({"email_verified": true}), "Email verification is not supported for enterprise users."),
        (
            json!({"password": "x", "email": "y@x.example"}),
            "Cannot update password and email simultaneously.",
        ),
    ];
    for (body, text) in refused {
        let got = c.auth0("PATCH", &path, Some(body)).await;
        assert_eq!((got.status, &got.json()["message"]), (400, &json!(text)));
    }
    let synced = c.auth0("PATCH", &path, Some(json!({"name": "A", "nickname": "a"}))).await.json();
    let text = synced["message"].as_str().unwrap_or_default().to_owned();
    assert!(text.starts_with("The following user attributes cannot be updated: name, nickname."), "{text}");
    let stamped = c
        .auth0("PATCH", &path, Some(json!({"app_metadata": {"lockstep": {"case": "c1"}}, "blocked": true})))
        .await;
    assert_eq!(stamped.json()["app_metadata"], json!({"lockstep": {"case": "c1"}}));
}

#[tokio::test]
async fn unknown_fields_parameters_and_routes_are_loud() {
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let path = format!("/users/{}", encoded(&format!("waad|{person}")));
    assert_eq!(c.auth0("PATCH", &path, Some(json!({"blokked": true}))).await.status, 400);
    assert_eq!(c.auth0("GET", "/users?query=x", None).await.status, 400);
    assert_eq!(c.auth0("GET", "/usurs", None).await.status, 404);
    assert_eq!(c.auth0("GET", "/users", Some(json!({}))).await.status, 200);
    let texts: Vec<String> =
        c.twin.journal().complaints().into_iter().map(|complaint| complaint.text).collect();
    assert_eq!(
        texts,
        [
            "unknown body field blokked",
            "unknown query parameter query",
            "unknown route GET /api/v2/usurs",
            "a body that nobody reads",
        ]
    );
}

#[tokio::test]
async fn a_password_reset_lifts_the_block_and_ends_sessions() {
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let account = c.twin.world().add_database_account(person);
    c.twin.world().sign_in(&account);
    c.twin.world().block_account_by_admin(&account);
    let path = format!("/users/{}", encoded(&account));
    let body = json!({"password": "Correct horse 1", "connection": "Username-Password-Authentication"});
    let reset = c.auth0("PATCH", &path, Some(body)).await;
    assert_eq!(reset.json()["blocked"], json!(false));
    assert!(c.twin.world().sessions(&account).is_empty());
    assert!(c.twin.world().can_sign_in(&account));
}

#[tokio::test]
async fn a_linked_away_account_is_gone_and_lives_on_as_an_identity() {
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let primary = c.twin.world().accounts_of(person)[0].clone();
    let secondary = c.twin.world().add_database_account(person);
    c.twin.world().link_accounts(&primary, &secondary);
    let gone = c.auth0("GET", &format!("/users/{}", encoded(&secondary)), None).await;
    assert_eq!((gone.status, &gone.json()["errorCode"]), (404, &json!("inexistent_user")));
    let kept = c.auth0("GET", &format!("/users/{}", encoded(&primary)), None).await.json();
    assert_eq!(kept["identities"][1]["user_id"], json!(secondary.split_once('|').unwrap().1));
    assert_eq!(kept["identities"][1]["profileData"]["name"], json!("Adele Vance"));
}

#[tokio::test]
async fn deleting_a_user_twice_is_no_error() {
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let path = format!("/users/{}", encoded(&format!("waad|{person}")));
    assert_eq!(c.auth0("DELETE", &path, None).await.status, 204);
    assert_eq!(c.auth0("DELETE", &path, None).await.status, 204);
    assert_eq!(c.auth0("GET", &path, None).await.status, 404);
}

#[tokio::test]
async fn the_finer_calls_end_what_they_name() {
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let account = c.twin.world().accounts_of(person)[0].clone();
    let one = c.twin.world().sign_in(&account).unwrap();
    let two = c.twin.world().sign_in(&account).unwrap();
    assert_eq!(
        c.auth0("DELETE", &format!("/device-credentials/{}", one.device_credential), None).await.status,
        204
    );
    assert!(!c.twin.world().can_exchange(&one.refresh_token));
    assert!(c.twin.world().can_exchange(&two.refresh_token));
    assert_eq!(c.auth0("POST", &format!("/sessions/{}/revoke", two.session), None).await.status, 202);
    assert!(!c.twin.world().can_exchange(&two.refresh_token), "revoking a session takes its refresh tokens");
    assert!(c.twin.world().can_use_session(&one.session));
    let user = encoded(&account);
    let grants = c.auth0("GET", &format!("/grants?user_id={user}"), None).await;
    assert_eq!(grants.json().as_array().map(Vec::len), Some(2));
    assert_eq!(c.auth0("DELETE", &format!("/grants?user_id={user}"), None).await.status, 204);
    assert_eq!(c.auth0("GET", &format!("/grants?user_id={user}"), None).await.json(), json!([]));
    let devices = format!("/device-credentials?user_id={user}&type=rotating_refresh_token&per_page=100");
    assert_eq!(c.auth0("GET", &devices, None).await.json(), json!([]));
    c.assert_no_complaints();
}

#[tokio::test]
async fn lists_page_by_checkpoint() {
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let account = c.twin.world().accounts_of(person)[0].clone();
    let sessions: Vec<String> = (0..3).map(|_| c.twin.world().sign_in(&account).unwrap().session).collect();
    let path = format!("/users/{}/sessions", encoded(&account));
    let first = c.auth0("GET", &format!("{path}?take=2"), None).await.json();
    assert_eq!(first["next"], json!(sessions[1]));
    let second = c.auth0("GET", &format!("{path}?take=2&from={}", sessions[1]), None).await.json();
    assert_eq!(second["sessions"][0]["id"], json!(sessions[2]));
    assert!(second.get("next").is_none(), "the last page has no next");
}

#[tokio::test]
async fn below_enterprise_the_session_endpoints_are_refused_in_both_recorded_forms() {
    for (refusal, code) in
        [(PlanRefusal::Entitlement, "insufficient_entitlement"), (PlanRefusal::Scope, "insufficient_scope")]
    {
        let c = start(Setup { plan: Plan::Essentials, plan_refusal: refusal, ..Setup::default() }).await;
        let person = c.twin.world().hire(Hire::named("Adele Vance"));
        let path = format!("/users/{}", encoded(&format!("waad|{person}")));
        for (method, end) in [("POST", "revoke-access"), ("DELETE", "sessions"), ("GET", "refresh-tokens")] {
            let got = c.auth0(method, &format!("{path}/{end}"), None).await;
            assert_eq!((got.status, &got.json()["errorCode"]), (403, &json!(code)), "{end}");
        }
        assert_eq!(c.auth0("PATCH", &path, Some(json!({"blocked": true}))).await.status, 200);
    }
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let c = start(Setup::default()).await;
    c.twin.world().revoke_auth0_scope("read:grants");
    let got = c.auth0("GET", "/grants", None).await;
    let expected = json!({
        "statusCode": 403,
        "error": "Forbidden",
        "message": "Insufficient scope, expected any of: read:grants",
        "errorCode": "insufficient_scope",
    });
    assert_eq!((got.status, got.json()), (403, expected));
}

#[tokio::test]
async fn the_rate_limit_is_told_on_every_answer_and_enforced() {
    let limit = RateLimit { burst: 2, per_second: 0.001 };
    let c = start(Setup { rate_limit: Some(limit), ..Setup::default() }).await;
    let mut remaining = Vec::new();
    for _ in 0..2 {
        let got = c.auth0("GET", "/users", None).await;
        assert_eq!(got.header("x-ratelimit-limit"), Some("2"));
        assert!(got.header("x-ratelimit-reset").unwrap().parse::<i64>().unwrap() > 1_700_000_000);
        remaining.push(got.header("x-ratelimit-remaining").unwrap().to_owned());
    }
    assert_eq!(remaining, ["1", "0"]);
    let got = c.auth0("GET", "/users", None).await;
    assert_eq!((got.status, &got.json()["errorCode"]), (429, &json!("too_many_requests")));
    assert_eq!(got.header("retry-after"), None, "not documented, so not sent");
}

#[tokio::test]
async fn endpoint_classes_have_their_own_buckets() {
    let c = start(Setup { plan: Plan::Essentials, endpoint_limits: true, ..Setup::default() }).await;
    let grants = c.auth0("GET", "/grants", None).await;
    assert_eq!(
        (grants.header("x-ratelimit-limit"), grants.header("x-ratelimit-remaining")),
        (Some("10"), Some("9"))
    );
    let mut throttled = false;
    for _ in 0..1_000 {
        throttled = c.auth0("GET", "/resource-servers", None).await.status == 429;
        if throttled {
            break;
        }
    }
    assert!(throttled, "everything else shares one bucket");
    assert_eq!(c.auth0("GET", "/users", None).await.header("x-ratelimit-limit"), Some("40"));
}

#[tokio::test]
async fn a_429_tells_the_limit_that_was_exceeded() {
    let told = |answer: &crate::client::Got| {
        let header = |name| answer.header(name).map(str::to_owned).unwrap();
        (answer.status, header("x-ratelimit-limit"), header("x-ratelimit-remaining"))
    };
    loop {
        let rate_limit = Some(RateLimit { burst: 6, per_second: 0.001 });
        let setup = Setup { plan: Plan::Essentials, rate_limit, endpoint_limits: true, ..Setup::default() };
        let c = start(setup).await;
        let started = std::time::Instant::now();
        for _ in 0..5 {
            assert_eq!(c.auth0("GET", "/organizations", None).await.status, 200);
        }
        let of_kind = c.auth0("GET", "/organizations", None).await;
        // A token comes back every 1.2 s: on a machine that stood still there was another one.
        if started.elapsed() > Duration::from_secs(1) {
            continue;
        }
        assert_eq!(told(&of_kind), (429, "5".into(), "0".into()), "although the tenant's last went with it");
        let of_tenant = c.auth0("GET", "/users", None).await;
        assert_eq!(told(&of_tenant), (429, "6".into(), "0".into()));
        return;
    }
}

#[tokio::test]
async fn enterprise_limits_organizations_under_the_tenants_limit() {
    let setup = Setup { rate_limit: Some(RateLimit::ENTERPRISE), endpoint_limits: true, ..Setup::default() };
    let c = start(setup).await;
    let shown =
        async |path: &str| c.auth0("GET", path, None).await.header("x-ratelimit-limit").unwrap().to_owned();
    assert_eq!(shown("/organizations").await, "10");
    assert_eq!(shown("/users").await, "50");
    assert_eq!(shown("/roles").await, "50");
}

#[tokio::test]
async fn tokens_are_for_one_audience_and_one_client() {
    let c = start(Setup::default()).await;
    let wrong = c.management_token(&[("client_secret", "x")]).await;
    assert_eq!(
        (wrong.status, wrong.json()),
        (401, json!({"error": "access_denied", "error_description": "Unauthorized"}))
    );
    let without_slash = c.twin.setup().auth0_audience().trim_end_matches('/').to_owned();
    assert_eq!(c.management_token(&[("audience", &without_slash)]).await.status, 403);
    let good = c.management_token(&[]).await.json();
    assert_eq!((&good["expires_in"], &good["token_type"]), (&json!(86_400), &json!("Bearer")));
    let graph_token_here = c.http.get(format!("{}/api/v2/users", c.twin.urls().auth0_url));
    let got = c.send(graph_token_here.header("authorization", format!("Bearer {}", c.graph_token))).await;
    assert_eq!(got.status, 401);
}

#[tokio::test]
async fn users_are_created_in_databases_only() {
    let c = start(Setup::default()).await;
    let body = json!({"connection": "Username-Password-Authentication", "email": "Chuck@Example.com", "password": "Long-enough-1"});
    let made = c.auth0("POST", "/users", Some(body.clone())).await;
    assert_eq!((made.status, &made.json()["email"]), (201, &json!("chuck@example.com")));
    assert!(made.json().get("blocked").is_none(), "never blocked users do not show the field");
    assert_eq!(c.auth0("POST", "/users", Some(body)).await.status, 409);
    let enterprise = json!({"connection": c.twin.setup().auth0_connection, "email": "a@b.example"});
    assert_eq!(c.auth0("POST", "/users", Some(enterprise)).await.status, 400);
}

#[tokio::test]
async fn emptied_metadata_and_fields_behave_as_recorded() {
    let c = start(Setup::default()).await;
    let seed = AccountSeed {
        user_id: "auth0|testaccuser".into(),
        connection: "Username-Password-Authentication".into(),
        email: Some("Test@Example.com".into()),
        app_metadata: json!({"foo": "bar", "baz": "qux"}).as_object().cloned().unwrap(),
        user_metadata: json!({"foo": "bar"}).as_object().cloned(),
        ..AccountSeed::default()
    };
    c.twin.world().add_account_raw(seed);
    let path = "/users/auth0%7Ctestaccuser";
    let patched = c.auth0("PATCH", path, Some(json!({"app_metadata": {"baz": null, "foo": "bars"}}))).await;
    assert_eq!(patched.json()["app_metadata"], json!({"foo": "bars"}));
    let emptied = c.auth0("PATCH", path, Some(json!({"app_metadata": {}, "user_metadata": {}}))).await.json();
    assert_eq!((emptied.get("app_metadata"), emptied.get("user_metadata")), (None, Some(&json!({}))));
    let only = c.auth0("GET", &format!("{path}?fields=email,user_id"), None).await.json();
    assert_eq!(only, json!({"email": "Test@Example.com", "user_id": "auth0|testaccuser"}));
    let without =
        c.auth0("GET", &format!("{path}?fields=identities&include_fields=false"), None).await.json();
    assert!(without.get("identities").is_none() && without.get("email").is_some());
    let by_email = |email: &str| format!("/users-by-email?email={}", encoded(email));
    assert_eq!(
        c.auth0("GET", &by_email("Test@Example.com"), None).await.json().as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(c.auth0("GET", &by_email("test@example.com"), None).await.json(), Value::Array(vec![]));
}
